"""A suite as a pytest file, each of its problems as an item with markers, and what a failing one says."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from crosscorrect.adapter import MODES, SPELLINGS
from crosscorrect.errors import CaseError, inert
from crosscorrect.gate import as_expected
from crosscorrect.model import Direction, Exit, Outcome
from crosscorrect.problem import DTYPES, LEVELS, OPERATIONS
from crosscorrect.pytest_plugin import REMEDY, SESSION, here
from crosscorrect.registry import adapters
from crosscorrect.suite import load_suite
from crosscorrect.tables import check_record

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from crosscorrect.model import Check
    from crosscorrect.problem import Problem
    from crosscorrect.pytest_session import Session

MARKERS = {
    "operation": OPERATIONS,
    "dtype": DTYPES,
    "direction": tuple(direction.value for direction in Direction),
    "level": LEVELS,
    "mode": MODES,
    "spelling": SPELLINGS,
}
"""The markers that every session has, by what they are about."""
MEANT = ("filterwarnings", "parametrize", "skip", "skipif", "timeout", "tryfirst", "trylast", "usefixtures", "xfail")
"""Markers that pytest, or a plugin that many have, does something about: no suite's name becomes one."""


def register(config: pytest.Config, session: Session) -> None:
    """Register the markers, so that ``--strict-markers`` knows them; those of suites come when one is collected."""
    about = {**MARKERS, "framework": tuple(dict.fromkeys((*adapters(), *session.frameworks)))}
    for kind, names in about.items():
        for name in names:
            config.addinivalue_line("markers", f"{name}: a crosscorrect problem of this {kind}")


class SuiteFile(pytest.File):
    """One YAML suite; its items are its problems in each framework and mode."""

    def collect(self) -> Iterator[pytest.Item]:
        """One item per problem, framework and mode. A defect in the file is a collection error."""
        session = self.config.stash[SESSION]
        try:
            suite = load_suite(self.path)
            suite.check_frameworks(session.frameworks)
            problems = list(session.selection([suite]))
        except CaseError as error:
            raise self.CollectError(str(error)) from None
        marker = "" if suite.name in MEANT else suite.name
        if marker:
            self.config.addinivalue_line("markers", f"{marker}: a problem of this crosscorrect suite")
        own = self.nodeid or self.path.as_posix()  # a file outside of the root that was named has no id
        for problem in problems:
            for framework, mode in session.places(problem):
                name = f"{problem.id.partition('/')[2]}[{framework}-{mode}]"
                about = {"problem": problem, "framework": framework, "mode": mode}
                # pytest reads ids that it has kept for --lf as a name and what stands in brackets behind it
                item = Item.from_parent(self, name=name, nodeid=f"{own}::{name}", **about)
                if marker:
                    item.add_marker(marker)
                yield item


class Item(pytest.Item):
    """One problem in one mode of one framework."""

    def __init__(self, *, problem: Problem, framework: str, mode: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.problem, self.framework, self.mode = problem, framework, mode
        marks = (framework, mode, problem.operation, problem.dtype, problem.level, problem.spelling)
        for marker in dict.fromkeys((*marks, *(direction.value for direction in problem.directions))):
            self.add_marker(marker)

    def runtest(self) -> None:
        """Solve the problem and compare each check with what is expected of it."""
        session = self.config.stash[SESSION]
        lane = session.lane(self.framework)
        if lane.supply.missing:
            self._end(_remedied(lane.supply.missing))
        if self.mode not in lane.modes:
            pytest.skip(f"{self.framework} does not offer mode {self.mode} here")
        if self.problem.spelling not in lane.spellings:
            pytest.skip(f"{self.framework} does not offer the spelling {self.problem.spelling}")
        rows = lane.solve(self.problem, self.mode, session.device)
        self._describe(rows, session.version(self.framework))
        expected = session.expected(self.framework)
        entries = [expected.of(r.problem, r.direction, r.mode, r.device) for r in rows]
        judged = [(row, as_expected(check_record(row), e), e) for row, e in zip(rows, entries, strict=True)]
        # who asks for expected failures as failures gets them
        strict = self.config.getoption("runxfail")
        surprises = [
            (row, said or f"{row.framework} {row.mode} {row.problem} {row.direction}: {row.outcome}: {row.message}")
            for row, said, _ in judged
            if said or (strict and row.outcome is not Outcome.PASS)
        ]
        if surprises:
            raise ConformanceError(surprises, self._commands(session))
        reasons = [e.reason for row, _, e in judged if e is not None and row.outcome is not Outcome.PASS]
        if reasons:
            pytest.xfail("; ".join(dict.fromkeys(reasons)))

    def _end(self, told: str) -> NoReturn:
        """End the session: nothing that follows can be asked. A worker of xdist cannot end it, and fails instead."""
        if not hasattr(self.config, "workerinput"):
            pytest.exit(told, returncode=Exit.INCOMPLETE)
        self.session.shouldfail = told
        pytest.fail(told, pytrace=False)

    def _describe(self, rows: list[Check], version: str) -> None:
        """Properties for JUnit XML: what was asked of whom, and what came of each direction."""
        told = {"problem": self.problem.id, "framework": self.framework, "version": version, "mode": self.mode}
        self.user_properties += told.items()
        for row in rows:
            self.user_properties.append((f"outcome {row.direction}", str(row.outcome)))
            if row.ratio is not None:
                self.user_properties.append((f"error over bound {row.direction}", f"{row.ratio:.3g}"))

    def _commands(self, session: Session) -> list[str]:
        """What to type next: where the rows are kept, what explains them, else what asks the problem again."""
        name, problem = self.framework, self.problem.id
        if session.shard is not None:
            return [f"why:   {shlex.join(['crosscorrect', 'explain', str(session.shard), problem, '-f', name])}"]
        own = {"--adapter": session.targets.get(name), "--python": session.pythons.get(name)}
        asked = ["crosscorrect", "run", str(self.path), "-f", name]
        asked += [word for option, value in own.items() if value is not None for word in (option, f"{name}={value}")]
        asked += [] if self.mode == "eager" else ["-m", self.mode]
        asked += [] if session.device == "cpu" else ["-d", session.device]
        asked += [] if session.expectations is None else ["--expectations", str(session.expectations)]
        return [f"again: {shlex.join([*asked, '-k', problem])}"]

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """The findings alone: the Python stack of this plugin explains nothing."""
        if isinstance(excinfo.value, ConformanceError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """The line of the case in its file."""
        return self.path, None if self.problem.line is None else self.problem.line - 1, self.problem.id


class ConformanceError(Exception):
    """A problem whose checks are not as expected: each with its finding, worst element and cause, and what to type."""

    def __init__(self, surprises: list[tuple[Check, str]], commands: list[str]) -> None:
        lines = [line for row, said in surprises for line in (*said.splitlines(), *_details(row))]
        for text in dict.fromkeys(row.stderr for row, _ in surprises if row.stderr):
            lines += ["the worker printed:", *text.splitlines()]
        super().__init__("\n".join(map(inert, (*lines, *commands))))


def _details(row: Check) -> Iterator[str]:
    """The worst element of a check, and its cause where one is known."""
    if row.where:
        beyond = "" if row.ratio is None else f", error over bound {row.ratio:.3g}"
        yield f"  at ({row.where}): expected {row.expected!r}, got {row.got!r}{beyond}"
    if row.diagnosis:
        yield f"  cause: {row.diagnosis}"


def _remedied(message: str) -> str:
    """Why a framework does not start, and what to do."""
    told = here(message)
    if REMEDY in told:
        return told
    return f"{told}; install the framework there, or name the interpreter that it lives in with {REMEDY}"
