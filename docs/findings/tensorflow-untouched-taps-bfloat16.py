"""TensorFlow 2.21.0, CPU with AVX512 and oneDNN: the bfloat16 gradient of taps that never meet the image is unwritten.

Seven taps over an image one wide: all but the fourth see padding only, and their gradient is 0. What comes back is
what lay in that memory. Upstream: no report found.
"""

import os
import sys

import numpy as np
import tensorflow as tf

DIRTY = "glibc.malloc.perturb=129:glibc.malloc.tcache_count=0:glibc.malloc.mmap_threshold=1073741824"
if os.environ.get("GLIBC_TUNABLES") != DIRTY:  # so that memory nobody writes is not zero by chance
    os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, "GLIBC_TUNABLES": DIRTY})
x, w = tf.ones((1, 17, 1, 3), tf.bfloat16), tf.ones((1, 7, 3, 17), tf.bfloat16)
right = np.zeros((1, 7, 3, 17))
right[0, 3] = 17  # one product for each row
with tf.GradientTape() as tape:
    tape.watch(w)
    y = tf.nn.conv2d(x, w, (1, 2), "SAME")
seen = tf.cast(tape.gradient(y, w), tf.float32).numpy()
print(f"{(seen != right).sum()} of {right.size} wrong, for one {seen[0, 0, 0, 0]}; right 0")
sys.exit(not np.array_equal(seen, right))
