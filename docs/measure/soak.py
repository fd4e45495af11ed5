"""Kill workers at random for a while, and compare every run with a quiet one: ``python docs/measure/soak.py MINUTES``.

Further arguments are those of ``crosscorrect run``: suites, ``-f NAME``, ``--python NAME=PATH``… One quiet run is made
first. Then the same run is made again and again until the time is over, while workers are killed (SIGKILL) at
random moments, two seconds apart on average, and now and then the controller too, after which the run is resumed. At
the end of each run its verdicts must be those of the quiet one: problem, framework, mode, device, direction, outcome,
reason and input digest. Prints a line per run; exit code 1 at the first difference.
"""

from __future__ import annotations

import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import psutil

from crosscorrect import store

VERDICT = ["problem", "framework", "mode", "device", "direction", "outcome", "reason", "input_digest"]
EVERY = 2.0
"""Seconds between two kills, on average."""
CONTROLLER = 0.04
"""The share of kills that hit the controller instead of a worker."""


def main(minutes: float, *arguments: str) -> int:
    """Soak for so many minutes; the exit code."""
    chance, kills = random.Random(), Counter[str]()  # noqa: S311  moments, not secrets
    end = time.monotonic() + 60 * minutes
    with tempfile.TemporaryDirectory() as scratch:
        command = [sys.executable, "-m", "crosscorrect", "run", *arguments, "--no-report", "-q"]
        subprocess.run([*command, "--results", f"{scratch}/quiet"], check=False)  # noqa: S603  our own command
        quiet = verdicts(Path(scratch, "quiet"))
        print(f"quiet run: {sum(quiet.values())} checks, {dict(outcomes(quiet))}", flush=True)
        turn = 0
        while time.monotonic() < end:
            turn += 1
            results = Path(scratch, f"run-{turn}")
            before = sum(kills.values())
            harass([*command, "--results", str(results)], results, chance, kills)
            found = verdicts(results)
            said = "the verdicts of the quiet run" if found == quiet else "OTHER VERDICTS"
            print(f"run {turn}: {sum(kills.values()) - before} kills, {said}", flush=True)
            if found != quiet:
                for row, count in ((found - quiet) + (quiet - found)).items():
                    print(count, *row)
                return 1
    print(f"{turn} runs, {dict(kills)} kills, every verdict that of the quiet run")
    return 0


def harass(command: list[str], results: Path, chance: random.Random, kills: Counter[str]) -> None:
    """Carry a run to its end while its processes are killed."""
    resume: list[str] = []
    while True:
        run = subprocess.Popen([*command, *resume])  # noqa: S603  our own command
        while run.poll() is None:
            try:
                run.wait(chance.expovariate(1 / EVERY))
                break
            except subprocess.TimeoutExpired:
                kills[kill(run.pid, chance)] += 1
        if run.returncode != -9:
            return
        if (results / "latest").exists():
            resume = ["--resume", str(results / "latest")]


def kill(controller: int, chance: random.Random) -> str:
    """Kill one process of a run; what it was."""
    if chance.random() < CONTROLLER:
        psutil.Process(controller).kill()
        return "controller"
    try:
        family = psutil.Process(controller).children(recursive=True)
        workers = [p for p in family if any("boot.py" in part for part in p.cmdline())]
        if workers:
            chance.choice(workers).kill()
            return "worker"
    except psutil.NoSuchProcess:
        pass
    return "nobody"


def verdicts(results: Path) -> Counter[tuple[str, ...]]:
    """The verdicts of the run in a results folder, with how often each is there."""
    run = store.load(results / "latest")
    return Counter(run.checks[VERDICT].itertuples(index=False, name=None))


def outcomes(found: Counter[tuple[str, ...]]) -> Counter[str]:
    """How many checks have each outcome."""
    counted: Counter[str] = Counter()
    for row, count in found.items():
        counted[row[VERDICT.index("outcome")]] += count
    return counted


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]), *sys.argv[2:]))
