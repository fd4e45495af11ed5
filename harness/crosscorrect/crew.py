"""A plan at work in several agent processes of this machine, each with a worker: for one that has cores to spare.

Leases are handed out framework by framework; an agent stays with its framework while there are leases of it. A lease
whose agent died goes to another, without what has its verdicts in the log that the dead one left.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from crosscorrect import ledger, log
from crosscorrect.adapter import MODES
from crosscorrect.errors import IncompleteError
from crosscorrect.hired import Hired, News, events_of
from crosscorrect.lease import MOST, SECONDS, Lease
from crosscorrect.team import Team

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from crosscorrect.lease import Brief
    from crosscorrect.ledger import Ledger
    from crosscorrect.model import Check
    from crosscorrect.plan import Greeting
    from crosscorrect.selection import Selection
    from crosscorrect.spans import Span

LOSSES = 12
"""So many agents in a row may die on one lease without a verdict between them; then the run ends."""


@dataclass(slots=True)
class Leases:
    """The leases of a run that are still to be carried out, made when they are asked for. Safe between threads.

    ``numbers`` begins after the logs that the run folder has.
    """

    brief: Brief
    selection: Selection
    done: Ledger
    number: int
    waiting: dict[str, Iterator[Lease]] = field(init=False)
    returned: deque[Lease] = field(default_factory=deque)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.waiting = {name: self._cut(name) for name in self.brief.frameworks}

    def take(self, framework: str = "") -> Lease | None:
        """The next lease, of this framework if there is one; None where there are no more."""
        with self.lock:
            if self.returned:
                return self.returned.popleft()
            others = sorted(self.waiting, key=lambda name: name != framework)
            for name in others:
                lease = next(self.waiting[name], None)
                if lease is not None:
                    # the one that was taken from last comes last, so that agents begin with different frameworks
                    self.waiting[name] = self.waiting.pop(name)
                    return replace(lease, number=self._next())
                del self.waiting[name]
            return None

    def give_back(self, lease: Lease, logged: Path) -> bool:
        """What of a lease has no verdict is to be taken again; returns whether it had come further."""
        made = ledger.read([logged]) if logged.exists() else ledger.Ledger()
        skip = {*lease.skip, *(key.hex() for key in made.done)}
        with self.lock:
            self.returned.append(replace(lease, number=self._next(), skip=tuple(sorted(skip))))
        return len(skip) > len(lease.skip)

    def _next(self) -> int:
        self.number += 1
        return self.number - 1

    def _cut(self, framework: str) -> Iterator[Lease]:
        for span in self.selection.spans(SECONDS, MOST):
            skip: tuple[str, ...] = ()
            if self.done.done:
                skip, left = self._done_of(framework, span)
                if not left:
                    continue
            yield Lease(0, framework, span.start, span.stop, skip)

    def _done_of(self, framework: str, span: Span) -> tuple[tuple[str, ...], bool]:
        """What of a span has its verdicts, and whether anything may be left of it."""
        modes = self.brief.modes or MODES
        skip, left = [], False
        for problem in self.selection.of(span):
            for device in self.brief.devices:
                for mode in modes:
                    unit = {"problem": problem.id, "framework": framework, "mode": mode, "device": device}
                    key = ledger.unit_key(unit)
                    if key in self.done.done:
                        skip.append(key.hex())
                    else:
                        left = True
        return tuple(skip), left


class Crew:
    """A run at work in ``count`` agents; iterating gives its events, as an ``Execution`` does."""

    def __init__(self, brief: Brief, selection: Selection, folder: Path, done: Ledger, count: int) -> None:
        self._brief, self._folder = brief, folder
        self._leases = Leases(brief, selection, done, log.next_number(folder))
        self._team = Team()
        self._agents: set[Hired] = set()
        self._team.start([self._serve] * count)

    def __iter__(self) -> Iterator[Check | Greeting]:
        """Every greeting (the first of each framework) and check. Raises what went wrong in an agent."""
        return filter(News(), self._team)

    def drain(self, seconds: float) -> None:
        """Let each agent finish the problems at hand and begin no other, for so many seconds at most."""
        self._team.stop.set()
        for agent in list(self._agents):
            agent.drain()
        self._team.wait(seconds)

    def close(self) -> None:
        """Give the run up: every agent ends, and its worker with it."""
        self._team.stop.set()
        for agent in list(self._agents):
            agent.kill()
        self._team.wait()

    def _serve(self) -> None:
        """One agent's thread: leases until there are none."""
        agent: Hired | None = None
        lease, losses = self._leases.take(), 0
        try:
            while lease is not None and not self._team.stop.is_set():
                if agent is None:
                    agent = Hired(self._folder, self._brief)
                    self._agents.add(agent)
                if self._is_done(agent, lease):
                    losses = 0
                elif not self._team.stop.is_set():
                    self._end(agent)
                    agent = None
                    further = self._leases.give_back(lease, self._folder / log.name(lease.number))
                    losses = 0 if further else losses + 1
                    _check_losses(lease, losses)
                lease = self._leases.take(lease.framework)
        finally:
            if agent is not None:
                self._end(agent)

    def _is_done(self, agent: Hired, lease: Lease) -> bool:
        """Hand a lease to an agent and pass its events on; whether it was finished."""
        for said in agent.carry_out(lease):
            if said["what"] == "done":
                return True
            self._team.say(events_of(said))
        return False

    def _end(self, agent: Hired) -> None:
        agent.end()
        self._agents.discard(agent)


def _check_losses(lease: Lease, losses: int) -> None:
    if losses == LOSSES:
        raise IncompleteError(
            f"{LOSSES} agents died one after the other on problems {lease.start} to {lease.stop} of "
            f"{lease.framework}; the same command with --resume goes on"
        )
