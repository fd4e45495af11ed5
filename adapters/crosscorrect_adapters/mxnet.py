"""The adapter of Apache MXNet 1.x, in the ``nd`` and Gluon API of the chapter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import mxnet as mx
import numpy as np
from mxnet import autograd, nd
from mxnet.gluon import nn

from crosscorrect import dtypes
from crosscorrect.adapter import Grads, Identity, Trained, Unsupported
from crosscorrect_adapters import _mxnet_graph as graph, _mxnet_modules as modules
from crosscorrect_adapters._mxnet_engine import refusing, settled, versions

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from crosscorrect.adapter import Array
    from crosscorrect.geometry import Geometry


DTYPES = ("float16", "bfloat16", "float32", "float64", "int8", "uint8", "int32", "int64")  # it has tensors of no others
SPELLINGS = ("native", "apart", "channels_last", "recorded", "module")


def corr2d(X: Any, K: Any) -> Any:
    """Run the chapter's double loop (In [1]) in the dtype of ``X``; the chapter leaves it to ``zeros``: float32."""
    h, w = K.shape
    Y = nd.zeros((X.shape[0] - h + 1, X.shape[1] - w + 1), ctx=X.context, dtype=X.dtype)
    for i in range(Y.shape[0]):
        for j in range(Y.shape[1]):
            Y[i, j] = (X[i : i + h, j : j + w] * K).sum()
    return Y


