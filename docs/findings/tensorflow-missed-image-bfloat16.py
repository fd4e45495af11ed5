"""TensorFlow 2.21.0, CPU with avx512_bf16 or AMX, and oneDNN: bfloat16 dies (SIGSEGV) where columns see padding only.

An image one wide with three columns of padding before it and two after, under a stride of two: only one of the three
output columns can meet it, and with padding 3 none does.
Upstream, of the same kind: https://github.com/pytorch/pytorch/issues/195394
"""

import sys

import numpy as np
import tensorflow as tf

x, w = tf.ones((1, 5, 1, 1), tf.bfloat16), tf.ones((3, 1, 1, 3), tf.bfloat16)
right = np.zeros((1, 9, 3, 3))  # columns 0, 2 and 4 of the padded image; the pixel is in column 3
print("right: zeros; a dead process is the defect", flush=True)
seen = tf.cast(tf.nn.conv2d(x, w, (1, 2), [[0, 0], [3, 3], [3, 2], [0, 0]]), tf.float32).numpy()
sys.exit(not np.array_equal(seen, right))
