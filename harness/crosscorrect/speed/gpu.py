"""What NVML tells of a GPU before and after it is measured: its clock, why it is held back, and who else computes.

Nothing is ever changed there. Without NVML, or on another maker's device, nothing is known.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

HELD_BACK = {
    "nvmlClocksEventReasonSwPowerCap": "its power limit",
    "nvmlClocksThrottleReasonHwSlowdown": "the hardware",
    "nvmlClocksThrottleReasonHwThermalSlowdown": "its temperature",
    "nvmlClocksThrottleReasonSwThermalSlowdown": "its temperature",
    "nvmlClocksThrottleReasonHwPowerBrakeSlowdown": "the power supply",
}
"""The reasons for a lower clock that speak against what was timed, by NVML's names."""
FELL = 0.05
"""By how much the clock may fall while one problem is measured."""


class State(NamedTuple):
    """A GPU at a moment: the clock of its processors in MHz, what holds it back, the processes that compute on it."""

    clock: int
    held_back: frozenset[str]
    pids: frozenset[int]


def state(device: str) -> State | None:
    """The state of ``cuda:INDEX``; None where NVML does not tell, or the device is none of its."""
    kind, _, index = device.partition(":")
    if kind != "cuda":
        return None
    with _nvml() as nvml:
        if nvml is None:
            return None
        number = _physical(int(index or 0))
        if number is None:
            return None
        handle = nvml.nvmlDeviceGetHandleByIndex(number)
        reasons = nvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle)
        held = {word for name, word in HELD_BACK.items() if reasons & getattr(nvml, name, 0)}
        processes = nvml.nvmlDeviceGetComputeRunningProcesses(handle)
        clock = nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM)
        return State(int(clock), frozenset(held), frozenset(process.pid for process in processes))
    return None


def complaint(device: str, before: State | None, after: State | None, own: set[int]) -> str:
    """What speaks against what was measured between two looks; empty where nothing does.

    ``own`` are our processes. In a container NVML may name processes by numbers of outside: then all of them look
    foreign, and as many as ours are taken for ours.
    """
    if before is None or after is None:
        return ""
    said = []
    known = before.pids & after.pids & own
    others = (before.pids | after.pids) - own
    if others and (known or len(others) > len(own)):
        said.append(f"other processes compute on {device}: {', '.join(map(str, sorted(others)))}")
    if after.held_back:
        said.append(f"{device} is held back by {' and '.join(sorted(after.held_back))}")
    if after.clock < before.clock * (1 - FELL):
        said.append(f"the clock of {device} fell from {before.clock} to {after.clock} MHz")
    return ", ".join(said)


def _physical(index: int) -> int | None:
    """NVML's number of a device that CUDA calls so; None where ``CUDA_VISIBLE_DEVICES`` names it otherwise."""
    seen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if seen is None:
        return index
    names = [name.strip() for name in seen.split(",")]
    return int(names[index]) if index < len(names) and names[index].isdecimal() else None


@contextlib.contextmanager
def _nvml() -> Iterator[Any]:
    """NVML, or None where it is not to be had."""
    try:
        import pynvml  # noqa: PLC0415  only on machines with a GPU
    except ImportError:
        yield None
        return
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        yield None
        return
    try:
        yield pynvml
    except pynvml.NVMLError:  # a card that does not tell everything
        return
    finally:
        with contextlib.suppress(pynvml.NVMLError):
            pynvml.nvmlShutdown()
