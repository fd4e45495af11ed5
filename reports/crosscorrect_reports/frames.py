"""Tidy pandas views of a run: totals, the matrix of outcomes, agreement between frameworks, and what was expected."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pandas as pd

from crosscorrect import expectations, gate
from crosscorrect.model import Direction, Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from crosscorrect.store import Run

PLACE = ["framework", "mode", "device"]
"""The columns that say who answered, and how."""

QUESTION = ["suite", "case", "problem", "direction"]
"""The columns that say what was asked."""


def places(run: Run) -> list[tuple[str, str, str]]:
    """Every (framework, mode, device) of a run, frameworks in the order that the run names them."""
    order = {name: index for index, name in enumerate(run.info["frameworks"])}
    found = {tuple(row) for row in run.checks[PLACE].drop_duplicates().itertuples(index=False)}
    modes = {"eager": 0, "compiled": 1}
    return sorted(found, key=lambda p: (order.get(p[0], len(order)), p[0], p[2], modes.get(p[1], 2), p[1]))


def totals(run: Run) -> pd.DataFrame:
    """Count checks by outcome (every one a column) for each framework, mode and device, with their sum as ``total``."""
    names = [outcome.value for outcome in Outcome]
    index = _levels(places(run), PLACE)
    if not len(run.checks):
        return pd.DataFrame(columns=[*names, "total"], index=index, dtype=int)
    numbered = run.checks.assign(n=1)
    counts = numbered.pivot_table(index=PLACE, columns="outcome", values="n", aggfunc="sum", fill_value=0)
    table = counts.reindex(index=index, columns=names, fill_value=0).astype(int)
    table["total"] = table.sum(axis=1)
    return table


def matrix(run: Run) -> pd.DataFrame:
    """One row per problem and direction, in the order of the suites, and one column per place.

    Cells are row numbers of ``checks``; a place that was not asked has -1.
    """
    if not len(run.checks):
        return pd.DataFrame(index=_levels([], QUESTION), columns=_levels([], PLACE), dtype=int)
    numbered = run.checks[[*QUESTION, *PLACE]].assign(row=range(len(run.checks)))
    wide = numbered.pivot_table(index=QUESTION, columns=PLACE, values="row", aggfunc="last", sort=False)
    # lanes finish in any order; the suites' own order is that of the problems table
    rank = {problem: index for index, problem in enumerate(run.problems["problem"])}
    turn = [direction.value for direction in Direction]
    order = sorted(wide.index, key=lambda key: (rank.get(key[2], len(rank)), key[2], turn.index(key[3])))
    return wide.reindex(index=_levels(order, QUESTION), columns=_levels(places(run), PLACE)).fillna(-1).astype(int)


def _levels(tuples: Sequence[tuple[str, ...]], names: list[str]) -> pd.MultiIndex:
    """Return an index of tuples; pandas itself cannot make an empty one."""
    return pd.MultiIndex.from_arrays([[t[i] for t in tuples] for i in range(len(names))], names=names)


def judged(run: Run, folder: Path | None = None) -> pd.DataFrame:
    """Return the checks with the expectation of each, ``entry`` or None, and ``surprise``, empty if as expected."""
    known = expectations.versions(run.env.to_dict("records"))
    loaded = {
        name: expectations.load(name, known.get(name, ""), folder) for name in sorted(set(run.checks["framework"]))
    }
    rows = run.checks.to_dict("records")
    entries = [loaded[r["framework"]].of(r["problem"], r["direction"], r["mode"], r["device"]) for r in rows]
    surprises = [gate.as_expected(row, entry) for row, entry in zip(rows, entries, strict=True)]
    table = run.checks.astype(object)  # rows are read one by one, which is several times as fast from plain objects
    table["entry"] = pd.Series(entries, index=table.index, dtype=object)
    table["surprise"] = surprises
    return table


def agreement(run: Run) -> pd.DataFrame:
    """How many checks two frameworks answered with the same bits (``same``), of those that both answered (``both``).

    Columns ``left``, ``right``, ``same``, ``both``; eager mode only, since that is where all of them meet.
    """
    kept = run.checks[(run.checks["output_digest"] != "") & (run.checks["mode"] == "eager")]
    wide = kept.pivot_table(
        index=["problem", "direction", "device"], columns="framework", values="output_digest", aggfunc="last"
    )
    names = [name for name in run.info["frameworks"] if name in wide.columns]
    rows = []
    for left in names:
        for right in names:
            pair = wide[[left, right]].dropna() if left != right else wide[[left]].dropna()
            same = len(pair) if left == right else int((pair[left] == pair[right]).sum())
            rows.append({"left": left, "right": right, "same": same, "both": len(pair)})
    return pd.DataFrame(rows, columns=["left", "right", "same", "both"])


def versions(run: Run) -> dict[str, dict[str, dict[str, str]]]:
    """Return the ``env`` table as framework, section, key to value."""
    found: dict[str, dict[str, dict[str, str]]] = {name: {} for name in run.info["frameworks"]}
    for row in run.env.to_dict("records"):
        found.setdefault(row["framework"], {}).setdefault(row["section"], {})[row["key"]] = row["value"]
    return found


def problems(run: Run) -> dict[str, dict[str, Any]]:
    """Return the ``problems`` table by problem id, its JSON columns parsed; empty text is an empty mapping."""
    nested = ("geometry", "settings", "arrays", "expect")
    found = {}
    for row in run.problems.to_dict("records"):
        found[row["problem"]] = {**row, **{name: json.loads(row[name] or "{}") for name in nested}}
    return found


def arrays(run: Run, row: dict[str, Any]) -> dict[str, Any]:
    """Return the kept arrays of one row of ``checks`` by name; those that were too large to keep are absent."""
    found = {name: run.array(digest) for name, digest in json.loads(row["arrays"] or "{}").items()}
    return {name: array for name, array in found.items() if array is not None}
