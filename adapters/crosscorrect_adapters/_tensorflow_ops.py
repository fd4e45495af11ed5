"""TensorFlow's operators in every geometry and spelling, the double loop written three ways, and the chapter's layer.

What makes no sense (a stride of zero, groups that do not divide, a wrong rank) is handed on, for TensorFlow to answer.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import keras
import tensorflow as tf

from crosscorrect.adapter import Unsupported
from crosscorrect_adapters._counts import counts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from crosscorrect.geometry import Geometry

    Way = tuple[Callable[..., Any], bool]  # a function of tensors, and whether XLA is to compile it

WORDS = {"valid": "VALID", "same_upper": "SAME"}
"""The paddings that TensorFlow has a word for; it has none for ``same_lower``."""
FIRST = {1: "NCW", 2: "NCHW", 3: "NCDHW"}
LAST = {1: "NWC", 2: "NHWC", 3: "NDHWC"}


def correlate(x: Any, w: Any, b: Any | None, *, geometry: Geometry, spelling: str = "native") -> Any:
    """``tf.nn.conv{1,2,3}d`` or ``tf.nn.conv_transpose`` between ``(N, C, *space)`` at both ends.

    TensorFlow's CPU kernels want channels last and kernels ``(*kernel, in / groups, out)``, hence the transposes, which
    ``channels_first`` leaves out for the image. Only the 2-D operator takes padding as a list; elsewhere, and with
    ``apart``, ``tf.pad`` goes before ``VALID``.
    """
    first = spelling == "channels_first"
    images = x if first else to_last(x)
    convolve = _transposed if geometry.transposed else _forward
    y = convolve(images, kernel_to_last(w), geometry, spelling)
    if b is not None:
        y = tf.nn.bias_add(y, b, data_format="NC.." if first else "N..C")
    return y if first else to_first(y)


def recorded(x: Any, w: Any, b: Any | None, *, geometry: Geometry, spelling: str) -> Any:
    """``correlate`` computed while a tape records it."""
    with tf.GradientTape() as tape:
        tape.watch([t for t in (x, w, b) if t is not None])
        return correlate(x, w, b, geometry=geometry, spelling=spelling)


def to_last(x: Any) -> Any:
    """``(N, C, *space)`` with its channels moved to the end."""
    return tf.transpose(x, (0, *range(2, x.shape.rank), 1))


def to_first(y: Any) -> Any:
    """``(N, *space, C)`` with its channels moved to the front."""
    rank = y.shape.rank
    return tf.transpose(y, (0, rank - 1, *range(1, rank - 1)))


def kernel_to_last(w: Any) -> Any:
    """A kernel as TensorFlow has it: ``(*kernel, in / groups, out)``, transposed ``(*kernel, out / groups, in)``."""
    return tf.transpose(w, (*range(2, w.shape.rank), 1, 0))


def ways(function: Callable[..., Any], geometry: Geometry, spelling: str = "native") -> Sequence[Way]:
    """List the ways users take to ``correlate``, ``recorded`` or ``gradients``, the plainest first.

    TensorFlow's CPU kernels have gaps only where a kernel is dilated or grouped: no gradients with a padding list, none
    in float64 or float16 at all, and no such kernels in 3-D. So first the native operator as it is spelt; then, for a
    list, ``tf.pad`` and ``VALID``, which oneDNN differentiates in float32; at last the operator compiled by XLA, which
    is what Keras itself does. (Splitting by group would help groups only, space_to_batch dilation of stride 1 only.)
    With the channels first there are no gradients at all, and forward only what oneDNN has, but for XLA.
    """
    spelt = functools.partial(function, geometry=geometry, spelling=spelling)
    if spelling != "channels_first" and geometry.groups == 1 and max(geometry.dilation) == 1:
        return [(spelt, False)]
    padded = functools.partial(function, geometry=geometry, spelling="apart")
    detour = spelling in ("native", "recorded") and _takes_list(geometry)
    return [(spelt, False), *([(padded, False)] if detour else []), (spelt, True)]


def gradients(
    x: Any, w: Any, b: Any | None, dy: Any, *, geometry: Geometry, spelling: str = "native"
) -> tuple[Any, ...]:
    """Gradients of ``sum(correlate(x, w, b) * dy)`` with respect to x, w and, where there is one, b."""
    sources = [x, w] if b is None else [x, w, b]
    with tf.GradientTape() as tape:
        tape.watch(sources)
        y = correlate(x, w, b, geometry=geometry, spelling=spelling)
    return tuple(tape.gradient(y, sources, output_gradients=_hide_shape(dy, geometry)))


def _takes_list(geometry: Geometry) -> bool:
    return geometry.rank == 2 and not geometry.transposed and not isinstance(geometry.padding, str)


def _forward(x: Any, w: Any, geometry: Geometry, spelling: str) -> Any:
    strides, dilations, first = list(geometry.stride), list(geometry.dilation), spelling == "channels_first"
    image, layout = (x.shape[2:] if first else x.shape[1:-1]), (FIRST if first else LAST)[geometry.rank]
    if geometry.groups != 1 and x.shape[1 if first else -1] != w.shape[-2] * geometry.groups:
        raise Unsupported(
            f"tf.nn.conv{geometry.rank}d is not told of groups: it divides the channels of x by the kernel's"
        )
    padding: Any = None if spelling == "apart" else WORDS.get(str(geometry.padding))
    if padding is None:
        pads = counts(geometry, tuple(image), tuple(w.shape[:-2]))
        sides = [(0, 0), (0, 0), *pads] if first else [(0, 0), *pads, (0, 0)]
        if _takes_list(geometry) and spelling != "apart":
            padding = sides
        else:
            x, padding = tf.pad(x, sides), "VALID"
    if geometry.rank == 1:
        return tf.nn.conv1d(x, w, strides, padding, layout, dilations)
    if geometry.rank == 2:
        return tf.nn.conv2d(x, w, strides, padding, layout, dilations)
    x, ones = _hide_shape(x, geometry), [1, 1] if first else [1]
    last = [] if first else [1]
    return tf.nn.conv3d(x, w, [*ones, *strides, *last], padding, layout, [*ones, *dilations, *last])


def _transposed(x: Any, w: Any, geometry: Geometry, spelling: str) -> Any:
    # conv_transpose errs on explicit padding with dilation or groups and on output_padding >= stride: so take the whole
    # adjoint and crop it. Output padding beyond the whole adjoint holds zeros.
    first, strides, x = spelling == "channels_first", list(geometry.stride), _hide_shape(x, geometry)
    size = tf.shape(x)[2:] if first else tf.shape(x)[1:-1]
    whole = (size - 1) * strides + geometry.spans(w.shape[:-2])
    channels = [w.shape[-2] * geometry.groups]
    shape = tf.concat([tf.shape(x)[:1], *((channels, whole) if first else (whole, channels))], 0)
    layout = (FIRST if first else LAST)[geometry.rank]
    y = tf.nn.conv_transpose(x, w, shape, strides, "VALID", layout, list(geometry.dilation))
    # what a crop cannot be, a negative count or more than there is, is for tf.pad and tf.slice to answer
    pads = counts(geometry, (), ())
    more = [(min(begin, 0), extra + min(end, 0)) for (begin, end), extra in zip(pads, geometry.output_padding)]
    y = tf.pad(y, [(0, 0), (0, 0), *more] if first else [(0, 0), *more, (0, 0)])
    left = whole + geometry.output_padding - [begin + end for begin, end in pads]
    left = tf.where(left < 0, left - 1, left)  # a size of -1 would mean all that is left
    begins = [max(begin, 0) for begin, _ in pads]
    every = [-1]
    if first:
        return tf.slice(y, [0, 0, *begins], tf.concat([every, every, left], 0))
    return tf.slice(y, [0, *begins, 0], tf.concat([every, left, every], 0))


def _hide_shape(x: Any, geometry: Geometry) -> Any:
    # In a graph, Conv3D's shape function takes the dilations of the last two axes for each other, and refuses what does
    # not fit then ("Negative dimension size"). Its kernels are right: a graph without static shapes does not ask it.
    if geometry.rank == 3 and geometry.dilation[1] != geometry.dilation[2]:
        return tf.compat.v1.placeholder_with_default(x, [None] * 5)
    return x


def corr2d_literal(x: Any, k: Any) -> Any:
    """In [1] as the chapter writes it; TensorFlow refuses the assignment with a TypeError."""
    h, w = k.shape
    y = tf.zeros((x.shape[0] - h + 1, x.shape[1] - w + 1), dtype=x.dtype)
    for i in range(y.shape[0]):
        for j in range(y.shape[1]):
            y[i, j] = tf.reduce_sum(x[i : i + h, j : j + w] * k)
    return y


def corr2d_assigned(x: Any, k: Any) -> Any:
    """In [1] as TensorFlow's users write it: elements of a ``tf.Variable`` are assigned, which ends any gradient."""
    h, w = k.shape
    y = tf.Variable(tf.zeros((x.shape[0] - h + 1, x.shape[1] - w + 1), dtype=x.dtype))
    for i in range(y.shape[0]):
        for j in range(y.shape[1]):
            y[i, j].assign(tf.reduce_sum(x[i : i + h, j : j + w] * k))
    return tf.convert_to_tensor(y)


