"""TensorFlow 2.21.0, CPU, any processor: the float64 kernel gradient is not written where there is no output.

Padding as a list, and a kernel larger than the padded image: the result is empty, which is right, and its kernel
gradient is what lay in that memory. It is 0; an error is right as well. Upstream: no report found.
"""

import os
import sys

import numpy as np
import tensorflow as tf

DIRTY = "glibc.malloc.perturb=129:glibc.malloc.tcache_count=0:glibc.malloc.mmap_threshold=1073741824"
if os.environ.get("GLIBC_TUNABLES") != DIRTY:  # so that memory nobody writes is not zero by chance
    os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, "GLIBC_TUNABLES": DIRTY})
x, w = tf.ones((2, 3, 4, 1), tf.float64), tf.ones((5, 2, 1, 2), tf.float64)
with tf.GradientTape() as tape:
    tape.watch(w)
    y = tf.nn.conv2d(x, w, 1, [[0, 0], [1, 0], [0, 0], [0, 0]])
seen = tape.gradient(y, w).numpy()
print(f"result {tuple(y.shape)}, {np.count_nonzero(seen)} of {seen.size} not 0, the first {seen.flat[0]:.3g}; right 0")
sys.exit(bool(np.any(seen)))
