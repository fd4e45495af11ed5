"""Memory and speed against the number of problems: ``python docs/measure/scale.py [-j N] NAME[=PYTHON] ...``.

Sweeps of 10^3, 10^4 and 10^5 tiny problems through each framework; every half second the memory (RSS) of the
controller, of its agents and of the workers is read. Prints, for each sweep, the time to the first verdict, problems a
second, and the memory after a tenth of the run, at its end and at the most, of all processes of a kind together.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
from throughput import suite

from crosscorrect import log, store

SIZES = (10**3, 10**4, 10**5)


def kind(process: psutil.Process) -> str:
    """What a process of a run is."""
    line = " ".join(process.cmdline())
    return "worker" if "boot.py" in line else "agent" if "crosscorrect.agent" in line else "controller"


def memory(controller: psutil.Process) -> dict[str, float]:
    """MiB of each kind of process."""
    found: dict[str, float] = {}
    for process in [controller, *controller.children(recursive=True)]:
        try:
            found[kind(process)] = found.get(kind(process), 0.0) + process.memory_info().rss / 2**20
        except (psutil.NoSuchProcess, psutil.ZombieProcess):
            continue
    return found


def measure(command: list[str], results: Path) -> tuple[list[dict[str, float]], float, float]:
    """The memory over the run, seconds to the first verdict and in all."""
    begin, first, samples = time.perf_counter(), 0.0, []
    with subprocess.Popen(command) as run:  # noqa: S603  our own command
        controller = psutil.Process(run.pid)
        while run.poll() is None:
            samples.append(memory(controller))
            if not first and any(b'"kind":"unit"' in p.read_bytes() for p in log.logs(results / "latest")[:4]):
                first = time.perf_counter() - begin
            time.sleep(0.05 if not first else 0.5)
    return samples, first, time.perf_counter() - begin


def main(*arguments: str) -> None:
    """Print a line per size and kind of process."""
    options = list(arguments[:2]) if arguments[0] == "-j" else []
    for argument in arguments[len(options) :]:
        name, _, python = argument.partition("=")
        options += ["-f", name, *(["--python", argument] if python else [])]
    print(f"{'problems':>9} {'first verdict':>13} {'problems/s':>10}  memory in MiB: after a tenth, at the end, most")
    for count in SIZES:
        with tempfile.TemporaryDirectory() as scratch:
            results = Path(scratch) / "results"
            command = [sys.executable, "-m", "crosscorrect", "run", str(suite(Path(scratch), count)), *options]
            samples, first, taken = measure([*command, "--no-report", "-q", "--results", str(results)], results)
            checks = sum(store.load(results / "latest").info["totals"].values())
        said = []
        for name in ("controller", "agent", "worker"):
            curve = [sample[name] for sample in samples if name in sample]
            if curve:
                said.append(f"{name} {curve[len(curve) // 10]:.0f}, {curve[-1]:.0f}, {max(curve):.0f}")
        print(f"{count:>9} {first:>12.1f}s {checks / taken:>10.0f}  {'; '.join(said)}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
