"""Arrays as a person would draw them: small ones as grids of shaded numbers, large ones as pictures."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from crosscorrect_reports.text import number

if TYPE_CHECKING:
    from collections.abc import Collection

    Array = np.ndarray[Any, Any]

LEVELS = 6
"""Shades on either side of zero; the style sheet has a class for each."""

MOST_ROWS, MOST_COLUMNS = 16, 16
"""The largest array whose numbers are written out."""

MOST_PIXELS = 320
"""The longest side of a picture in the page."""

MOST_SLICES = 4
"""How many images of a batch with channels are drawn."""

_DARK_BLUE, _DARK_ORANGE = np.array([0, 68, 136]), np.array([178, 82, 0])


@dataclass(frozen=True, slots=True)
class Cell:
    """One number: its text, its shade and a mark: ``""``, ``window`` or ``wrong``.

    ``level`` is from -LEVELS to LEVELS, its sign the number's; in a grey grid from 0 (black) to LEVELS (white).
    """

    text: str
    level: int
    mark: str = ""


@dataclass(frozen=True, slots=True)
class Grid:
    """One image to draw: ``rows`` of cells, or ``uri`` of a picture with the ``width`` in pixels to show it at."""

    label: str
    shape: str
    rows: list[list[Cell]] = field(default_factory=list)
    uri: str = ""
    width: int = 0
    span: str = ""
    grey: bool = False


def draw(
    array: Array, label: str, marks: Collection[tuple[int, int]] = (), mark: str = "window", *, grey: bool = False
) -> list[Grid]:
    """Return the grids of an array: one, or one for each image of a batch (the first ``MOST_SLICES``).

    ``marks`` are (row, column) of cells to be marked, where there is one image only. ``grey`` draws from black, the
    smallest value, to white, the largest; else zero is in the middle of two colours.
    """
    shape = "×".join(map(str, np.shape(array)))
    flat = np.asarray(array, np.float64)
    while flat.ndim > 2 and flat.shape[0] == 1:
        flat = flat[0]
    flat = np.atleast_2d(flat)
    if flat.ndim == 2:
        return [_one(flat, label, shape, marks, mark, grey=grey)]
    images = flat.reshape(-1, *flat.shape[-2:])
    drawn = [
        _one(image, f"{label}, image {i}", shape, (), mark, grey=grey) for i, image in enumerate(images[:MOST_SLICES])
    ]
    if len(images) > MOST_SLICES:
        drawn.append(Grid(f"and {len(images) - MOST_SLICES} more images", shape))
    return drawn


def _one(image: Array, label: str, shape: str, marks: Collection[tuple[int, int]], mark: str, *, grey: bool) -> Grid:
    finite = image[np.isfinite(image)]
    span = f"{number(finite.min(), 4)} … {number(finite.max(), 4)}" if finite.size else ""
    height, width = image.shape
    if height <= MOST_ROWS and width <= MOST_COLUMNS:
        levels = np.rint(LEVELS * _brightness(image)).astype(int) if grey else _levels(image)
        rows = [
            [
                Cell(number(v, 4), int(level), mark if (i, j) in marks else "")
                for j, (v, level) in enumerate(zip(*pair, strict=True))
            ]
            for i, pair in enumerate(zip(image, levels, strict=True))
        ]
        return Grid(label, shape, rows, span=span, grey=grey)
    # few pixels are enlarged by the browser, which keeps them sharp and the page small
    shown = min(max(width * max(1, 200 // max(height, width)), 24), MOST_PIXELS * width // max(height, width, 1))
    return Grid(label, shape, uri=picture(image, grey=grey), width=max(shown, 8), span=span, grey=grey)


def _levels(image: Array) -> Array:
    """Return shades from -LEVELS to LEVELS; only zero, and what is not finite, has the shade of zero."""
    safe = np.where(np.isfinite(image), image, 0.0)
    largest = float(np.abs(safe).max(initial=0.0)) or 1.0
    levels = np.rint(LEVELS * (safe / largest))
    return np.where(levels == 0, np.sign(safe), levels).astype(int)


def _brightness(image: Array) -> Array:
    """Return 0 for the smallest value and 1 for the largest; an image of one value is white where that is positive.

    What is not finite is black.
    """
    finite = np.isfinite(image)
    if not finite.any():
        return np.zeros(image.shape)
    low, high = float(image[finite].min()), float(image[finite].max())
    safe = np.where(finite, image, low)
    if low == high:
        return np.where(finite & (low > 0), 1.0, 0.0)
    # halved, so that the span of the largest doubles is one too
    bright: Array = (safe / 2 - low / 2) / (high / 2 - low / 2)
    return np.clip(bright, 0, 1)


def picture(image: Array, *, grey: bool = False) -> str:
    """Return a PNG as a data URI: grey if asked for or nothing is negative, else from blue through white to orange.

    Grey that is asked for is as in ``draw``, other grey begins at zero. The middle of the two colours is zero, and they
    end at the 98th percentile, so that edges show. Longer sides are reduced to ``MOST_PIXELS``.
    """
    from PIL import Image  # noqa: PLC0415  only pages with large arrays need it

    safe = np.nan_to_num(image, nan=0.0, posinf=0.0, neginf=0.0)
    negative = not grey and bool((safe < 0).any())
    if grey:
        unit = _brightness(image)
    elif negative:
        end = float(np.percentile(np.abs(safe), 98)) or float(np.abs(safe).max())
        unit = np.clip(safe / end, -1, 1)
    else:
        unit = safe / (float(safe.max()) or 1.0)
    codes = np.rint((unit + 1) * 127 if negative else unit * 255).astype(np.uint8)
    indexed = Image.fromarray(codes)
    ratio = MOST_PIXELS / max(image.shape)
    if ratio < 1:
        indexed = indexed.resize(
            (max(1, round(image.shape[1] * ratio)), max(1, round(image.shape[0] * ratio))), Image.Resampling.BOX
        )
    if negative:
        indexed.putpalette(_diverging().tobytes())
    buffer = io.BytesIO()
    indexed.save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def _diverging() -> Array:
    t = np.clip((np.arange(256) - 127) / 127, -1, 1)[:, None]
    ends = np.where(t < 0, _DARK_BLUE, _DARK_ORANGE)
    return np.asarray(np.rint(255 + (ends - 255) * np.abs(t)), np.uint8)
