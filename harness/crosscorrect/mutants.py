"""Wrong adapters made from the catalogue: an adapter that works, changed so that it is wrong as one entry says.

``make(entry, base)`` takes the adapter class as an argument, for the harness knows no framework. Where an entry does
not apply to a problem, or its change has no output there, the mutant is right: it must be caught elsewhere.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from crosscorrect import catalogue, dtypes, oracle
from crosscorrect.adapter import Grads
from crosscorrect.catalogue import arithmetic, sums
from crosscorrect.catalogue.change import SAME, Change, Map, Setting, cropped, cut, framed
from crosscorrect.errors import UsageError
from crosscorrect.geometry import Geometry
from crosscorrect.model import Direction
from crosscorrect.nearest import meant

if TYPE_CHECKING:
    from collections.abc import Callable

    from crosscorrect.catalogue import Entry
    from crosscorrect.oracle import Array

FORWARD = ("conv2d", "corr2d", "layer")
FIELDS = {Direction.GRAD_INPUT: "dx", Direction.GRAD_WEIGHT: "dw", Direction.GRAD_BIAS: "db"}


def mutants(base: type[Any], names: tuple[str, ...] = ()) -> dict[str, type[Any]]:
    """Every mutant of an adapter class by name: one for each entry of the catalogue, and those with local damage.

    With ``names`` only these. Raises UsageError for a name that no mutant has.
    """
    made: dict[str, Callable[[], type[Any]]] = {e.name: lambda e=e: make(e, base) for e in catalogue.entries()}  # type: ignore[misc]
    made |= {name: lambda name=name: damaged(name, base) for name in DAMAGES}  # type: ignore[misc]
    if not names:
        return {name: build() for name, build in made.items()}
    for name in names:
        if name not in made:
            raise UsageError(f"no mutant is called {name!r}; {meant(name, made, 'selftest --json lists them')}")
    return {name: made[name]() for name in names}


def make(entry: Entry, base: type[Any]) -> type[Any]:
    """The adapter class ``base``, wrong as the entry says, named after it."""
    name = "".join(part.capitalize() for part in entry.name.split("-"))
    kind = _Gradient if entry.kind == "gradient" else _Summing if entry.name in arithmetic.SUMS else _Changed
    return type(name, (kind, base), {"entry": entry, "__module__": __name__, "__doc__": f"{entry.sentence}."})


def damaged(name: str, base: type[Any]) -> type[Any]:
    """The adapter class ``base`` with local damage of this name (of ``DAMAGES``) in every forward output."""
    title = "".join(part.capitalize() for part in name.split("-"))
    return type(title, (_Damaged, base), {"damage": staticmethod(DAMAGES[name]), "__module__": __name__})


class _Wrong:
    """What all mutants share: forward passes lifted to the general one, and back."""

    entry: Entry

    def _right(self, x: Array, w: Array, b: Array | None, geometry: Geometry) -> Array:
        """The base's own answer to arrays: put, computed, fetched."""
        base: Any = super()
        geometry, off = cut(geometry)
        given = None if b is None else base.put(b)
        if off is not None and not geometry.transposed:
            x = cropped(x, off)
        y = np.asarray(base.get(base.conv2d(base.put(_flat(x)), base.put(_flat(w)), given, geometry)))
        if off is not None and geometry.transposed:
            bias = None if b is None else dtypes.widen(b).reshape(-1, *[1] * geometry.rank)
            wide = np.asarray(dtypes.widen(y))
            wide = framed(wide if bias is None else wide - bias, off)
            y = np.asarray(dtypes.narrow(wide if bias is None else wide + bias, dtypes.name_of(y.dtype)))
        return y

    def _wrong(self, x: Array, w: Array, b: Array | None, geometry: Geometry) -> Array | None:
        """The wrong output, or None where this problem comes out right."""
        raise NotImplementedError

    def conv2d(self, x: Any, w: Any, b: Any, geometry: Geometry, **spelling: Any) -> Any:
        """The wrong output, in the framework's tensors."""
        base: Any = super()
        found = self._wrong(base.get(x), base.get(w), None if b is None else base.get(b), geometry)
        return base.conv2d(x, w, b, geometry, **spelling) if found is None else base.put(found)

    def corr2d(self, x: Any, k: Any) -> Any:
        """The wrong output of the chapter's loop, by way of the general operator."""
        base: Any = super()
        found = self._wrong(base.get(x)[None, None], base.get(k)[None, None], None, _plain())
        return base.corr2d(x, k) if found is None else base.put(_lowered(found))

    def layer(self, x: Any, w: Any, b: Any) -> Any:
        """The wrong output of the custom layer, by way of the general operator."""
        base: Any = super()
        found = self._wrong(base.get(x)[None, None], base.get(w)[None, None], base.get(b), _plain())
        return base.layer(x, w, b) if found is None else base.put(_lowered(found))

    def alters(self, verb: str, arrays: dict[str, Array], settings: dict[str, Any]) -> bool:  # noqa: ARG002
        """Whether this call may come out wrong, judged without computing it."""
        return verb in FORWARD


