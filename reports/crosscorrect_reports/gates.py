"""Whether the machine was fit to compare speeds: each gate with what was found, what that meant, and what helps."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from crosscorrect.speed import fitness
from crosscorrect.speed.model import Role, Speed, Who
from crosscorrect_reports.text import one_line, plural

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from crosscorrect.speed.readings import Trial
    from crosscorrect_reports.timed import Timed

    Array = np.ndarray[Any, Any]

OTHERS = "others"
"""The event that says who else was at work, as the timed run wrote it down."""
_USED = re.compile(r"(.+) \((\d+)\) used (\d+)% of a core")
_STOLEN = re.compile(r"the host took (\d+)% of a processor")
# where one thing that an event says ends: a process may have a comma in its name
_BETWEEN = re.compile(r"(?<=of a core), |(?<=of a processor), |, (?=the host took|others used)")
TOP = 5
"""How many foreign processes are named."""
GRAVE = 0.1
"""From which share of restarts on a gate is said to have failed, rather than to have caught some."""
WORDS = {"good": "fit", "warn": "disturbed at times", "bad": "not fit"}
GLYPHS = {"good": "✔", "warn": "!", "bad": "✘"}


@dataclass(frozen=True, slots=True)
class Gate:
    """One gate. ``over`` of ``total`` did not hold ``limit``; ``remedy`` is said where any did not."""

    name: str
    limit: str
    found: str
    over: int
    total: int
    unit: str
    remedy: str

    @property
    def state(self) -> str:
        """``good``, ``warn`` or ``bad``."""
        return "good" if not self.over else "bad" if self.over > GRAVE * self.total else "warn"

    @property
    def meaning(self) -> str:
        """What came of it, in words."""
        of = f"{self.total} {self.unit.replace(' of', 's of', 1) if ' of' in self.unit else self.unit + 's'}"
        return f"{self.over} of {of} over the limit" if self.over else f"all {of} within the limit"


@dataclass(frozen=True, slots=True)
class Worker:
    """One worker: wall over processor time at the median and at nine in ten, threads, restarts that do not count."""

    name: str
    median: str
    late: str
    asked: str
    observed: str
    left_out: int
    restarts: int
    state: str


@dataclass(frozen=True, slots=True)
class Fitness:
    """What the panel says. ``users`` are foreign processes: name, in how many restarts, at most so much of a core."""

    gates: list[Gate]
    workers: list[Worker]
    users: list[tuple[str, int, int]]
    stolen: str
    resolution: str
    twin: str
    counted: str

    @property
    def state(self) -> str:
        """That of the gravest gate."""
        states = [gate.state for gate in self.gates]
        return next((state for state in ("bad", "warn") if state in states), "good")


def panel(timed: Timed) -> Fitness:
    """Everything that says whether a timed run was fit."""
    rows = [row for own in timed.measured.values() for row in own]
    out = sum(bool(row.complaint) for row in rows)
    users, stolen, busy = _others(timed)
    return Fitness(
        _gates(timed, busy),
        [_worker(timed, who) for who in _workers(timed)],
        users,
        stolen,
        _resolution(timed),
        _twin(timed),
        _counted(timed, len(rows), out),
    )


def _counted(timed: Timed, rows: int, out: int) -> str:
    if timed.bench["cold"] or not rows:
        return "Nothing is compared" if rows else "Nothing was measured"
    return f"{rows - out} of {plural(rows, 'measurement')} count"


def _workers(timed: Timed) -> list[Who]:
    sentinel = [Who("numpy", "eager", "cpu", role) for role in (Role.COMPUTE, Role.STREAMING)]
    there = {who for trial in timed.sequence for who in trial.arms}
    parts = {name for trial in timed.sequence for name in trial.sentinel}
    return [w for w in (*timed.arms, timed.twin) if w in there] + [w for w in sentinel if str(w.role) in parts]


def _samples(timed: Timed, who: Who) -> list[fitness.Samples]:
    if who.role in (Role.COMPUTE, Role.STREAMING):
        return [trial.sentinel[who.role] for trial in timed.sequence if who.role in trial.sentinel]
    return [trial.arms[who] for trial in timed.sequence if who in trial.arms]


def _gates(timed: Timed, busy: Sequence[float]) -> list[Gate]:
    arms = [who for who in (*timed.arms, timed.twin) if timed.threads_of(who)]
    waits = [np.quantile(_there(s), 0.9) for who in arms for s in _samples(timed, who)]
    threads = [np.median(1 / _there(s)) for who in arms for s in _samples(timed, who)]
    asked = max((timed.threads_of(who) for who in arms), default=1)
    skews = [_skew(s) for who in (*timed.arms, timed.twin) for s in _samples(timed, who)]
    drifts = [(step, chance) for t in timed.sequence for step, chance in _drifts(t)]
    wild = sum(step > max(fitness.WILD, chance) for step, chance in drifts)
    dropped = _dropped(timed)
    gates = [
        Gate(
            "Nobody waited: wall over processor time, nine in ten samples",
            f"at most {fitness.WAITING:g}",
            *_told(waits, fitness.WAITING, "{:.2f}"),
            "measurement",
            "Something else ran on the measured processors: stop it, or measure on others (--cpus).",
        ),
        Gate(
            "One speed: median over the 5 % quantile of a worker's times",
            f"at most {fitness.SKEW:g}",
            *_told(skews, fitness.SKEW, "{:.2f}"),
            "measurement",
            "The clock changes or a neighbour shares the core: fix the frequency, or measure on a quieter machine.",
        ),
        Gate(
            "The machine stayed as it was: steps of the sentinel within a restart",
            f"at most {100 * fitness.WILD:.0f} %",
            *(_told([100 * step for step, _ in drifts], math.inf, "{:.1f}")[0] + " %", wild, len(drifts)),
            "restart of a problem",
            "The processor became slower or faster: let it cool, fix its frequency, or use a shorter budget.",
        ),
        Gate(
            "Threads: processor over wall time",
            f"at most {asked * fitness.THREADS:.3g}",
            *_told(threads, asked * fitness.THREADS, "{:.2f}"),
            "measurement",
            "A framework used more threads than it was asked to: measure with as many processors (--cpus N).",
        ),
        Gate(
            "Rounds that were not disturbed",
            f"at least {100 * (1 - fitness.DROPPED):.0f} %",
            *_told([100 * (1 - share) for share in dropped], -100 * (1 - fitness.DROPPED), "{:.0f}", " %"),
            "measurement",
            "See the first gate; a larger budget does not help while others are at work.",
        ),
    ]
    if not timed.bench["cold"]:
        gates.append(
            Gate(
                "Processors were ours: share of them that others used",
                f"at most {100 * fitness.OCCUPIED:.0f} %",
                *_told([100 * share for share in busy], 100 * fitness.OCCUPIED, "{:.1f}", " %"),
                "restart of a problem",
                "Stop the processes that are named below, or measure on other processors (--cpus).",
            )
        )
        gates.append(_twins(timed))
    return [gate for gate in gates if gate.total]


def _there(samples: fitness.Samples) -> Array:
    return samples.waiting[~np.isnan(samples.wall)]


def _skew(samples: fitness.Samples) -> float:
    times = samples.times[~np.isnan(samples.wall)]
    return float(np.median(times) / np.quantile(times, 0.05))


def _drifts(trial: Trial) -> list[tuple[float, float]]:
    return [fitness.drift(samples.times) for samples in trial.sentinel.values()]


def _dropped(timed: Timed) -> list[float]:
    return [
        1 - float(timed.kept(trial, who).mean())
        for trial in timed.sequence
        for who in (*timed.arms, timed.twin)
        if who in trial.arms and who != timed.reference and timed.reference in trial.arms
    ]


def _told(values: Iterable[float], limit: float, shape: str, unit: str = "") -> tuple[str, int, int]:
    """The median with the least and most, how many are over the limit (below a negative one), and of how many."""
    found = np.array([float(value) for value in values])
    if not len(found):
        return "", 0, 0
    middle, low, high = (shape.format(v) for v in (np.median(found), found.min(), found.max()))
    over = found < -limit if limit < 0 else found > limit
    return f"{middle}{unit} [{low}, {high}]", int(over.sum()), len(found)


def _twins(timed: Timed) -> Gate:
    rows = {key: row for (key, who), row in timed.told.items() if who == timed.twin}
    told = [row for row in rows.values() if row.low is not None and row.high is not None]
    held = sum(row.low <= 1 <= row.high for row in told)  # type: ignore[operator]
    unfit = {(r.problem, r.part) for r in timed.compared if r.speed is Speed.UNFIT and "twin" in r.message}
    return Gate(
        "What is the same came out the same: the reference beside its twin",
        f"no difference, all looked at jointly; known to ±{100 * fitness.WILD:.0f} %",
        f"{held} of {len(told)} intervals hold 1 (95 % should); {_twin(timed)}" if told else "no twin was fit",
        len(unfit & rows.keys()),
        len(rows),
        "problem",
        "More restarts (--budget rigorous) narrow the interval; a difference says that this machine is not fit.",
    )


def _twin(timed: Timed) -> str:
    """How far apart what is the same came out."""
    rows = [row for (_, who), row in timed.told.items() if who == timed.twin and row.ratio is not None]
    if not rows:
        return ""
    ratios = [row.ratio or 1.0 for row in rows]
    widths = [math.sqrt(row.high / row.low) - 1 for row in rows if row.low and row.high is not None]
    width = f", half-width ±{100 * float(np.median(widths)):.1f} % at the median" if widths else ""
    return f"ratios {np.median(ratios):.3f} [{min(ratios):.3f}, {max(ratios):.3f}]{width}"


def _worker(timed: Timed, who: Who) -> Worker:
    own = _samples(timed, who)
    is_sentinel = who.role in (Role.COMPUTE, Role.STREAMING)
    asked = int(timed.bench["threads"]) if is_sentinel else timed.threads_of(who)
    rows = [row for (_, other), found in timed.measured.items() if other == who for row in found]
    rows = [] if timed.bench["cold"] else rows  # none of them is compared
    out = sum(bool(row.complaint) for row in rows)
    state = "good" if not out else "bad" if out > GRAVE * len(rows) else "warn"
    if not asked:
        return Worker(who.name, "", "", "", "", out, len(rows), state)
    waits = [_there(samples) for samples in own]
    return Worker(
        f"sentinel, {who.role}" if is_sentinel else who.name,
        _told([np.median(w) for w in waits], math.inf, "{:.2f}")[0],
        _told([np.quantile(w, 0.9) for w in waits], math.inf, "{:.2f}")[0],
        str(asked),
        _told([np.median(1 / w) for w in waits], math.inf, "{:.2f}")[0],
        out,
        len(rows),
        state,
    )


def _resolution(timed: Timed) -> str:
    found = [row.resolution for row in timed.compared if row.resolution is not None]
    if not found:
        return ""
    low, middle, high = (100 * float(v) for v in (min(found), np.median(found), max(found)))
    return f"±{middle:.1f} % at the median of the comparisons, ±{low:.1f} % at best and ±{high:.1f} % at worst"


def _others(timed: Timed) -> tuple[list[tuple[str, int, int]], str, list[float]]:
    """Foreign processes, what the host took, and the share of the measured processors that others used."""
    events = timed.run.events[timed.run.events["what"] == OTHERS]
    times, most = Counter[str](), dict[str, int]()
    stolen: list[int] = []
    busy: list[float] = []
    for row in events.itertuples():
        busy.append(float(json.loads(row.detail).get("share", 0.0)))
        for said in _BETWEEN.split(row.message):
            if used := _USED.fullmatch(said):
                times[used[1]] += 1
                most[used[1]] = max(most.get(used[1], 0), int(used[3]))
            elif taken := _STOLEN.fullmatch(said):
                stolen.append(int(taken[1]))
    total = len(timed.sequence)
    busy += [0.0] * max(0, total - len(busy))  # nothing is written down where nobody was
    users = [(one_line(name, 60), count, most[name]) for name, count in times.most_common(TOP)]
    said = f"{len(stolen)} of {plural(total, 'restart')}, up to {max(stolen)} % of a processor" if stolen else ""
    return users, said, busy
