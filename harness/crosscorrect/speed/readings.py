"""What a timed run holds, read back: its comparisons as rows, its samples aligned by round.

NumPy and pandas only: who reads a run need not have what judges one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from crosscorrect.speed.fitness import Samples
from crosscorrect.speed.model import Comparison, Key, Phase, Role, Speed, Who

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Trial:
    """The samples of one subject in one restart, aligned by round: of each arm and of the sentinel's parts."""

    subject: Key
    restart: int
    arms: dict[Who, Samples]
    sentinel: dict[str, Samples]

    def pair(self, who: Who, reference: Who) -> dict[str, Samples]:
        """An arm and the reference by their names, as far as both have samples."""
        return {w.name: self.arms[w] for w in (reference, who) if w in self.arms}


def trials(samples: pd.DataFrame) -> Iterator[Trial]:
    """The steady samples of problems, by subject and restart."""
    steady = samples[(samples["phase"] == Phase.STEADY) & (samples["problem"] != "")]
    for (problem, part, restart), group in steady.groupby(["problem", "part", "restart"], sort=False):
        count = int(group["round"].max()) + 1
        arms, sentinel = {}, {}
        for (framework, mode, device, role), own in group.groupby(["framework", "mode", "device", "role"]):
            who = Who(framework, mode, device, Role(role))
            if who.role in (Role.ARM, Role.TWIN):
                if (own["wall"] > 0).any():
                    arms[who] = _aligned(own, count)
            else:
                sentinel[str(who.role)] = _aligned(own, count)
        yield Trial((problem, part), int(restart), arms, sentinel)


def _aligned(own: pd.DataFrame, count: int) -> Samples:
    """One arm's samples by the number of their round; NaN where there is none."""
    timed = own[own["wall"] > 0]  # a slope may be none: that round is dropped

    def column(name: str, unit: float = 1.0) -> Array:
        values = np.full(count, np.nan)
        values[timed["round"].to_numpy()] = timed[name].to_numpy() * unit
        return values

    return Samples(
        column("wall", 1e-9),
        column("cpu", 1e-9),
        column("calls"),
        column("residual", 1e-9),
        column("switches"),
        column("faults"),
    )


def comparisons(verdicts: pd.DataFrame) -> list[Comparison]:
    """The rows of the table of that name."""
    table = verdicts.astype(object)
    rows = table.where(table.notna(), None).to_dict("records")
    return [Comparison(**{**row, "role": Role(row["role"]), "speed": Speed(row["speed"])}) for row in rows]
