"""Named pictures: the chapter's images and a photograph, integer-valued so that integer kernels give exact outputs.

The x coordinate is the column and the y coordinate the row, both from 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    Array = np.ndarray[Any, Any]

Size = int | Sequence[int]
MAX_DEGREE = 30


def edge(height: int, width: int) -> Array:
    """White (1), the middle half of the columns black (0): the chapter's image at 6 × 8, columns 2 to 5 (In [4])."""
    image = np.ones((height, width), dtype=np.int64)
    image[:, width // 4 : width - width // 4] = 0
    return image


def diagonal(height: int, width: int) -> Array:
    """1 on and above the diagonal, 0 below: an edge along the diagonal (Problem 1)."""
    return np.triu(np.ones((height, width), dtype=np.int64))


def identity(height: int, width: int) -> Array:
    """1 on the diagonal, 0 elsewhere: a line along the diagonal (Problem 1)."""
    return np.eye(height, width, dtype=np.int64)


def step(height: int, width: int) -> Array:
    """0 in the left half of the columns, 1 in the right half (the larger half, where they are odd)."""
    image = np.zeros((height, width), dtype=np.int64)
    image[:, width // 2 :] = 1
    return image


def ramp(height: int, width: int) -> Array:
    """The column's number: a constant slope of 1 along x."""
    return np.tile(np.arange(width, dtype=np.int64), (height, 1))


def polynomial(height: int, width: int, degree: int, coefficients: Sequence[int] = (1, 1)) -> Array:
    """``a * x**degree + b * y**degree`` for ``coefficients = [a, b]``; by default the sum of both powers.

    A derivative kernel of the same degree d along x gives ``a * d!`` everywhere, since the second term is constant
    along a row; the Laplace operator gives 2a + 2b at degree 2, so it vanishes for [1, -1]. Raises ValueError beyond
    2**53.
    """
    _check_polynomial(height, width, degree, coefficients)
    a, b = coefficients
    x, y = np.arange(width, dtype=np.int64), np.arange(height, dtype=np.int64)
    return np.asarray(a * x[None, :] ** degree + b * y[:, None] ** degree)


def photograph(height: int, width: int) -> Array:
    """A centred crop of a photograph in grey values 0 to 255, as matplotlib ships it (``grace_hopper.jpg``, 600 × 512).

    The luma is ``(299 R + 587 G + 114 B + 500) // 1000`` (ITU-R BT.601) in integers, so it is exact from the decoded
    pixels on; decoders may differ by a grey value, which the digest of a problem's data shows. Raises ValueError where
    the file is missing.
    """
    _check_photograph(height, width)
    image = _luma()
    top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
    return image[top : top + height, left : left + width].copy()


class Picture(NamedTuple):
    """A picture's function, its size where none is given (None: the photograph's own) and the further keys it takes."""

    draw: Callable[..., Array]
    size: tuple[int, int] | None
    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()


PICTURES: dict[str, Picture] = {
    "edge": Picture(edge, (6, 8)),
    "diagonal": Picture(diagonal, (6, 6)),
    "identity": Picture(identity, (6, 6)),
    "step": Picture(step, (6, 8)),
    "ramp": Picture(ramp, (6, 8)),
    "polynomial": Picture(polynomial, (6, 8), ("degree",), ("coefficients",)),
    "photograph": Picture(photograph, None),
}


def check(name: str, size: tuple[int, int], **keys: Any) -> None:
    """Raise ValueError where a picture cannot be drawn at this size with these further keys; nothing is drawn."""
    if name == "polynomial":
        _check_polynomial(*size, **keys)
    elif name == "photograph":
        _check_photograph(*size)


def size_of(name: str, size: Size | None = None) -> tuple[int, int]:
    """(height, width) of a picture, drawing nothing; ``size`` is one number or [height, width]. Raises ValueError."""
    if size is None:
        default = PICTURES[name].size
        return default if default is not None else (_luma().shape[0], _luma().shape[1])
    pair = [size, size] if isinstance(size, int) else list(size)
    if len(pair) != 2 or not all(_integer(n) and n >= 1 for n in pair):
        raise ValueError("size must be one number or [height, width], each at least 1")
    return pair[0], pair[1]


def _check_polynomial(height: int, width: int, degree: int, coefficients: Sequence[int] = (1, 1)) -> None:
    if not _integer(degree) or not 0 <= degree <= MAX_DEGREE:
        raise ValueError(f"degree must be an integer from 0 to {MAX_DEGREE}")
    if len(coefficients) != 2 or not all(_integer(c) for c in coefficients):
        raise ValueError("coefficients must be two integers, [of x, of y]")
    if abs(coefficients[0]) * (width - 1) ** degree + abs(coefficients[1]) * (height - 1) ** degree > 2**53:
        raise ValueError("this polynomial exceeds 2**53 on an image of this size; lower the degree or the size")


def _check_photograph(height: int, width: int) -> None:
    whole = _luma().shape
    if height > whole[0] or width > whole[1]:
        raise ValueError(f"the photograph has only {whole[0]} × {whole[1]} pixels")


@lru_cache(maxsize=1)
def _luma() -> Array:
    # "Grace Hopper", official portrait by James S. Davis, U.S. Navy: a work of the U.S. federal government and so in
    # the public domain.
    try:
        import matplotlib as mpl  # noqa: PLC0415  only this picture needs it; the others need NumPy alone
        from PIL import Image  # noqa: PLC0415  likewise

        with Image.open(Path(mpl.get_data_path()) / "sample_data" / "grace_hopper.jpg") as file:
            red, green, blue = np.moveaxis(np.asarray(file.convert("RGB"), dtype=np.int64), -1, 0)
    except (ImportError, OSError) as error:
        raise ValueError(
            f"the photograph cannot be read: it comes with matplotlib and needs Pillow ({error})"
        ) from error
    return np.asarray((299 * red + 587 * green + 114 * blue + 500) // 1000)


def _integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
