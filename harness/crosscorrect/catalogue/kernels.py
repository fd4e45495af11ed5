"""Kernel misread: flipped, axes swapped, taps lost, channels in another order, memory read in another layout."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from crosscorrect.catalogue.change import Change, Map, Setting
from crosscorrect.catalogue.entry import Register

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crosscorrect.oracle import Array

REGISTER = Register()
semantic = REGISTER.semantic


@semantic("flipped-kernel", "the kernel is flipped: convolution instead of cross-correlation")
def flipped(s: Setting) -> Iterator[Change]:
    if not s.geometry.transposed:
        yield s.change(w=lambda w: np.flip(w, tuple(range(2, w.ndim))))


@semantic(
    "transposed-kernel-flipped",
    "the kernel of the transposed correlation is flipped: no adjoint (as JAX's conv_transpose by default)",
)
def transposed_flipped(s: Setting) -> Iterator[Change]:
    if s.geometry.transposed:
        yield s.change(w=lambda w: np.flip(w, tuple(range(2, w.ndim))))


@semantic("flipped-last-axis", "the kernel is flipped along its last axis only")
def flipped_last(s: Setting) -> Iterator[Change]:
    if s.rank > 1:
        yield s.change(w=lambda w: np.flip(w, -1))


@semantic("flipped-first-axis", "the kernel is flipped along its first axis only")
def flipped_first(s: Setting) -> Iterator[Change]:
    if s.rank > 1:
        yield s.change(w=lambda w: np.flip(w, 2))
    if s.rank > 2:
        yield s.change(w=lambda w: np.flip(w, 3), sentence="the kernel is flipped along its middle axis only")


@semantic("flipped-two-axes", "the kernel is flipped along two of its three axes")
def flipped_two(s: Setting) -> Iterator[Change]:
    if s.rank > 2:
        for axes in ((-2, -1), (-3, -1), (-3, -2)):
            yield s.change(w=lambda w, axes=axes: np.flip(w, axes))


@semantic("swapped-kernel-axes", "height and width of the kernel are swapped")
def swapped_axes(s: Setting) -> Iterator[Change]:
    yield from (s.change(w=lambda w, order=order: w.transpose(order)) for order in spatial_orders(s))


@semantic(
    "kernel-memory-transposed", "the kernel's rows are read as columns in memory: a kernel stored column by column"
)
def memory_transposed(s: Setting) -> Iterator[Change]:
    if s.rank > 1:
        yield s.change(w=_misread_space)


@semantic("rotated-kernel", "the kernel is rotated by 90 degrees")
def rotated(s: Setting) -> Iterator[Change]:
    if s.rank > 1:
        yield s.change(w=lambda w: np.rot90(w, 1, (-2, -1)))
        yield s.change(w=lambda w: np.rot90(w, -1, (-2, -1)))


@semantic("rolled-kernel", "the kernel is shifted by one tap, and the last comes first")
def rolled(s: Setting) -> Iterator[Change]:
    for sign in (1, -1):
        for axis in range(2, 2 + s.rank):
            yield s.change(w=lambda w, sign=sign, axis=axis: np.roll(w, sign, axis))
        yield s.change(w=lambda w, sign=sign: np.roll(w, (sign,) * (w.ndim - 2), tuple(range(2, w.ndim))))


@semantic("shifted-kernel", "the kernel is shifted by one tap, and one row or column of it is lost")
def shifted(s: Setting) -> Iterator[Change]:
    for sign in (1, -1):
        for axis in range(2, 2 + s.rank):
            yield s.change(w=lambda w, sign=sign, axis=axis: _shift(w, sign, axis))


@semantic("last-tap-lost", "the last tap of the kernel is lost")
def last_tap(s: Setting) -> Iterator[Change]:
    yield s.change(w=lambda w: _zeroed(w, (..., *(-1,) * s.rank)))


@semantic("first-tap-lost", "the first tap of the kernel is lost")
def first_tap(s: Setting) -> Iterator[Change]:
    yield s.change(w=lambda w: _zeroed(w, (..., *(0,) * s.rank)))


@semantic("centre-tap-lost", "the tap in the middle of the kernel is lost")
def centre_tap(s: Setting) -> Iterator[Change]:
    yield s.change(w=lambda w: _zeroed(w, (..., *(n // 2 for n in w.shape[2:]))))


@semantic("last-tap-doubled", "the first or last tap of the kernel is added twice")
def doubled_tap(s: Setting) -> Iterator[Change]:
    for place in (-1, 0):
        factor = np.ones(s.w, np.int64)
        factor[(..., *(place,) * s.rank)] = 2
        yield s.change(w=Map(lambda w: w, factor))


@semantic("kernel-row-lost", "the last or first row (or column) of the kernel is lost")
def row_lost(s: Setting) -> Iterator[Change]:
    for place in (-1, 0):
        for axis in range(2, 2 + s.rank):
            yield s.change(w=lambda w, i=place, axis=axis: _zeroed(w, (slice(None),) * axis + (i,)))


@semantic("only-the-centre-tap", "only one tap of the kernel is used")
def one_tap(s: Setting) -> Iterator[Change]:
    for at in ((0,) * s.rank, tuple(n // 2 for n in s.w[2:]), (-1,) * s.rank):
        yield s.change(w=lambda w, at=at: _only(w, (..., *at)))


@semantic("one-tap-lost", "one tap of the kernel is lost, in every channel")
def some_tap(s: Setting) -> Iterator[Change]:
    if 1 < prod(s.w[2:]) <= 49:
        yield from (s.change(w=lambda w, at=at: _zeroed(w, (..., *at))) for at in np.ndindex(*s.w[2:]))


@semantic("kernel-in-out-swapped", "input and output channels of the kernel are swapped (OIHW read as IOHW)")
def in_out(s: Setting) -> Iterator[Change]:
    yield s.change(w=lambda w: w.reshape(w.shape[1], w.shape[0], *w.shape[2:]).swapaxes(0, 1))
    if s.w[0] != s.w[1]:
        yield s.change(w=lambda w: w.swapaxes(0, 1).reshape(w.shape))


@semantic("kernel-read-as-hwio", "the kernel's memory is read in the layout HWIO")
def hwio(s: Setting) -> Iterator[Change]:
    yield s.change(w=lambda w: np.moveaxis(w.reshape(*w.shape[2:], w.shape[1], w.shape[0]), (-1, -2), (0, 1)))
    yield s.change(w=lambda w: np.moveaxis(w, (0, 1), (-1, -2)).reshape(w.shape))


@semantic("kernel-read-as-ohwi", "the kernel's memory is read in the layout OHWI")
def ohwi(s: Setting) -> Iterator[Change]:
    yield s.change(w=lambda w: np.moveaxis(w.reshape(w.shape[0], *w.shape[2:], w.shape[1]), -1, 1))
    yield s.change(w=lambda w: np.moveaxis(w, 1, -1).reshape(w.shape))


@semantic("kernel-read-as-hwoi", "the kernel's memory is read in the layout HWOI")
def hwoi(s: Setting) -> Iterator[Change]:
    yield s.change(w=lambda w: np.moveaxis(w.reshape(*w.shape[2:], w.shape[0], w.shape[1]), (-2, -1), (0, 1)))
    yield s.change(w=lambda w: np.moveaxis(w, (0, 1), (-2, -1)).reshape(w.shape))


@semantic("kernel-input-channels-reversed", "the input channels of the kernel are in reverse order, within each group")
def inputs_reversed(s: Setting) -> Iterator[Change]:
    if s.geometry.groups > 1:
        yield s.change(w=lambda w: _within(w, s))


@semantic("kernel-of-one-input-channel-for-all", "the kernel of one input channel is used for all of them")
def one_input_kernel(s: Setting) -> Iterator[Change]:
    axis = 0 if s.geometry.transposed else 1
    for place in (0, -1):
        yield s.change(w=lambda w, i=place: np.take(w, np.full(w.shape[axis], i % w.shape[axis]), axis))


@semantic("kernel-of-one-output-channel-for-all", "the kernel of one output channel is used for all of them")
def one_output_kernel(s: Setting) -> Iterator[Change]:
    axis = 1 if s.geometry.transposed else 0
    for place in (0, -1):
        yield s.change(w=lambda w, i=place: np.take(w, np.full(w.shape[axis], i % w.shape[axis]), axis))


@semantic("kernel-of-one-group-for-all", "the kernels of one group are used for all groups")
def one_group_kernel(s: Setting) -> Iterator[Change]:
    groups = s.geometry.groups
    if groups > 1:
        size = s.w[0] // groups
        yield s.change(w=lambda w: np.concatenate([w[:size]] * groups))
        yield s.change(w=lambda w: np.concatenate([w[-size:]] * groups))


@semantic(
    "kernel-groups-interleaved",
    "the kernels of the groups are interleaved: kernel g + m·groups where g·M + m is right (a depthwise multiplier)",
)
def kernel_groups(s: Setting) -> Iterator[Change]:
    groups = s.geometry.groups
    if 1 < groups < s.w[0]:
        yield s.change(w=lambda w: _interleaved(w, groups))
        yield s.change(w=lambda w: _interleaved(w, w.shape[0] // groups))


@semantic("kernel-groups-reversed", "the groups of kernels are in reverse order")
def kernel_groups_reversed(s: Setting) -> Iterator[Change]:
    groups = s.geometry.groups
    if groups > 1:
        yield s.change(w=lambda w: np.flip(w.reshape(groups, -1, *w.shape[1:]), 0).reshape(w.shape))


@semantic("one-kernel-lost", "the kernels of one output channel are zero")
def one_kernel(s: Setting) -> Iterator[Change]:
    axis = 1 if s.geometry.transposed else 0
    for place in (-1, 0):
        yield s.change(w=lambda w, i=place: _zeroed(w, (slice(None),) * axis + (i,)))


@semantic("kernel-averaged", "the sum over the window is divided by its number of taps: a mean")
def averaged(s: Setting) -> Iterator[Change]:
    spatial, channels = prod(s.w[2:]), s.w[0] // s.geometry.groups if s.geometry.transposed else s.w[1]
    for count in dict.fromkeys((spatial * channels, spatial, channels, prod(s.w[1:]), s.w[0])):
        if count > 1:
            yield Change(s.geometry, w=Map(lambda w: w, 1.0 / count), terms=2)


@semantic("sign-negated", "the kernel is negated")
def negated(s: Setting) -> Iterator[Change]:
    yield s.change(w=Map(lambda w: w, -1))


@semantic(
    "kernel-scaled", "the kernel is multiplied by a factor of 2, 1/2 or the number of its input channels or groups"
)
def scaled(s: Setting) -> Iterator[Change]:
    for factor in dict.fromkeys((2, 0.5, s.w[1], s.geometry.groups, prod(s.w[2:]))):
        if factor != 1:
            yield s.change(w=Map(lambda w: w, factor))


@semantic("kernel-magnitude", "the sign of the kernel is lost")
def magnitude(s: Setting) -> Iterator[Change]:
    yield s.change(w=Map(np.abs, back=lambda w, y: y * np.sign(w)))


@semantic("image-magnitude", "the sign of the image is lost")
def image_magnitude(s: Setting) -> Iterator[Change]:
    yield s.change(x=Map(np.abs, back=lambda x, y: y * np.sign(x)))


@semantic("squared-kernel", "the kernel is squared")
def squared(s: Setting) -> Iterator[Change]:
    yield Change(s.geometry, w=Map(np.square, back=lambda w, y: 2 * y * w), terms=2)


def spatial_orders(s: Setting) -> Iterator[tuple[int, ...]]:
    """The orders of all axes with the spatial ones permuted, the last two swapped first."""
    if s.rank == 2:
        yield (0, 1, 3, 2)
    elif s.rank == 3:
        yield from ((0, 1, *rest) for rest in ((2, 4, 3), (4, 3, 2), (3, 2, 4), (3, 4, 2), (4, 2, 3)))


def _misread_space(a: Array) -> Array:
    """Each slice over the spatial axes, read from memory with these axes in reverse order."""
    space = a.shape[2:]
    return a.reshape(*a.shape[:2], *space[::-1]).transpose(0, 1, *range(a.ndim - 1, 1, -1))


def _zeroed(a: Array, place: Any) -> Array:
    a = a.copy()
    a[place] = 0
    return a


def _only(a: Array, place: Any) -> Array:
    kept = np.zeros_like(a)
    kept[place] = a[place]
    return kept


def _shift(a: Array, sign: int, axis: int) -> Array:
    moved = np.roll(a, sign, axis)
    return _zeroed(moved, (slice(None),) * axis + (0 if sign > 0 else -1,))


def _interleaved(a: Array, count: int, axis: int = 0) -> Array:
    """The slices of an axis taken as (count, rest) and put as (rest, count)."""
    moved = np.moveaxis(a, axis, 0)
    order = np.arange(len(moved)).reshape(count, -1).T.ravel()
    return np.moveaxis(moved[order], 0, axis)


def _within(w: Array, s: Setting) -> Array:
    """Each group's input channels in reverse order."""
    if not s.geometry.transposed:
        return w[:, ::-1]
    groups = s.geometry.groups
    return np.flip(w.reshape(groups, -1, *w.shape[1:]), 1).reshape(w.shape)
