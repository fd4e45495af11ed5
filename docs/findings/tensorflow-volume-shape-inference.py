"""TensorFlow 2.21.0, any processor: in a function, the shape inference of conv3d exchanges the dilations of two axes.

ValueError "Negative dimension size" for sizes that are right, and that eager computes. Upstream: no report found.
"""

import sys

import tensorflow as tf


@tf.function
def correlation(x: tf.Tensor) -> tf.Tensor:
    """Three taps along the last axis, side by side; the dilation is that of the middle axis, which has one tap."""
    return tf.nn.conv3d(x, tf.ones((1, 1, 3, 1, 1)), [1] * 5, "VALID", dilations=[1, 1, 3, 1, 1])


try:
    shape = tuple(correlation(tf.ones((1, 3, 7, 5, 1))).shape)
except ValueError as error:
    print(f"{str(error).splitlines()[-1][:90]}…, right (1, 3, 7, 3, 1)")
    sys.exit(1)
sys.exit(shape != (1, 3, 7, 3, 1))
