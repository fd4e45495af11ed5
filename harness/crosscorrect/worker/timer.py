"""Times prepared calls: so many in a row, each until its result is there, with what the process did meanwhile.

This module travels to every worker: Python 3.8.
"""

from __future__ import annotations

import gc
import resource
import time
from typing import Any, Dict, List, NamedTuple, Tuple

from crosscorrect.worker.verbs import VERBS, Bound, Named, leaves, to_numpy

COPIES, PATIENCE = 3, 20_000_000
"""How often the copy of a result is timed, as long as that takes fewer nanoseconds than these."""
UNSURE = 100_000
"""By so many nanoseconds two looks may differ: the first one at a result makes objects that the second finds. A problem
that takes less is too small for anybody to gain by computing it late."""
SURELY = 0.002
"""Seconds after which a result is there if it takes less to be computed: the pause is three times as long, besides."""


class Ready(NamedTuple):
    """A call that was prepared: adapter and tensors stay as they are between samples.

    ``bounds`` are the same call on copies of its tensors, taken in turn, ``copy`` is how many nanoseconds it takes to
    look at a result that is surely there.
    """

    adapter: Any
    bounds: List[Bound]
    copy: int


class Region(NamedTuple):
    """What one timed region took: nanoseconds of wall and processor time, involuntary switches, page faults."""

    wall: int
    cpu: int
    switches: int
    faults: int


class Timer:
    """Holds prepared calls, each in a slot of its own, and the result that each computed last."""

    def __init__(self) -> None:
        self._ready: Dict[str, Ready] = {}
        self._last: Dict[str, Named] = {}

    def prepare(self, slot: str, adapter: Any, call: Named, arrays: Named) -> Tuple[Named, Named]:
        """Bring the arrays to the device, compute twice, and keep the call in a slot in place of what was there.

        ``copies`` of the call says how many copies of its arrays are taken in turn, 1 unless it does.

        Returns the nanoseconds of each phase (``put``, ``first`` call, with whatever is compiled then, ``second``; of
        the first what the framework says that it took to ``trace`` and to ``compile``, where it says so), how long a
        result that is there takes to be copied (``copy``), and the arrays of the last result. What a framework
        raises passes.
        """
        self._ready.pop(slot, None)
        self._last.pop(slot, None)
        begin = time.perf_counter_ns()
        tensors = {name: adapter.put(array) for name, array in arrays.items()}
        adapter.sync(*tensors.values())
        put = time.perf_counter_ns() - begin
        bounds = [VERBS[call["verb"]](adapter, tensors, call["settings"])]
        for _ in range(1, call.get("copies", 1)):
            others = {name: adapter.put(array) for name, array in arrays.items()}
            bounds.append(VERBS[call["verb"]](adapter, others, call["settings"]))
        bound = bounds[0]
        before = _stages(adapter)
        first, _ = _once(adapter, bound)
        stages = {name: int(1e9 * (spent - before.get(name, 0.0))) for name, spent in _stages(adapter).items()}
        second, result = _once(adapter, bound)
        copy, result = _copy(adapter, bound)
        self._ready[slot], self._last[slot] = Ready(adapter, bounds, copy), result
        told = {name: spent for name, spent in stages.items() if spent > 0}
        return {"put": put, **told, "first": first, "second": second, "copy": copy}, self.last(slot)

    def sample(self, slot: str, calls: int, warm: int, slope: bool) -> Named:
        """One sample of a slot: ``warm`` untimed calls, then so many timed ones, each until its result is there.

        Gives ``wall`` and ``cpu`` (of the whole process) in nanoseconds, ``switches`` (involuntary ones), page
        ``faults``, and ``residual``: how many nanoseconds longer than two copies the first look at the last result
        takes, because one that lies in no cache takes longer. A ``sync`` that does not wait shows there. With
        ``slope``, for devices that work beside the processor, it is what twice as many calls take longer than these,
        each time with one ``sync`` at the end: what it costs to start and to wait cancels (research/timing.md 3.8).
        What a framework raises passes.
        """
        ready = self._ready[slot]
        adapter, copy = ready.adapter, ready.copy
        for place in range(warm):
            _once(adapter, ready.bounds[place % len(ready.bounds)])
        enabled = gc.isenabled()
        gc.disable()
        try:
            if slope:
                less, _ = _together(adapter, ready.bounds, calls)
                more, result = _together(adapter, ready.bounds, 2 * calls)
                region = Region(*(max(0, m - n) for m, n in zip(more, less)))
            else:
                region, result = _one_by_one(adapter, ready.bounds, calls)
        finally:
            if enabled:
                gc.enable()
        self._last[slot] = result
        return {"calls": calls, **region._asdict(), "residual": max(0, _look(adapter, result) - 2 * copy)}

    def last(self, slot: str) -> Named:
        """The arrays of the last result of a slot."""
        return to_numpy(self._ready[slot].adapter, self._last[slot])


