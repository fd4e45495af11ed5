"""MXNet 1.9.1, CPU, any processor: ``num_group=0`` ends the process (SIGFPE, a division by zero).

Convolution and Deconvolution of one, two and three axes; an error is right.
Upstream: https://github.com/apache/mxnet/issues/19921
"""

import mxnet

x, w = mxnet.nd.ones((1, 2, 4, 4)), mxnet.nd.ones((4, 2, 3, 3))
print("right: an error; a dead process is the defect", flush=True)
try:
    mxnet.nd.Convolution(x, w, kernel=(3, 3), num_filter=4, num_group=0, no_bias=True).asnumpy()
except mxnet.MXNetError as error:
    raise SystemExit(0) from error
raise SystemExit(1)
