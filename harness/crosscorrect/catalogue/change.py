"""How a wrong backend is wrong: the problem it computes instead of the one it was given.

A semantic entry of the catalogue is no other convolution but a change of arguments, ``y = Y(conv(X x, W w, B b; G))``
with linear maps X, W, B, Y that move, drop, repeat or scale elements, and another geometry G. Forward predictions
come from ``oracle.forward`` with the changed arguments, and the gradients that automatic differentiation of the wrong
forward pass gives from ``oracle.gradients`` and the adjoint maps: ``dx = X* dx'`` with ``dy' = Y* dy``, and so on.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from crosscorrect import oracle
from crosscorrect.model import Direction
from crosscorrect.oracle import Reference

if TYPE_CHECKING:
    from collections.abc import Callable

    from crosscorrect.geometry import Geometry
    from crosscorrect.oracle import Array, Sizes

    Rearrangement = Callable[[Array], Array]


@dataclass(frozen=True, slots=True)
class Map:
    """A linear map of arrays: ``factor * rearrange(a)``.

    ``rearrange`` takes an array of any dtype and returns its elements in other places, with zeros where there are
    none. Its adjoint follows from what it does to an array of positions, unless ``back`` gives it: then the map need
    not be a rearrangement (``back(a, y)`` is the adjoint at ``a``, of the shape of ``a``).
    """

    rearrange: Rearrangement
    factor: Any = 1
    back: Callable[[Array, Array], Array] | None = None

    def __call__(self, a: Array) -> Array:
        """Apply the map; real factors keep the dtype of ``a``."""
        moved = np.ascontiguousarray(self.rearrange(a))
        if isinstance(self.factor, int) and self.factor == 1:
            return moved
        return np.asarray(moved * np.asarray(self.factor)).astype(moved.dtype, copy=False)

    def magnitude(self, a: Array) -> Array:
        """Apply the map with its factors' absolute values, as a bound of magnitudes transforms."""
        return np.asarray(np.abs(self.rearrange(a) * np.abs(np.asarray(self.factor))))

    def adjoint(self, a: Array, y: Array) -> Array:
        """Pull ``y`` (a gradient of what the map made of ``a``) back to the shape of ``a``, in float64 or complex."""
        y = y * np.asarray(self.factor)
        if self.back is not None:
            return self.back(a, y)
        codes = self.codes(a.shape)
        if np.iscomplexobj(y):
            return self.adjoint(a, y.real) + 1j * self.adjoint(a, y.imag)
        sums = np.bincount(codes.ravel(), np.asarray(y, np.float64).ravel(), minlength=prod(a.shape) + 1)
        return sums[1:].reshape(a.shape)

    def codes(self, shape: Sizes) -> Array:
        """Which element, counted from 1 in row order, stands at each place of the result; 0 where none does."""
        return np.asarray(self.rearrange(np.arange(1, prod(shape) + 1).reshape(shape)))


SAME = Map(lambda a: a)
"""The identity."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What an entry may look at to decide how it changes a problem: shapes and geometry, never values.

    ``geometry`` spells its padding as counts; ``word`` is how the problem spells it, if with a word.
    """

    x: Sizes
    w: Sizes
    bias: bool
    geometry: Geometry
    word: str = ""

    @classmethod
    def of(cls, x: Array, w: Array, b: Array | None, geometry: Geometry) -> Setting:
        """The setting of these arrays."""
        word = geometry.padding if isinstance(geometry.padding, str) else ""
        return cls(x.shape, w.shape, b is not None, geometry.explicit(x.shape[2:], w.shape[2:]), word)

    @property
    def rank(self) -> int:
        """The number of spatial axes."""
        return self.geometry.rank

    @property
    def pads(self) -> tuple[tuple[int, int], ...]:
        """The padding as counts."""
        return self.geometry.pads(self.x[2:], self.w[2:])

    @property
    def outputs(self) -> int:
        """The number of output channels."""
        return self.output[1]

    @property
    def output(self) -> Sizes:
        """The shape of the right output."""
        return self.geometry.output_shape(self.x, self.w)

    def other(self, **fields: Any) -> Change:
        """The change to a geometry that differs in these fields and in nothing else."""
        return Change(replace(self.geometry, **fields))

    def padded(self, *pads: tuple[int, int]) -> Change:
        """The change to other padding."""
        return self.other(padding=tuple(pads))

    def change(self, **maps: Any) -> Change:
        """The change of arrays by these maps, given as ``Map`` or as rearrangement."""
        plain = ("sentence", "spread")
        made: dict[str, Any] = {k: v if isinstance(v, Map) or k in plain else Map(v) for k, v in maps.items()}
        return Change(self.geometry, **made)


