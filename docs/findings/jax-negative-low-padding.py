"""JAX 0.10.2, CPU, any processor: padding that crops at the low end and pads at the high end reads the next row.

float32, float16 and bfloat16 with 8 or 16 channels; float64, integers and few channels are right.
Upstream: https://github.com/openxla/xla/issues/48713
"""

import sys

import jax
import numpy as np

x = np.broadcast_to(np.arange(1, 49, dtype=np.float32).reshape(8, 6), (1, 8, 8, 6))
w = np.eye(8, dtype=np.float32).reshape(8, 8, 1, 1)
right = np.pad(x[..., 5:], ((0, 0), (0, 0), (0, 0), (0, 1)))
seen = np.asarray(jax.lax.conv_general_dilated(x, w, (1, 1), [(0, 0), (-5, 1)]))
print(f"the column of padding: {seen[0, 0, :, 1]}, right 0")
sys.exit(not np.array_equal(seen, right))
