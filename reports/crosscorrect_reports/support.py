"""The support matrix: which framework can do what, by operation, direction and dtype, and what it says where not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from crosscorrect.model import Direction, Outcome
from crosscorrect_reports import frames
from crosscorrect_reports.text import one_line

if TYPE_CHECKING:
    import pandas as pd

    from crosscorrect.store import Run

FINE = (Outcome.PASS, Outcome.MISTRUSTED, Outcome.UNBOUNDED)
"""The outcomes of an answer that nothing speaks against."""
LONGEST = 160
"""How many characters of a refusal are told."""


@dataclass(slots=True)
class Ability:
    """What came of one kind of question in one place: how many checks were right, refused, broke or were wrong.

    ``says`` is what came of the first that is the gravest, and ``example`` its problem.
    """

    right: int
    refused: int
    broke: int
    wrong: int
    says: str = ""
    example: str = ""

    @property
    def total(self) -> int:
        """How many checks there are."""
        return self.right + self.refused + self.broke + self.wrong

    @property
    def word(self) -> str:
        """``yes``, ``partly`` and ``no`` by what is refused; ``breaks`` or ``wrong`` where one did."""
        if self.wrong or self.broke:
            return "wrong" if self.wrong else "breaks"
        return "yes" if not self.refused else "partly" if self.right else "no"


@dataclass(slots=True)
class Feature:
    """One kind of question, and what each place makes of it (None: not asked)."""

    operation: str
    direction: str
    dtype: str
    cells: list[Ability | None]


def support(run: Run) -> list[Feature]:
    """Return every kind of question of a run, in the order in which the suites first ask it.

    Problems that have to be refused are left out: a refusal of those is right.
    """
    invalid = set(run.problems.loc[run.problems["invalid"].astype(bool), "problem"])
    table = run.checks[~run.checks["problem"].isin(invalid)]
    places = frames.places(run)
    keys = ["operation", "direction", "dtype"]
    directions = [direction.value for direction in Direction]
    found: dict[tuple[str, str, str], dict[tuple[str, str, str], Ability]] = {}
    for key, own in table.groupby([*keys, *frames.PLACE], sort=False):
        found.setdefault(key[:3], {})[key[3:]] = _ability(own)
    operations = list(dict.fromkeys(operation for operation, _, _ in found))
    ordered = sorted(found, key=lambda k: (operations.index(k[0]), directions.index(k[1])))
    return [Feature(*key, [found[key].get(place) for place in places]) for key in ordered]


def _ability(own: pd.DataFrame) -> Ability:
    outcome = own["outcome"]
    right, refused = outcome.isin(FINE), outcome == Outcome.UNSUPPORTED
    wrong = outcome == Outcome.FAIL
    broke = ~(right | refused | wrong)
    told = Ability(*(int(kind.sum()) for kind in (right, refused, broke, wrong)))
    gravest = own[wrong if told.wrong else broke if told.broke else refused]
    if len(gravest):
        row = gravest.iloc[0]
        told.says, told.example = one_line(row["message"], LONGEST), row["problem"]
    return told
