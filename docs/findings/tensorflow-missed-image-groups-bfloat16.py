"""TensorFlow 2.21.0, CPU with AMX and oneDNN: a bfloat16 correlation in two groups ends the process (SIGSEGV).

An image one high under a kernel of four dilated rows: most taps see padding only.
Upstream, of the same kind: https://github.com/pytorch/pytorch/issues/195394
"""

import sys

import numpy as np
import tensorflow as tf

x, w = tf.ones((1, 1, 7, 6), tf.bfloat16), tf.ones((4, 4, 3, 6), tf.bfloat16)
columns = [sum(0 <= column + tap - 1 < 7 for tap in range(4)) for column in range(7)]
right = np.array(columns)[:, None] * np.full(6, 3)  # one row of taps meets the image, in three channels
print("right: 3, 6, 9 or 12; a dead process is the defect", flush=True)
seen = tf.cast(tf.nn.conv2d(x, w, 1, "SAME", dilations=(3, 1)), tf.float32).numpy()
sys.exit(not np.array_equal(seen[0, 0], right))
