"""A wrong answer as a diagnosis sees it: operations lifted to the general correlation, bounds, what is wrong."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from crosscorrect import bounds, dtypes
from crosscorrect.catalogue.change import forward, gradient
from crosscorrect.diagnosis import sampled
from crosscorrect.geometry import Geometry
from crosscorrect.model import Direction

if TYPE_CHECKING:
    from collections.abc import Mapping

    from crosscorrect.catalogue.change import Change
    from crosscorrect.oracle import Array, Bools, Floats, Reference, Sizes

SLIGHT = 2.0**-5
"""Of the scale S: the largest error that may come of rounding inputs to the few bits of the shortest format."""
LIFTED = ("corr2d", "layer", "matrix", "differentiate")
"""Operations on ``(H, W)``: a batch and a channel of one are put before."""


@dataclass(frozen=True, slots=True)
class Cause:
    """One explanation of a wrong output, with its evidence.

    ``name`` is the id of the catalogue's entry (or of a local finding), ``names`` all whose predictions are the same on
    this problem, ``sentence`` what a person is told, ``evidence`` how well it fits. ``ratio`` is the worst element's
    distance from the prediction over the prediction's own bound (at most 1: explained, infinite: not everywhere),
    ``share`` the part of the elements that it explains. ``kind`` is ``semantic``, ``gradient``, ``arithmetic`` or
    ``damage``.
    """

    name: str
    sentence: str
    evidence: str
    ratio: float
    share: float
    kind: str = "semantic"
    names: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether every element is explained."""
        return self.share >= 1.0


@dataclass(frozen=True, slots=True)
class Given:
    """The arrays of a problem in numbers that NumPy calculates with, lifted: ``x`` (N, C, *space), ``w`` OIHW."""

    x: Array
    w: Array
    b: Array | None
    dy: Array | None
    geometry: Geometry
    dtype: str
    operation: str

    @classmethod
    def of(cls, geometry: Geometry | None, operation: str, inputs: Mapping[str, Array], dtype: str) -> Given:
        """Lift the inputs of a problem."""
        wide = {name: _calculable(inputs[name]) for name in ("x", "w", "b", "dy") if name in inputs}
        if wide["x"].ndim == 2:
            wide.update({name: wide[name][None, None] for name in ("x", "w", "dy") if name in wide})
        rank = wide["x"].ndim - 2
        plain = Geometry((1,) * rank, "valid", (1,) * rank, 1, False, (0,) * rank)
        return cls(wide["x"], wide["w"], wide.get("b"), wide.get("dy"), geometry or plain, dtype, operation)

    @property
    def whole(self) -> bool:
        """Whether all inputs are whole numbers."""
        arrays = [a for a in (self.x, self.w, self.b, self.dy) if a is not None]
        return all(bool(np.all(np.isfinite(a) & (a == np.rint(a)))) for a in arrays)

    def exact(self, reference: Reference) -> bool:
        """Whether a sum of whole numbers has this value in any order, so that nothing but this value is right."""
        if self.dtype in bounds.FORMATS:
            limit = 2.0 ** bounds.FORMATS[self.dtype].digits
        elif np.dtype(dtypes.of(self.dtype)).kind in "iu":
            limit = 2.0**53 - 1
        else:
            return False
        finite = np.isfinite(reference.value) & (reference.value == np.rint(reference.value))
        return bool(np.all(finite)) and bool(np.all(reference.scale <= limit))


