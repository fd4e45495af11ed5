"""Measure what crosscorrect adds to a framework's own time: ``python docs/measure/overhead.py NAME [PYTHON]``.

Every problem of the chapter is solved twice in one worker, so that imports and compilations are over; the second pass
is measured. A problem's overhead is the wall time of all it took (inputs, references, transport, verdict, rows on
disk) less the seconds that the framework itself spent, computing and moving arrays. The part from sending a call to
its verdict is shown apart. One problem is asked at a time here; a run asks small ones several in one go.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

from crosscorrect import store
from crosscorrect.lane import Lane
from crosscorrect.plan import Plan, Preparation
from crosscorrect.registry import locate
from crosscorrect.suite import find_suites, load_suite


def main(name: str, python: str | None = None) -> None:
    """Print the overhead per problem, in milliseconds."""
    framework = locate(name, {name: Path(python)} if python else None)
    suites = [load_suite(path) for path in find_suites(["chapter"])]
    problems = [p for suite in suites for p in suite.problems() if not p.only and not p.isolate]
    with tempfile.TemporaryDirectory() as scratch:
        folder = store.create(Path(scratch), "overhead", {"frameworks": [name]})
        segment = store.Segment(folder)
        lane = Lane(Plan(problems, [framework]), framework, segment)
        lane.greet()
        for problem in problems:
            lane.solve(problem, "eager", "cpu")
        lane.preparation = Preparation()
        added, asked, own = [], [], []
        for problem in problems:
            begin = time.perf_counter()
            calls = {row.total_seconds: row for row in lane.solve(problem, "eager", "cpu")}.values()
            end = time.perf_counter()
            framework_seconds = sum((row.seconds or 0.0) + (row.transfer_seconds or 0.0) for row in calls)
            own.append(framework_seconds)
            added.append(end - begin - framework_seconds)
            asked.append(sum(row.total_seconds or 0.0 for row in calls) - framework_seconds)
        lane.supply.close_all()
        segment.close()
    print(f"{name}, {len(problems)} problems of the chapter, milliseconds per problem")
    for label, values in {
        "framework": own,
        "added": added,
        "  transport and verdict": asked,
    }.items():
        milliseconds = sorted(1000 * v for v in values)
        ninety = milliseconds[int(0.9 * len(milliseconds))]
        print(
            f"{label:<26} median {statistics.median(milliseconds):7.3f}   mean {statistics.fmean(milliseconds):7.3f}"
            f"   90% {ninety:7.3f}"
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
