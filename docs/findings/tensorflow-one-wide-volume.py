"""TensorFlow 2.21.0, CPU with AVX512 and oneDNN: float32 conv3d is wrong where the output is one wide.

The same as tensorflow-one-wide-float32.py with three axes, where one example is enough.
Upstream, of bfloat16 in PyTorch: https://github.com/pytorch/pytorch/issues/169688
"""

import sys

import numpy as np
import tensorflow as tf

x = np.arange(108, dtype=np.float32).reshape(3, 3, 6, 2, 1)
right = (x[:, ::2, :5] + x[:, ::2, 1:]).sum(3, keepdims=True)
seen = tf.nn.conv3d(x, tf.ones((1, 2, 2, 1, 1)), (1, 2, 1, 3, 1), "VALID").numpy()
print(f"{(seen != right).sum()} of {right.size} wrong, right none")
sys.exit(not np.array_equal(seen, right))
