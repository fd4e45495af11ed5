"""The run as a library call: suites through frameworks into a finished run folder."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from crosscorrect import __version__, lock, log, store
from crosscorrect.crew import Crew
from crosscorrect.errors import IncompleteError, UsageError
from crosscorrect.execution import Execution
from crosscorrect.lease import Brief
from crosscorrect.ledger import read as read_ledger
from crosscorrect.memory import MEMORY_LIMIT
from crosscorrect.nearest import each
from crosscorrect.plan import Greeting, Plan, describe
from crosscorrect.registry import available, known, locate
from crosscorrect.selection import Selection
from crosscorrect.spans import Shard
from crosscorrect.suite import find_suites, load_suite

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from crosscorrect.cluster import Cluster
    from crosscorrect.ledger import Ledger
    from crosscorrect.model import Check
    from crosscorrect.registry import Framework

DRAIN = 10.0
"""Seconds that a run which is interrupted takes to finish the problems at hand."""


class Request(TypedDict, total=False):
    """What a run, timed or not, may be asked for beside suites and frameworks; ``run`` says what each means.

    Left out: eager, on the cpu, strict, each in its own environment, all problems of level ci with the limits of their
    cases and seed 0, half of the machine's memory.
    """

    modes: Iterable[str]
    devices: Iterable[str]
    arithmetic: str
    pythons: Mapping[str, Path | str] | None
    adapters: Mapping[str, str] | None
    only: Sequence[str]
    limit: float | None
    level: str
    seed: int
    shard: tuple[int, int] | None
    memory: int | None


def run(
    suites: Iterable[str | Path] | str | Path = (),
    frameworks: Iterable[str] | None = None,
    *,
    jobs: int = 1,
    cluster: str = "",
    results: Path | str = "results",
    resume: Path | str | None = None,
    on_event: Callable[[Plan, Check | Greeting | None], None] | None = None,
    **request: Unpack[Request],
) -> store.Run:
    """Run suites through frameworks and return the finished run.

    Its frames are ``checks``, ``problems``, ``training`` and ``env``. ``suites`` are names of shipped suites or paths;
    none means every shipped one. ``frameworks`` default to all that are to be had here. Where several may be given, one
    needs no brackets. ``pythons`` maps a framework to the interpreter it lives in, ``adapters`` a name to the
    ``module:attribute`` of an adapter that is not installed as an entry point. ``modes`` empty means every mode a
    framework offers. ``only`` keeps the problems that a ``Selection`` finds by these patterns. ``limit`` is the time
    limit of a call in seconds, in place of the cases' own. ``level`` takes the cases of that level and below:
    ``smoke``, ``ci``, ``nightly``. ``seed`` other than 0 gives every fill other data of the same kind. ``shard`` (i, n)
    takes part i of n of the problems: each is in one part, whatever the frameworks, and ``merge`` joins the runs of all
    parts. ``memory`` is how many bytes a worker may take, None for no limit. With ``jobs`` above 1 so many agent
    processes work on the problems, each with one worker at a time; with ``cluster``, the address of a Dask scheduler,
    the agents are on its nodes. The verdicts are the same. ``on_event`` hears None once at the start, then every
    greeting and check as it happens.

    ``resume`` is the folder of an unfinished run of the same request, which is finished instead of a new one: what has
    a verdict there is not asked again. Nothing that is carried out is taken from that folder.

    Raises UsageError and CaseError for a request that cannot be meant, before anything is started or written; an array
    too large to be built beforehand, or a problem of a sweep too large to be looked at whole, may still raise CaseError
    when its turn comes, and what was judged until then stays in the unfinished run folder. Raises LockedError where
    another process has the folder, LogError where it can no longer be written, DamagedError where one to be resumed is
    not as it was written.
    """
    plan = planned(suites, frameworks, **request)
    selection = plan.problems
    assert isinstance(selection, Selection)  # noqa: S101  planned makes one
    if jobs < 1 or (cluster and jobs > 1):
        raise UsageError(f"jobs are a number from 1, and not for a run on a cluster, whose nodes have places: {jobs}")
    brief = Brief(
        suites=tuple((suite.name, str(suite.path.absolute()), suite.digest) for suite in selection.suites),
        only=tuple(selection.only),
        level=selection.level,
        shard=None if selection.shard is None else (selection.shard.number, selection.shard.count),
        frameworks=tuple(framework.name for framework in plan.frameworks),
        pythons={name: str(path) for name, path in (request.get("pythons") or {}).items()},
        adapters=dict(request.get("adapters") or {}),
        modes=plan.modes,
        devices=plan.devices,
        arithmetic=plan.arithmetic,
        limit=plan.limit,
        seed=plan.seed,
        memory=plan.memory,
    )
    about = describe(plan)
    folder = store.create(Path(results), store.new_run_id(), about) if resume is None else Path(resume)
    with lock.held(folder):
        if resume is None or to_be_resumed(folder, about):
            done = read_ledger(log.logs(folder))
            if on_event is not None:
                on_event(plan, None)
            with _started(plan, brief, selection, folder, done, jobs, cluster) as execution:
                for said in execution:
                    event = replace(said, done=done.checks[said.framework]) if isinstance(said, Greeting) else said
                    if on_event is not None:
                        on_event(plan, event)
            store.seal(folder)
    return store.load(folder)


def planned(
    suites: Iterable[str | Path] | str | Path = (),
    frameworks: Iterable[str] | None = None,
    *,
    chosen: Sequence[Framework] = (),
    **request: Unpack[Request],
) -> Plan:
    """The plan of a request, in the words of ``run``; its problems are a ``Selection``. Raises as ``run``.

    ``chosen`` are frameworks that were found already, instead of names.
    """
    pythons, adapters, shard = request.get("pythons") or {}, request.get("adapters") or {}, request.get("shard")
    loaded = [load_suite(path) for path in find_suites([str(suite) for suite in each(suites)])]
    for suite in loaded:
        suite.check_frameworks(adapters)  # before a misspelt name takes its case out of the run unseen
    part = None if shard is None else Shard.of(*shard)
    selection = Selection(loaded, each(request.get("only", ())), request.get("level", "ci"), part)
    selection.check()
    return Plan(
        problems=selection,
        frameworks=chosen or find_frameworks(frameworks, pythons, adapters),
        modes=each(request.get("modes", ("eager",))),
        devices=each(request.get("devices", ("cpu",))),
        arithmetic=request.get("arithmetic", "strict"),
        limit=request.get("limit"),
        seed=request.get("seed", 0),
        memory=request.get("memory", MEMORY_LIMIT),
    )


def to_be_resumed(folder: Path, said: Mapping[str, Any]) -> bool:
    """Whether an earlier run is still to be finished. Raises UsageError where it was asked for something else."""
    info = store.load(folder).info
    if info["crosscorrect"] != __version__:
        raise UsageError(f"{folder} was begun by crosscorrect {info['crosscorrect']}, this is {__version__}; run anew")
    for key, value in said.items():
        if key == "adapters" and key not in info:
            continue  # a run that was begun before this was kept
        before, now = (_named(v) if key == "suites" else v for v in (info.get(key), value))
        if before != now:
            raise UsageError(
                f"{folder} is another run: its {key} was {before!r}, and here it is {now!r}; "
                "--resume goes with the command that began the run"
            )
    return not info["finished"] or bool(log.logs(folder))  # with logs, it ended while it was sealed


def _named(suites: Any) -> dict[str, str]:
    return {suite["name"]: suite["digest"] for suite in suites or ()}


@contextmanager
def _started(
    plan: Plan, brief: Brief, selection: Selection, folder: Path, done: Ledger, jobs: int, cluster: str
) -> Iterator[Iterable[Check | Greeting]]:
    """What works on a plan, which is let finish the problems at hand when the run is interrupted, and ended after."""
    with ExitStack() as stack:
        execution: Execution | Crew | Cluster
        if cluster:
            from crosscorrect.cluster import Cluster  # noqa: PLC0415  Dask is optional

            execution = Cluster(cluster, brief, selection, folder, done)
        elif jobs > 1:
            execution = Crew(brief, selection, folder, done, jobs)
        else:
            segment = store.Segment(folder)
            stack.callback(segment.close)
            execution = Execution(plan, segment, done)
        stack.callback(execution.close)
        try:
            yield execution
        except KeyboardInterrupt:
            execution.drain(DRAIN)
            raise


def find_frameworks(
    names: Iterable[str] | None, pythons: Mapping[str, Path | str], targets: Mapping[str, str]
) -> list[Framework]:
    """The frameworks of these names, or all that are to be had here.

    Raises UsageError for an interpreter of nothing that is known, IncompleteError where there is no framework.
    """
    paths = {name: Path(path) for name, path in pythons.items()}
    for name in paths.keys() - targets.keys():
        known(name, targets)  # an interpreter of nothing that is known is a slip of the pen
    wanted = list(dict.fromkeys(each(names or ()) or [*available(paths), *targets]))
    if not wanted:
        raise IncompleteError("no framework is to be had here; name an interpreter with --python NAME=PATH")
    return [locate(name, paths, dict(targets)) for name in wanted]
