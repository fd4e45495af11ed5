"""Timed runs of one machine or many in a folder, as series: since when something is slower or faster.

Steps are found by PELT (Killick, Fearnhead and Eckley, "Optimal detection of changepoints with a linear computational
cost", 2012, as ruptures has it) on the logarithm of the ratio to the reference. The cost is the sum of distances to the
median, so that one timed run that is off is no step, and each step costs ``3 s log n`` with the noise ``s`` from the
differences between neighbours.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from crosscorrect import store
from crosscorrect.errors import CrosscorrectError, UsageError
from crosscorrect.speed.against import MARGIN, Names, unlike
from crosscorrect.speed.model import Role, Speed

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    Array = np.ndarray[Any, Any]

FEWEST = 5
"""How many timed runs a series needs: of fewer nothing can be said."""
SHORTEST = 2
"""Of how many a segment is at least: one by itself is an excursion."""
LEAST_NOISE = 0.002


class Point(NamedTuple):
    """One timed run in a series: the run, and the ratio to the reference."""

    run: str
    ratio: float


class Step(NamedTuple):
    """A series changed its level: ``change`` is the time after it over the time before, ``run`` the first after it."""

    names: Names
    speed: Speed
    run: str
    change: float


def series(results: Path) -> dict[Names, list[Point]]:
    """Every series of the finished timed runs in a folder, oldest first. Raises UsageError where there is none.

    Only those that were asked as the newest was: beside the same reference, on as many processors, in one arithmetic.
    """
    runs: list[store.Run] = []
    found: dict[Names, list[Point]] = {}
    for folder in sorted(path for path in results.iterdir() if path.is_dir() and not path.is_symlink()):
        try:
            run = store.load(folder)
        except CrosscorrectError:  # another kind of folder, or a damaged one: the others still tell
            continue
        if "bench" in run.info and run.info["finished"] and not run.info["bench"]["cold"]:
            runs.append(run)
    for run in (run for run in runs if not unlike(run, runs[-1])):
        told = run.verdicts[(run.verdicts["role"] == Role.ARM) & run.verdicts["ratio"].notna()]
        for row in told.itertuples():
            names = Names(*(getattr(row, column) for column in Names._fields))
            found.setdefault(names, []).append(Point(run.folder.name, float(row.ratio)))
    if not found:
        raise UsageError(f"{results} holds no finished timed run; 'crosscorrect bench --results {results}' makes one")
    return found


def steps(found: dict[Names, list[Point]], margin: float = MARGIN) -> list[Step]:
    """The steps of all series that are larger than the margin, the newest last."""
    told = [step for names, points in found.items() for step in _steps(names, points, margin)]
    return sorted(told, key=lambda step: (step.run, step.names))


def _steps(names: Names, points: Sequence[Point], margin: float) -> list[Step]:
    if len(points) < FEWEST:
        return []
    import ruptures  # noqa: PLC0415  half a second that only a look back needs

    logs = np.log([point.ratio for point in points])
    penalty = 3 * _noise(logs) * math.log(len(logs))
    ends = ruptures.Pelt(model="l1", min_size=SHORTEST, jump=1).fit(logs[:, None]).predict(pen=penalty)
    levels = [float(np.median(part)) for part in np.split(logs, ends[:-1])]
    return [
        Step(names, Speed.SLOWER if after > before else Speed.FASTER, points[place].run, math.exp(after - before))
        for place, before, after in zip(ends[:-1], levels[:-1], levels[1:], strict=True)
        if abs(after - before) > math.log1p(margin)
    ]


def _noise(logs: Array) -> float:
    """The standard deviation of a level, by the median of the differences between neighbours: a step is one of many."""
    differences = np.abs(np.diff(logs))
    return max(LEAST_NOISE, float(np.median(differences)) / 0.6745 / math.sqrt(2))
