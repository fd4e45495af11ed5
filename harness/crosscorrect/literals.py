"""Arrays as Python source that gives back every bit: nested lists where a person reads them, base64 beyond."""

from __future__ import annotations

import ast
import base64
from typing import Any

import numpy as np

from crosscorrect import dtypes

Array = np.ndarray[Any, Any]

WIDTH = 100
"""Columns of the source that is written."""
WRITTEN = 256
"""Arrays of up to this many numbers are written out."""

_NAMES = {"np.nan": np.nan, "np.inf": np.inf, "-np.inf": -np.inf}


def expression(array: Array) -> str:
    """A Python expression of NumPy, over one or many lines, whose value has exactly these bits, shape and dtype.

    bfloat16 is written as float32, which holds each of its numbers. The expression may use ``np`` and ``base64``.
    """
    array = dtypes.widen(array)
    return _written(array) or _encoded(array)


def _written(array: Array) -> str | None:
    """A call of ``np.array`` of nested lists, or None where a row would not fit its line or a bit would be lost."""
    if not 0 < array.size <= WRITTEN or (array.dtype.kind == "c" and not np.isfinite(array).all()):
        return None
    words = [_number(value) for value in array.ravel()]
    # what is read back is parsed as Python itself will: a decimal that rounds twice on its way is caught here
    values = np.array([_NAMES[w] if w in _NAMES else ast.literal_eval(w) for w in words])
    with np.errstate(over="ignore", invalid="ignore"):  # what a cast does to a number too large shows in the bytes
        same = values.astype(array.dtype).tobytes() == array.tobytes()
    longest = max(len(_row(words[i : i + array.shape[-1]])) for i in range(0, len(words), array.shape[-1]))
    if not same or longest + 4 * (array.ndim + 1) > WIDTH:
        return None
    dtype = f'dtype="{array.dtype.name}"'
    single = f"np.array({_nested(words, array.shape, 0)}, {dtype})"
    if "\n" not in single and len(single) <= WIDTH - 8:
        return single
    return f"np.array(\n    {_nested(words, array.shape, 4)},\n    {dtype},\n)"


def _row(words: list[str]) -> str:
    return f"[{', '.join(words)}]"


def _nested(words: list[str], shape: tuple[int, ...], indent: int) -> str:
    """Nested lists, broken from the outside in wherever they do not fit their line."""
    if len(shape) == 1:
        return _row(words)
    step, inner = len(words) // shape[0], " " * (indent + 4)
    parts = [_nested(words[i * step : (i + 1) * step], shape[1:], indent + 4) for i in range(shape[0])]
    single = _row(parts)
    if "\n" not in single and len(single) + indent + 1 <= WIDTH:
        return single
    return "[\n" + "".join(f"{inner}{part},\n" for part in parts) + " " * indent + "]"


def _number(value: Any) -> str:
    """The shortest text of a number: an integer where it is one, the shortest decimal of its own dtype, or a name."""
    if value.dtype.kind == "c":
        return repr(complex(value)).strip("()")
    if value.dtype.kind != "f":
        return str(int(value))
    if not np.isfinite(value):
        return "np.nan" if np.isnan(value) else "np.inf" if value > 0 else "-np.inf"
    number = float(value)
    whole = number.is_integer() and abs(number) < 2**24 and not (number == 0 and np.signbit(value))
    return str(int(value)) if whole else str(value)


def _encoded(array: Array) -> str:
    """The raw bytes in base64, little-endian."""
    if not array.size:
        return f'np.zeros({array.shape}, dtype="{array.dtype.name}")'
    raw = np.asarray(array, array.dtype.newbyteorder("<"))
    text = base64.b64encode(raw.tobytes()).decode("ascii")
    lines = [text[i : i + WIDTH - 12] for i in range(0, len(text), WIDTH - 12)]
    body = "".join(f'        "{line}"\n' for line in lines)
    shape = ", ".join(map(str, array.shape))
    return (
        f'np.frombuffer(\n    base64.b64decode(\n{body}    ),\n    dtype="{raw.dtype.str}",\n).reshape({shape}).copy()'
    )
