"""The commands about speed, as a person uses them: what they say, and with which exit code."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from commandline import invoke as call
from crosscorrect.model import Exit
from crosscorrect.speed import conditions, sampling
from crosscorrect.speed.conditions import Budget
from simulated import JAX, finished, machine

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


def test_a_timed_run_says_each_verdict_with_its_reason_and_where_it_is(tmp_path: Path) -> None:
    said = bench(tmp_path)
    assert said.exit_code == Exit.OK
    assert "pace/loop forward" in said.stdout
    assert "the reference" in said.stdout
    assert "1 comparison: 1 " in said.stdout
    assert "run folder" in said.stdout


def test_the_same_samples_are_the_same_verdicts_and_no_slower_than_themselves(tmp_path: Path) -> None:
    first = json.loads(bench(tmp_path, "--json").stdout)
    assert {row["framework"] for row in first["verdicts"]} == {"numpy", "same"}
    again = call("speed", first["run"], "--json")
    assert json.loads(again.stdout)["verdicts"] == first["verdicts"]
    gated = call("gate", first["run"], "--against", first["run"], "--json")
    assert json.loads(gated.stdout)["slower"] == []


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


def test_the_latest_timed_run_is_what_speed_is_about_unless_told_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench(tmp_path, "-q")
    monkeypatch.chdir(tmp_path)
    assert "1 comparison" in call("speed").stdout


def test_a_run_of_cold_starts_tells_phases_and_ranks_nobody(tmp_path: Path) -> None:
    said = bench(tmp_path, "--cold")
    assert said.exit_code == Exit.OK
    assert all(word in said.stdout for word in ("import", "first", "steady", "numpy", "same"))
    told = json.loads(bench(tmp_path, "--cold", "--json").stdout)
    assert {start["arm"] for start in told["starts"]} == {"numpy", "same"}


def test_steps_are_told_since_when_over_all_timed_runs_of_a_folder(tmp_path: Path) -> None:
    for number in range(8):
        ratio = 0.8 if number < 5 else 1.2
        finished(tmp_path, f"run-{number}", machine({JAX: ratio}, seed=number, process=0.004))
    said = call("speed", str(tmp_path), "--history")
    assert said.exit_code == Exit.SLOWER
    assert said.stdout.splitlines()[0].endswith("times its time, since run-5")
    assert re.match(r"jax eager p forward: 1\.(4[5-9]|5[0-5]) times", said.stdout)
    assert "1 steps in 1 series of up to 8 timed runs" in said.stdout
    told = json.loads(call("speed", str(tmp_path), "--history", "--json").stdout)
    assert [(step["framework"], step["run"]) for step in told["steps"]] == [("jax", "run-5")]


def test_of_a_few_timed_runs_no_steps_are_told(tmp_path: Path) -> None:
    for number in range(3):
        finished(tmp_path, f"run-{number}", machine({JAX: 0.8 + number}, seed=number))
    said = call("speed", str(tmp_path), "--history")
    assert (said.exit_code, said.stdout) == (Exit.OK, "0 steps in 1 series of up to 3 timed runs\n")


def test_what_became_slower_since_an_earlier_timed_run_is_told_with_its_interval(tmp_path: Path) -> None:
    old = finished(tmp_path, "old", machine({JAX: 0.8}, seed=1, process=0.004))
    new = finished(tmp_path, "new", machine({JAX: 1.0}, seed=2, process=0.004))
    said = call("speed", str(new), "--against", str(old))
    assert said.exit_code == Exit.SLOWER
    assert "slower" in said.stdout
    same = call("speed", str(old), "--against", str(old))
    assert same.exit_code == Exit.OK
    assert "2 comparisons as before" in same.stdout


def test_a_timed_run_is_judged_again_under_another_margin(tmp_path: Path) -> None:
    run = finished(tmp_path, "run", machine({JAX: 1.06}, process=0.004))
    for margin, speed in (("0.01", "slower"), ("0.12", "equivalent")):
        told = json.loads(call("speed", str(run), "--margin", margin, "--json").stdout)["verdicts"]
        assert [row["speed"] for row in told if row["framework"] == "jax"] == [speed]


def test_a_run_that_timed_nothing_is_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "pace.yaml"
    path.write_text(SUITE, encoding="utf-8")
    call("run", str(path), "-f", "numpy", "--results", str(tmp_path / "results"), "--no-report")
    said = call("speed", str(tmp_path / "results" / "latest"))
    assert said.exit_code == Exit.USAGE
    assert "is no timed run; 'crosscorrect bench' makes one" in said.stderr


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
    assert not (tmp_path / "results").exists()


def test_an_audit_of_this_machine_says_what_it_is_worth(tmp_path: Path) -> None:
    said = call("selftest", "--noise", "--budget", "quick", "--results", str(tmp_path), "--json")
    told = json.loads(said.stdout)
    assert said.exit_code == told["exit"]
    assert told["problems"] == 9
    assert [control["name"] for control in told["controls"]] == [
        "a call of a known time reads that time",
        "who takes twice as long reads twice as long",
    ]


def test_a_run_that_is_no_timed_run_is_refused_as_a_base_before_anything_is_measured(tmp_path: Path) -> None:
    path = tmp_path / "pace.yaml"
    path.write_text(SUITE, encoding="utf-8")
    call("run", str(path), "-f", "numpy", "--results", str(tmp_path / "other"), "--no-report")
    said = bench(tmp_path, "--against", str(tmp_path / "other" / "latest"))
    assert said.exit_code == Exit.USAGE
    assert "is no timed run" in said.stderr
    assert not (tmp_path / "results").exists()
