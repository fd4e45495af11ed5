"""TensorFlow 2.21.0, CPU, any processor: depthwise, padding as a list: 16-bit kernel gradients are summed in 16 bits.

10 000 ones; 9984 is the nearest bfloat16. The same padding as the word "SAME" is right. Upstream: no report found.
"""

import sys

import tensorflow as tf

seen = {}
for dtype, right in ((tf.bfloat16, 9984), (tf.float16, 10000)):
    x, w = tf.ones((4, 50, 50, 2), dtype), tf.ones((3, 3, 2, 2), dtype)
    with tf.GradientTape() as tape:
        tape.watch(w)
        y = tf.nn.depthwise_conv2d(x, w, (1, 1, 1, 1), [[0, 0], [1, 1], [1, 1], [0, 0]])
    seen[dtype.name] = float(tape.gradient(y, w)[1, 1, 0, 0]), right
print(f"the middle tap, seen and right: {seen}")
sys.exit(any(value != right for value, right in seen.values()))
