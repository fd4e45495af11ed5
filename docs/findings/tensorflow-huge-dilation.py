"""TensorFlow 2.21.0, CPU with oneDNN, any processor: a dilation of 2^31 ends the process (SIGABRT).

Three taps 2^31 apart span more than any image; an error is right, and is what float64 gives. Upstream: no report found.
"""

import sys

import tensorflow as tf

print("right: an error; a dead process is the defect", flush=True)
try:
    tf.nn.conv2d(tf.ones((1, 4, 4, 2)), tf.ones((3, 3, 2, 3)), 1, "VALID", dilations=(2**31, 1))
except (ValueError, tf.errors.OpError):
    sys.exit(0)
sys.exit(1)
