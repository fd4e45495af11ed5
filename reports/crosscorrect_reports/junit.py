"""A run as JUnit XML: one test case per check, expected refusals as skips with their reason.

Of more than ``frames.MANY`` checks those of a case that came out alike in one place are one test case, which says how
many they are: a file of a million test cases is 150 MB, which no reader of JUnit XML takes.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections import Counter
from typing import TYPE_CHECKING, Any

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
_COUNTS = ("tests", "failures", "errors", "skipped")


def render(run: Run, ruling: Ruling, judged: pd.DataFrame) -> bytes:
    """Return the document, in UTF-8. ``judged`` is ``frames.judged(run)``.

    A check that passes as expected is a bare test case, one that refuses or fails as expected is skipped with the
    reason of its entry, and all else is an error (nothing was computed) or a failure. What the gate found about the run
    as a whole (not finished, stale entries, too few checks) are failures of the suite ``gate``.
    """
    totals, written = Counter(dict.fromkeys(_COUNTS, 0)), []
    for suite in _suites(ruling, judged):  # text at once, which is smaller than what it is made of
        totals.update({name: int(suite.attrib[name]) for name in _COUNTS})
        ET.indent(suite, level=1)
        written.append(b"\n  " + ET.tostring(suite, encoding="utf-8"))
    name = f"crosscorrect {clean(run.info['run'])}"
    root = ET.Element("testsuites", {"name": name, **{count: str(totals[count]) for count in _COUNTS}})
    root.text = "\n"
    head, end = ET.tostring(root, encoding="utf-8", xml_declaration=True).split(b"\n</")
    return b"".join([head, *written, b"\n</", end, b"\n"])


def _suites(ruling: Ruling, judged: pd.DataFrame) -> Iterator[ET.Element]:
    for name, numbers in judged.groupby([*frames.PLACE, "suite"], sort=False).indices.items():
        if len(judged) > frames.MANY:
            cases = list(_alike(judged, numbers))
        else:
            cases = [_case(row) for row in frames.records(judged, numbers).values()]
        yield _suite(".".join(name), cases, float(judged["total_seconds"].iloc[numbers].sum()))
    found = others(ruling) if ruling.finished else [UNFINISHED, *others(ruling)]
    if found:
        cases = []
        for finding in found:
            case = ET.Element("testcase", classname="gate", name=clean(finding)[:200], time="0")
            ET.SubElement(case, "failure", message=clean(finding), type="gate")
            cases.append(case)
        yield _suite("gate", cases, 0.0)


def _suite(name: str, cases: list[ET.Element], seconds: float) -> ET.Element:
    found = Counter(child.tag for case in cases for child in case)
    suite = ET.Element(
        "testsuite",
        name=clean(name),
        tests=str(len(cases)),
        failures=str(found["failure"]),
        errors=str(found["error"]),
        skipped=str(found["skipped"]),
        time=f"{max(seconds, 0) or 0:.6f}",
    )
    suite.extend(cases)
    return suite


def _alike(judged: pd.DataFrame, numbers: Any) -> Iterator[ET.Element]:
    """A test case for each kind of check of a case: what is as expected by its entry, all else by its message.

    It tells the first of them, and how many they are.
    """
    rows = judged[["suite", "case", "outcome", "message", "entry", "surprise", "total_seconds"]].iloc[numbers]
    told = (rows["surprise"] != "") | (rows["outcome"] == Outcome.MISSING)
    entry = ["" if entry is None else entry.place for entry in rows["entry"]]
    kind = [rows["case"], rows["outcome"], rows["message"].where(told, ""), pd.Series(entry, rows.index, dtype=object)]
    groups = rows.groupby(kind, sort=False).indices.values()
    first = frames.records(judged, [numbers[own[0]] for own in groups]).values()
    for row, own in zip(first, groups, strict=True):
        case = _case(row)
        if len(own) > 1:
            case.set("name", clean(f"{row['suite']}/{row['case']}: {plural(len(own), 'check')}: {row['outcome']}"))
            case.set("time", f"{rows['total_seconds'].iloc[own].sum():.6f}")
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
