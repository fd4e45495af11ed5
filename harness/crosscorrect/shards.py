"""Shards joined into one run: those that separate environments left, and the parts that ``run --shard`` made.

A framework may be in one shard that is whole, or in all n parts of its problems. What does not belong together, is
missing or is there twice is refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from crosscorrect import __version__, store
from crosscorrect.errors import IncompleteError, UsageError
from crosscorrect.nearest import each, nearest
from crosscorrect.registry import adapters, locate
from crosscorrect.shipped import shipped_suites
from crosscorrect.sources import fingerprint
from crosscorrect.spans import Shard
from crosscorrect.suite import load_suite
from crosscorrect.tables import TABLES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    import pandas as pd

AGREED = ("suites", "arithmetic", "filter", "problems", "modes", "devices", "level", "seed")
"""What every shard's ``run.json`` must say alike."""

STEPS = {"reading the shards": 2.0, "comparing the inputs": 2.0, "joining": 6.0}
"""What a merge does one after the other, each with about what share of the time it takes for a million checks."""

SAME = ("version", "offer")
"""The sections of ``env`` that all parts of one framework must have alike: what it is, and what it was asked for."""


def merge(
    shards: Sequence[Path] | Path, require: Iterable[str], results: Path, begin: Callable[[str], None] = lambda _: None
) -> store.Run:
    """Join finished shards into a new run folder and return it; it is whole, whatever its shards were.

    ``begin`` hears each of ``STEPS`` when it begins.

    Raises IncompleteError, telling which shard and why: a required framework without a shard, an unfinished one, a
    framework in two of them, a part of its problems missing, there twice, or of another number of parts, a problem in
    two parts, another version of crosscorrect or of the framework, other suites than the first shard or than those that
    ship now, other plans, or inputs that differ for the same problem.
    """
    reading, comparing, joining = STEPS
    begin(reading)
    runs = [store.load(path) for path in each(shards)]
    for run in runs:
        _check_whole(run)
        _check_current(run)
        _check_alike(runs[0], run)
    names = list(dict.fromkeys(name for run in runs for name in run.info["frameworks"]))
    for name in names:
        _check_parts(name, [run for run in runs if name in run.info["frameworks"]])
    absent = sorted(set(each(require)) - set(names))
    if absent:
        near = ", ".join(filter(None, (nearest(name, names) for name in absent)))
        hint = f"; did you mean {near}?" if near else ""
        raise IncompleteError(f"no shard of {', '.join(absent)}; run its environment first{hint}")
    begin(comparing)
    _check_inputs(runs)
    begin(joining)
    return _join(runs, names, results)


def _check_whole(run: store.Run) -> None:
    if "bench" in run.info:
        raise IncompleteError(f"{run.folder} is a timed run: what was timed apart is not compared; measure together")
    if not run.info["finished"]:
        raise IncompleteError(f"the shard {run.folder} is not finished; run its environment again")
    # a part may have no problem, or none that is about its framework, which then has started all the same
    if run.columns("checks", ["problem"]).empty and not (_part(run) and (run.info.get("share") == 0 or len(run.env))):
        names = ", ".join(run.info["frameworks"])
        raise IncompleteError(f"the shard {run.folder} holds no check of {names}; run its environment again")


def _part(run: store.Run) -> Shard | None:
    """Which part of its problems a run has, None for all of them; IncompleteError where nobody could say so."""
    text = run.info.get("shard", "")
    try:
        return Shard.read(str(text)) if text else None
    except UsageError:
        raise IncompleteError(f"the run {run.folder} is damaged: run.json: 'shard' is {text!r}; run it again") from None


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


def _check_parts(name: str, runs: Sequence[store.Run]) -> None:
    """Refuse the shards of one framework unless they are a whole one, or all parts of its problems, each once."""
    if len(runs) == 1 and _part(runs[0]) is None:
        return
    parts = [part for run in runs if (part := _part(run)) is not None]
    if len(parts) < len(runs):
        raise IncompleteError(f"framework {name!r} is in more than one shard; give one shard of it, or all its parts")
    first = parts[0]
    for run, part in zip(runs, parts, strict=True):
        if part.count != first.count:
            said = f"of framework {name!r} do not belong together: parts {first} and {part}"
            raise IncompleteError(f"the shards {runs[0].folder} and {run.folder} {said}")
    missing = [str(Shard(n, first.count)) for n in range(1, first.count + 1) if Shard(n, first.count) not in parts]
    if missing:
        raise IncompleteError(f"framework {name!r} lacks {', '.join(missing)} of its shards; run them first")
    seen: dict[Shard, store.Run] = {}
    for run, part in zip(runs, parts, strict=True):
        if part in seen:
            both = f"{seen[part].folder} and {run.folder}"
            raise IncompleteError(f"the shards {both} of framework {name!r} are both {part}; give one of them")
        seen[part] = run
    _check_same(name, runs)
    _check_disjoint(name, runs)


