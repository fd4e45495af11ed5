"""How much work a call is: floating-point operations and the bytes that must move at least.

Both conventions of the field are told: products with padding counted and not (research/timing.md 1a, DeepBench).
A product and the addition of it are two operations.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, NamedTuple

from crosscorrect.geometry import Geometry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crosscorrect.ask import Call


class Work(NamedTuple):
    """Operations that touch no padding, all of them, and compulsory bytes: each array in and out, once."""

    flops: int
    padded: int
    bytes: int


def of(call: Call) -> Work | None:
    """The work of a call; None of one that is no fixed amount of it."""
    shapes = {name: array.shape for name, array in call.arrays.items()}
    size = max(array.itemsize for array in call.arrays.values())
    moved = sum(array.nbytes for array in call.arrays.values())
    if call.verb == "matmul":
        (m, k), (_, n) = shapes["a"], shapes["b"]
        return Work(2 * m * n * k, 2 * m * n * k, moved + m * n * size)
    if call.verb not in ("corr2d", "layer", "conv2d", "grads"):
        return None
    x, w, geometry = shapes["x"], shapes["w"], Geometry()
    if "geometry" in call.settings:
        geometry = Geometry.from_json(call.settings["geometry"])
    else:
        x, w = (1, 1, *x), (1, 1, *w)
    out = geometry.output_shape(x, w)
    inner, padded = _products(x, w, out, geometry, real=True), _products(x, w, out, geometry, real=False)
    if call.verb == "grads":  # of the input and of the kernel, each as many products as the forward pass
        results = prod(x) + prod(w) + prod(shapes.get("b", (0,)))
        return Work(4 * inner, 4 * padded, moved + results * size)
    return Work(2 * inner, 2 * padded, moved + prod(out) * size)


def _products(x: Sequence[int], w: Sequence[int], out: Sequence[int], geometry: Geometry, *, real: bool) -> int:
    """Products of an image's and a kernel's elements; ``real``: without those with padding, or taken off the output."""
    # transposed, the image's elements step over the output; either way an element of ``small`` meets each tap
    small, large = (x, out) if geometry.transposed else (out, x)
    total = x[0] * prod(w[:2])
    pads = geometry.pads(x[2:], w[2:])
    for axis, (taps, step, gap) in enumerate(zip(w[2:], geometry.stride, geometry.dilation, strict=True)):
        places, size, begin = small[2 + axis], large[2 + axis], pads[axis][0]
        if not real:
            total *= places * taps
            continue
        inside = 0
        for tap in range(taps):  # places p with 0 <= p * step + tap * gap - begin < size
            first = max(0, -((tap * gap - begin) // step))
            last = min(places - 1, (size - 1 + begin - tap * gap) // step)
            inside += max(0, last - first + 1)
        total *= inside
    return total
