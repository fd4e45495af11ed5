"""Agents that share a run come to the verdicts of a run without them, whatever becomes of one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from crosscorrect import api, crew, lease, ledger, log, store
from crosscorrect.errors import IncompleteError, UsageError
from crosscorrect.model import Check
from crosscorrect.plan import Greeting
from crosscorrect.selection import Selection
from crosscorrect.suite import load_suite

if TYPE_CHECKING:
    from crosscorrect.plan import Plan

VERDICTS = ["problem", "framework", "mode", "device", "direction", "outcome", "reason", "input_digest", "output_digest"]


def table(run: store.Run) -> list[tuple[Any, ...]]:
    return sorted(run.checks[VERDICTS].itertuples(index=False, name=None))


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """A suite of 240 problems."""
    path = tmp_path / "many.yaml"
    path.write_text(
        "crosscorrect: 1\nsuite: many\ntitle: Many\ncases:\n"
        "  - {id: a, source: s, title: t, operation: conv2d, x: {fill: integers, shape: [1, 2, 6, 5]},\n"
        "     w: {fill: integers, shape: [2, 2, 3, 2]}, sweep: {x.seed: [" + ", ".join(map(str, range(240))) + "]}}\n",
        encoding="utf-8",
    )
    return path


@pytest.fixture
def short_leases(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leases of 20 problems, so that a small run has several."""
    monkeypatch.setattr(crew, "MOST", 20)


@pytest.mark.usefixtures("short_leases")
def test_a_run_of_two_agents_has_the_verdicts_and_the_tables_of_a_run_without(many: Path, tmp_path: Path) -> None:
    alone = api.run([many], ["numpy"], results=tmp_path / "one")
    heard: list[Check | Greeting | None] = []

    def hear(_: Plan, event: Check | Greeting | None) -> None:
        heard.append(event)

    shared = api.run([many], ["numpy"], results=tmp_path / "two", jobs=2, on_event=hear)
    assert table(shared) == table(alone)
    assert sorted(shared.problems["problem"]) == sorted(alone.problems["problem"])
    assert len(shared.env) == len(alone.env)
    assert sum(isinstance(event, Greeting) for event in heard) == 1
    assert sum(isinstance(event, Check) for event in heard) == 240


@pytest.mark.usefixtures("short_leases")
def test_agents_that_are_killed_cost_nothing(many: Path, tmp_path: Path) -> None:
    """SIGKILL to an agent at every sixtieth check."""
    whole = table(api.run([many], ["numpy"], results=tmp_path / "one"))
    count = 0

    def kill(_: Plan, event: Check | Greeting | None) -> None:
        nonlocal count
        if isinstance(event, Check):
            count += 1
            agents = [p for p in psutil.Process().children() if p.status() != psutil.STATUS_ZOMBIE]
            if count % 60 == 0 and agents:
                agents[0].kill()

    shared = api.run([many], ["numpy"], results=tmp_path / "two", jobs=2, on_event=kill)
    assert table(shared) == whole
    assert psutil.Process().children(recursive=True) == []


@pytest.mark.usefixtures("short_leases")
def test_agents_that_die_again_and_again_on_one_lease_end_the_run_which_can_be_resumed(
    many: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = table(api.run([many], ["numpy"], results=tmp_path / "one"))
    with monkeypatch.context() as patch:
        patch.setattr("crosscorrect.hired.sys.executable", "/bin/false")
        with pytest.raises(
            IncompleteError, match=r"12 agents died one after the other on problems \d+ to \d+ of numpy"
        ):
            api.run([many], ["numpy"], results=tmp_path / "two", jobs=2)
    folder = tmp_path / "two" / "latest"
    assert table(api.run([many], ["numpy"], jobs=2, resume=folder)) == whole


def test_what_goes_wrong_in_an_agent_is_told_as_it_would_be_without(tmp_path: Path, many: Path) -> None:
    brief = make_brief(many)
    many.write_text(many.read_text().replace("[1, 2, 6, 5]", "[1, 2, 7, 5]"))
    folder = store.create(tmp_path, "run", {"frameworks": ["numpy"]})
    execution = crew.Crew(brief, Selection([load_suite(many)]), folder, ledger.Ledger(), 1)
    with pytest.raises(UsageError, match=r"the suite many is another one here"):
        list(execution)
    execution.close()


def make_brief(path: Path) -> lease.Brief:
    suite = load_suite(path)
    return lease.Brief(
        suites=((suite.name, str(path), suite.digest),),
        only=(),
        level="ci",
        shard=None,
        frameworks=("numpy",),
        pythons={},
        adapters={},
        modes=("eager",),
        devices=("cpu",),
        arithmetic="strict",
        limit=None,
        seed=0,
        memory=None,
    )


def test_a_brief_and_a_lease_come_back_from_their_lines(many: Path) -> None:
    brief = make_brief(many)
    assert lease.Brief.read(brief.text()) == brief
    handed = lease.Lease(3, "numpy", 20, 40, ("00ff",))
    assert lease.Lease.read(handed.text()) == handed


@pytest.mark.usefixtures("short_leases")
def test_every_problem_is_in_one_lease_of_each_framework(many: Path) -> None:
    from dataclasses import replace

    brief = replace(make_brief(many), frameworks=("numpy", "torch"))
    leases = crew.Leases(brief, Selection([load_suite(many)]), ledger.Ledger(), 1)
    taken = []
    while (next_one := leases.take()) is not None:
        taken.append(next_one)
    assert [one.number for one in taken] == list(range(1, len(taken) + 1))
    for framework in brief.frameworks:
        places = [place for one in taken if one.framework == framework for place in range(one.start, one.stop)]
        assert sorted(places) == list(range(240))


def test_agents_take_the_seed_of_the_run(many: Path, tmp_path: Path) -> None:
    options = {"only": ["many/a@x.seed=1?"], "seed": 5}
    alone = api.run([many], ["numpy"], results=tmp_path / "one", **options)
    together = api.run([many], ["numpy"], results=tmp_path / "two", jobs=2, **options)
    assert table(together) == table(alone)
    other = api.run([many], ["numpy"], results=tmp_path / "three", only=options["only"])
    assert not set(other.checks["input_digest"]) & set(alone.checks["input_digest"])


def test_two_agents_are_stopped_by_a_signal_and_the_run_is_resumed(many: Path, tmp_path: Path) -> None:
    whole = table(api.run([many], ["numpy"], results=tmp_path / "one"))
    arguments = ["run", str(many), "-f", "numpy", "-j", "2", "--no-report", "--results", str(tmp_path / "two")]
    command = [sys.executable, "-m", "crosscorrect", *arguments]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=Path(__file__).parent) as run:
        assert run.stderr is not None
        while not run.stderr.readline().startswith("numpy: started"):
            assert run.poll() is None
        os.kill(run.pid, signal.SIGTERM)
        assert run.wait() == 143
        run.stderr.read()
    folder = (tmp_path / "two" / "latest").resolve()
    assert not store.load(folder).info["finished"]
    assert ledger.read(log.logs(folder)).begun == {}
    assert table(api.run([many], ["numpy"], resume=folder)) == whole
    for _ in range(100):
        if not psutil.Process().children(recursive=True):
            return
        time.sleep(0.05)
    pytest.fail("a process was left behind")
