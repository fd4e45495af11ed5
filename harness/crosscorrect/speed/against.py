"""A measurement beside an earlier one: what became slower or faster, by the ratio to the reference of each.

The reference was measured beside everyone in both, so that the ratio carries over from one machine to another better
than any time does. The reference itself is compared by its own time, and only on the same machine.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy import stats

from crosscorrect.errors import UsageError
from crosscorrect.model import Exit
from crosscorrect.speed.model import RANKS, Role, Speed
from crosscorrect.speed.ratios import LEVEL, jointly

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crosscorrect.speed.model import Comparison
    from crosscorrect.store import Run

MARGIN = 0.05
"""What changed by less is the same: wider than between frameworks, because two measurements lie between."""


class Names(NamedTuple):
    """What is compared: an arm on a subject, by its columns."""

    problem: str
    part: str
    framework: str
    mode: str
    device: str


class Change(NamedTuple):
    """How one arm's speed on one subject changed: ``change`` is its time now over its time then, as far as that shows.

    ``speed`` is one of ``FASTER``, ``SLOWER``, ``EQUIVALENT``, ``INCONCLUSIVE``, ``NOT_COMPARABLE``.
    """

    problem: str
    part: str
    framework: str
    mode: str
    device: str
    speed: Speed
    change: float | None = None
    low: float | None = None
    high: float | None = None
    message: str = ""


class Estimate(NamedTuple):
    """The logarithm of a ratio or a time, its standard error, and its degrees of freedom."""

    log: float
    error: float
    freedom: int


def compare(run: Run, base: Run, margin: float = MARGIN) -> list[Change]:
    """What changed from ``base`` to ``run``, for every arm and subject. Raises UsageError for no measurement."""
    for one in (run, base):
        if "bench" not in one.info:
            raise UsageError(f"{one.folder} is no measurement; 'crosscorrect bench' makes one")
    now, then = _estimates(run), _estimates(base)
    same_machine = _machine(run) == _machine(base)
    changes: list[Change] = []
    known: list[tuple[Names, Estimate]] = []
    for key in sorted(now.keys() | then.keys()):
        names, is_reference = key
        told = _not_comparable(key, now, then, same_machine=same_machine or not is_reference)
        if told:
            changes.append(Change(*names, Speed.NOT_COMPARABLE, message=told))
        else:
            known.append((names, _difference(now[key], then[key])))
    beyond = jointly([_tail(found, abs(found.log) - math.log1p(margin)) for _, found in known])
    within = jointly([_tail(found, math.log1p(margin) - abs(found.log)) for _, found in known])
    for (names, found), p, q in zip(known, beyond, within, strict=True):
        speed = Speed.INCONCLUSIVE
        if p < 1 - LEVEL:
            speed = Speed.SLOWER if found.log > 0 else Speed.FASTER
        elif q < 1 - LEVEL:
            speed = Speed.EQUIVALENT
        reach = float(stats.t.ppf((1 + LEVEL) / 2, found.freedom)) * found.error
        ends = (math.exp(found.log), math.exp(found.log - reach), math.exp(found.log + reach))
        changes.append(Change(*names, speed, *ends))
    return sorted(changes)


def exit_code(found: Sequence[Comparison], changes: Sequence[Change], *, strict: bool, conformant: bool) -> Exit:
    """The exit code of a measurement (DESIGN 6), the worst first."""
    arms = [row for row in found if row.role is Role.ARM and row.message != "the reference"]
    if not conformant:
        return Exit.NOT_CONFORMANT
    if not any(row.speed in (*RANKS, Speed.INCONCLUSIVE, Speed.UNFIT) for row in arms):
        return Exit.NOTHING_RAN
    if any(change.speed is Speed.SLOWER for change in changes):
        return Exit.SLOWER
    if strict and any(row.speed in (Speed.UNFIT, Speed.INCONCLUSIVE) for row in arms):
        return Exit.UNFIT
    return Exit.OK


Key = tuple[Names, bool]
"""What is compared, and whether it is the reference, by its own time."""


def _estimates(run: Run) -> dict[Key, Estimate]:
    """What a run knows: of each arm its ratio to the reference, of the reference its time."""
    found: dict[Key, Estimate] = {}
    for row in run.verdicts[run.verdicts["role"] == Role.ARM].itertuples():
        names = Names(*(getattr(row, column) for column in Names._fields))
        if row.speed in RANKS and not math.isnan(row.ratio):
            freedom = int(row.restarts) - 1
            reach = float(stats.t.ppf((1 + LEVEL) / 2, freedom))
            error = math.log(row.high / row.low) / 2 / reach
            found[names, False] = Estimate(math.log(row.ratio), error, freedom)
    table = run.measurements
    bench = run.info.get("bench", {})
    own = table[
        (table["role"] == Role.ARM)
        & (table["framework"] == bench.get("reference"))
        & (table["mode"] == bench.get("mode"))
        & (table["device"] == bench.get("device"))
        & (table["complaint"] == "")
    ]
    for names, group in own.groupby(list(Names._fields)):
        logs = np.log(group["seconds"].to_numpy())
        if len(logs) > 1:
            error = float(logs.std(ddof=1)) / math.sqrt(len(logs))
            found[Names(*names), True] = Estimate(float(logs.mean()), error, len(logs) - 1)
    return found


def _not_comparable(key: Key, now: dict[Key, Estimate], then: dict[Key, Estimate], *, same_machine: bool) -> str:
    if key not in then:
        return "no speed there then"
    if key not in now:
        return "no speed there now"
    return "" if same_machine else "the reference's own time, on another machine"


def _difference(now: Estimate, then: Estimate) -> Estimate:
    """The change, with Welch's degrees of freedom.

    Welch, "The generalization of Student's problem when several different population variances are involved", 1947.
    """
    squares = now.error**2, then.error**2
    total = sum(squares)
    if total == 0:
        return Estimate(now.log - then.log, 0.0, now.freedom + then.freedom)
    freedom = total**2 / (squares[0] ** 2 / now.freedom + squares[1] ** 2 / then.freedom)
    return Estimate(now.log - then.log, math.sqrt(total), max(1, int(freedom)))


def _tail(found: Estimate, distance: float) -> float:
    if found.error == 0:
        return 0.0 if distance > 0 else 1.0
    return min(1.0, 2 * float(stats.t.sf(distance / found.error, found.freedom)))


def _machine(run: Run) -> set[tuple[str, str]]:
    rows = run.env[run.env["section"] == "machine"]
    return set(zip(rows["key"], rows["value"], strict=True))
