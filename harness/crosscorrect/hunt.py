"""The search for defects: random correct problems through every framework, each kind of surprise shrunk and kept.

Problems, lanes, verdicts and rows are those of every run. Where the problems come from is in ``drafts``, what becomes
of a surprise in ``hunter``.
"""

from __future__ import annotations

import math
import re
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from crosscorrect import api, store, yamlfile
from crosscorrect.casefile import case_file
from crosscorrect.drafts import SUITE, Draft, draw, spelt
from crosscorrect.errors import UsageError
from crosscorrect.execution import Execution
from crosscorrect.model import Check, Exit, Outcome, Reason
from crosscorrect.plan import Greeting, Plan, describe
from crosscorrect.problem import DTYPES, SPELLINGS
from crosscorrect.specify import specify
from crosscorrect.sweep import Point

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from crosscorrect.problem import Problem

FOUND = "found"
"""The suite of what was found, and the stem of its file."""
TITLE = "Problems that crosscorrect hunt found and shrank"
LIMIT = 60.0
"""Seconds that one call may take: the problems are small."""
REPEATS = 3
"""How often a shrunk problem is run again, to tell whether it fails every time."""

HEADER = "crosscorrect: 1\nsuite: {}\ncases: []\n"
_ID = re.compile(rf"(?:{SUITE}/)?([0-9]+)-([0-9]+)(?:@dtype=([a-z0-9]+)(?:,spelling=([a-z_]+))?)?")


@dataclass(frozen=True, slots=True)
class Name:
    """What a problem of a search is made from, with its seed: all that its id says."""

    index: int
    dtype: str
    spelling: str = "native"

    def draft(self, seed: int) -> Draft:
        """The draft of this name."""
        return replace(draw(seed, self.index, self.dtype), spelling=self.spelling)

    @property
    def suffix(self) -> str:
        """What it adds to the id, as a sweep does."""
        return f"@dtype={self.dtype}" + ("" if self.spelling == "native" else f",spelling={self.spelling}")


class Problems(Sequence["Problem"]):
    """The problems of a search, each made when it is asked for, so that a million take no more memory than one.

    ``seed``, and an index from ``first`` on, make a problem; its dtype is the next of ``dtypes`` each time. Some are to
    be asked in another spelling too: the frameworks that have it get them by ``also``. Where there are ``chosen``
    names, those are the problems.
    """

    def __init__(
        self,
        seed: int,
        count: int,
        dtypes: Sequence[str] = ("float32", "float64"),
        first: int = 0,
        chosen: Sequence[Name] = (),
    ) -> None:
        self.seed, self.first, self.dtypes = seed, first, tuple(dtypes)
        self._count, self._chosen = count, tuple(chosen)
        self._document = yamlfile.parse(HEADER.format(SUITE), SUITE)

    def __len__(self) -> int:
        return len(self._chosen) or self._count

    @overload
    def __getitem__(self, place: int) -> Problem: ...
    @overload
    def __getitem__(self, place: slice) -> list[Problem]: ...
    def __getitem__(self, place: int | slice) -> Problem | list[Problem]:
        if isinstance(place, slice):
            return [self[index] for index in range(*place.indices(len(self)))]
        return self.problem(self.name(place))

    def name(self, place: int) -> Name:
        """The name of a problem by its place in the sequence."""
        if not 0 <= place < len(self):
            raise IndexError(place)
        if self._chosen:
            return self._chosen[place]
        index = self.first + place
        return Name(index, self.dtypes[index % len(self.dtypes)])

    def also(self, place: int) -> Name | None:
        """The same problem in another spelling, where it is to be asked so too."""
        name = self.name(place)
        spelling = "" if self._chosen else spelt(self.seed, name.index, name.dtype)
        return replace(name, spelling=spelling) if spelling else None

    def problem(self, name: Name) -> Problem:
        """The problem of a name: the ordinary way from a case to a problem."""
        draft, case = name.draft(self.seed), f"{self.seed}-{name.index}"
        again = f"crosscorrect hunt -k {SUITE}/{case}{name.suffix}"
        said = draft.case(case, source=again, title=str(draft))
        return specify(SUITE, Point(said, ("cases", 0), {}, self._document, name.suffix))


