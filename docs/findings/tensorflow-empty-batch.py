"""TensorFlow 2.21.0, CPU with oneDNN, any processor: without examples the result has the shape of the images.

Likewise an image without rows under "SAME". float64, integers, XLA are right.
Upstream, an older one of it: https://github.com/tensorflow/tensorflow/issues/238
"""

import sys

import tensorflow as tf

w = tf.ones((3, 3, 2, 4))
batch = tuple(tf.nn.conv2d(tf.ones((0, 5, 5, 2)), w, 1, "VALID").shape)
image = tuple(tf.nn.conv2d(tf.ones((2, 0, 5, 2)), w, 1, "SAME").shape)
print(f"no examples {batch}, right (0, 3, 3, 4); no rows {image}, right (2, 0, 5, 4)")
sys.exit((batch, image) != ((0, 3, 3, 4), (2, 0, 5, 4)))
