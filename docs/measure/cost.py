"""How good ``cost.seconds`` is, and how even shards are: ``python docs/measure/cost.py NAME [PYTHON] [SUITE]...``.

Every problem of the suites at level ci is solved once by one framework, and the processor time that controller and
worker spend on it is compared with the estimate: the rank correlation, the ratios, the total, the operations and the
worst. Processor time is what other jobs of a busy machine disturb least; set OMP_NUM_THREADS and OPENBLAS_NUM_THREADS
to 1. Then the shares of 2, 4 and 8 shards, by estimate and as measured.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from crosscorrect import store
from crosscorrect.cost import seconds
from crosscorrect.engine import Lane, execute
from crosscorrect.plan import Plan, describe
from crosscorrect.registry import locate
from crosscorrect.selection import Selection
from crosscorrect.spans import Shard
from crosscorrect.suite import find_suites, load_suite

measured: dict[str, float] = {}
outcomes: dict[str, set[str]] = {}


class Timed(Lane):
    """A lane that does not look ahead and notes what each problem takes."""

    def solve(self, problem: Any, mode: str, device: str) -> list[Any]:
        """As in every lane."""
        self.upcoming = None
        before = (self.worker.pid if self.worker is not None else 0, self.spent(), time.thread_time())
        checks = super().solve(problem, mode, device)
        pid = self.worker.pid if self.worker is not None else 0
        worker = self.spent() - (before[1] if pid == before[0] else 0.0)
        measured[problem.id] = time.thread_time() - before[2] + worker
        outcomes[problem.id] = {str(check.outcome) for check in checks}
        return checks

    def spent(self) -> float:
        """The processor seconds of all threads of the worker so far; 0 where there is none."""
        try:
            tasks = list(Path(f"/proc/{self.worker.pid if self.worker else 0}/task").iterdir())
            return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9
        except OSError:
            return 0.0


def ranks(values: list[float]) -> list[int]:
    """The rank of each value."""
    order = sorted(range(len(values)), key=values.__getitem__)
    found = [0] * len(values)
    for rank, place in enumerate(order):
        found[place] = rank
    return found


def main(name: str, python: str | None = None, *suites: str) -> None:
    """Solve, compare, print."""
    selection = Selection([load_suite(path) for path in find_suites(suites)])
    plan = Plan(selection, [locate(name, {name: Path(python)} if python not in (None, "-") else None)])
    with tempfile.TemporaryDirectory() as scratch:
        segment = store.Segment(store.create(Path(scratch), "cost", describe(plan)))
        for _ in execute(plan, segment, Timed):
            pass
        segment.close()
    told = {p.id: p for p in selection if p.id in measured and "fail" not in outcomes[p.id]}
    estimates = {key: seconds(problem) for key, problem in told.items()}
    compare(name, told, estimates)
    for count in (2, 4, 8):
        shares = [[p.id for p in Selection(selection.suites, shard=Shard(n, count))] for n in range(1, count + 1)]
        loads = [[sum(of.get(key, 0.0) for key in share) for share in shares] for of in (estimates, measured)]
        even = [max(load) / statistics.fmean(load) for load in loads]
        print(f"{count} shards, most over mean: estimate {even[0]:.2f}, measured {even[1]:.2f}")


def compare(name: str, told: dict[str, Any], estimates: dict[str, float]) -> None:
    """Print how estimates and measured seconds of what did not fail belong together."""
    keys = list(told)
    correlation = statistics.correlation(ranks([estimates[k] for k in keys]), ranks([measured[k] for k in keys]))
    ratios = sorted((measured[key] / estimates[key], key) for key in keys)
    print(f"{name}: {len(keys)} problems, rank correlation {correlation:.2f}")
    print(f"in all: estimate {sum(estimates.values()):.0f} s, measured {sum(measured[k] for k in keys):.0f} s")
    at = [ratios[int(share * (len(ratios) - 1))][0] for share in (0.01, 0.1, 0.5, 0.9, 0.99)]
    print("measured over estimate, at 1, 10, 50, 90, 99 %:", ", ".join(f"{ratio:.2g}" for ratio in at))
    for operation in sorted({problem.operation for problem in told.values()}):
        own = [key for key in keys if told[key].operation == operation]
        total, guess = sum(measured[k] for k in own), sum(estimates[k] for k in own)
        print(f"  {operation}: {len(own)} problems, estimate {guess:.2f} s, measured {total:.2f} s")
    for ratio, key in [*ratios[:4], *ratios[-8:]]:
        print(f"  {ratio:8.3g}  {key}  {measured[key]:.4f} s")


if __name__ == "__main__":
    main(*sys.argv[1:])
