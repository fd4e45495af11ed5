"""The chapter's training loop in float64, and the envelope that any correctly rounded run of it stays in.

The loop (In [8]) is linear regression. With A the windows of ``x`` as rows (and a column of ones for a bias), θ the
kernel (and bias) and y the target, it repeats ``r = A θ - y``, ``L = Σ r²``, ``g = 2 Aᵀ r``, ``θ := θ - lr g``: the
affine map ``θ := M θ + 2 lr Aᵀ y`` with ``M = I - 2 lr AᵀA``. Kernel recovery is its contraction.

**The envelope.** Let θ̄ be the float64 run below and θ̂ a run in the problem's format. Each obeys the exact map up to a
defect of its own in each step, so with equal starts ``θ̂_t - θ̄_t = Σ_s M^(t-1-s) (d̂_s - d̄_s)`` exactly, and

    |θ̂_t - θ̄_t| <= e_t = Σ_s |M^(t-1-s)| (|d̂_s| + |d̄_s|),        e_0 = 0.

No first-order term is dropped, and taking absolute values of powers instead of powers of absolute values keeps the
contraction. The defect of one step, in any order of evaluation, with ``|θ̂| <= |θ̄| + e`` (γ as in ``bounds``, n the
taps of a window, one more for the target and one for a bias, R the number of windows):

- residual ``r̂ = A θ̂ - y + ρ``:        ``|ρ| <= γ_n (|A||θ̂| + |y|)``
- gradient ``ĝ = 2 Aᵀ r̂ + σ``:         ``|σ| <= γ_(R+3) 2 |A|ᵀ|r̂|``, three roundings to spare for the derivative of
  the square, which some frameworks compute as a general power
- update, with lr itself rounded:      ``|τ| <= γ_1 |θ̂| + γ_3 lr |ĝ|``
- together:                            ``|d̂| <= lr (2 |A|ᵀ|ρ| + |σ|) + |τ|``

The same with u = 2⁻⁵³ and e = 0 bounds d̄. The losses, with ``r, g`` at θ̄ and Δ = θ̂ - θ̄:
``Σ (r + A Δ + ρ)² - Σ r² = gᵀ Δ + 2 rᵀ ρ + Σ (A Δ + ρ)²``, at most ``|g|ᵀ e + 2 |r|ᵀ|ρ| + Σ (|A| e + |ρ|)²``, plus
``γ_(R+2)`` times the computed sum of squares, plus the float64 loss's own error.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from crosscorrect import oracle
from crosscorrect.formats import FORMATS, REFERENCE, Format, floating, rounding
from crosscorrect.geometry import Geometry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crosscorrect.oracle import Array, Floats

_GUARD = 1.0 + 2.0**-20
"""Makes up for the rounding of the envelope's own arithmetic: sums of nonnegative float64 numbers, far shorter."""


@dataclass(frozen=True, slots=True)
class Trajectory:
    """A float64 training run and the half-widths of its envelope.

    ``losses`` is (steps,), each before its update; ``weights`` (steps + 1, *shape of w0), the start first; ``biases``
    (steps + 1, 1), or empty without a trained bias. Bounds have the same shapes; infinite where none is sound.
    """

    losses: Floats
    loss_bounds: Floats
    weights: Floats
    weight_bounds: Floats
    biases: Floats
    bias_bounds: Floats


@dataclass(frozen=True, slots=True)
class _Regression:
    """The loop as linear algebra: windows (R, m), target (R,), terms of each residual (R,), and the rate."""

    a: Floats
    y: Floats
    terms: Floats
    lr: float


@dataclass(frozen=True, slots=True)
class _Defect:
    """Bounds on what one step of one run adds: to the residual, to the gradient, and to the next parameters."""

    residual: Floats
    gradient: Floats
    update: Floats


