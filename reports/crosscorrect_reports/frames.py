"""Tidy pandas views of a run: totals, the matrix of checks, agreement between frameworks, and what was expected."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from crosscorrect import columns, expectations, gate
from crosscorrect.model import Direction, Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from crosscorrect.store import Run

PLACE = ["framework", "mode", "device"]
"""The columns that say who answered, and how."""

QUESTION = ["suite", "case", "problem", "direction"]
"""The columns that say what was asked."""

MANY = 50_000
"""Above so many checks a report counts those that pass as expected, and lists one by one only some of the others."""


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
    numbered = run.checks[[*PLACE, "outcome"]].assign(n=1)
    counts = numbered.pivot_table(index=PLACE, columns="outcome", values="n", aggfunc="sum", fill_value=0)
    table = counts.reindex(index=index, columns=names, fill_value=0).astype(int)
    table["total"] = table.sum(axis=1)
    return table


def matrix(run: Run) -> pd.DataFrame:
    """One row per problem and direction, in the order of the suites, and one column per place.

    Cells are row numbers of ``checks``; a place that was not asked has -1.
    """
    checks, heads = run.checks, places(run)
    if not len(checks):
        return pd.DataFrame(index=_levels([], QUESTION), columns=_levels([], PLACE), dtype=int)
    asked, questions = _numbered(checks, QUESTION)
    given, found = _numbered(checks, PLACE)
    column = np.array([heads.index(place) for place in found.itertuples(index=False, name=None)])
    cells = np.full((len(questions), len(heads)), -1)
    cells[asked, column[given]] = range(len(checks))  # of two alike the last
    order = _order(run, questions)
    index = pd.MultiIndex.from_frame(questions.iloc[order])
    return pd.DataFrame(cells[order], index=index, columns=_levels(heads, PLACE))


def _order(run: Run, questions: pd.DataFrame) -> pd.Index[int]:
    """The places of questions in the order of the suites, which is that of the problems: lanes finish in any order."""
    rank = {problem: index for index, problem in enumerate(run.problems["problem"])}
    turn = {direction.value: index for index, direction in enumerate(Direction)}
    ranked = pd.DataFrame(
        {
            "rank": questions["problem"].map(rank).fillna(len(rank)),
            "problem": questions["problem"],
            "turn": questions["direction"].map(turn),
        }
    )
    return ranked.reset_index(drop=True).sort_values(["rank", "problem", "turn"]).index


def _numbered(checks: pd.DataFrame, names: list[str]) -> tuple[np.ndarray[Any, Any], pd.DataFrame]:
    """For each row which combination of some columns it has, and the combinations as they first appear."""
    numbers = checks.groupby(names, sort=False).ngroup().to_numpy()
    _, first = np.unique(numbers, return_index=True)
    return numbers, checks[names].iloc[first]


def _levels(tuples: Sequence[tuple[str, ...]], names: list[str]) -> pd.MultiIndex:
    """Return an index of tuples; pandas itself cannot make an empty one."""
    return pd.MultiIndex.from_arrays([[t[i] for t in tuples] for i in range(len(names))], names=names)


def judged(run: Run, folder: Path | None = None) -> pd.DataFrame:
    """Return the checks with the expectation of each, ``entry`` or None, and ``surprise``, empty if as expected."""
    known, checks = expectations.versions(run.env.to_dict("records")), run.checks
    entries, surprises = np.full(len(checks), None, object), np.full(len(checks), "", object)
    for name, own in checks.groupby("framework").indices.items():
        entries[own] = expectations.load(name, known.get(name, ""), folder).each(checks.iloc[own])
    told = (checks["outcome"] != Outcome.PASS).to_numpy() | np.array([entry is not None for entry in entries], bool)
    rows = checks[list(gate.READ)][told].to_dict("records")
    surprises[told] = [gate.as_expected(row, entry) for row, entry in zip(rows, entries[told], strict=True)]
    table = checks.copy(deep=False)
    table["entry"], table["surprise"] = entries, surprises
    return table


def plain(judged: pd.DataFrame) -> np.ndarray[Any, Any]:
    """Return whether each check passed as expected: nothing more is told of those."""
    return np.asarray((judged["outcome"] == Outcome.PASS) & (judged["surprise"] == ""))


def records(judged: pd.DataFrame, numbers: Sequence[int] | np.ndarray[Any, Any]) -> dict[int, dict[str, Any]]:
    """Return some rows, by their numbers, as mappings of plain objects, which are read several times as fast."""
    chosen = judged.iloc[list(numbers)].astype(object).to_dict("records")
    return dict(zip(map(int, numbers), chosen, strict=True))


def agreement(run: Run) -> pd.DataFrame:
    """How many checks two frameworks answered with the same bits (``same``), of those that both answered (``both``).

    Columns ``left``, ``right``, ``same``, ``both``; eager mode only, since that is where all of them meet.
    """
    answers = run.checks[["problem", "direction", "device", "framework", "output_digest"]]
    kept = answers[(answers["output_digest"] != "") & (run.checks["mode"] == "eager")]
    asked, questions = _numbered(kept, ["problem", "direction", "device"])
    digests, _ = kept["output_digest"].factorize()
    found = {name: np.full(len(questions), -1) for name in kept["framework"].unique()}
    for name, own in found.items():
        rows_ = (kept["framework"] == name).to_numpy()
        own[asked[rows_]] = digests[rows_]
    wide = pd.DataFrame(found)
    names = [name for name in run.info["frameworks"] if name in wide.columns]
    pairs = []
    for left in names:
        for right in names:
            both = (wide[left] >= 0) & (wide[right] >= 0)
            same = int((both & (wide[left] == wide[right])).sum())
            pairs.append({"left": left, "right": right, "same": same, "both": int(both.sum())})
    return pd.DataFrame(pairs, columns=["left", "right", "same", "both"])


def versions(run: Run) -> dict[str, dict[str, dict[str, str]]]:
    """Return the ``env`` table as framework, section, key to value."""
    found: dict[str, dict[str, dict[str, str]]] = {name: {} for name in run.info["frameworks"]}
    for row in run.env.to_dict("records"):
        found.setdefault(row["framework"], {}).setdefault(row["section"], {})[row["key"]] = row["value"]
    return found


def problems(run: Run) -> dict[str, dict[str, Any]]:
    """Return the ``problems`` table by problem id, its JSON columns parsed; empty text is an empty mapping."""
    nested = [column.name for column in columns.of("problems") if column.json]
    read = lru_cache(None)(json.loads)  # the problems of a sweep have much in common
    found = {}
    for row in run.problems.astype(object).to_dict("records"):
        found[row["problem"]] = {**row, **{name: read(row[name] or "{}") for name in nested}}
    return found


def arrays(run: Run, row: dict[str, Any]) -> dict[str, Any]:
    """Return the kept arrays of one row of ``checks`` by name; those that were too large to keep are absent."""
    found = {name: run.array(digest) for name, digest in json.loads(row["arrays"] or "{}").items()}
    return {name: array for name, array in found.items() if array is not None}
