"""Seeded data that is the same on every machine: a counter-based generator keyed by problem id, tensor name and seed.

Only ``Philox.random_raw`` is taken from NumPy (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011):
its 64-bit words are the same in every NumPy from 1.17 on. What follows is integer arithmetic, or floating-point
arithmetic that is exact, up to one rounding to the problem's dtype at the end. A tensor has a stream of its own, so
that adding one changes no other.
"""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.random.bit_generator import ISeedSequence

from crosscorrect import dtypes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Array = np.ndarray[Any, Any]
    Step = Callable[[Array], Array]

VERSION = "crosscorrect-inputs-v1"
"""Part of every key: a change to any stream changes this word."""

FILLS: dict[str, tuple[str, ...]] = {
    "integers": ("low", "high"),
    "normal": (),
    "uniform": (),
    "wide": ("powers",),
    "impulse": ("at",),
    "codes": (),
    "constant": ("value",),
}
"""The fills and the keys each takes beside ``shape`` and ``seed``."""

RANDOM = ("integers", "normal", "uniform", "wide")
"""The fills that read their stream; of a complex dtype they fill the imaginary part too, from a stream of its own."""

MAX_POWERS = 1000

_CHUNK = 1 << 16  # elements at a time: a large array never exists as 64-bit words


class _Key(ISeedSequence):
    """A Philox key in the place of the seed that it is made from.

    ``Philox(key=key)`` is the same, after it has asked the system for a seed of 128 random bits that it does not use,
    which takes longer than all numbers of a small tensor.
    """

    def __init__(self, key: Array) -> None:
        self._key = key

    def generate_state(self, n_words: int, dtype: Any = np.uint64) -> Array:  # noqa: ARG002  always two of 64 bits
        return self._key


def stream_key(problem: str, tensor: str, seed: int = 0, salt: int = 0) -> Array:
    """The Philox key of one tensor: the first 128 bits of a sha256, as two little-endian 64-bit words.

    ``seed`` is the specification's. ``salt`` is for all data of a run at once; 0 leaves them as they always were.
    """
    text = "|".join((VERSION, problem, tensor, str(seed), *([f"salt={salt}"] if salt else [])))
    return np.frombuffer(hashlib.sha256(text.encode()).digest()[:16], dtype="<u8").astype(np.uint64)


def fill(spec: Mapping[str, Any], shape: Sequence[int], key: Array, dtype: str, finish: Step) -> Array:
    """An array of this shape and dtype by a fill that ``check`` accepted.

    ``finish`` turns a piece of int64 or float64 values into the dtype, elementwise; it is applied piece by piece, so
    that an array of the largest size allowed needs little more memory than itself.
    """
    out = np.empty(math.prod(shape), dtype=dtypes.of(dtype))
    if spec["fill"] == "impulse":
        return _impulse(spec["at"], out.reshape(tuple(shape)), finish)
    philox = np.random.Philox(_Key(key))  # type: ignore[arg-type]  # NumPy takes any ISeedSequence, its stub says less
    source = _source(spec, philox)
    for start in range(0, out.size, _CHUNK):
        stop = min(start + _CHUNK, out.size)
        out[start:stop] = finish(source(start, stop))
    return out.reshape(tuple(shape))


def check(spec: Mapping[str, Any], shape: Sequence[int]) -> None:
    """Raise ValueError where a fill's own keys are missing or do not suit the shape."""
    kind = spec["fill"]
    if not _integer(spec.get("seed", 0)):
        raise ValueError("seed must be an integer")
    if kind == "integers":
        low, high = spec.get("low", -4), spec.get("high", 4)
        if not (_integer(low) and _integer(high) and -(2**31) <= low <= high < 2**31):
            raise ValueError("low and high must be integers with -2**31 <= low <= high < 2**31")
    elif kind == "wide":
        powers = spec.get("powers", 20)
        if not (_integer(powers) and 0 <= powers <= MAX_POWERS):
            raise ValueError(f"powers must be an integer from 0 to {MAX_POWERS}")
    elif kind == "impulse":
        at = spec.get("at")
        if not isinstance(at, list) or not 1 <= len(at) <= len(shape) or not all(_integer(i) for i in at):
            raise ValueError(f"at must be a list of 1 to {len(shape)} positions, for the last axes of the shape")
        if not all(0 <= i < n for i, n in zip(at, shape[len(shape) - len(at) :], strict=True)):
            raise ValueError(f"at must lie inside the shape {list(shape)}; positions count from 0")
    elif kind == "constant" and not _finite(spec.get("value")):
        raise ValueError("value must be given, a finite number; an integer up to 2**53")


