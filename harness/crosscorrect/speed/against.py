"""A timed run beside an earlier one: what became slower or faster, by the ratio to the reference of each.

The reference was measured beside everyone in both, so that the ratio carries over from one machine to another better
than any time does. The reference itself is compared by its own time, and only on the same machine.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy import stats

from crosscorrect.errors import UsageError
from crosscorrect.model import Exit
from crosscorrect.speed.model import RANKS, REFERENCE, WRONG, Role, Speed
from crosscorrect.speed.ratios import LEVEL, jointly

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crosscorrect.speed.model import Comparison
    from crosscorrect.store import Run

MARGIN = 0.05
"""What changed by less is the same: wider than between frameworks, because two timed runs lie between."""


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

    names: Names
    speed: Speed
    change: float | None = None
    low: float | None = None
    high: float | None = None
    message: str = ""

    def record(self) -> dict[str, Any]:
        """All of it in one mapping of JSON values."""
        return {**self.names._asdict(), **{k: v for k, v in self._asdict().items() if k != "names"}}


class Estimate(NamedTuple):
    """The logarithm of a ratio or a time, its standard error, its degrees of freedom, and what the machine resolved."""

    log: float
    error: float
    freedom: int
    resolution: float = 0.0


def check(run: Run) -> None:
    """Raise UsageError for a run that cannot be compared: no timed run, not finished, or of cold starts."""
    if "bench" not in run.info:
        raise UsageError(f"{run.folder} is no timed run; 'crosscorrect bench' makes one")
    if not run.info["finished"]:
        raise UsageError(f"{run.folder} is not finished; 'crosscorrect bench --resume' with its command goes on")
    if run.info["bench"]["cold"]:
        raise UsageError(f"{run.folder} holds cold starts, one after the other; they are not compared")


def compare(run: Run, base: Run, margin: float = MARGIN) -> list[Change]:
    """What changed from ``base`` to ``run``, for every arm and subject. Raises UsageError as ``check``."""
    check(run)
    check(base)
    now, then = _estimates(run), _estimates(base)
    asked, data = unlike(run, base), _other_data(run, base)
    same_machine = _machine(run) == _machine(base)
    told = {}
    for key in now.keys() | then.keys():
        names, is_reference = key
        elsewhere = "" if same_machine or not is_reference else "the reference's own time, on another machine"
        told[key] = asked or data.get(names.problem, "") or _not_comparable(key, now, then) or elsewhere
    changes = [Change(key[0], Speed.NOT_COMPARABLE, message=why) for key, why in told.items() if why]
    known = [(key[0], _difference(now[key], then[key])) for key, why in sorted(told.items()) if not why]
    margins = [math.log1p(max(margin, found.resolution)) for _, found in known]
    each = list(zip(known, margins, strict=True))
    beyond = jointly([_tail(found, abs(found.log) - least) for (_, found), least in each])
    within = jointly([_tail(found, math.log1p(margin) - abs(found.log)) for (_, found), _ in each])
    for (names, found), p, q in zip(known, beyond, within, strict=True):
        speed = Speed.INCONCLUSIVE
        if p < 1 - LEVEL:
            speed = Speed.SLOWER if found.log > 0 else Speed.FASTER
        elif q < 1 - LEVEL and found.resolution <= margin:
            speed = Speed.EQUIVALENT
        reach = float(stats.t.ppf((1 + LEVEL) / 2, found.freedom)) * found.error
        ends = (math.exp(found.log), math.exp(found.log - reach), math.exp(found.log + reach))
        changes.append(Change(names, speed, *ends))
    return sorted(changes)


def exit_code(
    found: Sequence[Comparison],
    changes: Sequence[Change] | None = None,
    *,
    strict: bool = False,
    ruling: Exit = Exit.OK,
    findings: bool = False,
) -> Exit:
    """The exit code of a timed run (DESIGN 6), the worst first.

    ``ruling`` is the gate's on what was judged, ``findings`` whether it found anything; ``changes`` are those since an
    earlier timed run, None where there is none.
    """
    arms = [row for row in found if row.role is Role.ARM]
    others = [row for row in arms if row.message != REFERENCE]
    measured = any(row.speed in (*RANKS, Speed.INCONCLUSIVE, Speed.UNFIT) for row in others)
    compared = any(change.speed is not Speed.NOT_COMPARABLE for change in changes or ())
    wrong = any(row.speed is Speed.WRONG and row.message.startswith(WRONG) for row in arms)
    unsure = any(row.speed in (Speed.UNFIT, Speed.INCONCLUSIVE) for row in others)
    told = {
        Exit.NOT_CONFORMANT: findings or wrong,
        Exit.INCOMPLETE: ruling is Exit.INCOMPLETE,
        Exit.SLOWER: any(change.speed is Speed.SLOWER for change in changes or ()),
        Exit.NOTHING_RAN: not (measured if changes is None else compared),
        Exit.UNFIT: strict and unsure,
    }
    return next((code for code, holds in told.items() if holds), Exit.OK)


def unlike(run: Run, base: Run) -> str:
    """In what two timed runs were asked for something else; empty where they were not."""
    for name in ("reference", "mode", "device", "threads"):
        now, then = run.info["bench"][name], base.info["bench"][name]
        if now != then:
            return f"the {name} is {now} now and was {then} then"
    now, then = run.info.get("arithmetic"), base.info.get("arithmetic")
    return "" if now == then else f"the arithmetic is {now} now and was {then} then"


def _other_data(run: Run, base: Run) -> dict[str, str]:
    """The problems that have other data, and so maybe other shapes, in the two."""
    digests = [
        run_.checks.groupby("problem")["input_digest"].agg(lambda values: frozenset(values) - {""}).to_dict()
        for run_ in (run, base)
    ]
    return {
        problem: "the problem has other data now"
        for problem, own in digests[0].items()
        if problem in digests[1] and not own & digests[1][problem]
    }


Key = tuple[Names, bool]
"""What is compared, and whether it is the reference, by its own time."""


def _estimates(run: Run) -> dict[Key, Estimate]:
    """What a run knows: of each arm its ratio to the reference, of the reference its time."""
    found: dict[Key, Estimate] = {}
    for row in run.verdicts[run.verdicts["role"] == Role.ARM].itertuples():
        names = Names(*(getattr(row, column) for column in Names._fields))
        if row.speed in (*RANKS, Speed.INCONCLUSIVE) and row.restarts > 1 and not math.isnan(row.ratio):
            freedom = int(row.restarts) - 1
            reach = float(stats.t.ppf((1 + LEVEL) / 2, freedom))
            error = math.log(row.high / row.low) / 2 / reach
            found[names, False] = Estimate(math.log(row.ratio), error, freedom, row.resolution)
    table = run.measurements
    bench = run.info["bench"]
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


def _not_comparable(key: Key, now: dict[Key, Estimate], then: dict[Key, Estimate]) -> str:
    if key not in then:
        return "no speed there then"
    return "no speed there now" if key not in now else ""


def _difference(now: Estimate, then: Estimate) -> Estimate:
    """The change, with Welch's degrees of freedom.

    Welch, "The generalization of Student's problem when several different population variances are involved", 1947.
    """
    squares = now.error**2, then.error**2
    total, coarse = sum(squares), max(now.resolution, then.resolution)
    if total == 0:
        return Estimate(now.log - then.log, 0.0, now.freedom + then.freedom, coarse)
    freedom = total**2 / (squares[0] ** 2 / now.freedom + squares[1] ** 2 / then.freedom)
    return Estimate(now.log - then.log, math.sqrt(total), max(1, int(freedom)), coarse)


def _tail(found: Estimate, distance: float) -> float:
    if found.error == 0:
        return 0.0 if distance > 0 else 1.0
    return min(1.0, 2 * float(stats.t.sf(distance / found.error, found.freedom)))


def _machine(run: Run) -> set[tuple[str, str]]:
    rows = run.env[run.env["section"] == "machine"]
    return set(zip(rows["key"], rows["value"], strict=True))
