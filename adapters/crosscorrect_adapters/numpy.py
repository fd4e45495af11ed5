"""NumPy: the chapter without a framework, its gradients written out by hand because NumPy has no autodiff."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from crosscorrect import dtypes
from crosscorrect.adapter import Grads, Identity, Trained, Unsupported
from crosscorrect.geometry import Geometry
from crosscorrect_adapters._numpy_taps import correlate, kernel_gradient, reject, resize, scatter

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
        notes = (
            "gradients are hand-written adjoints; of complex numbers they conjugate",
            "float16 and bfloat16 are computed in float32 and rounded once; integers wrap",
        )
        return Identity("numpy", versions, dtypes=dtypes.NAMES, notes=notes)

    def arithmetic(self, kind: str) -> None:
        """NumPy computes at the dtype of its operands, or 16-bit ones in float32; it never rounds its operands."""
        if kind in ("tf32", "bf16"):
            raise Unsupported(f"NumPy has no {kind.upper()} arithmetic")

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
        return _narrow(corr2d(_wide(x), _wide(k)), x)

    def Conv2D(self, kernel_size: tuple[int, int]) -> Conv2D:  # noqa: N802  the chapter's own name
        """Make the chapter's custom layer."""
        return Conv2D(kernel_size)

    def layer(self, x: Array, w: Array, b: Array) -> Array:
        """Apply the custom layer with its parameters set."""
        return _narrow(_custom(_wide(w), _wide(b))(_wide(x)), x)

    def matmul(self, a: Array, b: Array) -> Array:
        """Multiply by BLAS, ``a @ b``."""
        return _narrow(_wide(a) @ _wide(b), a)

    def conv2d(self, x: Array, w: Array, b: Array | None, geometry: Geometry) -> Array:
        """Zero-pad and correlate; transposed: spread, then take the padding off and append ``output_padding``.

        Raises ValueError where the arguments do not fit each other.
        """
        reject(x, w, b, geometry)
        image, kernel, pads = _wide(x), _wide(w), geometry.pads(x.shape[2:], w.shape[2:])
        if geometry.transposed:
            full = scatter(image, kernel, geometry)
            size = geometry.output_size(x.shape[2:], w.shape[2:])
            y = resize(full, [(-begin, m + begin - n) for (begin, _), m, n in zip(pads, size, full.shape[2:])])
        else:
            y = correlate(resize(image, pads), kernel, geometry)
        return _narrow(y if b is None else y + _wide(b).reshape(-1, *[1] * geometry.rank), x)

    def grads(self, x: Array, w: Array, b: Array | None, dy: Array, geometry: Geometry) -> Grads:
        """Apply the adjoints by hand; a transposed correlation has the plain one's, with x and dy in swapped roles.

        Of complex numbers the factors are conjugated, so that they are adjoints (and ``-dx`` the steepest descent).
        """
        reject(x, w, b, geometry)
        if dy.shape != geometry.output_shape(x.shape, w.shape):
            raise ValueError(f"dy has shape {dy.shape}, the output {geometry.output_shape(x.shape, w.shape)}")
        image, kernel, slope = _wide(x).conj(), _wide(w).conj(), _wide(dy)
        pads = geometry.pads(x.shape[2:], w.shape[2:])
        if geometry.transposed:
            ends = [(begin, end - more) for (begin, end), more in zip(pads, geometry.output_padding)]
            fine = resize(slope, ends)
            dx, dw = correlate(fine, kernel, geometry), kernel_gradient(fine, image, w.shape, geometry)
        else:
            full = scatter(slope, kernel, geometry)
            # a stride that does not divide leaves elements at the end that no window reached: their gradient is zero
            ends = [(-begin, n + begin - m) for (begin, _), n, m in zip(pads, x.shape[2:], full.shape[2:])]
            dx, dw = resize(full, ends), kernel_gradient(resize(image, pads), slope, w.shape, geometry)
        db = None if b is None else _narrow(slope.sum(axis=(0, *range(2, dy.ndim)), dtype=slope.dtype), x)
        return Grads(_narrow(dx, x), _narrow(dw, x), db)

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
        """Run the chapter's loop, on the built-in form of this adapter or on the custom layer.

        In bfloat16, for which NumPy has no arithmetic, all is computed in float32 and what is told is rounded.
        """
        if x.dtype == dtypes.BFLOAT16:
            start, bias = (None if t is None else _wide(t) for t in (w0, b0))
            trained = self.train(_wide(x), _wide(y), start, bias, lr, steps, layer, kernel_size)
            return Trained(*([_narrow(t, x) for t in told] for told in vars(trained).values()))
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


def _wide(array: Array) -> Array:
    """The same numbers in the dtype they are computed in: 16-bit ones in float32, all others in their own."""
    return array.astype(np.float32) if array.dtype == np.float16 else np.asarray(dtypes.widen(array))


def _narrow(array: Array, like: Array) -> Array:
    """Round once to the dtype of ``like`` if that is a 16-bit one; else what was computed stays as it came out."""
    if like.dtype not in (np.float16, dtypes.BFLOAT16):
        return array
    with np.errstate(over="ignore"):  # to infinity, as IEEE rounds
        return np.asarray(dtypes.narrow(array, dtypes.name_of(like.dtype)))


def _custom(w: Array, b: Array) -> Conv2D:
    layer = Conv2D((w.shape[0], w.shape[1]))
    layer.weight, layer.bias = w, b
    return layer


def _initial(shape: tuple[int, ...]) -> Array:
    return np.random.default_rng(SEED).uniform(-INITIAL, INITIAL, shape).astype(np.float32)


def _plain(rank: int) -> Geometry:
    return Geometry(stride=(1,) * rank, dilation=(1,) * rank, output_padding=(0,) * rank)
