"""TensorFlow 2.21.0, CPU with AVX512 and oneDNN: a compiled correlation of one pixel with a bias ends the process.

SIGSEGV where the padding is a list and a whole column of the output sees padding only: the two operators are fused.
Eager is right. Upstream: no report found.
"""

import sys

import numpy as np
import tensorflow as tf


def layer(x: tf.Tensor, w: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    """A correlation with padding after the rows and the columns, and its bias."""
    return tf.nn.bias_add(tf.nn.conv2d(x, w, 1, [[0, 0], [0, 1], [0, 2], [0, 0]]), b)


print("right: [[2, 1]]; a dead process is the defect", flush=True)
seen = tf.function(layer)(tf.ones((1, 1, 1, 1)), tf.ones((2, 2, 1, 2)), tf.ones((2,))).numpy()
sys.exit(not np.array_equal(seen[0, ..., 0], [[2, 1]]))
