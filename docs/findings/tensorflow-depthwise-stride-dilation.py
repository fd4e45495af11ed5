"""TensorFlow 2.21.0, CPU, any processor: depthwise_conv2d with both a stride and a dilation has a wrong shape.

Its documentation asks for strides of 1 beside dilations, so an error is right as well; there is none, and a result of
another size. Upstream: https://github.com/tensorflow/tensorflow/issues/57128
"""

import sys

import tensorflow as tf

right = (1, (5 - 5) // 3 + 1, (3 - 3) // 3 + 1, 1)  # taps 2 apart span 5 rows, taps side by side 3 columns
try:
    y = tf.nn.depthwise_conv2d(tf.ones((1, 5, 3, 1)), tf.ones((3, 3, 1, 1)), (1, 3, 3, 1), "VALID", dilations=(2, 1))
except (ValueError, tf.errors.OpError) as error:
    print("refused, which is right:", type(error).__name__)
    sys.exit(0)
print(f"shape {tuple(y.shape)}, right {right}")
sys.exit(tuple(y.shape) != right)
