"""JAX 0.10.2, any processor: a padding of 2^31 on two axes ends the process (SIGABRT) before anything is computed.

XLA says "overflow in static extent product" in an exception that nobody catches; an error is right.
Upstream, of an overflow beside it: https://github.com/openxla/xla/pull/46605
"""

import sys

import jax
import jax.numpy as jnp

print("right: an error; a dead process is the defect", flush=True)
try:
    jax.lax.conv_general_dilated(jnp.ones((1, 2, 4, 4)), jnp.ones((3, 2, 3, 3)), (1, 1), [(2**31, 2**31)] * 2)
except (OverflowError, ValueError, RuntimeError):
    sys.exit(0)
sys.exit(1)
