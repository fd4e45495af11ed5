"""MXNet 1.9.1, CPU with oneDNN, any processor: a float32 gradient of Deconvolution fails, and a later call with it.

16 or 32 input channels and one output channel per group: "could not create a primitive descriptor for a reorder
primitive"; oneDNN operators that ran before then fail too. Asking for the kernel gradient alone works. No report found.
"""

import sys

import mxnet
import numpy as np

x, w = mxnet.nd.ones((3, 16, 6)), mxnet.nd.ones((16, 1, 2))
x.attach_grad()
w.attach_grad()
options = {"kernel": (2,), "stride": (2,), "dilate": (2,), "pad": (2,), "num_filter": 2, "num_group": 2}
with mxnet.autograd.record():
    y = mxnet.nd.Deconvolution(x, w, no_bias=True, **options)
y.backward()
length = y.shape[2]
right = [3 * sum(0 <= 2 * pixel + 2 * tap - 2 < length for pixel in range(6)) for tap in range(2)]  # 3 examples
try:
    seen = w.grad.asnumpy()
except mxnet.MXNetError as error:
    print(f"{str(error).splitlines()[-1]}; right {right} for each channel")
    sys.exit(1)
sys.exit(not np.array_equal(seen, np.broadcast_to(right, (16, 1, 2))))
