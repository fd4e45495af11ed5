"""PyTorch 2.13.0, CPU, any processor: a dilation near 2^63 overflows, and a result of a small wrong shape comes back.

Three taps 2^62 apart span more than any image; an error is right, and is what 2^31 and 2^32 give.
Upstream, of the same kind: https://github.com/pytorch/pytorch/issues/143480
"""

import sys

import torch

seen = []
for dilation in (2**62, 2**63 - 1):
    try:
        y = torch.nn.functional.conv2d(torch.ones(1, 2, 4, 4), torch.ones(3, 2, 3, 3), dilation=dilation)
    except RuntimeError:
        continue
    seen.append((dilation, tuple(y.shape)))
print(f"shapes {seen}, right an error for both")
sys.exit(bool(seen))
