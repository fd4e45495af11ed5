"""Which of several legitimate behaviours each framework shows: a row for each question, a cell for each answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from crosscorrect_reports import frames

if TYPE_CHECKING:
    from crosscorrect.store import Run

    Row = dict[str, Any]

INSTEAD = " instead of "
"""Between what was returned and what else would be right."""


@dataclass(slots=True)
class Way:
    """One behaviour in one place: its words, the checks that show it, one problem of them.

    ``turn`` numbers the ways of one topic from 0 on, in the order in which they are met.
    """

    way: str
    turn: int
    count: int
    example: str


@dataclass(slots=True)
class Topic:
    """One question with several legitimate answers: for each place the ways that were seen there."""

    name: str
    cells: list[list[Way]]

    @property
    def ways(self) -> list[str]:
        """The distinct answers."""
        return list(dict.fromkeys(way.way for cell in self.cells for way in cell))

    @property
    def differs(self) -> bool:
        """Whether two places, or two checks of one place, answer it in different ways."""
        return len(self.ways) > 1

    @property
    def example(self) -> str:
        """A problem that shows it, best one of the rarest answer."""
        found = [way for cell in self.cells for way in cell]
        counts = {name: sum(way.count for way in found if way.way == name) for name in self.ways}
        return min(found, key=lambda way: counts[way.way]).example


def split(text: str) -> tuple[str, str]:
    """Return the question that a property answers, and the answer.

    >>> [split(text) for text in ("subnormal inputs kept", "gradient not conjugated", "batch_split: bits differ")]
    [('subnormal inputs', 'kept'), ('gradient', 'not conjugated'), ('batch_split', 'bits differ')]
    >>> split("an empty result instead of an error")
    ('instead of an error', 'an empty result')
    """
    if ": " in text:
        name, _, way = text.partition(": ")
        return name, way
    if INSTEAD in text:
        way, _, other = text.partition(INSTEAD)
        return INSTEAD.lstrip() + other, way
    words = text.split()
    last = 2 if words[-2:-1] == ["not"] else 1
    return (" ".join(words[:-last]), " ".join(words[-last:])) if len(words) > last else (text, "shown")


def topics(run: Run) -> list[Topic]:
    """Return every topic of a run: first those with several answers; each kind in the order of the problems."""
    places = {place: index for index, place in enumerate(frames.places(run))}
    found: dict[str, list[dict[str, Way]]] = {}
    turns: dict[str, dict[str, int]] = {}
    for row in _shown(run):
        for text in row["property"].split("; "):
            if not text.strip():
                continue
            name, answer = split(text)
            cells = found.setdefault(name, [{} for _ in places])
            turn = turns.setdefault(name, {}).setdefault(answer, len(turns[name]))
            cell = cells[places[row["framework"], row["mode"], row["device"]]]
            cell.setdefault(answer, Way(answer, turn, 0, row["problem"])).count += row["count"]
    made = [Topic(name, [list(cell.values()) for cell in cells]) for name, cells in found.items()]
    return sorted(made, key=lambda topic: not topic.differs)


def _shown(run: Run) -> list[Row]:
    """Each property of each place as it is told, the first problem that shows it, and how many checks do."""
    rank = {problem: index for index, problem in enumerate(run.problems["problem"])}
    shown = run.checks.loc[run.checks["property"] != "", [*frames.PLACE, "problem", "property"]]
    ordered = shown.assign(rank=shown["problem"].map(rank).fillna(len(rank))).sort_values("rank", kind="stable")
    groups = ordered.groupby([*frames.PLACE, "property"], sort=False)["problem"]
    return list(groups.agg(problem="first", count="size").reset_index().to_dict("records"))
