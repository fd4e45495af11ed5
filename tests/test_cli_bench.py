"""The commands about speed, as a person uses them: what they say, and with which exit code."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from commandline import invoke as call
from crosscorrect.model import Exit
from crosscorrect.speed import conditions, sampling
from crosscorrect.speed.conditions import Budget

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

SUITE = """\
crosscorrect: 1
suite: pace
cases:
  - {id: loop, operation: corr2d, x: {fill: normal, shape: [6, 7]}, w: {fill: normal, shape: [2, 3]}}
"""


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(conditions.BUDGETS, "quick", Budget(2, 5, 10.0, least=5))
    monkeypatch.setattr(sampling, "CEILING_ROUNDS", 1)
    monkeypatch.setattr(sampling, "SIDES", (32,))
    monkeypatch.setattr(sampling, "SIZES", (2**13,))


def bench(folder: Path, *more: str) -> Result:
    path = folder / "pace.yaml"
    path.write_text(SUITE, encoding="utf-8")
    asked = ["-f", "numpy", "-f", "same", "--adapter", "same=paced:Same", "--budget", "quick", "--reference", "numpy"]
    return call("bench", str(path), *asked, "--results", str(folder / "results"), *more)


def test_a_measurement_says_each_verdict_with_its_reason_and_where_it_is(tmp_path: Path) -> None:
    said = bench(tmp_path)
    assert said.exit_code == Exit.OK
    assert "pace/loop forward" in said.stdout
    assert "the reference" in said.stdout
    assert "1 comparison: 1 " in said.stdout
    assert "run folder" in said.stdout


def test_the_same_samples_are_judged_again_and_beside_themselves_nothing_changed(tmp_path: Path) -> None:
    first = json.loads(bench(tmp_path, "--json").stdout)
    assert {row["framework"] for row in first["verdicts"]} == {"numpy", "same"}
    again = call("speed", first["run"], "--json")
    assert json.loads(again.stdout)["verdicts"] == first["verdicts"]
    beside: dict[str, Any] = json.loads(call("speed", first["run"], "--against", first["run"], "--json").stdout)
    assert {change["speed"] for change in beside["changes"]} <= {"equivalent", "inconclusive", "not comparable"}
    gated = call("gate", first["run"], "--against", first["run"], "--json")
    assert json.loads(gated.stdout)["slower"] == []
    assert gated.exit_code in (Exit.OK, Exit.NOTHING_RAN)  # on a machine that was not fit nothing is comparable


def test_the_gate_has_an_exit_code_of_its_own_for_what_became_slower(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from crosscorrect.speed import against
    from crosscorrect.speed.model import Speed

    run = json.loads(bench(tmp_path, "--json").stdout)["run"]
    slower = against.Change(against.Names("pace/loop", "forward", "same", "eager", "cpu"), Speed.SLOWER, 1.2, 1.1, 1.3)
    monkeypatch.setattr(against, "compare", lambda *_: [slower])
    said = call("gate", run, "--against", run)
    assert said.exit_code == Exit.SLOWER
    assert "pace/loop forward same eager: takes 1.20 [1.10, 1.30] times as long" in said.stdout


def test_the_latest_measurement_is_what_speed_is_about_unless_told_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench(tmp_path, "-q")
    monkeypatch.chdir(tmp_path)
    assert "1 comparison" in call("speed").stdout


def test_a_cold_measurement_tells_phases_and_ranks_nobody(tmp_path: Path) -> None:
    said = bench(tmp_path, "--cold")
    assert said.exit_code == Exit.OK
    assert all(word in said.stdout for word in ("import", "first", "steady", "numpy", "same"))
    told = json.loads(bench(tmp_path, "--cold", "--json").stdout)
    assert {start["arm"] for start in told["starts"]} == {"numpy", "same"}


def test_steps_need_several_measurements(tmp_path: Path) -> None:
    bench(tmp_path, "-q")
    said = call("speed", str(tmp_path / "results"), "--history")
    assert "steps in" not in said.stdout or "0 steps" in said.stdout
    assert said.exit_code in (Exit.OK, Exit.USAGE)  # where the machine was not fit there is no ratio at all


def test_a_run_that_timed_nothing_is_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "pace.yaml"
    path.write_text(SUITE, encoding="utf-8")
    call("run", str(path), "-f", "numpy", "--results", str(tmp_path / "results"), "--no-report")
    said = call("speed", str(tmp_path / "results" / "latest"))
    assert said.exit_code == Exit.USAGE
    assert "is no measurement; 'crosscorrect bench' makes one" in said.stderr


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--reference", "torch"], "one of numpy, same"),
        (["--budget", "endless"], "'quick', 'standard', 'rigorous'"),
        (["--cpus", "100000"], "ask for 1 to"),
        (["--against", "/nowhere"], "is not a run folder"),
        (["--cold", "--strict"], "ranks nobody"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_measured(
    tmp_path: Path, options: list[str], words: str
) -> None:
    said = bench(tmp_path, *options)
    assert said.exit_code == Exit.USAGE
    assert words in said.stderr
    assert not list((tmp_path / "results").glob("*/log-*")) if (tmp_path / "results").exists() else True


def test_an_audit_of_this_machine_says_what_it_is_worth(tmp_path: Path) -> None:
    said = call("selftest", "--noise", "--budget", "quick", "--results", str(tmp_path), "--json")
    told = json.loads(said.stdout)
    assert said.exit_code == told["exit"]
    assert told["problems"] == 9
    assert [control["name"] for control in told["controls"]] == [
        "a call of a known time reads that time",
        "who takes twice as long reads twice as long",
    ]


def test_a_run_that_is_no_measurement_is_refused_as_a_base_before_anything_is_measured(tmp_path: Path) -> None:
    path = tmp_path / "pace.yaml"
    path.write_text(SUITE, encoding="utf-8")
    call("run", str(path), "-f", "numpy", "--results", str(tmp_path / "other"), "--no-report")
    said = bench(tmp_path, "--against", str(tmp_path / "other" / "latest"))
    assert said.exit_code == Exit.USAGE
    assert "is no measurement" in said.stderr
    assert not (tmp_path / "results").exists()
