"""Speaks JAX for the harness: the chapter's loop, layer and training, and XLA's convolution with its gradients."""

from __future__ import annotations

from importlib import metadata
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Optional, Sequence, Tuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from crosscorrect.adapter import LAYERS, MODES, Grads, Identity, Trained, Unsupported
from crosscorrect.geometry import Geometry

if TYPE_CHECKING:
    from crosscorrect.adapter import Array

# Without this switch float64 and int64 arrays become float32 and int32 without a word. One process holds one framework.
jax.config.update("jax_enable_x64", True)

_USERS_PRECISION = jax.config.jax_default_matmul_precision
_WORDS = {"valid": "VALID", "same_upper": "SAME", "same_lower": "SAME_LOWER"}
_BACKENDS = ("jaxlib", "jax-cuda12-plugin", "jax-cuda13-plugin", "nvidia-cudnn-cu12", "nvidia-cudnn-cu13")
_DTYPES = ("float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")


def _zeros(x: Any, k: Any) -> Any:
    return jnp.zeros((x.shape[0] - k.shape[0] + 1, x.shape[1] - k.shape[1] + 1), x.dtype)


def _element(window: Any, k: Any) -> Any:
    return (window * k).sum(dtype=window.dtype)  # a plain sum of small integers would widen to int64


def _literal(x: Any, k: Any) -> Any:
    """The chapter's loop, letter for letter: JAX answers with its TypeError about immutable arrays."""
    (h, w), Y = k.shape, _zeros(x, k)
    for i in range(Y.shape[0]):
        for j in range(Y.shape[1]):
            Y[i, j] = _element(x[i : i + h, j : j + w], k)
    return Y


def _idiomatic(x: Any, k: Any) -> Any:
    """The loop as JAX users write it. Every element is a new compilation, so the first gradient is slow."""
    (h, w), Y = k.shape, _zeros(x, k)
    for i in range(Y.shape[0]):
        for j in range(Y.shape[1]):
            Y = Y.at[i, j].set(_element(x[i : i + h, j : j + w], k))
    return Y


def _rolled(x: Any, k: Any) -> Any:
    """The same double loop as XLA can compile it: unrolled, 900 elements take more than ten seconds to compile."""

    def row(i: Any, Y: Any) -> Any:
        def element(j: Any, Y: Any) -> Any:
            return Y.at[i, j].set(_element(lax.dynamic_slice(x, (i, j), k.shape), k))

        return lax.fori_loop(0, Y.shape[1], element, Y)

    Y = _zeros(x, k)
    return lax.fori_loop(0, Y.shape[0], row, Y)


def _stacked(x: Any, k: Any) -> Any:
    h, w = k.shape
    H, W = x.shape[0] - h + 1, x.shape[1] - w + 1
    elements = [_element(x[i : i + h, j : j + w], k) for i in range(H) for j in range(W)]
    return jnp.stack(elements).reshape(H, W)


def _correlate(x: Any, w: Any, b: Optional[Any], geometry: Geometry) -> Any:
    if geometry.transposed:
        y = _transposed(x, w, geometry)
    else:
        padding = _WORDS[geometry.padding] if isinstance(geometry.padding, str) else geometry.padding
        y = lax.conv_general_dilated(
            x, w, geometry.stride, padding, rhs_dilation=geometry.dilation, feature_group_count=geometry.groups
        )
    return y if b is None else y + b.reshape((-1,) + (1,) * geometry.rank)


