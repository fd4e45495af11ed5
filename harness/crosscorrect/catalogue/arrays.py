"""Image, bias and output misread: channels, groups, batch, layout, and what is not written."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from crosscorrect.catalogue.change import Change, Map, Setting
from crosscorrect.catalogue.entry import Register
from crosscorrect.catalogue.kernels import _interleaved, _misread_space, _only, _shift, _zeroed, spatial_orders

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crosscorrect.oracle import Array

REGISTER = Register()
semantic = REGISTER.semantic


# ---------------------------------------------------------------- bias


@semantic("bias-ignored", "the bias is ignored")
def bias_ignored(s: Setting) -> Iterator[Change]:
    if s.bias:
        yield s.change(b=np.zeros_like)


@semantic("first-bias-for-all", "the bias of one channel is used for all channels")
def bias_first(s: Setting) -> Iterator[Change]:
    if s.bias:
        yield s.change(b=lambda b: np.repeat(b[:1], len(b)))
        yield s.change(b=lambda b: np.repeat(b[-1:], len(b)))


@semantic("bias-reversed", "the biases are in reverse order")
def bias_reversed(s: Setting) -> Iterator[Change]:
    if s.bias:
        yield s.change(b=lambda b: b[::-1])


@semantic("bias-rolled", "each channel gets the bias of its neighbour")
def bias_rolled(s: Setting) -> Iterator[Change]:
    if s.bias:
        yield s.change(b=lambda b: np.roll(b, 1))
        yield s.change(b=lambda b: np.roll(b, -1))


@semantic("bias-added-twice", "the bias is added twice")
def bias_twice(s: Setting) -> Iterator[Change]:
    if s.bias:
        yield s.change(b=Map(lambda b: b, 2))


@semantic("bias-added-repeatedly", "the bias is added once per input channel, tap or group instead of once")
def bias_often(s: Setting) -> Iterator[Change]:
    if s.bias:
        counts = (s.x[1], s.w[1], prod(s.w[2:]), prod(s.w[1:]), s.geometry.groups, s.x[0], 3, 4)
        yield from (s.change(b=Map(lambda b: b, n)) for n in dict.fromkeys(counts) if n > 2)


@semantic("bias-subtracted", "the bias is subtracted")
def bias_subtracted(s: Setting) -> Iterator[Change]:
    if s.bias:
        yield s.change(b=Map(lambda b: b, -1))


@semantic("bias-scaled", "the bias is halved")
def bias_scaled(s: Setting) -> Iterator[Change]:
    if s.bias:
        yield s.change(b=Map(lambda b: b, 0.5))


@semantic(
    "bias-per-position", "the bias is added along a spatial axis or along the batch instead of along the channels"
)
def bias_position(s: Setting) -> Iterator[Change]:
    if s.bias:
        shape = s.output
        for axis in (*range(len(shape) - 1, 1, -1), 0):

            def spread(b: Array, axis: int = axis) -> Array:
                line = np.take(b, np.arange(shape[axis]) % len(b)).reshape(-1, *(1,) * (len(shape) - 1 - axis))
                return np.broadcast_to(line, shape)

            yield s.change(spread=Map(spread))


@semantic("bias-order-of-groups", "the biases are assigned to channels as if the groups were interleaved")
def bias_groups(s: Setting) -> Iterator[Change]:
    groups = s.geometry.groups
    if s.bias and 1 < groups < s.outputs:
        yield s.change(b=lambda b: _interleaved(b, groups))
        yield s.change(b=lambda b: _interleaved(b, len(b) // groups))
        yield s.change(b=lambda b: np.tile(b[: len(b) // groups], groups))


@semantic("bias-partly-added", "the bias reaches only the first channel, the first example or one position")
def bias_partly(s: Setting) -> Iterator[Change]:
    if s.bias:
        shape = s.output
        origin = (0,) * s.rank
        for place in ((0,), (slice(None), 0), (slice(None), slice(None), *origin), (slice(None), slice(None, -1))):

            def spread(b: Array, place: Any = place) -> Array:
                return _only(np.broadcast_to(b.reshape(-1, *(1,) * (len(shape) - 2)), shape), place)

            yield s.change(spread=Map(spread))


# ---------------------------------------------------------------- input channels and groups


@semantic("last-input-channel-dropped", "the last input channel is dropped")
def last_channel(s: Setting) -> Iterator[Change]:
    yield from _dropped(s, -1)


@semantic("first-input-channel-dropped", "the first input channel is dropped")
def first_channel(s: Setting) -> Iterator[Change]:
    yield from _dropped(s, 0)


@semantic(
    "input-channel-tail-dropped", "the input channels beyond the last full block (of 2, 4, 8, 16 or 32) are dropped"
)
def channel_tail(s: Setting) -> Iterator[Change]:
    for block in (4, 8, 16, 32, 2):
        full = s.x[1] // block * block
        if 0 < full < s.x[1]:
            yield s.change(x=lambda x, full=full: _zeroed(x, (slice(None), slice(full, None))))


@semantic("input-channels-reversed", "the input channels are in reverse order")
def channels_reversed(s: Setting) -> Iterator[Change]:
    yield s.change(x=lambda x: x[:, ::-1])


@semantic("input-channels-rolled", "each input channel is read in place of its neighbour")
def channels_rolled(s: Setting) -> Iterator[Change]:
    for shift in (1, -1):
        yield s.change(x=lambda x, shift=shift: np.roll(x, shift, 1))
    if s.geometry.groups > 1:  # inside each group
        axis = 0 if s.geometry.transposed else 1
        yield from (s.change(w=lambda w, shift=shift: np.roll(w, shift, axis)) for shift in (1, -1) if axis)


@semantic("one-input-channel-for-all", "one input channel is read for all of them")
def one_channel(s: Setting) -> Iterator[Change]:
    for place in (0, -1):
        yield s.change(x=lambda x, i=place: np.take(x, np.full(x.shape[1], i % x.shape[1]), 1))


@semantic("one-input-channel-only", "only one input channel takes part")
def only_channel(s: Setting) -> Iterator[Change]:
    axis = 0 if s.geometry.transposed else 1
    for place in (0, -1):
        yield s.change(x=lambda x, i=place: _only(x, (slice(None), i)))
        yield s.change(w=lambda w, i=place: _only(w, (slice(None),) * axis + (i,)))


@semantic(
    "group-inputs-interleaved", "the input channels are assigned to groups in turn: channel c to group c mod groups"
)
def group_inputs(s: Setting) -> Iterator[Change]:
    groups, channels = s.geometry.groups, s.x[1]
    if 1 < groups < channels:
        yield s.change(x=lambda x: _interleaved(x, channels // groups, 1))
        yield s.change(x=lambda x: _interleaved(x, groups, 1))


@semantic("group-outputs-interleaved", "the output channels of the groups are interleaved")
def group_outputs(s: Setting) -> Iterator[Change]:
    groups = s.geometry.groups
    if 1 < groups < s.outputs:
        yield s.change(result=lambda y: _interleaved(y, groups, 1))
        yield s.change(result=lambda y: _interleaved(y, y.shape[1] // groups, 1))


@semantic("groups-reversed", "the groups are in reverse order: the input of the last goes to the first")
def groups_reversed(s: Setting) -> Iterator[Change]:
    yield from _grouped(s, lambda x: np.flip(x, 1))


@semantic("groups-rolled", "each group reads the input of its neighbour")
def groups_rolled(s: Setting) -> Iterator[Change]:
    yield from _grouped(s, lambda x: np.roll(x, 1, 1))
    yield from _grouped(s, lambda x: np.roll(x, -1, 1))


@semantic("groups-ignored", "every group reads the input of the first one")
def groups_ignored(s: Setting) -> Iterator[Change]:
    yield from _grouped(s, lambda x: np.take(x, np.zeros(x.shape[1], int), 1))
    yield from _grouped(s, lambda x: np.take(x, np.full(x.shape[1], -1), 1))


@semantic(
    "groups-summed", "every group reads the sum of all groups' inputs: the groups are ignored and the kernel repeated"
)
def groups_summed(s: Setting) -> Iterator[Change]:
    groups = s.geometry.groups
    if groups > 1 and not s.geometry.transposed:
        yield Change(s.other(groups=1).geometry, w=Map(lambda w: np.concatenate([w] * groups, 1)))


@semantic("one-group-only", "only one group is computed, the outputs of the others are zero")
def one_group(s: Setting) -> Iterator[Change]:
    groups = s.geometry.groups
    if groups > 1:
        size = s.x[1] // groups
        yield s.change(x=lambda x: _only(x, (slice(None), slice(None, size))))
        yield s.change(x=lambda x: _zeroed(x, (slice(None), slice(-size, None))))


# ---------------------------------------------------------------- image: layout, orientation, batch


@semantic("image-read-as-nhwc", "the image's memory is read in the layout NHWC")
def nhwc(s: Setting) -> Iterator[Change]:
    yield s.change(x=lambda x: np.moveaxis(x.reshape(x.shape[0], *x.shape[2:], x.shape[1]), -1, 1))
    yield s.change(x=lambda x: np.moveaxis(x, 1, -1).reshape(x.shape))


@semantic("image-read-as-cnhw", "batch and channels of the image are swapped in memory")
def cnhw(s: Setting) -> Iterator[Change]:
    yield s.change(x=lambda x: x.reshape(x.shape[1], x.shape[0], *x.shape[2:]).swapaxes(0, 1))
    yield s.change(x=lambda x: x.swapaxes(0, 1).reshape(x.shape))


@semantic("swapped-image-axes", "height and width of the image are swapped")
def image_axes(s: Setting) -> Iterator[Change]:
    yield from (s.change(x=lambda x, order=order: x.transpose(order)) for order in spatial_orders(s))


@semantic("image-memory-transposed", "the image's rows are read as columns in memory: an image stored column by column")
def image_memory(s: Setting) -> Iterator[Change]:
    if s.rank > 1:
        yield s.change(x=_misread_space)


@semantic("flipped-image", "the image is flipped along one or all of its axes")
def flipped_image(s: Setting) -> Iterator[Change]:
    for axes in dict.fromkeys((tuple(range(2, 2 + s.rank)), *((axis,) for axis in range(2, 2 + s.rank)))):
        yield s.change(x=lambda x, axes=axes: np.flip(x, axes))


@semantic(
    "rolled-image", "the image is shifted by one element, and what leaves at one side enters or is lost at the other"
)
def rolled_image(s: Setting) -> Iterator[Change]:
    for axis in range(2, 2 + s.rank):
        for sign in (1, -1):
            yield s.change(x=lambda x, sign=sign, axis=axis: np.roll(x, sign, axis))
            yield s.change(x=lambda x, sign=sign, axis=axis: _shift(x, sign, axis))


@semantic("image-row-lost", "the last or first row (or column) of the image is read as zeros")
def image_row(s: Setting) -> Iterator[Change]:
    for axis in range(2, 2 + s.rank):
        for place in (-1, 0):
            yield s.change(x=lambda x, i=place, axis=axis: _zeroed(x, (slice(None),) * axis + (i,)))


@semantic("first-example-for-all", "one example of the batch is used for all")
def first_example(s: Setting) -> Iterator[Change]:
    yield s.change(x=lambda x: np.repeat(x[:1], len(x), 0))
    yield s.change(x=lambda x: np.repeat(x[-1:], len(x), 0))


@semantic("batch-reversed", "the batch is in reverse order")
def batch_reversed(s: Setting) -> Iterator[Change]:
    yield s.change(x=lambda x: x[::-1])


@semantic("batch-rolled", "each example is taken for its neighbour")
def batch_rolled(s: Setting) -> Iterator[Change]:
    yield s.change(x=lambda x: np.roll(x, 1, 0))
    yield s.change(x=lambda x: np.roll(x, -1, 0))


# ---------------------------------------------------------------- output


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


def _dropped(s: Setting, place: int) -> Iterator[Change]:
    axis = 0 if s.geometry.transposed else 1
    yield s.change(x=lambda x: _zeroed(x, (slice(None), place)))
    if s.geometry.groups > 1 and axis:  # of each group
        yield s.change(w=lambda w: _zeroed(w, (slice(None), place)))


def _grouped(s: Setting, move: Any) -> Iterator[Change]:
    groups = s.geometry.groups
    if groups > 1:
        yield s.change(x=lambda x: move(x.reshape(len(x), groups, -1, *x.shape[2:])).reshape(x.shape))
