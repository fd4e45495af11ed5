"""PyTorch 2.13.0, CPU, any processor: the kernel gradient of a strided 1x1 correlation in channels_last breaks memory.

Fewer than 16 input channels: it writes beyond a buffer, and the process dies (SIGSEGV, SIGABRT)
within some calls, or hangs (AVX2).
Upstream: https://github.com/uxlfoundation/oneDNN/issues/6035
"""

import sys

import numpy as np
import torch

x = torch.ones(32, 4, 64, 64).contiguous(memory_format=torch.channels_last)
w = torch.ones(8, 4, 1, 1, requires_grad=True)
right = np.full((8, 4, 1, 1), 32 * 32 * 32)
print(f"right: {right.flat[0]} at each element, 40 times; a dead process is the defect", flush=True)
wrong = 0
for _ in range(40):
    y = torch.nn.functional.conv2d(x, w, stride=2)
    wrong += not np.array_equal(torch.autograd.grad(y, w, torch.ones_like(y))[0].numpy(), right)
sys.exit(bool(wrong))
