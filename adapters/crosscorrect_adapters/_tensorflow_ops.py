"""TensorFlow's operators in every geometry, the double loop written three ways, and the chapter's layer."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import keras
import tensorflow as tf

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from crosscorrect.geometry import Geometry

    Way = tuple[Callable[..., Any], bool]  # a function of tensors, and whether XLA is to compile it

WORDS = {"valid": "VALID", "same_upper": "SAME"}
"""The paddings that TensorFlow has a word for; it has none for ``same_lower``."""


def correlate(x: Any, w: Any, b: Any | None, *, geometry: Geometry, pad_first: bool = False) -> Any:
    """``tf.nn.conv{1,2,3}d`` or ``tf.nn.conv_transpose`` between ``(N, C, *space)`` at both ends.

    TensorFlow's CPU kernels want channels last and kernels ``(*kernel, in / groups, out)``, hence the transposes. Only
    the 2-D operator takes padding as a list; elsewhere, and with ``pad_first``, ``tf.pad`` goes before ``VALID``.
    """
    axes = range(2, geometry.rank + 2)
    images = tf.transpose(x, (0, *axes, 1))
    kernels = tf.transpose(w, (*axes, 1, 0))  # (*kernel, in / groups, out); transposed (*kernel, out / groups, in)
    convolve = _transposed if geometry.transposed else _forward
    y = convolve(images, kernels, geometry, pad_first)
    if b is not None:
        y = tf.nn.bias_add(y, b)
    return tf.transpose(y, (0, geometry.rank + 1, *(axis - 1 for axis in axes)))


def ways(function: Callable[..., Any], geometry: Geometry) -> Sequence[Way]:
    """List the ways users take to ``correlate`` or ``gradients``, the plainest first.

    TensorFlow's CPU kernels have gaps only where a kernel is dilated or grouped: no gradients with a padding list, none
    in float64 or float16 at all, and no such kernels in 3-D. So first the native operator as it is spelt; then, for a
    list, ``tf.pad`` and ``VALID``, which oneDNN differentiates in float32; at last the operator compiled by XLA, which
    is what Keras itself does. (Splitting by group would help groups only, space_to_batch dilation of stride 1 only.)
    """
    spelt = functools.partial(function, geometry=geometry)
    if geometry.groups == 1 and max(geometry.dilation) == 1:
        return [(spelt, False)]
    padded = functools.partial(function, geometry=geometry, pad_first=True)
    return [(spelt, False), *([(padded, False)] if _takes_list(geometry) else []), (spelt, True)]


def gradients(
    x: Any, w: Any, b: Any | None, dy: Any, *, geometry: Geometry, pad_first: bool = False
) -> tuple[Any, ...]:
    """Gradients of ``sum(correlate(x, w, b) * dy)`` with respect to x, w and, where there is one, b."""
    sources = [x, w] if b is None else [x, w, b]
    with tf.GradientTape() as tape:
        tape.watch(sources)
        y = correlate(x, w, b, geometry=geometry, pad_first=pad_first)
    return tuple(tape.gradient(y, sources, output_gradients=_hide_shape(dy, geometry)))


def _takes_list(geometry: Geometry) -> bool:
    return geometry.rank == 2 and not geometry.transposed and not isinstance(geometry.padding, str)


def _forward(x: Any, w: Any, geometry: Geometry, pad_first: bool) -> Any:
    strides, dilations = list(geometry.stride), list(geometry.dilation)
    padding: Any = WORDS.get(str(geometry.padding))
    if padding is None:
        counts = [(0, 0), *geometry.pads(tuple(x.shape[1:-1]), tuple(w.shape[:-2])), (0, 0)]
        if _takes_list(geometry) and not pad_first:
            padding = counts
        else:
            x, padding = tf.pad(x, counts), "VALID"
    if geometry.rank == 1:
        return tf.nn.conv1d(x, w, strides, padding, dilations=dilations)
    if geometry.rank == 2:
        return tf.nn.conv2d(x, w, strides, padding, dilations=dilations)
    x = _hide_shape(x, geometry)
    return tf.nn.conv3d(x, w, [1, *strides, 1], padding, dilations=[1, *dilations, 1])


def _transposed(x: Any, w: Any, geometry: Geometry, _pad_first: bool) -> Any:
    # conv_transpose errs on explicit padding with dilation or groups and on output_padding >= stride: so take the whole
    # adjoint and crop it. Output padding beyond the whole adjoint holds zeros.
    strides, x = list(geometry.stride), _hide_shape(x, geometry)
    whole = (tf.shape(x)[1:-1] - 1) * strides + geometry.spans(w.shape[:-2])
    shape = tf.concat([tf.shape(x)[:1], whole, [w.shape[-2] * geometry.groups]], 0)
    y = tf.nn.conv_transpose(x, w, shape, strides=strides, padding="VALID", dilations=list(geometry.dilation))
    y = tf.pad(y, [(0, 0), *((0, extra) for extra in geometry.output_padding), (0, 0)])
    crop = [slice(begin, -end or None) for begin, end in geometry.pads((), ())]
    return y[(slice(None), *crop)]


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
