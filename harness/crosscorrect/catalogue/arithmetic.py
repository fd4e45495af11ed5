"""Wrong arithmetic: inputs or outputs rounded to fewer bits, narrow accumulators, Winograd, FFT, integers.

What rounds inputs or outputs is a change like any other, with a rounding in place of a linear map: its adjoint is the
identity, as for automatic differentiation that does not see the rounding. What sums in another way is emulated by
``crosscorrect.catalogue.sums``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from crosscorrect import dtypes
from crosscorrect.catalogue.change import Change, Map, Setting
from crosscorrect.catalogue.entry import Register

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from crosscorrect.oracle import Array

    Cast = Callable[[Array], Array]

REGISTER = Register()


def rounded(a: Array, digits: int, lowest: int = -126, *, truncate: bool = False) -> Array:
    """Round to a binary format of ``digits`` significand bits, to nearest even or toward zero; the dtype stays.

    ``lowest`` is the exponent of the smallest normal number. float64 and below; what is not finite stays as it is.
    """
    a = np.asarray(a)
    if a.dtype.kind != "f":
        return a
    wide = a.astype(np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        _, exponent = np.frexp(wide)
        unit = np.exp2(np.maximum(exponent - 1, lowest) - (digits - 1.0))
        steps = wide / unit
        found = (np.trunc(steps) if truncate else np.rint(steps)) * unit
    return np.where(np.isfinite(wide), found, wide).astype(a.dtype)


def cast(name: str) -> Cast:
    """Rounding to a dtype and back, so that a large number may become infinite."""

    def there_and_back(a: Array) -> Array:
        a = np.asarray(a)
        if a.dtype.kind != "f":
            return a
        with np.errstate(over="ignore"):
            return np.asarray(dtypes.widen(dtypes.narrow(a, name))).astype(a.dtype)

    return there_and_back


def flush(a: Array) -> Array:
    """Set what is subnormal in float32 to zero."""
    a = np.asarray(a)
    return np.where(np.abs(a) < 2.0**-126, np.zeros((), a.dtype), a) if a.dtype.kind == "f" else a


def wrapped(bits: int) -> Cast:
    """Keep the lowest bits of an integer, two's complement."""
    half = 2 ** (bits - 1)
    return lambda a: (_whole(a) + half) % (2 * half) - half


def saturated(low: int, high: int) -> Cast:
    """Keep an integer between two limits."""
    return lambda a: np.clip(_whole(a), low, high)


def _whole(a: Array) -> Array:
    """Integers in 64 bits, so that no step of the calculation wraps by itself; floating-point numbers as they are."""
    a = np.asarray(a)
    return a.astype(np.int64) if a.dtype.kind in "iu" else a


def _back(_: Array, y: Array) -> Array:
    return y


INPUTS: dict[str, tuple[str, Cast]] = {
    "tf32-inputs": ("TF32 inputs", lambda a: rounded(a, 11)),
    "tf32-inputs-truncated": ("inputs truncated to TF32", lambda a: rounded(a, 11, truncate=True)),
    "bf16-inputs": ("bfloat16 inputs", cast("bfloat16")),
    "bf16-inputs-truncated": ("inputs truncated to bfloat16", lambda a: rounded(a, 8, truncate=True)),
    "fp16-inputs": ("float16 inputs", cast("float16")),
    "fp8-inputs": ("8-bit floating-point inputs (E4M3)", lambda a: rounded(a, 4, -6)),
    "float32-computation": ("a computation in float32", cast("float32")),
    "subnormals-flushed": ("subnormal numbers set to zero", flush),
}
"""Roundings of image and kernel (and, for gradients, of the output's gradient): the words of a diagnosis, the cast."""

OUTPUTS: dict[str, tuple[str, Cast]] = {
    "bf16-output": ("an output rounded to bfloat16", cast("bfloat16")),
    "fp16-output": ("an output rounded to float16", cast("float16")),
    "tf32-output": ("an output rounded to TF32", lambda a: rounded(a, 11)),
}
"""Roundings of the output."""

SUMS = {
    "truncating-accumulator": "an accumulator that rounds toward zero",
    "fp16-accumulator": "a float16 accumulator",
    "bf16-accumulator": "a bfloat16 accumulator",
    "winograd-f2": "Winograd's algorithm F(2, 3)",
    "winograd-f4": "Winograd's algorithm F(4, 3)",
    "winograd-f6": "Winograd's algorithm F(6, 3)",
    "fft": "a Fourier transform",
}
"""Other ways to sum, emulated by ``sums``: the words of a diagnosis."""


def _inputs(function: Cast) -> Callable[[Setting], Iterator[Change]]:
    both = Map(function, back=_back)

    def changes(s: Setting) -> Iterator[Change]:
        yield Change(s.geometry, x=both, w=both, dy=both)
        yield Change(s.geometry, w=both, sentence="consistent with {words}, of the kernel only")
        yield Change(s.geometry, x=both, dy=both, sentence="consistent with {words}, of the image only")

    return changes


def _outputs(function: Cast) -> Callable[[Setting], Iterator[Change]]:
    return lambda s: iter([Change(s.geometry, result=Map(function, back=_back))])


def _plain(s: Setting) -> Iterator[Change]:
    yield Change(s.geometry)


def _integers(function: Cast) -> Callable[[Setting], Iterator[Change]]:
    return lambda s: iter([Change(s.geometry, result=Map(function, back=_back))])


for _name, (_words, _cast) in INPUTS.items():
    REGISTER.arithmetic(_name, f"consistent with {_words}", _inputs(_cast))
for _name, (_words, _cast) in OUTPUTS.items():
    REGISTER.arithmetic(_name, f"consistent with {_words}", _outputs(_cast))
for _name, _words in SUMS.items():
    REGISTER.arithmetic(_name, f"consistent with {_words}", _plain)
INTEGERS: dict[str, tuple[str, Cast]] = {
    "wrapped-at-8-bits": ("the sum is kept in 8 bits and wraps", wrapped(8)),
    "wrapped-at-16-bits": ("the sum is kept in 16 bits and wraps", wrapped(16)),
    "saturated-at-int8": ("the sum saturates at the limits of int8", saturated(-128, 127)),
    "saturated-at-uint8": ("the sum saturates at the limits of uint8", saturated(0, 255)),
    "saturated-at-int16": ("the sum saturates at the limits of int16", saturated(-32768, 32767)),
}
"""What becomes of an exact integer sum; floating-point problems are left alone."""
for _name, (_words, _cast) in INTEGERS.items():
    REGISTER.arithmetic(_name, _words, _integers(_cast))
