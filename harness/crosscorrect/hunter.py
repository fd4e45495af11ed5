"""A lane that hunts: each surprise among its checks is shrunk with its own worker, run once more, and kept.

The shrunk problem has a name of its own, and so data of its own by the same fills. Where a problem under its new name
passes, other seeds are tried; where all pass, it is the very numbers that matter, and they are kept in a file.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from crosscorrect import dtypes, expectations, yamlfile
from crosscorrect.drafts import SUITE, Draft
from crosscorrect.errors import CaseError
from crosscorrect.hunt import FOUND, HEADER, REPEATS, Find, Kind, Name, Search
from crosscorrect.lane import Lane
from crosscorrect.model import FINE, Check, Outcome
from crosscorrect.plan import Preparation
from crosscorrect.shrink import shrink
from crosscorrect.specify import specify
from crosscorrect.store import Segment, Unit
from crosscorrect.sweep import Point

if TYPE_CHECKING:
    from collections.abc import Iterable

    from crosscorrect.expectations import Expectations
    from crosscorrect.model import Direction, Verdict
    from crosscorrect.plan import Prepared
    from crosscorrect.problem import Problem

    Array = np.ndarray[Any, Any]

KINDS = 6
"""So many problems are shrunk of failures that look alike; the others are kept as they are."""
SEEDS = 8
"""So many data are tried where a problem under its new name passes."""
UNREMARKABLE = (*FINE, Outcome.UNSUPPORTED, Outcome.MISSING)
"""What is counted and no surprise: a refusal is a claim, and data that prove nothing accuse nobody."""


class _Nowhere(Segment):
    """A segment that keeps nothing, for what is only tried."""

    def __init__(self) -> None: ...

    def write(self, kind: str, record: Any) -> None:
        pass

    def begin(self, units: Iterable[Unit]) -> None:
        pass

    def commit(self, *units: Unit) -> None:
        pass

    def limit(self, *, show: bool) -> int:  # noqa: ARG002
        return -1

    def close(self) -> None:
        pass


@dataclass(kw_only=True)
class Hunter(Lane):
    """A lane that looks at each of its checks; one that is ``trying`` only tries, and keeps nothing."""

    search: Search
    expected: Expectations | None = None
    trying: bool = False
    upcoming: Problem | None = None

    def run(self) -> None:
        """The thread's body: every problem until the time is over."""
        try:
            self.greet()
            if not self.supply.missing and len(self.absent) < len(self.plan.devices):
                self._hunt()
        finally:
            self.tell_all()
            self.supply.close_all()

    def _meanwhile(self) -> None:
        if self.upcoming is not None:
            self.preparation.ahead(self.upcoming)

    def _hunt(self) -> None:
        name, search = self.framework.name, self.search
        worker = self.supply.worker
        versions = worker.hello["versions"] if worker is not None else {}
        self.expected = expectations.load(name, versions.get(name, ""), search.expectations)
        problems = search.problems
        self.upcoming = problems[0]
        for place in range(len(problems)):
            problem = cast("Problem", self.upcoming)
            self.upcoming = problems[place + 1] if place + 1 < len(problems) else None
            if self.stop.is_set() or time.monotonic() > search.end:
                return
            search.asked[name] += bool(self.places(problem))
            self._put(problem, problems.name(place))
            also = problems.also(place)
            if also is not None and also.spelling in self.spellings:
                self._put(problems.problem(also), also)

    def _put(self, problem: Problem, name: Name) -> None:
        """One problem in every mode, on every device."""
        for device, mode in self.places(problem):
            if self.stop.is_set():
                return
            for check in self.solve(problem, mode, device):
                if self._surprises(check):
                    self._meet(check, name.draft(self.search.problems.seed), problem)

    def _surprises(self, check: Check) -> bool:
        if check.outcome in UNREMARKABLE or self.expected is None:
            return False
        entry = self.expected.of(check.problem, check.direction, check.mode, check.device)
        return entry is None or entry.outcome != check.outcome or entry.message not in check.message

    def _meet(self, check: Check, draft: Draft, problem: Problem) -> None:
        """Count a surprise with the find that it looks like, or shrink it and keep it as a find of its own."""
        search, kind = self.search, Kind.of(check)
        own = [find for find in search.finds if find.kind == kind]
        known = next((find for find in own if find.like(kind, draft)), None)
        if known is not None:
            known.problems += [check.problem] if check.problem not in known.problems else []
            return
        find = Find(kind, draft, search.name(check), {}, check, [check.problem], cause=check.diagnosis)
        find.case = self._case(find)
        search.keep(find)  # as it is: whatever interrupts the shrinking, it is not lost
        if search.shrinking and len(own) < KINDS:
            self._shrink(find, problem)
            if self.stop.is_set():
                return
            same = next((f for f in own if f.shrunk and f.draft.features == find.draft.features), None)
            if same is not None:
                search.join(find, same)
                return
        self._run_again(find)
        search.keep(find)
        self.emit(find)

    def _shrink(self, find: Find, problem: Problem) -> None:
        """Make a find as small as it gets; where it depends on its very numbers, keep those."""
        quiet: dict[str, Any] = {
            "segment": _Nowhere(),
            "emit": lambda _: None,
            "trying": True,
            "upcoming": None,
            "plan": replace(self.plan, confirm=False),
        }
        aside = replace(self, **quiet)  # it asks the same worker

        def fails(draft: Draft) -> bool:
            return self._fails(aside, find, self._case(replace(find, draft=draft)))

        settled = next((d for d in (_seeded(find.draft, seed) for seed in range(SEEDS)) if fails(d)), None)
        if settled is not None:
            find.draft, find.shrunk = shrink(settled, fails), True
            find.case = self._case(find)
        elif not self.stop.is_set():
            find.case, find.note = self._numbers(find, problem), "it depends on its very numbers, which are kept"
        find.failed = sum(self._fails(aside, find, find.case) for _ in range(REPEATS))
        if self.stop.is_set():
            find.note = "the hunt was interrupted before this was as small as it gets"
        elif not find.failed:
            find.note = "run again it does not fail: it depends on what ran before it, or on chance"

    def _fails(self, aside: Hunter, find: Find, case: dict[str, Any]) -> bool:
        """Whether a case of the find's name fails in the same way, in the lane aside; nothing does once all stops."""
        if self.stop.is_set():
            return False
        try:
            problem = self._problem(case)
            aside.preparation = Preparation(self.plan.seed)
            checks = aside.solve(problem, find.kind.mode, find.kind.device)
        except CaseError:  # no problem at all
            return False
        return any(Kind.of(check) == find.kind for check in checks)

    def _run_again(self, find: Find) -> None:
        """Run the find itself in this lane, so that the run holds its rows, its arrays and its diagnosis."""
        checks = self.solve(self._problem(find.case), find.kind.mode, find.kind.device)
        find.check = next((check for check in checks if Kind.of(check) == find.kind), find.check)

    def _problem(self, case: dict[str, Any]) -> Problem:
        document = yamlfile.parse(HEADER.format(FOUND), self.search.file)
        return specify(FOUND, Point(case, ("cases", 0), {}, document))

    def _case(self, find: Find) -> dict[str, Any]:
        kind, again = find.kind, find.problems[0]
        said = f"{kind.framework} {kind.mode} {kind.direction}: {kind.outcome}"
        said += f" ({find.check.reason})" if find.check.reason else ""
        return find.draft.case(find.name, source=f"crosscorrect hunt -k {again}", title=str(find.draft), note=said)

    def _numbers(self, find: Find, problem: Problem) -> dict[str, Any]:
        """The case with the arrays of the problem that failed, in a file beside it."""
        name = f"{find.name}.npz"
        arrays = {key: dtypes.widen(array) for key, array in problem.inputs(self.plan.seed).items()}
        np.savez(self.search.folder / name, **arrays)
        return self._case(find) | {key: {"npz": name, "key": key} for key in arrays}

    def keeps(self, problem: Problem, verdict: Verdict) -> int:
        """Of what passes no arrays are kept: there are many problems, and each can be made again from its id."""
        return -1 if verdict.outcome is Outcome.PASS and problem.suite == SUITE else super().keeps(problem, verdict)

    def _diagnosed(
        self, prepared: Prepared, direction: Direction, output: Array | None, verdict: Verdict, mode: str
    ) -> Verdict:
        """The verdict with its cause, which nobody asks of what is only tried."""
        if self.trying:
            return verdict
        return super()._diagnosed(prepared, direction, output, verdict, mode)


def _seeded(draft: Draft, seed: int) -> Draft:
    """The draft with other data; seed 0 leaves them as they are."""
    return replace(draft, data={name: {**spec, "seed": seed} if seed else spec for name, spec in draft.data.items()})
