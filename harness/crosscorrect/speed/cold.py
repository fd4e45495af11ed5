"""What a framework costs before it is warm, and after how many calls that has paid off.

Each problem is asked in a process that was asked nothing before: import, moving the data, the first call with what is
traced and compiled then, and the steady state (research/timing.md 3.7).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from crosscorrect.speed.model import Key, Phase, Role, Who

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    Array = np.ndarray[Any, Any]

SHOWN = (Phase.IMPORT, Phase.PUT, Phase.TRACE, Phase.COMPILE, Phase.FIRST)
"""The phases that come once, in order; trace and compile are parts of the first call."""
ONCE = (Phase.IMPORT, Phase.PUT, Phase.FIRST)
"""Those that add up."""


class Range(NamedTuple):
    """The median over restarts, the least and the most, in seconds."""

    median: float
    least: float
    most: float


class Start(NamedTuple):
    """What a framework takes for one subject from nothing: each phase that it has, and ``steady``, a later call."""

    subject: Key
    who: Who
    phases: dict[Phase, Range]
    steady: Range

    def total(self, calls: int) -> float:
        """Seconds from the start of the import until so many calls are done, at least 1."""
        return sum(self.phases[phase].median for phase in ONCE) + (calls - 1) * self.steady.median


class Crossing(NamedTuple):
    """After how many ``calls`` the one who starts later is ahead for good; None for never."""

    subject: Key
    first: Who
    then: Who
    calls: int | None


def starts(samples: pd.DataFrame) -> list[Start]:
    """What a run of cold starts found, by subject and arm, those that have all their phases."""
    own = samples[(samples["problem"] != "") & (samples["role"] == Role.ARM)]
    found = []
    for key, group in own.groupby(["problem", "part", "framework", "mode", "device"], sort=True):
        problem, part, *names = key
        phases = {}
        # a start that was cut short is there twice: the one that was finished counts
        once = group[group["phase"] != Phase.STEADY].drop_duplicates(["restart", "phase"], keep="last")
        for phase in SHOWN:
            times = once[once["phase"] == phase]["wall"].to_numpy() * 1e-9
            if len(times):
                phases[phase] = _range(times)
        steady = group[group["phase"] == Phase.STEADY]
        calls = (steady["wall"] / steady["calls"] * 1e-9).groupby(steady["restart"]).median().to_numpy()
        if len(calls) and phases.keys() >= set(ONCE):
            found.append(Start((problem, part), Who(*names), phases, _range(calls)))
    return found


def _range(times: Array) -> Range:
    return Range(float(np.median(times)), float(np.min(times)), float(np.max(times)))


def crossings(found: Sequence[Start]) -> list[Crossing]:
    """For each two arms of a subject: after how many calls the slower start has paid off."""
    told = []
    for place, one in enumerate(found):
        for other in found[place + 1 :]:
            if one.subject == other.subject:
                first, then = sorted((one, other), key=lambda start: start.total(1))
                told.append(Crossing(one.subject, first.who, then.who, _break_even(first, then)))
    return told


def _break_even(first: Start, then: Start) -> int | None:
    """The first number of calls after which ``then`` is done no later than ``first``."""
    saved = first.steady.median - then.steady.median
    if saved <= 0:
        return None
    return max(1, 1 + math.ceil((then.total(1) - first.total(1)) / saved))
