"""Ratios of times: their intervals hold the truth as often as they say, and are wrong as seldom as they may be."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st

pytest.importorskip("scipy", reason="SciPy is not installed here: pip install 'crosscorrect[bench]'")

from scipy import stats

from crosscorrect.speed.ratios import LEVEL, MOST_RESTARTS, Ratio, geometric_mean, jointly, logs, ratio, restarts_for

Array = np.ndarray[Any, Any]

PROCESS, SAMPLE = 0.008, 0.066
"""How much identical processes, and samples of one process, differ: standard deviations of log time, measured
(research/timing.md 0.6 and 3.4)."""
RESTARTS, ROUNDS = 5, 120
"""The standard budget."""
TRIALS = 300


def slack(share: float, count: int) -> float:
    """Three standard errors of a share that was counted in so many trials."""
    return 3 * math.sqrt(share * (1 - share) / count)


def trial(draw: np.random.Generator, truth: float = 1.0, restarts: int = RESTARTS, rounds: int = ROUNDS) -> Ratio:
    """Two arms in a machine that slows down in the middle, with long tails: what ``ratio`` makes of it."""
    found = []
    for _ in range(restarts):
        drift = np.where(np.arange(rounds) < rounds / 2, 1.0, 1.2)
        times = [
            math.exp(draw.normal(0, PROCESS)) * drift * np.exp(draw.normal(0, SAMPLE, rounds) + spikes(draw, rounds))
            for _ in range(2)
        ]
        found.append(logs(truth * times[0], times[1]))
    return ratio(found, resamples=100)


def spikes(draw: np.random.Generator, rounds: int) -> Array:
    return np.where(draw.random(rounds) < 0.03, draw.exponential(0.5, rounds), 0.0)


def trials(truth: float, count: int = TRIALS) -> list[Ratio]:
    draw = np.random.default_rng(20261125)
    return [trial(draw, truth) for _ in range(count)]


@pytest.fixture(scope="module")
def same() -> list[Ratio]:
    return trials(1.0)


def share(found: list[Ratio], holds: Any) -> float:
    return sum(map(holds, found)) / len(found)


def test_the_interval_holds_the_truth_as_often_as_it_says(same: list[Ratio]) -> None:
    held = share(same, lambda r: r.low <= 1 <= r.high)
    assert abs(held - LEVEL) <= slack(LEVEL, TRIALS)


def test_what_is_the_same_is_called_different_once_in_twenty_without_a_margin_and_hardly_ever_with_one(
    same: list[Ratio],
) -> None:
    assert share(same, lambda r: r.p_beyond(0.0) < 0.05) <= 0.05 + slack(0.05, TRIALS)
    assert share(same, lambda r: r.p_beyond(0.03) < 0.05) == 0


def test_the_interval_is_as_wide_as_processes_and_samples_make_it(same: list[Ratio]) -> None:
    """Of two arms: processes, and medians of samples, whose variance is pi / 2 times that of means."""
    spread = math.sqrt(2 * (PROCESS**2 + math.pi / 2 * SAMPLE**2 / ROUNDS))
    expected = float(stats.t.ppf(0.975, RESTARTS - 1)) * spread / math.sqrt(RESTARTS)
    relative = 3 * 1.25 / math.sqrt(2 * (RESTARTS - 1) * TRIALS)  # of a median of estimated spreads
    bias = 0.08  # the median of a spread of four degrees of freedom is sqrt(0.839) of it
    assert np.median([r.half_width for r in same]) == pytest.approx(expected * math.sqrt(0.839), rel=relative + bias)


def test_a_tenth_slower_is_found_nearly_always() -> None:
    assert share(trials(1.10, 100), lambda r: r.p_beyond(0.03) < 0.05 and r.value > 1) >= 0.95


def test_samples_as_the_unit_would_be_wrong_more_often_than_restarts() -> None:
    """Why the restart is the unit: one process pair, its samples taken for independent."""
    draw = np.random.default_rng(7)
    wrong = 0
    for _ in range(200):
        offset = draw.normal(0, PROCESS * math.sqrt(2))
        found = offset + draw.normal(0, SAMPLE * math.sqrt(2), 5 * ROUNDS)
        error = found.std(ddof=1) / math.sqrt(len(found))
        wrong += abs(found.mean()) > 1.96 * error
    assert wrong / 200 > 0.05 + slack(0.05, 200)


@given(st.floats(0.1, 10), st.integers(0, 2**31))
def test_arms_that_change_places_give_the_inverse(truth: float, seed: int) -> None:
    draw = np.random.default_rng(seed)
    times = [(np.exp(draw.normal(0, 0.05, 30)), np.exp(draw.normal(0, 0.05, 30))) for _ in range(4)]
    forth = ratio([logs(truth * a, b) for a, b in times])
    back = ratio([logs(b, truth * a) for a, b in times])
    assert forth.value == pytest.approx(1 / back.value)
    assert (forth.low, forth.high) == (pytest.approx(1 / back.high), pytest.approx(1 / back.low))
    assert forth.p_beyond(0.03) == pytest.approx(back.p_beyond(0.03))


@given(st.floats(1e-9, 1e3), st.integers(0, 2**31))
def test_the_unit_of_time_and_the_order_of_restarts_change_nothing(unit: float, seed: int) -> None:
    draw = np.random.default_rng(seed)
    times = [(np.exp(draw.normal(0, 0.05, 9)), np.exp(draw.normal(0, 0.05, 9))) for _ in range(3)]
    first = ratio([logs(a, b) for a, b in times])
    second = ratio([logs(unit * a, unit * b) for a, b in reversed(times)])
    assert second.value == pytest.approx(first.value, rel=1e-9)
    assert second.high == pytest.approx(first.high, rel=1e-9)


@given(st.floats(0.8, 1.25), st.floats(1e-4, 0.1), st.integers(2, 12), st.floats(0.0, 0.2))
def test_the_tests_say_what_the_interval_shows(value: float, spread: float, restarts: int, margin: float) -> None:
    reach = float(stats.t.ppf(0.975, restarts - 1)) * spread / math.sqrt(restarts)
    centre, border = math.log(value), math.log1p(margin)
    found = Ratio(value, math.exp(centre - reach), math.exp(centre + reach), restarts, spread, (value, value))
    for distance in (abs(centre) - border - reach, border - abs(centre) - reach):
        if abs(distance) < 1e-9:
            return  # on the border both are right
    assert (found.p_beyond(margin) < 0.05) == (abs(centre) - reach > border)
    assert (found.p_within(margin) < 0.05) == (abs(centre) + reach < border)


def test_one_restart_decides_nothing() -> None:
    found = ratio([np.full(100, math.log(2))])
    assert (found.value, found.low, found.high) == (pytest.approx(2), 0.0, math.inf)
    assert found.p_beyond(0.03) == found.p_within(0.03) == 1.0


def test_dropped_rounds_are_left_out_and_a_restart_without_any_does_not_count() -> None:
    nan = math.nan
    kept = logs(np.array([2.0, nan, 2.0, 8.0]), np.array([1.0, 1.0, nan, 2.0]))
    assert list(np.exp(kept)) == pytest.approx([2.0, 4.0])
    assert ratio([kept, np.array([]), kept]).restarts == 2
    with pytest.raises(ValueError, match="no round"):
        ratio([np.array([])])


@pytest.mark.parametrize("time", [0.0, -1.0])
def test_a_time_that_is_not_positive_is_refused(time: float) -> None:
    with pytest.raises(ValueError, match="not positive"):
        logs(np.array([1.0, time]), np.array([1.0, 1.0]))


def test_a_single_wild_restart_widens_the_interval_instead_of_moving_the_verdict() -> None:
    steady = [np.full(20, 0.001 * place) for place in range(4)]
    wild = ratio([*steady, np.full(20, math.log(3))])
    assert wild.low < 1 < wild.high
    assert wild.p_beyond(0.03) > 0.05


def test_the_number_of_restarts_that_is_told_is_enough() -> None:
    draw = np.random.default_rng(3)
    undecided = [found for found in (trial(draw, 1.045) for _ in range(60)) if found.p_beyond(0.03) > 0.05]
    assert len(undecided) > 10
    for found in undecided:
        more = restarts_for(found, 0.03)
        assert more > found.restarts
        reach = float(stats.t.ppf(0.975, more - 1)) * found.spread / math.sqrt(more)
        assert reach <= abs(abs(math.log(found.value)) - math.log(1.03)) or more >= MOST_RESTARTS


def test_many_questions_are_answered_with_more_care_than_one() -> None:
    draw = np.random.default_rng(11)
    together = wrong = 0
    for _ in range(40):
        values = [trial(draw, rounds=40).p_beyond(0.0) for _ in range(20)]
        wrong += any(p < 0.05 for p in values)
        together += any(p < 0.05 for p in jointly(values))
    assert together / 40 <= 0.05 + slack(0.05, 40)
    assert wrong / 40 > 0.05 + slack(0.05, 40)
    assert jointly([]) == []


def test_a_mean_of_several_problems_takes_its_interval_from_restarts() -> None:
    restarts = [[np.full(5, math.log(2) + shift), np.full(5, math.log(8) - shift)] for shift in (0.1, -0.1, 0.3)]
    found = geometric_mean([*restarts, [np.full(5, 1.0), np.array([])]])
    assert found.value == pytest.approx(4)
    assert found.restarts == 3
    assert found.half_width == pytest.approx(0, abs=1e-9)  # the shifts cancel within each restart


def test_resampling_draws_restarts_and_then_their_rounds() -> None:
    """A mean of two draws of two restarts is the lower or the upper one a quarter of the time each."""
    steady = ratio([np.full(9, 0.0), np.full(9, 0.1)])
    assert steady.resampled == (pytest.approx(1.0), pytest.approx(math.exp(0.1)))
    uneven = ratio([np.array([-0.2, 0.0, 0.2])] * 2)  # the restarts agree, their rounds do not
    assert (uneven.low, uneven.high) == (1.0, 1.0)
    assert uneven.resampled[0] < 1 < uneven.resampled[1]
