"""A geometry as a layer of ``torch.nn``, with the parameters that the problem gives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from crosscorrect.adapter import Unsupported
from crosscorrect_adapters._torch_conv import own_padding

if TYPE_CHECKING:
    from crosscorrect.geometry import Geometry

LAYERS = {1: torch.nn.Conv1d, 2: torch.nn.Conv2d, 3: torch.nn.Conv3d}
TRANSPOSED = {1: torch.nn.ConvTranspose1d, 2: torch.nn.ConvTranspose2d, 3: torch.nn.ConvTranspose3d}


def layer(x: Any, w: Any, b: Any | None, geometry: Geometry) -> Any:
    """Make the layer for images like ``x``, its parameters copies of ``w`` and ``b``. Raises Unsupported.

    It is made on the device ``meta``, so that no start is drawn, and then given its parameters.
    """
    padding = own_padding(geometry, tuple(x.shape[2:]), tuple(w.shape[2:]))
    kind: Any = (TRANSPOSED if geometry.transposed else LAYERS)[geometry.rank]
    if padding is None:
        raise Unsupported(
            f"torch.nn.{kind.__name__} has one padding for both sides of an axis, at stride 1 also 'same'"
        )
    ins, outs = (
        (w.shape[0], w.shape[1] * geometry.groups)
        if geometry.transposed
        else (w.shape[1] * geometry.groups, w.shape[0])
    )
    more = {"output_padding": geometry.output_padding} if geometry.transposed else {}
    made = kind(
        ins,
        outs,
        tuple(w.shape[2:]),
        stride=geometry.stride,
        padding=padding,
        dilation=geometry.dilation,
        groups=geometry.groups,
        bias=b is not None,
        device="meta",
        dtype=w.dtype if _trains(w) else None,
        **more,
    )
    made.weight = parameter(w, trains=_trains(w))
    if b is not None:
        made.bias = parameter(b, trains=_trains(b))
    return made


def _trains(tensor: Any) -> bool:
    """Whether PyTorch has gradients of its dtype; a layer of integers computes forward only."""
    return bool(tensor.is_floating_point() or tensor.is_complex())


def parameter(tensor: Any, *, trains: bool = True) -> Any:
    """A copy of a tensor as a parameter. Raises Unsupported where PyTorch has no gradients of its dtype."""
    try:
        return torch.nn.Parameter(tensor.detach().clone(), requires_grad=trains)
    except RuntimeError as error:  # "Only Tensors of floating point and complex dtype can require gradients"
        raise Unsupported(str(error)) from error


def leaf(tensor: Any) -> Any:
    """A copy of a tensor that gradients are taken of. Raises Unsupported as ``parameter`` does."""
    try:
        return tensor.detach().clone().requires_grad_()
    except RuntimeError as error:
        raise Unsupported(str(error)) from error


def apply(made: Any, x: Any, _geometry: Geometry) -> Any:
    """Apply a layer: a Python function, because those are what torch.compile takes.

    The geometry tells compiled functions apart: two layers with parameters of one shape may differ in it alone.
    """
    return made(x)
