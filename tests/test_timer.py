"""A worker times the call that was prepared: the right one, so often, and until its result is there."""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from crosscorrect.geometry import Geometry
from crosscorrect.worker import timer
from crosscorrect.worker.loop import Server
from crosscorrect_adapters.numpy import NumpyAdapter

X, W = np.arange(12.0).reshape(1, 1, 3, 4), np.array([[[[1.0, 2.0]]]])
WHERE = {"device": "cpu", "mode": "eager", "arithmetic": "strict", "nonce": 1, "slot": "one"}
POOL = ThreadPoolExecutor(4)
CALL = {**WHERE, "verb": "conv2d", "settings": {"geometry": Geometry().to_json()}}


class Counting(NumpyAdapter):
    """Counts its computations; the first takes longer, as one that compiles."""

    count = 0

    def conv2d(self, *arguments: Any, **options: Any) -> Any:
        type(self).count += 1
        time.sleep(0.02 if self.count == 1 else 0.001)
        return super().conv2d(*arguments, **options)


class Lazy(NumpyAdapter):
    """Returns at once and computes when somebody looks; ``sync`` does not wait."""

    def conv2d(self, *arguments: Any, **options: Any) -> Any:
        held: list[Any] = []

        def result() -> Any:
            if not held:
                time.sleep(0.005)
                held.append(super(Lazy, self).conv2d(*arguments, **options))
            return held[0]

        return result

    def sync(self, *tensors: Any) -> None:
        pass

    def get(self, tensor: Any) -> Any:
        return tensor() if callable(tensor) else tensor


def server(adapter: type) -> Server:
    adapter.count = 0  # type: ignore[attr-defined]
    served = Server(adapter)
    reply, results = served.answer({**CALL, "type": "prepare"}, {"x": X, "w": W})
    assert reply["outcome"] == "answer"
    assert np.array_equal(results["output"], X[..., :-1] + 2 * X[..., 1:])
    return served


class Behind(NumpyAdapter):
    """Returns at once and computes in another thread; ``sync`` does not wait, ``get`` does."""

    def conv2d(self, *arguments: Any, **options: Any) -> Any:
        def compute() -> Any:
            time.sleep(0.005)
            return super(Behind, self).conv2d(*arguments, **options)

        return POOL.submit(compute)

    def get(self, tensor: Any) -> Any:
        return tensor.result() if isinstance(tensor, Future) else tensor


def sample(
    served: Server, calls: int, *, slot: str = "one", show: bool = False, slope: bool = False
) -> tuple[dict[str, Any], Any]:
    asked = {"type": "time", "slot": slot, "calls": calls, "warm": 1, "slope": slope, "show": show, "nonce": 2}
    return served.answer(asked, {})


@pytest.mark.parametrize("calls", [1, 7])
def test_a_sample_is_so_many_calls_after_one_that_is_not_timed(calls: int) -> None:
    served = server(Counting)
    before = Counting.count
    reply, results = sample(served, calls)
    assert reply["calls"] == calls
    assert Counting.count - before == calls + 1
    assert results == {}


def test_wall_and_processor_time_are_of_the_calls_alone() -> None:
    reply, _ = sample(server(Counting), 5)
    assert reply["wall"] >= 5_000_000  # five times a millisecond of sleep
    assert reply["cpu"] < reply["wall"]
    assert {name: type(reply[name]) for name in ("switches", "faults", "residual")} == dict.fromkeys(
        ("switches", "faults", "residual"), int
    )


def test_the_first_call_is_told_apart_from_the_second() -> None:
    Counting.count = 0
    reply, _ = Server(Counting).answer({**CALL, "type": "prepare"}, {"x": X, "w": W})
    assert reply["first"] >= 20_000_000
    assert reply["second"] >= 1_000_000


@pytest.mark.parametrize("adapter", [Lazy, Behind])
def test_a_sync_that_does_not_wait_leaves_its_time_to_whoever_looks_first(adapter: type) -> None:
    assert sample(server(adapter), 3)[0]["residual"] >= 3_000_000


def test_a_call_has_a_slot_to_itself() -> None:
    served = server(Counting)
    served.answer({**CALL, "type": "prepare", "slot": "other"}, {"x": X, "w": 3 * W})
    assert np.array_equal(sample(served, 1, show=True)[1]["output"], X[..., :-1] + 2 * X[..., 1:])
    assert np.array_equal(sample(served, 1, slot="other", show=True)[1]["output"], 3 * X[..., :-1] + 6 * X[..., 1:])


def test_memory_is_copied_without_a_framework() -> None:
    served = Server(NumpyAdapter)
    reply, results = served.answer({**CALL, "type": "prepare", "verb": "copy", "settings": {}}, {"x": X})
    assert reply["outcome"] == "answer"
    assert np.array_equal(results["output"], X)


def test_the_last_result_is_shown_where_it_is_wanted() -> None:
    _, results = sample(server(Counting), 2, show=True)
    assert np.array_equal(results["output"], X[..., :-1] + 2 * X[..., 1:])


def test_what_is_prepared_next_takes_the_place_of_what_was() -> None:
    served = server(Counting)
    served.answer({**CALL, "type": "prepare"}, {"x": X, "w": 3 * W})
    assert np.array_equal(sample(served, 1, show=True)[1]["output"], 3 * X[..., :-1] + 6 * X[..., 1:])


def test_a_sample_of_nothing_prepared_is_an_error_and_no_death() -> None:
    reply, results = sample(Server(Counting), 1)
    assert (reply["outcome"], results) == ("raised", {})


def test_collection_of_garbage_is_as_it_was_after_a_sample() -> None:
    import gc

    sample(server(Counting), 1)
    assert gc.isenabled()


class Device(NumpyAdapter):
    """A device beside the processor, on a clock of its own: calls return at once, the work is done in their order."""

    work, start, wait = 2_000_000, 500_000, 10_000_000
    now = free = 0
    seen: tuple[int, ...] = ()

    def conv2d(self, *arguments: Any, **options: Any) -> Any:
        Device.now += self.start
        Device.free = max(Device.free, Device.now) + self.work
        Device.seen = (*Device.seen, id(arguments[0]))
        return super().conv2d(*arguments, **options)

    def sync(self, *_: Any) -> None:
        Device.now = max(Device.now, Device.free) + self.wait


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> type[Device]:
    clock = SimpleNamespace(
        perf_counter_ns=lambda: Device.now, process_time_ns=lambda: Device.now, sleep=lambda _: None
    )
    monkeypatch.setattr(timer, "time", clock)
    return Device


def test_the_slope_is_the_devices_own_time_without_what_it_costs_to_start_and_to_wait(device: type[Device]) -> None:
    served = server(device)
    assert sample(served, 20, slope=True)[0]["wall"] == 20 * device.work
    # one by one, each call pays for all of it
    assert sample(served, 20)[0]["wall"] == 20 * (device.start + device.work + device.wait)


def test_the_slope_takes_copies_of_the_inputs_in_turn(device: type[Device]) -> None:
    served = Server(device)
    served.answer({**CALL, "type": "prepare", "copies": 3}, {"x": X, "w": W})
    Device.seen = ()
    sample(served, 3, slope=True)
    assert len(set(Device.seen)) == 3
    assert Device.seen[1:4] == Device.seen[4:7]  # after the one that warms
