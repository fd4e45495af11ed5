"""How much times spread in a timed run, and what fixed limits make of it: ``python docs/measure/spread.py RUN``.

Prints the noise from round to round (standard deviation of the logarithm around its restart), the median over the 5 %
quantile of an arm's times, the sentinel's drift, each by quantiles over arms and restarts, and how many comparisons
would be unfit under the limits of research/timing.md 3.4: 1.25, 5 %, and a twin's half-width of 3 %.
"""

from __future__ import annotations

import math
import sys
from collections import defaultdict

import numpy as np

from crosscorrect import store
from crosscorrect.speed import fitness, session
from crosscorrect.speed.judgement import FEWEST, FIT_SHARE
from crosscorrect.speed.model import Key, Role, Who
from crosscorrect.speed.readings import trials

SKEW, DRIFT, WIDTH = 1.25, 0.05, 0.03


def quantiles(name: str, values: list[float]) -> None:
    """One line: the 10 %, 50 % and 90 % quantiles."""
    low, middle, high = np.quantile(values, [0.1, 0.5, 0.9])
    print(f"{name:<44} {low:.3f} {middle:.3f} {high:.3f}")


def main(folder: str) -> None:
    """Look at a finished timed run."""
    run = store.load(folder)
    noise, skews, drifts = list[float](), list[float](), list[float]()
    fit: dict[tuple[Key, Who], int] = defaultdict(int)
    reference = Who(*(run.info["bench"][name] for name in ("reference", "mode", "device")))
    for trial in trials(run.samples):
        drift = max((fitness.drift(part.times)[0] for part in trial.sentinel.values()), default=math.inf)
        drifts.append(drift)
        own = {}
        for who, samples in trial.arms.items():
            logs = np.log(samples.times[~np.isnan(samples.wall)])
            own[who] = float(np.exp(np.median(logs) - np.quantile(logs, 0.05)))
            noise.append(float(logs.std()))
            skews.append(own[who])
        for who, skew in own.items():
            fit[trial.subject, who] += max(skew, own.get(reference, math.inf)) <= SKEW and drift <= DRIFT
    quantiles("noise of a sample from round to round", noise)
    quantiles("median over the 5 % quantile", skews)
    quantiles("drift of the sentinel within a restart", drifts)
    needed = max(FEWEST, math.ceil(FIT_SHARE * run.info["bench"]["budget"]["restarts"]))
    rows = session.comparisons(run)
    sure = {
        (row.problem, row.part)
        for row in rows
        if row.role is Role.TWIN and row.low and row.high and math.sqrt(row.high / row.low) - 1 <= WIDTH
    }
    arms = [row for row in rows if row.role is Role.ARM and (row.framework, row.mode, row.device) != reference[:3]]
    unfit = [
        row
        for row in arms
        if (row.problem, row.part) not in sure
        or fit[(row.problem, row.part), Who(row.framework, row.mode, row.device)] < needed
    ]
    print(f"under the fixed limits {len(unfit)} of {len(arms)} comparisons would be unfit")


if __name__ == "__main__":
    main(sys.argv[1])
