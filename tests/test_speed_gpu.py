"""What NVML tells is read and never changed, and what speaks against what was timed on a GPU is named."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from crosscorrect.speed import gpu
from crosscorrect.speed.gpu import State
from crosscorrect.speed.judgement import Rule, judge
from crosscorrect.speed.model import Role, Speed, Who
from simulated import JAX, facts, machine

IDLE = State(1980, frozenset(), frozenset({11, 12}))
OWN = {11, 12}


@pytest.mark.parametrize(
    ("after", "words"),
    [
        (IDLE, ""),
        (IDLE._replace(pids=frozenset({11, 12, 99})), "other processes compute on cuda:0: 99"),
        (IDLE._replace(held_back=frozenset({"its temperature"})), "held back by its temperature"),
        (IDLE._replace(clock=1700), "fell from 1980 to 1700 MHz"),
        (IDLE._replace(clock=1950), ""),
    ],
)
def test_what_disturbs_a_gpu_is_named(after: State, words: str) -> None:
    said = gpu.complaint("cuda:0", IDLE, after, OWN)
    assert words in said
    assert bool(said) == bool(words)


def test_in_a_container_that_numbers_processes_otherwise_as_many_as_ours_are_taken_for_ours() -> None:
    outside = IDLE._replace(pids=frozenset({1011, 1012}))
    assert gpu.complaint("cuda:0", outside, outside, OWN) == ""
    more = outside._replace(pids=frozenset({1011, 1012, 1013}))
    assert "other processes" in gpu.complaint("cuda:0", outside, more, OWN)


def test_without_nvml_nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert gpu.state("cuda:0") is None
    assert gpu.complaint("cuda:0", None, None, OWN) == ""


class Nvml(SimpleNamespace):
    """A card, as NVML tells of one; every call is noted."""

    NVMLError = RuntimeError
    NVML_CLOCK_SM = 1
    nvmlClocksThrottleReasonHwThermalSlowdown = 0x40  # noqa: N815  NVML's name

    def __getattr__(self, name: str) -> object:
        told = {
            "nvmlDeviceGetCurrentClocksThrottleReasons": 0x40,
            "nvmlDeviceGetComputeRunningProcesses": [SimpleNamespace(pid=7)],
            "nvmlDeviceGetClockInfo": 1410,
        }

        def call(*_: object) -> object:
            self.calls.append(name)
            return told.get(name)

        if not name.startswith("nvml"):
            raise AttributeError(name)
        return call


def test_a_cards_state_is_read_and_nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    card = Nvml(calls=[])
    monkeypatch.setitem(sys.modules, "pynvml", card)
    for name in gpu.HELD_BACK:
        if not hasattr(Nvml, name):
            monkeypatch.setattr(card, name, 0, raising=False)
    assert gpu.state("cuda:1") == State(1410, frozenset({"its temperature"}), frozenset({7}))
    assert not [name for name in card.calls if "Set" in name]
    assert gpu.state("cpu") is None


def test_on_a_gpu_waiting_is_no_complaint_and_what_disturbs_it_is() -> None:
    there = {"torch": Who("torch", "eager", "cuda:0"), "jax": Who("jax", "eager", "cuda:0")}
    samples = machine({JAX: 0.81}, process=0.004)
    is_arm = samples["role"].isin([Role.ARM, Role.TWIN])
    samples["device"] = samples["device"].where(~is_arm, "cuda:0")
    samples["cpu"] = samples["cpu"].where(~is_arm, samples["cpu"] // 50)
    _, rows = judge(samples, facts(reference=there["torch"]), Rule())
    assert next(row for row in rows if row.framework == "jax").speed is Speed.FASTER
    hot = {(("p", "forward"), restart, "cuda:0"): "cuda:0 is held back by its temperature" for restart in range(5)}
    _, rows = judge(samples, facts(reference=there["torch"], disturbed=hot), Rule())
    row = next(row for row in rows if row.framework == "jax")
    assert row.speed is Speed.UNFIT
    assert "temperature" in row.message
