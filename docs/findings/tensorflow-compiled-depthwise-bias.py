"""TensorFlow 2.21.0, CPU with oneDNN, any processor: a compiled depthwise correlation with a bias ends the process.

SIGABRT ("Check failed" in tensor_format.h) where padding is a list: the two operators are fused. Eager is right.
Upstream: no report found.
"""

import sys

import numpy as np
import tensorflow as tf


def layer(x: tf.Tensor, w: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    """A depthwise correlation with padding before the rows and after the columns, and its bias."""
    return tf.nn.bias_add(tf.nn.depthwise_conv2d(x, w, (1, 1, 1, 1), [[0, 0], [1, 0], [0, 1], [0, 0]]), b)


print("right: what eager gives; a dead process is the defect", flush=True)
operands = tf.ones((1, 3, 3, 2)), tf.ones((2, 2, 2, 1)), tf.ones((2,))
padded = np.pad(np.ones((3, 3)), ((1, 0), (0, 1)))
right = 1 + padded[:-1, :-1] + padded[:-1, 1:] + padded[1:, :-1] + padded[1:, 1:]
sys.exit(not np.array_equal(tf.function(layer)(*operands).numpy()[0, ..., 1], right))
