"""What tests share: adapters solved in process, runs in scratch folders, mutants importable by name."""

from __future__ import annotations

import sys
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any, Self

import pytest
from hypothesis import settings

from crosscorrect import store
from crosscorrect.lane import Lane
from crosscorrect.plan import Plan
from crosscorrect.registry import Framework, locate
from crosscorrect.selection import Selection
from crosscorrect.suite import find_suites, load_suite
from crosscorrect.supply import Supply
from crosscorrect.worker.loop import Server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from crosscorrect.model import Check


# a busy machine is no defect of the code: no test of ours is a timed assertion; examples enough for every run to try
# others, few enough for the suite to be run often
settings.register_profile("unhurried", deadline=None, max_examples=40)
settings.load_profile("unhurried")


class InProcess:
    """A worker without a process: the same calls, the same server, no pipes."""

    def __init__(self, adapter_class: Any) -> None:
        self._server = Server(adapter_class)
        identity = adapter_class.identity()
        self.hello = {"modes": list(identity.modes), "devices": list(identity.devices)}
        self.alive = True
        self.strays: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def ask(self, call: dict[str, Any], arrays: dict[str, Any], *_: Any) -> Any:
        return self._server.answer({**call, "nonce": 0}, {name: a.copy() for name, a in arrays.items()})

    def ask_all(self, asked: Iterable[Any], meanwhile: Callable[[], object] | None = None) -> Iterator[Any]:
        replies = [self.ask(*one) for one in asked]
        if meanwhile is not None:
            meanwhile()
        yield from replies

    def printed(self) -> str:
        return ""

    def suspicion(self) -> str:
        return ""

    def close(self) -> None:
        pass


class Unforked(InProcess):
    """The same in the place of ``process.Worker``, with the NumPy adapter."""

    def __init__(self, framework: Framework, **_: Any) -> None:
        from crosscorrect_adapters.numpy import NumpyAdapter

        super().__init__(NumpyAdapter)
        identity = NumpyAdapter.identity()
        names = {name: list(getattr(identity, name)) for name in ("dtypes", "spellings", "notes")}
        versions = {"versions": dict(identity.versions), "python": "3", "numpy": "2", "import_seconds": 0.0}
        self.framework = framework
        self.hello = {**self.hello, **names, **versions}

    def kill(self) -> None:
        pass


@pytest.fixture
def unforked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers without processes, for what is done often and is about the controller."""
    monkeypatch.setattr("crosscorrect.supply.Worker", Unforked)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """One question outlasts few workers that are killed from outside: for problems that always kill their own."""
    monkeypatch.setattr("crosscorrect.inquiry.OUTSIDE_LOSSES", 4)


class OneWorker(Supply):
    """A supply whose worker, when a problem or a call asks for a fresh one, stays the one it has."""

    def close(self) -> None:
        pass

    def start(self, **_: Any) -> Any:
        return self.worker


@pytest.fixture
def solve(tmp_path: Path) -> Callable[..., list[Check]]:
    """Solve suites with an adapter class in this process; the rows."""

    def solved(
        adapter_class: Any, suites: Iterable[str | Path] = ("chapter",), only: tuple[str, ...] = ()
    ) -> list[Check]:
        problems = list(Selection([load_suite(path) for path in find_suites([str(s) for s in suites])], only))
        framework = Framework("numpy", "in process", Path(sys.executable), "current")
        folder = store.create(tmp_path, store.new_run_id(), {"frameworks": ["numpy"]})
        segment = store.Segment(folder)
        supply = OneWorker(framework, Event(), worker=InProcess(adapter_class))
        lane = Lane(Plan(problems, [framework], confirm=False), framework, segment, supply=supply)
        lane.modes = ("eager",)
        rows = [r for p in problems for d, m in lane.places(p) for r in lane.solve(p, m, d)]
        segment.close()
        return rows

    return solved


@pytest.fixture
def mutant() -> Callable[[str], Framework]:
    """A mutant adapter, by the name of its class, as a framework in its own process."""
    return lambda name: locate(name, targets={name: f"mutants:{name}"})


SMALL_SUITE = """\
crosscorrect: 1
suite: small
title: Three problems
cases:
  - {id: first, source: test, title: First, operation: corr2d, x: [[0, 1, 2], [3, 4, 5], [6, 7, 8]],
     w: [[0, 1], [2, 3]], expect: [[19, 25], [37, 43]]}
  - {id: second, source: test, title: Second, operation: conv2d, x: {fill: normal, shape: [2, 3, 7, 6]},
     w: {fill: normal, shape: [4, 3, 3, 2]}, b: [1, 2, 3, 4], directions: [forward, grad_input, grad_weight, grad_bias]}
  - {id: third, source: test, title: Third, operation: corr2d, x: [[1, 2, 4]], w: [[1, -1]], expect: [[-1, -2]]}
"""


@pytest.fixture
def small_suite(tmp_path: Path) -> Path:
    """A suite of three problems and six checks; the middle one is conv2d."""
    path = tmp_path / "small.yaml"
    path.write_text(SMALL_SUITE, encoding="utf-8")
    return path
