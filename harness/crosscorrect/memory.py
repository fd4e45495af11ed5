"""How much memory there is, and whether the kernel ended a process for want of it."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path

GIB = 1 << 30

LEAST = 2 * GIB
"""Under this limit MXNet, PyTorch, TensorFlow and JAX all import and answer; they take up to 0.6 GiB for that."""

NO_MEMORY = re.compile(
    r"MemoryError|RESOURCE_EXHAUSTED|ResourceExhausted|bad_alloc|[Oo]ut of memory|OutOfMemory|\bOOM\b"
    r"|[Cc]an(?:'t|not) allocate memory|[Ff]ailed to allocate|[Uu]nable to allocate"
)
"""How Python, C++, NumPy, MXNet, PyTorch, TensorFlow and JAX say that they could not have the memory they asked for."""


def available() -> int:
    """The memory in bytes that this machine has, or the control group of this process where that may have less."""
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for name in ("memory.max", "memory.limit_in_bytes"):  # versions 2 and 1
        with contextlib.suppress(OSError, ValueError):  # "max" where there is no limit
            limits.append(int((_group() / name).read_text(encoding="ascii")))
    return min(limits)


def oom_kills() -> int | None:
    """How many processes of this control group the kernel has ended for want of memory; None where it does not say.

    Without control groups, how many of the whole machine.
    """
    for path in (_group() / "memory.events", _group() / "memory.oom_control", Path("/proc/vmstat")):
        with contextlib.suppress(OSError):
            if said := re.search(r"^oom_kill (\d+)$", path.read_text(encoding="ascii"), re.MULTILINE):
                return int(said[1])
    return None


def _group(own: Path = Path("/proc/self/cgroup"), mounted: Path = Path("/sys/fs/cgroup")) -> Path:
    """The folder of the control group that counts this process's memory; one that is not there, where none does."""
    with contextlib.suppress(OSError):
        lines = [line.split(":", 2) for line in own.read_text(encoding="utf-8").splitlines()]
        first = [mounted / "memory" / path.lstrip("/") for _, names, path in lines if "memory" in names.split(",")]
        second = [mounted / path.lstrip("/") for number, _, path in lines if number == "0"]
        # in a container the path may be that of the host, and what is mounted the group itself
        places = [*first, mounted / "memory"] if first else [*second, mounted]
        return next((place for place in places if place.is_dir()), places[-1])
    return mounted / "none"


MEMORY_LIMIT = max(LEAST, available() // 2)
"""Bytes of data that a worker may hold, unless it is told otherwise: half of what there is.

Enough for any problem that this machine can run beside its reference, which the controller computes; and little enough
that a problem which asks for the impossible is refused by its framework, with a message, long before the kernel must
choose a process to end. Several workers may still want too much together: the kernel then takes a worker first.
"""
