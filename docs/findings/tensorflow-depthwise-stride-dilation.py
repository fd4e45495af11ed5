"""TensorFlow 2.21.0, CPU, any processor: depthwise_conv2d with both a stride and a dilation has a wrong shape.

Its documentation asks for strides of 1 beside dilations, so an error is right as well; there is none, and a result of
another size. Upstream: https://github.com/tensorflow/tensorflow/issues/57128
"""

import sys

import tensorflow as tf

right = (1, (9 - 7) // 2 + 1, (9 - 7) // 2 + 1, 1)  # three taps, 3 apart, span 7
try:
    y = tf.nn.depthwise_conv2d(tf.ones((1, 9, 9, 1)), tf.ones((3, 3, 1, 1)), (1, 2, 2, 1), "VALID", dilations=(3, 3))
except (ValueError, tf.errors.OpError) as error:
    print("refused, which is right:", type(error).__name__)
    sys.exit(0)
print(f"shape {tuple(y.shape)}, right {right}")
sys.exit(tuple(y.shape) != right)
