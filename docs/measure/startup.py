"""How long help and completion take beside a bare start of the interpreter: medians of turns, in milliseconds.

The time on the clock, and that of the processor, which says the same on a machine that is busy.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import time

from crosscorrect.cli import main

TURNS = 15
HELPS = [[], *([name] for name in main.commands), ["cases", "list"]]
LINES = ["crosscorrect run ", "crosscorrect run -f ", "crosscorrect run -k ch", "crosscorrect gate "]
LINES += ["crosscorrect run -k chapter/edge-detection@"]


def taken(command: list[str], said: dict[str, str]) -> tuple[float, float]:
    """How long a command takes by the clock and of the processor, in milliseconds."""
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, env={**os.environ, **said}, stdout=subprocess.DEVNULL, check=True)  # noqa: S603
    clock, after = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return clock * 1e3, used * 1e3


program = [sys.executable, "-m", "crosscorrect"]
asked: dict[str, tuple[list[str], dict[str, str]]] = {"python -c pass": ([sys.executable, "-c", "pass"], {})}
for path in HELPS:
    asked[" ".join(["crosscorrect", *path, "--help"])] = ([*program, *path, "--help"], {})
for line in LINES:
    words = {"_CROSSCORRECT_COMPLETE": "bash_complete", "COMP_LINE": line, "COMP_POINT": str(len(line))}
    asked[f"{line}<TAB>"] = (program, words)
times: dict[str, list[tuple[float, float]]] = {name: [] for name in asked}
for _ in range(TURNS):  # in turns, so that whatever else the machine does is the same for all
    for name, (command, said) in asked.items():
        times[name].append(taken(command, said))
print(f"{'':<48} clock processor")
for name, own in times.items():
    clock, used = (statistics.median(numbers) for numbers in zip(*own, strict=True))
    print(f"{name:<48} {clock:5.0f} {used:9.0f}")