@dataclass(frozen=True, slots=True)
class Answer:
    """An output beside the right one, both lifted; ``wrong`` marks the elements outside the bound, if shapes agree.

    The bound is tier A's, or, ``tight``, tier B's where an output is wrong that tier A cannot tell from a right one.
    Of a large output only some elements, flat: ``places`` are their positions in row order in an output of ``shape``.
    """

    given: Given
    direction: Direction
    output: Array
    right: Reference
    bound: Floats
    wrong: Bools | None
    places: Array | None = None
    shape: Sizes = ()
    tight: bool = False
    memory: dict[tuple[str, Direction], Reference | None] = field(default_factory=dict)

    @property
    def rounding(self) -> Floats:
        """The bound as if nothing were exact: what a wrong calculation may be rounded by."""
        return bound_of(self.right, self.given.dtype, exact=False)

    @property
    def slight(self) -> bool:
        """Whether every error is small beside the sum of the magnitudes of the terms, as rounding errors are."""
        if self.wrong is None or self.given.whole or self.given.dtype not in bounds.FORMATS:
            return False
        error = np.abs(self.output - self.right.value)
        return bool(np.all(error <= SLIGHT * self.right.scale))

    def ask(self, change: Change, name: str = "") -> Reference | None:
        """What a backend with this change returns for this direction: all of it, or at ``places``.

        A change with a ``name`` is remembered for all answers that share a ``memory``.
        """
        key = (name, self.direction)
        if not name or self.places is not None:
            return self._asked(change)
        if key not in self.memory:
            self.memory[key] = self._asked(change)
        return self.memory[key]

    def _asked(self, change: Change) -> Reference | None:
        g = self.given
        if self.direction is not Direction.FORWARD:
            return None if g.dy is None else gradient(change, self.direction, g.x, g.w, g.b, g.dy)
        if self.places is None:
            return forward(change, g.x, g.w, g.b)
        return sampled.forward(change, g.x, g.w, g.b, self.places, self.shape)

    def nearer(self, value: Array) -> bool:
        """Whether a prediction of this value is much nearer to the output than the right answer is: half as far.

        Where bounds are wide (long sums in a short format) many predictions hold the output in theirs.
        """
        if self.output.shape != self.right.value.shape:
            return True
        special = ~(np.isfinite(self.output) & np.isfinite(value) & np.isfinite(self.right.value))
        far, near = (np.where(special, 0.0, np.abs(self.output - a)) for a in (self.right.value, value))
        return bool(special.any()) or float(np.sum(near**2)) <= 0.25 * float(np.sum(far**2))

    def few(self) -> Answer:
        """A few elements of a sample, wrong ones if there are any: what a first look is for."""
        if self.wrong is None or self.places is None:
            raise ValueError("only a sample has a few elements")
        bad = np.flatnonzero(self.wrong) if self.wrong.any() else np.arange(self.wrong.size)
        at = bad[:: max(len(bad) // 5, 1)][:6]
        right, where = sampled.taken(self.right, at), self.places[at]
        return replace(
            self, output=self.output[at], right=right, bound=self.bound[at], wrong=self.wrong[at], places=where
        )

    def sample(self) -> Answer:
        """Some elements of this answer, flat: ``ask`` then answers for them."""
        if self.wrong is None:
            raise ValueError("an output of another shape has no elements to compare")
        where = sampled.places(self.wrong)
        output, bound, wrong = self.output.ravel()[where], self.bound.ravel()[where], self.wrong.ravel()[where]
        right = sampled.taken(self.right, where)
        return Answer(self.given, self.direction, output, right, bound, wrong, where, self.output.shape, self.tight)

    @classmethod
    def of(
        cls,
        given: Given,
        direction: Direction,
        output: Array,
        reference: Reference,
        memory: dict[tuple[str, Direction], Reference | None] | None = None,
    ) -> Answer:
        """Lift an output and its reference; ``memory`` is shared by the answers to one problem."""
        got, right = lifted(given, direction, _calculable(output)), _lifted_reference(given, direction, reference)
        exact = given.whole and given.exact(right)
        bound, tight = bound_of(right, given.dtype, exact=exact), False
        if got.shape != right.value.shape:
            return cls(given, direction, got, right, bound, None)
        wrong = _outside(got, right.value, bound)
        if not exact and not wrong.any():  # too inaccurate for tier B, or as a whole: judge by the bound of tier B
            bound, tight = bound_of(right, given.dtype, exact=False, tight=True), True
            wrong = _outside(got, right.value, bound)
        return cls(given, direction, got, right, bound, wrong, tight=tight, memory={} if memory is None else memory)


def _outside(got: Array, value: Array, bound: Array) -> Bools:
    wrong: Bools = ~inside(got, value, bound) & np.isfinite(bound)
    return wrong | (~np.isfinite(got) & np.isfinite(value))


def inside(got: Array, value: Array, bound: Array) -> Bools:
    """Elementwise: within the bound, or the same special value."""
    with np.errstate(invalid="ignore"):
        near: Bools = np.abs(got - value) <= bound
    same: Bools = near | (got == value) | (np.isnan(got) & np.isnan(value))
    return same


def bound_of(reference: Reference, dtype: str, *, exact: bool, tight: bool = False) -> Floats:
    """Zero where only the value itself is right, else the sound rounding bound; infinite where there is none.

    ``tight``: the bound of tier B, ``6 sqrt(n) u S``, and the rounding of the result, where that is smaller.
    """
    if exact:
        return np.zeros(reference.value.shape)
    try:
        bound = bounds.tier_a(reference, dtype)
    except (ValueError, KeyError):
        return np.full(reference.value.shape, np.inf)
    if tight and dtype in bounds.FORMATS:
        form = bounds.floating(dtype)
        likely = 6.0 * np.sqrt(np.maximum(reference.terms, 1)) * form.u * reference.scale
        bound = np.minimum(bound, likely + 2.0 * form.u * np.abs(reference.value) + 2.0 * form.eta)
    return bound if reference.low is None else bound + np.abs(reference.low)


def stored(reference: Reference, dtype: str) -> Reference:
    """The reference as an integer dtype stores it (wrapped); others as they are."""
    kind = dtypes.of(dtype)
    if kind.kind not in "iu" or not np.all(np.abs(reference.value) < 2.0**53):
        return reference
    bits = 8 * kind.itemsize
    if bits == 64:
        return reference
    half = 0.0 if kind.kind == "u" else 2.0 ** (bits - 1)
    return replace(reference, value=np.mod(reference.value + half, 2.0**bits) - half)


def lifted(given: Given, direction: Direction, output: Array) -> Array:
    """An output of a two-dimensional operation as (1, 1, H, W); a column of products in the image's shape."""
    if given.operation not in LIFTED or direction is Direction.GRAD_BIAS:
        return output
    if given.operation == "matrix" and output.ndim == 2 and output.shape[1] == 1:
        size = given.geometry.output_size(given.x.shape[2:], given.w.shape[2:])
        if output.size == size[0] * size[1]:
            return output.reshape(1, 1, *size)
    return output[None, None] if output.ndim == 2 else output


def _lifted_reference(given: Given, direction: Direction, reference: Reference) -> Reference:
    def lift(a: Any) -> Any:
        return None if a is None else lifted(given, direction, a)

    return replace(
        reference,
        value=lift(reference.value),
        scale=lift(reference.scale),
        terms=lift(reference.terms),
        low=lift(reference.low),
        own=lift(reference.own),
        special=None,
        others=(),
        single=None,
    )


def _calculable(array: Array) -> Array:
    wide = np.asarray(dtypes.widen(array))
    return wide.astype(np.complex128 if wide.dtype.kind == "c" else np.float64)
