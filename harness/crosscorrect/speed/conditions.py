"""What is the same for everyone who is measured: processors, budget, arithmetic; and what others do meanwhile."""

from __future__ import annotations

import contextlib
import os
import random
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import psutil

from crosscorrect.errors import UsageError
from crosscorrect.inquiry import THREADS

if TYPE_CHECKING:
    from collections.abc import Iterable

SAMPLE = 0.8e-3
"""Seconds that a sample aims at: long beside a clock's tick, short beside the kernel's time slice of about 3 ms. Of the
0.3 to 1 ms that research/timing.md 3.3 found fit, because noise falls with the length (docs/measure/length.py)."""
SHORT = 1e-3
"""Seconds up to which a call is short: before it is timed it runs once untimed, because a predecessor's traces in the
caches move a small kernel by 2 to 4 % (research/timing.md 3.3)."""


class Budget(NamedTuple):
    """How much is measured: ``restarts`` of all workers, in each so many ``rounds`` of every problem.

    A problem that is slow takes fewer rounds, as many as fit into ``seconds`` in a restart, and at least ``least``.
    """

    restarts: int
    rounds: int
    seconds: float
    least: int = 8


BUDGETS = {"quick": Budget(3, 60, 0.7), "standard": Budget(5, 120, 1.3), "rigorous": Budget(8, 240, 4.0)}
"""They aim at half-widths of 3 %, 1.5 % and 1 % (research/timing.md 3.9); docs/speed.md has what was reached."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """Under which all are measured; ``cpus`` are the processors that every worker may run on."""

    cpus: tuple[int, ...]
    budget: Budget
    arithmetic: str
    seed: int = 0
    memory: int | None = None

    @property
    def threads(self) -> int:
        """How many threads each may use: as many as there are processors."""
        return len(self.cpus)

    def environment(self, restart: int) -> dict[str, str]:
        """The variables of a restart's workers, beside those of every worker.

        The hash seed and the length of the environment, which moves the stack, differ from restart to restart
        (Mytkowicz et al., "Producing wrong data without doing anything obviously wrong!", 2009), and are the same for
        all workers of one. Memory is not filled with garbage here, as it is where answers are judged.
        """
        chance = random.Random(f"{self.seed} {restart}")  # noqa: S311  it moves a stack
        return {
            **dict.fromkeys(THREADS, str(self.threads)),
            "GLIBC_TUNABLES": "",
            # all of them share a device: none may take all of its memory beforehand
            "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
            "TF_FORCE_GPU_ALLOW_GROWTH": "true",
            "PYTHONHASHSEED": str(chance.randrange(2**32)),
            "CROSSCORRECT_PADDING": "x" * chance.randrange(4096),
        }

    def describe(self) -> dict[str, Any]:
        """What ``run.json`` says of them."""
        return {"cpus": list(self.cpus), "threads": self.threads, "budget": self.budget._asdict()}


def choose_cpus(count: int) -> tuple[int, ...]:
    """The last ``count`` processors that this process may run on: the first has most of the interrupts.

    Raises UsageError where there are fewer.
    """
    allowed = sorted(os.sched_getaffinity(0)) if sys.platform == "linux" else list(range(os.cpu_count() or 1))
    if not 1 <= count <= len(allowed):
        raise UsageError(f"--cpus {count}: this process may use {len(allowed)} processors; ask for 1 to {len(allowed)}")
    return tuple(allowed[-count:])


class Look(NamedTuple):
    """What had been used at a moment, in seconds of processor time.

    ``used`` by each process of the machine, ``(pid, name, seconds)``, but ours; ``ours`` by us; ``busy`` of the
    processors that are measured, by anybody; ``stolen`` by the host.
    """

    used: list[tuple[int, str, float]]
    ours: float
    busy: float
    stolen: float


def look(own: set[int], cpus: Iterable[int]) -> Look:
    """A look at the processes of this machine; those of ``own`` are ours. Takes about 10 ms."""
    used, ours = [], 0.0
    for process in psutil.process_iter(["pid", "name", "cpu_times"]):
        times = process.info["cpu_times"]
        if times is None:
            continue
        if process.info["pid"] in own:
            ours += times.user + times.system
        else:
            used.append((process.info["pid"], process.info["name"] or "?", times.user + times.system))
    each = psutil.cpu_times(percpu=True)
    busy = sum(each[cpu].user + each[cpu].nice + each[cpu].system for cpu in cpus if cpu < len(each))
    return Look(used, ours, busy, float(getattr(psutil.cpu_times(), "steal", 0.0)))


def occupied(before: Look, after: Look, seconds: float, cpus: int) -> float:
    """Which share of the processors that are measured others used between two looks.

    Our controller may run elsewhere, so that a little less than the truth is told.
    """
    return max(0.0, (after.busy - before.busy) - (after.ours - before.ours)) / (seconds * cpus)


def machine() -> dict[str, str]:
    """What of this machine decides how fast it is, as far as it tells."""
    said = {
        "system": " ".join(os.uname()[i] for i in (0, 2, 4)) if hasattr(os, "uname") else sys.platform,
        "processors": str(os.cpu_count()),
        "memory": f"{psutil.virtual_memory().total / 2**30:.1f} GiB",
    }
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8") as lines:  # noqa: PTH123  no file
        for line in lines:
            name, _, value = line.partition(":")
            if name.strip() in ("model name", "cache size") and value.strip():
                said.setdefault(name.strip(), value.strip())
    return said
