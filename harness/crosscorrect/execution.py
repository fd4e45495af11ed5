"""A run in this process: a lane, which is a thread and a worker, for each framework."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crosscorrect.lane import Lane
from crosscorrect.ledger import Ledger
from crosscorrect.plan import Preparation
from crosscorrect.team import Team

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from crosscorrect.plan import Plan
    from crosscorrect.store import Segment


class Execution:
    """A plan at work; iterating gives its events as they happen: greetings and checks, and what else lanes emit.

    Every row is in the segment before it is given. ``make`` makes another kind of lane from the same arguments.
    """

    def __init__(
        self, plan: Plan, segment: Segment, ledger: Ledger | None = None, make: Callable[..., Lane] = Lane
    ) -> None:
        self._team = Team()
        preparation = Preparation(plan.seed, len(plan.frameworks))
        shared = (segment, preparation, self._team.say, self._team.stop, ledger or Ledger())
        self.lanes = [make(plan, framework, *shared) for framework in plan.frameworks]
        self._team.start(lane.run for lane in self.lanes)

    def __iter__(self) -> Iterator[Any]:
        """Every event. Raises what went wrong in a lane."""
        return iter(self._team)

    def drain(self, seconds: float) -> None:
        """Let each lane finish the units at hand and begin no other, for so many seconds at most."""
        self._team.stop.set()
        self._team.wait(seconds)

    def close(self) -> None:
        """Give the run up: whatever is still being asked is not written down; every worker ends."""
        self._team.stop.set()
        for lane in self.lanes:
            lane.abandon()
        self._team.wait()
