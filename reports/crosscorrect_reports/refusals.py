"""What did not pass: expected refusals apart from surprises, and what each framework says to Problem 2."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from crosscorrect.model import Outcome
from crosscorrect_reports import frames
from crosscorrect_reports.causes import some
from crosscorrect_reports.text import slug, web_url

if TYPE_CHECKING:
    import pandas as pd

    from crosscorrect.store import Run

    Row = dict[str, Any]

LOOPS = ("literal", "idiomatic", "stacked")
NO_GRADIENT = "no gradient: it is None"
"""The end of the harness's sentence on a framework that answers None (``crosscorrect.judge``)."""

_EXCEPTION = re.compile(r"[A-Za-z_][\w.]*: ")


@dataclass(slots=True)
class Card:
    """Checks that did not pass in the same way: of one framework, one outcome, one message, one expectation.

    Those of a surprise have the same numbers, too.
    """

    anchor: str
    framework: str
    outcome: str
    reason: str
    message: str
    surprise: str
    why: str
    place: str
    url: str
    checks: list[Row] = field(default_factory=list)
    stderr: str = ""

    @property
    def modes(self) -> str:
        """The modes of its checks."""
        return ", ".join(dict.fromkeys(row["mode"] for row in self.checks))

    @property
    def some(self) -> str:
        """The first few of its problems."""
        return some([row["problem"] for row in self.checks])


@dataclass(slots=True)
class Said:
    """One distinct answer to a loop: ``right``, ``none``, ``raised``, ``refused`` or ``other``, and its message."""

    kind: str
    message: str
    expected: bool
    count: int
    anchor: str


@dataclass(slots=True)
class Speech:
    """A framework in one mode: for each loop the distinct answers."""

    framework: str
    mode: str
    loops: list[list[Said]]


def cards(judged: pd.DataFrame) -> tuple[list[Card], list[Card], dict[int, str]]:
    """Surprises, expected refusals, and the anchor of the card of each row (by its number) that is on one."""
    found: dict[tuple[str, ...], Card] = {}
    anchors: dict[int, str] = {}
    for number, row in enumerate(judged.to_dict("records")):
        if row["outcome"] == Outcome.PASS and not row["surprise"]:
            continue
        entry = row["entry"]
        surprise = row["surprise"] if row["outcome"] != Outcome.MISSING else "was not run"
        place = "" if entry is None else entry.place
        # surprises share a card only where their numbers are the same, which a card shows
        numbers = "/".join(str(row[name]) for name in ("where", "expected", "got", "ratio")) if surprise else ""
        key = (
            row["framework"],
            row["outcome"],
            row["reason"],
            row["message"],
            place,
            numbers,
        )
        if key not in found:
            anchor = "card-" + slug(
                f"{row['framework']}/{row['problem']}/{row['mode']}/{row['device']}/{row['direction']}"
            )
            # the card's head names the check, and its body the message
            said = surprise.removeprefix(f"{row['framework']} {row['mode']} {row['problem']} {row['direction']}: ")
            said = said.removesuffix(f": {row['message']}") if row["message"] else said
            found[key] = Card(
                anchor,
                row["framework"],
                row["outcome"],
                row["reason"],
                row["message"],
                said,
                "" if entry is None else entry.reason,
                place,
                "" if entry is None else web_url(entry.url),
            )
        card = found[key]
        card.checks.append(row)
        card.stderr = card.stderr or row["stderr"]
        anchors[number] = card.anchor
    surprises = [card for card in found.values() if card.surprise]
    return surprises, [card for card in found.values() if not card.surprise], anchors


def speeches(run: Run, judged: pd.DataFrame, anchors: dict[int, str]) -> list[Speech]:
    """Problem 2: what automatic differentiation makes of the double loop, by framework, mode and loop."""
    known = frames.problems(run)
    told: dict[tuple[str, str], dict[str, dict[tuple[str, str], Said]]] = {}
    for number, row in enumerate(judged.to_dict("records")):
        if row["operation"] != "differentiate":
            continue
        loop = known.get(row["problem"], {}).get("settings", {}).get("loop", "")
        kind = _kind(row)
        # the exception's first words are the answer; shapes and addresses in it may differ from problem to problem
        said = told.setdefault((row["framework"], row["mode"]), {}).setdefault(loop, {})
        key = (kind, row["message"] if kind != "right" else "")
        if key not in said:
            said[key] = Said(kind, key[1], not row["surprise"], 0, anchors.get(number, ""))
        said[key].count += 1
        said[key].expected &= not row["surprise"]
    order = [(name, mode) for name, mode, _ in frames.places(run)]
    return [
        Speech(name, mode, [list(told[name, mode].get(loop, {}).values()) for loop in LOOPS])
        for name, mode in dict.fromkeys(order)
        if (name, mode) in told
    ]


def _kind(row: Row) -> str:
    if row["outcome"] in (Outcome.PASS, Outcome.MISTRUSTED):
        return "right"
    if row["outcome"] != Outcome.UNSUPPORTED:
        return "other"
    if row["message"].endswith(NO_GRADIENT):
        return "none"
    return "raised" if _EXCEPTION.match(row["message"]) else "refused"
