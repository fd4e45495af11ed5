"""PyTorch 2.13.0, CPU with avx512_bf16 or AMX: bfloat16 dies (SIGSEGV) where every window misses the image.

In channels_last; one example and one channel are enough. The windows look at the ends of [0, pixel, 0]: all 0.
Upstream: https://github.com/pytorch/pytorch/issues/195394 and https://github.com/uxlfoundation/oneDNN/issues/5942
"""

import sys

import numpy as np
import torch

right = np.zeros((1, 1, 3, 2))
print("right: zeros; a dead process is the defect", flush=True)
x = torch.ones(1, 1, 3, 1, dtype=torch.bfloat16).to(memory_format=torch.channels_last)
w = torch.ones(1, 1, 1, 1, dtype=torch.bfloat16)
seen = torch.nn.functional.conv2d(x, w, stride=(1, 2), padding=(0, 1), dilation=(1, 2)).float().numpy()
sys.exit(not np.array_equal(seen, right))
