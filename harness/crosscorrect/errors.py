"""The exceptions a person may meet, each with the exit code of the command it ends.

CrosscorrectError
├── UsageError          exit 2   a request that cannot be meant: option, framework, folder
│   └── CaseError       exit 2   a case file, with file, line, key, value and remedy
├── IncompleteError     exit 3   something asked for is not there: interpreter, worker, shard
├── DamagedError        exit 65  what a run folder holds is not what was written there
├── LogError            exit 74  a run's log cannot be written: what was judged until then is kept
└── LockedError         exit 75  another process has the run folder
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from crosscorrect.model import Exit

if TYPE_CHECKING:
    from pathlib import Path


class CrosscorrectError(Exception):
    """Base of all; its text is shown to the person as it is, without a traceback."""

    exit_code = Exit.USAGE


class UsageError(CrosscorrectError):
    """A request that cannot be carried out as asked."""


class CaseError(UsageError):
    """A defect in a case file, told as ``file:line: key: problem (got value); remedy`` on one line.

    What the file says is cut short and shown in printable characters: it may come from anyone, and terminals obey much.
    """

    def __init__(
        self,
        problem: str,
        *,
        file: Path | str,
        line: int | None = None,
        key: str = "",
        value: object = None,
        remedy: str = "",
    ) -> None:
        place = f"{file}:{line}" if line is not None else str(file)
        shown = "" if value is None else f" (got {_short(_text(value))})"
        hint = f"; {remedy}" if remedy else ""
        where = f"{_short(_shown(key), 200)}: " if key else ""
        super().__init__(inert(f"{place}: {where}{_short(problem, 500)}{shown}{hint}"))
        self.file, self.line, self.key, self.value, self.remedy = file, line, key, value, remedy


class IncompleteError(CrosscorrectError):
    """Something the run needs is missing or could not be started."""

    exit_code = Exit.INCOMPLETE


class DamagedError(CrosscorrectError):
    """A run folder holds what crosscorrect did not write, or not so."""

    exit_code = Exit.DAMAGED


class LogError(CrosscorrectError):
    """The log of a run cannot be written; the run can be resumed once it can."""

    exit_code = Exit.LOG


class LockedError(CrosscorrectError):
    """Another process has the run folder."""

    exit_code = Exit.LOCKED


def inert(text: object) -> str:
    """One line of printable characters, the others as escapes: no terminal obeys anything in it, none becomes code."""
    shown = str(text)
    if shown.isprintable():
        return shown  # nearly all that is said
    return "".join(c if c.isprintable() else " " if c.isspace() else repr(c)[1:-1] for c in shown)


def _text(value: object) -> str:
    return f"'{_shown(value)}'" if isinstance(value, str) else repr(value)


def _shown(text: str) -> str:
    return text if text.isprintable() else repr(text)[1:-1]


def _short(text: str, limit: int = 80) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
