"""TensorFlow 2.21.0, CPU, any processor: with padding as a list, 16-bit input gradients are summed in 16 bits.

The middle pixel of 61 by 61 meets all 31 by 31 taps of ones: 961, of which 960 is the nearest bfloat16. The same
padding as the word "SAME" takes another way, which is right. Upstream: no report found.
"""

import sys

import tensorflow as tf

right, seen = 960, {}
x, w = tf.ones((1, 61, 61, 1), tf.bfloat16), tf.ones((31, 31, 1, 1), tf.bfloat16)
for padding in ("SAME", [[0, 0], [15, 15], [15, 15], [0, 0]]):
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.nn.conv2d(x, w, 1, padding)
    seen[str(padding)] = float(tape.gradient(y, x)[0, 30, 30, 0])
print(f"the middle pixel {seen}, right {right}")
sys.exit(any(value != right for value in seen.values()))
