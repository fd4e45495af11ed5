"""The noise of a sample by its length: ``python docs/measure/length.py NAME PYTHON``.

Four workers of one framework on one processor take turns, each with samples of every length in each of 150 rounds, in
shuffled order. Prints, for each length, the standard deviation of the logarithm of one worker's time over another's in
the same round, and what a visit costs with everything.
"""

from __future__ import annotations

import random
import sys
import time
from dataclasses import replace

import numpy as np

from crosscorrect import api
from crosscorrect.plan import Preparation
from crosscorrect.registry import locate
from crosscorrect.speed import conditions
from crosscorrect.speed.subjects import subjects
from crosscorrect.speed.workers import Arm, Workers

LENGTHS = (0.3e-3, 0.5e-3, 0.8e-3, 1.0e-3, 1.5e-3)
ROUNDS, LIMIT = 150, 60.0


def main(name: str, python: str) -> None:
    """Measure and print."""
    own = locate(name, {name: python})  # type: ignore[dict-item]  a path as text does as well
    frameworks = [replace(own, name=f"{name}-{number}") for number in range(4)]
    plan = api.planned(("speed",), only=("speed/size*=14", "speed/kernel*=5"), level="nightly", chosen=frameworks)
    asked = conditions.Conditions(conditions.choose_cpus(1), conditions.BUDGETS["standard"], "strict")
    arms = [Arm(framework, "eager", "cpu") for framework in frameworks]
    order = random.Random(0)  # noqa: S311  an order, no secret
    with Workers(arms, asked, 0) as workers:
        for subject in [s for problem in plan.problems for s in subjects(Preparation().get(problem))]:
            call = {"verb": subject.call.verb, "settings": subject.call.settings}
            for arm in arms:
                workers.prepare(arm, call, subject.call.arrays, LIMIT)
            one = min(workers.sample(arms[0], 20, 5, LIMIT)[0]["wall"] for _ in range(10)) / 20e9
            times = {length: np.empty((len(arms), ROUNDS)) for length in LENGTHS}
            spent = dict.fromkeys(LENGTHS, 0.0)
            for number in range(ROUNDS):
                for length in order.sample(LENGTHS, len(LENGTHS)):
                    calls = max(1, round(length / one))
                    begin = time.perf_counter()
                    for place in order.sample(range(len(arms)), len(arms)):
                        said, _ = workers.sample(arms[place], calls, 1, LIMIT)
                        times[length][place, number] = said["wall"] / calls
                    spent[length] += time.perf_counter() - begin
            print(f"{subject.key[0]}: {one * 1e6:.0f} µs a call")
            for length, found in times.items():
                pairs = np.log(found[0::2] / found[1::2]).std(axis=1).mean()
                cost = spent[length] / ROUNDS / len(arms) * 1e3
                print(f"  samples of {length * 1e3:.1f} ms: {pairs:.1%} between two, {cost:.2f} ms a visit")


if __name__ == "__main__":
    main(*sys.argv[1:])
