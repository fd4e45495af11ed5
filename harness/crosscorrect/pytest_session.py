"""What one pytest session has: its frameworks, each with a lane once an item needs it, and its run folder."""

from __future__ import annotations

import contextlib
import itertools
import re
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crosscorrect import store
from crosscorrect.adapter import MODES
from crosscorrect.errors import CaseError, UsageError
from crosscorrect.nearest import meant
from crosscorrect.plan import Plan, Preparation, describe
from crosscorrect.pytest_plugin import REMEDY
from crosscorrect.registry import known, locate
from crosscorrect.selection import Selection
from crosscorrect.spans import Shard
from crosscorrect.suite import ENDS, load_suite
from crosscorrect.yamlfile import MAX_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

    from crosscorrect.expectations import Expectations
    from crosscorrect.lane import Lane
    from crosscorrect.problem import Problem
    from crosscorrect.suite import Suite


class Session:
    """One session's frameworks, plan and run folder; under xdist each worker process has its own lanes and segment.

    ``shard`` is the run folder that is kept, None where none was asked for or nothing is run. Raises UsageError for a
    request that cannot be meant, IncompleteError for an interpreter that is not there.
    """

    def __init__(self, config: pytest.Config) -> None:
        names = list(dict.fromkeys(config.getoption("--crosscorrect")))
        self.targets = _targets(config.getoption("--crosscorrect-adapter"), names)
        for name in names:
            _check_known(name, self.targets)
        pythons = _interpreters(config.getoption("--crosscorrect-python"), names)
        self.frameworks = {name: locate(name, pythons, self.targets) for name in names}
        self.pythons = pythons
        mode = config.getoption("--crosscorrect-mode")
        self.modes: tuple[str, ...] = MODES if mode == "all" else (mode,)
        self.device: str = config.getoption("--crosscorrect-device")
        self._plan_modes = () if mode == "all" else self.modes
        self._level: str = config.getoption("--crosscorrect-level")
        part = config.getoption("--crosscorrect-part")
        self._part = Shard.read(part) if part is not None else None
        folder = config.getoption("--crosscorrect-expectations")
        self.expectations = Path(folder) if folder else None
        self._preparation = Preparation(lanes=len(names))
        self._lanes: dict[str, Lane] = {}
        self._expected: dict[str, Expectations] = {}
        self._segment: store.Segment | None = None
        self._scratch: tempfile.TemporaryDirectory[str] | None = None
        told = getattr(config, "workerinput", None)  # what an xdist worker hears from where the session began
        self._begun_elsewhere = told is not None
        given = config.getoption("--crosscorrect-shard") if told is None else told["crosscorrect_shard"]
        if given and not self._begun_elsewhere:
            _check_folder(given)
        self.shard = Path(given).absolute() if given and not config.getoption("collectonly") else None
        if self.shard is not None and not self._begun_elsewhere:
            self._begin(self.shard)

    def _begin(self, shard: Path) -> None:
        if shard.exists():
            store.read_info(shard)  # only a run folder is ever replaced
            shutil.rmtree(shard)
        store.create(shard.parent, shard.name, {"frameworks": list(self.frameworks)}, latest=False)

    def selection(self, suites: list[Suite]) -> Selection:
        """What this session is about in these suites; each is dealt into parts by itself, as it is collected."""
        return Selection(suites, (), self._level, self._part)

    def places(self, problem: Problem) -> Iterator[tuple[str, str]]:
        """The frameworks that a problem is about, each with every mode it is asked in."""
        frameworks = [name for name in self.frameworks if not problem.only or name in problem.only]
        modes = [mode for mode in self.modes if not problem.modes or mode in problem.modes]
        return itertools.product(frameworks, modes)

    def lane(self, name: str) -> Lane:
        """The lane of a framework in this process, started when the first item needs it."""
        from crosscorrect.lane import Lane  # noqa: PLC0415  what is only collected needs none

        if name not in self._lanes:
            plan = Plan([], [self.frameworks[name]], self._plan_modes, (self.device,))
            lane = Lane(plan, self.frameworks[name], self._segment_here(), preparation=self._preparation)
            self._lanes[name] = lane
            lane.greet()
        return self._lanes[name]

    def _segment_here(self) -> store.Segment:
        if self._segment is None:
            folder = self.shard
            if folder is None:
                self._scratch = tempfile.TemporaryDirectory(prefix="crosscorrect-")
                folder = Path(self._scratch.name)
            self._segment = store.Segment(folder)
        return self._segment

    def version(self, name: str) -> str:
        """The version of a framework, empty where it did not start."""
        worker = self.lane(name).supply.worker
        return str(worker.hello["versions"].get(name, "")) if worker is not None else ""

    def expected(self, name: str) -> Expectations:
        """What the committed expectations say of a framework in the version that runs here."""
        from crosscorrect import expectations  # noqa: PLC0415  as above

        if name not in self._expected:
            self._expected[name] = expectations.load(name, self.version(name), self.expectations)
        return self._expected[name]

    def finish(self, session: pytest.Session) -> None:
        """Stop this process's workers; where the session began, seal the folder."""
        for lane in self._lanes.values():
            lane.supply.close_all()
        if self._segment is not None:
            self._segment.close()
        if self._scratch is not None:
            self._scratch.cleanup()
        if self.shard is not None and not self._begun_elsewhere:
            ran = store.load(self.shard)
            store.write_info(self.shard, {**ran.info, **self._describe(session.config.args, ran)})
            store.seal(self.shard)

    def _describe(self, arguments: list[str], ran: store.Run) -> dict[str, Any]:
        """What ``run.json`` says. Under xdist this process collects nothing, so it reads the suites again."""
        columns = (ran.checks[name] for name in ("framework", "problem", "mode"))
        done = set(zip(*columns, strict=True))
        names = set(ran.checks["suite"])
        # a small suite may have nothing in this part, and belongs to the whole all the same
        suites = [s for s in _readable(_suite_files(arguments)) if self._part is not None or s.name in names]
        problems = [problem for suite in suites for problem in self.selection([suite])]
        whole = {asked for name in self.frameworks for asked in self._asked(name, problems, ran)}
        frameworks = list(self.frameworks.values())
        described = describe(Plan(self.selection(suites), frameworks, self._plan_modes, (self.device,)))
        share = {} if self._part is None else {"share": len(problems)}  # each suite was dealt by itself
        return {**described, **share, "filter": [] if whole <= done else ["pytest selection"]}

    def _asked(self, name: str, problems: list[Problem], ran: store.Run) -> Iterator[tuple[str, str, str]]:
        """The framework, problem and mode of everything that a framework is asked where nothing is left out."""
        offers = ran.env[(ran.env["section"] == "offer") & (ran.env["framework"] == name)]

        def offered(key: str) -> set[str]:
            return {word for value in offers[offers["key"] == key]["value"] for word in value.split(", ")}

        modes, spellings = set(self._plan_modes) or offered("modes"), offered("spellings")
        for problem in problems:
            if (not problem.only or name in problem.only) and problem.spelling in spellings:
                yield from ((name, problem.id, mode) for mode in modes if not problem.modes or mode in problem.modes)


