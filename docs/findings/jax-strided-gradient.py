"""JAX 0.10.2, CPU, any processor: compiling the gradient of a plain strided correlation ends the process (SIGABRT).

XLA's algebraic simplifier exchanges image and kernel, and then checks its own result: "Window dimensions do not match
RHS shape". One channel in and out, a stride on one axis, a kernel wider than the image on the other; float32 and
float64. Upstream: no report found.
"""

import sys

import jax
import jax.numpy as jnp
import numpy as np

# the windows begin at rows -1, 1 and 3, and hold two rows and two columns, the second of them padding
right = np.ones((4, 1))


def total(x: jax.Array) -> jax.Array:
    """The sum of all outputs, so that its gradient counts the windows that hold a pixel."""
    return jax.lax.conv_general_dilated(x, jnp.ones((1, 1, 2, 2)), (2, 1), [(1, 1), (0, 1)]).sum()


print("right: ones; a dead process is the defect", flush=True)
seen = np.asarray(jax.grad(total)(jnp.ones((1, 1, 4, 1))))[0, 0]
sys.exit(not np.array_equal(seen, right))
