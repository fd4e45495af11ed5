"""Whether a run is as expected, strictly both ways: surprises, fixed failures, stale entries, lost checks."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from crosscorrect import expectations
from crosscorrect.adapter import MODES
from crosscorrect.model import Exit, Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from crosscorrect.expectations import Expectations
    from crosscorrect.store import Run

Row = dict[str, Any]


@dataclass(slots=True)
class Ruling:
    """What the gate says of a run: ``findings`` are sentences for a person, ``exit`` the code that follows from them.

    ``notes`` tell what could not be asked on this machine; they do not change the exit code. ``expected`` counts the checks that did not pass and were expected not to.
    """

    findings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    passed: int = 0
    expected: int = 0
    total: int = 0

    @property
    def exit(self) -> Exit:
        """Nothing ran, incomplete, not conformant, or as expected, in this order."""
        if self.total == 0 or self.total == len(self.missing):
            return Exit.NOTHING_RAN if self.total == 0 else Exit.INCOMPLETE
        if self.missing:
            return Exit.INCOMPLETE
        return Exit.NOT_CONFORMANT if self.findings else Exit.OK


def rule(run: Run, folder: Path | None = None) -> Ruling:
    """Judge a run against the expectations in a folder (default: those that ship with crosscorrect).

    Whether an entry is stale, and whether too few checks were executed, is asked only of suites that ran whole.
    """
    known = expectations.versions(run.env.to_dict("records"))
    rows: list[Row] = run.checks.to_dict("records")
    ruling = Ruling(total=len(rows))
    for framework in run.info["frameworks"]:
        own = [row for row in rows if row["framework"] == framework]
        if not own:
            continue
        expected = expectations.load(framework, known.get(framework, ""), folder)
        matched = _rule_rows(own, expected, ruling)
        if not run.info.get("filter"):
            _rule_stale(own, expected, matched, ruling)
            _rule_counts(run, own, expected, ruling)
    # a run of chosen problems may hold none that is about some framework
    absent = [] if run.info.get("filter") else sorted(set(run.info["frameworks"]) - {row["framework"] for row in rows})
    ruling.findings += [f"{name}: asked for, and no check of it in the run" for name in absent]
    ruling.missing += absent
    return ruling


def as_expected(row: Mapping[str, Any], entry: expectations.Entry | None) -> str:
    """Empty when a check is as expected, else the sentence that says in which way it is not."""
    outcome = row["outcome"]
    what = f"{row['framework']} {row['mode']} {row['problem']} {row['direction']}"
    said = f": {row['message']}" if row["message"] else ""
    if entry is None:
        reason = f" ({row['reason']})" if row["reason"] else ""
        return "" if outcome == Outcome.PASS else f"{what}: unexpected {outcome}{reason}{said}"
    if outcome == Outcome.PASS:
        return f"{what}: passes, but {entry.place} expects {entry.outcome}; remove the entry"
    if outcome != entry.outcome:
        return f"{what}: {outcome} where {entry.place} expects {entry.outcome}{said}"
    if entry.message not in row["message"]:
        return f"{what}: the message is not the one {entry.place} expects ({entry.message!r}){said}"
    return ""


def _rule_rows(rows: Sequence[Row], expected: Expectations, ruling: Ruling) -> set[expectations.Entry]:
    matched = set()
    for row in rows:
        entry = expected.of(row["problem"], row["direction"], row["mode"], row["device"])
        if entry is not None:
            matched.add(entry)
        if row["outcome"] == Outcome.MISSING:
            ruling.missing.append(f"{row['framework']} {row['problem']}: {row['message']}")
            continue
        surprise = as_expected(row, entry)
        if surprise:
            ruling.findings.append(surprise)
        elif entry is None:
            ruling.passed += 1
        else:
            ruling.expected += 1
    return matched


def _rule_stale(rows: Sequence[Row], expected: Expectations, matched: set[expectations.Entry], ruling: Ruling) -> None:
    ran = {(row["suite"], row["mode"]) for row in rows}
    modes = {mode for _, mode in ran}
    for entry in expected.entries:
        asked = any((entry.suite, mode) in ran for mode in (entry.modes or modes))
        if asked and not entry.devices and entry not in matched:
            ruling.findings.append(f"{entry.place}: stale, no check is {entry.problems} any more; remove the entry")


def _rule_counts(run: Run, rows: Sequence[Row], expected: Expectations, ruling: Ruling) -> None:
    executed = Counter((r["suite"], r["mode"]) for r in rows if Outcome(r["outcome"]).executed)
    asked = set(run.info.get("modes") or MODES)
    for suite in sorted({row["suite"] for row in rows}):
        for mode, least in expected.executed.get(suite, {}).items():
            if mode not in asked or executed[suite, mode] >= least:
                continue
            finding = (
                f"{expected.framework} {mode}: {executed[suite, mode]} checks of suite {suite} were executed, "
                f"the expectations ask for {least}"
            )
            lack = _lack(run, expected.framework, mode)
            # a machine without what a mode needs is no defect of the framework, and still nothing to be silent about
            if lack and not executed[suite, mode]:
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
