"""TensorFlow 2.21.0, CPU with AVX512 and oneDNN: float32 conv2d is wrong where the output is one wide.

One input channel, two or more examples and output rows, a kernel and a stride of two or more along that axis: rows are
read at a wrong pitch and the last is not written. TF_ENABLE_ONEDNN_OPTS=0 is right; so is AVX2.
Upstream, of bfloat16 in PyTorch: https://github.com/pytorch/pytorch/issues/169688
"""

import sys

import numpy as np
import tensorflow as tf

x, w = np.arange(1, 13, dtype=np.float32).reshape(2, 2, 3, 1), np.array([1, 2], np.float32).reshape(1, 2, 1, 1)
right = x[:, :, 0, 0] + 2 * x[:, :, 1, 0]
seen = tf.nn.conv2d(x, w, (1, 2), "VALID").numpy().reshape(right.shape)
print(f"{seen.ravel()}, right {right.ravel()}")
sys.exit(not np.array_equal(seen, right))
