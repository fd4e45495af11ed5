"""pytest collects YAML suites as items: ``pytest --crosscorrect torch cases/`` with -k, -x, JUnit and xdist as usual.

Each item is one problem in one mode of one framework. It passes when every check is as the committed expectations say,
is an expected failure (xfail) where they list one, and fails otherwise, also when a listed failure passes. The rows go
to a run folder that ``crosscorrect merge`` and ``report`` read. Without ``--crosscorrect`` the plugin does nothing.
"""

from __future__ import annotations

import contextlib
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from crosscorrect.adapter import MODES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crosscorrect.expectations import Expectations
    from crosscorrect.lane import Lane
    from crosscorrect.problem import Problem
    from crosscorrect.selection import Selection
    from crosscorrect.store import Run, Segment
    from crosscorrect.suite import Suite

STATE = pytest.StashKey["_State"]()
SUFFIXES = (".yaml", ".yml")


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options, all of them about suites."""
    group = parser.getgroup("crosscorrect", "crosscorrect: collect YAML suites")
    group.addoption("--crosscorrect", metavar="NAME", help="run YAML suites through this framework")
    group.addoption("--crosscorrect-python", metavar="[NAME=]PATH", help="the framework's interpreter")
    group.addoption("--crosscorrect-mode", choices=[*MODES, "all"], default="eager", help="default: eager")
    group.addoption("--crosscorrect-level", choices=["smoke", "ci", "nightly"], default="ci", help="default: ci")
    group.addoption("--crosscorrect-device", default="cpu", metavar="DEVICE", help="default: cpu")
    group.addoption("--crosscorrect-shard", metavar="FOLDER", help="keep the rows in this run folder (replaced)")
    group.addoption("--crosscorrect-part", metavar="I/N", help="only part I of N of each suite, as run --shard I/N")
    group.addoption("--crosscorrect-expectations", metavar="FOLDER", help="expectations of your own")


def pytest_configure(config: pytest.Config) -> None:
    """Check the request before anything is collected."""
    if not config.getoption("--crosscorrect"):
        return
    from crosscorrect.errors import CrosscorrectError, IncompleteError
    from crosscorrect.problem import DTYPES, OPERATIONS

    for marker in (*OPERATIONS, *DTYPES):
        config.addinivalue_line("markers", f"{marker}: a crosscorrect problem of this operation or dtype")
    try:
        config.stash[STATE] = _State(config)
    except IncompleteError as error:
        pytest.exit(_here(str(error)), returncode=error.exit_code)
    except CrosscorrectError as error:
        raise pytest.UsageError(_here(str(error))) from None


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """A YAML file that says ``suite:`` is collected."""
    if STATE not in parent.config.stash or not _is_suite(file_path):
        return None
    return SuiteFile.from_parent(parent, path=file_path)


@pytest.hookimpl(optionalhook=True)  # a hook of xdist's, which may not be installed
def pytest_configure_node(node: Any) -> None:
    """Tell an xdist worker which folder its rows go to."""
    state = node.config.stash.get(STATE, None)
    if state is not None:
        node.workerinput["crosscorrect_shard"] = str(state.shard or "")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Stop the framework; in the process that began the session, finish the run folder."""
    state = session.config.stash.get(STATE, None)
    if state is not None:
        state.finish(session)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Say where the rows are."""
    state = config.stash.get(STATE, None)
    if state is not None and state.shard is not None:
        terminalreporter.write_line(f"crosscorrect: the rows of this run are in {state.shard}")


class _State:
    """One session's framework, plan and run folder; under xdist each worker process has its own lane and segment."""

    def __init__(self, config: pytest.Config) -> None:
        from crosscorrect.registry import locate
        from crosscorrect.spans import Shard

        self.name: str = config.getoption("--crosscorrect")
        python = config.getoption("--crosscorrect-python")
        self.framework = locate(self.name, {self.name: _interpreter(python, self.name)} if python else None)
        mode = config.getoption("--crosscorrect-mode")
        self.modes: tuple[str, ...] = MODES if mode == "all" else (mode,)
        self.plan_modes = () if mode == "all" else self.modes
        self.device: str = config.getoption("--crosscorrect-device")
        self.level: str = config.getoption("--crosscorrect-level")
        part = config.getoption("--crosscorrect-part")
        self.part = Shard.read(part) if part is not None else None
        folder = config.getoption("--crosscorrect-expectations")
        self.expectations_folder = Path(folder) if folder else None
        self._lane: Lane | None = None
        self._segment: Segment | None = None
        self._expected: Expectations | None = None
        told = getattr(config, "workerinput", None)  # what an xdist worker hears from where the session began
        self.begun_elsewhere = told is not None
        given = config.getoption("--crosscorrect-shard") if told is None else told["crosscorrect_shard"]
        if given and not self.begun_elsewhere:
            _check_folder(given)
        self.shard = Path(given).absolute() if given else None
        if self.shard is not None and not self.begun_elsewhere:
            self._begin(self.shard)

    def _begin(self, shard: Path) -> None:
        from crosscorrect import store

        if shard.exists():
            store.read_info(shard)  # only a run folder is ever replaced
            shutil.rmtree(shard)
        store.create(shard.parent, shard.name, {"frameworks": [self.name]}, latest=False)

    def selection(self, suites: list[Suite]) -> Selection:
        """What this session is about in these suites; each is dealt into parts by itself, as it is collected."""
        from crosscorrect.selection import Selection

        return Selection(suites, (), self.level, self.part)

    def lane(self) -> Lane:
        """The lane of this process, started when the first item needs it."""
        from crosscorrect import store
        from crosscorrect.lane import Lane
        from crosscorrect.plan import Plan

        if self._lane is None:
            if self.shard is None:
                import tempfile

                self._scratch = tempfile.TemporaryDirectory(prefix="crosscorrect-")
                folder = Path(self._scratch.name)
            else:
                folder = self.shard
            self._segment = store.Segment(folder)
            plan = Plan([], [self.framework], self.plan_modes, (self.device,))
            self._lane = Lane(plan, self.framework, self._segment)
            self._lane.greet()
        return self._lane

    def expected(self) -> Expectations:
        """What the committed expectations say of the framework in the version that runs here."""
        from crosscorrect import expectations

        if self._expected is None:
            worker = self.lane().supply.worker
            version = worker.hello["versions"].get(self.name, "") if worker is not None else ""
            self._expected = expectations.load(self.name, version, self.expectations_folder)
        return self._expected

    def finish(self, session: pytest.Session) -> None:
        """Stop this process's worker; where the session began, seal the folder."""
        from crosscorrect import store

        if self._lane is not None:
            self._lane.supply.close_all()
        if self._segment is not None:
            self._segment.close()
        if hasattr(self, "_scratch"):
            self._scratch.cleanup()
        if self.shard is not None and not self.begun_elsewhere:
            ran = store.load(self.shard)
            store.write_info(self.shard, {**ran.info, **self._describe(session.config.args, ran)})
            store.seal(self.shard)

    def _describe(self, arguments: list[str], ran: Run) -> dict[str, Any]:
        """What ``run.json`` says. Under xdist this process collects nothing, so it reads the suites again."""
        from crosscorrect.plan import Plan, describe

        done = set(zip(ran.checks["problem"], ran.checks["mode"], strict=True))
        names = set(ran.checks["suite"])
        # a small suite may have nothing in this part, and belongs to the whole all the same
        suites = [s for s in _readable(_suite_files(arguments)) if self.part is not None or s.name in names]
        problems = [problem for suite in suites for problem in self.selection([suite])]
        offered = ran.env[(ran.env["section"] == "offer") & (ran.env["key"] == "modes")]["value"]
        modes = set(self.plan_modes) or {mode for value in offered for mode in value.split(", ")}
        spelt = ran.env[(ran.env["section"] == "offer") & (ran.env["key"] == "spellings")]["value"]
        spellings = {spelling for value in spelt for spelling in value.split(", ")}
        about = [p for p in problems if (not p.only or self.name in p.only) and p.spelling in spellings]
        whole = {(p.id, mode) for p in about for mode in modes if not p.modes or mode in p.modes}
        described = describe(Plan(self.selection(suites), [self.framework], self.plan_modes, (self.device,)))
        share = {} if self.part is None else {"share": len(problems)}  # each suite was dealt by itself
        return {**described, **share, "filter": [] if whole <= done else ["pytest selection"]}


