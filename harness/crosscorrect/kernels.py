"""Named kernels, as a chapter or a textbook writes them, unflipped: each is meant for cross-correlation.

Every kernel is integer-valued, so that its outputs on integer images are exact, except ``gaussian`` and
``directional`` with a fractional vector. The x axis runs along a row, to the right, and the y axis down a column;
derivatives are positive where the image grows along their axis, except in the chapter's ``edge``.
"""

from __future__ import annotations

import decimal
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    Array = np.ndarray[Any, Any]

Size = int | Sequence[int]
MAX_SIZE = 255
MAX_DEGREE = 30
MAX_LENGTH = 1e300


def edge() -> Array:
    """``[[1, -1]]``: the chapter's detector of vertical edges (In [5]); 1 from white to black, -1 the other way."""
    return _kernel([[1, -1]])


def sobel_x() -> Array:
    """``[1, 2, 1]ᵀ × [-1, 0, 1]``: smoothed derivative along x (Sobel and Feldman, 1968; Duda and Hart, 1973)."""
    return _kernel([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]])


def sobel_y() -> Array:
    """The transpose of ``sobel_x``: smoothed derivative along y."""
    return sobel_x().T.copy()


def prewitt_x() -> Array:
    """``[1, 1, 1]ᵀ × [-1, 0, 1]``: averaged derivative along x (Prewitt, "Object enhancement and extraction", 1970)."""
    return _kernel([[-1, 0, 1], [-1, 0, 1], [-1, 0, 1]])


def prewitt_y() -> Array:
    """The transpose of ``prewitt_x``: averaged derivative along y."""
    return prewitt_x().T.copy()


def laplacian() -> Array:
    """Second differences along x and y, added: the five-point Laplace operator (Problem 4)."""
    return _kernel([[0, 1, 0], [1, -4, 1], [0, 1, 0]])


def laplacian8() -> Array:
    """``laplacian`` plus the second differences along both diagonals: the eight neighbours minus 8 times the centre."""
    return _kernel([[1, 1, 1], [1, -8, 1], [1, 1, 1]])


def sharpen() -> Array:
    """The image minus its ``laplacian``."""
    return _kernel([[0, -1, 0], [-1, 5, -1], [0, -1, 0]])


def emboss() -> Array:
    """The image plus its derivative along the falling diagonal; only a transposition maps this kernel to itself."""
    return _kernel([[-2, -1, 0], [-1, 1, 1], [0, 1, 2]])


def directional(vector: Sequence[float]) -> Array:
    """``vx * sobel_x + vy * sobel_y`` for ``vector = [vx, vy]``: detects edges that run across the vector.

    The derivative along v is ``vx * d/dx + vy * d/dy``, the gradient's component along v; Sobel's kernels stand for the
    two derivatives.
    """
    if len(vector) != 2 or not all(_number(v) and abs(v) <= MAX_LENGTH for v in vector):
        raise ValueError(f"vector must be two numbers, [along x, along y], of at most {MAX_LENGTH:g}")
    return np.asarray(vector[0] * sobel_x() + vector[1] * sobel_y())


def derivative(degree: int) -> Array:
    """The smallest kernel for a derivative of degree d along x: the forward difference of d + 1 taps (Problem 4).

    Tap k is ``(-1)**(d - k) * binomial(d, k)`` (Abramowitz and Stegun 25.1.1). Correlating ``x**d`` gives d!, a
    polynomial of lower degree 0. Fewer taps cannot do: they would have to vanish on 1, x … x**(d-1), whose values at d
    points form an invertible Vandermonde matrix, and so be zero.
    """
    if not _integer(degree) or not 1 <= degree <= MAX_DEGREE:
        raise ValueError(f"degree must be an integer from 1 to {MAX_DEGREE}")
    return _kernel([[(-1) ** (degree - k) * math.comb(degree, k) for k in range(degree + 1)]])


def second_derivative() -> Array:
    """``[[1, -2, 1]]``: the second difference along x (Problem 4); ``derivative`` of degree 2."""
    return derivative(2)


def integral(size: Size) -> Array:
    """Ones: sums the window, a blur times the window's size (Problem 4). ``size`` is one number or [height, width]."""
    return np.ones(_pair(size), dtype=np.int64)


def binomial(size: Size) -> Array:
    """The Gaussian in integers: row n-1 of Pascal's triangle along each axis, multiplied out, not normalised.

    It is n-1 repeated averages of neighbours, so the variance along an axis is (n - 1) / 4 (Burt, 1981).
    """
    height, width = _pair(size)
    if max(height, width) > MAX_DEGREE + 1:
        raise ValueError(f"size must be at most {MAX_DEGREE + 1} along each axis, or its numbers outgrow the dtypes")
    rows, columns = ([math.comb(n - 1, k) for k in range(n)] for n in (height, width))
    return _kernel([[row * column for column in columns] for row in rows])


def gaussian(size: Size, sigma: float) -> Array:
    """``exp(-(x² + y²) / (2 sigma²))`` about the centre, divided by its sum; float64.

    Computed in decimals of 50 digits, whose ``exp`` is correctly rounded on every platform, and rounded once to
    float64.
    """
    if not _number(sigma) or not 1e-3 <= sigma <= 1e6:
        raise ValueError("sigma must be a number of pixels from 0.001 to 1e6")
    height, width = _pair(size)
    with decimal.localcontext(decimal.Context(prec=50)):
        rows, columns = _bell(height, sigma), _bell(width, sigma)
        total = sum(rows) * sum(columns)
        return np.array([[float(row * column / total) for column in columns] for row in rows], dtype=np.float64)


KERNELS: dict[str, tuple[Callable[..., Array], tuple[str, ...]]] = {
    "edge": (edge, ()),
    "sobel_x": (sobel_x, ()),
    "sobel_y": (sobel_y, ()),
    "prewitt_x": (prewitt_x, ()),
    "prewitt_y": (prewitt_y, ()),
    "laplacian": (laplacian, ()),
    "laplacian8": (laplacian8, ()),
    "sharpen": (sharpen, ()),
    "emboss": (emboss, ()),
    "directional": (directional, ("vector",)),
    "derivative": (derivative, ("degree",)),
    "second_derivative": (second_derivative, ()),
    "integral": (integral, ("size",)),
    "binomial": (binomial, ("size",)),
    "gaussian": (gaussian, ("size", "sigma")),
}
"""By name: the function, and the keys it needs, all of them."""


def _kernel(rows: list[list[int]]) -> Array:
    return np.array(rows, dtype=np.int64)


def _bell(size: int, sigma: float) -> list[decimal.Decimal]:
    centre, spread = decimal.Decimal(size - 1) / 2, 2 * decimal.Decimal(sigma) ** 2
    return [(-((k - centre) ** 2) / spread).exp() for k in range(size)]


def _pair(size: Size) -> tuple[int, int]:
    pair = [size, size] if isinstance(size, int) else size
    if len(pair) != 2 or not all(_integer(n) and 1 <= n <= MAX_SIZE for n in pair):
        raise ValueError(f"size must be one number or [height, width], each from 1 to {MAX_SIZE}")
    return pair[0], pair[1]


def _integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