@dataclass(frozen=True, slots=True)
class Change:
    """The problem that is computed instead: maps of the arrays, a geometry, and a map of the result.

    ``dy`` changes the output's gradient before a gradient is computed; only entries about gradients use it. ``spread``
    maps the bias to the output's shape where it is added in another way than one per channel. ``sentence`` replaces
    the entry's where a setting allows plainer words. ``terms`` counts extra roundings of a backend that computes so.
    """

    geometry: Geometry
    x: Map = SAME
    w: Map = SAME
    b: Map = SAME
    dy: Map = SAME
    result: Map = SAME
    spread: Map | None = None
    sentence: str = ""
    terms: int = 0

    @property
    def whole(self) -> bool:
        """Whether whole numbers stay whole numbers."""
        maps = [m for m in (self.x, self.w, self.b, self.dy, self.result) if not isinstance(m.factor, int)]
        return all(bool(np.all(np.asarray(m.factor) == np.rint(m.factor))) for m in maps)


def forward(change: Change, x: Array, w: Array, b: Array | None) -> Reference | None:
    """What a backend with this change returns; None where its geometry has no output.

    Arrays are real numbers NumPy calculates with, or complex ones.
    """
    x, w = change.x(x), change.w(w)
    bias = None if b is None or change.spread is not None else change.b(b)
    try:
        found = _forward(x, w, bias, change.geometry)
        if b is not None and change.spread is not None:
            found = _added(found, change.spread(b))
        return _mapped(found, change.result, change.terms)
    except ValueError:  # kernel and image, or bias and channels, do not fit together after the change
        return None


def consistent(
    change: Change, x: Array, w: Array, b: Array | None, dy: Array
) -> tuple[dict[Direction, Reference], dict[Direction, Reference]]:
    """The gradients of the wrong forward pass, and those of a backend that changes arguments and forgets the adjoints.

    Both empty where the wrong output has not the shape of ``dy``.
    """
    changed_x, changed_w = change.x(x), change.w(w)
    bias = None if b is None else change.b(b)
    try:
        inner = np.zeros(change.geometry.output_shape(changed_x.shape, changed_w.shape))
        if change.result.back is not None:  # its adjoint may depend on where it is taken
            inner = _forward(changed_x, changed_w, bias, change.geometry).value
        if change.result(inner).shape != dy.shape:
            return {}, {}
        pulled = dy if change.result is SAME else change.result.adjoint(inner, dy)
        found = _gradients(changed_x, changed_w, bias, pulled, change.geometry)
    except ValueError:
        return {}, {}
    if change.spread is not None and b is not None:
        found[Direction.GRAD_BIAS] = _mapped_back(_plain(dy), change.spread, b)
    back = dict(found)
    maps = (
        (Direction.GRAD_INPUT, change.x, x),
        (Direction.GRAD_WEIGHT, change.w, w),
        (Direction.GRAD_BIAS, change.b, b),
    )
    for direction, linear, array in maps:
        if direction in found and linear is not SAME and array is not None and change.spread is None:
            back[direction] = _mapped_back(found[direction], linear, array)
    return back, found


def gradient(change: Change, direction: Direction, x: Array, w: Array, b: Array | None, dy: Array) -> Reference | None:
    """What a backend returns whose computation of this gradient alone has this change; None where it has none."""
    try:
        bias = None if b is None else change.b(b)
        found = _gradients(change.x(x), change.w(w), bias, change.dy(dy), change.geometry)
    except ValueError:
        return None
    return _mapped(found[direction], change.result, change.terms) if direction in found else None


def cut(geometry: Geometry) -> tuple[Geometry, list[tuple[int, int]] | None]:
    """Split negative padding off: the geometry without it, and what it takes off per axis; None where there is none.

    An oracle and an adapter refuse negative padding. It takes elements off the image, and adds rows and columns that no
    tap reaches to a transposed output.
    """
    pads = geometry.pads((), ()) if not isinstance(geometry.padding, str) else ()
    if all(n >= 0 for pair in pads for n in pair):
        return geometry, None
    kept = tuple((max(b, 0), max(e, 0)) for b, e in pads)
    return replace(geometry, padding=kept), [(max(-b, 0), max(-e, 0)) for b, e in pads]


