"""NumPy: the chapter without a framework, its gradients written out by hand because NumPy has no autodiff."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from crosscorrect.adapter import Grads, Identity, Trained, Unsupported
from crosscorrect.geometry import Geometry
from crosscorrect_adapters._numpy_taps import correlate, kernel_gradient, resize, scatter

if TYPE_CHECKING:
    from collections.abc import Sequence

    Array = np.ndarray[Any, Any]

INITIAL = 0.07  # half-width of the uniform start, as MXNet's default initialisation, which the chapter uses
SEED = 0


def corr2d(x: Array, k: Array) -> Array:
    """Run the chapter's double loop: ``(H, W), (h, w) -> (H-h+1, W-w+1)`` in the dtype of ``x``."""
    h, w = k.shape
    y = np.zeros((x.shape[0] - h + 1, x.shape[1] - w + 1), dtype=x.dtype)
    for i in range(y.shape[0]):
        for j in range(y.shape[1]):
            y[i, j] = (x[i : i + h, j : j + w] * k).sum()
    return y


class Conv2D:
    """The chapter's custom layer: a kernel and a scalar bias, with the adjoint of its loop as ``backward``."""

    def __init__(self, kernel_size: tuple[int, int]) -> None:
        self.weight = _initial(kernel_size)
        self.bias = np.zeros(1, np.float32)

    def __call__(self, x: Array) -> Array:
        """Correlate ``(H, W)`` with the weight and add the bias."""
        return corr2d(x, self.weight) + self.bias

    def backward(self, x: Array, dy: Array) -> Grads:
        """Gradients of ``sum(self(x) * dy)`` in input, weight and bias: each assignment of the loop, reversed."""
        h, w = self.weight.shape
        dx, dk = np.zeros_like(x), np.zeros_like(self.weight)
        for i in range(dy.shape[0]):
            for j in range(dy.shape[1]):
                dx[i : i + h, j : j + w] += dy[i, j] * self.weight
                dk += dy[i, j] * x[i : i + h, j : j + w]
        return Grads(dx, dk, dy.sum(dtype=dy.dtype).reshape(1))


