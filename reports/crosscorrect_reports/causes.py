"""What a ruling tells, for a person: hundreds of checks with one cause are one line, and nothing is told twice."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from crosscorrect.gate import UNFINISHED
from crosscorrect.model import cause_of
from crosscorrect_reports.text import one_line, plural

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crosscorrect.gate import Cause, Ruling
    from crosscorrect.store import Run

MOST_PROBLEMS = 3
"""How many problems are named of those that have one cause."""

REMEDY = 3
"""What is missing is told once for each framework, and in so many times more characters: its end says what to do."""


@dataclass(frozen=True, slots=True)
class Told:
    """One line about checks with one cause, and under it what causes it, where something explains it."""

    line: str
    diagnosis: str = ""


@dataclass(slots=True)
class _Group:
    """Causes of one framework that have one diagnosis, or a single one that has none."""

    causes: list[Cause] = field(default_factory=list)
    diagnoses: list[str] = field(default_factory=list)


def lines(ruling: Ruling, limit: int = 0) -> list[str]:
    """Return a line for each cause, each told in at most ``limit`` characters (0: any).

    What was not run is first, then the gravest, and of what is as grave that of which there are most checks.
    """
    return [told.line for told in telling(ruling, limit)]


def telling(ruling: Ruling, limit: int = 0, run: Run | None = None) -> list[Told]:
    """Return ``lines``, each with its diagnosis if ``run`` is given; what one diagnosis explains is one line there."""
    known = {} if run is None else _diagnoses(run)
    groups: dict[tuple[str, ...], _Group] = {}
    for cause in ruling.causes:
        end = len(f": {cause.says}")
        found = list(dict.fromkeys(known.get(sentence[:-end], "") for sentence in cause.sentences))
        named = {cause_of(diagnosis) for diagnosis in found}
        name = named.pop() if len(named) == 1 else ""
        group = groups.setdefault((cause.framework, name) if name else (cause.framework, "", str(id(cause))), _Group())
        group.causes.append(cause)
        group.diagnoses += found if name else []
    told = [_told(group, limit) for group in sorted(groups.values(), key=_order)]
    return [*told, *(Told(one_line(other, limit)) for other in others(ruling))]


def _order(group: _Group) -> tuple[int, int]:
    gravest = min(cause.outcome.rank for cause in group.causes)
    return gravest, -sum(len(cause.sentences) for cause in group.causes)


def others(ruling: Ruling) -> list[str]:
    """Return what is told of the run as a whole and of no single check, each once.

    That the run was not finished is its headline, and not told again; nor is the name of a framework that is missing
    where a finding tells why.
    """
    known = {UNFINISHED, *(sentence for cause in ruling.causes for sentence in cause.sentences)}
    told = {finding.partition(": ")[0] for finding in ruling.findings}
    missing = [name for name in ruling.missing if name not in told]
    return [sentence for sentence in dict.fromkeys([*missing, *ruling.findings]) if sentence not in known]


def some(problems: Sequence[str], limit: int = 0) -> str:
    """Return the first few of some problems, and how many more there are."""
    distinct = list(dict.fromkeys(problems))
    shown = ", ".join(one_line(problem, limit) for problem in distinct[:MOST_PROBLEMS])
    more = len(distinct) - MOST_PROBLEMS
    return f"{shown} and {more} more" if more > 0 else shown


def _diagnoses(run: Run) -> dict[str, str]:
    """Return the diagnoses of a run by the words with which the gate names a check."""
    rows = run.checks[run.checks["diagnosis"] != ""]
    names = rows[["framework", "mode", "problem", "direction", "diagnosis"]].itertuples(index=False)
    return {f"{framework} {mode} {problem} {direction}": str(d) for framework, mode, problem, direction, d in names}


def _told(group: _Group, limit: int) -> Told:
    first, distinct = group.causes[0], dict.fromkeys(group.diagnoses)
    # of several the evidence differs
    diagnosis = one_line("".join(distinct) if len(distinct) == 1 else cause_of(next(iter(distinct), "")), limit)
    if len(group.causes) == 1:
        return Told(_line(first, limit), diagnosis)
    problems = [problem for cause in group.causes for problem in cause.problems]
    checks = sum(len(cause.sentences) for cause in group.causes)
    counted = f"{plural(checks, 'check')}, the first: {one_line(first.says, limit)}"
    return Told(f"{one_line(first.framework)}: {counted} ({some(problems, limit)})", diagnosis)


def _line(cause: Cause, limit: int) -> str:
    limit *= REMEDY if cause.missing else 1
    if len(cause.sentences) == 1:
        return one_line(cause.sentences[0], limit)
    counted = plural(len(cause.sentences), "check") + (" are missing" if cause.missing else "")
    return f"{one_line(cause.framework)}: {counted}: {one_line(cause.says, limit)} ({some(cause.problems, limit)})"
