"""Bounds of the fast algorithms: Winograd element by element, by running it on magnitudes, and FFT norm by norm."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from itertools import product as every
from math import ceil, log2, prod
from typing import TYPE_CHECKING, Any

import numpy as np

from crosscorrect import dtypes
from crosscorrect.formats import GUARD, floating, gamma
from crosscorrect.model import Direction
from crosscorrect.slides import SUM, adjoint, correlation, kernel_gradient

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from crosscorrect.contracts import Operands
    from crosscorrect.geometry import Geometry
    from crosscorrect.oracle import Array, Floats

    Shape = tuple[int, ...]

TAPS = 3
"""The kernel size, per axis, that Winograd's F(m, 3) is for."""

POINTS: dict[str, tuple[Fraction | int, ...]] = {
    "F(2,3)": (0, 1, -1),
    "F(4,3)": (0, 1, -1, 2, -2),  # A. Lavin, S. Gray, "Fast algorithms for convolutional neural networks", 2015
    "F(4,3) halves": (0, 1, -1, Fraction(1, 2), Fraction(-1, 2)),
    "F(4,3) oneDNN": (0, Fraction(5, 8), Fraction(-5, 8), Fraction(3, 2), Fraction(-3, 2)),
    "F(6,3)": (0, 1, -1, 2, -2, Fraction(1, 2), Fraction(-1, 2)),  # NNPACK's, too
}
"""The finite interpolation points of each algorithm that ``winograd`` allows; infinity is one more.

They alone decide the bound: a factor moved between the three transforms leaves the product of their magnitudes as it
is. F(m, 3) has m + 1 of them.
"""

_LEVEL = 8.0
"""Roundoffs per level of a transform: ``mu + gamma_4 (sqrt 2 + mu)`` is below 7 u for weights that are right to u, and
one is to spare (N. Higham, Accuracy and Stability, 2nd ed., theorem 24.2)."""


@lru_cache(maxsize=16)
def transforms(name: str) -> tuple[Array, Array, Array]:
    """``(A^T, G, B^T)`` of shapes (m, m + 2), (m + 2, 3), (m + 2, m + 2), arrays of exact fractions.

    ``A^T [(G g) * (B^T d)]`` are the m correlations of the tile d with the kernel g (Toom–Cook, transposed).
    """
    points = [Fraction(p) for p in POINTS[name]]
    m, size = len(points) - 1, len(points) + 1
    at, g, bt = (np.full(shape, Fraction(0)) for shape in ((m, size), (size, TAPS), (size, size)))
    for i, point in enumerate(points):
        others = points[:i] + points[i + 1 :]
        at[:, i] = [point**j for j in range(m)]
        g[i] = [point**j / prod((point - o for o in others), start=Fraction(1)) for j in range(TAPS)]
        bt[i, :-1] = _polynomial(others)
    at[-1, -1] = g[-1, -1] = Fraction(1)
    bt[-1] = _polynomial(points)
    return at, g, bt


def winograd(operands: Operands, dtype: str, shape: Shape) -> Floats:
    """Bound the rounding of F(2), F(4) or F(6) on every axis with three taps, stride 1 and dilation 1.

    The algorithm on magnitudes gives ``A_i = |A^T| [sum of (|G| |g|) * (|B^T| |d|)]`` per tile, nested over the axes,
    and an element is off by at most ``gamma_{n + t} A_i``: n products are summed per transformed element, and the
    transforms of a axes round ``t = a (2 (m + 3) + 4) + 2`` times, their constants included (research numerics 2.2);
    the kernel gradient, ``G^T [sum of (B^T d) * (A dy)]``, ``a (2 (m + 3) + m + 1) + 2`` times. Tiles start at the
    first element. The largest over ``POINTS`` is given; zero where no axis has the shape for it. The transforms are
    taken to be in the dtype's own format.
    """
    tiled = _Tiled.of(operands, shape)
    if tiled is None:
        return np.zeros(shape)
    return np.asarray(np.max([tiled.bound(name, dtype) for name in POINTS], axis=0))


