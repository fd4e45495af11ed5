"""TensorFlow 2.21.0, CPU, any processor: conv3d "SAME" is shifted where the stride exceeds the kernel, in float64.

The padding of "SAME" is max((outputs - 1) stride + kernel - size, 0) = 0, so the one window begins at the first
element; here it begins at (stride - kernel) // 2. float32 does so too with TF_ENABLE_ONEDNN_OPTS=0. The gradients are
right, so that they are not those of the forward pass.
Upstream, of conv2d, where it is mended: https://github.com/tensorflow/tensorflow/issues/14601
"""

import sys

import numpy as np
import tensorflow as tf

x = np.array([1.0, 2.0, 3.0])
right = x[0]
seen = tf.nn.conv3d(x.reshape(1, 3, 1, 1, 1), np.ones((1, 1, 1, 1, 1)), (1, 3, 1, 1, 1), "SAME").numpy().item()
print(f"{seen}, right {right}")
sys.exit(bool(seen != right))