def _check_same(name: str, runs: Sequence[store.Run]) -> None:
    """The framework must have been the same in all parts."""
    said = [_said(run.env, name) for run in runs]
    known = next((index for index, rows in enumerate(said) if rows), 0)  # an empty part may not have started anything
    for run, rows in zip(runs, said, strict=True):
        differing = sorted(key for key in {*said[known], *rows} if rows and said[known].get(key) != rows.get(key))
        if differing:
            section, key = differing[0]
            values = " and ".join(str(r.get((section, key), "none")) for r in (said[known], rows))
            raise IncompleteError(
                f"the shards {runs[known].folder} and {run.folder} of framework {name!r} do not belong together: "
                f"{section} {key} {values}"
            )


def _said(env: pd.DataFrame, name: str) -> dict[tuple[str, str], str]:
    """What a framework says of itself in the rows of an ``env`` table."""
    rows = env[(env["framework"] == name) & env["section"].isin(SAME)]
    return {(section, key): value for _, section, key, value in rows.itertuples(index=False, name=None)}


def _check_disjoint(name: str, runs: Sequence[store.Run]) -> None:
    """No problem may be in two parts, and all parts together must have as many as the whole."""
    import pandas as pd  # noqa: PLC0415  only a merge needs it

    checks = [run.columns("checks", ["framework", "problem"]) for run in runs]
    own = [rows["problem"][rows["framework"] == name].drop_duplicates() for rows in checks]
    together = pd.concat(own, keys=range(len(runs)))
    twice = together[together.duplicated()]
    if len(twice):
        problem = twice.iloc[0]
        places = together[together == problem].index.get_level_values(0)
        first, second = (runs[place].folder for place in places[:2])
        raise IncompleteError(f"the shards {first} and {second} of framework {name!r} both hold {problem}")
    shares = [run.info["share"] for run in runs if "share" in run.info]
    held, count = sum(shares), runs[0].info.get("problems", sum(shares))
    if len(shares) == len(runs) and held != count:
        raise IncompleteError(f"the shards of framework {name!r} hold {held} of {count} problems; run them again")


def _check_inputs(runs: Sequence[store.Run]) -> None:
    """The same problem must have had the same input bits everywhere."""
    import pandas as pd  # noqa: PLC0415  only a merge needs it

    columns = ["problem", "direction", "input_digest"]
    own = [run.columns("checks", columns).drop_duplicates() for run in runs]
    rows = pd.concat(own, keys=range(len(runs)))
    rows = rows[~rows.duplicated()]
    other = rows[rows.duplicated(["problem", "direction"])]
    if len(other):
        problem = other["problem"].iloc[0]
        places = rows[rows["problem"] == problem].index.get_level_values(0).unique()
        first, second = (runs[place].folder for place in places[:2])
        raise IncompleteError(f"the shards {first} and {second} do not belong together: other inputs for {problem}")


def _join(runs: Sequence[store.Run], names: list[str], results: Path) -> store.Run:
    import pandas as pd  # noqa: PLC0415  only the end of a merge needs it

    info = {key: runs[0].info[key] for key in AGREED if key in runs[0].info}
    own = {
        key: {name: said for run in runs for name, said in run.info.get(key, {}).items()}
        for key in ("adapters", "sources")
    }
    said = {"frameworks": names, **info, "shard": "", **own}
    folder = store.create(results, store.new_run_id(), said)
    tables = {}
    for table in TABLES:
        frames = [frame for run in runs if len(frame := getattr(run, table))]
        joined = pd.concat(frames, ignore_index=True) if frames else getattr(runs[0], table)
        unique = {"problems": "problem", "arrays": "digest"}.get(table)
        tables[table] = joined if unique is None else joined.drop_duplicates(unique, ignore_index=True)
    if any(map(_part, runs)):
        tables["env"] = _env(tables["env"])
        tables["problems"] = _in_order(runs, tables["problems"])
    store.write_tables(folder, tables, {"totals": tables["checks"]["outcome"].value_counts().to_dict()})
    return store.load(folder)


def _env(rows: pd.DataFrame) -> pd.DataFrame:
    """One row for each thing that is said of a framework; where its parts say different things, all of them."""
    keys = ["framework", "section", "key"]
    return rows.drop_duplicates().groupby(keys, sort=False, as_index=False)["value"].agg("; ".join)


def _in_order(runs: Sequence[store.Run], problems: pd.DataFrame) -> pd.DataFrame:
    """The problems suite by suite and case by case again, as nearly as the parts tell in which order they were.

    Each part is a sample of the whole, so that what comes half-way in it comes about half-way in the whole.
    """
    import pandas as pd  # noqa: PLC0415  as above

    order = {suite["name"]: place for place, suite in enumerate(runs[0].info["suites"])}
    wholes = sorted(runs, key=lambda run: _part(run) is not None)  # what is whole tells it exactly
    parts = [run.problems["problem"].to_frame().assign(at=np.linspace(0, 1, len(run.problems))) for run in wholes]
    at = pd.concat(parts).drop_duplicates("problem").set_index("problem")["at"]
    placed = problems.assign(at=problems["problem"].map(at), of=problems["suite"].map(order).fillna(len(order)))
    placed["first"] = placed.groupby(["suite", "case"])["at"].transform("min")
    placed = placed.sort_values(["of", "first", "case", "at"], kind="stable", ignore_index=True)
    return placed[problems.columns]
