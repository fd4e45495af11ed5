"""PyTorch 2.13.0, CPU, any processor: without oneDNN, 16-bit kernel gradients are summed over the batch in 16 bits.

4096 ones come out as 256 in bfloat16 and 2048 in float16. The same kernels serve processors on which oneDNN has none
for float16. The input gradient and the transposed forward of these kernels add their taps in 16 bits too.
Upstream, of the bias gradient: https://github.com/pytorch/pytorch/issues/68048
"""

import sys

import torch

seen = {}
for dtype in (torch.bfloat16, torch.float16):
    x, w = torch.ones(4096, 1, 3, 3, dtype=dtype), torch.ones(1, 1, 3, 3, dtype=dtype, requires_grad=True)
    with torch.backends.mkldnn.flags(enabled=False):
        y = torch.nn.functional.conv2d(x, w)
        gradient = torch.autograd.grad(y, w, torch.ones_like(y))[0]
    seen[str(dtype)] = sorted(set(gradient.flatten().tolist()))
print(f"{seen}, right 4096 at each tap")
sys.exit(any(values != [4096] for values in seen.values()))
