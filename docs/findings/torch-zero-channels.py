"""PyTorch 2.13.0, CPU, any processor: an image without channels gives a result without channels, and the bias is lost.

An empty sum is 0, so every output is its bias. conv1d, conv2d, nn.Conv2d, the meta device, torch.compile and every
dtype do the same; the bias gradient is 0 instead of the sum of the output gradient.
Upstream: https://github.com/pytorch/pytorch/issues/101356 and https://github.com/pytorch/pytorch/issues/56998
"""

import sys

import numpy as np
import torch

bias = np.array([1, 2, 3], np.float32)
right = np.broadcast_to(bias[:, None, None], (2, 3, 2, 2))
x, w = torch.ones(2, 0, 4, 4), torch.ones(3, 0, 3, 3)
seen = torch.nn.functional.conv2d(x, w, torch.from_numpy(bias)).numpy()
print(f"shape {seen.shape}, right {right.shape} filled with the bias")
sys.exit(not np.array_equal(seen, right))
