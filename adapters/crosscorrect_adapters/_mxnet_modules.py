"""A geometry as a convolution layer of Gluon, with the parameters that the problem gives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import mxnet as mx
from mxnet import autograd
from mxnet.gluon import nn

from crosscorrect.adapter import Unsupported
from crosscorrect_adapters._counts import counts
from crosscorrect_adapters._mxnet_graph import begins, symmetric

if TYPE_CHECKING:
    from crosscorrect.geometry import Geometry

LAYERS = {1: nn.Conv1D, 2: nn.Conv2D, 3: nn.Conv3D}
TRANSPOSED = {1: nn.Conv1DTranspose, 2: nn.Conv2DTranspose, 3: nn.Conv3DTranspose}


def layer(x: Any, w: Any, b: Any | None, geometry: Geometry, mode: str) -> Any:
    """Make the layer for images like ``x``, its parameters copies of ``w`` and ``b``. Raises Unsupported."""
    kind: Any = (TRANSPOSED if geometry.transposed else LAYERS)[geometry.rank]
    pads = counts(geometry, x.shape[2:], w.shape[2:])
    if not symmetric(pads):
        raise Unsupported(f"gluon.nn.{kind.__name__} has one padding for both sides of an axis")
    ins, outs, more = w.shape[1] * geometry.groups, w.shape[0], {}
    if geometry.transposed:
        ins, outs, more = w.shape[0], w.shape[1] * geometry.groups, {"output_padding": geometry.output_padding}
    net = kind(
        outs,
        w.shape[2:],
        strides=geometry.stride,
        padding=begins(pads),
        dilation=geometry.dilation,
        groups=geometry.groups,
        use_bias=b is not None,
        in_channels=ins,
        **more,
    )
    net.cast(x.dtype)
    net.initialize(mx.init.Zero(), ctx=x.context)  # no start is drawn
    net.weight.set_data(w)
    if b is not None:
        net.bias.set_data(b)
    if mode == "compiled":
        net.hybridize()
    return net


def gradients(net: Any, x: Any, dy: Any) -> list[Any]:
    """Gradients of ``sum(net(x) * dy)`` with respect to x and the layer's own parameters."""
    image = x.detach()
    image.attach_grad()
    with autograd.record():
        y = net(image)
    y.wait_to_read()  # a failed forward is no input of the backward and could stay unseen
    y.backward(dy)
    return [image.grad, net.weight.grad(), *([] if net.bias is None else [net.bias.grad()])]
