"""Two timed runs beside each other: what changed is told, what did not is not, and the exit code says which."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from crosscorrect.errors import UsageError
from crosscorrect.model import Exit
from crosscorrect.speed import against
from crosscorrect.speed.judgement import Rule, judge
from crosscorrect.speed.model import Comparison, Role, Speed
from crosscorrect.tables import row_record
from simulated import JAX, facts, machine

MACHINE = pd.DataFrame([{"framework": "", "section": "machine", "key": "model name", "value": "one"}])


def run(ratio: float, seed: int = 0, *, env: pd.DataFrame = MACHINE, slower: float = 1.0, drift: float = 0.0) -> Any:
    samples = machine({JAX: ratio}, seed=seed, process=0.004, drift=drift)
    for column in ("wall", "cpu"):
        samples[column] = (samples[column] * slower).astype("int64")
    measurements, comparisons = judge(samples, facts(), Rule())
    return SimpleNamespace(
        measurements=pd.DataFrame(map(row_record, measurements)),
        verdicts=pd.DataFrame(map(row_record, comparisons)),
        env=env,
        checks=pd.DataFrame([{"problem": "p", "input_digest": "one"}]),
        folder="a run",
        info={
            "finished": True,
            "arithmetic": "strict",
            "bench": {"reference": "torch", "mode": "eager", "device": "cpu", "threads": 1, "cold": False},
        },
    )


def changes(now: Any, then: Any) -> dict[str, against.Change]:
    return {change.names.framework: change for change in against.compare(now, then)}


@pytest.mark.parametrize(
    ("now", "speed"), [(0.81, Speed.EQUIVALENT), (0.81 * 1.15, Speed.SLOWER), (0.81 / 1.15, Speed.FASTER)]
)
def test_a_framework_is_slower_than_it_was_when_its_ratio_to_the_reference_is(now: float, speed: Speed) -> None:
    found = changes(run(now, seed=1), run(0.81, seed=2))["jax"]
    assert found.speed is speed
    assert found.low is not None
    assert found.high is not None
    assert found.low <= now / 0.81 <= found.high


def test_a_machine_that_is_slower_altogether_changes_no_ratio() -> None:
    other = MACHINE.assign(value="another")
    found = changes(run(0.81, seed=1, env=other, slower=3.0), run(0.81, seed=2))
    assert found["jax"].speed is Speed.EQUIVALENT
    assert found["torch"].speed is Speed.NOT_COMPARABLE  # the reference has only its own time


def test_the_reference_itself_is_compared_on_the_same_machine() -> None:
    assert changes(run(0.81, seed=1, slower=1.3), run(0.81, seed=2))["torch"].speed is Speed.SLOWER
    assert changes(run(0.81, seed=1), run(0.81, seed=2))["torch"].speed is Speed.EQUIVALENT


def test_what_had_no_speed_in_one_of_them_is_not_comparable() -> None:
    nothing = run(0.81)
    nothing.verdicts = nothing.verdicts[nothing.verdicts["framework"] != "jax"]
    assert changes(nothing, run(0.81))["jax"].message == "no speed there now"
    assert changes(run(0.81), nothing)["jax"].message == "no speed there then"


def row(speed: Speed) -> Comparison:
    return Comparison("p", "forward", "jax", "eager", "cpu", Role.ARM, "torch", speed, 0.03)


def change(speed: Speed) -> against.Change:
    return against.Change(against.Names("p", "forward", "jax", "eager", "cpu"), speed)


@pytest.mark.parametrize(
    ("rows", "changed", "more", "code"),
    [
        ([Speed.FASTER], None, {}, Exit.OK),
        ([], None, {}, Exit.NOTHING_RAN),
        ([Speed.WRONG, Speed.NOT_COMPARABLE], None, {}, Exit.NOTHING_RAN),
        ([Speed.FASTER], [Speed.SLOWER], {}, Exit.SLOWER),
        ([], [Speed.SLOWER], {}, Exit.SLOWER),  # the reference alone, by its own time
        ([Speed.FASTER], [Speed.FASTER, Speed.INCONCLUSIVE], {}, Exit.OK),
        ([Speed.FASTER], [Speed.NOT_COMPARABLE], {}, Exit.NOTHING_RAN),
        ([Speed.UNFIT], None, {}, Exit.OK),
        ([Speed.UNFIT], None, {"strict": True}, Exit.UNFIT),
        ([Speed.INCONCLUSIVE], None, {"strict": True}, Exit.UNFIT),
        ([Speed.FASTER], [Speed.SLOWER], {"strict": True, "findings": True}, Exit.NOT_CONFORMANT),
        ([Speed.FASTER], [Speed.SLOWER], {"ruling": Exit.INCOMPLETE}, Exit.INCOMPLETE),
        ([Speed.FASTER], None, {"ruling": Exit.INCOMPLETE, "findings": True}, Exit.NOT_CONFORMANT),
    ],
)
def test_the_exit_code_says_the_worst(
    rows: list[Speed], changed: list[Speed] | None, more: dict[str, Any], code: Exit
) -> None:
    found = [row(speed) for speed in rows]
    told = None if changed is None else [change(speed) for speed in changed]
    assert against.exit_code(found, told, **more) is code


def test_who_became_wrong_while_it_was_timed_is_not_conformant_whatever_the_others_are() -> None:
    wrong = dataclasses.replace(row(Speed.WRONG), message="wrong when timed: fail value")
    assert against.exit_code([row(Speed.FASTER), wrong]) is Exit.NOT_CONFORMANT


@pytest.mark.parametrize(("key", "value"), [("reference", "tensorflow"), ("threads", 2), ("device", "cuda:0")])
def test_what_was_asked_otherwise_is_not_comparable(key: str, value: Any) -> None:
    other = run(0.81, seed=2)
    other.info = {**other.info, "bench": {**other.info["bench"], key: value}}
    assert all(c.speed is Speed.NOT_COMPARABLE and key in c.message for c in against.compare(run(1.7, seed=1), other))


def test_a_problem_with_other_data_is_not_comparable() -> None:
    other = run(0.81, seed=2)
    other.checks = other.checks.assign(input_digest="other")
    assert all("other data" in change.message for change in against.compare(run(1.7, seed=1), other))


def test_a_change_into_what_is_inconclusive_is_seen() -> None:
    now = run(1.03, seed=1)
    now.verdicts.loc[now.verdicts["framework"] == "jax", "speed"] = Speed.INCONCLUSIVE
    assert changes(now, run(0.85, seed=2))["jax"].speed is Speed.SLOWER


def test_what_neither_machine_resolved_is_no_change() -> None:
    found = changes(run(0.545, seed=1, drift=0.2), run(0.5, seed=2, drift=0.2))["jax"]
    assert found.speed is Speed.INCONCLUSIVE


@pytest.mark.parametrize(
    ("info", "words"),
    [
        ({}, "is no timed run"),
        ({"bench": {"cold": False}, "finished": False}, "is not finished"),
        ({"bench": {"cold": True}, "finished": True}, "cold starts"),
    ],
)
def test_what_cannot_be_compared_is_refused(info: dict[str, Any], words: str) -> None:
    base: Any = SimpleNamespace(info=info, folder="old")
    with pytest.raises(UsageError, match=words):
        against.compare(run(0.81), base)
