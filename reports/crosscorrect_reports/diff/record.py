"""What two runs have changed as JSON values, which ``changes.schema.json`` beside this module describes."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from crosscorrect.beside import KEY
from crosscorrect.changes import VERDICTS, Kind
from crosscorrect_reports.diff.words import headline

if TYPE_CHECKING:
    from crosscorrect.changes import Changes, Group, Row
    from crosscorrect.store import Run

SCHEMA = 1
"""Raised only when a key goes, or comes to mean something else."""


def schema() -> dict[str, Any]:
    """The JSON Schema of what is returned (Draft 2020-12)."""
    text = files("crosscorrect_reports.diff").joinpath("changes.schema.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def record(changes: Changes) -> dict[str, Any]:
    """Return all of it; ``checks`` has each check that changed or vanished, ``groups`` counts all kinds."""
    kinds = (*VERDICTS, Kind.VANISHED)
    return {
        "schema": SCHEMA,
        "base": _run(changes.base),
        "run": _run(changes.run),
        "exit": int(changes.exit),
        "headline": headline(changes),
        "around": [one._asdict() for one in changes.around],
        "counts": {str(kind): count for kind, count in changes.counts.items()},
        "known": changes.known,
        "groups": [_group(group) for group in changes.groups(*Kind)],
        "checks": [_check(row) for row in changes.table[changes.table["kind"].isin(kinds)].to_dict("records")],
        "bits": [bits._asdict() for bits in changes.bits],
        "speed": [change.record() for change in changes.speed],
        "untold": changes.untold,
        "wrong": [{"names": list(names), "message": message} for names, message in changes.wrong],
    }


def _run(run: Run) -> dict[str, Any]:
    return {"run": run.info["run"], "folder": str(run.folder), "finished": run.info["finished"]}


def _group(group: Group) -> dict[str, Any]:
    return {
        "kind": str(group.kind),
        "framework": group.framework,
        "then": {"outcome": group.then[0], "reason": group.then[1]},
        "now": {"outcome": group.now[0], "reason": group.now[1]},
        "cause": group.cause,
        "why": group.why,
        "known": "" if group.entry is None else f"{group.entry.place}: {group.entry.reason}",
        "checks": len(group),
        "first": group.problems[0],
    }


def _check(row: Row) -> dict[str, Any]:
    sides = {
        when: {name: row[f"{name}_{when}"] for name in ("outcome", "reason", "message", "diagnosis", "ratio")}
        for when in ("then", "now")
    }
    known = "" if row["entry"] is None else row["place"]
    return {"kind": str(row["kind"]), **{name: row[name] for name in KEY}, **sides, "known": known}
