"""TensorFlow 2.21.0, CPU with AMX and oneDNN: a bfloat16 correlation in two groups ends the process (SIGSEGV).

"SAME" pads four rows before the one of the image, so that the taps at -4, -1, 2 and 5 all miss it.
Upstream, of the same kind: https://github.com/pytorch/pytorch/issues/195394
"""

import sys

import numpy as np
import tensorflow as tf

x, w = tf.ones((1, 1, 7, 6), tf.bfloat16), tf.ones((4, 4, 3, 6), tf.bfloat16)
right = np.zeros((1, 1, 7, 6))
print("right: zeros; a dead process is the defect", flush=True)
seen = tf.cast(tf.nn.conv2d(x, w, 1, "SAME", dilations=(3, 1)), tf.float32).numpy()
sys.exit(not np.array_equal(seen, right))
