"""Trivial problems a second, side by side with plain pytest: ``python docs/measure/throughput.py [COUNT]``.

The same COUNT problems (tiny ``conv2d``, NumPy adapter) are checked by pytest, one test each, and by ``crosscorrect
run`` with one and with two agents. A test does what a check does and no more: inputs, reference, the adapter's call in
the same process, verdict. All of it is wall time with start and end; a turn of each, three times. Beside it stands the
processor time of all processes of a way, which other jobs of the machine disturb less.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TESTS = """\
import pytest
from crosscorrect import verdicts
from crosscorrect.plan import Preparation
from crosscorrect.suite import load_suite
from crosscorrect.worker.loop import Server
from crosscorrect_adapters.numpy import NumpyAdapter

PROBLEMS = list(load_suite({suite!r}).problems())
server, preparation = Server(NumpyAdapter), Preparation()

@pytest.mark.parametrize("problem", PROBLEMS, ids=[p.id for p in PROBLEMS])
def test_problem(problem):
    prepared = preparation.get(problem)
    for question, sent in zip(prepared.questions, prepared.sent):
        call = question.calls[0]
        asked = dict(verb=call.verb, settings=call.settings, device="cpu", mode="eager", arithmetic="strict", nonce=0)
        found, _ = verdicts.of(prepared, question, sent, [server.answer(asked, call.arrays)], "strict")
        assert all(verdict.outcome == "pass" for verdict in found.values())
"""
TURNS = 3


def suite(folder: Path, count: int) -> Path:
    """A suite of so many problems, or a few more."""
    seeds = ", ".join(map(str, range(-(-count // 100))))
    path = folder / "trivial.yaml"
    path.write_text(
        "crosscorrect: 1\nsuite: trivial\ncases:\n"
        "  - {id: tiny, operation: conv2d, x: {fill: integers, low: 1, shape: [1, 1, 4, 5]},\n"
        "     w: {fill: integers, low: 1, shape: [1, 1, 2, 3]},\n"
        f"     sweep: {{x.seed: [{seeds}], w.seed: [{', '.join(map(str, range(100)))}]}}}}\n",
        encoding="utf-8",
    )
    return path


def main(count: int = 20_000) -> None:
    """Print problems a second and the ratios."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        written = suite(folder, count)
        (folder / "test_trivial.py").write_text(TESTS.format(suite=str(written)), encoding="utf-8")
        run = [sys.executable, "-m", "crosscorrect", "run", str(written), "-f", "numpy", "--no-report", "-q"]
        ways = {
            "pytest": [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(folder / "test_trivial.py")],
            "crosscorrect": [*run, "--results", str(folder / "one")],
            "crosscorrect -j 2": [*run, "-j", "2", "--results", str(folder / "two")],
        }
        taken: dict[str, list[float]] = {name: [] for name in ways}
        used: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(TURNS):
            for name, command in ways.items():
                begin, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
                subprocess.run(command, check=True, cwd=folder, stdout=subprocess.DEVNULL)  # noqa: S603  our own commands
                taken[name].append(time.perf_counter() - begin)
                after = resource.getrusage(resource.RUSAGE_CHILDREN)
                used[name].append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    for name, seconds in taken.items():
        ratios = sorted(p / s for p, s in zip(taken["pytest"], seconds, strict=True))
        print(
            f"{name:<18} {count / statistics.median(seconds):7.0f} problems/s   pytest's time over its own: "
            f"{statistics.median(ratios):.2f} (from {ratios[0]:.2f} to {ratios[-1]:.2f})   processor time a problem: "
            f"{1000 * min(used[name]) / count:.2f} ms"
        )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
