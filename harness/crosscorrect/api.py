"""The run as a library call: suites through frameworks into a finished run folder."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from crosscorrect import store
from crosscorrect.engine import execute
from crosscorrect.errors import IncompleteError
from crosscorrect.model import Check
from crosscorrect.plan import Greeting, Plan, describe
from crosscorrect.registry import available, known, locate
from crosscorrect.selection import Selection
from crosscorrect.spans import Shard
from crosscorrect.suite import find_suites, load_suite

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from crosscorrect.registry import Framework


def run(
    suites: Iterable[str | Path] = (),
    frameworks: Iterable[str] | None = None,
    *,
    modes: Iterable[str] = ("eager",),
    devices: Iterable[str] = ("cpu",),
    arithmetic: str = "strict",
    pythons: Mapping[str, Path | str] | None = None,
    adapters: Mapping[str, str] | None = None,
    only: Sequence[str] = (),
    limit: float | None = None,
    level: str = "ci",
    seed: int = 0,
    shard: tuple[int, int] | None = None,
    results: Path | str = "results",
    on_event: Callable[[Plan, Check | Greeting | None], None] | None = None,
) -> store.Run:
    """Run suites through frameworks and return the finished run.

    Its frames are ``checks``, ``problems``, ``training`` and ``env``. ``suites`` are names of shipped suites or paths;
    none means every shipped one. ``frameworks`` default to all that are to be had here; ``pythons`` maps a framework
    to the interpreter it lives in, ``adapters`` a name to the ``module:attribute`` of an adapter that is not installed
    as an entry point. ``modes`` empty means every mode a framework offers. ``only`` keeps the problems that a
    ``Selection`` finds by these patterns. ``limit`` is the time limit of a call in seconds, in place of the cases' own.
    ``level`` takes the cases of that level and below: ``smoke``, ``ci``, ``nightly``. ``seed`` other than 0 gives every
    fill other data of the same kind. ``shard`` (i, n) takes part i of n of the problems: each is in one part, whatever
    the frameworks, and ``merge`` joins the runs of all parts. ``on_event`` hears None once at the start, then every
    greeting and check as it happens.

    Raises UsageError and CaseError for a request that cannot be meant, before anything is started or written; an array
    too large to be built beforehand, or a problem of a sweep too large to be looked at whole, may still raise CaseError
    when its turn comes, and what was judged until then stays in the unfinished run folder.
    """
    loaded = [load_suite(path) for path in find_suites([str(s) for s in suites])]
    for suite in loaded:
        suite.check_frameworks(adapters or {})  # before a misspelt name takes its case out of the run unseen
    selection = Selection(loaded, tuple(only), level, None if shard is None else Shard.of(*shard))
    selection.check()
    plan = Plan(
        problems=selection,
        frameworks=find_frameworks(frameworks, pythons or {}, adapters or {}),
        modes=tuple(modes),
        devices=tuple(devices),
        arithmetic=arithmetic,
        limit=limit,
        seed=seed,
    )
    folder = store.create(Path(results), store.new_run_id(), describe(plan))
    segment = store.Segment(folder)
    outcomes: Counter[str] = Counter()
    if on_event is not None:
        on_event(plan, None)
    try:
        for event in execute(plan, segment):
            if isinstance(event, Check):
                outcomes[event.outcome] += 1
            if on_event is not None:
                on_event(plan, event)
    finally:
        segment.close()
    store.seal(folder, {"totals": dict(outcomes)})
    return store.load(folder)


def find_frameworks(
    names: Iterable[str] | None, pythons: Mapping[str, Path | str], targets: Mapping[str, str]
) -> list[Framework]:
    """The frameworks of these names, or all that are to be had here.

    Raises UsageError for an interpreter of nothing that is known, IncompleteError where there is no framework.
    """
    paths = {name: Path(path) for name, path in pythons.items()}
    for name in paths.keys() - targets.keys():
        known(name)  # an interpreter of nothing that is known is a slip of the pen
    wanted = list(dict.fromkeys(names or [*available(paths), *targets]))
    if not wanted:
        raise IncompleteError("no framework is to be had here; name an interpreter with --python NAME=PATH")
    return [locate(name, paths, dict(targets)) for name in wanted]
