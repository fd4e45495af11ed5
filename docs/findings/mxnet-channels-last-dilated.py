"""MXNet 1.9.1, CPU with oneDNN, any processor: float32 ``layout="NHWC"`` with a dilation is silently wrong.

The layout is for GPUs by its documentation, and most shapes give an error here, which is right; where the number of
filters equals the height, the arrays are read as if they were NCHW. Upstream: no report found.
"""

import sys

import mxnet
import numpy as np

x, w = np.arange(1.0, 4.0), np.arange(1.0, 28.0).reshape(3, 3, 3)  # the image's one column; filter, row, column
right = np.zeros((3, 3))  # row, filter: padding and dilation 2 leave the taps 2 apart, centred
for row, filters, tap in np.ndindex(3, 3, 3):
    if 0 <= row + 2 * tap - 2 < 3:
        right[row, filters] += x[row + 2 * tap - 2] * w[filters, tap, 1]
options = {"kernel": (3, 3), "dilate": (2, 1), "pad": (2, 1), "num_filter": 3, "no_bias": True, "layout": "NHWC"}
image, kernel = mxnet.nd.array(x.reshape(1, 3, 1, 1)), mxnet.nd.array(w[..., None])
try:
    seen = mxnet.nd.Convolution(image, kernel, **options).asnumpy()
except mxnet.MXNetError:
    print("refused, which is right")
    sys.exit(0)
print(f"{seen.ravel()}, right {right.ravel()}")
sys.exit(not np.array_equal(seen.reshape(3, 3), right))
