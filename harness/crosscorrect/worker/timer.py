"""Times one prepared call: so many in a row, each until its result is there, with what the process did meanwhile.

This module travels to every worker: Python 3.8.
"""

from __future__ import annotations

import gc
import resource
import time
from typing import Any, List, Tuple

from crosscorrect.worker.verbs import VERBS, Bound, Named, leaves, to_numpy


class Timer:
    """Holds the call that was prepared last: adapter and tensors stay as they are between samples."""

    def __init__(self) -> None:
        self._adapter: Any = None
        self._bound: Any = None
        self._last: Named = {}

    def prepare(self, adapter: Any, call: Named, arrays: Named) -> Tuple[Named, Named]:
        """Bring the arrays to the device and compute twice.

        Returns the nanoseconds of each phase (``put``, ``first`` call, with whatever is compiled then, ``second``)
        and the arrays of the second result. What a framework raises passes.
        """
        begin = time.perf_counter_ns()
        tensors = {name: adapter.put(array) for name, array in arrays.items()}
        adapter.sync(*tensors.values())
        put = time.perf_counter_ns() - begin
        self._adapter, self._bound = adapter, VERBS[call["verb"]](adapter, tensors, call["settings"])
        first, _ = self._once()
        second, self._last = self._once()
        phases = {"put": put, "first": first, "second": second}
        return phases, self.last()

    def sample(self, calls: int) -> Named:
        """One sample: an untimed call, then so many timed ones.

        Gives ``wall`` and ``cpu`` (of the whole process) in nanoseconds, ``switches`` (involuntary ones), page
        ``faults``, and ``residual``: how many nanoseconds longer the first look at the last result takes than a
        second one. A ``sync`` that does not wait shows there. What a framework raises passes.
        """
        bound, adapter = self._bound, self._adapter
        run, name, sync = bound.run, bound.name, adapter.sync
        sync(*leaves(name(run())))
        enabled = gc.isenabled()
        gc.disable()
        try:
            before = resource.getrusage(resource.RUSAGE_SELF)
            cpu, wall = time.process_time_ns(), time.perf_counter_ns()
            for _ in range(calls):
                result = run()
                sync(*leaves(name(result)))
            wall, cpu = time.perf_counter_ns() - wall, time.process_time_ns() - cpu
            after = resource.getrusage(resource.RUSAGE_SELF)
        finally:
            if enabled:
                gc.enable()
        self._last = name(result)
        return {
            "calls": calls,
            "wall": wall,
            "cpu": cpu,
            "switches": after.ru_nivcsw - before.ru_nivcsw,
            "faults": after.ru_minflt - before.ru_minflt,
            "residual": self._residual(),
        }

    def last(self) -> Named:
        """The arrays of the last result that was timed."""
        return to_numpy(self._adapter, self._last)

    def _once(self) -> Tuple[int, Named]:
        bound: Bound = self._bound
        begin = time.perf_counter_ns()
        named = bound.named()
        self._adapter.sync(*leaves(named))
        return time.perf_counter_ns() - begin, named

    def _residual(self) -> int:
        found: List[Any] = leaves(self._last)
        taken = []
        for _ in range(2):
            begin = time.perf_counter_ns()
            for leaf in found:
                self._adapter.get(leaf)
            taken.append(time.perf_counter_ns() - begin)
        return max(0, taken[0] - taken[1])
