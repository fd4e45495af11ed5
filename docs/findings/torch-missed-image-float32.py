"""PyTorch 2.13.0, CPU, AVX2 and up: the process dies (SIGSEGV) where every window misses the image.

Needs channels_last, two or more examples, dilation and a bias. The padded row is [0, pixel, 0]; the windows look at
its ends, so that every output is its bias.
Upstream: https://github.com/pytorch/pytorch/issues/195394 and https://github.com/uxlfoundation/oneDNN/issues/5942
"""

import sys

import numpy as np
import torch

right = np.ones((2, 4, 3, 2), np.float32)
print("right: the bias everywhere; a dead process is the defect", flush=True)
x = torch.ones(2, 16, 3, 1).contiguous(memory_format=torch.channels_last)
w, b = torch.ones(4, 16, 1, 1), torch.ones(4)
seen = torch.nn.functional.conv2d(x, w, b, stride=(1, 2), padding=(0, 1), dilation=(1, 2)).numpy()
sys.exit(not np.array_equal(seen, right))