def is_suite(path: Path) -> bool:
    """Whether this is a YAML file that says ``suite:``; no more of it is read than a suite may have."""
    if path.suffix not in ENDS or not path.is_file():
        return False
    with path.open("rb") as stream:  # the file may be anyone's, and of any size
        return any(line.startswith(b"suite:") for line in stream.read(MAX_BYTES).splitlines())


def _check_folder(given: str) -> None:
    """Refuse a part where a folder is meant. Raises UsageError."""
    if re.fullmatch(r"[0-9]+/[0-9]+", given):
        problem = "is where the rows go, a folder"
        raise UsageError(f"--crosscorrect-shard {problem}; part {given} of the problems is --crosscorrect-part {given}")


def _targets(given: list[str], names: list[str]) -> dict[str, str]:
    """The adapter of each framework that has no entry point. Raises UsageError where NAME is not asked."""
    found = {}
    for said in given:
        name, _, target = said.partition("=")
        if name not in names or not target:
            write = f"write --crosscorrect-adapter {names[0]}=MODULE:CLASS"
            raise UsageError(f"--crosscorrect-adapter {said!r} is no adapter of {' or '.join(names)}; {write}")
        found[name] = target
    return found


def _check_known(name: str, targets: dict[str, str]) -> None:
    """Raise UsageError for a framework that neither an entry point nor an option says the adapter of."""
    if name in targets:
        return
    try:
        known(name)
    except UsageError as error:
        remedy = f"an adapter that is no entry point is given with --crosscorrect-adapter {name}=MODULE:CLASS"
        raise UsageError(f"{error}; {remedy}") from None


def _interpreters(given: list[str], names: list[str]) -> dict[str, Path]:
    """The interpreter of each framework from ``PATH`` or ``NAME=PATH``. Raises UsageError where NAME is not asked."""
    found = {}
    for said in given:
        name, separator, path = said.partition("=")
        if not separator or "/" in name:  # an equals sign inside a path
            if len(names) > 1:
                each = " ".join(f"--crosscorrect-python {own}=PATH" for own in names)
                raise UsageError(f"--crosscorrect-python {said!r} does not say of which framework; write {each}")
            name, path = names[0], said
        if name not in names or not path:
            hint = f"; {near}" if name not in names and (near := meant(name, names)) else ""
            raise UsageError(
                f"--crosscorrect-python {said!r} is no interpreter of {' or '.join(names)}; write {REMEDY}{hint}"
            )
        found[name] = Path(path)
    return found


def _suite_files(arguments: list[str]) -> list[Path]:
    """The suite files among what pytest was asked to collect."""
    roots = [Path(argument.split("::")[0]) for argument in arguments]
    files = [p for root in roots for p in ([root] if root.is_file() else sorted(root.rglob("*")))]
    return [path for path in dict.fromkeys(files) if is_suite(path)]


def _readable(paths: list[Path]) -> Iterator[Suite]:
    """The suites that can be read; a defect in another was its collection error."""
    for path in paths:
        with contextlib.suppress(CaseError):
            yield load_suite(path)
