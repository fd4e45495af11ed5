"""The chapter's double loop and its custom layer in PyTorch's tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Callable


def corr2d(x: Any, k: Any) -> Any:
    """Run the chapter's double loop: ``(H, W), (h, w) -> (H-h+1, W-w+1)`` in the dtype of ``x``."""
    h, w = k.shape
    y = x.new_zeros(x.shape[0] - h + 1, x.shape[1] - w + 1)
    for i in range(y.shape[0]):
        for j in range(y.shape[1]):
            y[i, j] = (x[i : i + h, j : j + w] * k).sum()
    return y


def stacked(x: Any, k: Any) -> Any:
    """Run the same loop, its elements collected and stacked instead of assigned."""
    h, w = k.shape
    rows, columns = x.shape[0] - h + 1, x.shape[1] - w + 1
    elements = [(x[i : i + h, j : j + w] * k).sum() for i in range(rows) for j in range(columns)]
    return torch.stack(elements).reshape(rows, columns).to(x.dtype)


# PyTorch users update an element as the chapter does, so the idiom is the literal loop
LOOPS = {"literal": corr2d, "idiomatic": corr2d, "stacked": stacked}

UNROLLED = 64  # elements; torch.compile's time for nested assignments grows faster than their number: 42 take 11 s


def compilable(x: Any, k: Any) -> Callable[[Any, Any], Any]:
    """Choose the form of the loop whose compilation ends: the literal one for small outputs, else the stacked one."""
    elements = (x.shape[0] - k.shape[0] + 1) * (x.shape[1] - k.shape[1] + 1)
    return corr2d if elements <= UNROLLED else stacked


class Conv2D(torch.nn.Module):
    """The chapter's custom layer: ``loop`` with a trainable kernel, plus a trainable scalar bias."""

    def __init__(self, kernel_size: tuple[int, int], loop: Callable[[Any, Any], Any] = corr2d) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.rand(kernel_size))
        self.bias = torch.nn.Parameter(torch.zeros(1))
        self.loop = loop

    def forward(self, x: Any) -> Any:
        """Correlate ``(H, W)`` with the weight and add the bias."""
        return self.loop(x, self.weight) + self.bias
