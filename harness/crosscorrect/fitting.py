"""Which problems of suites a person's callable can be asked, and what the others would need."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from crosscorrect.model import Direction

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from crosscorrect.layout import Layout
    from crosscorrect.problem import Problem
    from crosscorrect.takes import Takes

RELATIONS = (
    *("scale", "negate", "batch_permute", "batch_split", "out_channel_permute", "in_channel_permute", "linearity"),
    "repeat",
)
"""The relations that ask for one geometry on both sides, and so for nothing that the problem does not say."""


@dataclass(slots=True)
class Fitting:
    """Picks problems: of these dtypes, in these directions, in a layout, told by the parameters that there are.

    ``takes`` are what the callable takes and, of a backward pass of its own, what that takes. ``unasked`` counts those
    that only lack a parameter, by what they need; ``others`` those that are about something else, by what that is.
    """

    takes: Sequence[Takes]
    layout: Layout
    dtypes: tuple[str, ...]
    directions: tuple[Direction, ...]
    unasked: Counter[str] = field(default_factory=Counter)
    others: Counter[str] = field(default_factory=Counter)

    def of(self, problems: Iterable[Problem]) -> Iterator[Problem]:
        """The problems that can be asked, with those of their directions that are."""
        for problem in problems:
            other = next(self._other(problem), "")
            lack = "" if other else next(self._lacks(problem), "")
            if other:
                self.others[other] += 1
            elif lack:
                self.unasked[lack] += 1
            else:
                yield replace(problem, directions=self._asked(problem))

    def why(self) -> str:
        """Why none was picked, in words."""
        said = [f"{count} are {what}" for what, count in self.others.most_common()]
        name, unread = self.takes[0].callable, self.takes[0].unread
        why = (
            f"and the signature of {name} cannot be read; say takes={{…}}" if unread else f"which {name} does not take"
        )
        said += [f"{count} need {what}, {why}" for what, count in self.unasked.items()]
        return "; ".join(said) or "they have none"

    def _lacks(self, problem: Problem) -> Iterator[str]:
        """What a problem needs that the callable, or its backward pass where a gradient is asked, does not take."""
        for takes in self.takes[: 1 + (set(self._asked(problem)) != {Direction.FORWARD})]:
            if lack := takes.lacks(problem, self.layout):
                yield lack

    def _asked(self, problem: Problem) -> tuple[Direction, ...]:
        return tuple(direction for direction in problem.directions if direction in self.directions)

    def _other(self, problem: Problem) -> Iterator[str]:
        """What a problem is about that no callable of this layout is asked."""
        flat = problem.operation in ("corr2d", "layer")
        if not flat and problem.operation not in ("conv2d", "relation"):
            yield f"of the operation {problem.operation}"
        if problem.operation == "relation" and problem.settings["relation"] not in RELATIONS:
            yield f"of the relation {problem.settings['relation']}"
        if problem.invalid or problem.isolate or problem.only or problem.spelling != "native":
            yield "about how a framework is asked"
        if problem.geometry is not None and problem.geometry.transposed:
            yield "transposed"
        if not self.layout.holds(problem.shapes) or (flat and self.layout.letters != "HW"):
            yield f"of other axes than {self.layout.letters}"
        if self.layout.letters == "HW" and "operation=conv2d" in problem.id:
            yield "asked as corr2d already"  # one case swept over both
        if problem.dtype not in self.dtypes:
            yield f"of another dtype than {', '.join(self.dtypes)}"
        if not self._asked(problem):
            yield f"of another direction than {', '.join(self.directions)}"


def work(problem: Problem) -> int:
    """The multiplications of a problem's forward pass: what a loop in Python takes its time for."""
    return math.prod(problem.shapes["output"]) * math.prod(
        problem.shapes["w"][1 if len(problem.shapes["w"]) > 2 else 0 :]
    )