class Conv2D(nn.Block):
    """The chapter's custom layer (In [3]).

    The loop assigns elements and autograd refuses that (Problem 2), so while it records, the elements are stacked.
    """

    def __init__(self, kernel_size: tuple[int, int], mode: str = "eager", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._mode = mode
        self.weight = self.params.get("weight", shape=kernel_size)
        self.bias = self.params.get("bias", shape=(1,))

    def forward(self, x: Any) -> Any:
        """Cross-correlate ``(H, W)`` with the weight and add the scalar bias."""
        weight = self.weight.data()
        if self._mode == "eager" and not autograd.is_recording():
            return corr2d(x, weight) + self.bias.data()
        y = graph.execute(self._mode, graph.stacked, x.shape, weight.shape, tensors=(x, weight))
        return y + self.bias.data()


class MxnetAdapter:
    """MXNet on one device; ``compiled`` means hybridized Gluon blocks (CachedOp)."""

    def __init__(self, device: str, mode: str) -> None:
        kind, _, index = device.partition(":")
        self._context = mx.cpu() if kind == "cpu" else mx.gpu(int(index or 0))
        self._mode = mode

    @classmethod
    def identity(cls) -> Identity:
        """Name this MXNet, with every dtype of its tensors: what its operators make of them is for them to say."""
        return Identity(
            name="mxnet",
            versions=versions(),
            devices=("cpu", *(f"cuda:{i}" for i in range(mx.context.num_gpus()))),
            modes=("eager", "compiled"),
            dtypes=DTYPES,
            spellings=SPELLINGS,
            notes=("compiled: hybridized blocks; the double loop has its elements stacked, as symbols have no shape",),
        )

    def arithmetic(self, kind: str) -> None:
        """Accept what is so anyway: on a CPU MXNet computes at the dtype of its tensors, and it has no switches."""
        if kind in ("tf32", "bf16"):
            raise Unsupported(f"MXNet has no switch for {kind.upper()}")
        if kind == "strict" and self._context.device_type != "cpu":
            raise Unsupported("MXNet has no switch for TF32: whether cuDNN uses it depends on NVIDIA_TF32_OVERRIDE")

    @settled
    def put(self, array: Array) -> Any:
        """Copy with the dtype named: ``nd.array`` alone makes float32 of float64 and of int64.

        MXNet's bfloat16 arrays in NumPy are the same structured ones as the harness's.
        """
        return nd.array(array, ctx=self._context, dtype=array.dtype)

    @settled
    def get(self, tensor: Any) -> Array:
        """Wait and copy to NumPy."""
        return tensor.asnumpy()

    @settled
    def sync(self, *tensors: Any) -> None:
        """Wait for these tensors and for all else that is pending."""
        for tensor in tensors:
            tensor.wait_to_read()

    @refusing
    @settled
    def corr2d(self, x: Any, k: Any) -> Any:
        """Assign element by element; ``compiled`` stacks them, as a Symbol has neither shape nor item assignment."""
        return corr2d(x, k) if self._mode == "eager" else self._stacked(x, k)

    def Conv2D(self, kernel_size: tuple[int, int]) -> Conv2D:  # noqa: N802  the chapter's own name
        """Make the chapter's layer, a ``gluon.nn.Block`` that, as every Gluon block, waits for ``initialize``."""
        return Conv2D(kernel_size, self._mode)

    @refusing
    @settled
    def layer(self, x: Any, w: Any, b: Any) -> Any:
        """Initialise with zeros, so that no random number is drawn, then set the parameters."""
        return self._set(self.Conv2D(w.shape), x, w, b)(x)

    @refusing
    @settled
    def matmul(self, a: Any, b: Any) -> Any:
        """Apply ``nd.dot``."""
        return graph.execute(self._mode, graph.dot, tensors=(a, b))

    @refusing
    @settled
    def conv2d(self, x: Any, w: Any, b: Any | None, geometry: Geometry, spelling: str = "native") -> Any:
        """Apply ``Convolution``, or ``Deconvolution`` when transposed; as ``module`` the layers of Gluon."""
        if spelling == "module":
            return modules.layer(x, w, b, geometry, self._mode)(x)
        tensors = (x, w) if b is None else (x, w, b)
        if spelling == "recorded":
            tensors = tuple(_variables(tensors))
            with autograd.record():
                return self._convolve(tensors, geometry, spelling)
        return self._convolve(tensors, geometry, spelling)

    @refusing
    @settled
    def grads(self, x: Any, w: Any, b: Any | None, dy: Any, geometry: Geometry, spelling: str = "native") -> Grads:
        """Differentiate by ``autograd``; as ``module``, with respect to the layer's parameters."""
        if spelling == "module":
            return Grads(*modules.gradients(modules.layer(x, w, b, geometry, self._mode), x, dy))
        tensors = (x, w) if b is None else (x, w, b)
        return Grads(*_gradients(lambda *t: self._convolve(t, geometry, spelling), tensors, dy))

    @settled
    def pull_back(self, function: Callable[..., Any], operands: Sequence[Any], dy: Any) -> Sequence[Any]:
        """Differentiate a person's function by ``autograd``."""
        return _gradients(function, tuple(operands), dy)

    @refusing
    @settled
    def train(
        self,
        x: Any,
        y: Any,
        w0: Any | None,
        b0: Any | None,
        lr: float,
        steps: int,
        layer: str,
        kernel_size: Sequence[int],
    ) -> Trained:
        """Run the chapter's loop; MXNet's seed is fixed: its own start in a new process gives the chapter's digits."""
        size = (int(kernel_size[0]), int(kernel_size[1]))
        # nn.Conv2D has a bias by default; the chapter leaves it at its start, zero, and so does this loop without b0
        net = nn.Conv2D(1, kernel_size=size) if layer == "builtin" else self.Conv2D(size)
        if self._mode == "compiled":
            net.hybridize()
        self._set(net, x, w0, b0)
        net(x)  # the first call settles the shapes that nn.Conv2D leaves open, and draws its start if none is set
        losses: list[Any] = []
        weights, biases = [net.weight.data().copy()], [net.bias.data().copy()]
        for _ in range(steps):
            with autograd.record():
                loss = (net(x) - y) ** 2
            loss.backward()
            losses.append(loss.sum())
            net.weight.data()[:] -= lr * net.weight.grad()
            weights.append(net.weight.data().copy())
            if b0 is not None:
                net.bias.data()[:] -= lr * net.bias.grad()
                biases.append(net.bias.data().copy())
        return Trained(losses, weights, biases if b0 is not None else [])

    @settled
    def differentiate_corr2d(self, x: Any, k: Any, dy: Any, loop: str) -> tuple[Any, Any] | None:
        """Differentiate the loop: only ``stacked`` has a gradient; MXNet has no idiom beside the ``literal`` one."""

        def literal(a: Any, b: Any) -> Any:
            # hybridized, the loop as the chapter writes it fails earlier: a Symbol has no attribute 'shape'
            return graph.execute(self._mode, _literal, tensors=(a, b))

        dx, dk = _gradients(self._stacked if loop == "stacked" else literal, (x, k), dy)
        return dx, dk

    def _stacked(self, x: Any, k: Any) -> Any:
        return graph.execute(self._mode, graph.stacked, x.shape, k.shape, tensors=(x, k))

    def _convolve(self, tensors: tuple[Any, ...], geometry: Geometry, spelling: str) -> Any:
        (x, w), mode = tensors[:2], self._mode
        if spelling == "channels_last" and np.dtype(x.dtype) == dtypes.BFLOAT16:
            raise Unsupported(
                "nd.transpose of bfloat16 writes past its memory, so that the channels cannot be put last"
            )
        if geometry.transposed:
            dtype = dtypes.name_of(x.dtype)
            return graph.execute(
                mode, graph.deconvolution, geometry, spelling, dtype, x.shape, w.shape, tensors=tensors
            )
        return graph.execute(mode, graph.convolution, geometry, spelling, x.shape, w.shape, tensors=tensors)

    def _set(self, net: Any, x: Any, w: Any | None, b: Any | None) -> Any:
        """Initialise ``net`` in the dtype of ``x``: the given parameters, or its own default start."""
        net.cast(x.dtype)
        if w is None:
            net.initialize(ctx=self._context)
        else:
            net.initialize(mx.init.Zero(), ctx=self._context)  # a random one would shift the draws of a later start
            net.weight.set_data(w)
        # the default initialiser draws the custom layer's bias at random too: it declares no initialiser of its own
        net.bias.set_data(nd.zeros((1,), ctx=self._context, dtype=x.dtype) if b is None else b)
        return net


def _literal(_: Any, x: Any, k: Any) -> Any:
    return corr2d(x, k)


def _gradients(function: Callable[..., Any], tensors: tuple[Any, ...], dy: Any) -> list[Any]:
    """Differentiate ``sum(function(*tensors) * dy)``, by detached variables so that the caller's stay unmarked."""
    variables = _variables(tensors)
    with autograd.record():
        y = function(*variables)
    y.wait_to_read()  # a failed forward is no input of the backward and could stay unseen
    y.backward(dy)
    return [variable.grad for variable in variables]


def _variables(tensors: tuple[Any, ...]) -> list[Any]:
    """Copies that gradients are recorded of."""
    variables = [tensor.detach() for tensor in tensors]
    for variable in variables:
        variable.attach_grad()
    return variables
