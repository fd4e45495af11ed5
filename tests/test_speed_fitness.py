"""A machine that was not fit is named so, with the reason; one that was is not."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from crosscorrect.speed import fitness
from crosscorrect.speed.fitness import Samples
from crosscorrect.speed.ratios import Ratio

ROUNDS = 120


def arm(slowing: Any = 1.0, waiting: Any = 1.0, calls: int = 10, seed: int = 0, call: float = 5e-5) -> Samples:
    """An arm with the jitter of a quiet machine (research/timing.md 2.8)."""
    draw = np.random.default_rng(seed)
    cpu = call * calls * np.exp(draw.normal(0, 0.03, ROUNDS)) * slowing
    return Samples(cpu * waiting * np.exp(np.abs(draw.normal(0, 0.008, ROUNDS))), cpu, calls)


def gates(**arms: Samples) -> set[tuple[str, str]]:
    return {(c.gate, c.arm) for c in fitness.complaints(arms, {"compute": arm(seed=9), "stream": arm(seed=8)})}


def test_a_quiet_machine_is_fit() -> None:
    assert gates(torch=arm(seed=1), jax=arm(seed=2, call=2e-4)) == set()
    assert fitness.kept({"torch": arm(seed=1), "jax": arm(seed=2)}).all()


@pytest.mark.parametrize("share", [0.15, 0.5, 1.0])
def test_an_arm_that_waits_for_its_core_in_a_tenth_of_its_samples_or_more_is_told(share: float) -> None:
    draw = np.random.default_rng(3)
    waits = np.where(draw.random(ROUNDS) < share, draw.uniform(2.1, 4.7, ROUNDS), 1.0)
    told = gates(torch=arm(seed=1), jax=arm(waiting=waits, seed=2))
    assert ("F1", "jax") in told
    assert ("F1", "torch") not in told
    assert ("rounds", "") in told if share > 0.31 else True


def test_rounds_in_which_an_arm_waited_do_not_count_for_any() -> None:
    waits = np.ones(ROUNDS)
    waits[[3, 50]] = 1.5
    kept = fitness.kept({"torch": arm(seed=1), "jax": arm(waiting=waits, seed=2)})
    assert list(np.flatnonzero(~kept)) == [3, 50]


def test_a_sample_without_processor_time_waited() -> None:
    idle = Samples(np.full(ROUNDS, 1e-3), np.zeros(ROUNDS), 1)
    assert not fitness.kept({"jax": idle}).any()


def test_two_speeds_of_one_arm_are_told() -> None:
    fast = np.where(np.arange(ROUNDS) % 3 == 0, 0.6, 1.0)
    assert gates(torch=arm(slowing=fast, seed=1)) == {("F2", "torch")}


@pytest.mark.parametrize("part", ["compute", "stream"])
def test_a_sentinel_that_drifts_is_told_by_its_part(part: str) -> None:
    slower = np.where(np.arange(ROUNDS) < 80, 1.0, 1.4)
    sentinel = {"compute": arm(seed=9), "stream": arm(seed=8), part: arm(slowing=slower, seed=7)}
    (told,) = fitness.complaints({"torch": arm(seed=1)}, sentinel)
    assert (told.gate, told.arm) == ("F3", part)
    assert "drifted by" in told.message


def test_a_smaller_drift_is_what_the_machine_resolves_and_chance_is_none() -> None:
    slower = np.where(np.arange(ROUNDS) < 80, 1.0, 1.08)
    sentinel = {"compute": arm(seed=9), "stream": arm(slowing=slower, seed=7)}
    assert fitness.complaints({"torch": arm(seed=1)}, sentinel) == []
    assert fitness.resolution(sentinel) == pytest.approx(0.08, abs=0.03)
    assert sum(fitness.resolution({"compute": arm(seed=seed)}) > 0 for seed in range(100)) <= 5
    assert fitness.resolution({}) == 0.0


def test_more_threads_than_were_asked_for_are_told() -> None:
    told = gates(torch=arm(seed=1), jax=arm(waiting=0.4, seed=2))
    assert told == {("F6", "jax")}
    assert fitness.complaints({"jax": arm(waiting=0.5, seed=2)}, {}, threads=2) == []


def test_an_arm_without_samples_is_told_and_keeps_no_round() -> None:
    nothing = Samples(np.full(ROUNDS, np.nan), np.full(ROUNDS, np.nan), 1)
    assert {c.gate for c in fitness.complaints({"torch": arm(), "jax": nothing}, {})} == {"F0", "rounds"}


@pytest.mark.parametrize(
    ("low", "high", "differs", "words"),
    [
        (0.99, 1.01, False, ""),
        (1.01, 1.02, True, "came out different"),
        (1.01, 1.02, False, ""),
        (0.9, 1.1, False, ""),
        (0.7, 1.2, False, "uncertain"),
    ],
)
def test_twins_that_differ_or_are_uncertain_speak_against_a_measurement(
    low: float, high: float, differs: bool, words: str
) -> None:
    ratio = Ratio(math.sqrt(low * high), low, high, 5, 0.01, (low, high))
    said = fitness.twins_differ(ratio, differs=differs)
    assert words in said
    assert bool(said) == bool(words)


def test_the_processes_that_took_the_machine_are_named_those_that_took_most_first() -> None:
    before = [(1, "init", 5.0), (7, "cc1plus", 1.0), (8, "sh", 1.0)]
    after = [
        (1, "init", 5.01),
        (7, "cc1plus", 2.6),
        (8, "sh", 1.0),
        (9, "rustc", 3.0),
        (10, "a", 0.2),
        (7, "other", 9.0),
    ]
    said = fitness.culprits(before, after, 2.0)
    assert said == "cc1plus (7) used 80% of a core"
    assert fitness.culprits([], after, 2.0) == ""
