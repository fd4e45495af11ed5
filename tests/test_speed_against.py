"""Two measurements beside each other: what changed is told, what did not is not, and the exit code says which."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from crosscorrect.model import Exit
from crosscorrect.speed import against
from crosscorrect.speed.judgement import Rule, judge
from crosscorrect.speed.model import Comparison, Role, Speed
from crosscorrect.tables import row_record
from simulated import JAX, facts, machine

MACHINE = pd.DataFrame([{"framework": "", "section": "machine", "key": "model name", "value": "one"}])


def run(ratio: float, seed: int = 0, *, env: pd.DataFrame = MACHINE, slower: float = 1.0) -> Any:
    samples = machine({JAX: ratio}, seed=seed, process=0.004)
    for column in ("wall", "cpu"):
        samples[column] = (samples[column] * slower).astype("int64")
    measurements, comparisons = judge(samples, facts(), Rule())
    return SimpleNamespace(
        measurements=pd.DataFrame(map(row_record, measurements)),
        verdicts=pd.DataFrame(map(row_record, comparisons)),
        env=env,
        info={"bench": {"reference": "torch", "mode": "eager", "device": "cpu"}},
    )


def changes(now: Any, then: Any) -> dict[str, against.Change]:
    return {change.framework: change for change in against.compare(now, then)}


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
    return against.Change("p", "forward", "jax", "eager", "cpu", speed)


@pytest.mark.parametrize(
    ("rows", "changed", "strict", "conformant", "code"),
    [
        ([Speed.FASTER], [], False, True, Exit.OK),
        ([], [], False, True, Exit.NOTHING_RAN),
        ([Speed.WRONG, Speed.NOT_COMPARABLE], [], False, True, Exit.NOTHING_RAN),
        ([Speed.FASTER], [Speed.SLOWER], False, True, Exit.SLOWER),
        ([Speed.FASTER], [Speed.FASTER, Speed.INCONCLUSIVE], False, True, Exit.OK),
        ([Speed.UNFIT], [], False, True, Exit.OK),
        ([Speed.UNFIT], [], True, True, Exit.UNFIT),
        ([Speed.INCONCLUSIVE], [], True, True, Exit.UNFIT),
        ([Speed.FASTER], [Speed.SLOWER], True, False, Exit.NOT_CONFORMANT),
    ],
)
def test_the_exit_code_says_the_worst(
    rows: list[Speed], changed: list[Speed], strict: bool, conformant: bool, code: Exit
) -> None:
    found, told = [row(speed) for speed in rows], [change(speed) for speed in changed]
    assert against.exit_code(found, told, strict=strict, conformant=conformant) is code
