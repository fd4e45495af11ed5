"""TensorFlow 2.21.0, CPU, any processor: conv2d_transpose with a wrong output_shape ends the process (SIGABRT).

The output_shape has three numbers where four belong; an error is right. Upstream: https://github.com/tensorflow/tensorflow/issues/125511
"""

import sys

import tensorflow as tf

print("right: an error; a dead process is the defect", flush=True)
try:
    tf.nn.conv2d_transpose(tf.ones((1, 4, 4, 2)), tf.ones((3, 3, 2, 2)), (1, 8, 8), (1, 2, 2, 1), "SAME")
except (ValueError, tf.errors.OpError):
    sys.exit(0)
sys.exit(1)
