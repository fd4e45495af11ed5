"""A geometry as a layer of Keras, with the parameters that the problem gives."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import keras
import tensorflow as tf

from crosscorrect.adapter import Unsupported
from crosscorrect_adapters._counts import counts
from crosscorrect_adapters._tensorflow_ops import kernel_to_last, to_first, to_last

if TYPE_CHECKING:
    from crosscorrect.geometry import Geometry

LAYERS = {1: keras.layers.Conv1D, 2: keras.layers.Conv2D, 3: keras.layers.Conv3D}
TRANSPOSED = {1: keras.layers.Conv1DTranspose, 2: keras.layers.Conv2DTranspose, 3: keras.layers.Conv3DTranspose}
REFUSING = ("not supported in conjunction", "Cannot convert `policy`")


def make(x: Any, w: Any, b: Any | None, geometry: Geometry) -> Any:
    """Make and build the layer for images like ``x``, its parameters zero. Raises Unsupported."""
    kind: Any = (TRANSPOSED if geometry.transposed else LAYERS)[geometry.rank]
    options: dict[str, Any] = {"padding": _padding(kind.__name__, tuple(x.shape[2:]), tuple(w.shape[2:]), geometry)}
    if geometry.transposed:
        if geometry.groups > 1:
            raise Unsupported(f"keras.layers.{kind.__name__} has no groups")
        options["output_padding"] = geometry.output_padding
    else:
        options["groups"] = geometry.groups
    try:
        layer = kind(
            w.shape[1] if geometry.transposed else w.shape[0],
            tuple(w.shape[2:]),
            strides=geometry.stride,
            data_format="channels_last",
            dilation_rate=geometry.dilation,
            use_bias=b is not None,
            kernel_initializer="zeros",  # no start is drawn
            dtype=x.dtype.name,
            **options,
        )
        layer.build((None, *x.shape[2:], x.shape[1]))
    except ValueError as error:
        if any(words in str(error) for words in REFUSING):
            raise Unsupported(str(error).splitlines()[0]) from error
        raise
    return layer


def _padding(name: str, image: tuple[int, ...], kernel: tuple[int, ...], geometry: Geometry) -> str:
    pads = counts(geometry, image, kernel)
    if not any(map(any, pads)) and geometry.padding != "same_upper":
        return "valid"
    if not geometry.transposed and pads == counts(replace(geometry, padding="same_upper"), image, kernel):
        return "same"
    raise Unsupported(f"keras.layers.{name} has the paddings 'valid' and 'same' (the odd zero at the end) only")


def fill(layer: Any, w: Any, b: Any | None) -> None:
    """Set the parameters of a layer."""
    layer.kernel.assign(kernel_to_last(w))
    if b is not None:
        layer.bias.assign(b)


def apply(x: Any, *, layer: Any) -> Any:
    """Apply a layer between ``(N, C, *space)`` at both ends."""
    return to_first(layer(to_last(x)))


def gradients(x: Any, dy: Any, *, layer: Any) -> tuple[Any, ...]:
    """Gradients of ``sum(layer(x) * dy)`` with respect to x and the layer's own parameters."""
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = apply(x, layer=layer)
    dx, dw, *db = tape.gradient(y, [x, *layer.trainable_variables], output_gradients=dy)
    rank = dw.shape.rank
    return (dx, tf.transpose(dw, (rank - 1, rank - 2, *range(rank - 2))), *db)
