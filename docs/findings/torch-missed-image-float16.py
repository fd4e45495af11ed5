"""PyTorch 2.13.0, CPU with avx512_fp16: float16 dies (SIGSEGV) where every window misses the image.

One example, one channel and no bias are enough. The padded row is [0, pixel, 0], the windows look at its ends: all 0.
Upstream: https://github.com/pytorch/pytorch/issues/195394 and https://github.com/uxlfoundation/oneDNN/issues/5942
"""

import sys

import numpy as np
import torch

right = np.zeros((1, 1, 2, 2))
print("right: zeros; a dead process is the defect", flush=True)
x, w = torch.ones(1, 1, 2, 1, dtype=torch.float16), torch.ones(1, 1, 1, 1, dtype=torch.float16)
seen = torch.nn.functional.conv2d(x, w, stride=(1, 2), padding=(0, 1), dilation=(1, 2)).numpy()
sys.exit(not np.array_equal(seen, right))
