"""What each entry of the catalogue predicts for one problem, and which predictions an output agrees with."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from crosscorrect import catalogue
from crosscorrect.catalogue.change import Change, Setting, consistent, forward, gradient
from crosscorrect.diagnosis.question import Answer, Cause, Given, bound_of, inside, stored
from crosscorrect.model import Direction

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from crosscorrect.catalogue import Entry
    from crosscorrect.oracle import Array, Floats, Reference

SPOKEN = 4
"""How many sentences of identical predictions are told."""
WORK = 2e6
"""Multiplications of one prediction up to which all elements are predicted. Of a larger forward pass a sample of them
will do; larger gradients and transposed correlations are not predicted."""
ELEMENTS = 2**15
"""Elements of the largest array up to which all are predicted, for predictions are kept."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """What one change of one entry predicts: the value, its own bound, and the words for it."""

    entry: Entry
    sentence: str
    value: Array
    bound: Floats
    exact: bool
    reference: Reference


class Table:
    """Predictions, and for each shape of output their numbers side by side, so that most are ruled out at once."""

    def __init__(self, predictions: Iterable[Prediction]) -> None:
        self.predictions = list(predictions)
        self._stacks: dict[tuple[int, ...], tuple[Array, Array, Array]] = {}

    def candidates(self, answer: Answer) -> list[int]:
        """The predictions of this shape that agree with an output at a few places: wrong ones, if it has the shape."""
        shape = answer.output.shape
        if shape not in self._stacks:
            chosen = [i for i, p in enumerate(self.predictions) if p.value.shape == shape]
            values = np.array([self.predictions[i].value.ravel() for i in chosen]).reshape(
                len(chosen), answer.output.size
            )
            limits = np.array([self.predictions[i].bound.ravel() for i in chosen]).reshape(
                len(chosen), answer.output.size
            )
            self._stacks[shape] = np.array(chosen, np.int64), values, limits
        indices, values, limits = self._stacks[shape]
        if not len(indices):
            return []
        places = np.arange(answer.output.size) if answer.wrong is None else np.flatnonzero(answer.wrong)
        probes = places[:: max(len(places) // 4, 1)][:6]
        met = np.all(inside(answer.output.ravel()[probes], values[:, probes], limits[:, probes]), axis=1)
        return [int(i) for i in indices[met]]


class Predictions:
    """The predictions of the semantic and gradient entries for one problem, computed once for all wrong outputs."""

    def __init__(self, given: Given) -> None:
        self.given = given
        self._found: dict[Direction, Table] = {}
        self._tight: dict[Direction, Table] = {}

    def explain(self, answer: Answer) -> list[Cause]:
        """The causes whose predictions explain an output: all of it, or where it is large, some hundred elements."""
        if self.small:
            return explained(answer, self._tightened(answer.direction) if answer.tight else self.of(answer.direction))
        if not self.plain(answer.direction) or answer.wrong is None:
            return []
        some = answer.sample()
        return explained(some, Table(self._promising(some)))

    @property
    def small(self) -> bool:
        """Whether all predictions can be kept."""
        g = self.given
        output = prod(g.geometry.output_shape(g.x.shape, g.w.shape))
        return self.work <= WORK and max(output, g.x.size, g.w.size) <= ELEMENTS

    def plain(self, direction: Direction) -> bool:
        """Whether elements can be predicted one by one."""
        return direction is Direction.FORWARD and not self.given.geometry.transposed

    def _promising(self, answer: Answer) -> Iterator[Prediction]:
        """The predictions of a sample that a look at a few elements does not rule out."""
        few = answer.few()
        for entry, change in self._changes("semantic"):
            glance = few.ask(change)
            if glance is None or not Table([self._fitted(entry, change, glance, few)]).candidates(few):
                continue
            reference = answer.ask(change)
            if reference is not None:
                yield self._fitted(entry, change, reference, answer)

    def _fitted(self, entry: Entry, change: Change, reference: Reference, answer: Answer) -> Prediction:
        p = self._prediction(entry, change, reference)
        return replace(p, bound=bound_of(reference, self.given.dtype, exact=p.exact, tight=answer.tight))

    def _tightened(self, direction: Direction) -> Table:
        """The predictions with the bounds of tier B."""
        if direction not in self._tight:
            self._tight[direction] = Table(
                replace(p, bound=bound_of(p.reference, self.given.dtype, exact=p.exact, tight=True))
                for p in self.of(direction).predictions
            )
        return self._tight[direction]

    def of(self, direction: Direction) -> Table:
        """Every prediction for a direction, in catalogue order; computed when first asked for."""
        if direction not in self._found:
            if direction is Direction.FORWARD:
                self._found[direction] = Table(self._forward())
            else:
                self._gradients()
        return self._found.setdefault(direction, Table(()))

    @property
    def work(self) -> float:
        """The multiplications of one prediction."""
        g = self.given
        channels = g.w.shape[1] if not g.geometry.transposed else g.w.shape[1] * g.geometry.groups
        size = g.geometry.output_shape(g.x.shape, g.w.shape)
        points = prod(size) if not g.geometry.transposed else prod(g.x.shape)
        return float(points * channels * prod(g.w.shape[2:]))

    def _changes(self, kind: str) -> Iterator[tuple[Entry, Change]]:
        g = self.given
        setting = Setting.of(g.x, g.w, g.b, g.geometry)
        for entry in catalogue.entries((kind,)):
            for change in entry.changes(setting):
                yield entry, change

    def _forward(self) -> Iterator[Prediction]:
        g = self.given
        for entry, change in self._changes("semantic"):
            reference = forward(change, g.x, g.w, g.b)
            if reference is not None:
                yield self._prediction(entry, change, reference)

    def _gradients(self) -> None:
        g = self.given
        found: dict[Direction, list[Prediction]] = {}
        if g.dy is None:
            return
        for entry, change in self._changes("gradient"):
            for direction in entry.directions:
                if direction is Direction.GRAD_BIAS and g.b is None:
                    continue
                reference = gradient(change, direction, g.x, g.w, g.b, g.dy)
                if reference is not None:
                    found.setdefault(direction, []).append(self._prediction(entry, change, reference))
        for entry, change in self._changes("semantic"):
            for references in consistent(change, g.x, g.w, g.b, g.dy):
                for direction, reference in references.items():
                    found.setdefault(direction, []).append(self._prediction(entry, change, reference))
        self._found.update({direction: Table(one) for direction, one in found.items()})

    def _prediction(self, entry: Entry, change: Change, reference: Reference) -> Prediction:
        g = self.given
        exact = g.whole and change.whole and g.exact(reference)
        held = stored(reference, g.dtype) if exact else reference
        return Prediction(
            entry,
            change.sentence or entry.sentence,
            held.value,
            bound_of(reference, g.dtype, exact=exact),
            exact,
            reference,
        )


def explained(answer: Answer, table: Table) -> list[Cause]:
    """The causes that explain every element of an output, then those that explain each element that is wrong."""
    complete: list[tuple[float, int, Prediction]] = []
    partly: list[tuple[float, int, Prediction]] = []
    for place in table.candidates(answer):
        p = table.predictions[place]
        if not _tells(answer, p) or not (p.exact or answer.nearer(np.where(_marked(answer), p.value, answer.output))):
            continue
        good = inside(answer.output, p.value, p.bound)
        if answer.wrong is not None and not np.all(np.isfinite(p.bound) | ~answer.wrong):
            continue  # an element that is wrong, and about which the prediction says nothing
        if bool(np.all(good)):
            complete.append((_ratio(answer.output, p), place, p))
        elif answer.wrong is not None and answer.wrong.sum() > 1 and bool(np.all(good | ~answer.wrong)):
            partly.append((-float(np.mean(good)), place, p))
    causes = _told(answer, sorted(complete, key=lambda c: (round(c[0], 6), c[1])), complete=True)
    return causes or _told(answer, sorted(partly, key=lambda c: c[:2]), complete=False)


def _marked(answer: Answer) -> Array:
    """The wrong elements: where others are looked at too, a prediction of part of the output has its chance."""
    return np.ones(answer.output.shape, bool) if answer.wrong is None or answer.tight else answer.wrong


def _tells(answer: Answer, p: Prediction) -> bool:
    """Whether the prediction is another answer than the right one."""
    if p.value.shape != answer.right.value.shape:
        return True
    return not bool(np.all(inside(p.value, answer.right.value, np.minimum(p.bound, answer.bound))))


def _ratio(got: Array, p: Prediction) -> float:
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.where(got == p.value, 0.0, np.abs(got - p.value) / p.bound)
    return float(np.max(np.nan_to_num(ratios, nan=0.0), initial=0.0))


def _told(answer: Answer, found: list[tuple[float, int, Prediction]], *, complete: bool) -> list[Cause]:
    """Causes from predictions: those with the very same values become one, their sentences joined by "or"."""
    groups: list[list[tuple[float, int, Prediction]]] = []
    for one in found:
        for group in groups:
            if _identical(group[0][2], one[2]):
                group.append(one)
                break
        else:
            groups.append([one])
    return [_cause(answer, group, complete=complete) for group in groups]


def _identical(a: Prediction, b: Prediction) -> bool:
    """The same numbers, up to the rounding of the float64 predictions themselves."""
    if np.array_equal(a.value, b.value, equal_nan=True):
        return True
    limit = 2.0**-44 * np.maximum(np.abs(a.value), np.abs(b.value)) + 2.0**-20 * np.minimum(a.bound, b.bound)
    return not (a.exact or b.exact) and bool(np.all(inside(a.value, b.value, limit)))


def _cause(answer: Answer, group: list[tuple[float, int, Prediction]], *, complete: bool) -> Cause:
    first = group[0][2]
    group = sorted(group, key=lambda one: one[1])
    names = tuple(dict.fromkeys(p.entry.name for _, _, p in group))
    sentences = list(dict.fromkeys(_sentence(answer, p) for _, _, p in group))
    said = " or ".join(sentences[:SPOKEN]) + (
        f" or {len(sentences) - SPOKEN} others" if len(sentences) > SPOKEN else ""
    )
    size = answer.output.size
    good = inside(answer.output, first.value, first.bound)
    count, ratio = int(good.sum()), _ratio(answer.output, first)
    if not complete:
        wrong = int(answer.wrong.sum()) if answer.wrong is not None else 0
        evidence = f"each of the {wrong} wrong elements (of {size}) agrees with this prediction, the others are right"
        return Cause(
            names[0], f"in part of the output: {said}", evidence, np.inf, count / size, first.entry.kind, names
        )
    if first.exact or ratio == 0.0:
        evidence = f"all {size} elements equal this prediction exactly"
    else:
        evidence = f"all {size} elements lie within the rounding bound of this prediction, at worst {ratio:.2g} of it"
    if answer.places is not None:
        evidence = f"of {prod(answer.shape)} elements {size} were looked at: {evidence}"
    if answer.wrong is not None:
        evidence += f"; {int(answer.wrong.sum())} of them are wrong"
    return Cause(names[0], said, evidence, ratio, 1.0, first.entry.kind, names)


def _sentence(answer: Answer, p: Prediction) -> str:
    if p.entry.kind == "semantic" and answer.direction is not Direction.FORWARD:
        return f"the gradient is that of a pass in which {p.sentence}"
    return p.sentence
