"""The arithmetics that a run may declare, and what each allows to be lost: what enters a sum, and what adds it up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from crosscorrect import dtypes
from crosscorrect.formats import FORMATS, Format, complex_rounding, floating, rounding
from crosscorrect.model import Direction
from crosscorrect.slides import SUM, adjoint, correlation, kernel_gradient

if TYPE_CHECKING:
    from collections.abc import Callable

    from crosscorrect.geometry import Geometry
    from crosscorrect.oracle import Array, Floats, Reference

NAMES = ("strict", "tf32", "bf16", "fp16", "winograd", "fft", "default")
"""Every arithmetic that may be declared; ``default`` is judged as ``strict``."""


@dataclass(frozen=True, slots=True)
class Operands:
    """What a direction of a problem is computed from, for bounds that S and n do not determine.

    ``x`` (N, C, *space), ``w`` OIHW (IOHW if transposed), ``b`` (O,) or None, and ``dy`` of the output's shape where
    a gradient is meant; any dtype of ``dtypes.NAMES``.
    """

    x: Array
    w: Array
    b: Array | None
    geometry: Geometry
    direction: Direction = Direction.FORWARD
    dy: Array | None = None

    def factors(self) -> tuple[Floats, Floats]:
        """The magnitudes of the two arrays that are multiplied, in float64: for complex ones ``|re| + |im|``.

        Forward (x, w), input gradient (dy, w), kernel gradient (x, dy); ValueError where there are no two.
        """
        pairs = {
            Direction.FORWARD: (self.x, self.w),
            Direction.GRAD_INPUT: (self.dy, self.w),
            Direction.GRAD_WEIGHT: (self.x, self.dy),
        }
        first, second = pairs.get(self.direction, (None, None))
        if first is None or second is None:
            raise ValueError(f"no two factors to bound {self.direction} by")
        return magnitude(first), magnitude(second)


@dataclass(frozen=True, slots=True)
class Reduced:
    """Inputs rounded to ``input_u``, sums in ``accumulator``; it changes problems of the dtypes ``applies`` only."""

    input_u: float
    accumulator: Format
    applies: tuple[str, ...]


REDUCED = {
    # hardware rounds TF32's 11 significand bits to nearest (2**-11) or just drops the rest (2**-10), and tensor
    # cores truncate their float32 sums: both are sound here
    "tf32": Reduced(2.0**-10, FORMATS["float32"].truncating(), ("float32", "complex64")),
    # XLA's and PyTorch's "bfloat16" precision rounds to nearest: 2**-8. A bfloat16 problem has nothing to round, and
    # declares with it that its sums are float32
    "bf16": Reduced(2.0**-8, FORMATS["float32"].truncating(), ("float32", "complex64", "bfloat16")),
    "fp16": Reduced(2.0**-11, FORMATS["float16"], ("float32", "complex64", "float16")),
}
"""The contracts of reduced inputs. For every other dtype they are ``strict``."""


def magnitude(array: Array) -> Floats:
    """Absolute values in float64; for complex data ``|re| + |im|``, which bounds what three products add."""
    wide = dtypes.widen(array)
    if np.iscomplexobj(wide):
        return np.asarray(np.abs(wide.real).astype(np.float64) + np.abs(wide.imag))
    return np.abs(np.asarray(wide, np.float64))


def summed(scale: Floats, terms: Array, dtype: str, form: Format) -> Floats:
    """The rounding bound of a sum in ``form``: of both components where the dtype is complex."""
    bound = complex_rounding if dtype in dtypes.COMPLEX else rounding
    return bound(scale, terms, form)


def reduced(name: str, scale: Floats, terms: Array, dtype: str, operands: Operands | None) -> Floats | None:
    """Bound a sum of n products whose inputs are rounded first; None where the contract leaves this dtype as it is.

    ``(2 u_in + u_in**2) S`` (research numerics 2.2), doubled for complex data, and the rounding of the sum of the
    rounded terms, whose S is at most ``(1 + u_in)**2`` times larger. Inputs below float16's normal range lose up to
    half its smallest subnormal instead; with ``operands`` that is counted, without it is taken not to happen. Inputs
    beyond its range make the bound infinite. The other formats have float32's range.
    """
    contract = REDUCED[name]
    if dtype not in contract.applies:
        return None
    same = floating(dtype).u >= contract.input_u  # nothing to round
    u = 0.0 if same else contract.input_u
    lost = (2.0 * u + u * u) * scale
    if name == "fp16" and not same and operands is not None and operands.direction is not Direction.GRAD_BIAS:
        raised = _raised(operands, contract.accumulator)
        lost = (2.0 * u + u * u) * np.maximum(raised, scale)
    grown = scale + lost
    twice = 2.0 if dtype in dtypes.COMPLEX else 1.0
    return np.asarray(twice * lost + summed(grown, terms, dtype, contract.accumulator))


def _raised(operands: Operands, form: Format) -> Floats:
    """S of inputs raised by ``eta / u``: ``u`` times a raised input bounds its rounding error, subnormal or not."""
    first, second = operands.factors()
    spare = 2.0 * form.eta / form.u  # twice, for a complex magnitude is a sum of two
    beyond = max(first.max(initial=0.0), second.max(initial=0.0)) > form.largest
    raised = convolved(operands, first + spare, second + spare)
    if operands.b is not None and operands.direction is Direction.FORWARD:
        bias = magnitude(operands.b) + spare
        raised = raised + bias.reshape(-1, *(1,) * operands.geometry.rank)
    return np.full_like(raised, np.inf) if beyond else raised


def convolved(operands: Operands, first: Floats, second: Floats) -> Floats:
    """The sum of products that a direction is, on other factors of the same shapes."""
    geometry, image, kernel = operands.geometry, operands.x.shape[2:], operands.w.shape[2:]
    geometry = geometry.explicit(image, kernel)
    ways: dict[Direction, tuple[Callable[..., Any], tuple[int, ...]]] = {
        Direction.FORWARD: (adjoint if geometry.transposed else correlation, geometry.output_size(image, kernel)),
        Direction.GRAD_INPUT: (correlation if geometry.transposed else adjoint, image),
        Direction.GRAD_WEIGHT: (kernel_gradient, kernel),
    }
    way, size = ways[operands.direction]
    if operands.direction is Direction.GRAD_WEIGHT and geometry.transposed:
        first, second = second, first
    return np.asarray(way(first, second, geometry, size, SUM)[0])


def strict_error(reference: Reference, scale: Floats, dtype: str) -> Floats:
    """The rounding bound of the dtype's own arithmetic."""
    return summed(scale, reference.terms, dtype, floating(dtype))
