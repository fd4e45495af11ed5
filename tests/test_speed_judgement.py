"""From samples to speed verdicts: the truth is found on a fit machine, and nothing is ranked on another."""

from __future__ import annotations

import dataclasses
from typing import Any

import pandas as pd
import pytest

from crosscorrect.speed.judgement import Rule, judge
from crosscorrect.speed.model import Comparison, Phase, Role, Speed, Who
from crosscorrect.speed.roofline import Ceilings, ceilings, suspicion
from crosscorrect.speed.work import Work
from simulated import CALL, JAX, REFERENCE, TWIN, facts, machine

TRIALS = 20
PLAIN = Rule()


def told(samples: pd.DataFrame, who: Who = JAX, rule: Rule = PLAIN, **more: Any) -> Comparison:
    _, comparisons = judge(samples, facts(**more), rule)
    return next(
        row for row in comparisons if (row.framework, row.mode, row.role) == (who.framework, who.mode, who.role)
    )


@pytest.mark.parametrize(
    ("ratio", "speed"), [(0.81, Speed.FASTER), (1.0, Speed.EQUIVALENT), (1.12, Speed.SLOWER), (2.25, Speed.SLOWER)]
)
def test_a_fit_machine_tells_who_is_faster_and_by_how_much(ratio: float, speed: Speed) -> None:
    found = [told(machine({JAX: ratio}, seed=seed, process=0.004)) for seed in range(TRIALS)]
    assert sum(row.speed is speed for row in found) >= 0.9 * TRIALS
    held = sum(row.low <= ratio <= row.high for row in found if row.low is not None and row.high is not None)
    assert held >= 0.85 * TRIALS  # 95 % of many
    assert all(row.seconds == pytest.approx(CALL * ratio, rel=0.1) for row in found)


def test_what_is_the_same_differs_by_chance_in_at_most_one_of_a_hundred_beyond_the_margin() -> None:
    samples = machine({JAX: 1.0, Who("tf", "eager", "cpu"): 1.0}, problems=tuple(map(str, range(60))))
    _, comparisons = judge(samples, facts(), Rule())
    assert sum(row.speed in (Speed.FASTER, Speed.SLOWER) for row in comparisons) <= 1


@pytest.mark.parametrize("whose", [JAX, REFERENCE])
def test_an_arm_that_waits_makes_the_comparison_unfit_whichever_it_is(whose: Who) -> None:
    row = told(machine({JAX: 0.81}, waiting={whose: 0.4}))
    assert (row.speed, row.ratio) == (Speed.UNFIT, None)
    assert f"{whose.framework} waited" in row.message


def test_a_few_rounds_that_wait_are_dropped_and_the_rest_tells_the_truth() -> None:
    row = told(machine({JAX: 0.81}, waiting={JAX: 0.06}))
    assert row.speed is Speed.FASTER
    assert row.ratio == pytest.approx(0.81, rel=0.03)


def test_a_sentinel_that_drifts_wildly_makes_the_restart_unfit() -> None:
    row = told(machine({JAX: 0.81}, drift=0.6))
    assert row.speed is Speed.UNFIT
    assert "drifted" in row.message


def test_where_the_machine_itself_changed_nothing_finer_is_told() -> None:
    # blocks of a drift of 16 % are 12 % apart
    coarse = told(machine({JAX: 0.93}, drift=0.16, process=0.004))
    assert coarse.speed is Speed.INCONCLUSIVE
    assert "nothing finer" in coarse.message
    assert coarse.ratio is not None
    assert told(machine({JAX: 0.93}, process=0.004)).speed is Speed.FASTER
    assert told(machine({JAX: 0.6}, drift=0.16)).speed is Speed.FASTER
    same = told(machine({JAX: 1.0}, drift=0.16, process=0.002))
    assert same.speed is Speed.INCONCLUSIVE


def test_a_twin_that_is_uncertain_makes_everything_beside_it_as_coarse() -> None:
    samples = machine({JAX: 0.93}, process=0.004)
    shift = {0: 0.92, 1: 1.08, 2: 0.95, 3: 1.05, 4: 1.0}
    factor = samples["restart"].map(shift).where(samples["role"] == Role.TWIN, 1.0)
    for column in ("wall", "cpu"):
        samples[column] = (samples[column] * factor).astype("int64")
    assert told(samples).speed is Speed.INCONCLUSIVE


def test_restarts_that_are_not_fit_are_left_out_as_long_as_enough_are() -> None:
    good, bad = machine({JAX: 0.81}), machine({JAX: 0.81}, waiting={JAX: 0.9}, seed=1)
    mixed = pd.concat([good[good["restart"] > 1], bad[bad["restart"] <= 1]])
    row = told(mixed)
    assert (row.speed, row.restarts) == (Speed.FASTER, 3)
    mixed = pd.concat([good[good["restart"] > 2], bad[bad["restart"] <= 2]])
    assert told(mixed).speed is Speed.UNFIT


def test_who_else_was_at_work_is_named_where_a_restart_is_not_fit() -> None:
    others = {(("p", "forward"), restart): "cc1plus (12) used 160% of a core" for restart in range(5)}
    assert "cc1plus" in told(machine({JAX: 0.81}, waiting={JAX: 0.9}), others=others).message
    assert "cc1plus" not in told(machine({JAX: 0.81}), others=others).message


