"""MXNet 1.9.1, CPU, any processor: float64 Deconvolution is wrong where one axis has both a stride and a dilation.

Pixels go to 0 and 2, taps 2 apart: [1 0 2 0 1]. float32 and all gradients are right.
Upstream: https://github.com/apache/mxnet/issues/11203 and https://github.com/apache/mxnet/issues/13876
"""

import sys

import mxnet
import numpy as np

right = np.zeros(5)
for pixel in range(2):
    for tap in range(2):
        right[2 * pixel + 2 * tap] += 1
x, w = mxnet.nd.ones((1, 1, 2), dtype="float64"), mxnet.nd.ones((1, 1, 2), dtype="float64")
y = mxnet.nd.Deconvolution(x, w, kernel=(2,), stride=(2,), dilate=(2,), num_filter=1, no_bias=True)
print(f"{y.asnumpy().ravel()}, right {right}")
sys.exit(not np.array_equal(y.asnumpy().ravel(), right))
