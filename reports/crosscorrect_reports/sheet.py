"""The checks of a run as one matrix: a line per problem and direction, a column per place, and how grave each cell is.

A million checks are a few arrays so, and every count of a report is taken from them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from crosscorrect.model import Outcome
from crosscorrect_reports import frames

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crosscorrect.store import Run

SEVERITY = tuple(sorted(Outcome, key=lambda outcome: outcome.rank))
"""The outcomes, the gravest first."""

NEXT, PLAIN, NOWHERE = len(SEVERITY), 2 * len(SEVERITY) - 1, 2 * len(SEVERITY)
"""The first grade that is as expected, the grade of a pass that is, and that of what was not asked."""


class Gravest(NamedTuple):
    """What came of some lines in one place: the gravest outcome, how many passed, of how many.

    ``surprise`` is whether one of them is not as expected; then the outcome is the gravest of those. ``check`` is the
    number of the first row that it is the outcome of.
    """

    outcome: str
    passed: int
    total: int
    surprise: bool
    check: int


class Sheet:
    """The matrix of a run and what each of its lines comes to.

    ``cells`` are row numbers of ``judged``, (lines, places), -1 where nothing was asked; ``grades`` how grave each is:
    surprises before all others, and then by ``SEVERITY``. ``lines`` has a row per problem and direction, in the order
    of the suites: suite, case, problem, direction, how many ``checks`` and ``surprises``, whether it is ``plain``
    (every check passed as expected), and the largest ``ratio``.
    """

    def __init__(self, run: Run, judged: pd.DataFrame) -> None:
        """Make the sheet of a run that has checks; ``judged`` is ``frames.judged(run)``."""
        table = frames.matrix(run)
        self.judged, self.cells = judged, table.to_numpy()
        severity = judged["outcome"].map({outcome.value: index for index, outcome in enumerate(SEVERITY)})
        expected = (judged["surprise"] == "").to_numpy()
        grade = np.append(severity.to_numpy(np.int64) + NEXT * expected, NOWHERE)
        self.grades = grade[self.cells]
        ratio = np.append(judged["ratio"].to_numpy(np.float64), np.nan)
        self.lines = table.index.to_frame(index=False).assign(
            checks=(self.cells >= 0).sum(axis=1),
            surprises=(self.grades < NEXT).sum(axis=1),
            plain=((self.grades == PLAIN) | (self.grades == NOWHERE)).all(axis=1),
            ratio=np.fmax.reduce(ratio[self.cells], axis=1, initial=np.nan),
        )

    def gathered(self, groups: Any) -> Iterator[list[Gravest | None]]:
        """For each group of lines, as pandas groups them, what came of them in each place; None where nothing did."""
        group, lines = groups.ngroup().to_numpy(), len(self.lines)
        asked, passed = self.cells >= 0, self.grades % NEXT == PLAIN % NEXT
        # grade and line in one number: the least is the first of the gravest
        graded = pd.DataFrame(self.grades * lines + np.arange(lines)[:, None]).groupby(group).min().to_numpy()
        counts = pd.DataFrame(asked).groupby(group).sum().to_numpy()
        right = pd.DataFrame(asked & passed).groupby(group).sum().to_numpy()
        for worst, totals, passes in zip(graded.tolist(), counts.tolist(), right.tolist(), strict=True):
            found: list[Gravest | None] = []
            for place, (number, total, good) in enumerate(zip(worst, totals, passes, strict=True)):
                grade, line = divmod(number, lines)
                outcome = SEVERITY[grade % NEXT].value
                check = int(self.cells[line, place])
                found.append(Gravest(outcome, good, total, grade < NEXT, check) if total else None)
            yield found
