"""TensorFlow 2.21.0, CPU, any processor: the gradient ends the process where the kernel is larger than the image.

float64: the result is empty, which is right, and then SIGSEGV. The gradients are 0; an error is right as well.
Upstream, of float32: https://github.com/tensorflow/tensorflow/issues/57401
"""

import sys

import numpy as np
import tensorflow as tf

x, w = tf.ones((1, 2, 1), tf.float64), tf.ones((3, 1, 2), tf.float64)
print("right: gradients of 0, or an error; a dead process is the defect", flush=True)
try:
    with tf.GradientTape() as tape:
        tape.watch([x, w])
        y = tf.nn.conv1d(x, w, 3, "VALID")
    gradients = tape.gradient(y, [x, w])
except (ValueError, tf.errors.OpError):
    sys.exit(0)
sys.exit(any(bool(np.any(gradient.numpy())) for gradient in gradients))
