"""Geometries of every kind with shapes that fit them (a Hypothesis strategy), and numbers that are hard to add."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from hypothesis import strategies as st

from crosscorrect.geometry import Geometry

Array: TypeAlias = np.ndarray[Any, Any]
Shape: TypeAlias = tuple[int, ...]


@st.composite
def geometries(draw: st.DrawFn) -> tuple[Geometry, Shape, Shape]:
    """A geometry of any kind with shapes that fit it: (geometry, x shape, w shape).

    One to three axes, strides and dilations to 3, padding by words or counts, uneven and negative ones too, groups,
    depthwise kernels with a multiplier, transposed with output padding.
    """
    rank = draw(st.integers(1, 3))
    top = {1: 9, 2: 5, 3: 3}[rank]

    def axes(low: int, high: int) -> Shape:
        return draw(st.tuples(*[st.integers(low, high)] * rank))

    groups, transposed = draw(st.integers(1, 3)), draw(st.booleans())
    ins, outs = draw(st.integers(1, 2)), draw(st.integers(1, 2))
    kernel = axes(1, 3 if rank < 3 else 2)
    words = ["valid"] if transposed else ["valid", "same_upper", "same_lower"]
    counts = st.tuples(*[st.tuples(st.integers(-1, 2), st.integers(-1, 2))] * rank)
    stride, dilation = axes(1, 3), axes(1, 3)
    extra = tuple(draw(st.integers(0, max(s, d) - 1)) for s, d in zip(stride, dilation, strict=True))
    geometry = Geometry(
        stride,
        draw(st.sampled_from(words) | counts),
        dilation,
        groups,
        transposed,
        extra if transposed else (0,) * rank,
    )
    x = (draw(st.integers(1, 2)), groups * ins, *axes(1, top))
    w = (groups * ins, outs, *kernel) if transposed else (groups * outs, ins, *kernel)
    if min(geometry.output_size(x[2:], kernel)) < 1:  # enlarge until the kernel fits
        x = (*x[:2], *(size + 9 for size in x[2:])) if rank < 3 else (1, groups * ins, *(size + 6 for size in x[2:]))
    return geometry, x, w


def integers(rng: np.random.Generator, shape: Shape) -> Array:
    """Small ones."""
    return rng.integers(-4, 5, shape)


def wild(rng: np.random.Generator, shape: Shape, decades: float = 8.0) -> Array:
    """Normal numbers times powers of ten to either side: sums that cancel, next to sums that do not."""
    return rng.standard_normal(shape) * 10.0 ** rng.uniform(-decades, decades, shape)