class _Changed(_Wrong):
    """Changes the arguments as a semantic or rounding entry says, in the forward pass and in its gradients."""

    def alters(self, verb: str, arrays: dict[str, Array], settings: dict[str, Any]) -> bool:
        """Whether the entry applies to the shapes of a call, forward or gradient."""
        return verb in (*FORWARD, "grads") and _applies(self.entry, arrays, settings)

    def _change(self, x: Array, w: Array, b: Array | None, geometry: Geometry) -> Change | None:
        return _first(self.entry, x, w, b, geometry)

    def _wrong(self, x: Array, w: Array, b: Array | None, geometry: Geometry) -> Array | None:
        change = self._change(x, w, b, geometry)
        if change is None:
            return None
        if self.entry.name in arithmetic.INTEGERS:
            return self._integers(change, x, w, b)
        moved, kernel = _mapped(change.x, x), _mapped(change.w, w)
        bias = None if b is None or change.spread is not None else _mapped(change.b, b)
        if not _fits(moved, kernel, bias, change.geometry):
            return None
        y = self._right(moved, kernel, bias, change.geometry)
        if b is not None and change.spread is not None:
            y = dtypes.narrow(dtypes.widen(y) + change.spread(dtypes.widen(b)), dtypes.name_of(y.dtype))
        return _mapped(change.result, y)

    def _integers(self, change: Change, x: Array, w: Array, b: Array | None) -> Array | None:
        """The exact sum as the entry stores it: the base computes in 64 bits."""
        if x.dtype.kind not in "iu":
            return None
        wide: list[Any] = [None if a is None else a.astype(np.int64) for a in (x, w, b)]
        exact = self._right(wide[0], wide[1], wide[2], change.geometry)
        return change.result(exact).astype(x.dtype)

    def grads(self, x: Any, w: Any, b: Any, dy: Any, geometry: Geometry, **spelling: Any) -> Grads:
        """The gradients of the wrong forward pass: the base's own at the changed arguments, pulled back."""
        base: Any = super()
        given: list[Any] = [base.get(v) if v is not None else None for v in (x, w, b, dy)]
        found = self._pulled(given[0], given[1], given[2], given[3], geometry)
        if found is not None:
            return found
        right: Grads = base.grads(x, w, b, dy, geometry, **spelling)
        return right

    def _pulled(self, x: Array, w: Array, b: Array | None, dy: Array, geometry: Geometry) -> Grads | None:
        change = self._change(x, w, b, geometry)
        if change is None or change.spread is not None or self.entry.name in arithmetic.INTEGERS:
            return None
        moved, kernel = _mapped(change.x, x), _mapped(change.w, w)
        bias = None if b is None else _mapped(change.b, b)
        if not _fits(moved, kernel, bias, change.geometry):
            return None
        inner = np.zeros(change.geometry.output_shape(moved.shape, kernel.shape))
        if change.result.back is not None:
            inner = np.asarray(dtypes.widen(self._right(moved, kernel, bias, change.geometry)))
        try:
            if change.result(inner).shape != dy.shape:
                return None
        except ValueError:
            return None
        base: Any = super()
        asked = _mapped(change.dy, _adjoint(change.result, inner, dy))
        given = None if bias is None else base.put(bias)
        found = _asked(base, moved, kernel, given, asked, change.geometry)
        dx = base.put(_adjoint(change.x, x, base.get(found.dx)))
        dw = base.put(_adjoint(change.w, w, base.get(found.dw)))
        return Grads(dx, dw, None if b is None else base.put(_adjoint(change.b, b, base.get(found.db))))