def _transposed(x: Any, w: Any, geometry: Geometry) -> Any:
    """The adjoint of the correlation: ``(C, O / groups, *kernel)`` kernels, unflipped for the caller.

    ``lax.conv_transpose`` has no groups, and without ``transpose_kernel`` it does not flip. What it does inside
    is spelt here: y[q] collects x[p] w[t] over p * stride + t * dilation - begin = q, which is the correlation,
    at stride 1, of the image spread out by the stride (lhs_dilation) with the flipped kernel, output and input
    channels exchanged within each group. The padding of the full result is span - 1; the geometry's padding is
    taken off it (a negative rest crops), its output_padding added at the end.
    """
    groups, (inputs, outputs, *kernel) = geometry.groups, w.shape
    w = w.reshape(groups, inputs // groups, outputs, *kernel).swapaxes(1, 2)
    w = jnp.flip(w.reshape(groups * outputs, inputs // groups, *kernel), tuple(range(2, 2 + geometry.rank)))
    pads = [
        (span - 1 - begin, span - 1 - end + extra)
        for span, (begin, end), extra in zip(
            geometry.spans(kernel), geometry.pads(x.shape[2:], kernel), geometry.output_padding
        )
    ]
    return lax.conv_general_dilated(
        x,
        w,
        (1,) * geometry.rank,
        pads,
        lhs_dilation=geometry.stride,
        rhs_dilation=geometry.dilation,
        feature_group_count=groups,
    )


def _builtin(x: Any, w: Any) -> Any:
    return _correlate(x, w, None, Geometry())


@jax.tree_util.register_pytree_node_class
class Conv2D:
    """A layer as JAX knows it: a pytree whose leaves ``weight`` and ``bias`` are what a gradient is taken of.

    ``operator(x, weight)`` is part of its structure: one of the double loops, which makes it the chapter's layer
    with a bias of shape ``(1,)``, or the built-in convolution, where a bias of None takes no part.
    """

    def __init__(self, weight: Any, bias: Optional[Any], operator: Callable[[Any, Any], Any]) -> None:
        self.weight, self.bias, self.operator = weight, bias, operator

    def __call__(self, x: Any) -> Any:
        """Apply the layer to ``(H, W)``, or with the built-in operator to ``(N, 1, H, W)``."""
        y = self.operator(x, self.weight)
        return y if self.bias is None else y + self.bias

    def tree_flatten(self) -> Tuple[Tuple[Any, Any], Callable[[Any, Any], Any]]:
        """Leaves and structure, as ``jax.tree_util`` asks for them."""
        return (self.weight, self.bias), self.operator

    @classmethod
    def tree_unflatten(cls, operator: Callable[[Any, Any], Any], leaves: Tuple[Any, Any]) -> Conv2D:
        """The layer with these leaves."""
        return cls(*leaves, operator)


def _apply(layer: Conv2D, x: Any) -> Any:
    return layer(x)


def _pull(x: Any, w: Any, b: Optional[Any], dy: Any, geometry: Geometry) -> Any:
    return jax.vjp(lambda *operands: _correlate(*operands, geometry), x, w, b)[1](dy)


def _pull_loop(x: Any, k: Any, dy: Any, loop: Callable[[Any, Any], Any]) -> Any:
    return jax.vjp(loop, x, k)[1](dy)


def _step(layer: Conv2D, x: Any, y: Any, lr: float, train_bias: bool) -> Tuple[Any, Conv2D]:
    loss, slope = jax.value_and_grad(lambda layer: ((layer(x) - y) ** 2).sum())(layer)
    after = jax.tree_util.tree_map(lambda p, g: p - lr * g, layer, slope)
    return loss, after if train_bias else Conv2D(after.weight, layer.bias, layer.operator)


def _cuda() -> List[Any]:
    try:
        return jax.devices("cuda")
    except RuntimeError:  # how JAX says that it has no such backend
        return []


class JaxAdapter:
    """JAX on one device: ``eager`` is plain calls, ``compiled`` is ``jax.jit``."""

    def __init__(self, device: str, mode: str) -> None:
        if mode not in MODES:
            raise ValueError(f"mode {mode!r} is none of {MODES}")
        platform, _, index = device.partition(":")
        self._device = jax.devices(platform)[int(index or 0)]
        self._compiled = mode == "compiled"
        self._loops = {
            "literal": _literal,
            "idiomatic": _rolled if self._compiled else _idiomatic,
            "stacked": _stacked,
        }

    def _call(self, function: Callable[..., Any], *operands: Any, static: Tuple[int, ...] = ()) -> Any:
        """Call and wait, so that a late error surfaces here. ``jax.jit`` keeps its own cache per function and shape."""
        staged = jax.jit(function, static_argnums=static) if self._compiled else function
        return jax.block_until_ready(staged(*operands))

    @classmethod
    def identity(cls) -> Identity:
        """JAX, its XLA build (jaxlib) and, where there are any, the CUDA plug-in and cuDNN."""
        versions: Dict[str, str] = {"jax": jax.__version__}
        for name in _BACKENDS:
            try:
                versions[name] = metadata.version(name)
            except metadata.PackageNotFoundError:
                continue
        devices = ("cpu", *(f"cuda:{index}" for index in range(len(_cuda()))))
        return Identity("jax", versions, devices, MODES, _DTYPES)

    def arithmetic(self, kind: str) -> None:
        """Set ``jax_default_matmul_precision``, which convolutions follow too; it is part of jit's cache key."""
        if kind == "tf32" and self._device.platform == "cpu":
            raise Unsupported("XLA's CPU backend ignores jax_default_matmul_precision: it has no TensorFloat-32")
        precisions = {"strict": "highest", "tf32": "tensorfloat32", "default": _USERS_PRECISION}
        jax.config.update("jax_default_matmul_precision", precisions[kind])

    def put(self, array: Array) -> Any:
        """Copy first: ``device_put`` aliases a 64-byte aligned NumPy buffer, and reads others late."""
        return jax.block_until_ready(jax.device_put(np.array(array), self._device))

    def get(self, tensor: Any) -> Array:
        """A writable copy; ``np.asarray`` would be a read-only view."""
        return np.array(tensor)

    def sync(self, *tensors: Any) -> None:
        """Wait for these tensors, or for every live array of the process."""
        jax.block_until_ready(tensors or jax.live_arrays())

    def corr2d(self, x: Any, k: Any) -> Any:
        """The double loop with ``.at[i, j].set``; compiled, it is rolled up in ``lax.fori_loop``."""
        return self._call(self._loops["idiomatic"], x, k)

    def Conv2D(self, kernel_size: Tuple[int, int], dtype: Any = "float32") -> Conv2D:  # noqa: N802  chapter's name
        """The chapter's layer; JAX has no hidden generator, so its start is that of key 0."""
        weight = jax.nn.initializers.uniform()(jax.random.PRNGKey(0), tuple(kernel_size), dtype)
        leaves = jax.device_put((weight, jnp.zeros((1,), dtype)), self._device)
        return Conv2D(*leaves, self._loops["idiomatic"])

    def layer(self, x: Any, w: Any, b: Any) -> Any:
        """``Conv2D`` with these parameters."""
        layer = self.Conv2D(w.shape, x.dtype)
        layer.weight, layer.bias = w, b
        return self._call(_apply, layer, x)

    def matmul(self, a: Any, b: Any) -> Any:
        """``jnp.matmul``."""
        return self._call(jnp.matmul, a, b)

    def conv2d(self, x: Any, w: Any, b: Optional[Any], geometry: Geometry) -> Any:
        """``lax.conv_general_dilated`` in its default layouts, which are the harness's."""
        return self._call(_correlate, x, w, b, geometry, static=(3,))

    def grads(self, x: Any, w: Any, b: Optional[Any], dy: Any, geometry: Geometry) -> Grads:
        """``jax.vjp``. Integers are refused: their tangents have dtype float0."""
        try:
            return Grads(*self._call(_pull, x, w, b, dy, geometry, static=(4,)))
        except (TypeError, ValueError) as error:
            if jnp.issubdtype(x.dtype, jnp.inexact):
                raise
            raise Unsupported(str(error)) from error

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
        """``jax.value_and_grad`` of the layer, a pytree, and ``tree_map`` for the update; compiled step by step."""
        if layer not in LAYERS:
            raise ValueError(f"layer {layer!r} is none of {LAYERS}")
        if layer == "custom":
            model = self.Conv2D((kernel_size[0], kernel_size[1]), x.dtype)
        else:
            start = jax.nn.initializers.glorot_uniform(in_axis=1, out_axis=0)
            weight = start(jax.random.PRNGKey(0), (1, 1, *kernel_size), x.dtype)
            model = Conv2D(jax.device_put(weight, self._device), None, _builtin)
        model.weight = model.weight if w0 is None else w0
        model.bias = model.bias if b0 is None else b0
        losses, models = [], [model]
        for _ in range(steps):
            loss, model = self._call(_step, model, x, y, lr, b0 is not None, static=(4,))
            losses.append(loss)
            models.append(model)
        return Trained(losses, [m.weight for m in models], [] if b0 is None else [m.bias for m in models])

    def differentiate_corr2d(self, x: Any, k: Any, dy: Any, loop: str) -> Optional[Tuple[Any, Any]]:
        """``jax.vjp`` of the loop; the literal one raises JAX's TypeError before any derivative."""
        return self._call(_pull_loop, x, k, dy, self._loops[loop], static=(3,))
