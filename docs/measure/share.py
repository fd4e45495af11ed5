"""How much of a run frameworks and oracle are at work: ``python docs/measure/share.py NAME PYTHON SUITE...``.

A run is watched from within: when a worker is asked and how long it says it was busy, when inputs and references are
made, and when answers are judged. Prints what share of the time, from the worker's hello to the last verdict, at least
one of them was at work, and each one's own share. What is left is crosscorrect's: transport, rows, log, progress.
"""

from __future__ import annotations

import sys
import tempfile
import time
from typing import TYPE_CHECKING, Any

from crosscorrect import api, plan, verdicts
from crosscorrect.plan import Greeting
from crosscorrect.process import Worker

if TYPE_CHECKING:
    from collections.abc import Callable

Interval = tuple[float, float]
spent: dict[str, list[Interval]] = {"frameworks": [], "oracle": []}


def watched(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    """The function, with its time written down."""

    def timed(*arguments: Any, **options: Any) -> Any:
        begin = time.perf_counter()
        try:
            return function(*arguments, **options)
        finally:
            spent[name].append((begin, time.perf_counter()))

    return timed


def asked(self: Worker, calls: Any, meanwhile: Any = None) -> Any:
    """``Worker.ask_all``, with the time that the worker was busy: call after call, from when they were sent."""
    begin = time.perf_counter()
    for reply, results in ASK(self, calls, meanwhile):
        end = begin + reply.get("seconds", 0.0) + reply.get("transfer_seconds", 0.0)
        spent["frameworks"].append((begin, end))
        begin = end
        yield reply, results


ASK = Worker.ask_all


def union(intervals: list[Interval], begin: float, end: float) -> float:
    """How long at least one of the intervals lasts between two moments."""
    total, reached = 0.0, begin
    for start, stop in sorted(intervals):
        first, last = max(start, reached), min(stop, end)
        if last > first:
            total += last - first
            reached = last
    return total


def main(name: str, python: str, *suites: str) -> None:
    """Print the shares."""
    moments: list[float] = []

    def hear(_: object, event: object) -> None:
        if event is not None and (moments or isinstance(event, Greeting)):
            moments.append(time.perf_counter())

    Worker.ask_all = asked  # type: ignore[method-assign]
    plan._prepare = watched(plan._prepare, "oracle")  # noqa: SLF001  watched, not changed
    for function in ("of", "diagnosed"):
        setattr(verdicts, function, watched(getattr(verdicts, function), "oracle"))
    with tempfile.TemporaryDirectory() as scratch:
        pythons = {} if python == "-" else {name: python}
        run = api.run(suites, [name], pythons=pythons, results=scratch, on_event=hear)
        count = len(run.checks)
    begin, end = moments[0], moments[-1]
    shares = {key: union(found, begin, end) / (end - begin) for key, found in spent.items()}
    both = union([*spent["frameworks"], *spent["oracle"]], begin, end) / (end - begin)
    said = ", ".join(f"{key} {share:.1%}" for key, share in shares.items())
    print(f"{name}, {', '.join(suites)}: {count} checks in {end - begin:.1f} s; at work {both:.1%} of it ({said})")


if __name__ == "__main__":
    main(*sys.argv[1:])
