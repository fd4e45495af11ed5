"""Image and bias misread: channels, groups, batch, layout."""

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


def _dropped(s: Setting, place: int) -> Iterator[Change]:
    axis = 0 if s.geometry.transposed else 1
    yield s.change(x=lambda x: _zeroed(x, (slice(None), place)))
    if s.geometry.groups > 1 and axis:  # of each group
        yield s.change(w=lambda w: _zeroed(w, (slice(None), place)))


def _grouped(s: Setting, move: Any) -> Iterator[Change]:
    groups = s.geometry.groups
    if groups > 1:
        yield s.change(x=lambda x: move(x.reshape(len(x), groups, -1, *x.shape[2:])).reshape(x.shape))
