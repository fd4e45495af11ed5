"""TensorFlow 2.21.0, CPU, any processor: ``tf.raw_ops.Conv`` with three axes takes explicit paddings for other axes.

Three pixels, paddings (1, 2), (3, 1), (0, 2) and a kernel of two: 5, 6 and 4 outputs. Upstream: no report found.
"""

import sys

import tensorflow as tf

y = tf.raw_ops.Conv(
    input=tf.ones((1, 3, 3, 3, 1)),
    filter=tf.ones((2, 2, 2, 1, 1)),
    strides=[1] * 5,
    padding="EXPLICIT",
    explicit_paddings=[0, 0, 1, 2, 3, 1, 0, 2, 0, 0],
)
right = (1, *(3 + before + after - 1 for before, after in ((1, 2), (3, 1), (0, 2))), 1)
print(f"shape {tuple(y.shape)}, right {right}")
sys.exit(tuple(y.shape) != right)
