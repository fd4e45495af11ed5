"""Which problems a run is about: a stream of them, each made when its turn comes, that can begin at any place."""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from crosscorrect.errors import UsageError
from crosscorrect.filters import Filter, wild
from crosscorrect.nearest import nearest
from crosscorrect.outline import Outline
from crosscorrect.spans import Costs, Shard, Span, cut, deal
from crosscorrect.specify import specify

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from crosscorrect.outline import Places
    from crosscorrect.problem import Problem
    from crosscorrect.suite import Suite
    from crosscorrect.sweep import Sweep

COUNTED = 10_000
"""So many points may be looked at one by one to tell beforehand what a selection comes to."""

KINDS = 4096
"""In so many kinds the points of one case are told apart, at most."""

CHECKED = 10_000
"""How many problems are made before a run, so that what is wrong with a case file is told before anything starts."""

CHECKED_POINTS = 1000
"""How many of them may be of one case; of a larger sweep they are points that have each value of each key."""

CHECKED_ELEMENTS = 2**16
"""Problems of up to this many array elements have their written values checked before a run starts."""

_CHUNK = 2**16


class _Case(NamedTuple):
    """One case in the stream: where it is among them, its suite, its number there, and the places of its points."""

    number: int
    suite: Suite
    place: int
    start: int
    stop: int

    @property
    def keys(self) -> Mapping[str, Any]:
        return self.suite.cases[self.place]


