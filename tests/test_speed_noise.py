"""The audit of a machine's noise tells the rates that it has, and its controls fail where the timing itself is off."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from crosscorrect.cli.noise import _code
from crosscorrect.geometry import Geometry
from crosscorrect.model import Exit
from crosscorrect.speed import noise
from crosscorrect.speed.model import Who
from crosscorrect.worker import timer
from crosscorrect.worker.controls import CALL, Clock, Twice
from crosscorrect.worker.loop import Server
from simulated import COLUMNS, machine

COPIES = [Who(f"numpy-{n}", "eager", "cpu") for n in range(1, 5)]


def clocks(call: float = CALL, twice: float = 2 * CALL) -> pd.DataFrame:
    """Samples of the clocks, as they were read."""
    frame = machine({COPIES[0]: 1.0}, restarts=3, rounds=20, problems=("speed/loop",))
    own = frame[frame["framework"] == COPIES[0].framework]
    frames = [own.assign(framework=name, wall=int(10 * t * 1e9)) for name, t in (("clock", call), ("twice", twice))]
    return pd.concat(frames)[COLUMNS]


def audited(*, clock: float = CALL, twice: float = 2 * CALL, problems: int = 12, **more: Any) -> noise.Noise:
    same = machine(dict.fromkeys(COPIES, 1.0), problems=tuple(f"p{n}" for n in range(problems)), **more)
    same = same[same["framework"] != "torch"]  # the reference is one of the copies here
    info = {"bench": {"budget": {"restarts": 5, "rounds": 120}}}
    run: Any = SimpleNamespace(samples=pd.concat([same, clocks(clock, twice)]), info=info)
    return noise.noise(run)


def test_on_a_machine_with_the_usual_spreads_the_rates_are_those_of_the_rule() -> None:
    found = audited()
    assert found.rates is not None
    assert found.interval[0] <= 0.05 <= found.interval[1]  # the level of the interval
    assert found.rates.beyond <= 0.01
    assert found.rates.found >= 0.95
    assert 0.004 < found.rates.half_width < 0.02
    assert _code(found) is Exit.OK


def test_more_restarts_make_narrower_intervals() -> None:
    found = audited()
    widths = [found.budgets[count, 120].half_width for count in (2, 3, 5)]
    assert widths == sorted(widths, reverse=True)


def test_a_machine_that_waits_is_not_fit() -> None:
    found = audited(waiting=dict.fromkeys(COPIES, 0.5))
    assert found.fit == 0
    assert found.rates is None
    assert _code(found) is Exit.UNFIT


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"clock": 2 * CALL, "twice": 4 * CALL}, "a call of a known time reads that time"),  # a doubled loop count
        ({"clock": CALL, "twice": CALL}, "who takes twice as long reads twice as long"),
        ({"clock": 2 * CALL, "twice": CALL}, "who takes twice as long reads twice as long"),  # swapped labels
    ],
)
def test_a_known_time_that_is_misread_fails_the_control_of_that_name(options: dict[str, float], name: str) -> None:
    found = audited(problems=2, **options)
    assert name in [control.name for control in found.controls if not control.holds]
    assert _code(found) is Exit.NOT_CONFORMANT


def test_controls_that_were_not_measured_do_not_hold() -> None:
    run: Any = SimpleNamespace(
        samples=machine(dict.fromkeys(COPIES, 1.0), restarts=2, rounds=10),
        info={"bench": {"budget": {"restarts": 2, "rounds": 10}}},
    )
    assert [control.holds for control in noise.noise(run).controls] == [False]


@pytest.mark.parametrize("adapter", [Clock, Twice])
def test_a_clock_computes_the_loop_and_takes_its_time(adapter: type[Clock]) -> None:
    made = adapter("cpu", "eager")
    x, k = np.arange(12.0).reshape(3, 4), np.array([[1.0, 2.0]])
    begin = time.perf_counter()
    y = made.corr2d(made.put(x), made.put(k))
    assert time.perf_counter() - begin >= adapter.call
    assert np.array_equal(y, x[:, :-1] + 2 * x[:, 1:])


def read(monkeypatch: pytest.MonkeyPatch, mutant: str) -> float:
    """What a call of ``Clock`` reads, in units of its time, with a defect in the timer."""
    plain = timer._one_by_one

    def doubled(adapter: Any, bounds: Any, calls: int) -> Any:
        return plain(adapter, bounds, 2 * calls)

    if mutant == "doubled loop count":
        monkeypatch.setattr(timer, "_one_by_one", doubled)
    served = Server(Clock)
    where = {"device": "cpu", "mode": "eager", "arithmetic": "strict", "nonce": 1, "slot": "one"}
    call = {**where, "verb": "corr2d", "settings": {"geometry": Geometry().to_json()}}
    arrays = {"x": np.arange(12.0).reshape(3, 4), "w": np.array([[1.0, 2.0]])}
    served.answer({**call, "type": "prepare"}, arrays)
    asked = {"type": "time", "slot": "one", "calls": 5, "warm": 1, "slope": False, "show": False, "nonce": 2}
    # a busy machine makes a sample longer and never shorter
    return min(served.answer(asked, {})[0]["wall"] / 5 / CALL * 1e-9 for _ in range(200))


def test_a_timer_that_runs_twice_as_many_calls_as_it_says_is_read_on_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read(monkeypatch, "none") >= 1
    assert read(monkeypatch, "doubled loop count") >= 2