def integers(words: Array, low: int, high: int) -> Array:
    """Integers from ``low`` to ``high``, both included: the upper 32 bits of each word times the span, shifted by 32.

    Multiply-shift (Lemire, "Fast random integer generation in an interval", 2019) without rejection: probabilities
    differ by less than 2**-32, and every word gives a number.
    """
    span = np.uint64(high - low + 1)
    return (((words >> np.uint64(32)) * span) >> np.uint64(32)).astype(np.int64) + np.int64(low)


def uniform(words: Array) -> Array:
    """Multiples of 2**-53 in [0, 1), exact in float64: the upper 53 bits of each word."""
    return (words >> np.uint64(11)).astype(np.float64) * 2.0**-53


def normal(words: Array) -> Array:
    """Nearly normal numbers, mean 0 and variance 1, one from six words: the sum of twelve 32-bit uniforms minus six.

    The Irwin–Hall distribution of order 12; it lies within ±6. The sum is an integer, its mean ``6 * (2**32 - 1)`` is
    taken off as one, and the quotient by 2**32 is exact in float64.
    """
    halves = (words >> np.uint64(32)) + (words & np.uint64(0xFFFFFFFF))
    sums = halves.reshape(-1, 6).sum(axis=1, dtype=np.uint64).astype(np.int64)
    return np.asarray((sums - np.int64(6 * (2**32 - 1))).astype(np.float64) * 2.0**-32)


def wide(words: Array, powers: int) -> Array:
    """Numbers of adversarial scales, one from seven words: six make a ``normal``, the last the power of 2 it is times.

    The power is an integer from ``-powers`` to ``powers``; the product is exact in float64 for powers up to 1000.
    """
    seven = words.reshape(-1, 7)
    exponents = integers(seven[:, 6], -powers, powers).astype(np.intc)
    return np.asarray(np.ldexp(normal(np.ascontiguousarray(seven[:, :6])), exponents))


def _source(spec: Mapping[str, Any], philox: np.random.Philox) -> Callable[[int, int], Array]:
    """The values from a position to another; called for consecutive pieces, as the words come in sequence."""
    kind = spec["fill"]
    if kind == "integers":
        low, high = spec.get("low", -4), spec.get("high", 4)
        return lambda start, stop: integers(philox.random_raw(stop - start), low, high)
    if kind == "uniform":
        return lambda start, stop: uniform(philox.random_raw(stop - start))
    if kind == "normal":
        return lambda start, stop: normal(philox.random_raw(6 * (stop - start)))
    if kind == "wide":
        return lambda start, stop: wide(philox.random_raw(7 * (stop - start)), spec.get("powers", 20))
    if kind == "codes":  # 1, 2, 3 … in row order: every element tells where it comes from
        return lambda start, stop: np.arange(start + 1, stop + 1, dtype=np.int64)
    value = spec["value"]
    return lambda start, stop: np.full(stop - start, value, dtype=np.float64 if isinstance(value, float) else np.int64)


def _impulse(at: Sequence[int], out: Array, finish: Step) -> Array:
    """One at a position of the last axes, in every slice of the axes before them, and zero elsewhere."""
    out[...] = 0
    place: Any = (..., *at)
    out[place] = finish(np.ones(1, dtype=np.int64))[0]
    return out


def _integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _finite(value: object) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= 2**53