class _Gradient:
    """A right forward pass, and the gradients of the entry's directions computed as it says."""

    entry: Entry

    def alters(self, verb: str, arrays: dict[str, Array], settings: dict[str, Any]) -> bool:
        """Whether the entry applies to the shapes of a call."""
        return verb == "grads" and _applies(self.entry, arrays, settings)

    def grads(self, x: Any, w: Any, b: Any, dy: Any, geometry: Geometry, **spelling: Any) -> Grads:
        """The right gradients but for those of the entry."""
        base: Any = super()
        right: Grads = base.grads(x, w, b, dy, geometry, **spelling)
        arrays: list[Any] = [base.get(v) if v is not None else None for v in (x, w, b, dy)]
        change = _first(self.entry, arrays[0], arrays[1], arrays[2], geometry)
        if change is None:
            return right
        moved, kernel, asked = (
            _mapped(m, a) for m, a in ((change.x, arrays[0]), (change.w, arrays[1]), (change.dy, arrays[3]))
        )
        bias = None if b is None else _mapped(change.b, arrays[2])
        fits = _fits(moved, kernel, bias, change.geometry)
        if not fits or change.geometry.output_shape(moved.shape, kernel.shape) != asked.shape:
            return right
        given = None if bias is None else base.put(bias)
        wrong = _asked(base, moved, kernel, given, asked, change.geometry)
        fields = {FIELDS[d]: getattr(wrong, FIELDS[d]) for d in self.entry.directions}
        made = {n: base.put(_mapped(change.result, base.get(v))) for n, v in fields.items() if v is not None}
        return replace(right, **made)


class _Summing(_Wrong):
    """Sums in another arithmetic; the bias is added afterwards in the dtype. Gradients are right."""

    def _wrong(self, x: Array, w: Array, b: Array | None, geometry: Geometry) -> Array | None:
        try:
            found = sums.computed(self.entry.name, x, w, geometry)
        except ValueError:
            return None
        if found is None:
            return None
        if b is not None:
            found = found + dtypes.widen(b).reshape(-1, *[1] * geometry.rank)
        return np.asarray(dtypes.narrow(found, dtypes.name_of(x.dtype)))


class _Damaged(_Wrong):
    """A right forward pass, and something wrong in one place of it."""

    damage: Callable[[Array, Array, Array, Array | None, Geometry], Array | None]

    def _wrong(self, x: Array, w: Array, b: Array | None, geometry: Geometry) -> Array | None:
        y = np.asarray(dtypes.widen(self._right(x, w, b, geometry)))
        if not y.size or y.dtype.kind not in "fiu":
            return None
        wide: list[Any] = [None if a is None else dtypes.widen(a) for a in (x, w, b)]
        found = self.damage(y.copy(), wide[0], wide[1], wide[2], geometry)
        return None if found is None else np.asarray(dtypes.narrow(found, dtypes.name_of(x.dtype)))


def _lost_tap(y: Array, x: Array, w: Array, b: Array | None, geometry: Geometry) -> Array | None:  # noqa: ARG001
    """One product is missing in one element: the largest there."""
    place = _place(y)
    products = _products(x, w, geometry, place)
    if products is None:
        return None
    y[place] -= products.ravel()[np.argmax(np.abs(products))].astype(y.dtype)
    return y


def _one_element(y: Array, x: Array, w: Array, b: Array | None, geometry: Geometry) -> Array | None:
    """3e-4 of the scale S is added to one element, in floating point."""
    if y.dtype.kind != "f":
        return None
    place = _place(y)
    y[place] += 3e-4 * oracle.forward(x, w, b, geometry).scale[place]
    return y


def _not_finite(y: Array, *_: Any) -> Array | None:
    """One element is not a number."""
    if y.dtype.kind != "f":
        return None
    y[_place(y)] = np.nan
    return y


def _constant(y: Array, *_: Any) -> Array | None:
    """Every element is one: memory that somebody else wrote."""
    return np.ones_like(y)


