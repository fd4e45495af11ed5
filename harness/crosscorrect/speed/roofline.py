"""The roofline: how fast any work could be on the processors that were measured, by what was measured there.

Williams, Waterman and Patterson, "Roofline: an insightful visual performance model for multicore architectures", 2009:
``min(peak, intensity * bandwidth)`` floating-point operations a second, the intensity in operations a byte. A small
problem lives in a cache, so that bandwidth is measured for several sizes, and a problem is held to that of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from crosscorrect.speed.model import Phase, Role

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from crosscorrect.speed.work import Work

MULTIPLY, COPY = "multiply", "copy"
SIDES = (64, 256, 512)
"""Sides of the square matrices whose product tells the peak; which is fastest depends on the caches."""
SIZES = (2**13, 2**16, 2**19, 2**22, 2**25)
"""Bytes that are copied to tell the bandwidth, each read and written."""
SUSPECT = 1.1
"""How far above the ceiling a problem may be before its speed is doubted."""


@dataclass(frozen=True, slots=True)
class Ceilings:
    """``peak`` in floating-point operations a second; ``bandwidth`` in bytes a second, by the bytes that move."""

    peak: float
    bandwidth: Mapping[int, float]

    def attainable(self, work: Work) -> float:
        """Operations a second that this work can reach at most, moving each byte once."""
        # the next smaller size that was measured is no slower: a ceiling must not be too low
        start = max((size for size in self.bandwidth if size <= work.bytes), default=0)
        rate = max(rate for size, rate in self.bandwidth.items() if size >= start)
        return min(self.peak, work.flops / work.bytes * rate)

    def reached(self, work: Work, seconds: float) -> float | None:
        """The share of what is attainable that ``seconds`` for the work come to; None where there is nothing to do."""
        if not (work.flops and work.bytes):  # a kernel may meet nothing but padding
            return None
        return work.flops / seconds / self.attainable(work)


def part_of(what: str, size: int) -> str:
    """What samples of a ceiling are called, as the part of no problem."""
    return f"{what} {size}"


def ceilings(samples: pd.DataFrame) -> Ceilings | None:
    """The ceilings that a run measured, of each the best restart's median; None where it has none."""
    own = samples[(samples["problem"] == "") & (samples["phase"] == Phase.STEADY)]
    if own.empty:
        return None
    times = (own["wall"] / own["calls"] * 1e-9).groupby([own["role"], own["part"], own["restart"]]).median()
    best = times.groupby(level=[0, 1]).min()
    rates = {Role.COMPUTE: dict[int, float](), Role.STREAMING: dict[int, float]()}
    for (role, part), seconds in best.items():
        size = int(str(part).split()[1])
        work = 2 * size**3 if role == Role.COMPUTE else 2 * size
        rates[Role(role)][work] = work / float(seconds)
    if not all(rates.values()):
        return None
    return Ceilings(max(rates[Role.COMPUTE].values()), dict(sorted(rates[Role.STREAMING].items())))


def suspicion(reached: float | None) -> str:
    """Why a speed is to be doubted; empty where it is not."""
    if reached is None or reached <= SUSPECT or not np.isfinite(reached):
        return ""
    return f"{reached:.2f} times what these processors can do: either not all is computed, or with fewer operations"
