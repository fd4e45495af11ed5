"""Whether a run is as expected, strictly both ways: surprises, fixed failures, stale entries, lost checks."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from crosscorrect import expectations
from crosscorrect.adapter import MODES
from crosscorrect.model import Exit, Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pandas as pd

    from crosscorrect.expectations import Expectations
    from crosscorrect.store import Run

Row = dict[str, Any]

READ = ("framework", "suite", "problem", "direction", "mode", "device", "outcome", "reason", "message")
"""The columns of a check that the gate reads."""


@dataclass(slots=True)
class Cause:
    """Checks of one framework of which the same is told: ``says`` is what, ``sentences`` tell it of each in full.

    ``outcome`` is what became of them, ``problems`` are theirs.
    """

    framework: str
    says: str
    outcome: Outcome
    problems: list[str] = field(default_factory=list)
    sentences: list[str] = field(default_factory=list)

    @property
    def missing(self) -> bool:
        """Whether they were not run; else they came out otherwise than expected."""
        return self.outcome is Outcome.MISSING


@dataclass(slots=True)
class Ruling:
    """What the gate says of a run: ``findings`` are sentences for a person, ``exit`` the code that follows from them.

    ``missing`` tells what was asked for and is not there. ``causes`` are the findings and missing checks again,
    gathered where they differ in the problem only. ``notes`` tell what could not be asked on this machine; they do not
    change the exit code. ``expected`` counts the checks that did not pass and were expected not to.
    """

    findings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    passed: int = 0
    expected: int = 0
    total: int = 0
    finished: bool = True
    causes: list[Cause] = field(default_factory=list)

    @property
    def exit(self) -> Exit:
        """Nothing ran, incomplete (as every unfinished run is), not conformant, or as expected, in this order."""
        if self.total == 0 and self.finished:
            return Exit.NOTHING_RAN
        if self.missing or not self.finished:
            return Exit.INCOMPLETE
        return Exit.NOT_CONFORMANT if self.findings else Exit.OK


UNFINISHED = "the run was not finished"
"""What is told as missing of an unfinished run."""


def rule(run: Run, folder: Path | None = None) -> Ruling:
    """Judge a run against the expectations in a folder (default: those that ship with crosscorrect).

    Whether an entry is stale, and whether too few checks were executed, is asked only of suites that ran whole, at
    level ``ci`` or above: not of a shard, but of the run that all shards are merged into. A run that was not finished
    is incomplete, and what it holds so far is judged.
    """
    known = expectations.versions(run.env.to_dict("records"))
    checks = run.columns("checks", READ)
    ruling = Ruling(total=len(checks), finished=run.info["finished"])
    if not ruling.finished:
        ruling.missing.append(UNFINISHED)
    info = run.info
    whole = ruling.finished and not info.get("filter") and not info.get("shard") and info.get("level") != "smoke"
    causes: dict[tuple[str, bool, str], Cause] = {}
    absent = []
    for framework in info["frameworks"]:
        own = checks[checks["framework"] == framework]
        if own.empty:
            absent.append(framework)
            continue
        expected = expectations.load(framework, known.get(framework, ""), folder)
        matched = _rule_rows(own, expected, ruling, causes)
        if whole:
            _rule_stale(own, expected, matched, ruling)
            _rule_counts(run, own, expected, ruling)
    ruling.causes = list(causes.values())
    if whole:  # a run of chosen problems, or a shard, may hold none that is about some framework
        absent.sort()
        ruling.findings += [f"{name}: asked for, and no check of it in the run" for name in absent]
        ruling.missing += absent
    return ruling


def as_expected(row: Mapping[str, Any], entry: expectations.Entry | None) -> str:
    """Empty when a check is as expected, else the sentence that says in which way it is not."""
    says = _says(row, entry)
    return f"{_place(row)}: {says}" if says else ""


def _place(row: Mapping[str, Any]) -> str:
    return f"{row['framework']} {row['mode']} {row['problem']} {row['direction']}"


def _says(row: Mapping[str, Any], entry: expectations.Entry | None) -> str:
    outcome = row["outcome"]
    said = f": {row['message']}" if row["message"] else ""
    if entry is None:
        reason = f" ({row['reason']})" if row["reason"] else ""
        return "" if outcome == Outcome.PASS else f"unexpected {outcome}{reason}{said}"
    if outcome == Outcome.PASS:
        return "" if entry.varies else f"passes, but {entry.place} expects {entry.outcome}; remove the entry"
    if outcome != entry.outcome:
        return f"{outcome} where {entry.place} expects {entry.outcome}{said}"
    if entry.message not in row["message"]:
        return f"the message is not the one {entry.place} expects ({entry.message!r}){said}"
    return ""


def _rule_rows(
    checks: pd.DataFrame, expected: Expectations, ruling: Ruling, causes: dict[tuple[str, bool, str], Cause]
) -> set[expectations.Entry]:
    """Rule the checks of one framework, and return the entries that speak of any."""
    entries = expected.each(checks)
    # of a million checks nearly all pass and are spoken of by nobody: they are counted, and nothing is made of them
    told = (checks["outcome"] != Outcome.PASS).to_numpy() | np.array([entry is not None for entry in entries], bool)
    ruling.passed += int((~told).sum())
    rows = checks[told].itertuples(index=False, name=None)
    for values, entry in zip(rows, itertools.compress(entries, told), strict=True):
        _rule_row(dict(zip(READ, values, strict=True)), entry, ruling, causes)
    return {entry for entry in entries if entry is not None}


def _rule_row(
    row: Row, entry: expectations.Entry | None, ruling: Ruling, causes: dict[tuple[str, bool, str], Cause]
) -> None:
    missing = row["outcome"] == Outcome.MISSING
    says = row["message"] if missing else _says(row, entry)
    if missing or says:
        place = f"{row['framework']} {row['problem']}" if missing else _place(row)
        sentence = f"{place}: {says}"
        (ruling.missing if missing else ruling.findings).append(sentence)
        key = (row["framework"], missing, says)
        cause = causes.setdefault(key, Cause(row["framework"], says, Outcome(row["outcome"])))
        cause.problems.append(row["problem"])
        cause.sentences.append(sentence)
    elif entry is None or row["outcome"] == Outcome.PASS:
        ruling.passed += 1
    else:
        ruling.expected += 1


def _rule_stale(checks: pd.DataFrame, expected: Expectations, matched: set[expectations.Entry], ruling: Ruling) -> None:
    ran = set(checks[["suite", "mode"]].drop_duplicates().itertuples(index=False, name=None))
    modes = {mode for _, mode in ran}
    for entry in expected.entries:
        asked = any((entry.suite, mode) in ran for mode in (entry.modes or modes))
        if asked and not entry.devices and entry not in matched:
            ruling.findings.append(f"{entry.place}: stale, no check is {entry.problems} any more; remove the entry")


def _rule_counts(run: Run, checks: pd.DataFrame, expected: Expectations, ruling: Ruling) -> None:
    answered = checks[checks["outcome"].isin([outcome.value for outcome in Outcome if outcome.executed])]
    executed = answered.groupby(["suite", "mode"], observed=True).size().to_dict()
    asked = set(run.info.get("modes") or MODES)
    for suite in sorted(checks["suite"].unique()):
        for mode, least in expected.executed.get(suite, {}).items():
            count = executed.get((suite, mode), 0)
            if mode not in asked or count >= least:
                continue
            finding = (
                f"{expected.framework} {mode}: {count} checks of suite {suite} were executed, "
                f"the expectations ask for {least}"
            )
            lack = _lack(run, expected.framework, mode)
            # a machine without what a mode needs is no defect of the framework, and still nothing to be silent about
            if lack and not count:
                ruling.notes.append(f"{finding}: {lack}")
            else:
                ruling.findings.append(finding)


def _lack(run: Run, framework: str, mode: str) -> str:
    """What the adapter says this machine lacks for a mode that it therefore does not offer; empty if it offers it."""
    own = [row for row in run.env.to_dict("records") if row["framework"] == framework]
    offered = {row["value"] for row in own if (row["section"], row["key"]) == ("offer", "modes")}
    if any(mode in value.split(", ") for value in offered):
        return ""
    return "; ".join(row["value"] for row in own if row["section"] == "note" and f"mode {mode}" in row["value"])
