"""What two runs that are beside each other have changed: the kinds of change, groups of them, and the exit code."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from crosscorrect.model import Exit, Outcome
from crosscorrect.speed.model import Speed

if TYPE_CHECKING:
    import pandas as pd

    from crosscorrect.expectations import Entry
    from crosscorrect.speed.against import Change
    from crosscorrect.store import Run
    from crosscorrect.surroundings import Difference

    Row = dict[str, Any]

UNFINISHED = "the run is not finished"


class Kind(StrEnum):
    """What became of a check from one run to the other, the gravest first."""

    REGRESSED = "regressed"
    VANISHED = "vanished"
    CHANGED = "changed otherwise"
    FIXED = "fixed"
    APPEARED = "appeared"
    ONLY_THEN = "only asked then"
    ONLY_NOW = "only asked now"
    UNCHANGED = "unchanged"


VERDICTS = (Kind.REGRESSED, Kind.CHANGED, Kind.FIXED)
"""The kinds of checks that both runs have."""


@dataclass(slots=True)
class Group:
    """Changed checks of one framework of which the same is told, before and after.

    ``table`` has their rows, ``cause`` is what explains them where something does: a diagnosis without its evidence, or
    a message, with an ellipsis for each number where they differ in these. ``then`` and ``now`` are outcome and reason;
    ``entry`` is the expectation that the checks meet now, if one speaks of them.
    """

    kind: Kind
    framework: str
    then: tuple[str, str]
    now: tuple[str, str]
    cause: str
    why: str
    entry: Entry | None
    table: pd.DataFrame

    @property
    def first(self) -> Row:
        """The first of its rows."""
        found: Row = self.table.iloc[0].to_dict()
        return found

    @property
    def problems(self) -> list[str]:
        """The ids of its problems, each once."""
        return [str(problem) for problem in self.table["problem"].unique()]

    def __len__(self) -> int:
        return len(self.table)


class Bits(NamedTuple):
    """Checks of one framework whose verdict is the same and whose answer has other bits.

    Of ``compared`` checks ``other`` have other bits; the error over its bound grew in ``larger`` and shrank in
    ``smaller`` of them. ``then`` and ``now`` are the largest of it, None where nothing was bounded; ``problem`` is
    where it grew most, empty if nowhere.
    """

    framework: str
    mode: str
    device: str
    compared: int
    other: int
    larger: int
    smaller: int
    then: float | None
    now: float | None
    problem: str


@dataclass
class Changes:
    """What changed from ``base`` to ``run``.

    ``around`` differs beside the checks. ``table`` has a row for each check that is not ``UNCHANGED``: the columns of
    ``KEY``, ``suite``, ``kind``, ``why`` (of one that only one run has), ``entry`` (the expectation that it meets now,
    or None) and those of ``SAID`` twice, with ``_then`` and ``_now``. ``speed`` are the changes of a timed run, and
    ``untold`` why there are none; ``wrong`` are the arms that became wrong while they were timed, with the message.
    """

    run: Run
    base: Run
    around: list[Difference]
    table: pd.DataFrame
    unchanged: int
    bits: list[Bits]
    speed: list[Change] = field(default_factory=list)
    untold: str = ""
    wrong: list[tuple[tuple[str, ...], str]] = field(default_factory=list)

    @cached_property
    def counts(self) -> dict[Kind, int]:
        """How many checks there are of each kind."""
        found = Counter(self.table["kind"])
        return {**{kind: found[kind] for kind in Kind}, Kind.UNCHANGED: self.unchanged}

    @property
    def compared(self) -> int:
        """How many checks both runs have."""
        return self.unchanged + sum(self.counts[kind] for kind in VERDICTS)

    @cached_property
    def known(self) -> int:
        """How many of the regressed checks are as an expectation says."""
        regressed = self.table[self.table["kind"] == Kind.REGRESSED]
        return int(regressed["entry"].notna().sum())

    @cached_property
    def newcomers(self) -> int:
        """How many checks appeared that do not pass, and that no expectation speaks of: no alarm, and nothing fine."""
        table = self.table[self.table["kind"] == Kind.APPEARED]
        return int(((table["outcome_now"] != Outcome.PASS) & table["entry"].isna()).sum())

    @cached_property
    def lost(self) -> int:
        """How many checks vanished although nothing says why, or because the run is not finished."""
        vanished = self.table[self.table["kind"] == Kind.VANISHED]
        return int(vanished["why"].isin(["", UNFINISHED]).sum())

    @property
    def slower(self) -> int:
        """How many speeds are slower now."""
        return sum(change.speed is Speed.SLOWER for change in self.speed)

    @property
    def any(self) -> bool:
        """Whether a verdict, the set of checks or a speed changed; other bits and other surroundings do not count."""
        return (
            len(self.table) > 0 or bool(self.wrong) or any(c.speed in (Speed.SLOWER, Speed.FASTER) for c in self.speed)
        )

    @property
    def exit(self) -> Exit:
        """Not conformant where something unexpected regressed; then incomplete, slower, nothing compared, or as it was.

        A regression that the expectations list, and what only one run was asked for, do not count.
        """
        told = {
            Exit.NOT_CONFORMANT: self.counts[Kind.REGRESSED] > self.known or bool(self.wrong),
            Exit.INCOMPLETE: self.lost > 0,
            Exit.SLOWER: self.slower > 0,
            Exit.NOTHING_RAN: not self.compared and all(c.speed is Speed.NOT_COMPARABLE for c in self.speed),
        }
        return next((code for code, holds in told.items() if holds), Exit.OK)

    def groups(self, *kinds: Kind) -> list[Group]:
        """The changed checks of some kinds, those together of which the same is told; the largest groups first."""
        table = self.table[self.table["kind"].isin(kinds)]
        if table.empty:
            return []
        # what one cause explains is one group, whichever bound found it
        reasons = {name: table[name].where(table["cause"] == "", "") for name in ("reason_then", "reason_now")}
        apart = table.assign(**{f"{name}_apart": values for name, values in reasons.items()})
        by = [
            "kind",
            "framework",
            "outcome_then",
            "outcome_now",
            "cause",
            "why",
            "place",
            *(f"{n}_apart" for n in reasons),
        ]
        found = [_group(table.loc[rows.index]) for _, rows in apart.groupby(by, sort=False, observed=True)]
        return sorted(found, key=lambda group: (kinds.index(group.kind), group.entry is not None, -len(group)))


def _group(rows: pd.DataFrame) -> Group:
    first = rows.iloc[0]
    cause = first["explained"] if (rows["explained"] == first["explained"]).all() else first["cause"]
    then, now = (
        (first[f"outcome_{when}"], ", ".join(filter(None, rows[f"reason_{when}"].unique()))) for when in ("then", "now")
    )
    return Group(first["kind"], first["framework"], then, now, cause, first["why"], first["entry"], rows)
