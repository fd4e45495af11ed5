"""JAX 0.10.2, CPU, any processor: bias gradients of 16 bits are summed in 16 bits.

10 000 ones come out as 1024 in bfloat16 and 8192 in float16, eager and jitted: the sum that is the adjoint of
broadcasting keeps the dtype of its operand. 9984 is the nearest bfloat16. Upstream: no report found.
"""

import sys

import jax
import jax.numpy as jnp

seen = {}
for dtype, right in (("bfloat16", 9984), ("float16", 10000)):
    x, w = jnp.ones((4, 1, 50, 50), dtype), jnp.ones((1, 1, 1, 1), dtype)
    y = jax.lax.conv_general_dilated(x, w, (1, 1), "VALID")
    _, pull = jax.vjp(lambda b, y=y: y + b.reshape(1, -1, 1, 1), jnp.zeros(1, dtype))
    seen[dtype] = float(pull(jnp.ones_like(y))[0][0]), right
print(f"seen and right: {seen}")
sys.exit(any(value != right for value, right in seen.values()))
