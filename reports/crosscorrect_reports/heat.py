"""The heat-map: every case by dtype, direction and framework, with the largest error over its bound."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from crosscorrect.model import Direction, Outcome
from crosscorrect_reports import frames
from crosscorrect_reports.outcomes import STYLES
from crosscorrect_reports.sheet import SEVERITY
from crosscorrect_reports.text import slug

if TYPE_CHECKING:
    import pandas as pd

    from crosscorrect.store import Run

BANDS = ((0.0, "="), (0.01, "·"), (0.1, ":"), (1.0, "∴"))
"""Largest error over bound of a cell in which all pass, up to each of these, and the mark of the cell."""
MEANINGS = ("exact", "up to 1 % of the bound", "up to 10 %", "up to the bound")

Column = tuple[str, str, str]


@dataclass(slots=True)
class Cell:
    """What one case comes to in one column: ``look`` is the class of its colour, ``mark`` its letter."""

    look: str
    mark: str
    surprise: bool


@dataclass(slots=True)
class Line:
    """One case: where it is told in full, and a cell (or None: not asked) for each column.

    ``weight`` sorts: the more, the more there is to look at.
    """

    suite: str
    case: str
    anchor: str
    weight: float
    cells: list[Cell | None]


@dataclass(slots=True)
class Heat:
    """``columns`` are (framework, dtype, direction), frameworks side by side, for they are what is compared.

    ``heads`` are dtype and direction, with how many columns each has.
    """

    columns: list[Column]
    heads: list[tuple[str, int]] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)


def heat(run: Run, judged: pd.DataFrame) -> Heat:
    """Gather every check of a run by case, framework, dtype and direction. ``judged`` is ``frames.judged(run)``."""
    if not len(judged):
        return Heat([])
    rank = {outcome.value: i for i, outcome in enumerate(SEVERITY)}
    table = judged[["suite", "case", "framework", "dtype", "direction"]].assign(
        rank=judged["outcome"].map(rank).astype(int),
        ratio=judged["ratio"].astype(float),
        surprise=judged["surprise"] != "",
    )
    keys = ["suite", "case", "framework", "dtype", "direction"]
    cells = table.groupby(keys, sort=False).agg(rank=("rank", "min"), ratio=("ratio", "max"), odd=("surprise", "any"))
    columns = _columns(run, table)
    found: dict[tuple[str, str], dict[Column, Cell]] = {}
    for (suite, case, *column), grave, ratio, odd in zip(
        cells.index, cells["rank"], cells["ratio"], cells["odd"], strict=True
    ):
        found.setdefault((suite, case), {})[column[0], column[1], column[2]] = _cell(SEVERITY[grave], ratio, odd=odd)
    weights = _weights(cells)
    order = dict.fromkeys((s, c) for s, c in zip(run.problems["suite"], run.problems["case"], strict=True))
    lines = [
        Line(
            suite,
            case,
            "case-" + slug(f"{suite}/{case}"),
            weights[suite, case],
            [own.get(c) for c in columns],
        )
        for suite, case in [*[key for key in order if key in found], *[key for key in found if key not in order]]
        for own in [found[suite, case]]
    ]
    heads: dict[str, int] = {}
    for _, dtype, direction in columns:
        heads[f"{dtype} {direction}"] = heads.get(f"{dtype} {direction}", 0) + 1
    return Heat(columns, list(heads.items()), lines)


def _weights(cells: pd.DataFrame) -> dict[tuple[str, str], float]:
    """Return a number by which the cases can be sorted: surprises first, then graver outcomes, then larger ratios."""
    # outcomes weigh more than any ratio of a pass, which is at most 1; what is exact or has no ratio weighs nothing
    heavy = (len(SEVERITY) - 1 - cells["rank"]) * 2 + cells["odd"] * 100 + cells["ratio"].clip(0, 1).fillna(0)
    return {(str(s), str(c)): float(w) for (s, c), w in heavy.groupby(level=[0, 1]).max().items()}


def _columns(run: Run, table: pd.DataFrame) -> list[Column]:
    """Return the columns in which something was asked: the commonest dtype first, frameworks in the run's order."""
    frameworks = list(dict.fromkeys(framework for framework, _, _ in frames.places(run)))
    dtypes = list(table["dtype"].value_counts().index)
    directions = [direction.value for direction in Direction]
    asked = table[["framework", "dtype", "direction"]].drop_duplicates().itertuples(index=False, name=None)
    return sorted(asked, key=lambda c: (dtypes.index(c[1]), directions.index(c[2]), frameworks.index(c[0])))


def _cell(outcome: Outcome, ratio: float, *, odd: bool) -> Cell:
    """Return the look of a cell: of passes how near the bound they came, else the gravest outcome."""
    if outcome is not Outcome.PASS:
        return Cell(outcome.value, STYLES[outcome].glyph, odd)
    if math.isnan(ratio):  # a refusal that had to be, or a relation: there is no error to measure
        return Cell("pass", STYLES[outcome].glyph, odd)
    band = next((i for i, (limit, _) in enumerate(BANDS) if not ratio > limit), len(BANDS) - 1)
    return Cell(f"h{band}", BANDS[band][1], odd)
