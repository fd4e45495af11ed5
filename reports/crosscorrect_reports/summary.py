"""A run in one small JSON file for machines, versioned; ``summary.schema.json`` beside this module says what is in it.

Within one ``schema`` no key goes, changes its type or comes to mean something else; keys are added, and a reader passes
over those that it does not know.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from crosscorrect.gate import UNFINISHED
from crosscorrect.model import Outcome, cause_of, explanation, unnumbered
from crosscorrect.speed.model import REFERENCE, Role, Speed
from crosscorrect_reports import frames
from crosscorrect_reports.causes import others
from crosscorrect_reports.outcomes import headline
from crosscorrect_reports.strict import dump

if TYPE_CHECKING:
    import pandas as pd

    from crosscorrect.gate import Ruling
    from crosscorrect.store import Run

SCHEMA = 1
MOST_SURPRISES, MOST_OTHERS, MOST_PROBLEMS, MOST_COMPLAINTS = 100, 100, 3, 20
"""How many groups of surprises, findings about the run, problems of a group, and complaints of a machine are listed."""
LONGEST = 1000
"""How many characters of a text are told."""
ASKED = ("suites", "frameworks", "modes", "devices", "arithmetic", "level", "seed", "filter", "shard")
SPEEDS = ["problem", "part", "framework", "mode", "device", "speed", "ratio", "low", "high", "resolution", "seconds"]


def schema() -> dict[str, Any]:
    """The JSON Schema of the file (Draft 2020-12)."""
    text = files("crosscorrect_reports").joinpath("summary.schema.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def render(run: Run, ruling: Ruling, judged: pd.DataFrame) -> str:
    """Return the file as text. ``judged`` is ``frames.judged(run)``."""
    return dump(summary(run, ruling, judged))


def summary(run: Run, ruling: Ruling, judged: pd.DataFrame) -> dict[str, Any]:
    """Return what is in it, as plain values."""
    info = run.info
    return {
        "schema": SCHEMA,
        "crosscorrect": info["crosscorrect"],
        "run": info["run"],
        "finished": info["finished"],
        "exit": int(ruling.exit),
        "headline": headline(ruling),
        "asked": {key: info[key] for key in ASKED if key in info},
        "checks": {
            "total": ruling.total,
            "passed": ruling.passed,
            "expected": ruling.expected,
            "surprises": len(ruling.findings),
            "missing": len(ruling.missing) - (UNFINISHED in ruling.missing),
        },
        "counts": _counts(run),
        "frameworks": [
            {
                "name": name,
                "started": bool(sections),
                "version": sections.get("version", {}).get(name, ""),
                **{key: sections.get(section, {}) for key, section in _SECTIONS.items()},
            }
            for name, sections in frames.versions(run).items()
            if name in info["frameworks"]
        ],
        "surprises": _surprises(judged),
        "findings": _listed(others(ruling), MOST_OTHERS),
        "notes": _listed(ruling.notes, MOST_OTHERS),
        "agreement": frames.agreement(run).to_dict("records"),
        "speed": _speed(run) if "bench" in info else None,
    }


_SECTIONS = {"versions": "version", "interpreter": "interpreter", "offers": "offer"}
"""What is told of a framework, and the section of the ``env`` table that has it."""


def _counts(run: Run) -> list[dict[str, Any]]:
    table = frames.totals(run)
    return [
        {
            **dict(zip(frames.PLACE, place, strict=True)),
            "outcomes": {outcome.value: row[outcome.value] for outcome in Outcome},
            "total": row["total"],
        }
        for place, row in zip(frames.places(run), table.to_dict("records"), strict=True)
    ]


def _listed(texts: list[str], most: int) -> dict[str, Any]:
    return {"listed": [text[:LONGEST] for text in texts[:most]], "more": max(0, len(texts) - most)}


def alike(judged: pd.DataFrame) -> list[pd.DataFrame]:
    """Return the checks that are not as expected or were not run, those together that came out alike.

    What is alike has one outcome and reason, one cause, of a refusal or an error one message but for its numbers, and
    contradicts one expectation. The gravest come first, and of those that are as grave the most.
    """
    table = judged[(judged["surprise"] != "") | (judged["outcome"] == Outcome.MISSING)]
    said = table[["outcome", "message", "diagnosis"]].itertuples(index=False, name=None)
    table = table.assign(
        cause=table["diagnosis"].map(cause_of),
        says=[unnumbered(explanation(*row)) for row in said],
        against=["" if entry is None else entry.place for entry in table["entry"]],
    )
    by = [*frames.PLACE, "outcome", "reason", "cause", "says", "against"]
    found = [rows for _, rows in table.groupby(by, sort=False, observed=True)]
    return sorted(found, key=lambda rows: (Outcome(rows.iloc[0]["outcome"]).rank, -len(rows)))


def _surprises(judged: pd.DataFrame) -> dict[str, Any]:
    groups = sorted(alike(judged), key=len, reverse=True)  # the order that the schema promises
    listed = [_surprise(rows) for rows in groups[:MOST_SURPRISES]]
    return {"checks": sum(map(len, groups)), "listed": listed, "more": sum(map(len, groups[MOST_SURPRISES:]))}


def _surprise(rows: pd.DataFrame) -> dict[str, Any]:
    first = rows.iloc[0]
    names = (*frames.PLACE, "outcome", "reason", "cause", "direction", "message", "diagnosis", "ratio")
    return {
        **{name: first[name] if name == "ratio" else str(first[name])[:LONGEST] for name in names},
        "against": first["against"],
        "checks": len(rows),
        "problems": [str(problem) for problem in rows["problem"].unique()[:MOST_PROBLEMS]],
    }


def _speed(run: Run) -> dict[str, Any]:
    """What a timed run tells: every verdict with its interval, and whether the machine was fit to measure."""
    bench, table = run.info["bench"], run.verdicts
    arms = table[table["role"] == Role.ARM]
    compared = arms[arms["message"] != REFERENCE]
    found = Counter(compared["speed"])
    verdicts = arms[[*SPEEDS, "restarts", "message"]].rename(columns={"message": "why"})
    return {
        "reference": {name: bench[name] for name in ("mode", "device")} | {"framework": bench["reference"]},
        "threads": bench["threads"],
        "cold": bench["cold"],
        "margin": float(table["margin"].iloc[0]) if len(table) else None,
        "counts": {speed.value: found[speed.value] for speed in Speed},
        "verdicts": verdicts.astype(object).to_dict("records"),
        "fitness": _fitness(run),
    }


def _fitness(run: Run) -> dict[str, Any]:
    """The ratios of the reference to its own twin, and of how many restarts a measurement was not fit, and why."""
    twins = run.verdicts[(run.verdicts["role"] == Role.TWIN) & run.verdicts["ratio"].notna()]["ratio"]
    complaints = run.measurements["complaint"]
    # alike but for their numbers: told once, by the first
    kinds = Counter[str]()
    told: dict[str, str] = {}
    for complaint in complaints[complaints != ""]:
        kind = re.sub(r"[0-9.]+", "#", complaint)
        kinds[kind] += 1
        told.setdefault(kind, complaint[:LONGEST])
    return {
        "twins": {
            "problems": len(twins),
            "low": twins.min() if len(twins) else None,
            "high": twins.max() if len(twins) else None,
        },
        "measurements": len(complaints),
        "unfit": int((complaints != "").sum()),
        "complaints": [{"says": told[kind], "count": count} for kind, count in kinds.most_common(MOST_COMPLAINTS)],
    }
