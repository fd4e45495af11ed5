"""Speed verdicts: wrong answers have no speed, unfit machines no ranking, and the rest is undecided until it is not."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

pytest.importorskip("scipy", reason="SciPy is not installed here: pip install 'crosscorrect[bench]'")

from scipy import stats

from crosscorrect.speed.ratios import Ratio
from crosscorrect.speed.ruling import Measured, Speed, rule

MARGIN = 0.03


def measured(value: float, spread: float = 0.005, restarts: int = 5) -> Ratio:
    reach = float(stats.t.ppf(0.975, restarts - 1)) * spread / math.sqrt(restarts)
    low, high = value * math.exp(-reach), value * math.exp(reach)
    return Ratio(value, low, high, restarts, spread, (low, high))


def one(found: Measured) -> tuple[Speed, str]:
    verdict = rule({"only": found}, MARGIN)["only"]
    return verdict.speed, verdict.message


@pytest.mark.parametrize(
    ("value", "spread", "speed"),
    [
        (1.5, 0.01, Speed.SLOWER),
        (0.8, 0.01, Speed.FASTER),
        (1.0, 0.005, Speed.EQUIVALENT),
        (1.02, 0.002, Speed.EQUIVALENT),
        (1.03, 0.005, Speed.INCONCLUSIVE),
        (1.0, 0.1, Speed.INCONCLUSIVE),
        (1.5, 1.0, Speed.INCONCLUSIVE),
    ],
)
def test_a_ratio_is_told_by_its_interval_and_the_margin(value: float, spread: float, speed: Speed) -> None:
    assert one(Measured(measured(value, spread)))[0] is speed


def test_what_is_undecided_says_how_many_restarts_would_decide_it() -> None:
    speed, message = one(Measured(measured(1.045, 0.02)))
    assert speed is Speed.INCONCLUSIVE
    assert message.startswith("needs about ")
    assert message.endswith(" more restarts")


def test_one_restart_is_undecided_whatever_it_reads() -> None:
    assert one(Measured(Ratio(3.0, 0.0, math.inf, 1, math.nan, (0.0, math.inf))))[0] is Speed.INCONCLUSIVE


@pytest.mark.parametrize(
    ("stands", "speed"),
    [
        ({"wrong": "fail (value)"}, Speed.WRONG),
        ({"other": "another version of the case"}, Speed.NOT_COMPARABLE),
        ({"unfit": "jax waited"}, Speed.UNFIT),
        ({"wrong": "fail", "unfit": "jax waited"}, Speed.WRONG),
    ],
)
def test_what_stands_against_a_number_takes_the_number_away(stands: dict[str, str], speed: Speed) -> None:
    verdict = rule({"only": Measured(measured(0.5), **stands)}, MARGIN)["only"]
    assert verdict.speed is speed
    assert verdict.ratio is None
    assert verdict.message == next(iter(stands.values()))


def test_a_comparison_without_a_fit_restart_is_unfit() -> None:
    assert one(Measured(None)) == (Speed.UNFIT, "no restart was fit")


def test_a_doubtful_difference_among_many_questions_is_not_told_as_one() -> None:
    doubtful = measured(1.055, 0.018)
    assert one(Measured(doubtful))[0] is Speed.SLOWER
    crowd = {place: Measured(measured(1.03, 0.02)) for place in range(40)}
    verdicts = rule({**crowd, "doubtful": Measured(doubtful), "clear": Measured(measured(3.0))}, MARGIN)
    assert verdicts["doubtful"].speed is Speed.INCONCLUSIVE
    assert verdicts["clear"].speed is Speed.SLOWER


def test_what_has_its_verdict_anyway_does_not_count_among_the_questions() -> None:
    doubtful = Measured(measured(1.055, 0.018))
    crowd = {place: replace(Measured(measured(1.03, 0.02)), unfit="busy") for place in range(40)}
    assert rule({**crowd, "doubtful": doubtful}, MARGIN)["doubtful"].speed is Speed.SLOWER


def test_a_verdict_keeps_the_order_and_the_keys_of_its_question() -> None:
    keys = [("a", "jax"), ("b", "torch"), ("a", "torch")]
    assert list(rule({key: Measured(measured(1.0)) for key in keys}, MARGIN)) == keys
    assert rule({}, MARGIN) == {}