def trajectory(
    x: Array,
    y: Array,
    w0: Array,
    b0: Array | None,
    lr: float,
    steps: int,
    dtype: str,
    geometry: Geometry | None = None,
) -> Trajectory:
    """Train ``sum((corr(x, w) + b - y) ** 2)`` from ``w0``, ``b0`` by ``w -= lr * dw`` and bound any run in ``dtype``.

    Arrays are ``(H, W)`` or ``(N, 1, H, W)`` with kernels ``(h, w)`` or ``(1, 1, h, w)``, one channel; they are first
    rounded to ``dtype``, as a framework gets them. The geometry defaults to valid padding with stride 1. Raises
    ValueError for several channels, a transposed geometry, or a target of the wrong size.
    """
    form = floating(dtype)
    x, y, w0 = (_rounded(array, dtype) for array in (x, y, w0))
    bias = None if b0 is None else _rounded(np.reshape(b0, 1), dtype)
    problem = _regression(x, y, w0, geometry or Geometry(), lr, biased=bias is not None)
    start = w0.ravel() if bias is None else np.concatenate([w0.ravel(), bias])
    thetas, theta_bounds, losses, loss_bounds = _run(problem, start, steps, form)
    m, shape = w0.size, (steps + 1, *w0.shape)
    return Trajectory(
        losses,
        loss_bounds,
        thetas[:, :m].reshape(shape),
        theta_bounds[:, :m].reshape(shape),
        thetas[:, m:] if bias is not None else np.empty(0),
        theta_bounds[:, m:] if bias is not None else np.empty(0),
    )


def gram(x: Array, kernel_size: Sequence[int]) -> Floats:
    """Return ``AᵀA``, (m, m), of the windows of an image ``(H, W)`` or ``(N, 1, H, W)``, without padding."""
    a = _windows(np.asarray(x, np.float64), kernel_size, Geometry())
    return a.T @ a


def contractions(x: Array, kernel_size: Sequence[int], lr: float) -> Floats:
    """Return ``|1 - 2 lr λ|`` over the eigenvalues λ of the Gram matrix, largest first.

    By these factors one step shrinks (below 1) or grows (above) the components of the kernel's error.
    """
    factors = np.abs(1.0 - 2.0 * lr * np.linalg.eigvalsh(gram(x, kernel_size)))
    return np.sort(factors)[::-1]


def _run(problem: _Regression, start: Floats, steps: int, form: Format) -> tuple[Floats, Floats, Floats, Floats]:
    """Iterate in float64: parameters (steps + 1, m) and losses (steps,), each followed by its bounds."""
    thetas, errors = np.zeros((steps + 1, start.size)), np.zeros((steps + 1, start.size))
    losses, loss_bounds, defects = np.zeros(steps), np.zeros(steps), np.zeros((steps, start.size))
    thetas[0] = start
    with np.errstate(over="ignore", invalid="ignore"):
        reach = _reach(problem, steps)
        for t in range(steps):
            theta, e = thetas[t], errors[t]
            r = problem.a @ theta - problem.y
            g = 2.0 * (problem.a.T @ r)
            thetas[t + 1] = theta - problem.lr * g
            losses[t] = r @ r
            own = _defect(problem, np.abs(theta), np.zeros_like(e), np.abs(r), np.abs(g), REFERENCE)
            r_size, g_size = np.abs(r) + own.residual, np.abs(g) + own.gradient
            found = _defect(problem, np.abs(theta), e, r_size, g_size, form)
            loss_bounds[t] = _loss_bound(problem, r_size, g_size, e, found.residual, form, 2)
            loss_bounds[t] += _loss_bound(problem, r_size, g_size, np.zeros_like(e), own.residual, REFERENCE, 0)
            defects[t] = own.update + found.update
            errors[t + 1] = np.einsum("sij,sj->i", reach[t::-1], defects[: t + 1]) * _GUARD
            errors[t + 1] = np.where(np.isnan(errors[t + 1]), np.inf, errors[t + 1])
    loss_bounds = np.where(np.isnan(loss_bounds), np.inf, loss_bounds * _GUARD)
    return thetas, errors, losses, loss_bounds


