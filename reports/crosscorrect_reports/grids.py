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
    """One number: its text, its shade from -LEVELS to LEVELS, and a mark: ``""``, ``window`` or ``wrong``."""

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


def draw(array: Array, label: str, marks: Collection[tuple[int, int]] = (), mark: str = "window") -> list[Grid]:
    """Return the grids of an array: one, or one for each image of a batch (the first ``MOST_SLICES``).

    ``marks`` are (row, column) of cells to be marked, where there is one image only.
    """
    shape = "×".join(map(str, np.shape(array)))
    flat = np.asarray(array, np.float64)
    while flat.ndim > 2 and flat.shape[0] == 1:
        flat = flat[0]
    flat = np.atleast_2d(flat)
    if flat.ndim == 2:
        return [_one(flat, label, shape, marks, mark)]
    images = flat.reshape(-1, *flat.shape[-2:])
    drawn = [_one(image, f"{label}, image {i}", shape, (), mark) for i, image in enumerate(images[:MOST_SLICES])]
    if len(images) > MOST_SLICES:
        drawn.append(Grid(f"and {len(images) - MOST_SLICES} more images", shape))
    return drawn


def _one(image: Array, label: str, shape: str, marks: Collection[tuple[int, int]], mark: str) -> Grid:
    finite = image[np.isfinite(image)]
    span = f"{number(finite.min(), 4)} … {number(finite.max(), 4)}" if finite.size else ""
    height, width = image.shape
    if height <= MOST_ROWS and width <= MOST_COLUMNS:
        largest = float(np.abs(finite).max()) if finite.size else 0.0
        rows = [
            [Cell(number(v, 4), _level(float(v), largest), mark if (i, j) in marks else "") for j, v in enumerate(row)]
            for i, row in enumerate(image)
        ]
        return Grid(label, shape, rows, span=span)
    # few pixels are enlarged by the browser, which keeps them sharp and the page small
    shown = min(max(width * max(1, 200 // max(height, width)), 24), MOST_PIXELS * width // max(height, width, 1))
    return Grid(label, shape, uri=picture(image), width=max(shown, 8), span=span)


def _level(value: float, largest: float) -> int:
    if not np.isfinite(value) or largest == 0:
        return 0
    level = round(LEVELS * value / largest)
    return level or (0 if value == 0 else (1 if value > 0 else -1))


def picture(image: Array) -> str:
    """Return a PNG as a data URI: grey where nothing is negative, else from blue through white (zero) to orange.

    Longer sides are reduced to ``MOST_PIXELS``; the scale ends at the 98th percentile, so that edges show.
    """
    from PIL import Image  # noqa: PLC0415  only pages with large arrays need it

    safe = np.nan_to_num(image, nan=0.0, posinf=0.0, neginf=0.0)
    negative = bool((safe < 0).any())
    end = float(np.percentile(np.abs(safe), 98)) or float(np.abs(safe).max()) or 1.0
    unit = np.clip(safe / end, -1, 1) if negative else np.clip(safe / (float(safe.max()) or 1.0), 0, 1)
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
