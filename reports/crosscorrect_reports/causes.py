"""What a ruling tells, for a person: hundreds of checks with one cause are one line, and nothing is told twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crosscorrect.gate import UNFINISHED
from crosscorrect_reports.text import one_line, plural

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crosscorrect.gate import Cause, Ruling

MOST_PROBLEMS = 3
"""How many problems are named of those that have one cause."""


def lines(ruling: Ruling, limit: int = 0) -> list[str]:
    """Return a line for each cause, missing ones first, each told in at most ``limit`` characters (0: any)."""
    causes = sorted(ruling.causes, key=lambda cause: not cause.missing)
    return [*(_line(cause, limit) for cause in causes), *(one_line(other, limit) for other in others(ruling))]


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


def _line(cause: Cause, limit: int) -> str:
    if len(cause.sentences) == 1:
        return one_line(cause.sentences[0], limit)
    counted = plural(len(cause.sentences), "check") + (" are missing" if cause.missing else "")
    return f"{one_line(cause.framework)}: {counted}: {one_line(cause.says, limit)} ({some(cause.problems, limit)})"
