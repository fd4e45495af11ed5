"""PyTorch 2.13.0, CPU with AMX: bfloat16 outputs of a transposed correlation that no tap reaches are not written.

The last plane exists by output_padding only, and every other column lies between strides: both are 0.
Upstream: neighbours of it are fixed in https://github.com/uxlfoundation/oneDNN/pull/5402
"""

import os
import sys

import numpy as np
import torch

DIRTY = "glibc.malloc.perturb=129:glibc.malloc.tcache_count=0:glibc.malloc.mmap_threshold=1073741824"
if os.environ.get("GLIBC_TUNABLES") != DIRTY:  # so that memory nobody writes is not zero by chance
    os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, "GLIBC_TUNABLES": DIRTY})
right = np.zeros((3, 17))
right[:2, ::2] = 1
x, w = torch.ones(1, 1, 1, 1, 9, dtype=torch.bfloat16), torch.ones(1, 1, 2, 1, 1, dtype=torch.bfloat16)
y = torch.nn.functional.conv_transpose3d(x, w, stride=(2, 1, 2), output_padding=(1, 0, 0))
seen = y.float().numpy().reshape(3, 17)
print(f"{(seen != right).sum()} of {right.size} wrong, last plane {seen[2, :4]}…, right 0")
sys.exit(not np.array_equal(seen, right))
