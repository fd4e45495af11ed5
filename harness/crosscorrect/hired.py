"""An agent process from the side of whoever hands it leases."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from crosscorrect import errors
from crosscorrect.model import Check
from crosscorrect.plan import Greeting

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from crosscorrect.errors import CrosscorrectError
    from crosscorrect.lease import Brief, Lease

Said = dict[str, Any]
"""One line that an agent says: ``what`` and what goes with it."""
END_SECONDS = 5.0


class Hired:
    """A live agent that knows its brief; ``folder`` is where its logs go."""

    def __init__(self, folder: Path, brief: Brief) -> None:
        self.folder = folder
        self._process = subprocess.Popen(  # noqa: S603  our own module
            [sys.executable, "-m", "crosscorrect.agent", str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
            start_new_session=True,
        )
        self._tell(brief.text())

    @property
    def alive(self) -> bool:
        """Whether the process is there."""
        return self._process.poll() is None

    def carry_out(self, lease: Lease) -> Iterator[Said]:
        """Hand it a lease; what it says until the lease is ``done`` or ``failed``, which comes last, or it dies."""
        self._tell(lease.text())
        assert self._process.stdout is not None  # noqa: S101  it is a pipe
        for line in self._process.stdout:
            try:
                said: Said = json.loads(line)
            except ValueError:  # torn by its death
                return
            yield said
            if said["what"] in ("done", "failed"):
                return

    def drain(self) -> None:
        """Let it finish the problem at hand and then end."""
        assert self._process.stdin is not None  # noqa: S101  it is a pipe
        with contextlib.suppress(OSError):
            self._process.stdin.close()

    def kill(self) -> None:
        """End it at once; its worker dies with it."""
        self._process.kill()

    def end(self) -> None:
        """End it, at once if it does not by itself."""
        self.drain()
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        assert self._process.stdout is not None  # noqa: S101  it is a pipe
        self._process.stdout.close()

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None  # noqa: S101  it is a pipe
        with contextlib.suppress(BrokenPipeError):  # its death shows at the other pipe
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()


class News:
    """Tells which events of many agents are news: checks, and of each framework the first greeting."""

    def __init__(self) -> None:
        self._greeted: set[str] = set()

    def __call__(self, event: Check | Greeting) -> bool:
        """Whether this one is; asked once of each."""
        if not isinstance(event, Greeting):
            return True
        is_first = event.framework not in self._greeted
        self._greeted.add(event.framework)
        return is_first


def events_of(said: Said) -> list[Check | Greeting]:
    """The events that a line tells. Raises the exception of one that says why the agent failed."""
    if said["what"] == "failed":
        raise _error(said)
    if said["what"] == "checks":
        return [check_of(row) for row in said["rows"]]
    return [Greeting(said["framework"], said["hello"], said["message"])]


def check_of(row: dict[str, Any]) -> Check:
    """The check of a short record."""
    return Check(**{**row, "arrays": json.loads(row.get("arrays", "{}"))})


def _error(said: Said) -> CrosscorrectError:
    """The agent's exception again, by its name; a CaseError, which is made of parts, as what it is a kind of."""
    kind = getattr(errors, said["kind"], errors.UsageError)
    return errors.UsageError(said["message"]) if kind is errors.CaseError else kind(said["message"])