def _stages(adapter: Any) -> Dict[str, float]:
    """Seconds of each stage that the framework has told of until now; not every adapter can tell."""
    told = getattr(adapter, "stages", None)
    return {} if told is None else told()


def _one_by_one(adapter: Any, bounds: List[Bound], calls: int) -> Tuple[Region, Named]:
    """Calls in a row, each until its result is there; what they took, and the last result."""
    run, name, sync = bounds[0].run, bounds[0].name, adapter.sync
    before = resource.getrusage(resource.RUSAGE_SELF)
    cpu, wall = time.process_time_ns(), time.perf_counter_ns()
    for _ in range(calls):
        result = run()
        sync(*leaves(name(result)))
    wall, cpu = time.perf_counter_ns() - wall, time.process_time_ns() - cpu
    return _region(wall, cpu, before), name(result)


def _together(adapter: Any, bounds: List[Bound], calls: int) -> Tuple[Region, Named]:
    """Calls in a row on the copies in turn, and one wait at the end; what they took, and the last result."""
    count = len(bounds)
    before = resource.getrusage(resource.RUSAGE_SELF)
    cpu, wall = time.process_time_ns(), time.perf_counter_ns()
    for place in range(calls):
        result = bounds[place % count].run()
    named = bounds[0].name(result)
    adapter.sync(*leaves(named))
    wall, cpu = time.perf_counter_ns() - wall, time.process_time_ns() - cpu
    return _region(wall, cpu, before), named


def _region(wall: int, cpu: int, before: Any) -> Region:
    after = resource.getrusage(resource.RUSAGE_SELF)
    return Region(wall, cpu, after.ru_nivcsw - before.ru_nivcsw, after.ru_minflt - before.ru_minflt)


def _once(adapter: Any, bound: Bound) -> Tuple[int, Named]:
    begin = time.perf_counter_ns()
    named = bound.named()
    adapter.sync(*leaves(named))
    return time.perf_counter_ns() - begin, named


def _copy(adapter: Any, bound: Bound) -> Tuple[int, Named]:
    """How long the first look at a result takes that is there whether or not ``sync`` waits: after a long pause.

    Who computes only when somebody looks has then still done nothing: the first look takes much longer than the call
    did, and a second one tells what a copy takes.
    """
    taken: List[int] = []
    begin = time.perf_counter_ns()
    while not taken or (len(taken) < COPIES and time.perf_counter_ns() - begin < PATIENCE):
        computed, named = _once(adapter, bound)
        looked = _look(adapter, named)  # until it is there, whatever ``sync`` does
        computed, named = _once(adapter, bound)
        time.sleep(max(SURELY, 3e-9 * (computed + looked)))
        looked, again = _look(adapter, named), _look(adapter, named)
        is_lazy = looked - again > 2 * computed + UNSURE
        taken.append(again if is_lazy else looked)
    return sorted(taken)[len(taken) // 2], named


def _look(adapter: Any, named: Named) -> int:
    """Nanoseconds until every tensor of a result was copied to the host."""
    found: List[Any] = leaves(named)
    begin = time.perf_counter_ns()
    for leaf in found:
        adapter.get(leaf)
    return time.perf_counter_ns() - begin
