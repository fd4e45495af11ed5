"""TensorFlow 2.21.0, CPU with oneDNN, any processor: conv2d of an array with three axes ends the process (SIGABRT).

An error is right, and is what float64 gives.
Upstream: https://github.com/tensorflow/tensorflow/issues/95415
"""

import sys

import tensorflow as tf

print("right: an error; a dead process is the defect", flush=True)
try:
    tf.nn.conv2d(tf.ones((2, 2, 5)), tf.ones((3, 3, 2, 4)), 1, "VALID")
except (ValueError, tf.errors.OpError):
    sys.exit(0)
sys.exit(1)
