"""PyTorch 2.13.0, CPU with AMX: bfloat16 outputs one wide are wrong or unwritten under a stride along that axis.

Two and three axes, any batch, NCHW and channels_last, with groups or without, while channels are few.
Upstream: https://github.com/pytorch/pytorch/issues/169688
"""

import sys

import numpy as np
import torch

right = np.full((3, 2, 6, 1), 7.0)
x, w = torch.ones(3, 1, 6, 7, dtype=torch.bfloat16), torch.ones(2, 1, 1, 7, dtype=torch.bfloat16)
seen = torch.nn.functional.conv2d(x, w, stride=(1, 2)).float().numpy()
print(f"{(seen != right).sum()} of {right.size} wrong: {seen[0, 0].ravel()}, right 7 everywhere")
sys.exit(not np.array_equal(seen, right))