def _half_written(y: Array, *_: Any) -> Array | None:
    """The second half of the output, in row order, is zero."""
    y.reshape(-1)[y.size // 2 :] = 0
    return y


DAMAGES: dict[str, Callable[..., Array | None]] = {
    "one-lost-tap": _lost_tap,
    "one-element-wrong": _one_element,
    "not-finite": _not_finite,
    "wrong-elements": _constant,
    "not-written": _half_written,
}
"""Local damage, by the name that its diagnosis has."""


def _place(y: Array) -> tuple[int, ...]:
    """A place that the shape alone decides, anywhere in the output."""
    chosen = int(np.random.Generator(np.random.Philox(y.size)).integers(y.size))
    return tuple(int(i) for i in np.unravel_index(chosen, y.shape))


def _products(x: Array, w: Array, geometry: Geometry, place: tuple[int, ...]) -> Array | None:
    if geometry.transposed or x.dtype.kind == "c":
        return None
    n, o, *at = place
    first = o // (w.shape[0] // geometry.groups) * w.shape[1]
    seen = oracle.windows(x[n : n + 1, first : first + w.shape[1]], w.shape[2:], geometry)[(0, *at)]
    return np.asarray(seen * w[o])


def _applies(entry: Entry, arrays: dict[str, Array], settings: dict[str, Any]) -> bool:
    """Whether an entry changes anything for these shapes."""
    geometry = Geometry.from_json(settings["geometry"]) if "geometry" in settings else _plain()
    x, w = (a[None, None] if a.ndim == 2 else a for a in (arrays["x"], arrays["w"]))
    return _first(entry, x, w, arrays.get("b"), geometry) is not None


def _first(entry: Entry, x: Array, w: Array, b: Array | None, geometry: Geometry) -> Change | None:
    """The entry's first change of a setting; None too where integers would not stay integers."""
    try:
        change = next(iter(entry.changes(Setting.of(x, w, b, geometry))), None)
    except ValueError:  # the problem has no output
        return None
    if change is None or x.dtype.kind not in "iu" or entry.name in arithmetic.INTEGERS:
        return change
    return change if change.whole and change.result.back is None and entry.kind != "arithmetic" else None


def _asked(base: Any, x: Array, w: Array, b: Any, dy: Array, geometry: Geometry) -> Grads:
    """The base's gradients, for negative padding too."""
    geometry, off = cut(geometry)
    whole = dy
    if off is not None:
        x, dy = (x, cropped(dy, off)) if geometry.transposed else (cropped(x, off), dy)
    found: Grads = base.grads(base.put(_flat(x)), base.put(_flat(w)), b, base.put(_flat(dy)), geometry)
    if off is None:
        return found
    if geometry.transposed:  # the bias is added to what no tap reaches, too
        total = np.asarray(dtypes.widen(whole)).sum((0, *range(2, dy.ndim)))
        return found if b is None else replace(found, db=base.put(dtypes.narrow(total, dtypes.name_of(dy.dtype))))
    return replace(found, dx=base.put(framed(base.get(found.dx), off)))


def _mapped(linear: Map, a: Array) -> Array:
    """A map on an array of any dtype that crosses borders; the dtype stays."""
    name = dtypes.name_of(a.dtype)
    return np.asarray(dtypes.narrow(linear(dtypes.widen(a)), name)) if name == "bfloat16" else linear(a)


def _adjoint(linear: Map, a: Array, y: Array) -> Array:
    if linear is SAME:
        return y
    return np.asarray(dtypes.narrow(linear.adjoint(dtypes.widen(a), dtypes.widen(y)), dtypes.name_of(y.dtype)))


def _fits(x: Array, w: Array, b: Array | None, geometry: Geometry) -> bool:
    """Whether the base can be asked this: what makes no sense it would refuse with an error of its own."""
    channels = w.shape[0] if geometry.transposed else w.shape[1] * geometry.groups
    if x.ndim != w.ndim or x.shape[1] != channels or w.shape[0] % geometry.groups:
        return False
    _, off = cut(geometry)
    if (
        off is not None
        and not geometry.transposed
        and any(b + e >= n for (b, e), n in zip(off, x.shape[2:], strict=True))
    ):
        return False
    output = geometry.output_shape(x.shape, w.shape)
    return min(output[2:]) > 0 and (b is None or b.shape == (output[1],))


def _flat(a: Array) -> Array:
    return np.ascontiguousarray(a)


def _lowered(y: Array) -> Array:
    """The image of a batch and a channel of one; what has another shape stays."""
    return np.ascontiguousarray(y[0, 0]) if y.ndim == 4 and y.shape[:2] == (1, 1) else y


def _plain() -> Geometry:
    return Geometry()
