"""Whether a machine was fit to measure: without that there is no ranking, whatever the numbers say.

Contention does not cancel between frameworks: one that hands its work to another thread loses the core at each
hand-off, and a true ratio of 0.81 reads 2.0 while a framework beside its own twin reads 1.00 (research/timing.md 0.2,
0.3). Wall time over processor time of each sample shows it. What is judged here is one restart of one problem.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from crosscorrect.speed.ratios import Ratio

    Array = np.ndarray[Any, Any]

WAITING = 1.15
"""Wall over processor time at most, of a sample and of nine in ten of an arm's (clean 1.00–1.03, contended 2.1–4.7)."""
SKEW = 1.4
"""The median over the 5 % quantile of an arm's times at most: more is a second mode.

Research/timing.md 3.4 has 1.25; on a shared host with nobody else at work one in ten arms reads more than that, and
what is the same still comes out the same (docs/speed.md, docs/measure/spread.py).
"""
WILD = 0.25
"""By how much the sentinel may change from one block of rounds to another in a restart, and how wide an interval of
what is the same may be. Chosen, not derived, and nothing hangs on it: up to here both count as ``resolution``, so that
a larger value would only let larger differences be told."""
CHANCE = 4.4
"""Standard errors between the extremes of four blocks that chance exceeds once in a hundred: the studentised range."""
OCCUPIED = 0.1
"""The share of the processors that are measured which others may use. Short samples may not notice a neighbour, because
a scheduler lets who has slept go first; what else it does to them is not known."""
DROPPED = 0.3
"""The share of rounds that may be dropped."""
THREADS = 1.10
"""Processor time over wall time, beside the threads that were asked for, at most."""
BLOCKS = 4
"""Into how many blocks the rounds of a sentinel are cut."""


@dataclass(frozen=True, slots=True)
class Samples:
    """One arm's samples of one problem in one restart, a number per round: ``(rounds,)``; NaN for none.

    ``wall`` and ``cpu`` are seconds of the whole sample, ``calls`` how many calls it was made of (a run that was cut
    short goes on with other loops), ``residual`` the seconds that its last result was waited for afterwards.
    """

    wall: Array
    cpu: Array
    calls: Array | int
    residual: Array | float = 0.0
    switches: Array | float = 0.0
    faults: Array | float = 0.0

    @property
    def times(self) -> Array:
        """Seconds a call."""
        return np.asarray(self.wall / self.calls)

    @property
    def waiting(self) -> Array:
        """Wall time over processor time: 1 where nothing but the work took place."""
        return np.asarray(np.divide(self.wall, self.cpu, out=np.full_like(self.wall, np.inf), where=self.cpu > 0))


@dataclass(frozen=True, slots=True)
class Complaint:
    """Why a restart is not fit: which gate of research/timing.md 3.4, whose samples, what was found."""

    gate: str
    arm: str
    message: str


def kept(arms: Mapping[str, Samples], threads: int = 1) -> Array:
    """Which rounds count: those in which no arm waited. ``(rounds,)`` of bool.

    With ``threads`` 0, for a device beside the processor, all that have a sample. Several threads may spin while they
    wait, which does not show here; that they wait otherwise does.
    """
    rounds = [~np.isnan(samples.wall) for samples in arms.values()]
    if threads:
        rounds += [samples.waiting <= WAITING for samples in arms.values()]
    return np.asarray(np.logical_and.reduce(rounds))


def complaints(arms: Mapping[str, Samples], sentinel: Mapping[str, Samples], threads: int = 1) -> list[Complaint]:
    """What speaks against one restart of one problem; empty where it is fit.

    ``threads`` is how many an arm may use, 0 where it computes on a device beside the processor, so that wall and
    processor time say nothing.

    ``sentinel`` are the parts of the worker that does always the same, in the same rounds.
    """
    found = [complaint for name, samples in arms.items() for complaint in _of_arm(name, samples, threads)]
    for name, samples in sentinel.items():
        step, chance = drift(samples.times)
        if step > max(WILD, chance):
            found.append(Complaint("F3", name, f"the sentinel's {name} part drifted by {step:.0%} within the restart"))
    share = 1 - float(kept(arms, threads).mean())
    if share > DROPPED:
        found.append(Complaint("rounds", "", f"{share:.0%} of the rounds were disturbed; {DROPPED:.0%} may be"))
    return found


def resolution(sentinel: Mapping[str, Samples]) -> float:
    """How much the machine itself changed in a restart, as a share: the sentinel's drift, unless it may be chance.

    Turns cancel most of it, because it is the same for everybody; how much of it they do not cancel is not known, so
    that nothing smaller is told.
    """
    drifts = [drift(samples.times) for samples in sentinel.values()]
    return max((step for step, chance in drifts if step > chance), default=0.0)


def _of_arm(name: str, samples: Samples, threads: int) -> list[Complaint]:
    found = []
    there = ~np.isnan(samples.wall)
    if not there.any():
        return [Complaint("F0", name, f"{name} has no sample")]
    waited = float(np.quantile(samples.waiting[there], 0.9))
    if threads and waited > WAITING:
        found.append(Complaint("F1", name, f"{name} waited: wall time is {waited:.2f} of its processor time"))
    times = samples.times[there]
    skew = float(np.median(times) / np.quantile(times, 0.05))
    if skew > SKEW:
        found.append(Complaint("F2", name, f"{name} has two speeds: its median is {skew:.2f} of its fast samples"))
    parallel = float(np.median(1 / samples.waiting[there]))
    if threads and parallel > threads * THREADS:
        found.append(Complaint("F6", name, f"{name} ran on {parallel:.1f} threads where {threads} was asked for"))
    return found


def drift(times: Array) -> tuple[float, float]:
    """The largest step between the medians of blocks of rounds, as a share, and what noise alone makes at most."""
    blocks = [np.log(block[~np.isnan(block)]) for block in np.array_split(times, BLOCKS)]
    blocks = [block for block in blocks if len(block)]
    if len(blocks) < 2:
        return 0.0, 0.0
    medians = np.array([np.median(block) for block in blocks])
    apart = np.concatenate([block - median for block, median in zip(blocks, medians, strict=True)])
    # of normal noise: its standard deviation from the median distance, and the error of a median
    error = 1.4826 * float(np.median(np.abs(apart))) * math.sqrt(math.pi / 2 / min(map(len, blocks)))
    return float(np.expm1(np.ptp(medians))), float(np.expm1(CHANCE * error))


def twins_differ(found: Ratio, *, differs: bool) -> str:
    """Why an arm and its twin speak against what was timed; empty where they do not.

    They are the same: their ratio must not differ from 1 (``differs``: it does, where all twins are looked at jointly).
    """
    interval = f"[{found.low:.3f}, {found.high:.3f}]"
    if differs:
        return f"the reference beside its own twin reads {interval}: what is the same came out different"
    if found.half_width > WILD:
        return f"the reference beside its own twin is uncertain by {interval}, ±{WILD:.0%} may be"
    return ""


def culprits(before: Sequence[tuple[int, str, float]], after: Sequence[tuple[int, str, float]], seconds: float) -> str:
    """The foreign processes that used most processor time between two looks: ``(pid, name, seconds)`` each.

    Says at most three that used 5 % of a core or more; empty where none did.
    """
    earlier = {(pid, name): used for pid, name, used in before}
    spent = [(used - earlier.get((pid, name), used), name, pid) for pid, name, used in after]
    busy = sorted((found for found in spent if found[0] >= 0.05 * seconds), reverse=True)[:3]
    return ", ".join(f"{name} ({pid}) used {used / seconds:.0%} of a core" for used, name, pid in busy)
