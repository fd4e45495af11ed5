"""A run as JUnit XML: one test case per check, expected refusals as skips with their reason.

Of more than ``frames.MANY`` checks what is as expected is one test case per case of a suite and outcome: a file
of a million test cases is 150 MB, which no reader of JUnit XML takes. What is not as expected is told one by one.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from crosscorrect.gate import UNFINISHED
from crosscorrect.model import Outcome
from crosscorrect_reports import frames
from crosscorrect_reports.causes import others
from crosscorrect_reports.text import clean, plural

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crosscorrect.gate import Ruling
    from crosscorrect.store import Run

_ERRORS = (Outcome.ERROR, Outcome.CRASH, Outcome.TIMEOUT, Outcome.MISSING)


def render(run: Run, ruling: Ruling, judged: pd.DataFrame) -> bytes:
    """Return the document, in UTF-8. ``judged`` is ``frames.judged(run)``.

    A check that passes as expected is a bare test case, one that refuses or fails as expected is skipped with the
    reason of its entry, and all else is an error (nothing was computed) or a failure. What the gate found about the run
    as a whole (not finished, stale entries, too few checks) are failures of the suite ``gate``.
    """
    root = ET.Element("testsuites", name=f"crosscorrect {clean(run.info['run'])}")
    many = len(judged) > frames.MANY
    for name, rows in judged.groupby([*frames.PLACE, "suite"], sort=False):
        place, suite = ".".join(name), name[-1]
        calm = ((rows["surprise"] == "") & (rows["outcome"] != Outcome.MISSING)).to_numpy() & many
        cases = list(_counted(place, suite, rows[calm]))
        cases += [_case(row) for row in frames.records(rows, np.flatnonzero(~calm)).values()]
        _suite(root, place, cases, float(rows["total_seconds"].sum()))
    found = others(ruling) if ruling.finished else [UNFINISHED, *others(ruling)]
    if found:
        cases = []
        for finding in found:
            case = ET.Element("testcase", classname="gate", name=clean(finding)[:200], time="0")
            ET.SubElement(case, "failure", message=clean(finding), type="gate")
            cases.append(case)
        _suite(root, "gate", cases, 0.0)
    totals: Counter[str] = Counter()
    for suite in root:
        totals.update({name: int(suite.get(name, "0")) for name in ("tests", "failures", "errors", "skipped")})
    root.attrib.update({name: str(totals[name]) for name in ("tests", "failures", "errors", "skipped")})
    ET.indent(root)
    document: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return document + b"\n"


def _suite(root: ET.Element, name: str, cases: list[ET.Element], seconds: float) -> None:
    found = Counter(child.tag for case in cases for child in case)
    suite = ET.SubElement(
        root,
        "testsuite",
        name=clean(name),
        tests=str(len(cases)),
        failures=str(found["failure"]),
        errors=str(found["error"]),
        skipped=str(found["skipped"]),
        time=f"{max(seconds, 0) or 0:.6f}",
    )
    suite.extend(cases)


def _counted(place: str, suite: str, rows: pd.DataFrame) -> Iterator[ET.Element]:
    """A test case for what came out alike, and as expected, of each case of a suite."""
    why = pd.Series(["" if entry is None else entry.reason for entry in rows["entry"]], rows.index, dtype=object)
    for (name, outcome, reason), own in rows.groupby([rows["case"], rows["outcome"], why], sort=False):
        said, seconds = f"{suite}/{name}: {plural(len(own), 'check')}: {outcome}", own["total_seconds"].sum()
        case = ET.Element("testcase", classname=clean(place), name=clean(said), time=f"{seconds:.6f}")
        if outcome != Outcome.PASS:
            ET.SubElement(case, "skipped", message=clean(reason))
        yield case


def _case(row: dict[str, Any]) -> ET.Element:
    place = ".".join((row["framework"], row["mode"], row["device"], row["suite"]))
    seconds = row["total_seconds"]
    time = 0.0 if seconds is None or seconds != seconds else float(seconds)  # noqa: PLR0124  a missing number is NaN
    case = ET.Element(
        "testcase", classname=clean(place), name=clean(f"{row['problem']} {row['direction']}"), time=f"{time:.6f}"
    )
    if row["surprise"] or row["outcome"] == Outcome.MISSING:
        tag = "error" if row["outcome"] in _ERRORS else "failure"
        kind = f"{row['outcome']} ({row['reason']})" if row["reason"] else row["outcome"]
        problem = ET.SubElement(case, tag, message=clean(row["surprise"] or row["message"]), type=clean(kind))
        problem.text = clean(_evidence(row))
    elif row["outcome"] != Outcome.PASS:
        why = row["entry"].reason if row["entry"] is not None else ""
        ET.SubElement(case, "skipped", message=clean(f"{why} [{row['message']}]" if row["message"] else why))
    if row["stderr"]:
        ET.SubElement(case, "system-err").text = clean(row["stderr"])
    return case


def _evidence(row: dict[str, Any]) -> str:
    lines = [row["message"]]
    if row["diagnosis"]:
        lines.append(f"diagnosis: {row['diagnosis']}")
    if row["where"]:
        lines.append(f"at [{row['where']}]: expected {row['expected']!r}, got {row['got']!r}")
    if row["ratio"] is not None and row["ratio"] == row["ratio"]:
        lines.append(f"error {row['error']!r}, error over bound {row['ratio']!r}, tier {row['tier']}")
    return "\n".join(lines)
