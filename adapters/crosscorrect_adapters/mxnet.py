"""The adapter of Apache MXNet 1.x, in the ``nd`` and Gluon API of the chapter.

MXNet computes on engine threads: an error appears when a tensor is waited for, and if nobody waits it comes back from
a later, correct call. Here every method waits for all it started, and a method that fails first empties the engine of
what else failed. That is enough (tests/frameworks/test_mxnet.py), so the engine stays the default one that users time.
"""

from __future__ import annotations

import ctypes
import functools
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterator, List, Optional, Sequence, Tuple, TypeVar, cast

import mxnet as mx
from mxnet import autograd, nd
from mxnet.gluon import nn

from crosscorrect.adapter import Grads, Identity, Trained, Unsupported
from crosscorrect_adapters import _mxnet_graph as graph

if TYPE_CHECKING:
    from crosscorrect.adapter import Array
    from crosscorrect.geometry import Geometry

Method = TypeVar("Method", bound=Callable[..., Any])


def settled(method: Method) -> Method:
    """Wait for what the method started, so that its errors, and no others, are raised by this very call."""

    @functools.wraps(method)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            result = method(*args, **kwargs)
            for tensor in _tensors(result):
                tensor.wait_to_read()
            nd.waitall()
        except Exception:
            _drain()
            raise
        return result

    return cast("Method", call)


def _tensors(result: Any) -> Iterator[Any]:
    if isinstance(result, nd.NDArray):
        yield result
    elif isinstance(result, (Grads, Trained)):
        yield from _tensors(list(vars(result).values()))
    elif isinstance(result, (list, tuple)):
        for part in result:
            yield from _tensors(part)


def _drain() -> None:
    """Collect the errors still in the engine: one failed operator may have spoilt several tensors (bounded, not endless)."""
    for _ in range(16):
        try:
            nd.waitall()
        except mx.base.MXNetError:
            continue
        return


