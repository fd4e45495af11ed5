"""TensorFlow 2.21.0, CPU with oneDNN, any processor: the kernel gradient of a strided 1x1 correlation breaks memory.

Fewer than 16 input channels: it writes beyond a buffer, and the process dies (SIGSEGV, SIGABRT)
within some calls.
Upstream: https://github.com/uxlfoundation/oneDNN/issues/6035
"""

import sys

import numpy as np
import tensorflow as tf

x, w = tf.ones((32, 64, 64, 4)), tf.ones((1, 1, 4, 8))
right = np.full((1, 1, 4, 8), 32 * 32 * 32)
print(f"right: {right.flat[0]} at each element, 40 times; a dead process is the defect", flush=True)
wrong = 0
for _ in range(40):
    with tf.GradientTape() as tape:
        tape.watch(w)
        y = tf.nn.conv2d(x, w, 2, "VALID")
    wrong += not np.array_equal(tape.gradient(y, w).numpy(), right)
sys.exit(bool(wrong))