def fft(operands: Operands, dtype: str, shape: Shape) -> Floats:
    """Bound the error of a result that was computed by way of discrete Fourier transforms, the same for a channel.

    With ``e = 8 u log2 N`` the relative error of a transform of N points in the 2-norm (``_LEVEL``), n the number of
    products summed in the spectrum and sums over those::

        ((2 e + e**2 + gamma_{n+3}) sum |x_c|_2 |w_c|_2 + e sum min(|x_c|_1 |w_c|_2, |x_c|_2 |w_c|_1)) (1 + e)**3

    The errors of both transforms and of the products meet the other factor in the spectrum, and Cauchy–Schwarz and
    Parseval bring them back; that of the inverse is relative to the 2-norm of the result, which Young's inequality
    bounds. N is at most four times image, padding and kernel together, per axis. For transforms of small factors
    (2, 3, 5, 7); a tile is no longer than the whole. Twice for complex data, whose magnitudes are ``|re| + |im|``.
    """
    if operands.direction is Direction.GRAD_BIAS or not prod(shape):
        return np.zeros(shape)
    first, second = operands.factors()
    geometry = operands.geometry
    pads = geometry.pads(operands.x.shape[2:], operands.w.shape[2:])
    levels = 0.0
    largest = [max(sizes) for sizes in zip(first.shape[2:], second.shape[2:], shape[2:], strict=True)]
    spans = geometry.spans(operands.w.shape[2:])
    for size, step, pad, span in zip(largest, geometry.stride, pads, spans, strict=True):
        levels += log2(4 * (size * step + sum(max(p, 0) for p in pad) + span))
    form = floating(dtype)
    e = _LEVEL * levels * form.u
    n = _summed(operands)
    axes = tuple(range(2, first.ndim))
    ones, twos = zip(*((a.sum(axes), np.sqrt((a * a).sum(axes))) for a in (first, second)), strict=True)
    energy = _contract(operands, twos[0], twos[1])
    young = np.minimum(_contract(operands, ones[0], twos[1]), _contract(operands, twos[0], ones[1]))
    growth = gamma(n + 3.0, form.u)
    found = ((2.0 * e + e * e + growth) * energy + e * young) * (1.0 + e) ** 3 * GUARD
    found = found * (2.0 if dtype in dtypes.COMPLEX else 1.0) + 4.0 * (n + 4.0 * levels) * form.eta
    found = np.where((e < 0.25) & (young * 2.0 ** (levels / 2.0) < form.largest), found, np.inf)
    return np.broadcast_to(found.reshape(*found.shape, *(1,) * len(axes)), shape)


BOUNDS: dict[str, Callable[[Operands, str, Shape], Floats]] = {"winograd": winograd, "fft": fft}


@dataclass(frozen=True)
class _Tiled:
    """One of the three bilinear maps on magnitudes, and the axes that are tiled.

    ``image`` is what is cut into overlapping tiles, ``other`` the kernel, or, for the kernel gradient, what is cut
    into tiles of m; ``begins`` the zeros before the image on every axis, ``axes`` the spatial axes that are tiled.
    """

    image: Floats
    other: Floats
    begins: Shape
    axes: Shape
    geometry: Geometry
    way: Callable[..., Any]
    shape: Shape
    summed: int

    @classmethod
    def of(cls, operands: Operands, shape: Shape) -> _Tiled | None:
        """The map of a direction, or None where no axis is to be tiled."""
        kernel = operands.w.shape[2:]
        geometry = operands.geometry.explicit(operands.x.shape[2:], kernel)
        axes = tuple(
            axis
            for axis, (taps, step, spread) in enumerate(zip(kernel, geometry.stride, geometry.dilation, strict=True))
            if taps == TAPS and step == spread == 1
        )
        if operands.direction is Direction.GRAD_BIAS or not axes or not prod(shape):
            return None
        first, second = operands.factors()
        begins = tuple(begin for begin, _ in geometry.pads((), ()))
        way: Callable[..., Any] = (
            correlation if (operands.direction is Direction.FORWARD) != geometry.transposed else adjoint
        )
        if operands.direction is Direction.GRAD_WEIGHT:
            way = kernel_gradient
            if geometry.transposed:
                first, second = second, first
        elif way is adjoint:
            # where stride and dilation are 1 the adjoint is the correlation with the kernel reversed
            begins = tuple(TAPS - 1 - b if axis in axes else b for axis, b in enumerate(begins))
            second = np.flip(second, tuple(2 + axis for axis in axes))
        others = prod(n for axis, n in enumerate(kernel) if axis not in axes)
        return cls(first, second, begins, axes, geometry, way, shape, _summed(operands) * others)

    def bound(self, name: str, dtype: str) -> Floats:
        """``gamma_{n + t} A`` and what may underflow; infinite where something may overflow."""
        at, g, bt = (np.abs(matrix.astype(np.float64)) for matrix in transforms(name))
        m, form, a = len(at), floating(dtype), len(self.axes)
        spare = 1024.0 * form.eta / form.u  # underflow in a transform, whose constants are at least 2**-10
        gradient = self.way is kernel_gradient
        sizes = self.other.shape[2:] if gradient else self.shape[2:]
        tiles = {axis: ceil(sizes[axis] / m) for axis in self.axes}
        images, others = self.image + spare, self.other + spare
        for depth, axis in enumerate(self.axes):
            images = _transformed(bt, _tiles(images, 2 + axis + depth, self.begins[axis], tiles[axis], m, TAPS - 1))
            if gradient:
                others = _transformed(at.T, _tiles(others, 2 + axis + depth, 0, tiles[axis], m, 0))
            else:
                others = _transformed(g, np.expand_dims(np.moveaxis(others, 2 + axis + depth, 0), 3 + axis + depth))
        found, after = self._products(images, others, tiles), g.T if gradient else at
        for left, axis in zip(range(a - 1, -1, -1), reversed(self.axes), strict=True):
            found = _joined(_transformed(after, found), left + 2 + axis, self.shape[2 + axis])
        rounds = self.summed * (prod(tiles.values()) if gradient else 1)
        rounds += a * (2 * (m + 3) + (m + 1 if gradient else TAPS + 1)) + 2
        twice, spares = (2.0, 4) if dtype in dtypes.COMPLEX else (1.0, 0)
        growth = gamma(rounds + spares, form.u)
        lost = rounds * form.eta * float(after.sum(axis=1).max()) ** a
        bound = twice * (growth * found + 2.0 * lost * (1.0 + growth)) * GUARD
        largest = max(float(images.max()), float(others.max()))
        sound = ((1.0 + growth) * twice * found < form.largest) & (largest < form.largest)
        return np.where(sound, bound, np.inf)

    def _products(self, images: Floats, others: Floats, tiles: dict[int, int]) -> Floats:
        """The map per transformed element, over channels and the axes that are not tiled."""
        padding = tuple((0, 0) if axis in self.axes else (b, 0) for axis, b in enumerate(self.begins))
        geometry = replace(self.geometry, padding=padding)
        alone = 1 if self.way is kernel_gradient else None  # a kernel gradient has one tap there, else there are tiles
        size = tuple((alone or tiles[axis]) if axis in self.axes else n for axis, n in enumerate(self.shape[2:]))
        shape = images.shape[: len(self.axes)]
        parts = [
            self.way(np.ascontiguousarray(images[element]), others[element], geometry, size, SUM)[0]
            for element in every(*map(range, shape))
        ]
        return np.stack(parts).reshape(*shape, *parts[0].shape)