def test_a_neighbour_on_the_processors_that_are_measured_makes_it_unfit_even_where_no_sample_waited() -> None:
    where = [(("p", "forward"), restart) for restart in range(5)]
    others = dict.fromkeys(where, "stress (7) used 40% of a core")
    row = told(machine({JAX: 0.81}), others=others, occupied=dict.fromkeys(where, 0.4))
    assert row.speed is Speed.UNFIT
    assert "stress (7)" in row.message
    assert told(machine({JAX: 0.81}), others=others, occupied=dict.fromkeys(where, 0.02)).speed is Speed.FASTER


def test_a_twin_that_differs_makes_everything_beside_it_unfit() -> None:
    samples = machine({JAX: 0.81})
    is_twin = samples["role"] == Role.TWIN
    for column in ("wall", "cpu"):
        samples[column] = samples[column].where(~is_twin, samples[column] * 12 // 10)
    row = told(samples)
    assert row.speed is Speed.UNFIT
    assert "twin" in row.message


def test_without_a_twin_that_was_fit_there_is_no_ranking() -> None:
    row = told(machine({JAX: 0.81}, waiting={TWIN: 0.9}))
    assert row.speed is Speed.UNFIT
    assert "the twin says nothing" in row.message


def test_a_result_that_is_waited_for_afterwards_is_not_compared() -> None:
    row = told(machine({JAX: 0.81}, residual=0.3))
    assert (row.speed, row.seconds) == (Speed.NOT_COMPARABLE, None)
    assert "does not wait" in row.message
    assert told(machine({JAX: 0.81}, residual=0.02)).speed is Speed.FASTER


def test_a_reference_that_does_not_wait_compares_nobody() -> None:
    samples = machine({JAX: 0.81})
    late = samples["framework"] == "torch"
    samples["residual"] = samples["residual"].where(~late, samples["wall"] * 5)
    row = told(samples)
    assert row.speed is Speed.NOT_COMPARABLE
    assert "the reference torch: its sync does not wait" in row.message
    assert told(samples, REFERENCE).speed is Speed.NOT_COMPARABLE


@pytest.mark.parametrize("speed", [None, Speed.WRONG, Speed.NOT_COMPARABLE])
def test_without_a_twin_nobody_is_ranked(speed: Speed | None) -> None:
    samples = machine({JAX: 0.81})
    standing = {} if speed is None else {(("p", "forward"), TWIN): (speed, "its worker was lost")}
    if speed is None:
        samples = samples[samples["role"] != Role.TWIN]
    row = told(samples, standing=standing)
    assert row.speed is Speed.UNFIT
    assert "twin" in row.message


def test_without_a_sentinel_nobody_is_ranked() -> None:
    samples = machine({JAX: 0.81})
    row = told(samples[samples["role"].isin([Role.ARM, Role.TWIN])])
    assert row.speed is Speed.UNFIT
    assert "the sentinel has no sample" in row.message


@pytest.mark.parametrize("who", [JAX, REFERENCE])
def test_who_never_comes_to_the_end_of_a_restart_is_not_compared(who: Who) -> None:
    samples = machine({JAX: 0.81})
    refused = {(("p", "forward"), who, restart): "its worker was lost: SIGKILL" for restart in range(5)}
    row = told(samples, refused=refused)
    assert row.speed is Speed.NOT_COMPARABLE
    assert "SIGKILL" in row.message
    once = {key: why for key, why in refused.items() if key[2] == 0}
    row = told(samples, refused=once)
    assert (row.speed, row.restarts) == (Speed.FASTER, 4)


def test_a_training_that_is_wrong_has_its_row_though_its_work_is_no_fixed_amount() -> None:
    row = told(machine({}), standing={(("p", "train"), JAX): (Speed.WRONG, "fail (trajectory)")})
    assert (row.part, row.speed) == ("train", Speed.WRONG)


def test_a_wrong_answer_has_no_speed_and_a_wrong_reference_compares_nobody() -> None:
    subject = ("p", "forward")
    wrong = told(machine({JAX: 0.5}), standing={(subject, JAX): (Speed.WRONG, "fail (value)")})
    assert (wrong.speed, wrong.seconds, wrong.ratio, wrong.message) == (Speed.WRONG, None, None, "fail (value)")
    beside = told(machine({JAX: 0.5}), standing={(subject, REFERENCE): (Speed.WRONG, "fail (value)")})
    assert beside.speed is Speed.NOT_COMPARABLE
    assert "the reference torch" in beside.message


def test_what_was_never_timed_has_its_row_all_the_same() -> None:
    row = told(
        machine({}), standing={(("p", "forward"), JAX): (Speed.NOT_COMPARABLE, "unsupported: no such convolution")}
    )
    assert row.message == "unsupported: no such convolution"


def test_labels_that_were_swapped_with_the_reference_are_found_by_its_twin() -> None:
    samples = machine({JAX: 0.5})
    other = {"torch": "jax", "jax": "torch"}
    is_arm = samples["role"] == Role.ARM
    samples["framework"] = samples["framework"].where(~is_arm, samples["framework"].replace(other))
    row = told(samples)
    assert row.speed is Speed.UNFIT
    assert "what is the same came out different" in row.message


def test_a_measurement_tells_what_its_samples_are() -> None:
    samples = machine({JAX: 2.0}, restarts=2, rounds=40)
    rows, _ = judge(samples, facts(restarts=2), Rule())
    assert len(rows) == 3 * 2
    own = next(row for row in rows if row.framework == "jax")
    assert (own.rounds, own.kept, own.calls, own.complaint) == (40, 40, 10, "")
    assert own.seconds == pytest.approx(2 * CALL, rel=0.05)
    assert own.fast < own.seconds
    assert own.threads == pytest.approx(1.0, rel=0.02)


def test_several_threads_may_use_as_much_processor_time_as_they_are() -> None:
    samples = machine({JAX: 0.81})
    samples["cpu"] *= 2
    assert told(samples, threads=2).speed is Speed.FASTER
    assert "threads" in told(samples, threads=1).message


def test_several_threads_that_wait_are_unfit_and_so_is_company_that_they_may_spin_against() -> None:
    assert told(machine({JAX: 0.81}, waiting={JAX: 0.97}), threads=2).speed is Speed.UNFIT
    others = {(("p", "forward"), restart): "stress used 99% of a core" for restart in range(5)}
    assert told(machine({JAX: 0.81}), threads=2, others=others).speed is Speed.UNFIT


def test_a_margin_decides_what_is_the_same() -> None:
    samples = machine({JAX: 1.06}, process=0.004)
    assert told(samples, rule=Rule(0.01)).speed is Speed.SLOWER
    assert told(samples, rule=Rule(0.12)).speed is Speed.EQUIVALENT


def ceiling(part: str, role: Role, seconds: float, restart: int = 0) -> pd.DataFrame:
    frame = machine({}, restarts=1, rounds=10).iloc[:10].copy()
    return frame.assign(problem="", part=part, role=role, restart=restart, calls=1, wall=int(seconds * 1e9))


def test_ceilings_are_the_best_that_was_measured() -> None:
    samples = pd.concat(
        [
            ceiling("multiply 256", Role.COMPUTE, 1e-3),
            ceiling("multiply 256", Role.COMPUTE, 5e-4, restart=1),
            ceiling("multiply 64", Role.COMPUTE, 1e-4),
            ceiling("copy 1000", Role.STREAMING, 1e-6),
            ceiling("copy 1000000", Role.STREAMING, 1e-3),
        ]
    )
    found = ceilings(samples)
    assert found is not None
    assert found.peak == pytest.approx(2 * 256**3 / 5e-4)
    assert found.bandwidth == pytest.approx({2000: 2000 / 1e-6, 2000000: 2000000 / 1e-3})
    assert ceilings(machine({})) is None


def test_the_roofline_is_the_lower_of_peak_and_intensity_times_bandwidth() -> None:
    roof = Ceilings(1e11, {1000: 1e11, 10**6: 1e10})
    assert roof.attainable(Work(10**6, 10**6, 100)) == 1e11
    assert roof.attainable(Work(1000, 1000, 2000)) == pytest.approx(0.5 * 1e11)  # it fits no smaller size
    assert roof.attainable(Work(10**6, 10**6, 2 * 10**6)) == pytest.approx(0.5 * 1e10)
    assert roof.reached(Work(10**6, 10**6, 100), 2e-5) == pytest.approx(0.5)


def test_faster_than_the_processors_can_be_is_suspect() -> None:
    assert suspicion(1.2)
    assert not suspicion(1.05)
    assert not suspicion(None)
    roof = [ceiling("multiply 256", Role.COMPUTE, 5e-4), ceiling("copy 1000", Role.STREAMING, 1e-6)]
    samples = pd.concat([machine({JAX: 0.81}), *roof])
    much = Work(10**9, 10**9, 100)
    row = told(samples, work={("p", "forward"): much})
    assert row.suspect
    assert row.attainable is not None
    assert row.flops == much.flops


def test_a_kernel_that_meets_nothing_but_padding_has_no_share_of_any_ceiling() -> None:
    assert Ceilings(1e11, {1000: 1e11}).reached(Work(0, 100, 100), 1e-5) is None


def test_a_slope_that_is_nothing_drops_its_round() -> None:
    samples = machine({JAX: 0.81})
    first = samples["round"] == 0
    samples["wall"] = samples["wall"].where(~first, 0)
    row = told(samples)
    assert row.speed is Speed.FASTER
    everything = machine({JAX: 0.81}).assign(wall=0)
    assert all(r.ratio is None for r in judge(everything, facts(), PLAIN)[1])


def test_phases_outside_rounds_are_no_samples_of_a_round() -> None:
    samples = machine({JAX: 0.81})
    first = samples.iloc[[0]].assign(phase=Phase.FIRST, round=-1, wall=10**9)
    assert dataclasses.asdict(told(pd.concat([samples, first]))) == dataclasses.asdict(told(samples))