def _defect(problem: _Regression, theta: Floats, e: Floats, r: Floats, g: Floats, form: Format) -> _Defect:
    """Bound one step in ``form`` of a run within ``e`` of ``theta``; ``theta, r, g`` are sizes at the float64 run."""
    a, lr = np.abs(problem.a), problem.lr
    near = theta + e
    residual = rounding(a @ near + np.abs(problem.y), problem.terms, form)
    seen = r + a @ e + residual
    gradient = 2.0 * (a.T @ residual) + rounding(2.0 * (a.T @ seen), len(a) + 3, form)
    moved = abs(lr) * (g + 2.0 * (a.T @ (a @ e)) + gradient)
    update = abs(lr) * gradient + rounding(near, 1, form) + rounding(moved, 3, form)
    return _Defect(residual * _GUARD, gradient * _GUARD, update * _GUARD)


def _loss_bound(
    problem: _Regression, r: Floats, g: Floats, e: Floats, residual: Floats, form: Format, spare: int
) -> float:
    """Bound the loss of a run within ``e`` whose residual is off by ``residual``; ``spare`` roundings of a square."""
    change = np.abs(problem.a) @ e + residual
    squares = np.asarray(np.sum((r + change) ** 2))
    own = rounding(squares, len(r) + spare, form)
    return float(g @ e + 2.0 * (r @ residual) + change @ change + own)


def _reach(problem: _Regression, steps: int) -> Floats:
    """Return ``|M^k|`` for k < steps, (steps, m, m), each enlarged by what computing it in float64 may have lost."""
    a, m = problem.a, problem.a.shape[1]
    rate = 2.0 * problem.lr
    step = np.eye(m) - rate * (a.T @ a)
    absolute = np.abs(a).T @ np.abs(a)
    doubt = rounding(np.eye(m) + abs(rate) * absolute, len(a) + 3, REFERENCE)
    power, lost = np.eye(m), np.zeros((m, m))
    reach = np.empty((steps, m, m))
    for k in range(steps):
        reach[k] = np.abs(power) + lost
        size = np.abs(power)
        lost = lost @ (np.abs(step) + doubt) + size @ doubt + rounding(size @ np.abs(step), m, REFERENCE)
        power = power @ step
    return reach


def _regression(x: Floats, y: Floats, w0: Floats, geometry: Geometry, lr: float, *, biased: bool) -> _Regression:
    """The windows of the image beside the target, and how many terms each residual sums."""
    if geometry.transposed or geometry.groups != 1 or (w0.ndim > 2 and w0.shape[:2] != (1, 1)):
        raise ValueError("a training reference takes one channel and a correlation that is not transposed")
    kernel = w0.shape[-2:]
    a = _windows(x, kernel, geometry)
    if y.size != len(a):
        raise ValueError(f"a target of shape {y.shape} for {len(a)} windows")
    lifted = x if x.ndim == 4 else x[None, None]
    taps = oracle.forward(lifted, np.ones((1, 1, *kernel)), None, geometry).terms.ravel()
    if biased:
        a = np.concatenate([a, np.ones((len(a), 1))], axis=1)
    return _Regression(a, y.ravel(), (taps + 1 + int(biased)).astype(np.float64), float(lr))


def _windows(x: Floats, kernel: Sequence[int], geometry: Geometry) -> Floats:
    """One row per output element, ``(R, h * w)``, of an image ``(H, W)`` or ``(N, 1, H, W)``; else ValueError."""
    lifted = x[None, None] if x.ndim == 2 else x
    if lifted.ndim != 4 or lifted.shape[1] != 1:
        raise ValueError(f"an image (H, W) or (N, 1, H, W) is needed, not {x.shape}")
    seen = oracle.windows(lifted, kernel, geometry)
    return seen.reshape(-1, int(np.prod(tuple(kernel))))


def _rounded(array: Array, dtype: str) -> Floats:
    """The array as a framework of this dtype gets it, in float64; bfloat16, which NumPy lacks, is taken as given."""
    native = dtype in FORMATS and dtype != "bfloat16"
    return np.asarray(array).astype(dtype if native else np.float64).astype(np.float64)
