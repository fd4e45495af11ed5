"""The ratio of two frameworks by three tools at equal wall time: ``python docs/measure/beside.py REPEATS PYTHON``.

PYTHON holds torch, jax and pyperf together, because torch.utils.benchmark can only time what lives beside torch. Each
repeat asks each tool, in shuffled order, for JAX's time over PyTorch's of one convolution (4×8×16×16 by 8×8×3×3, eager,
one processor): crosscorrect with workers of its own, pyperf and torch.utils.benchmark as their documentation uses them,
one framework after the other. The other tools are given as long as crosscorrect took. Prints each ratio, and the
standard deviation of its logarithm over the repeats.
"""

from __future__ import annotations

import json
import math
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from crosscorrect import api
from crosscorrect.speed import conditions, session

SUITE = """\
crosscorrect: 1
suite: beside
cases:
  - {id: middle, operation: conv2d, x: {fill: normal, shape: [4, 8, 16, 16]}, w: {fill: normal, shape: [8, 8, 3, 3]}}
"""
TORCH = """\
import torch
x, w = torch.randn(4, 8, 16, 16), torch.randn(8, 8, 3, 3)
call = lambda: torch.nn.functional.conv2d(x, w)
"""
JAX = """\
import jax
x, w = jax.random.normal(jax.random.key(0), (4, 8, 16, 16)), jax.random.normal(jax.random.key(1), (8, 8, 3, 3))
call = lambda: jax.lax.conv(x, w, (1, 1), "VALID").block_until_ready()
"""
TIMER = """
import sys, torch.utils.benchmark as benchmark
call()
print(benchmark.Timer("call()", globals={"call": call}).blocked_autorange(min_run_time=float(sys.argv[1])).median)
"""
PYPERF = """
import pyperf
runner = pyperf.Runner()
call()
runner.bench_func("conv", call)
"""


def ours(folder: Path, python: str) -> tuple[float, float]:
    """The ratio, and the seconds that it took with everything."""
    path = folder / "beside.yaml"
    path.write_text(SUITE, encoding="utf-8")
    begin = time.perf_counter()
    plan = api.planned([path], ["torch", "jax"], pythons={"torch": python, "jax": python})
    run = session.measure(plan, budget="standard", reference="torch", results=folder / "results")
    rows = session.comparisons(run)
    (jax,) = [row for row in rows if row.framework == "jax"]
    told = jax.ratio if jax.ratio is not None else math.nan
    return told, time.perf_counter() - begin


def one_after_the_other(folder: Path, python: str, tail: str, seconds: float, cpu: int) -> float:
    """The ratio of medians (torch.utils.benchmark) or means (pyperf), each framework in its half of the time."""
    times = []
    for head in (TORCH, JAX):
        script, out = folder / "script.py", folder / "out.json"
        script.write_text(head + tail, encoding="utf-8")
        out.unlink(missing_ok=True)
        command = [python, str(script)]
        if tail is TIMER:
            command.append(str(max(0.2, seconds / 2 - 3.0)))  # without the import
        else:
            # 3 values of 0.1 s a process, and about 2.5 s to start one
            processes = max(2, round(seconds / 2 / 3.0))
            command += ["-o", str(out), "--processes", str(processes), "--affinity", str(cpu), "--quiet"]
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603  our own
        if tail is TIMER:
            times.append(float(said.split()[-1]))
        else:
            runs = json.loads(out.read_text(encoding="utf-8"))["benchmarks"][0]["runs"]
            times.append(statistics.fmean(value for run in runs for value in run.get("values", ())))
    return times[1] / times[0]


def main(repeats: int, python: str) -> None:
    """Repeat, and print."""
    (cpu,) = conditions.choose_cpus(1)
    found: dict[str, list[float]] = {"crosscorrect": [], "pyperf": [], "torch.utils.benchmark": []}
    taken: dict[str, list[float]] = {name: [] for name in found}
    seconds = 0.0
    for number in range(repeats):
        order = list(found)
        random.Random(number).shuffle(order)  # noqa: S311  an order, no secret
        if not seconds:
            order = sorted(order)  # ours first: it says how long everybody has
        for name in order:
            with tempfile.TemporaryDirectory() as scratch:
                begin = time.perf_counter()
                if name == "crosscorrect":
                    ratio, seconds = ours(Path(scratch), python)
                else:
                    os.sched_setaffinity(0, {cpu})
                    try:
                        tail = PYPERF if name == "pyperf" else TIMER
                        ratio = one_after_the_other(Path(scratch), python, tail, seconds, cpu)
                    finally:
                        os.sched_setaffinity(0, range(os.cpu_count() or 1))
                found[name].append(ratio)
                taken[name].append(time.perf_counter() - begin)
        print(number + 1, {name: round(ratios[-1], 3) for name, ratios in found.items()}, flush=True)
    for name, ratios in found.items():
        logs = [math.log(ratio) for ratio in ratios if not math.isnan(ratio)]  # where nobody was ranked
        print(
            f"{name:<22} median {math.exp(statistics.median(logs)):.3f}, standard deviation "
            f"{statistics.stdev(logs):.2%} of {len(logs)}, {statistics.median(taken[name]):.0f} s each"
        )


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