def chosen(ids: Sequence[str], seed: int | None, dtypes: Sequence[str]) -> tuple[int, list[Name]]:
    """The seed, and the names of the problems that a person asks for by id: ``hunt/7-123``, or as a row has it.

    Raises UsageError for what is no such id, or for ids of several searches.
    """
    found = []
    for text in ids:
        match = _ID.fullmatch(text)
        if match is None or match[3] not in (None, *DTYPES) or match[4] not in (None, *SPELLINGS):
            raise UsageError(f"{text!r} is no problem of a hunt; write it as {SUITE}/SEED-INDEX")
        if seed not in (None, int(match[1])):
            raise UsageError(f"{text!r} is of seed {match[1]}, and seed {seed} was asked for; leave --seed out")
        seed, index = int(match[1]), int(match[2])
        found.append(Name(index, match[3] or dtypes[index % len(dtypes)], match[4] or "native"))
    return seed or 0, found


@dataclass(frozen=True, slots=True)
class Kind:
    """What two failures have in common that may be one: shrinking keeps it, so that like is compared with like.

    Of failures without an answer ``how`` is the message with its numbers taken out; all gradients fail together then.
    """

    framework: str
    mode: str
    device: str
    dtype: str
    direction: str
    outcome: str
    how: str

    @classmethod
    def of(cls, check: Check) -> Kind:
        """The kind of a check."""
        place = (check.framework, check.mode, check.device, check.dtype)
        if check.outcome is Outcome.FAIL:
            # data made simpler, an output outside its bound is one that is not exact: the same claim
            values = check.reason in (Reason.BOUND_A, Reason.EXACTNESS, Reason.VALUE)
            return cls(*place, str(check.direction), str(check.outcome), "values" if values else str(check.reason))
        direction = "gradients" if check.direction.startswith("grad") else str(check.direction)
        said = re.sub(r"[0-9]+", "#", check.message.partition("\n")[0])[:60]
        return cls(*place, direction, str(check.outcome), said)


@dataclass(slots=True)
class Find:
    """One kind of surprise: where it was met, the smallest problem that shows it, and all that look like it.

    ``case`` is what ``found.yaml`` says of it, ``check`` the row of the shrunk problem (until then of the first one
    met), ``cause`` the diagnosis of the first, which has more numbers to go by, ``failed`` how many of ``REPEATS``
    repetitions failed alike, ``note`` what else is to be said. ``shrunk`` is whether there was an attempt.
    """

    kind: Kind
    draft: Draft
    name: str
    case: dict[str, Any]
    check: Check
    problems: list[str] = field(default_factory=list)
    shrunk: bool = False
    failed: int = 0
    note: str = ""
    cause: str = ""

    def like(self, kind: Kind, draft: Draft) -> bool:
        """Whether another surprise may be this one: the same failure, of a problem that has all of its features.

        One that was not shrunk takes all of its kind, unless something was to be said of it alone.
        """
        return kind == self.kind and (self.draft.features <= draft.features if self.shrunk else not self.note)


@dataclass(slots=True)
class Search:
    """What the lanes of a hunt share: its problems, what is expected, and what was found so far.

    ``end`` is the reading of the monotonic clock after which no new problem begins.
    """

    problems: Problems
    folder: Path
    shrinking: bool = True
    end: float = math.inf
    expectations: Path | None = None
    finds: list[Find] = field(default_factory=list)
    asked: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def file(self) -> Path:
        """The case file of what was found, there as soon as something is."""
        return self.folder / f"{FOUND}.yaml"

    def name(self, check: Check) -> str:
        """A name for a find that no other has."""
        own = check.problem.removeprefix(f"{SUITE}/").partition("@")[0]
        name = f"{check.framework[:20]}-{check.direction}-{own}"[:54]
        with self._lock:
            return name if all(f.name != name for f in self.finds) else f"{name}-{len(self.finds)}"

    def keep(self, find: Find) -> None:
        """Keep a find, or what has become of it, and write the file anew."""
        with self._lock:
            if all(find is not other for other in self.finds):
                self.finds.append(find)
            self._write()

    def join(self, find: Find, other: Find) -> None:
        """Count one find as another: shrunk, they turned out to be the same."""
        with self._lock:
            other.problems += [problem for problem in find.problems if problem not in other.problems]
            self.finds = [own for own in self.finds if own is not find]
            self._write()

    def _write(self) -> None:
        part = self.file.with_suffix(".part")
        part.write_text(case_file(FOUND, TITLE, [find.case for find in self.finds]), encoding="utf-8")
        part.replace(self.file)