class SuiteFile(pytest.File):
    """One YAML suite; its items are its problems in each mode."""

    def collect(self) -> Iterator[pytest.Item]:
        """One item per problem and mode that is about this framework. A defect in the file is a collection error."""
        from crosscorrect.errors import CaseError
        from crosscorrect.suite import load_suite

        state = self.config.stash[STATE]
        try:
            suite = load_suite(self.path)
            suite.check_frameworks([state.name])
            problems = list(state.selection([suite]))
        except CaseError as error:
            raise self.CollectError(str(error)) from None
        for problem in problems:
            if problem.only and state.name not in problem.only:
                continue
            for mode in state.modes:
                if not problem.modes or mode in problem.modes:
                    name = f"{problem.id.partition('/')[2]}[{state.name}-{mode}]"
                    yield Item.from_parent(self, name=name, problem=problem, mode=mode)


class Item(pytest.Item):
    """One problem in one mode of one framework."""

    def __init__(self, *, problem: Problem, mode: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.problem, self.mode = problem, mode
        self.add_marker(problem.operation)
        self.add_marker(problem.dtype)

    def runtest(self) -> None:
        """Solve the problem and compare each check with what is expected of it."""
        from crosscorrect.gate import as_expected
        from crosscorrect.tables import check_record

        state = self.config.stash[STATE]
        lane = state.lane()
        if lane.supply.missing:
            pytest.exit(_remedied(lane.supply.missing), returncode=3)
        if self.mode not in lane.modes:
            pytest.skip(f"{state.name} does not offer mode {self.mode} here")
        if self.problem.spelling not in lane.spellings:
            pytest.skip(f"{state.name} does not offer the spelling {self.problem.spelling}")
        rows = lane.solve(self.problem, self.mode, state.device)
        expected = state.expected()
        entries = [expected.of(r.problem, r.direction, r.mode, r.device) for r in rows]
        surprises = [as_expected(check_record(r), e) for r, e in zip(rows, entries, strict=True)]
        if any(surprises):
            raise ConformanceError([s for s in surprises if s], [r.stderr for r in rows if r.stderr])
        reasons = [e.reason for r, e in zip(rows, entries, strict=True) if e is not None and r.outcome != "pass"]
        if reasons:
            pytest.xfail(reasons[0])

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """The findings alone: the Python stack of this plugin explains nothing."""
        if isinstance(excinfo.value, ConformanceError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """The line of the case in its file."""
        return self.path, None if self.problem.line is None else self.problem.line - 1, self.problem.id


class ConformanceError(Exception):
    """A problem whose checks are not as expected."""

    def __init__(self, findings: list[str], printed: list[str]) -> None:
        super().__init__("\n".join([*findings, *(f"the worker printed:\n{text}" for text in printed)]))


REMEDY = "--crosscorrect-python PATH"


def _check_folder(given: str) -> None:
    """Refuse a part where a folder is meant. Raises UsageError."""
    from crosscorrect.errors import UsageError

    if re.fullmatch(r"[0-9]+/[0-9]+", given):
        problem = "is where the rows go, a folder"
        raise UsageError(f"--crosscorrect-shard {problem}; part {given} of the problems is --crosscorrect-part {given}")


def _interpreter(given: str, framework: str) -> Path:
    """The path in ``PATH`` or ``NAME=PATH``. Raises UsageError where NAME is not the framework of this session."""
    from crosscorrect.errors import UsageError

    name, separator, path = given.partition("=")
    if not separator or "/" in name:  # an equals sign inside a path
        return Path(given)
    if name != framework or not path:
        raise UsageError(f"--crosscorrect-python {given!r} is no interpreter of {framework}; write {REMEDY}")
    return Path(path)


def _here(message: str) -> str:
    """A message of the harness with this plugin's option where it names the command line's."""
    return re.sub(r"(?<!\S)--python (?:\S+=)?PATH", REMEDY, message)


def _remedied(message: str) -> str:
    """Why a framework does not start, and what to do."""
    told = _here(message)
    if REMEDY in told:
        return told
    return f"{told}; install the framework there, or name the interpreter that it lives in with {REMEDY}"


def _suite_files(arguments: list[str]) -> list[Path]:
    """The suite files among what pytest was asked to collect."""
    roots = [Path(argument.split("::")[0]) for argument in arguments]
    files = [p for root in roots for p in ([root] if root.is_file() else sorted(root.rglob("*")))]
    return [path for path in dict.fromkeys(files) if _is_suite(path)]


def _readable(paths: list[Path]) -> Iterator[Suite]:
    """The suites that can be read; a defect in another was its collection error."""
    from crosscorrect.errors import CaseError
    from crosscorrect.suite import load_suite

    for path in paths:
        with contextlib.suppress(CaseError):
            yield load_suite(path)


def _is_suite(path: Path) -> bool:
    from crosscorrect.yamlfile import MAX_BYTES

    if path.suffix not in SUFFIXES or not path.is_file():
        return False
    with path.open("rb") as stream:  # no more of it than a suite may have: the file may be anyone's, and of any size
        return any(line.startswith(b"suite:") for line in stream.read(MAX_BYTES).splitlines())
