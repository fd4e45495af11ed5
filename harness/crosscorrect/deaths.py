"""What ended a worker, in words, and whether somebody else did it."""

from __future__ import annotations

import signal

from crosscorrect.memory import GIB, NO_MEMORY

OUTSIDE = frozenset(
    {
        signal.SIGKILL,
        signal.SIGTERM,
        signal.SIGINT,
        signal.SIGHUP,
        signal.SIGQUIT,
        signal.SIGUSR1,
        signal.SIGUSR2,
        signal.SIGXCPU,
    }
)
"""What a person, a batch system or the kernel's OOM killer sends; a framework that is wrong ends by other signals."""

NEAR = 0.8
"""From this share of its limit on, the memory that a process held is worth a word about its death."""


def outside(code: int | None) -> bool:
    """Whether an exit code, negative for a signal, tells of somebody else's doing."""
    return code is not None and -code in OUTSIDE


def how(code: int | None) -> str:
    """The words that follow "the worker" for an exit code; None where nobody knows it."""
    if code is None:
        return "ended, and another part of this program took its exit code"
    return f"was killed by {_name(-code)}" if code < 0 else f"left with exit code {code}"


def by_kernel(code: int | None, before: int | None, after: int | None) -> str:
    """A clause for a death by SIGKILL while the counter of the kernel's OOM killer went up; else nothing."""
    struck = before is not None and after is not None and after > before
    return " while the kernel's OOM killer struck in its control group" if struck and code == -signal.SIGKILL else ""


def about_memory(held: int, limit: int | None, printed: str) -> str:
    """A clause for a process that held nearly what it might, or that said before its end that it was refused more."""
    if limit is None:
        return ""
    if held >= NEAR * limit:
        return f"; its memory had reached {in_gib(held)} of the {in_gib(limit)} GiB it may have"
    if NO_MEMORY.search(printed):
        return f"; it asked for memory that it did not get: it may have {in_gib(limit)} GiB"
    return ""


def in_gib(size: int) -> str:
    """A number of bytes in GiB, to three digits."""
    return f"{size / GIB:.3g}"


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # most of the real-time signals have none
        return f"signal {number}"
