"""The dtypes that cross process borders, by name: what each is in plain NumPy, widened exactly and rounded once.

This module travels to every worker: Python 3.8, NumPy 1.17. NumPy has no bfloat16, and a worker may hold no package
that adds one, so a bfloat16 array is a structured array of one field, ``[("bfloat16", "<u2")]``: its 16 bits, and a
dtype that nothing can mistake for integers. (MXNet names its own bfloat16 so.)
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

BFLOAT16: np.dtype[Any] = np.dtype([("bfloat16", "<u2")])

REAL = ("float16", "bfloat16", "float32", "float64")
COMPLEX = ("complex64", "complex128")
INTEGER = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
NAMES = (*REAL, *COMPLEX, *INTEGER)
"""Every dtype a problem may have."""


@lru_cache(maxsize=256)  # NumPy makes the name anew each time
def name_of(dtype: Any) -> str:
    """The name of a NumPy dtype: ``bfloat16`` for the structured one, NumPy's own for the others."""
    found: np.dtype[Any] = np.dtype(dtype)
    return "bfloat16" if found.names == ("bfloat16",) else str(found.name)


def of(name: str) -> np.dtype[Any]:
    """The NumPy dtype of a name."""
    return BFLOAT16 if name == "bfloat16" else np.dtype(name)


def widen(array: Any) -> Any:
    """The same numbers in a dtype that NumPy calculates with: bfloat16 in float32, everything else as it is."""
    array = np.asarray(array)
    if array.dtype.names != ("bfloat16",):
        return array
    bits = array["bfloat16"].astype(np.uint32) << np.uint32(16)
    return bits.view(np.float32)


def narrow(values: Any, name: str) -> Any:
    """Round to a dtype once, to nearest and ties to even; integers must fit. NumPy's own casts but for bfloat16.

    float64 to bfloat16 by way of float32 would round twice, so the float32 is first made odd where it was rounded
    (S. Boldo, G. Melquiond, "When double rounding is odd", 2004).
    """
    if name != "bfloat16":
        return np.asarray(values).astype(name)
    values = np.asarray(values)
    with np.errstate(over="ignore", invalid="ignore"):
        single = np.atleast_1d(values.astype(np.float32))
        exact = single.astype(np.float64) == values
    bits = single.view(np.uint32).copy()
    toward_zero = np.abs(single.astype(np.float64)) > np.abs(np.atleast_1d(values))
    inexact = ~np.atleast_1d(exact) & np.isfinite(single)
    bits[inexact & toward_zero] -= np.uint32(1)  # the neighbour nearer zero: truncation
    bits[inexact] |= np.uint32(1)
    nan = np.isnan(single)
    rounded = (bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16)
    rounded[nan] = (bits[nan] >> np.uint32(16)) | np.uint32(0x40)
    out = np.empty(rounded.shape, BFLOAT16)
    out["bfloat16"] = rounded.astype(np.uint16)
    return out.reshape(values.shape)