@dataclass(frozen=True)
class Selection:
    """The problems of suites up to a level, in order; with patterns, those of any level that one matches.

    ``only`` are patterns as ``Filter`` reads them. Of all these problems ``shard`` takes its part. A selection can be
    iterated again and again, also by several threads; nothing is made of a problem whose turn has not come.
    """

    suites: Sequence[Suite] = field(repr=False)
    only: Sequence[str] = ()
    level: str = "ci"
    shard: Shard | None = None
    _sweeps: dict[int, Sweep] = field(default_factory=dict, init=False, repr=False, compare=False)
    _outlines: dict[int, Outline] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __iter__(self) -> Iterator[Problem]:
        """Each problem. Raises CaseError at one that makes no sense."""
        return self.between(0, self.size)

    def isolated(self, isolate: bool) -> Part:
        """The problems that want a worker of their own, or those that do not."""
        return Part(self, 0, self.size, isolate)

    def of(self, span: Span) -> Part:
        """The problems of a span, without a look at those before it."""
        return Part(self, span.start, span.stop)

    def between(self, start: int, stop: int, isolate: bool | None = None) -> Iterator[Problem]:
        """The problems between two places of the stream; ``isolate`` None: whatever worker they want."""
        for case, first, last in self._parts(start, stop):
            if isolate is None or isolate == case.keys.get("isolate", False):
                sweep, name = self._sweep(case), case.suite.name
                for place in self._filter.places(name, case.keys, sweep, first, last):
                    yield specify(name, sweep.point(place))

    def spans(self, seconds: float, most: int = 10**6) -> Iterator[Span]:
        """Consecutive slices that by estimate cost so many seconds, and are of at most so many problems.

        Every problem is in one of them. Raises CaseError where one that an estimate is made from makes no sense.
        """
        return cut(self._costs(), max(1, round(seconds * 1e6)), most)

    @cached_property
    def size(self) -> int:
        """How many points the suites have, whether or not they are asked for."""
        return self._cases[-1].stop if self._cases else 0

    @cached_property
    def countable(self) -> bool:
        """Whether the problems can be counted without a look at more than ``COUNTED`` points one by one."""
        return sum(c.stop - c.start for c in self._cases if self._filter.whole(c.suite.name, c.keys) is None) <= COUNTED

    @cached_property
    def count(self) -> int | None:
        """How many problems there are; None where they are not ``countable``."""
        if not self.countable:
            return None
        return sum(len(places) for part in self._parts(0, self.size) for places in self._places(*part))

    @cached_property
    def exact(self) -> bool:
        """Whether ``kinds`` tells all kinds apart."""
        return all(self._outline(case).exact for case, _, _ in self._parts(0, self.size))

    def kinds(self) -> Iterator[tuple[Problem, int]]:
        """A problem of each kind that there is, and how many are like it but for their data.

        Of large sweeps only some are told apart: see ``exact``. Raises CaseError at a problem that makes no sense.
        """
        for case, start, stop in self._parts(0, self.size):
            outline = self._outline(case)
            if stop - start == case.stop - case.start and self._filter.whole(case.suite.name, case.keys):
                counts = outline.counts
            else:
                counts = np.zeros(outline.count, np.int64)
                for places in self._places(case, start, stop):
                    counts += np.bincount(outline.kinds(places), minlength=outline.count)
            for kind in np.flatnonzero(counts).tolist():
                yield outline.problem(kind), int(counts[kind])

    def check(self) -> None:
        """Refuse a selection of nothing, and what is wrong with its first problems.

        Raises UsageError where there is no problem, CaseError where one makes no sense, or where small arrays that are
        written out cannot be built. Of up to ``CHECKED`` problems all are made, of more those that have each value of
        each key.
        """
        whole = replace(self, shard=None)
        if next(iter(whole), None) is None and self.size:
            if self.only:
                listing = f"'crosscorrect cases list' lists them{self._hint()}"
                raise UsageError(f"no problem is called {', '.join(self.only)}; {listing}")
            raise UsageError(f"these suites have no case of level {self.level}; ask for a higher --level")
        for problem in islice(whole._samples(), CHECKED):  # noqa: SLF001  another of the same class
            written = any(not (isinstance(spec, dict) and "fill" in spec) for spec in problem.arrays.values())
            if written and sum(map(math.prod, problem.shapes.values())) <= CHECKED_ELEMENTS:
                problem.inputs()

    def describe(self) -> dict[str, Any]:
        """What ``run.json`` says of it: ``problems`` counts those of all shards, ``share`` those of this one.

        Both are left out where counting takes a look at too many points.
        """
        counts = {"problems": replace(self, shard=None).count, "share": self.count if self.shard else None}
        return {
            "suites": [
                {"name": s.name, "title": s.title, "file": s.path.name, "digest": s.digest} for s in self.suites
            ],
            **{name: count for name, count in counts.items() if count is not None},
            "filter": list(self.only),
            "level": self.level,
            "shard": str(self.shard or ""),
        }

    def _hint(self) -> str:
        """What may have been meant by names that nothing has: the nearest case, or the nearest problem of that case."""
        cases = {f"{case.suite.name}/{case.keys['id']}": case for case in self._cases}
        found = []
        for name in self.only:
            case, mark, _ = name.partition("@")
            near = "" if wild(name) else nearest(case, cases if "/" in case else (c.partition("/")[2] for c in cases))
            if mark and near in cases:
                sweep = self._sweep(cases[near])
                near = nearest(name, (near + sweep.suffix(place) for place in range(len(sweep)))) or near
            found.append(near)
        return f"; did you mean {', '.join(dict.fromkeys(found))}?" if all(found) else ""

    @cached_property
    def _filter(self) -> Filter:
        return Filter(tuple(self.only), self.level)

    @cached_property
    def _cases(self) -> list[_Case]:
        found: list[_Case] = []
        start = 0
        for suite in self.suites:
            for place, keys in enumerate(suite.cases):
                stop = start + math.prod(map(len, keys.get("sweep", {}).values()))
                found.append(_Case(len(found), suite, place, start, stop))
                start = stop
        return found

    @cached_property
    def _dealt(self) -> list[Span]:
        """What the shard has of the stream, in order."""
        if self.shard is None:
            return [Span(0, self.size)]
        return deal(replace(self, shard=None)._costs, self.shard)  # noqa: SLF001  another of the same class

    def _parts(self, start: int, stop: int) -> Iterator[tuple[_Case, int, int]]:
        """The cases between two places of the stream that may have a problem, with the places in the sweep of each."""
        for span in self._dealt:
            at, end = max(span.start, start), min(span.stop, stop)
            number = bisect_right(self._cases, at, key=lambda case: case.start) - 1
            while at < end:
                case = self._cases[number]
                if self._filter.whole(case.suite.name, case.keys) is not False:
                    yield case, at - case.start, min(end, case.stop) - case.start
                at, number = case.stop, number + 1

    def _places(self, case: _Case, start: int, stop: int) -> Iterator[Places]:
        """The places in the sweep of a case that are asked for, some at a time."""
        for first in range(start, stop, _CHUNK):
            last = min(first + _CHUNK, stop)
            asked = self._filter.places(case.suite.name, case.keys, self._sweep(case), first, last)
            yield np.arange(first, last) if isinstance(asked, range) else np.fromiter(asked, np.int64)

    def _costs(self) -> Iterator[Costs]:
        for case, start, stop in self._parts(0, self.size):
            outline, name = self._outline(case), f"{case.suite.name}/{case.keys['id']}"
            for places in self._places(case, start, stop):
                if len(places):
                    yield Costs(case.start + places, outline.costs[outline.kinds(places)], name, places)

    def _samples(self) -> Iterator[Problem]:
        """All problems of small sweeps, and of others those that have each value of each key, as far as asked for."""
        for case, start, stop in self._parts(0, self.size):
            sweep = self._sweep(case)
            if stop - start <= CHECKED_POINTS:
                yield from self.between(case.start + start, case.start + stop)
                continue
            longest = max(map(len, sweep.names))
            for turn in range(min(longest, CHECKED_POINTS)):
                place = sweep.at([turn % len(own) for own in sweep.names])
                yield from self.between(case.start + place, case.start + place + 1)

    def _sweep(self, case: _Case) -> Sweep:
        if case.number not in self._sweeps:
            self._sweeps[case.number] = case.suite.sweep(case.place)
        return self._sweeps[case.number]

    def _outline(self, case: _Case) -> Outline:
        if case.number not in self._outlines:
            most = COUNTED if self.size <= COUNTED else min(KINDS, max(16, COUNTED // len(self._cases)))
            self._outlines[case.number] = Outline(case.suite.name, self._sweep(case), most)
        return self._outlines[case.number]


@dataclass(frozen=True, slots=True)
class Part:
    """The problems between two places of a selection; like it, a part can be iterated again and again."""

    selection: Selection
    start: int
    stop: int
    isolate: bool | None = None

    def __iter__(self) -> Iterator[Problem]:
        """Each problem. Raises CaseError at one that makes no sense."""
        return self.selection.between(self.start, self.stop, self.isolate)

    def isolated(self, isolate: bool) -> Part:
        """Those that want a worker of their own, or those that do not."""
        return replace(self, isolate=isolate)


def ordered(problems: Iterable[Problem]) -> Iterator[Problem]:
    """Problems in the order in which a lane solves them: those that want a worker of their own come last.

    Each of those costs the next problem the start of a worker.
    """
    if isinstance(problems, (Selection, Part)):
        yield from problems.isolated(False)
        yield from problems.isolated(True)
    else:
        yield from sorted(problems, key=lambda problem: problem.isolate)
