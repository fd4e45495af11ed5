"""A failure is asked once more, alone in a fresh process, before a framework is blamed; two answers are no pass."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from crosscorrect import api
from unsteady import STATE

if TYPE_CHECKING:
    from pathlib import Path

    from crosscorrect import store


@pytest.fixture
def run(small_suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> object:
    monkeypatch.setenv(STATE, str(tmp_path / "times"))

    def ran(name: str) -> store.Run:
        return api.run([small_suite], [name], adapters={name: f"unsteady:{name}"}, results=tmp_path / "results")

    return ran


def second(finished: store.Run) -> tuple[str, str, str]:
    """The outcome, reason and message of the forward direction of the problem in the middle; the others pass."""
    rows = finished.checks
    assert set(rows[rows["case"] != "second"]["outcome"]) == {"pass"}
    row = rows[(rows["case"] == "second") & (rows["direction"] == "forward")].iloc[0]
    return row["outcome"], row["reason"], row["message"]


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("AfterOthers", ""),
        ("RaisesAfterOthers", "RuntimeError: the pool is closed"),
        ("DiesAfterOthers", "the worker was killed by SIGSEGV"),
    ],
)
def test_what_fails_after_others_and_passes_alone_depends_on_the_order(run: object, name: str, first: str) -> None:
    outcome, reason, message = second(run(name))  # type: ignore[operator]
    assert (outcome, reason) == ("fail", "order-dependent")
    assert message.startswith(first)
    assert message.endswith("alone in a fresh process it passes, here 1 other unit was asked before it")


def test_what_was_asked_before_is_kept_with_an_order_dependent_verdict(run: object) -> None:
    events = run("AfterOthers").events  # type: ignore[operator]
    row = events[events["what"] == "asked again"].iloc[0]
    assert row["problem"] == "small/second"
    assert json.loads(row["detail"]) == {"asked": 1, "last": ["small/first eager cpu"]}


def test_a_worker_that_gave_two_answers_is_recycled(run: object) -> None:
    events = run("AfterOthers").events  # type: ignore[operator]
    assert list(events["what"]) == ["asked again", "recycled"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("WrongOnce", "asked again, in the same worker and alone in a fresh process, it passes"),
    ],
)
def test_what_passes_when_it_is_only_asked_again_is_not_determined(run: object, name: str, words: str) -> None:
    outcome, reason, message = second(run(name))  # type: ignore[operator]
    assert (outcome, reason) == ("fail", "determinism")
    assert words in message


def test_a_worker_that_dies_and_then_answers_is_never_a_pass(run: object) -> None:
    outcome, reason, message = second(run("DiesOnce"))  # type: ignore[operator]
    assert (outcome, reason) == ("fail", "order-dependent")
    assert message.startswith("the worker was killed by SIGSEGV; asked again alone in a fresh process it passes")


def test_a_problem_that_kills_its_worker_twice_is_a_crash_and_is_not_asked_a_third_time(
    run: object, tmp_path: Path
) -> None:
    finished = run("DiesAlways")  # type: ignore[operator]
    assert second(finished) == ("crash", "", "the worker was killed by SIGSEGV")
    # the forward call and the gradients are two questions; only the first goes through conv2d
    assert len((tmp_path / "times").read_bytes()) == 2
    assert list(finished.events["what"]) == ["lost", "lost"]


def test_a_worker_that_was_killed_from_outside_costs_nothing_but_an_event(run: object) -> None:
    finished = run("KilledOnce")  # type: ignore[operator]
    assert set(finished.checks["outcome"]) == {"pass"}
    assert list(finished.events["what"]) == ["lost"]
    assert finished.events["message"].iloc[0] == "the worker was killed by SIGKILL"


def test_a_failure_that_stays_one_alone_is_the_frameworks(run: object, tmp_path: Path) -> None:
    finished = run("WrongAlways")  # type: ignore[operator]
    outcome, reason, _ = second(finished)
    assert (outcome, reason) == ("fail", "bound A")
    assert len((tmp_path / "times").read_bytes()) == 2
    assert finished.events.empty
