"""JAX 0.10.2, CPU, any processor: padding that crops a whole axis and pads it again ends the process (SIGSEGV).

float32 and 17 or more channels. All that is left is one row of padding.
Upstream: https://github.com/openxla/xla/issues/48713
"""

import sys

import jax
import jax.numpy as jnp
import numpy as np

print("right: zeros; a dead process is the defect", flush=True)
y = jax.lax.conv_general_dilated(jnp.ones((1, 17, 15, 6)), jnp.ones((17, 17, 1, 1)), (1, 1), [(-15, 1), (0, 0)])
sys.exit(not np.array_equal(np.asarray(y), np.zeros((1, 17, 1, 6))))
