"""PyTorch 2.13.0, CPU, any processor: 16-bit kernel gradients are summed over the batch in 16 bits.

4096 ones come out as 256 in bfloat16 and 2048 in float16, where one more 1 no longer changes the sum. This way is taken
where output_padding reaches the stride (legal below the dilation); the bias gradient beside it is right.
Upstream, of the bias gradient: https://github.com/pytorch/pytorch/issues/68048
"""

import sys

import torch

seen = {}
for dtype in (torch.bfloat16, torch.float16):
    x, w = torch.ones(4096, 1, 1, dtype=dtype), torch.ones(1, 1, 1, dtype=dtype, requires_grad=True)
    y = torch.nn.functional.conv_transpose1d(x, w, stride=1, dilation=2, output_padding=1)
    seen[str(dtype)] = torch.autograd.grad(y[..., 0].sum(), w)[0].item()
print(f"{seen}, right 4096 in both")
sys.exit(any(value != 4096 for value in seen.values()))
