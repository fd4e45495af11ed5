"""What did not pass: expected refusals apart from surprises, and what each framework says to Problem 2."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from crosscorrect.model import Outcome, cause_of
from crosscorrect_reports import frames
from crosscorrect_reports.causes import some

if TYPE_CHECKING:
    import pandas as pd

    from crosscorrect.store import Run

    Row = dict[str, Any]

LOOPS = ("literal", "idiomatic", "stacked")
NO_GRADIENT = "no gradient: it is None"
"""The end of the harness's sentence on a framework that answers None (``crosscorrect.judge``)."""

_EXCEPTION = re.compile(r"[A-Za-z_][\w.]*: ")


MOST_CARDS = 300
"""How many surprises have a card of their own; of what comes after them, all that has one cause shares one."""

MOST_LISTED = 200
"""How many checks a card lists one by one."""

NUMBERS = ("where", "expected", "got", "ratio")
"""What a card tells of its first check: surprises share a card only where it is the same for all."""

TOLD = [
    *("framework", "mode", "device", "problem", "direction", "outcome", "reason", "message", "diagnosis", "stderr"),
    *("tier", "error", *NUMBERS, "entry", "surprise"),
]
"""The columns that the checks of a card have: there may be hundreds of thousands."""


@dataclass(slots=True)
class Card:
    """Checks that did not pass in the same way: of one framework, one outcome, one diagnosis, one expectation.

    Those of a surprise have the same message and the same numbers, too. ``message`` is the first of ``messages``.
    """

    anchor: str
    framework: str
    outcome: str
    reason: str
    message: str
    diagnosis: str
    surprise: str
    why: str
    place: str
    url: str
    checks: list[Row] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)
    upstream: list[str] = field(default_factory=list)
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


def cards(run: Run, judged: pd.DataFrame) -> tuple[list[Card], list[Card], dict[int, str]]:
    """Surprises, the gravest first; expected refusals; and the anchor of the card of each row, by number, on one."""
    upstream = dict(zip(run.problems["problem"], run.problems["url"], strict=True))
    found: dict[tuple[str, ...], Card] = {}
    anchors: dict[int, str] = {}
    told = 0
    for number, row in frames.records(judged[TOLD], np.flatnonzero(~frames.plain(judged))).items():
        surprise = bool(row["surprise"]) or row["outcome"] == Outcome.MISSING
        key = _key(row, surprise=surprise)
        if surprise and key not in found and told >= MOST_CARDS:
            key = _key({**row, "message": "", **dict.fromkeys(NUMBERS, "")}, surprise=surprise)
        if key not in found:
            found[key] = _card(row, key)
            told += surprise
        card = found[key]
        card.checks.append(row)
        url = upstream.get(row["problem"], "")
        card.upstream += [url] if url and url != card.url and url not in card.upstream else []
        card.stderr = card.stderr or row["stderr"]
        anchors[number] = card.anchor
    for card in found.values():
        card.messages = [message for message in dict.fromkeys(row["message"] for row in card.checks) if message]
    surprises = sorted((card for card in found.values() if card.surprise), key=lambda card: _order([card]))
    return surprises, [card for card in found.values() if not card.surprise], anchors


def _key(row: Row, *, surprise: bool) -> tuple[str, ...]:
    """Equal for checks that share a card."""
    place = "" if row["entry"] is None else row["entry"].place
    cause = cause_of(row["diagnosis"])
    told = (row["message"], row["diagnosis"], *(str(row[name]) for name in NUMBERS)) if surprise else ("as expected",)
    return (row["framework"], row["outcome"], row["reason"], place, cause, *told)


def _card(row: Row, key: tuple[str, ...]) -> Card:
    entry, surprise = row["entry"], row["surprise"] if row["outcome"] != Outcome.MISSING else "was not run"
    # the card's head names the check, and its body the message
    said = surprise.removeprefix(f"{row['framework']} {row['mode']} {row['problem']} {row['direction']}: ")
    said = said.removesuffix(f": {row['message']}") if row["message"] else said
    return Card(
        # short, for hundreds of cells lead there, and the same in every run that has the same card
        "card-" + hashlib.sha256("\0".join(key).encode("utf-8", "backslashreplace")).hexdigest()[:12],
        row["framework"],
        row["outcome"],
        row["reason"],
        row["message"],
        row["diagnosis"],
        said,
        "" if entry is None else entry.reason,
        "" if entry is None else entry.place,
        "" if entry is None else entry.url,
    )


def by_cause(surprises: list[Card]) -> list[tuple[str, list[Card]]]:
    """Return the cards in groups: those of one framework with one diagnosed cause together, each other one alone.

    A group comes with its cause, a card that is alone with an empty text; the gravest first, then the most checks.
    """
    groups: dict[tuple[str, str], list[Card]] = {}
    for card in surprises:
        cause = cause_of(card.diagnosis)
        groups.setdefault((card.framework, cause) if cause else (card.anchor, ""), []).append(card)
    found = [(cause if len(group) > 1 else "", group) for (_, cause), group in groups.items()]
    return sorted(found, key=lambda one: _order(one[1]))


def _order(group: list[Card]) -> tuple[int, int]:
    return min(Outcome(card.outcome).rank for card in group), -sum(len(card.checks) for card in group)


def speeches(run: Run, judged: pd.DataFrame, anchors: dict[int, str]) -> list[Speech]:
    """Problem 2: what automatic differentiation makes of the double loop, by framework, mode and loop."""
    known = frames.problems(run)
    told: dict[tuple[str, str], dict[str, dict[tuple[str, str], Said]]] = {}
    asked = np.flatnonzero(judged["operation"] == "differentiate")
    for number, row in zip(asked.tolist(), judged.iloc[asked].to_dict("records"), strict=True):
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
