"""The numbers of an array specification: checked as they are written, and rounded once to the problem's dtype."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from crosscorrect import dtypes

if TYPE_CHECKING:
    from collections.abc import Sequence

    Array = np.ndarray[Any, Any]

MAX_INTEGER = 2**53
"""The largest integer that may be written out: beyond it doubles are not exact, and a cast would round twice."""

MAX_PUTS = 1000
"""The largest number of single elements that ``put`` may set."""

COMPONENTS = {"complex64": "float32", "complex128": "float64"}
"""The dtype of the real and of the imaginary part of each complex dtype."""

WORDS = ("nan", "inf", "-inf", "-0", "smallest", "largest")
"""Values of ``put`` that are words: in JSON most of them are no numbers, and the last two depend on the dtype."""

_SMALLEST = {"float16": 2.0**-24, "bfloat16": 2.0**-133, "float32": 2.0**-149, "float64": 2.0**-1074}
_LARGEST = {
    "float16": (2 - 2.0**-10) * 2.0**15,
    "bfloat16": (2 - 2.0**-7) * 2.0**127,
    "float32": (2 - 2.0**-23) * 2.0**127,
    "float64": sys.float_info.max,
}


class ArrayError(ValueError):
    """A defect of an array specification: the ``key`` inside it, the ``value`` found and a ``remedy``."""

    def __init__(self, problem: str, key: tuple[str | int, ...] = (), value: object = None, remedy: str = "") -> None:
        super().__init__(problem)
        self.problem, self.key, self.value, self.remedy = problem, key, value, remedy


def measure(rows: Any) -> tuple[int, ...]:
    """The shape of nested lists of finite numbers; ArrayError where they are ragged, empty or hold other things."""
    if not isinstance(rows, list):
        if isinstance(rows, bool) or not isinstance(rows, (int, float)):
            raise ArrayError("an array holds numbers", value=rows, remedy="write a number")
        if isinstance(rows, int) and abs(rows) > MAX_INTEGER:  # first: of one beyond a double nothing else can be asked
            raise ArrayError(
                "integers beyond 2**53 are not exact", value=rows, remedy="write it as a float, such as 1e17"
            )
        if not math.isfinite(rows):
            raise ArrayError("an array holds finite numbers", value=rows, remedy="put sets a single nan or inf")
        return ()
    if not rows:
        raise ArrayError("a list in an array is empty", remedy="every axis has at least one element")
    shape: tuple[int, ...] | None = None
    for index, row in enumerate(rows):
        try:
            inner = measure(row)
        except ArrayError as error:
            raise ArrayError(error.problem, (index, *error.key), error.value, error.remedy) from None
        if shape is not None and inner != shape:
            held = f"has shape {list(inner)}, the first {list(shape)}"
            raise ArrayError(f"the rows differ: this one {held}", (index,), remedy="give all rows the same length")
        shape = inner
    return (len(rows), *(shape or ()))


def cast(values: Array, dtype: str) -> Array:
    """Round finite numbers to ``dtype`` once, to nearest. Raises ArrayError for a value that the dtype cannot hold."""
    if dtype in COMPONENTS:
        out = np.empty(values.shape, dtype)
        out.real, out.imag = cast(values.real, COMPONENTS[dtype]), cast(values.imag, COMPONENTS[dtype])
        return out
    if values.dtype.kind == "c":
        _refuse(values, values.imag != 0, dtype)
        values = values.real
    if dtype in dtypes.INTEGER:
        limits = np.iinfo(dtype)
        if values.dtype.kind in "iu":
            # Python compares exactly what NumPy would compare as doubles
            ends = () if values.size == 0 else (int(values.min()), int(values.max()))
            _refuse(np.array(ends), np.array([not limits.min <= end <= limits.max for end in ends], bool), dtype)
        else:
            # compared from the inside: the limits themselves may not be doubles
            beyond = 2.0 ** (limits.bits - (dtype[0] == "i"))
            _refuse(values, (values != np.floor(values)) | (values < limits.min) | ~(values < beyond), dtype)
        return values.astype(dtype)
    with np.errstate(over="ignore"):
        narrow: Array = dtypes.narrow(values, dtype)
    _refuse(values, ~np.isfinite(dtypes.widen(narrow)), dtype)
    return narrow


def _refuse(values: Array, wrong: Array, dtype: str) -> None:
    if wrong.any():
        raise ArrayError(
            f"{dtype} cannot hold this value", value=values[wrong][0].item(), remedy="choose another dtype"
        )


def check_puts(entries: Any, shape: Sequence[int]) -> None:
    """Raise ArrayError where ``put`` is no list of at most 1000 ``{at, value}`` that suits an array of this shape."""
    if not isinstance(entries, list) or not 1 <= len(entries) <= MAX_PUTS:
        raise ArrayError(f"put is a list of 1 to {MAX_PUTS} mappings", ("put",), entries, "write [{at: [0], value: 1}]")
    for index, entry in enumerate(entries):
        here = ("put", index)
        if not isinstance(entry, dict) or set(entry) != {"at", "value"}:
            raise ArrayError("each element that is put has at and value", here, entry, "write {at: [0], value: 1}")
        at, value = entry["at"], entry["value"]
        if not isinstance(at, list) or not 1 <= len(at) <= len(shape) or not all(type(i) is int for i in at):
            problem = f"at must be a list of 1 to {len(shape)} positions, for the last axes of the array"
            raise ArrayError(problem, (*here, "at"), at)
        if not all(0 <= i < n for i, n in zip(at, shape[len(shape) - len(at) :], strict=True)):
            problem = f"at must lie inside the shape {list(shape)}"
            raise ArrayError(problem, (*here, "at"), at, "positions count from 0")
        if value not in WORDS if isinstance(value, str) else not number(value):
            remedy = "write one of " + ", ".join(f'"{word}"' for word in WORDS)
            raise ArrayError("what is put is a finite number or a word", (*here, "value"), value, remedy)


def put(array: Array, entries: Sequence[dict[str, Any]], dtype: str) -> Array:
    """A copy with single elements set, in order; ``at`` of fewer positions than axes sets one in every slice."""
    array = array.copy()
    for index, entry in enumerate(entries):
        try:
            array[(..., *entry["at"])] = element(entry["value"], dtype)[0]
        except ArrayError as error:
            raise ArrayError(error.problem, ("put", index, "value"), error.value, error.remedy) from None
    return array


def element(value: float | str, dtype: str) -> Array:
    """An array of one element: a number, or what a word of ``WORDS`` means in this dtype, the real part of a complex.

    ``smallest`` is the least positive subnormal number. Of integers there is only the ``largest``.
    """
    if not isinstance(value, str):
        if isinstance(value, int) and abs(value) > MAX_INTEGER:
            remedy = "write it as a float, such as 1e17"
            raise ArrayError("integers beyond 2**53 are not exact", value=value, remedy=remedy)
        return cast(np.array([value]), dtype)
    if dtype in dtypes.INTEGER:
        if value != "largest":
            raise ArrayError(f"{dtype} has no such value", value=value, remedy="write a number, or largest")
        return np.array([np.iinfo(dtype).max], dtype)
    part = COMPONENTS.get(dtype, dtype)
    special = {"smallest": _SMALLEST[part], "largest": _LARGEST[part], "-0": -0.0}
    found = special[value] if value in special else float(value)
    narrow: Array = dtypes.narrow(np.array([found]), dtype)
    return narrow


def number(value: object) -> bool:
    """Whether this is a finite number that a double comes near to."""
    # compared, because isfinite itself cannot take an integer beyond a double; nan is in no range
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= sys.float_info.max
