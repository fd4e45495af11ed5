"""How much work a call is: counted against the definition, product by product."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st

from crosscorrect.ask import Call
from crosscorrect.geometry import Geometry
from crosscorrect.model import Direction
from crosscorrect.speed import work


def call(verb: str, geometry: Geometry, **shapes: tuple[int, ...]) -> Call:
    arrays = {name: np.ones(shape, np.float32) for name, shape in shapes.items()}
    return Call(verb, arrays, {"geometry": geometry.to_json()}, {"output": Direction.FORWARD})


def counted(x: tuple[int, ...], w: tuple[int, ...], geometry: Geometry) -> tuple[int, int]:
    """Products inside the image, and all of them, by walking through each."""
    out, pads = geometry.output_shape(x, w), geometry.pads(x[2:], w[2:])
    small, large = (x, out) if geometry.transposed else (out, x)
    inside = everything = 0
    for place in itertools.product(*map(range, small[2:])):
        for tap in itertools.product(*map(range, w[2:])):
            met = [
                p * s + t * d - begin
                for p, s, t, d, (begin, _) in zip(place, geometry.stride, tap, geometry.dilation, pads, strict=True)
            ]
            everything += 1
            inside += all(0 <= m < n for m, n in zip(met, large[2:], strict=True))
    return inside * x[0] * w[0] * w[1], everything * x[0] * w[0] * w[1]


@st.composite
def convolutions(draw: Any) -> tuple[tuple[int, ...], tuple[int, ...], Geometry]:
    few = st.integers(1, 3)
    kernel = (draw(few), draw(few))
    transposed = draw(st.booleans())
    pads = tuple((draw(st.integers(0, k)), draw(st.integers(0, k))) for k in kernel)
    geometry = Geometry(
        stride=(draw(few), draw(few)), padding=pads, dilation=(draw(few), draw(few)), transposed=transposed
    )
    image = tuple(draw(st.integers(span, span + 5)) for span in geometry.spans(kernel))
    x, w = (draw(few), 2, *image), ((2, 3) if transposed else (3, 2)) + kernel
    return x, w, geometry


@given(convolutions())
def test_the_products_are_those_that_the_definition_has(found: Any) -> None:
    x, w, geometry = found
    inside, everything = counted(x, w, geometry)
    told = work.of(call("conv2d", geometry, x=x, w=w))
    assert told is not None
    assert (told.flops, told.padded) == (2 * inside, 2 * everything)
    assert told.bytes == 4 * (np.prod(x) + np.prod(w) + np.prod(geometry.output_shape(x, w)))


def test_gradients_are_twice_the_work_and_move_as_much_again() -> None:
    x, w = (2, 3, 8, 7), (4, 3, 3, 2)
    geometry = Geometry()
    dy = geometry.output_shape(x, w)
    forward, backward = (work.of(call(v, geometry, x=x, w=w, dy=dy)) for v in ("conv2d", "grads"))
    assert forward is not None
    assert backward is not None
    assert backward.flops == 2 * forward.flops
    assert backward.bytes == 4 * (2 * np.prod(x) + 2 * np.prod(w) + np.prod(dy))


def test_groups_have_only_their_own_channels() -> None:
    told = work.of(call("conv2d", Geometry(groups=4), x=(1, 4, 5, 5), w=(8, 1, 2, 2)))
    assert told is not None
    assert told.flops == 2 * 8 * 4 * 4 * 4


@pytest.mark.parametrize("verb", ["corr2d", "layer"])
def test_the_chapters_loop_is_one_channel(verb: str) -> None:
    arrays = {"x": np.ones((5, 6), np.float32), "w": np.ones((2, 3), np.float32)}
    assert work.of(Call(verb, arrays, {}, {})) == (2 * 16 * 6, 2 * 16 * 6, 4 * (30 + 6 + 16))


def test_a_training_is_no_fixed_amount() -> None:
    assert work.of(Call("train", {"x": np.ones((1, 1, 3, 3))}, {}, {})) is None
