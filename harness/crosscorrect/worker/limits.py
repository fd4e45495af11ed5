"""What a worker asks of the kernel before it imports much: to end with its controller, memory, processors."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from typing import List, Optional, Sequence

PR_SET_PDEATHSIG = 1
PR_SET_PTRACER = 0x59616D61
WORST = "1000"


def apply(parent: int, memory: Optional[int], cpus: Optional[Sequence[int]]) -> List[str]:
    """End with the controller, be the first to go when memory is short, hold at most ``memory`` bytes of data.

    Run on the processors ``cpus`` only: thread pools are made as large as these when a framework is imported.

    Returns, in sentences for a person, what this platform cannot do of that.
    """
    if sys.platform == "linux":
        _bind(parent)
    notes = [] if memory is None else _limit(memory)
    return notes if cpus is None else notes + _pin(cpus)


def _bind(parent: int) -> None:
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the request took hold
        os._exit(0)
    prctl(PR_SET_PTRACER, ctypes.c_ulong(parent), 0, 0, 0)  # lets it look at the stacks of a worker that hangs
    try:
        with open("/proc/self/oom_score_adj", "w") as score:
            score.write(WORST)  # the kernel shall take a worker, and not the controller
    except OSError:
        pass  # not every container has /proc writable; the limit below holds all the same


def _pin(cpus: Sequence[int]) -> List[str]:
    try:
        os.sched_setaffinity(0, cpus)
    except (AttributeError, OSError) as error:  # macOS has no such call
        return [f"it is not bound to the processors {list(cpus)}: {error}"]
    return []


def _limit(memory: int) -> List[str]:
    """Limit what is written to (``RLIMIT_DATA``), not the address space, of which XLA alone maps 1.5 GB."""
    try:
        import resource  # noqa: PLC0415  not every platform has it

        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        least = memory if hard == resource.RLIM_INFINITY else min(memory, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (least, least))
    except (ImportError, OSError, ValueError) as error:
        return [f"no limit of memory is in force here: {error}"]
    return []
