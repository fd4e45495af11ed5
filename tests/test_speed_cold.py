"""What a start costs: the phases that come once, and after how many calls the slower start has paid off."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, strategies as st

from crosscorrect.speed import cold
from crosscorrect.speed.model import Phase, Role, Sample

Phases = dict[Phase, float]


def rows(framework: str, phases: Phases, steady: float, restart: int = 0, mode: str = "eager") -> list[dict[str, Any]]:
    plain = dict.fromkeys((f.name for f in fields(Sample)), 0)
    who = {"problem": "p", "part": "forward", "framework": framework, "mode": mode, "device": "cpu", "role": Role.ARM}
    where = {**plain, **who, "restart": restart}
    once = [{**where, "phase": p, "round": -1, "calls": 1, "wall": int(t * 1e9)} for p, t in phases.items()]
    later = [{**where, "phase": Phase.STEADY, "round": n, "calls": 10, "wall": int(steady * 1e10)} for n in range(3)]
    return [*once, *later]


QUICK: Phases = {Phase.IMPORT: 1.0, Phase.PUT: 0.1, Phase.FIRST: 0.1}
SLOW: Phases = {Phase.IMPORT: 1.0, Phase.PUT: 0.1, Phase.TRACE: 0.5, Phase.COMPILE: 2.0, Phase.FIRST: 3.0}


def test_each_phase_is_told_by_its_median_and_its_ends_over_restarts() -> None:
    table = pd.DataFrame([r for n in range(3) for r in rows("jax", {**SLOW, Phase.FIRST: 3.0 + n}, 1e-3, n)])
    (found,) = cold.starts(table)
    assert found.phases[Phase.FIRST] == pytest.approx((4.0, 3.0, 5.0))
    assert found.phases[Phase.COMPILE] == pytest.approx((2.0, 2.0, 2.0))
    assert found.steady.median == pytest.approx(1e-3)
    assert found.total(1) == pytest.approx(1.0 + 0.1 + 4.0)  # trace and compile are parts of the first call
    assert found.total(101) == pytest.approx(5.1 + 0.1)


def test_who_starts_later_is_ahead_after_so_many_calls_and_not_before() -> None:
    table = pd.DataFrame([*rows("torch", QUICK, 2e-3), *rows("jax", SLOW, 1e-3, mode="compiled")])
    found = {start.who.framework: start for start in cold.starts(table)}
    (crossing,) = cold.crossings(list(found.values()))
    assert (crossing.first.name, crossing.then.name) == ("torch", "jax compiled")
    assert crossing.calls is not None
    assert found["jax"].total(crossing.calls + 1) <= found["torch"].total(crossing.calls + 1)
    assert found["jax"].total(crossing.calls - 1) >= found["torch"].total(crossing.calls - 1)
    assert crossing.calls == pytest.approx(2901, abs=1)


def test_who_starts_later_and_is_no_faster_never_overtakes() -> None:
    table = pd.DataFrame([*rows("torch", QUICK, 1e-3), *rows("jax", SLOW, 1e-3)])
    assert cold.crossings(cold.starts(table))[0].calls is None


@given(st.floats(0.001, 10), st.floats(1e-6, 1e-3), st.floats(1e-6, 1e-3))
def test_a_crossing_is_where_the_totals_cross(later: float, one: float, other: float) -> None:
    table = pd.DataFrame([*rows("a", QUICK, one), *rows("b", {**QUICK, Phase.FIRST: 0.1 + later}, other)])
    starts = {start.who.framework: start for start in cold.starts(table)}
    (crossing,) = cold.crossings(list(starts.values()))
    if crossing.calls is None:
        assert starts["b"].steady.median >= starts["a"].steady.median
    else:
        slack = 1e-9 * crossing.calls
        assert starts["b"].total(crossing.calls) <= starts["a"].total(crossing.calls) + slack


def test_an_arm_without_all_its_phases_or_its_steady_state_is_left_out() -> None:
    table = pd.DataFrame([*rows("torch", {Phase.IMPORT: 1.0, Phase.FIRST: 1.0}, 1e-3), *rows("jax", SLOW, 1e-3)[:-3]])
    assert cold.starts(table) == []
