"""MXNet 1.9.1, CPU, any processor: a dilation of 2^31 overflows, and a result of a wrong shape comes back.

Three taps 2^31 apart span more than any image; an error is right. Deconvolution, and in float64 a padding of 2^31,
do the like. Upstream: no report found.
"""

import sys

import mxnet

seen = []
for dtype in ("float32", "float64"):
    x, w = mxnet.nd.ones((1, 2, 4, 4), dtype=dtype), mxnet.nd.ones((3, 2, 3, 3), dtype=dtype)
    try:
        y = mxnet.nd.Convolution(x, w, kernel=(3, 3), dilate=(2**31, 1), num_filter=3, no_bias=True)
        seen.append((dtype, y.asnumpy().shape))
    except mxnet.MXNetError:
        pass
print(f"shapes {seen}, right an error for both")
sys.exit(bool(seen))
