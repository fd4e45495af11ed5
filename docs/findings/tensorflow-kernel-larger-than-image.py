"""TensorFlow 2.21.0, CPU with oneDNN, any processor: a kernel larger than the image gives unwritten memory.

There is no window: an empty result or an error is right, and is what float64 gives. float32, float16 and bfloat16
return the shape of the image, in one, two and three axes, with groups, dilation or a bias.
Upstream: https://github.com/tensorflow/tensorflow/issues/64396 and https://github.com/tensorflow/tensorflow/issues/65214
"""

import os
import sys

import tensorflow as tf

DIRTY = "glibc.malloc.perturb=129:glibc.malloc.tcache_count=0:glibc.malloc.mmap_threshold=1073741824"
if os.environ.get("GLIBC_TUNABLES") != DIRTY:  # so that memory nobody writes is not zero by chance
    os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, "GLIBC_TUNABLES": DIRTY})
seen = {}
for dtype in (tf.float32, tf.bfloat16, tf.float16, tf.float64):
    y = tf.nn.conv2d(tf.ones((1, 2, 2, 1), dtype), tf.ones((3, 3, 1, 1), dtype), 1, "VALID")
    seen[dtype.name] = tuple(y.shape)
print(f"{seen}, right (1, 0, 0, 1)")
sys.exit(any(shape != (1, 0, 0, 1) for shape in seen.values()))
