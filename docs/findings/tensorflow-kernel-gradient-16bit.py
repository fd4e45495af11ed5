"""TensorFlow 2.21.0, CPU, any processor: with padding as a list, 16-bit kernel gradients are summed in 16 bits.

The same padding as the word "SAME" takes another way, which is right. 10 000 ones; 9984 is the nearest bfloat16.
In float16 ones hide it and numbers of one sign between 0.5 and 1.5 show it. Upstream: no report found.
"""

import sys

import tensorflow as tf

right, seen = 9984, {}
x, w = tf.ones((4, 50, 50, 1), tf.bfloat16), tf.ones((3, 3, 1, 1), tf.bfloat16)
for padding in ("SAME", [[0, 0], [1, 1], [1, 1], [0, 0]]):
    with tf.GradientTape() as tape:
        tape.watch(w)
        y = tf.nn.conv2d(x, w, 1, padding)
    seen[str(padding)] = float(tape.gradient(y, w)[1, 1, 0, 0])
print(f"the middle tap {seen}, right {right}")
sys.exit(any(value != right for value in seen.values()))