def corr2d(X: Any, K: Any) -> Any:
    """The chapter's double loop (In [1]); the dtype is that of ``X``, where the chapter leaves float32 to ``zeros``."""
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

    def __init__(self, kernel_size: Tuple[int, int], mode: str = "eager", **kwargs: Any) -> None:
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
        """float16 and the integers are left out: its convolution refuses them on a CPU or, int8, saturates."""
        return Identity(
            name="mxnet",
            versions=_versions(),
            devices=("cpu", *(f"cuda:{i}" for i in range(mx.context.num_gpus()))),
            modes=("eager", "compiled"),
            notes=("compiled: hybridized blocks; the double loop has its elements stacked, as symbols have no shape",),
        )

    def arithmetic(self, kind: str) -> None:
        """MXNet computes at the dtype of the tensors on a CPU and has no switch for anything else."""
        if kind == "tf32":
            raise Unsupported("MXNet has no switch for TF32")
        if kind == "strict" and self._context.device_type != "cpu":
            raise Unsupported("MXNet has no switch for TF32: whether cuDNN uses it depends on NVIDIA_TF32_OVERRIDE")

    def put(self, array: Array) -> Any:
        """Copy with the dtype named: ``nd.array`` alone makes float32 of float64 and of int64."""
        return _settled_array(array, self._context)

    @settled
    def get(self, tensor: Any) -> Array:
        """Wait and copy to NumPy."""
        return tensor.asnumpy()

    @settled
    def sync(self, *tensors: Any) -> None:
        """Wait for these tensors and for all else that is pending."""
        for tensor in tensors:
            tensor.wait_to_read()

    @settled
    def corr2d(self, x: Any, k: Any) -> Any:
        """Element assignment; in ``compiled`` mode stacked, as a Symbol has neither shape nor item assignment."""
        return corr2d(x, k) if self._mode == "eager" else self._stacked(x, k)

    def Conv2D(self, kernel_size: Tuple[int, int]) -> Conv2D:  # noqa: N802  the chapter's own name
        """The chapter's layer as a ``gluon.nn.Block``; as every Gluon block it waits for ``initialize``."""
        return Conv2D(kernel_size, self._mode)

    @settled
    def layer(self, x: Any, w: Any, b: Any) -> Any:
        """Initialise with zeros, so that no random number is drawn, then set the parameters."""
        return self._set(self.Conv2D(w.shape), x, w, b)(x)

    @settled
    def matmul(self, a: Any, b: Any) -> Any:
        """``nd.dot``."""
        return graph.execute(self._mode, graph.dot, tensors=(a, b))

    @settled
    def conv2d(self, x: Any, w: Any, b: Optional[Any], geometry: Geometry) -> Any:
        """``Convolution``, or ``Deconvolution`` when transposed."""
        return self._convolve((x, w) if b is None else (x, w, b), geometry)

    @settled
    def grads(self, x: Any, w: Any, b: Optional[Any], dy: Any, geometry: Geometry) -> Grads:
        """By ``autograd``."""
        return Grads(*_gradients(lambda *t: self._convolve(t, geometry), (x, w) if b is None else (x, w, b), dy))

    @settled
    def train(
        self,
        x: Any,
        y: Any,
        w0: Optional[Any],
        b0: Optional[Any],
        lr: float,
        steps: int,
        layer: str,
        kernel_size: Sequence[int],
    ) -> Trained:
        """The chapter's loop; in a fresh process its own start gives the chapter's digits (MXNet's default seed is fixed)."""
        size = (int(kernel_size[0]), int(kernel_size[1]))
        # nn.Conv2D has a bias by default; the chapter leaves it at its start, zero, and so does this loop without b0
        net = nn.Conv2D(1, kernel_size=size) if layer == "builtin" else self.Conv2D(size)
        if self._mode == "compiled":
            net.hybridize()
        self._set(net, x, w0, b0)
        net(x)  # the first call settles the shapes that nn.Conv2D leaves open, and draws its start if none is set
        losses: List[Any] = []
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
    def differentiate_corr2d(self, x: Any, k: Any, dy: Any, loop: str) -> Optional[Tuple[Any, Any]]:
        """Only ``stacked`` has a gradient. MXNet users know no other element update, so ``idiomatic`` is ``literal``."""

        def literal(a: Any, b: Any) -> Any:
            # hybridized, the loop as the chapter writes it fails earlier: a Symbol has no attribute 'shape'
            return graph.execute(self._mode, _literal, tensors=(a, b))

        dx, dk = _gradients(self._stacked if loop == "stacked" else literal, (x, k), dy)
        return dx, dk

    def _stacked(self, x: Any, k: Any) -> Any:
        return graph.execute(self._mode, graph.stacked, x.shape, k.shape, tensors=(x, k))

    def _convolve(self, tensors: Tuple[Any, ...], geometry: Geometry) -> Any:
        function = graph.deconvolution if geometry.transposed else graph.convolution
        return graph.execute(self._mode, function, geometry, tensors[0].shape, tensors[1].shape, tensors=tensors)

    def _set(self, net: Any, x: Any, w: Optional[Any], b: Optional[Any]) -> Any:
        """Initialise ``net`` in the dtype of ``x``: the given parameters, or its own default start."""
        net.cast(x.dtype)
        net.initialize(None if w is None else mx.init.Zero(), ctx=self._context)
        if w is not None:
            net.weight.set_data(w)
        if b is not None:
            net.bias.set_data(b)
        return net


def _literal(_: Any, x: Any, k: Any) -> Any:
    return corr2d(x, k)


@settled
def _settled_array(array: Array, context: Any) -> Any:
    return nd.array(array, ctx=context, dtype=array.dtype)


def _gradients(function: Callable[..., Any], tensors: Tuple[Any, ...], dy: Any) -> List[Any]:
    """Gradients of ``sum(function(*tensors) * dy)``; the variables are detached so that the caller's stay unmarked."""
    variables = [tensor.detach() for tensor in tensors]
    for variable in variables:
        variable.attach_grad()
    with autograd.record():
        y = function(*variables)
    y.wait_to_read()  # a failed forward is no input of the backward and could stay unseen
    y.backward(dy)
    return [variable.grad for variable in variables]


def _versions() -> Dict[str, str]:
    """MXNet, the oneDNN it was built with (from the headers it ships) and the OpenBLAS it has loaded."""
    versions = {"mxnet": mx.__version__}
    features = mx.runtime.Features()
    library = Path(mx.libinfo.find_lib_path()[0])
    header = library.parent / "include" / "mkldnn" / "dnnl_version.h"
    if features.is_enabled("MKLDNN") and header.exists():
        numbers = re.findall(r"define DNNL_VERSION_(?:MAJOR|MINOR|PATCH) (\d+)", header.read_text(encoding="utf-8"))
        versions["oneDNN"] = ".".join(numbers)
    if features.is_enabled("BLAS_OPEN"):
        config = getattr(ctypes.CDLL(str(library)), "openblas_get_config", None)
        if config is not None:
            config.restype = ctypes.c_char_p
            versions["OpenBLAS"] = config().decode().split()[1]
    return versions
