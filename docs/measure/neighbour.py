"""A busy neighbour on the processor that is measured: ``python docs/measure/neighbour.py RUNS NAME=PYTHON...``.

Each timed run is a quick one of two problems while another process computes on the same processor all the time.
Prints how often each speed verdict was given: with such a neighbour nobody may be ranked. Exit code 1 where one was.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections import Counter

from crosscorrect import api
from crosscorrect.speed import conditions, session
from crosscorrect.speed.model import RANKS, Role

BUSY = "import os, sys; os.sched_setaffinity(0, {int(sys.argv[1])})\nwhile True: pass"


def main(runs: int, *pythons: str) -> int:
    """Measure so many times; the exit code."""
    where = dict(python.split("=", 1) for python in pythons)
    (cpu,) = conditions.choose_cpus(1)
    told: Counter[str] = Counter()
    plan = api.planned(
        ("speed",), list(where), pythons=where, only=("speed/batch*descriptor=1", "speed/size*=14"), level="nightly"
    )
    for number in range(runs):
        neighbour = subprocess.Popen([sys.executable, "-c", BUSY, str(cpu)])  # noqa: S603  our own interpreter
        try:
            with tempfile.TemporaryDirectory() as results:
                found = session.comparisons(session.measure(plan, budget="quick", results=results))
        finally:
            neighbour.kill()
            neighbour.wait()
        rows = [r for r in found if r.role is Role.ARM and r.message != "the reference"]
        told.update(str(row.speed) for row in rows)
        named = sum(f"({neighbour.pid}) used" in row.message for row in rows)
        print(f"run {number + 1}: {dict(told)}, named in {named} of {len(rows)}", flush=True)
    return int(any(told[speed] for speed in RANKS))


if __name__ == "__main__":
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    sys.exit(main(int(sys.argv[1]), *sys.argv[2:]))
