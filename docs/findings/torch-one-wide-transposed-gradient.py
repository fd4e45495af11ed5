"""PyTorch 2.13.0, CPU with AMX: a bfloat16 input gradient is wrong or unwritten where a transposed image is one wide.

That gradient is a correlation whose output is one wide, so it is torch-one-wide-bfloat16.py from the other side. With
an output gradient of ones each pixel counts the outputs that it reached: for its row i and tap a, those with
``0 <= i + 2 a - 1 < height`` and ``0 <= 3 b - 1 < width``.
Upstream: https://github.com/pytorch/pytorch/issues/169688
"""

import os
import sys

import numpy as np
import torch

DIRTY = "glibc.malloc.perturb=129:glibc.malloc.tcache_count=0:glibc.malloc.mmap_threshold=1073741824"
if os.environ.get("GLIBC_TUNABLES") != DIRTY:  # so that memory nobody writes is not zero by chance
    os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, "GLIBC_TUNABLES": DIRTY})
x = torch.ones(1, 1, 6, 1, dtype=torch.bfloat16, requires_grad=True)
w, b = torch.ones(1, 1, 2, 5, dtype=torch.bfloat16), torch.ones(1, dtype=torch.bfloat16)
y = torch.nn.functional.conv_transpose2d(x, w, b, stride=(1, 2), padding=1, dilation=(2, 3))
height, width = y.shape[2:]
columns = sum(0 <= 3 * tap - 1 < width for tap in range(5))
right = np.array([columns * sum(0 <= row + 2 * tap - 1 < height for tap in range(2)) for row in range(6)])
seen = torch.autograd.grad(y, x, torch.ones_like(y))[0].float().numpy().ravel()
print(f"{seen}, right {right}")
sys.exit(not np.array_equal(seen, right))
