"""Wrong gradients of a right forward pass."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from crosscorrect.catalogue.arrays import _grouped
from crosscorrect.catalogue.change import Change, Map, Setting
from crosscorrect.catalogue.entry import GRADIENTS, Register
from crosscorrect.catalogue.kernels import _interleaved, _misread_space, _only, _shift, _zeroed, spatial_orders
from crosscorrect.catalogue.places import _filled, _kept_size, _padding, _shifted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from crosscorrect.oracle import Array

REGISTER = Register()
gradient = REGISTER.gradient
INPUT, KERNEL, BIAS = GRADIENTS


# ---------------------------------------------------------------- the kernel's gradient


@gradient("kernel-gradient-flipped", "the gradient of the kernel is flipped", KERNEL)
def kernel_flipped(s: Setting) -> Iterator[Change]:
    yield s.change(result=lambda w: np.flip(w, tuple(range(2, w.ndim))))
    if s.rank > 1:
        yield from (s.change(result=lambda w, axis=axis: np.flip(w, axis)) for axis in range(2, 2 + s.rank))


@gradient("kernel-gradient-axes-swapped", "height and width of the kernel's gradient are swapped", KERNEL)
def kernel_axes(s: Setting) -> Iterator[Change]:
    yield from (s.change(result=lambda w, order=order: w.transpose(order)) for order in spatial_orders(s))
    if s.rank > 1:
        yield s.change(result=_misread_space)
        yield s.change(result=lambda w: w.transpose(0, 1, *range(w.ndim - 1, 1, -1)).reshape(w.shape))


@gradient("kernel-gradient-in-out-swapped", "input and output channels of the kernel's gradient are swapped", KERNEL)
def kernel_in_out(s: Setting) -> Iterator[Change]:
    yield s.change(result=lambda w: w.swapaxes(0, 1).reshape(w.shape))
    yield s.change(result=lambda w: w.reshape(w.shape[1], w.shape[0], *w.shape[2:]).swapaxes(0, 1))
    yield s.change(result=lambda w: w.swapaxes(0, 1))


@gradient(
    "kernel-gradient-in-another-layout", "the kernel's gradient is written in another layout (HWIO, OHWI)", KERNEL
)
def kernel_layout(s: Setting) -> Iterator[Change]:
    yield s.change(result=lambda w: np.moveaxis(w, (0, 1), (-1, -2)).reshape(w.shape))
    yield s.change(result=lambda w: np.moveaxis(w, 1, -1).reshape(w.shape))
    yield s.change(result=lambda w: np.moveaxis(w, (0, 1), (-2, -1)).reshape(w.shape))
    yield s.change(result=lambda w: np.moveaxis(w, (0, 1), (-1, -2)))
    yield s.change(result=lambda w: np.moveaxis(w, 1, -1))


@gradient("kernel-gradient-channels-reversed", "the channels of the kernel's gradient are in another order", KERNEL)
def kernel_channels(s: Setting) -> Iterator[Change]:
    for axis in (0, 1):
        yield s.change(result=lambda w, axis=axis: np.flip(w, axis))
        yield s.change(result=lambda w, axis=axis: np.roll(w, 1, axis))
        yield s.change(result=lambda w, axis=axis: np.roll(w, -1, axis))


@gradient(
    "kernel-gradient-tap-lost",
    "the last or first tap, row or channel of the kernel's gradient is not written: zero",
    KERNEL,
)
def kernel_tap(s: Setting) -> Iterator[Change]:
    for i in (-1, 0):
        yield s.change(result=lambda w, i=i: _zeroed(w, (..., *(i,) * s.rank)))
        yield s.change(result=lambda w, i=i: _zeroed(w, (i,) * w.ndim))
        for axis in range(2 + s.rank):
            yield s.change(result=lambda w, i=i, axis=axis: _zeroed(w, (slice(None),) * axis + (i,)))


@gradient("kernel-gradient-shifted", "the kernel's gradient is shifted by one tap", KERNEL)
def kernel_shifted(s: Setting) -> Iterator[Change]:
    for axis in range(2, 2 + s.rank):
        for sign in (1, -1):
            yield s.change(result=lambda w, sign=sign, axis=axis: np.roll(w, sign, axis))
            yield s.change(result=lambda w, sign=sign, axis=axis: _shift(w, sign, axis))


@gradient(
    "kernel-gradient-with-other-padding", "the kernel's gradient sees other values than zeros in the padding", KERNEL
)
def kernel_padding(s: Setting) -> Iterator[Change]:
    for mode in ("edge", "reflect", "wrap"):
        yield from _filled(s, mode)
    yield from _filled(s, "constant", constant_values=1)


@gradient("kernel-gradient-of-a-flipped-image", "the kernel's gradient is computed from the flipped image", KERNEL)
def kernel_image(s: Setting) -> Iterator[Change]:
    yield s.change(x=lambda x: np.flip(x, tuple(range(2, x.ndim))))


# ---------------------------------------------------------------- the input's gradient


@gradient(
    "input-gradient-kernel-not-flipped",
    "the input's gradient is computed with the flipped kernel: it is not the adjoint",
    INPUT,
)
def input_flipped(s: Setting) -> Iterator[Change]:
    yield s.change(w=lambda w: np.flip(w, tuple(range(2, w.ndim))))
    if s.rank > 1:
        yield from (s.change(w=lambda w, axis=axis: np.flip(w, axis)) for axis in range(2, 2 + s.rank))


@gradient(
    "input-gradient-kernel-in-out-not-swapped",
    "the input's gradient takes the kernel's output channels for its input channels",
    INPUT,
)
def input_in_out(s: Setting) -> Iterator[Change]:
    yield s.change(w=lambda w: w.swapaxes(0, 1).reshape(w.shape))
    yield s.change(w=lambda w: w.reshape(w.shape[1], w.shape[0], *w.shape[2:]).swapaxes(0, 1))


@gradient(
    "input-gradient-kernel-axes-swapped",
    "the input's gradient is computed with height and width of the kernel swapped",
    INPUT,
)
def input_kernel_axes(s: Setting) -> Iterator[Change]:
    for order in spatial_orders(s):
        if tuple(s.w[i] for i in order) == tuple(s.w):
            yield s.change(w=lambda w, order=order: w.transpose(order))
    if s.rank > 1:
        yield s.change(w=_misread_space)


@gradient("input-gradient-axes-swapped", "height and width of the input's gradient are swapped", INPUT)
def input_axes(s: Setting) -> Iterator[Change]:
    yield from (s.change(result=lambda x, order=order: x.transpose(order)) for order in spatial_orders(s))
    if s.rank > 1:
        yield s.change(result=_misread_space)
        yield s.change(result=lambda x: x.transpose(0, 1, *range(x.ndim - 1, 1, -1)).reshape(x.shape))


@gradient("input-gradient-flipped", "the input's gradient is flipped", INPUT)
def input_result_flipped(s: Setting) -> Iterator[Change]:
    yield s.change(result=lambda x: np.flip(x, tuple(range(2, x.ndim))))


@gradient("input-gradient-not-cropped", "the padding is not taken off the input's gradient", INPUT)
def input_uncropped(s: Setting) -> Iterator[Change]:
    if _padding(s) and not s.geometry.transposed:
        widths = [(0, 0), (0, 0), *s.pads]
        yield Change(s.padded(*((0, 0),) * s.rank).geometry, x=Map(lambda x: np.pad(x, widths)))


@gradient("input-gradient-border-lost", "a row or column at the border of the input's gradient is zero", INPUT)
def input_border(s: Setting) -> Iterator[Change]:
    for axis in range(2, 2 + s.rank):
        for i in (-1, 0):
            yield s.change(result=lambda x, i=i, axis=axis: _zeroed(x, (slice(None),) * axis + (i,)))
    yield s.change(result=lambda x: _zeroed(x, (-1,) * x.ndim))
    yield s.change(result=lambda x: _zeroed(x, (0,) * x.ndim))


@gradient("input-gradient-shifted", "the input's gradient is shifted by one element", INPUT)
def input_shifted(s: Setting) -> Iterator[Change]:
    for axis in range(2, 2 + s.rank):
        for sign in (1, -1):
            yield s.change(result=lambda x, sign=sign, axis=axis: np.roll(x, sign, axis))
            yield s.change(result=lambda x, sign=sign, axis=axis: _shift(x, sign, axis))


@gradient(
    "input-gradient-channels-mixed",
    "the channels or examples of the input's gradient are in another order, or one is used for all",
    INPUT,
)
def input_channels(s: Setting) -> Iterator[Change]:
    for axis in (1, 0):
        yield s.change(result=lambda x, axis=axis: np.flip(x, axis))
        yield s.change(result=lambda x, axis=axis: np.roll(x, 1, axis))
        yield s.change(result=lambda x, axis=axis: np.take(x, np.zeros(x.shape[axis], int), axis))
        yield s.change(result=lambda x, axis=axis: _zeroed(x, (slice(None),) * axis + (-1,)))
    yield s.change(result=lambda x: np.moveaxis(x, 1, -1).reshape(x.shape))


@gradient("input-gradient-tap-lost", "a tap of the kernel is lost in the input's gradient", INPUT)
def input_tap(s: Setting) -> Iterator[Change]:
    for i in (-1, 0):
        yield s.change(w=lambda w, i=i: _zeroed(w, (..., *(i,) * s.rank)))


# ---------------------------------------------------------------- both


@gradient(
    "gradient-padding-sides-swapped",
    "the gradient is computed with the padding on the other side: cropped at the wrong side",
    INPUT,
    KERNEL,
)
def sides(s: Setting) -> Iterator[Change]:
    yield s.padded(*((e, b) for b, e in s.pads))


@gradient("gradient-ignores-padding", "the gradient is computed as if the padding were all at the end", INPUT, KERNEL)
def no_padding(s: Setting) -> Iterator[Change]:
    if _padding(s):
        yield s.padded(*((0, b + e) for b, e in s.pads))
        yield s.padded(*((b + e, 0) for b, e in s.pads))


@gradient(
    "gradient-ignores-stride", "the gradient ignores the stride: the output's gradient is not spread", INPUT, KERNEL
)
def no_stride(s: Setting) -> Iterator[Change]:
    if s.geometry.transposed or not any(n > 1 for n in s.geometry.stride):
        return
    dense = s.other(stride=(1,) * s.rank)
    size = dense.geometry.output_size(s.x[2:], s.w[2:])

    def placed(dy: Array) -> Array:
        wide = np.zeros((*dy.shape[:2], *size), dy.dtype)
        place: Any = (..., *(slice(n) for n in dy.shape[2:]))
        wide[place] = dy
        return wide

    yield Change(dense.geometry, dy=Map(placed))


@gradient("gradient-ignores-dilation", "the gradient ignores the dilation", INPUT, KERNEL)
def no_dilation(s: Setting) -> Iterator[Change]:
    if any(n > 1 for n in s.geometry.dilation):
        yield _kept_size(s, (1,) * s.rank)


@gradient(
    "gradient-stride-phase", "the gradient is spread one element later or earlier than the stride says", INPUT, KERNEL
)
def phase(s: Setting) -> Iterator[Change]:
    for sign in (1, -1):
        yield _shifted(s, (sign,) * s.rank)
        for axis in range(s.rank):
            yield _shifted(s, tuple(sign * int(i == axis) for i in range(s.rank)))


@gradient(
    "gradient-of-one-example-only", "only one example of the batch contributes to the gradient", KERNEL, BIAS, INPUT
)
def one_example(s: Setting) -> Iterator[Change]:
    if s.x[0] > 1:
        for i in (0, -1):
            yield s.change(dy=lambda dy, i=i: _only(dy, i))
            yield s.change(dy=lambda dy, i=i: _zeroed(dy, i))


@gradient(
    "gradient-averaged", "the gradient is averaged over the batch, the positions or both instead of summed", *GRADIENTS
)
def averaged(s: Setting) -> Iterator[Change]:
    batch, places = s.x[0], prod(s.output[2:])
    for count in dict.fromkeys((batch, places, batch * places, prod(s.output), prod(s.w[1:]), prod(s.w[2:]))):
        if count > 1:
            yield Change(s.geometry, result=Map(lambda g: g, 1.0 / count), terms=2)


@gradient(
    "gradient-doubled", "the gradient is twice the right one: added to what was there, or counted twice", *GRADIENTS
)
def doubled(s: Setting) -> Iterator[Change]:
    yield s.change(result=Map(lambda g: g, 2))


@gradient("gradient-halved", "the gradient is half the right one", *GRADIENTS)
def halved(s: Setting) -> Iterator[Change]:
    yield s.change(result=Map(lambda g: g, 0.5))


@gradient("gradient-negated", "the gradient has the wrong sign", *GRADIENTS)
def negated(s: Setting) -> Iterator[Change]:
    yield s.change(result=Map(lambda g: g, -1))


@gradient("gradient-zero", "the gradient is zero", *GRADIENTS)
def zero(s: Setting) -> Iterator[Change]:
    yield s.change(result=np.zeros_like)


@gradient("gradient-scaled", "the gradient is multiplied by the number of examples, groups or channels", *GRADIENTS)
def scaled(s: Setting) -> Iterator[Change]:
    counts = (s.x[0], s.geometry.groups, s.x[1], s.outputs, 3, 4)
    yield from (s.change(result=Map(lambda g: g, n)) for n in dict.fromkeys(counts) if n > 2)


@gradient("gradient-groups-mixed", "the groups of the gradient are in another order", INPUT, KERNEL)
def groups_mixed(s: Setting) -> Iterator[Change]:
    groups = s.geometry.groups
    if groups < 2:
        return
    for move in (
        lambda a: np.roll(a, 1, 1),
        lambda a: np.flip(a, 1),
        lambda a: np.take(a, np.zeros(a.shape[1], int), 1),
    ):
        yield from _grouped(s, move)

        def moved(dy: Array, move: Callable[[Array], Array] = move) -> Array:
            return np.asarray(move(dy.reshape(len(dy), groups, -1, *dy.shape[2:])).reshape(dy.shape))

        yield s.change(dy=moved)
    for count in (groups, s.outputs // groups):
        yield s.change(dy=lambda dy, count=count: _interleaved(dy, count, 1))
    for count in (groups, s.x[1] // groups):
        yield s.change(x=lambda x, count=count: _interleaved(x, count, 1))


@gradient(
    "output-gradient-misread",
    "the output's gradient is read flipped, shifted, transposed or in another layout",
    *GRADIENTS,
)
def misread(s: Setting) -> Iterator[Change]:
    yield s.change(dy=lambda dy: np.flip(dy, tuple(range(2, dy.ndim))))
    yield s.change(dy=_misread_space)
    yield s.change(dy=lambda dy: np.moveaxis(dy.reshape(dy.shape[0], *dy.shape[2:], dy.shape[1]), -1, 1))
    for axis in (0, 1):
        yield s.change(dy=lambda dy, axis=axis: np.flip(dy, axis))
        yield s.change(dy=lambda dy, axis=axis: np.roll(dy, 1, axis))


@gradient(
    "output-gradient-partly-used",
    "the last or first row, column or channel of the output's gradient is left out",
    *GRADIENTS,
)
def partly(s: Setting) -> Iterator[Change]:
    for axis in dict.fromkeys((2, 1 + s.rank, 1)):
        for i in (-1, 0):
            yield s.change(dy=lambda dy, i=i, axis=axis: _zeroed(dy, (slice(None),) * (axis % dy.ndim) + (i,)))
    yield s.change(dy=lambda dy: _zeroed(dy, (-1,) * dy.ndim))


@gradient("gradient-ignores-dy", "the output's gradient is taken to be ones: the gradient of the plain sum", *GRADIENTS)
def ones(s: Setting) -> Iterator[Change]:
    yield s.change(dy=Map(np.ones_like, back=lambda a, _: np.zeros(a.shape)))


@gradient("gradient-clipped", "the gradient is clipped to ±1", *GRADIENTS)
def clipped(s: Setting) -> Iterator[Change]:
    yield s.change(result=Map(lambda g: np.clip(g, -1, 1)))


@gradient("gradient-magnitude", "the sign of the gradient is lost", *GRADIENTS)
def magnitude(s: Setting) -> Iterator[Change]:
    yield s.change(result=Map(np.abs))


# ---------------------------------------------------------------- the bias's gradient


@gradient("bias-gradient-of-one-position", "only one position contributes to the bias's gradient", BIAS)
def bias_position(s: Setting) -> Iterator[Change]:
    for i in (0, -1):
        yield s.change(dy=lambda dy, i=i: _only(dy, (slice(None), slice(None), *(i,) * s.rank)))
        yield s.change(dy=lambda dy, i=i: _only(dy, (i, slice(None), *(i,) * s.rank)))
        yield s.change(dy=lambda dy, i=i: _only(dy, (slice(None), slice(None), i)))
        yield s.change(dy=lambda dy, i=i: _only(dy, (..., i)))


@gradient(
    "bias-gradient-in-another-order",
    "the elements of the bias's gradient are in another order, or one is used for all",
    BIAS,
)
def bias_order(s: Setting) -> Iterator[Change]:
    yield s.change(result=lambda b: b[::-1])
    yield s.change(result=lambda b: np.roll(b, 1))
    yield s.change(result=lambda b: np.roll(b, -1))
    yield s.change(result=lambda b: np.repeat(b[:1], len(b)))
    yield s.change(result=Map(lambda b: np.full(b.shape, b.sum()).astype(b.dtype)))
    if 1 < s.geometry.groups < s.outputs:
        yield s.change(result=lambda b: _interleaved(b, s.geometry.groups))


@gradient("bias-gradient-partly-written", "the last or first element of the bias's gradient is not written: zero", BIAS)
def bias_partly(s: Setting) -> Iterator[Change]:
    yield s.change(result=lambda b: _zeroed(b, -1))
    yield s.change(result=lambda b: _zeroed(b, 0))
