"""What travels to an agent: the brief of a run, once, and then leases, each some of its problems for one framework."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crosscorrect.errors import UsageError
from crosscorrect.plan import Plan
from crosscorrect.registry import locate
from crosscorrect.selection import Selection
from crosscorrect.shipped import shipped_suites
from crosscorrect.spans import Shard, Span
from crosscorrect.suite import load_suite

if TYPE_CHECKING:
    from collections.abc import Mapping


SECONDS = 5.0
"""About how long a lease takes: long beside what it costs to hand one out, short beside a run."""
MOST = 5000
"""How many problems a lease has at most."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The problems of one framework between two places of a run's selection.

    ``number`` is that of the log which it is carried out into, ``skip`` are the units of it (``ledger.unit_key`` in
    hex) that have their verdicts.
    """

    number: int
    framework: str
    start: int
    stop: int
    skip: tuple[str, ...] = ()

    @property
    def span(self) -> Span:
        """The places."""
        return Span(self.start, self.stop)

    def text(self) -> str:
        """One line of JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def read(cls, text: str) -> Lease:
        """The lease of a line."""
        said = json.loads(text)
        return cls(**{**said, "skip": tuple(said["skip"])})


@dataclass(frozen=True, slots=True)
class Brief:
    """All that an agent must know of a run, in plain values.

    ``suites`` are (name, path, digest); a shipped one is found by its name wherever the agent is. ``pythons`` and
    ``adapters`` are as the person gave them, ``versions`` what has answered for each framework so far.
    """

    suites: tuple[tuple[str, str, str], ...]
    only: tuple[str, ...]
    level: str
    shard: tuple[int, int] | None
    frameworks: tuple[str, ...]
    pythons: Mapping[str, str]
    adapters: Mapping[str, str]
    modes: tuple[str, ...]
    devices: tuple[str, ...]
    arithmetic: str
    limit: float | None
    seed: int
    memory: int | None

    def text(self) -> str:
        """One line of JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def read(cls, text: str) -> Brief:
        """The brief of a line."""
        said: dict[str, Any] = json.loads(text)
        for key in ("only", "frameworks", "modes", "devices"):
            said[key] = tuple(said[key])
        said["suites"] = tuple(tuple(suite) for suite in said["suites"])
        said["shard"] = None if said["shard"] is None else tuple(said["shard"])
        return cls(**said)

    def selection(self) -> Selection:
        """The problems of the run. Raises UsageError where a suite is not the one that the run is about."""
        suites = []
        for name, path, digest in self.suites:
            suite = load_suite(shipped_suites().get(name, Path(path)))
            if suite.digest != digest:
                raise UsageError(f"the suite {name} is another one here ({suite.path}); install the same crosscorrect")
            suites.append(suite)
        return Selection(suites, self.only, self.level, None if self.shard is None else Shard(*self.shard))

    def plan(self, framework: str, selection: Selection) -> Plan:
        """The plan for one framework. Raises IncompleteError where it is not to be had here."""
        pythons = {name: Path(path) for name, path in self.pythons.items()}
        return Plan(
            problems=selection,
            frameworks=[locate(framework, pythons, dict(self.adapters))],
            modes=self.modes,
            devices=self.devices,
            arithmetic=self.arithmetic,
            limit=self.limit,
            seed=self.seed,
            memory=self.memory,
        )
