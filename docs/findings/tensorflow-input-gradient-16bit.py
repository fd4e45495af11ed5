"""TensorFlow 2.21.0, CPU, any processor: with padding as a list, 16-bit input gradients are summed in 16 bits.

A pixel in the middle has 9 taps of 512 outputs, 4608 products, all of one sign. A sum in float32 that is rounded once
is off by at most half a unit in the last place; a few are allowed here. Upstream: no report found.
"""

import sys

import numpy as np
import tensorflow as tf

kernel = np.random.default_rng(1).uniform(0.5, 1.5, (3, 3, 1, 512))
w = tf.cast(kernel, tf.bfloat16)
right = tf.cast(w, tf.float64).numpy().sum()
x, seen = tf.ones((1, 5, 5, 1), tf.bfloat16), {}
for padding in ("SAME", [[0, 0], [1, 1], [1, 1], [0, 0]]):
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.nn.conv2d(x, w, 1, padding)
    seen[str(padding)] = float(tape.gradient(y, x)[0, 2, 2, 0])
print(f"the middle pixel {seen}, right {right:.1f}")
sys.exit(any(bool(abs(value - right) > 2 * 2.0**-8 * right) for value in seen.values()))