class NumpyAdapter:
    """NumPy on the CPU, eager: every operation computes at once in the dtype of its operands."""

    def __init__(self, device: str, mode: str) -> None:
        if device != "cpu":
            raise Unsupported(f"NumPy computes on the cpu only, not on {device}")
        if mode != "eager":
            raise Unsupported("NumPy has no compiler")

    @classmethod
    def identity(cls) -> Identity:
        """NumPy, and the BLAS that its matrix product calls where NumPy tells (from 1.25 on)."""
        versions = {"numpy": np.__version__}
        if np.lib.NumpyVersion(np.__version__) >= "1.25.0":
            config: Any = np.show_config(mode="dicts")
            blas = config["Build Dependencies"]["blas"]
            versions[str(blas["name"])] = str(blas["version"])
        dtypes = ("float16", "float32", "float64", "int8", "uint8", "int16", "int32", "int64")
        return Identity("numpy", versions, dtypes=dtypes, notes=("gradients are hand-written adjoints",))

    def arithmetic(self, kind: str) -> None:
        """NumPy computes at the dtype of its operands, whatever is asked for; it has no TF32."""
        if kind == "tf32":
            raise Unsupported("NumPy has no TF32 arithmetic")

    def put(self, array: Array) -> Array:
        """Copy an array."""
        return np.array(array)

    def get(self, tensor: Array) -> Array:
        """Copy an array."""
        return np.array(tensor)

    def sync(self, *tensors: Any) -> None:
        """Nothing to wait for: NumPy returns when the result is there."""

    def corr2d(self, x: Array, k: Array) -> Array:
        """Run the chapter's double loop."""
        return corr2d(x, k)

    def Conv2D(self, kernel_size: tuple[int, int]) -> Conv2D:  # noqa: N802  the chapter's own name
        """Make the chapter's custom layer."""
        return Conv2D(kernel_size)

    def layer(self, x: Array, w: Array, b: Array) -> Array:
        """Apply the custom layer with its parameters set."""
        return _custom(w, b)(x)

    def matmul(self, a: Array, b: Array) -> Array:
        """Multiply by BLAS, ``a @ b``."""
        product: Array = a @ b
        return product

    def conv2d(self, x: Array, w: Array, b: Array | None, geometry: Geometry) -> Array:
        """Zero-pad and correlate; transposed: spread, then take the padding off and append ``output_padding``."""
        pads = geometry.pads(x.shape[2:], w.shape[2:])
        if geometry.transposed:
            ends = [(-begin, more - end) for (begin, end), more in zip(pads, geometry.output_padding)]
            y = resize(scatter(x, w, geometry), ends)
        else:
            y = correlate(resize(x, pads), w, geometry)
        return y if b is None else y + b.reshape(-1, *[1] * geometry.rank)

    def grads(self, x: Array, w: Array, b: Array | None, dy: Array, geometry: Geometry) -> Grads:
        """Apply the adjoints by hand; a transposed correlation has the plain one's, with x and dy in swapped roles."""
        pads = geometry.pads(x.shape[2:], w.shape[2:])
        db = None if b is None else dy.sum(axis=(0, *range(2, dy.ndim)), dtype=dy.dtype)
        if geometry.transposed:
            ends = [(begin, end - more) for (begin, end), more in zip(pads, geometry.output_padding)]
            image = resize(dy, ends)
            return Grads(correlate(image, w, geometry), kernel_gradient(image, x, w.shape, geometry), db)
        full = scatter(dy, w, geometry)
        # a stride that does not divide leaves image elements at the end that no window reached: their gradient is zero
        ends = [(-begin, n + begin - m) for (begin, _), n, m in zip(pads, x.shape[2:], full.shape[2:])]
        return Grads(resize(full, ends), kernel_gradient(resize(x, pads), dy, w.shape, geometry), db)

    def train(
        self,
        x: Array,
        y: Array,
        w0: Array | None,
        b0: Array | None,
        lr: float,
        steps: int,
        layer: str,
        kernel_size: Sequence[int],
    ) -> Trained:
        """Run the chapter's loop, on the built-in form of this adapter or on the custom layer."""
        shape = tuple(kernel_size) if layer == "custom" else (1, 1, *kernel_size)
        w = _initial(shape).astype(x.dtype) if w0 is None else np.array(w0)
        b = np.zeros(1, x.dtype) if b0 is None else np.array(b0)
        geometry = _plain(len(kernel_size))
        losses, weights, biases = [], [w], [b]
        for _ in range(steps):
            out = _custom(w, b)(x) if layer == "custom" else self.conv2d(x, w, b, geometry)
            error = out - y
            losses.append((error**2).sum())
            dy = 2 * error
            grads = _custom(w, b).backward(x, dy) if layer == "custom" else self.grads(x, w, b, dy, geometry)
            w = w - lr * grads.dw
            b = b if b0 is None else b - lr * grads.db
            weights.append(w)
            biases.append(b)
        return Trained(losses, weights, [] if b0 is None else biases)

    def differentiate_corr2d(self, x: Array, k: Array, dy: Array, loop: str) -> None:  # noqa: ARG002  the protocol's signature
        """Refuse: there is nothing to differentiate with."""
        raise Unsupported("NumPy has no automatic differentiation")


def _custom(w: Array, b: Array) -> Conv2D:
    layer = Conv2D((w.shape[0], w.shape[1]))
    layer.weight, layer.bias = w, b
    return layer


def _initial(shape: tuple[int, ...]) -> Array:
    return np.random.default_rng(SEED).uniform(-INITIAL, INITIAL, shape).astype(np.float32)


def _plain(rank: int) -> Geometry:
    return Geometry(stride=(1,) * rank, dilation=(1,) * rank, output_padding=(0,) * rank)
