"""Why a worker may no longer be what it was, from what it says of itself: then another takes its place."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from crosscorrect.memory import GIB, NO_MEMORY

if TYPE_CHECKING:
    from collections.abc import Mapping

MORE = {"memory": 2 * GIB, "threads": 128, "descriptors": 512, "children": 64}
"""By how much each may grow after the first answer. Compilers' pools and caches stay below: torch.compile starts a
process per core, XLA a pool of threads, and the suites of all four frameworks grow a worker by less than 1.5 GiB."""
SHARE = 0.8
"""From this share of the memory that it may have on, a worker is replaced before it is refused any."""


@dataclass(slots=True)
class Suspicion:
    """What speaks against a worker. ``limit`` is the memory in bytes that it may have."""

    limit: int | None = None
    reason: str = ""
    _first: dict[str, Any] = field(default_factory=dict)

    def hear(self, reply: Mapping[str, Any]) -> None:
        """Take one reply of the worker."""
        if reply.get("outcome") == "raised" and NO_MEMORY.search(f"{reply['exception']}: {reply['message']}"):
            self.reason = "an allocation failed"
        vitals = reply.get("vitals")
        if not isinstance(vitals, dict) or not vitals:
            return
        if not self._first:
            self._first = vitals
        for name, more in MORE.items():
            now, before = vitals.get(name), self._first.get(name)
            if isinstance(now, int) and isinstance(before, int) and now > before + more:
                self.reason = f"its {name} grew from {before} to {now}"
        held = vitals.get("memory")
        if self.limit is not None and isinstance(held, int) and held > SHARE * self.limit:
            self.reason = f"its memory came to {held} of {self.limit} bytes"
        if vitals.get("folder") != self._first.get("folder"):
            self.reason = "its working directory changed"
