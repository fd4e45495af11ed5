"""TensorFlow 2.21.0, CPU, any processor: the bfloat16 bias gradient is summed in bfloat16.

10 000 ones come out as 256, where one more 1 no longer changes the sum; 9984 is the nearest bfloat16. The same eager
and in functions, with oneDNN and without; XLA and float16 are right.
Upstream, of PyTorch, where it is mended: https://github.com/pytorch/pytorch/issues/68048
"""

import sys

import tensorflow as tf

right = 9984
b, image = tf.zeros((1,), tf.bfloat16), tf.ones((4, 50, 50, 1), tf.bfloat16)
with tf.GradientTape() as tape:
    tape.watch(b)
    y = tf.nn.bias_add(tf.nn.conv2d(image, tf.ones((1, 1, 1, 1), tf.bfloat16), 1, "VALID"), b)
seen = float(tape.gradient(y, b)[0])
print(f"{seen}, right {right}")
sys.exit(seen != right)
