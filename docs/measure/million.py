"""What a run of a million checks costs its reader: ``python docs/measure/million.py [CHECKS] [FOLDER]``.

Makes a run folder of so many checks (10^6) through the project's own writers and without any framework: every problem
of the shipped suites, again and again with other seeds, in five frameworks and two modes. What the committed
expectations list came out as they say, one check in 3001 failed with a diagnosis, one in 20,011 crashed, the rest
passed. Then each step reads it in a process of its own: its wall time, its processor time and its peak memory (RSS)
are printed, and the size of each file. FOLDER keeps the run; without one it is thrown away.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crosscorrect import expectations, store, tables
from crosscorrect.model import Check, Outcome, Reason
from crosscorrect.suite import find_suites, load_suite

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crosscorrect.expectations import Entry, Expectations
    from crosscorrect.model import Direction
    from crosscorrect.problem import Problem
    from crosscorrect.suite import Suite

VERSIONS = {"numpy": "2.4.6", "mxnet": "1.9.1", "torch": "2.13.0", "tensorflow": "2.21.0", "jax": "0.10.2"}
PLACES = [(framework, mode) for framework in VERSIONS for mode in ("eager", "compiled")]
FAILS, CRASHES = 3001, 20_011
DIAGNOSES = ("consistent with TF32 inputs", "equals the reference with a flipped kernel", "a dilation of 1", "")

STEPS = {
    "load": "run = crosscorrect.load(folder); [len(getattr(run, name)) for name in tables.TABLES]",
    "gate": "gate.rule(crosscorrect.load(folder))",
    "frames": "run = crosscorrect.load(folder); frames.totals(run); frames.agreement(run); frames.matrix(run); "
    "frames.judged(run)",
    "report": "crosscorrect_reports.write(crosscorrect.load(folder))",
}
"""What each process does. The last is ``crosscorrect report FOLDER``."""
HEAD = (
    "import sys, crosscorrect, crosscorrect_reports; from crosscorrect import gate, tables; "
    "from crosscorrect_reports import frames; folder = sys.argv[1]; "
)


def problems(suites: list[Suite]) -> Iterator[tuple[Problem, str]]:
    """Every problem of the suites with its id, then each again with other seeds, without end."""
    known = [problem for suite in suites for problem in suite.problems()]
    for seed in itertools.count():
        for problem in known:
            mark = "," if "@" in problem.id else "@"
            yield problem, problem.id + (f"{mark}x.seed={seed}" if seed else "")


def rows(suites: list[Suite], count: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """The rows of the tables of the run, with its table's name each."""
    dice, made = random.Random(0), 0  # noqa: S311  nothing secret
    expected = {name: expectations.load(name, version) for name, version in VERSIONS.items()}
    for name, version in VERSIONS.items():
        yield "env", {"framework": name, "section": "version", "key": name, "value": version}
    for problem, name in problems(suites):
        yield "problems", {**tables.problem_record(problem), "problem": name}
        told = {framework: _entries(of, name) for framework, of in expected.items()}
        for direction, (framework, mode) in itertools.product(problem.directions, PLACES):
            entry = next((e for e in told[framework] if e.covers(name, direction, mode, "cpu")), None)
            made += 1
            if made > count:
                return
            check = _check(problem, name, direction, framework, mode, entry, made, dice)
            yield "checks", tables.check_record(check)


def _entries(expected: Expectations, problem: str) -> list[Entry]:
    """The entries that speak of a problem in any direction, mode and device."""
    found = expected.about(problem.partition("@")[0])
    return [
        e
        for e in found
        if any(e.covers(problem, d, m, "cpu") for d in (e.directions or ("",)) for m in e.modes or ("",))
    ]


