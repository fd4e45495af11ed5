"""Shards that separate environments left, joined into one run; what does not belong together is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crosscorrect import __version__, store
from crosscorrect.errors import IncompleteError
from crosscorrect.registry import adapters, locate
from crosscorrect.sources import fingerprint
from crosscorrect.suite import load_suite, shipped_suites
from crosscorrect.tables import TABLES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

AGREED = ("suites", "arithmetic", "filter", "problems", "modes", "devices", "level", "seed")
"""What every shard's ``run.json`` must say alike."""


def merge(shards: Sequence[Path], require: Iterable[str], results: Path) -> store.Run:
    """Join finished shards into a new run folder and return it.

    Raises IncompleteError, telling which shard and why: a required framework without a shard, an unfinished one, a
    framework in two of them, another version of crosscorrect, other suites than the first shard or than those that
    ship now, other plans, or inputs that differ for the same problem.
    """
    runs = [store.load(path) for path in shards]
    for run in runs:
        _check_whole(run)
        _check_current(run)
        _check_alike(runs[0], run)
    names = [name for run in runs for name in run.info["frameworks"]]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise IncompleteError(f"framework {twice[0]!r} is in more than one shard; give one shard of it")
    absent = sorted(set(require) - set(names))
    if absent:
        raise IncompleteError(f"no shard of {', '.join(absent)}; run its environment first")
    _check_inputs(runs)
    return _join(runs, names, results)


def _check_whole(run: store.Run) -> None:
    if not run.info["finished"]:
        raise IncompleteError(f"the shard {run.folder} is not finished; run its environment again")
    if run.checks.empty:
        names = ", ".join(run.info["frameworks"])
        raise IncompleteError(f"the shard {run.folder} holds no check of {names}; run its environment again")


def _check_current(run: store.Run) -> None:
    if run.info["crosscorrect"] != __version__:
        raise IncompleteError(
            f"the shard {run.folder} is stale: made by crosscorrect {run.info['crosscorrect']}, this is {__version__}"
        )
    for name, made_by in run.info.get("sources", {}).items():
        if name in adapters() and made_by != fingerprint(locate(name).packages):
            raise IncompleteError(
                f"the shard {run.folder} is stale: the harness or the adapter of {name!r} has changed since; "
                "run its environment again"
            )
    shipped = shipped_suites()
    for suite in run.info["suites"]:
        path = shipped.get(suite["name"])
        if path is not None and path.name == suite["file"] and load_suite(path).digest != suite["digest"]:
            raise IncompleteError(
                f"the shard {run.folder} is stale: suite {suite['name']!r} has changed since; run its environment again"
            )


def _check_alike(first: store.Run, run: store.Run) -> None:
    for key in AGREED:
        said, other = run.info.get(key), first.info.get(key)
        if key == "suites":  # in whatever order they were given
            said, other = ({suite["name"]: suite["digest"] for suite in suites or ()} for suites in (said, other))
        if said != other:
            raise IncompleteError(f"the shards {first.folder} and {run.folder} do not belong together: other {key}")


def _check_inputs(runs: Sequence[store.Run]) -> None:
    """The same problem must have had the same input bits everywhere."""
    seen: dict[tuple[Any, Any], tuple[str, Path]] = {}
    for run in runs:
        rows = run.checks[["problem", "direction", "input_digest"]].drop_duplicates()
        for problem, direction, digest in rows.itertuples(index=False):
            before, where = seen.setdefault((problem, direction), (digest, run.folder))
            if before != digest:
                raise IncompleteError(
                    f"the shards {where} and {run.folder} do not belong together: other inputs for {problem}"
                )


def _join(runs: Sequence[store.Run], names: list[str], results: Path) -> store.Run:
    import pandas as pd  # noqa: PLC0415  only the end of a merge needs it

    info = {key: runs[0].info[key] for key in AGREED if key in runs[0].info}
    sources = {name: digest for run in runs for name, digest in run.info.get("sources", {}).items()}
    folder = store.create(results, store.new_run_id(), {"frameworks": names, **info, "sources": sources})
    tables = {}
    for table in TABLES:
        frames = [frame for run in runs if len(frame := getattr(run, table))]
        joined = pd.concat(frames, ignore_index=True) if frames else getattr(runs[0], table)
        unique = {"problems": "problem", "arrays": "digest"}.get(table)
        tables[table] = joined if unique is None else joined.drop_duplicates(unique, ignore_index=True)
    store.write_tables(folder, tables, {"totals": tables["checks"]["outcome"].value_counts().to_dict()})
    return store.load(folder)