def cropped(a: Array, off: list[tuple[int, int]]) -> Array:
    """Take elements off the spatial axes. Raises ValueError where more than all are taken off."""
    inside: Any = (..., *(slice(b, n - e) for (b, e), n in zip(off, a.shape[2:], strict=True)))
    if any(b + e >= n for (b, e), n in zip(off, a.shape[2:], strict=True)):
        raise ValueError(f"{off} is taken off an image of {a.shape[2:]}")
    return np.ascontiguousarray(a[inside])


def framed(a: Array, off: list[tuple[int, int]]) -> Array:
    """Put zeros around the spatial axes: the adjoint of ``cropped``."""
    return np.pad(a, [(0, 0), (0, 0), *off])


def plainly(x: Array) -> str:
    """The dtype that asks the oracle for sums in plain float64: a prediction need not be better."""
    return "complex64" if np.iscomplexobj(x) else "float32"


def _forward(x: Array, w: Array, b: Array | None, geometry: Geometry) -> Reference:
    """The oracle's forward, for negative padding too."""
    geometry, off = cut(geometry)
    if off is None:
        return oracle.forward(x, w, b, geometry, plainly(x))
    if not geometry.transposed:
        return oracle.forward(cropped(x, off), w, b, geometry, plainly(x))
    found = oracle.forward(x, w, None, geometry, plainly(x))
    found = _mapped(found, Map(lambda y: framed(y, off)))
    return found if b is None else _added(found, b.reshape(-1, *(1,) * geometry.rank))


def _gradients(x: Array, w: Array, b: Array | None, dy: Array, geometry: Geometry) -> dict[Direction, Reference]:
    """The oracle's gradients, for negative padding too."""
    geometry, off = cut(geometry)
    if off is None:
        return oracle.gradients(x, w, b, dy, geometry, plainly(x))
    if not geometry.transposed:
        found = oracle.gradients(cropped(x, off), w, b, dy, geometry, plainly(x))
        found[Direction.GRAD_INPUT] = _mapped(found[Direction.GRAD_INPUT], Map(lambda a: framed(a, off)))
        return found
    found = oracle.gradients(x, w, b, cropped(dy, off), geometry, plainly(x))
    if b is not None:  # the bias is added to what no tap reaches, too
        axes = (0, *range(2, dy.ndim))
        count = np.full(b.shape, dy.size // len(b), np.int64)
        found[Direction.GRAD_BIAS] = Reference(dy.sum(axes), np.abs(dy).sum(axes), count)
    return found


def _added(reference: Reference, bias: Array) -> Reference:
    """A reference with one more term in each element."""
    return replace(
        reference,
        value=reference.value + bias,
        scale=reference.scale + np.abs(bias),
        terms=reference.terms + 1,
        special=None,
        others=(),
        single=None,
    )


def _mapped(reference: Reference, linear: Map, terms: int = 0) -> Reference:
    if linear is SAME and not terms:
        return reference
    count = np.asarray(linear.rearrange(reference.terms))
    return Reference(
        linear(reference.value),
        linear.magnitude(reference.scale),
        np.where(count > 0, count + terms, 0),
        None if reference.low is None else linear(reference.low),
        None if reference.own is None else linear.magnitude(reference.own),
    )


def _mapped_back(reference: Reference, linear: Map, a: Array) -> Reference:
    magnitudes = Map(linear.rearrange, np.abs(np.asarray(linear.factor)), linear.back)
    return Reference(
        linear.adjoint(a, reference.value),
        np.abs(magnitudes.adjoint(a, reference.scale)),
        np.rint(np.abs(Map(linear.rearrange, 1, linear.back).adjoint(a, reference.terms.astype(np.float64)))).astype(
            np.int64
        ),
        None if reference.low is None else linear.adjoint(a, reference.low),
        None if reference.own is None else np.abs(magnitudes.adjoint(a, reference.own)),
    )


def _plain(dy: Array) -> Reference:
    """A gradient of the output as a reference: one term each, exact."""
    values = np.asarray(dy, np.complex128 if np.iscomplexobj(dy) else np.float64)
    return Reference(values, np.abs(values), np.ones(values.shape, np.int64))