def corr2d_stacked(x: Any, k: Any) -> Any:
    """In [1] with its elements collected and stacked: differentiable, and fit for ``tf.function``."""
    h, w = k.shape
    rows: list[Any] = []
    for i in range(x.shape[0] - h + 1):
        row = [tf.reduce_sum(x[i : i + h, j : j + w] * k) for j in range(x.shape[1] - w + 1)]
        rows.append(tf.stack(row))
    return tf.stack(rows)


class Corr2DLayer(keras.layers.Layer):
    """In [3] as a Keras layer: ``corr2d(x, weight) + bias``, the weight ``kernel_size``, the bias ``(1,)``."""

    def __init__(self, kernel_size: Sequence[int], dtype: str = "float32") -> None:
        super().__init__(dtype=dtype)
        self.weight = self.add_weight(shape=tuple(kernel_size), name="weight")  # Keras' default: Glorot uniform
        self.bias = self.add_weight(shape=(1,), initializer="zeros", name="bias")

    def call(self, inputs: Any, training: bool = False) -> Any:
        """``(H, W) -> (H-h+1, W-w+1)``, by assigned elements or, where ``training`` or compiled, by stacked ones.

        Assignment gives the weight no gradient, and no error either (Problem 2); tf.function refuses it.
        """
        loop = corr2d_assigned if tf.executing_eagerly() and not training else corr2d_stacked
        return loop(inputs, tf.convert_to_tensor(self.weight)) + self.bias
