"""What a case's sweep comes to, told without walking it: the kinds of its points, and what a problem of each costs.

Points that differ in their data only are of one kind: of a million points with other seeds there are a handful of
kinds, and one problem of each says how many checks and how many seconds all of them are.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import cached_property, reduce
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from crosscorrect import cost
from crosscorrect.specify import specify

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crosscorrect.problem import Problem
    from crosscorrect.sweep import Sweep

Places = NDArray[np.int64]

DATA = ("seed", "label")
"""Keys of an array that say which numbers it holds, not how many and of what kind, or nothing about it."""


@dataclass(frozen=True)
class Outline:
    """The kinds of a sweep's points, at most ``most`` of them; ``suite`` is the name of the suite.

    Where there are more, neighbouring values of a key count as one kind: the outline is then not ``exact``, and what it
    says of a point is true of one near it. Whatever it says is the same in every process.
    """

    suite: str
    sweep: Sweep
    most: int

    @property
    def count(self) -> int:
        """How many kinds there are."""
        return math.prod(max(own) + 1 for own in self._groups)

    @property
    def exact(self) -> bool:
        """Whether all points of a kind are the same but for their data."""
        return self._groups == self._alike

    @property
    def counts(self) -> Places:
        """How many points are of each kind."""
        along = [np.bincount(np.array(own)) for own in self._groups]
        return reduce(np.multiply.outer, along, np.ones((), np.int64)).ravel()

    def problem(self, kind: int) -> Problem:
        """A problem of a kind. Raises CaseError where it makes no sense."""
        digits = []
        for own in reversed(self._groups):
            kind, group = divmod(kind, max(own) + 1)
            digits.append(own.index(group))
        return specify(self.suite, self.sweep.point(self.sweep.at(digits[::-1])))

    @cached_property
    def costs(self) -> Places:
        """What a problem of each kind is estimated to cost, in microseconds, at least 1. Raises CaseError."""
        return np.array([cost.microseconds(self.problem(kind)) for kind in range(self.count)], np.int64)

    def kinds(self, places: Places) -> Places:
        """Which kind the point at each of these places is of."""
        found = np.zeros(len(places), np.int64)
        step = len(self.sweep)
        for own in self._groups:
            step //= len(own)
            found = found * (max(own) + 1) + np.array(own, np.int64)[(places // step) % len(own)]
        return found

    @cached_property
    def _alike(self) -> list[list[int]]:
        """For each key, the kind of each of its values, numbered in the order in which they appear."""
        return [_kinds(key, values) for key, values in self.sweep.values.items()]

    @cached_property
    def _groups(self) -> list[list[int]]:
        """The same with neighbours made one where there are most, until there are few enough."""
        groups = self._alike
        while math.prod(max(own) + 1 for own in groups) > self.most:
            widest = max(range(len(groups)), key=lambda place: max(groups[place]))
            groups = [[k // 2 for k in own] if place == widest else own for place, own in enumerate(groups)]
        return groups


def _kinds(key: str, values: Sequence[Any]) -> list[int]:
    if key.rpartition(".")[2] in DATA:
        return [0] * len(values)
    known: dict[object, int] = {}
    return [known.setdefault(_essence(place, value), len(known)) for place, value in enumerate(values)]


def _essence(place: int, value: Any) -> object:
    """What two values have in common that differ in their data only; a list, or what holds one, is like no other."""
    if not isinstance(value, dict) or "of" in value:
        return place
    return json.dumps({key: held for key, held in value.items() if key not in DATA}, sort_keys=True)
