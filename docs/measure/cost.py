"""How good ``cost.seconds`` is, and how even shards are: ``python docs/measure/cost.py NAME [PYTHON] [SUITE]...``.

Every problem of the suites at level ci is solved once by one framework, and the processor time that controller and
worker spend on it is compared with the estimate: the rank correlation, the ratios, the total, the operations and the
worst. Processor time is what other jobs of a busy machine disturb least; set OMP_NUM_THREADS and OPENBLAS_NUM_THREADS
to 1. Then the shares of 2, 4 and 8 shards, by estimate and as measured. What wants a worker of its own counts as one
import; what fails is left out, for its diagnosis no shape foretells.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from crosscorrect import cost, store
from crosscorrect.lane import Lane
from crosscorrect.plan import Plan, describe
from crosscorrect.registry import locate
from crosscorrect.selection import Selection
from crosscorrect.spans import Shard
from crosscorrect.suite import find_suites, load_suite


def spent(lane: Lane) -> float:
    """The processor seconds of this thread and of all threads of the worker so far."""
    pid = lane.supply.worker.pid if lane.supply.worker is not None else 0
    tasks = list(Path(f"/proc/{pid}/task").iterdir())
    return time.thread_time() + sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def measure(selection: Selection, name: str, python: str) -> dict[str, float]:
    """Seconds of each problem that a framework takes and does not fail, by its id."""
    framework = locate(name, {name: Path(python)} if python else None)
    plan = Plan(selection, [framework], confirm=False)
    measured: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as scratch:
        segment = store.Segment(store.create(Path(scratch), "cost", describe(plan)))
        lane = Lane(plan, framework, segment)
        lane.greet()
        start = float(lane.supply.ready().hello["import_seconds"])
        for problem in selection:
            fresh = problem.isolate or problem.settings.get("relation") in ("process", "threads")
            for device, mode in lane.places(problem):
                if fresh:
                    measured[problem.id] = start
                    continue
                begin = spent(lane)
                outcomes = {str(check.outcome) for check in lane.solve(problem, mode, device)}
                lane.supply.ready()
                if not outcomes & {"fail", "crash", "timeout"}:
                    measured[problem.id] = spent(lane) - begin
        lane.supply.close_all()
        segment.close()
    return measured


def ranks(values: list[float]) -> list[int]:
    """The rank of each value."""
    order = sorted(range(len(values)), key=values.__getitem__)
    found = [0] * len(values)
    for rank, place in enumerate(order):
        found[place] = rank
    return found


def compare(name: str, problems: list[Any], measured: dict[str, float]) -> None:
    """Print how estimates and measured seconds belong together."""
    pairs = [(cost.seconds(problem), measured[problem.id], problem) for problem in problems]
    correlation = statistics.correlation(ranks([guess for guess, _, _ in pairs]), ranks([own for _, own, _ in pairs]))
    ratios = sorted((own / guess, problem.id, own) for guess, own, problem in pairs)
    print(f"{name}: {len(pairs)} problems, rank correlation {correlation:.2f}")
    print(f"in all: estimate {sum(guess for guess, _, _ in pairs):.0f} s, measured {sum(measured.values()):.0f} s")
    at = [ratios[int(share * (len(ratios) - 1))][0] for share in (0.01, 0.1, 0.5, 0.9, 0.99)]
    print("measured over estimate, at 1, 10, 50, 90, 99 %:", ", ".join(f"{ratio:.2g}" for ratio in at))
    for operation in sorted({problem.operation for problem in problems}):
        own = [(guess, seconds) for guess, seconds, problem in pairs if problem.operation == operation]
        print(
            f"  {operation}: {len(own)} problems, estimate and measured",
            *(f"{sum(s):.2f} s" for s in zip(*own, strict=True)),
        )
    for ratio, problem, seconds in [*ratios[:3], *ratios[-5:]]:
        print(f"  {ratio:8.3g}  {problem}  {seconds:.4f} s")


def main(name: str, python: str = "", *suites: str) -> None:
    """Solve, compare, print."""
    selection = Selection([load_suite(path) for path in find_suites(suites)])
    measured = measure(selection, name, "" if python == "-" else python)
    compare(name, [problem for problem in selection if problem.id in measured], measured)
    for count in (2, 4, 8):
        shares = [list(Selection(selection.suites, shard=Shard(n, count))) for n in range(1, count + 1)]
        guesses = [sum(map(cost.seconds, share)) for share in shares]
        loads = [sum(measured.get(problem.id, 0.0) for problem in share) for share in shares]
        even = [max(some) / statistics.fmean(some) for some in (guesses, loads)]
        print(f"{count} shards, most over mean: estimate {even[0]:.2f}, measured {even[1]:.2f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
