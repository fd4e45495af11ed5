"""The output written wrongly: layout, places, channels, batch, and what is not written at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from crosscorrect.catalogue.change import Change, Map, Setting
from crosscorrect.catalogue.entry import Register
from crosscorrect.catalogue.kernels import _misread_space, _only, _shift, _zeroed, spatial_orders

if TYPE_CHECKING:
    from collections.abc import Iterator

REGISTER = Register()
semantic = REGISTER.semantic


@semantic("output-written-as-nhwc", "the output is written to memory in the layout NHWC")
def output_nhwc(s: Setting) -> Iterator[Change]:
    yield s.change(result=lambda y: np.moveaxis(y, 1, -1).reshape(y.shape))
    yield s.change(result=lambda y: np.moveaxis(y.reshape(y.shape[0], *y.shape[2:], y.shape[1]), -1, 1))


@semantic("output-returned-as-nhwc", "the output has the layout NHWC")
def returned_nhwc(s: Setting) -> Iterator[Change]:
    yield s.change(result=lambda y: np.moveaxis(y, 1, -1))


@semantic("swapped-output-axes", "height and width of the output are swapped")
def output_axes(s: Setting) -> Iterator[Change]:
    yield from (s.change(result=lambda y, order=order: y.transpose(order)) for order in spatial_orders(s))


@semantic("output-memory-transposed", "the output's rows are written to memory as columns")
def output_memory(s: Setting) -> Iterator[Change]:
    if s.rank > 1:
        yield s.change(result=_misread_space)
        yield s.change(result=lambda y: y.transpose(0, 1, *range(y.ndim - 1, 1, -1)).reshape(y.shape))


@semantic("flipped-output", "the output is flipped along one or all of its axes")
def flipped_output(s: Setting) -> Iterator[Change]:
    for axes in dict.fromkeys((tuple(range(2, 2 + s.rank)), *((axis,) for axis in range(2, 2 + s.rank)))):
        yield s.change(result=lambda y, axes=axes: np.flip(y, axes))


@semantic("shifted-output", "the output is shifted by one row or column")
def shifted_output(s: Setting) -> Iterator[Change]:
    for axis in range(2, 2 + s.rank):
        for sign in (1, -1):
            yield s.change(result=lambda y, sign=sign, axis=axis: _shift(y, sign, axis))
            yield s.change(result=lambda y, sign=sign, axis=axis: np.roll(y, sign, axis))


@semantic("output-channels-reversed", "the output channels are in reverse order")
def outputs_reversed(s: Setting) -> Iterator[Change]:
    yield s.change(result=lambda y: y[:, ::-1])
    if not s.geometry.transposed:
        yield s.change(w=lambda w: w[::-1], sentence="the kernels of the output channels are in reverse order")
    else:
        yield s.change(w=lambda w: w[:, ::-1], sentence="the kernels of the output channels are in reverse order")


@semantic("output-channels-rolled", "each output channel is written in place of its neighbour")
def outputs_rolled(s: Setting) -> Iterator[Change]:
    for sign in (1, -1):
        yield s.change(result=lambda y, sign=sign: np.roll(y, sign, 1))
        yield s.change(w=lambda w, sign=sign: np.roll(w, sign, 1 if s.geometry.transposed else 0))


@semantic("one-output-channel-for-all", "one output channel is written in place of all")
def one_output(s: Setting) -> Iterator[Change]:
    for place in (0, -1):
        yield s.change(result=lambda y, i=place: np.take(y, np.full(y.shape[1], i % y.shape[1]), 1))


@semantic("last-output-channel-not-written", "the last or first output channel is not written: zeros")
def channel_unwritten(s: Setting) -> Iterator[Change]:
    yield s.change(result=lambda y: _zeroed(y, (slice(None), -1)))
    yield s.change(result=lambda y: _zeroed(y, (slice(None), 0)))


@semantic(
    "output-channel-tail-not-written",
    "the output channels beyond the last full block (of 2, 4, 8, 16 or 32) are not written: zeros",
)
def outputs_tail(s: Setting) -> Iterator[Change]:
    for block in (4, 8, 16, 32, 2):
        full = s.outputs // block * block
        if 0 < full < s.outputs:
            yield s.change(result=lambda y, full=full: _zeroed(y, (slice(None), slice(full, None))))


@semantic("last-output-row-not-written", "the last or first row of the output is not written: zeros")
def row_unwritten(s: Setting) -> Iterator[Change]:
    yield s.change(result=lambda y: _zeroed(y, (slice(None), slice(None), -1)))
    yield s.change(result=lambda y: _zeroed(y, (slice(None), slice(None), 0)))


@semantic("last-output-column-not-written", "the last or first column of the output is not written: zeros")
def column_unwritten(s: Setting) -> Iterator[Change]:
    if s.rank > 1:
        yield s.change(result=lambda y: _zeroed(y, (..., -1)))
        yield s.change(result=lambda y: _zeroed(y, (..., 0)))


@semantic("last-output-element-not-written", "the last or first element of the output is not written: zero")
def element_unwritten(s: Setting) -> Iterator[Change]:
    yield s.change(result=lambda y: _zeroed(y, (-1,) * y.ndim))
    yield s.change(result=lambda y: _zeroed(y, (slice(None), slice(None), *(-1,) * (y.ndim - 2))))
    yield s.change(result=lambda y: _zeroed(y, (0,) * y.ndim))


@semantic("first-example-only", "only the first example is computed, the others are zeros")
def example_only(s: Setting) -> Iterator[Change]:
    if s.x[0] > 1:
        yield s.change(result=lambda y: _only(y, 0))
        yield s.change(result=lambda y: _zeroed(y, -1), sentence="the last example is not computed: zeros")


@semantic("output-examples-mixed", "the examples of the output are in another order, or one is written for all")
def examples_mixed(s: Setting) -> Iterator[Change]:
    if s.x[0] > 1:
        yield s.change(result=lambda y: np.roll(y, 1, 0))
        yield s.change(result=Map(lambda y: np.cumsum(y, 0), back=lambda _, dy: np.cumsum(dy[::-1], 0)[::-1]))


@semantic("output-accumulated", "the output is added to what was there: twice the right answer")
def accumulated(s: Setting) -> Iterator[Change]:
    yield s.change(result=Map(lambda y: y, 2))


@semantic("output-negated", "the output is negated, and the bias with it")
def output_negated(s: Setting) -> Iterator[Change]:
    yield s.change(result=Map(lambda y: y, -1))


@semantic("output-zero", "nothing is computed: zeros")
def output_zero(s: Setting) -> Iterator[Change]:
    yield s.change(result=np.zeros_like)


@semantic("activation-applied", "an activation is applied: negative outputs are zero (ReLU)")
def activation(s: Setting) -> Iterator[Change]:
    zero = np.zeros((), np.int64)
    yield s.change(result=Map(lambda y: np.maximum(y, zero.astype(y.dtype)), back=lambda y, dy: dy * (y > 0)))


@semantic("output-magnitude", "the sign of the output is lost")
def output_magnitude(s: Setting) -> Iterator[Change]:
    yield s.change(result=Map(np.abs, back=lambda y, dy: dy * np.sign(y)))


@semantic("divided-by-taps-inside", "the sum is divided by the number of taps inside the image")
def divided_inside(s: Setting) -> Iterator[Change]:
    if s.geometry.transposed:
        return
    counts = np.ones((), np.int64)
    for n, (b, _), k, d, step, size in zip(
        s.x[2:], s.pads, s.w[2:], s.geometry.dilation, s.geometry.stride, s.output[2:], strict=True
    ):
        places = np.arange(size)[:, None] * step + np.arange(k) * d - b
        counts = np.multiply.outer(counts, ((places >= 0) & (places < n)).sum(1))
    yield Change(s.geometry, result=Map(lambda y: y, 1.0 / np.maximum(counts, 1)), terms=2)
