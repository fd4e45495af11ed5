"""Tidy pandas views of a run: totals, the matrix of outcomes, agreement between frameworks, and what each refusal is."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pandas as pd

from crosscorrect import expectations, gate
from crosscorrect.model import Outcome

if TYPE_CHECKING:
    from pathlib import Path

    from crosscorrect.store import Run

PLACE = ["framework", "mode", "device"]
"""The columns that say who answered, and how."""

QUESTION = ["suite", "case", "problem", "direction"]
"""The columns that say what was asked."""


def places(run: Run) -> list[tuple[str, str, str]]:
    """Every (framework, mode, device) of a run, frameworks in the order that the run names them."""
    order = {name: index for index, name in enumerate(run.info["frameworks"])}
    found = {tuple(row) for row in run.checks[PLACE].itertuples(index=False)}
    modes = {"eager": 0, "compiled": 1}
    return sorted(found, key=lambda p: (order.get(p[0], len(order)), p[0], p[2], modes.get(p[1], 2), p[1]))


def totals(run: Run) -> pd.DataFrame:
    """Checks by outcome (columns, all of them) for each framework, mode and device, with a ``total`` that they add up to."""
    names = [outcome.value for outcome in Outcome]
    index = pd.MultiIndex.from_tuples(places(run), names=PLACE)
    counts = run.checks.groupby([*PLACE, "outcome"]).size().unstack(fill_value=0)
    table = counts.reindex(index=index, columns=names, fill_value=0).astype(int)
    table["total"] = table.sum(axis=1)
    return table


def matrix(run: Run) -> pd.DataFrame:
    """One row per problem and direction, in the order of the run, one column per place; cells are row numbers of ``checks``.

    A place that was not asked has -1.
    """
    numbered = run.checks[[*QUESTION, *PLACE]].assign(row=range(len(run.checks)))
    wide = numbered.pivot_table(index=QUESTION, columns=PLACE, values="row", aggfunc="last", sort=False)
    # lanes finish in any order; the suites' own order is that of the problems table
    rank = {problem: index for index, problem in enumerate(run.problems["problem"])}
    turn = ["forward", "grad_input", "grad_weight", "grad_bias", "train"]
    order = sorted(wide.index, key=lambda key: (rank.get(key[2], len(rank)), key[2], turn.index(key[3]) if key[3] in turn else 9))
    return wide.reindex(index=pd.MultiIndex.from_tuples(order, names=QUESTION), columns=pd.MultiIndex.from_tuples(places(run), names=PLACE)).fillna(-1).astype(int)


def judged(run: Run, folder: Path | None = None) -> pd.DataFrame:
    """The checks with the expectation that speaks of each: ``entry`` (or None) and ``surprise`` (empty when as expected)."""
    known = expectations.versions(run.env.to_dict("records"))
    loaded = {name: expectations.load(name, known.get(name, ""), folder) for name in sorted(set(run.checks["framework"]))}
    rows = run.checks.to_dict("records")
    entries = [loaded[r["framework"]].of(r["problem"], r["direction"], r["mode"], r["device"]) for r in rows]
    surprises = [gate.as_expected(row, entry) for row, entry in zip(rows, entries, strict=True)]
    table = run.checks.copy()
    table["entry"] = pd.Series(entries, index=table.index, dtype=object)
    table["surprise"] = surprises
    return table


def agreement(run: Run) -> pd.DataFrame:
    """How many checks two frameworks answered with the very same bits (``same``), of those that both answered (``both``).

    Columns ``left``, ``right``, ``same``, ``both``; eager mode on the first device, since that is where all of them meet.
    """
    kept = run.checks[(run.checks["output_digest"] != "") & (run.checks["mode"] == "eager")]
    wide = kept.pivot_table(index=["problem", "direction", "device"], columns="framework", values="output_digest", aggfunc="last")
    names = [name for name in run.info["frameworks"] if name in wide.columns]
    rows = []
    for left in names:
        for right in names:
            pair = wide[[left, right]].dropna() if left != right else wide[[left]].dropna()
            same = len(pair) if left == right else int((pair[left] == pair[right]).sum())
            rows.append({"left": left, "right": right, "same": same, "both": len(pair)})
    return pd.DataFrame(rows, columns=["left", "right", "same", "both"])


def versions(run: Run) -> dict[str, dict[str, dict[str, str]]]:
    """The ``env`` table as framework, section, key to value."""
    found: dict[str, dict[str, dict[str, str]]] = {name: {} for name in run.info["frameworks"]}
    for row in run.env.to_dict("records"):
        found.setdefault(row["framework"], {}).setdefault(row["section"], {})[row["key"]] = row["value"]
    return found


def problems(run: Run) -> dict[str, dict[str, Any]]:
    """The ``problems`` table by problem id, its JSON columns parsed."""
    nested = ("geometry", "settings", "arrays", "expect")
    found = {}
    for row in run.problems.to_dict("records"):
        found[row["problem"]] = {**row, **{name: json.loads(row[name]) for name in nested}}
    return found


def arrays(run: Run, row: dict[str, Any]) -> dict[str, Any]:
    """The kept arrays of one row of ``checks`` by name; those that were too large to keep are absent."""
    found = {name: run.array(digest) for name, digest in json.loads(row["arrays"]).items()}
    return {name: array for name, array in found.items() if array is not None}
