"""The support matrix: which framework can do what, by operation, direction and dtype, and what it says where not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from crosscorrect.model import FINE, Direction, Outcome
from crosscorrect_reports import frames
from crosscorrect_reports.text import one_line

if TYPE_CHECKING:
    import pandas as pd

    from crosscorrect.store import Run

KINDS = {
    outcome.value: "right"
    if outcome in FINE
    else {Outcome.FAIL: "wrong", Outcome.UNSUPPORTED: "refused"}.get(outcome, "broke")
    for outcome in Outcome
}
GRAVITY = ("wrong", "broke", "refused")
LONGEST = 160
"""How many characters of a refusal are told."""


@dataclass(slots=True)
class Ability:
    """What came of one kind of question in one place: how many checks were right, refused, broke or were wrong.

    ``says`` is what came of the first that is the gravest, and ``example`` its problem.
    """

    says: str = ""
    example: str = ""
    right: int = 0
    refused: int = 0
    broke: int = 0
    wrong: int = 0

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
    keys = ["operation", "direction", "dtype", *frames.PLACE]
    table = run.checks[[*keys, "outcome"]]
    table = table[table["outcome"] != Outcome.MISSING]
    if invalid:
        table = table[~run.checks.loc[table.index, "problem"].isin(invalid)]
    kinds = table["outcome"].map(KINDS)
    counts = table[keys].assign(kind=kinds, n=1).groupby([*keys, "kind"], sort=False)["n"].sum()
    gravest = _gravest(run, table, kinds, keys)
    found: dict[tuple[str, str, str], dict[tuple[str, str, str], Ability]] = {}
    for (*key, kind), number in counts.items():
        question, place = (key[0], key[1], key[2]), (key[3], key[4], key[5])
        told = found.setdefault(question, {}).setdefault(place, Ability(*gravest.get((*question, *place), ("", ""))))
        setattr(told, kind, getattr(told, kind) + int(number))
    places, directions = frames.places(run), [direction.value for direction in Direction]
    operations = list(dict.fromkeys(operation for operation, _, _ in found))
    ordered = sorted(found, key=lambda k: (operations.index(k[0]), directions.index(k[1])))
    return [Feature(*key, [found[key].get(place) for place in places]) for key in ordered]


def _gravest(
    run: Run, table: pd.DataFrame, kinds: pd.Series, keys: list[str]
) -> dict[tuple[str, ...], tuple[str, str]]:
    """Return what the first of the gravest kind says in each place, and its problem, where not all are right."""
    grave = table.loc[kinds != "right", keys].assign(rank=kinds.map({kind: i for i, kind in enumerate(GRAVITY)}))
    first = grave.sort_values("rank", kind="stable").drop_duplicates(keys)
    rows = run.checks.loc[first.index, ["message", "problem"]].itertuples(index=False, name=None)
    places = first[keys].itertuples(index=False, name=None)
    return {
        tuple(place): (one_line(message, LONGEST), problem)
        for place, (message, problem) in zip(places, rows, strict=True)
    }
