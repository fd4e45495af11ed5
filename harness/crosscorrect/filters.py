"""Which points of a case are asked for, by their level or by patterns over problem ids, told before any is made."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import translate
from functools import cached_property
from typing import TYPE_CHECKING, Any

from crosscorrect.problem import LEVELS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from crosscorrect.sweep import Sweep

_WILD = re.compile(r"[*?\[]")


def wild(pattern: str) -> bool:
    """Whether this is a shell pattern; else it matches itself alone."""
    return _WILD.search(pattern) is not None


def beginning(pattern: str) -> str:
    """What everything begins with that a shell pattern matches."""
    return _WILD.split(pattern, maxsplit=1)[0]


def reaches(pattern: str, case: str) -> bool:
    """Whether a shell pattern may match a problem of a case, ``suite/case``: its id, or that with what a sweep adds."""
    if not wild(pattern):
        return pattern.partition("@")[0] == case
    prefix = beginning(pattern)
    return case.startswith(prefix) or prefix.startswith(f"{case}@")


@dataclass(frozen=True)
class Filter:
    """The problems up to a level; with patterns, those of any level that one matches.

    A pattern is a problem id, a shell pattern over ids, or a case: ``chapter/edge-detection`` or ``edge-detection``.
    """

    only: tuple[str, ...] = ()
    level: str = "ci"

    def whole(self, suite: str, case: Mapping[str, Any]) -> bool | None:
        """Whether all points of a case of this suite are asked for, or none; None where each must be looked at."""
        if not self.only:
            asked = {self._reached(level) for level in _levels(case)}
            return asked.pop() if len(asked) == 1 else None
        name = f"{suite}/{case['id']}"
        if name in self._words or case["id"] in self._words:
            return True
        if "sweep" not in case:
            return self._matches(name)
        return None if name in self._cases or any(reaches(pattern, name) for pattern in self._globs) else False

    def places(self, suite: str, case: Mapping[str, Any], sweep: Sweep, start: int, stop: int) -> Iterable[int]:
        """The places from ``start`` up to and without ``stop`` in the sweep of a case that are asked for, in order."""
        whole = self.whole(suite, case)
        if whole is not None:
            return range(start, stop if whole else start)
        if not self.only:
            axis, reached = list(sweep.values).index("level"), [self._reached(level) for level in _levels(case)]
            return (place for place in range(start, stop) if reached[sweep.digits(place)[axis]])
        name = f"{suite}/{case['id']}"
        if not self._globs:  # ids alone: each is found at once
            found = {sweep.place(word.removeprefix(name)) for word in self._words if word.startswith(f"{name}@")}
            return sorted(place for place in found if place is not None and start <= place < stop)
        return (place for place in range(start, stop) if self._matches(name + sweep.suffix(place)))

    def _reached(self, level: str) -> bool:
        return LEVELS.index(level) <= LEVELS.index(self.level)

    @cached_property
    def _words(self) -> frozenset[str]:
        """The patterns as they are: any may be the name of a problem or a case."""
        return frozenset(self.only)

    @cached_property
    def _globs(self) -> list[str]:
        return [pattern for pattern in self.only if wild(pattern)]

    @cached_property
    def _cases(self) -> frozenset[str]:
        """The cases of the problems that are asked for by their ids."""
        return frozenset(word.partition("@")[0] for word in self._words)

    @cached_property
    def _glob(self) -> re.Pattern[str]:
        return re.compile("|".join(map(translate, self._globs)) or r"(?!)")

    def _matches(self, problem: str) -> bool:
        return problem in self._words or self._glob.match(problem) is not None


def _levels(case: Mapping[str, Any]) -> list[str]:
    levels: list[str] = case.get("sweep", {}).get("level", [case.get("level", "ci")])
    return levels