def _check(
    problem: Problem,
    name: str,
    direction: Direction,
    framework: str,
    mode: str,
    entry: Entry | None,
    number: int,
    dice: random.Random,
) -> Check:
    seconds = dice.expovariate(500)
    where = {
        "suite": problem.suite, "case": problem.case, "problem": name, "source": problem.source,
        "title": problem.title, "operation": problem.operation, "direction": direction, "dtype": problem.dtype,
        "framework": framework, "mode": mode, "device": "cpu", "arithmetic": "strict", "input_digest": _digest(name),
        "seconds": seconds, "transfer_seconds": seconds / 9, "total_seconds": seconds * 2,
    }  # fmt: skip
    if entry is not None and not (entry.varies and number % 2):
        reason = Reason.VALUE if entry.outcome == Outcome.FAIL else Reason.NONE
        message = f"{entry.message or 'no kernel for this'} [{number % 7}, {number % 5}]"
        return Check(**where, outcome=Outcome(entry.outcome), reason=reason, message=message)
    if number % CRASHES == 0:
        said = "Fatal Python error: Segmentation fault\n" + "  File x.py, line 3 in f\n" * 30
        return Check(**where, outcome=Outcome.CRASH, message="killed by signal 11 (SIGSEGV)", stderr=said)
    digest = _digest(f"{name} {direction} {framework if number % 3 else ''}")
    arrays = {n: _digest(f"{name} {n}") for n in ("x", "w", "output", "reference")} if number < 20_000 else {}
    answered = {**where, "output_digest": digest, "arrays": arrays}
    if number % FAILS == 0:
        cause = DIAGNOSES[number % len(DIAGNOSES)]
        diagnosis = f"{cause} ({dice.uniform(8, 12):.1f} effective bits)" if cause else ""
        message = f"{number % 97 + 1} of 120 elements are wrong, the worst by {dice.random():.3g}"
        return Check(
            **answered, outcome=Outcome.FAIL, reason=Reason.BOUND_A, message=message, tier="A", error=dice.random(),
            ratio=1 + dice.expovariate(0.1), where="0,1,2,3", expected=dice.random(), got=dice.random(),
            diagnosis=diagnosis,
        )  # fmt: skip
    agree = "agree" if number % 11 else "differ"
    said = f"batch_split: bits {agree}" if problem.operation == "relation" else ""
    return Check(
        **answered, outcome=Outcome.PASS, tier="A+B", error=dice.random() * 1e-6, ratio=dice.random(), where="0,0,1,1",
        property=said,
    )  # fmt: skip


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def make(results: Path, count: int) -> Path:
    """A finished run of so many checks."""
    suites = [load_suite(path) for path in find_suites([])]
    said = [{"name": s.name, "title": s.title, "file": s.path.name, "digest": s.digest} for s in suites]
    info = {
        "frameworks": list(VERSIONS), "suites": said, "modes": ["eager", "compiled"], "devices": ["cpu"],
        "arithmetic": "strict", "filter": [], "level": "nightly", "seed": 0,
    }  # fmt: skip
    folder = store.create(results, "million", info, latest=False)
    store.finish(folder, {"totals": tables.export(folder, rows(suites, count))})
    return folder


def measured(step: str, folder: Path) -> tuple[float, float, float]:
    """Seconds, seconds of processor time and MiB of a step in a process of its own."""
    begin = time.perf_counter()
    child = subprocess.Popen([sys.executable, "-c", HEAD + STEPS[step], str(folder)])  # noqa: S603  our own command
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{step} ended with {child.returncode}")
    return time.perf_counter() - begin, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 2**10


def main(count: int = 10**6, place: str = "") -> None:
    """Print a line per step and per file."""
    with tempfile.TemporaryDirectory() as scratch:
        results = Path(place or scratch)
        if not (results / "million" / "run.json").exists():
            begin = time.perf_counter()
            print(f"{make(results, count)}: made in {time.perf_counter() - begin:.0f} s", flush=True)
        folder = results / "million"
        print(json.dumps(store.load(folder).info["totals"]))
        for step in STEPS:
            seconds, work, peak = measured(step, folder)
            print(f"{step:<8} {seconds:6.1f} s, {work:6.1f} s of a processor, {peak:6.0f} MiB", flush=True)
        for path in sorted(folder.iterdir()):
            print(f"{path.name:<22} {path.stat().st_size / 1e6:8.2f} MB")


if __name__ == "__main__":
    main(*(int(argument) if argument.isdigit() else argument for argument in sys.argv[1:]))