def _polynomial(roots: Sequence[Fraction]) -> list[Fraction]:
    """The coefficients of the product of ``x - root``, lowest first."""
    found = [Fraction(1)]
    for root in roots:
        found = [low - root * high for low, high in zip([Fraction(0), *found], [*found, Fraction(0)], strict=True)]
    return found


def _tiles(array: Floats, axis: int, begin: int, count: int, step: int, overlap: int) -> Floats:
    """``count`` tiles of ``step + overlap`` elements, ``step`` apart, the first ``begin`` before the array's start.

    The axis becomes the tiles; the position in the tile comes first.
    """
    length = count * step + overlap
    moved = np.moveaxis(array, axis, 0)
    frame = np.zeros((length, *moved.shape[1:]))
    skip, start = max(-begin, 0), max(begin, 0)
    kept = max(min(len(moved) - skip, length - start), 0)
    frame[start : start + kept] = moved[skip : skip + kept]
    seen = np.stack([frame[p : p + (count - 1) * step + 1 : step] for p in range(step + overlap)])
    return np.moveaxis(seen, 1, 1 + axis)


def _joined(tiles: Floats, axis: int, size: int) -> Floats:
    """What ``_tiles`` cut without overlap, joined again and cropped to ``size``; the position in a tile comes first."""
    moved = np.moveaxis(tiles, 0, axis + 1)
    joined = moved.reshape(*moved.shape[:axis], -1, *moved.shape[axis + 2 :])
    return joined[(slice(None),) * axis + (slice(0, size),)]


def _transformed(matrix: Floats, tiles: Floats) -> Floats:
    """A transform along the first axis, where tiles have their elements."""
    return np.asarray(np.tensordot(matrix, tiles, ([1], [0])))


def _summed(operands: Operands) -> int:
    """How many channels or examples one element is summed over."""
    groups, transposed, w = operands.geometry.groups, operands.geometry.transposed, operands.w.shape
    if operands.direction is Direction.GRAD_WEIGHT:
        return int(operands.x.shape[0])
    forward = operands.direction is Direction.FORWARD
    return int(w[0]) // groups if forward == transposed else int(w[1])


def _contract(operands: Operands, first: Floats, second: Floats) -> Floats:
    """Sums over the channels of a group, or the examples: norms (N, C), (O, C / groups) to norms of the result."""
    groups = operands.geometry.groups
    first = first.reshape(len(first), groups, -1)
    if operands.direction is Direction.GRAD_WEIGHT:
        second = second.reshape(len(second), groups, -1)
        if operands.geometry.transposed:
            first, second = second, first
        return np.asarray(np.einsum("ngc,ngo->goc", first, second).reshape(-1, first.shape[2]))
    second = second.reshape(groups, -1, second.shape[1])
    forward = operands.direction is Direction.FORWARD
    over = "ngc,goc->ngo" if forward != operands.geometry.transposed else "ngo,goc->ngc"
    return np.asarray(np.einsum(over, first, second).reshape(len(first), -1))
