"""TensorFlow 2.21.0, CPU with AMX and oneDNN: bfloat16 conv2d is wrong where the output is one wide.

Any number of channels and examples; a kernel and a stride of two or more along that axis, three or more output rows.
Upstream, in PyTorch: https://github.com/pytorch/pytorch/issues/169688
"""

import sys

import numpy as np
import tensorflow as tf

x = np.arange(60).reshape(1, 5, 3, 4) % 5
right = x[:, :, :2].sum((2, 3))  # below 256: exact in bfloat16
image, kernel = tf.cast(x, tf.bfloat16), tf.ones((1, 2, 4, 1), tf.bfloat16)
seen = tf.cast(tf.nn.conv2d(image, kernel, (1, 2), "VALID"), tf.float32).numpy().reshape(right.shape)
print(f"{seen.ravel()}, right {right.ravel()}")
sys.exit(not np.array_equal(seen, right))
