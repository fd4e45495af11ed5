"""What a worker says of its own state beside its answers, so that one which is no longer what it was is replaced."""

from __future__ import annotations

import os
import time
from typing import Any, Dict

EVERY = 0.1
"""Seconds between two looks at most: one takes 0.05 ms, as long as a small call."""


class Vitals:
    """Memory (bytes), threads, open descriptors, children and working directory of this process, where /proc has it."""

    def __init__(self) -> None:
        self._next = 0.0
        self._page = os.sysconf("SC_PAGE_SIZE")

    def read(self) -> Dict[str, Any]:
        """What there is to say; nothing where the last look was a moment ago, or where there is no /proc."""
        now = time.monotonic()
        if now < self._next:
            return {}
        self._next = now + EVERY
        try:
            with open("/proc/self/statm", "rb") as stream:
                held = int(stream.read().split()[1]) * self._page
            tasks = os.listdir("/proc/self/task")
            children = 0
            for task in tasks:
                with open(f"/proc/self/task/{task}/children", "rb") as stream:
                    children += len(stream.read().split())
            return {
                "memory": held,
                "threads": len(tasks),
                "descriptors": len(os.listdir("/proc/self/fd")),
                "children": children,
                "folder": os.getcwd(),
            }
        except FileNotFoundError:  # no /proc, or a working directory that was removed
            return {"folder": ""}
        except (OSError, ValueError, IndexError):
            return {}
