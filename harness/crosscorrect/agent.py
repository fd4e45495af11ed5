"""A process that carries out leases: it is told a brief, then lease after lease, and answers with what happens.

Run as ``python -m crosscorrect.agent FOLDER``. Lines of JSON come in on standard input: the brief, then leases; the
end of the input ends it once the problem at hand is done. Lines of JSON go out on standard output: each event, and
``done`` with the number of a lease whose log is complete in FOLDER.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import threading
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from crosscorrect import garbage
from crosscorrect.errors import CrosscorrectError
from crosscorrect.lane import Lane
from crosscorrect.lease import Brief, Lease
from crosscorrect.ledger import Ledger
from crosscorrect.plan import Preparation
from crosscorrect.selection import ordered
from crosscorrect.store import Segment
from crosscorrect.tables import short_record

if TYPE_CHECKING:
    from typing import TextIO

    from crosscorrect.model import Check
    from crosscorrect.plan import Greeting


class Agent:
    """Carries out the leases of one run, one after the other; the worker of the last framework stays for the next."""

    def __init__(self, folder: Path, brief: Brief, out: TextIO) -> None:
        self._folder, self._brief, self._out = folder, brief, out
        self._selection = brief.selection()
        self._lane: Lane | None = None
        self._kept = 0
        self.stop = threading.Event()

    def carry_out(self, lease: Lease) -> None:
        """Put the problems of a lease to its framework; its log is then complete, unless the agent was stopped."""
        segment = Segment(self._folder, lease.number, self._kept)
        try:
            lane = self._ready(lease.framework, segment)
            lane.ledger.done = {bytes.fromhex(key) for key in lease.skip}
            lane.work(ordered(self._selection.of(lease.span)))
        finally:
            self._kept = segment.kept
            segment.close()
        if not self.stop.is_set():
            self.say("done", number=lease.number)

    def close(self) -> None:
        """End the worker."""
        if self._lane is not None:
            self._lane.supply.close_all()

    def say(self, what: str, **rest: Any) -> None:
        """Send one line; when nobody reads any more, the agent is to stop."""
        try:
            self._out.write(json.dumps({"what": what, **rest}) + "\n")
            self._out.flush()
        except BrokenPipeError:
            self.stop.set()

    def _ready(self, framework: str, segment: Segment) -> Lane:
        if self._lane is not None and self._lane.framework.name == framework:
            self._lane.segment = segment
            return self._lane
        self.close()
        plan = self._brief.plan(framework, self._selection)
        preparation = Preparation(plan.seed)
        self._lane = Lane(plan, plan.frameworks[0], segment, preparation, self._hear, self.stop, Ledger())
        self._lane.greet()
        return self._lane

    def _hear(self, event: list[Check] | Greeting) -> None:
        if isinstance(event, list):
            self.say("checks", rows=[short_record(check) for check in event])
        else:
            self.say("greeting", framework=event.framework, hello=event.hello, message=event.message)


def main() -> None:
    """Serve until the input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started this stops it
    garbage.seldom()
    out = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8", errors="backslashreplace")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what anybody prints must not get between the lines
    lines: SimpleQueue[str] = SimpleQueue()
    agent: Agent | None = None

    def listen() -> None:
        for line in sys.stdin:
            lines.put(line)
        if agent is not None:
            agent.stop.set()
        lines.put("")

    try:
        agent = Agent(Path(sys.argv[1]), Brief.read(sys.stdin.readline()), out)
        threading.Thread(target=listen, daemon=True).start()
        while line := lines.get():
            agent.carry_out(Lease.read(line))
    except CrosscorrectError as error:
        told = {"what": "failed", "kind": type(error).__name__, "message": str(error)}
        with contextlib.suppress(BrokenPipeError):
            out.write(json.dumps(told) + "\n")
            out.flush()
    finally:
        if agent is not None:
            agent.close()


if __name__ == "__main__":
    main()
