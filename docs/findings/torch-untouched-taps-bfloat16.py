"""PyTorch 2.13.0, CPU with AMX: the bfloat16 gradient of taps that never meet the image is not written.

The one window lies over [0, pixel]: the first tap sees padding only, its gradient is 0. What is returned there is what
lay in that memory. Needs a stride of two or more and padding. Upstream: no report found.
"""

import os
import sys

import numpy as np
import torch

DIRTY = "glibc.malloc.perturb=129:glibc.malloc.tcache_count=0:glibc.malloc.mmap_threshold=1073741824"
if os.environ.get("GLIBC_TUNABLES") != DIRTY:  # so that memory nobody writes is not zero by chance
    os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, "GLIBC_TUNABLES": DIRTY})
right = np.array([0.0, 1.0])
x, w = torch.ones(1, 1, 1, dtype=torch.bfloat16), torch.ones(1, 1, 2, dtype=torch.bfloat16, requires_grad=True)
y = torch.nn.functional.conv1d(x, w, stride=2, padding=1)
seen = torch.autograd.grad(y, w, torch.ones_like(y))[0].float().numpy().ravel()
print(f"{seen}, right {right}")
sys.exit(not np.array_equal(seen, right))