@dataclass(slots=True)
class Hunted:
    """What a hunt came to: its run folder, its finds, and of each framework the problems asked and the outcomes.

    ``missing`` says why of each framework that could not be asked.
    """

    folder: Path
    problems: int
    finds: list[Find] = field(default_factory=list)
    asked: Counter[str] = field(default_factory=Counter)
    outcomes: dict[str, Counter[str]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)

    @property
    def exit(self) -> Exit:
        """Incomplete, nothing ran, something found, or nothing found; in this order."""
        if self.missing:
            return Exit.INCOMPLETE
        if not any(Outcome(name).executed for outcomes in self.outcomes.values() for name in outcomes):
            return Exit.NOT_CONFORMANT if self.finds else Exit.NOTHING_RAN
        return Exit.NOT_CONFORMANT if self.finds else Exit.OK


def hunt(
    problems: Problems,
    frameworks: Iterable[str] | None = None,
    *,
    modes: Iterable[str] = ("eager",),
    devices: Iterable[str] = ("cpu",),
    arithmetic: str = "strict",
    pythons: Mapping[str, Path | str] | None = None,
    adapters: Mapping[str, str] | None = None,
    seconds: float = math.inf,
    shrinking: bool = True,
    expected: Path | None = None,
    results: Path | str = "results",
    on_event: Callable[[Plan, Hunted, Check | Greeting | Find | None], None] | None = None,
) -> Hunted:
    """Put problems to frameworks and return what was found; the arguments are those of ``api.run``.

    ``seconds`` is when no new problem begins. Without ``shrinking`` a surprise is kept as it is. ``expected`` is a
    folder of expectations (default: those that ship). ``on_event`` hears None at the start, then what happens. Raises
    UsageError and IncompleteError before anything is started. What was found is in the folder at any time, also where
    this is interrupted.
    """
    from crosscorrect.hunter import Hunter  # noqa: PLC0415  it builds on the classes above

    plan = Plan(
        problems=problems,
        frameworks=api.find_frameworks(frameworks, pythons or {}, adapters or {}),
        modes=tuple(modes),
        devices=tuple(devices),
        arithmetic=arithmetic,
        limit=LIMIT,
    )
    folder = store.create(Path(results), store.new_run_id(), _describe(plan, problems))
    search = Search(problems, folder, shrinking, time.monotonic() + seconds, expected)
    hunted = Hunted(folder, len(problems), search.finds, search.asked)
    segment = store.Segment(folder)

    def tell(event: Check | Greeting | Find | None) -> None:
        if on_event is not None:
            on_event(plan, hunted, event)

    tell(None)
    execution = Execution(plan, segment, make=partial(Hunter, search=search))
    try:
        for event in execution:
            if isinstance(event, Check) and event.suite == SUITE:
                hunted.outcomes.setdefault(event.framework, Counter())[event.outcome] += 1
                if event.outcome is Outcome.MISSING:
                    hunted.missing.setdefault(event.framework, event.message)
            elif isinstance(event, Greeting) and (event.hello is None or event.message):
                hunted.missing[event.framework] = event.message
            tell(event)
    finally:
        execution.close()
        hunted.finds = search.finds
        segment.close()
    totals = sum(hunted.outcomes.values(), Counter[str]())
    store.seal(folder, {"totals": dict(totals), "asked": dict(search.asked), "found": len(search.finds)})
    return hunted


def _describe(plan: Plan, problems: Problems) -> dict[str, Any]:
    """What ``run.json`` says of a hunt: what every run says, and how the problems were drawn."""
    drawn = {"seed": problems.seed, "first": problems.first, "dtypes": list(problems.dtypes)}
    suites = [
        {"name": SUITE, "title": "Random correct problems", "file": SUITE, "digest": ""},
        {"name": FOUND, "title": TITLE, "file": f"{FOUND}.yaml", "digest": ""},
    ]
    said = {"suites": suites, "problems": len(problems), "filter": [SUITE], "level": "ci", "hunt": drawn}
    return {**describe(plan), **said}
