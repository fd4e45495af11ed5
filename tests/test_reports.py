"""Reports of small runs that hold every outcome and hostile text: complete, consistent, harmless, repeatable."""

from __future__ import annotations

import base64
import errno
import hashlib
import html
import io
import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import numpy as np
import pytest

import crosscorrect_reports
from crosscorrect import gate, oracle, store, tables
from crosscorrect.errors import UsageError
from crosscorrect.model import Check, Direction, Exit, Outcome, Reason
from crosscorrect.trajectory import trajectory
from crosscorrect_reports import (
    drawing,
    examples,
    figures,
    frames,
    junit,
    learning,
    markdown,
    page,
    refusals,
    suites,
    terminal,
)
from made_runs import problem_row

HOSTILE = '<script>alert(1)</script>"><img src=x onerror=alert(2)>]]>\x00\x1b[31m|`a`|<b>**x** =cmd() [red]@you'
VOID = {"meta", "br", "img", "hr", "input", "link", "col"}
X, K = np.arange(9, dtype=np.float32).reshape(3, 3), np.arange(4, dtype=np.float32).reshape(2, 2)
EDGE = np.ones((6, 8), np.float32)
EDGE[:, 2:6] = 0
PRINTED = {2: "4.949", 4: "0.831", 6: "0.140", 8: "0.024", 10: "0.004"}


def check(**changes: Any) -> Check:
    plain = Check(
        suite="s",
        case="c",
        problem="s/c@operation=corr2d",
        source="In [2]",
        title="A title",
        operation="corr2d",
        direction=Direction.FORWARD,
        dtype="float32",
        framework="alpha",
        mode="eager",
        device="cpu",
        arithmetic="strict",
        outcome=Outcome.PASS,
        tier="C",
        error=0.0,
        ratio=0.0,
        total_seconds=0.25,
    )
    return replace(plain, **changes)


def problem(row: Check, **changes: Any) -> dict[str, Any]:
    plain = {
        **problem_row(row.problem),
        "suite": row.suite,
        "case": row.case,
        "source": row.source,
        "title": row.title,
        "operation": row.operation,
        "dtype": row.dtype,
        "show": True,
        "geometry": "null",
        "settings": "{}",
        "arrays": "{}",
        "expect": "null",
    }
    return {**plain, **changes}


class Builder:
    """Writes a run folder record by record, as a lane does."""

    def __init__(self, results: Path, frameworks: list[str]) -> None:
        self.folder = store.create(
            results,
            "run",
            {
                "frameworks": frameworks,
                "suites": [],
                "modes": ["eager"],
                "devices": ["cpu"],
                "arithmetic": "strict",
                "filter": [],
            },
        )
        self.segment = store.Segment(self.folder)

    def add(self, row: Check, tensors: dict[str, Any] | None = None, **about: Any) -> None:
        kept = {name: self.segment.keep(np.ascontiguousarray(array)) for name, array in (tensors or {}).items()}
        digest = kept.get("output", row.output_digest)
        self.segment.write("checks", tables.check_record(replace(row, arrays=kept, output_digest=digest)))
        self.segment.write("problems", problem(row, **about))

    def done(self) -> store.Run:
        self.segment.close()
        store.seal(self.folder, {})
        return store.load(self.folder)


def every_outcome(results: Path, text: str) -> store.Run:
    """A run with each outcome in two frameworks; every text that a person or a framework controls is ``text``."""
    builder = Builder(results, ["alpha", "beta"])
    builder.segment.write("env", {"framework": "alpha", "section": "version", "key": "alpha", "value": text})
    builder.segment.write("env", {"framework": "alpha", "section": "note", "key": "0", "value": text})
    for index, outcome in enumerate(Outcome):
        for framework in ("alpha", "beta"):
            reason = Reason.VALUE if outcome is Outcome.FAIL else Reason.NONE
            row = check(
                case=f"c{index}",
                problem=f"s/c{index}@{text}",
                source=text,
                title=text,
                framework=framework,
                outcome=outcome,
                reason=reason,
                message=text,
                stderr=text,
                property=text,
                diagnosis=text if outcome is Outcome.FAIL else "",
                where="0,1",
                expected=25.0,
                got=24.0,
            )
            tensors = {"x": X, "w": K, "reference": oracle.corr2d(X, K).value, "output": oracle.corr2d(X, K).value}
            builder.add(row, tensors, note=text, url=text, level=text, spelling=text)
    return builder.done()


def learned(results: Path, last_loss: float | None = None) -> store.Run:
    """A run of the chapter's training in two frameworks that compute it in float64."""
    builder = Builder(results, ["alpha", "beta"])
    target = oracle.corr2d(EDGE, np.array([[1, -1]], np.float32)).value.astype(np.float32)
    right = trajectory(EDGE, target, np.array([[0.0068339, 0.01299825]], np.float32), None, 0.03, 10, "float32")
    about = {
        "settings": json.dumps({"lr": 0.03, "steps": 10, "layer": "builtin"}),
        "expect": json.dumps({"losses": PRINTED, "weight": ["0.9895000", "-0.9873705"]}),
    }
    for framework in ("alpha", "beta"):
        row = check(
            problem="s/learn",
            case="learn",
            operation="train",
            direction=Direction.TRAIN,
            framework=framework,
            ratio=0.5,
        )
        builder.add(row, {"x": EDGE, "weights": right.weights}, **about)
        for step in range(11):
            loss = float(right.losses[step]) if step < 10 else None
            if framework == "beta" and step == 9 and last_loss is not None:
                loss = last_loss
            bound = float(right.loss_bounds[step]) if step < 10 else None
            reference = float(right.losses[step]) if step < 10 else None
            builder.segment.write(
                "training",
                {
                    **{
                        name: [float(v) for v in getattr(right, kind)[step].ravel()]
                        for name, kind in (
                            ("weight", "weights"),
                            ("weight_reference", "weights"),
                            ("weight_bound", "weight_bounds"),
                        )
                    },
                    "problem": "s/learn",
                    "framework": framework,
                    "mode": "eager",
                    "device": "cpu",
                    "step": step,
                    "loss": loss,
                    "loss_reference": reference,
                    "loss_bound": bound,
                    "printed": PRINTED.get(step + 1, ""),
                },
            )
    return builder.done()


class Page(HTMLParser):
    """Reads a page strictly: tags must close in order; notes ids, links, sources and handlers."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.sources: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_startendtag(tag, attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            self.attributes.add(name)
            self.ids += [value or ""] if name == "id" else []
            self.links += [value or ""] if name in ("href", "xlink:href") else []
            self.sources += [value or ""] if name == "src" else []

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def rendered(run: store.Run) -> str:
    return page.render(run, gate.rule(run), frames.judged(run))


def assert_only_our_script_runs(text: str) -> None:
    """One script is the page's own, word for word, and the policy names its hash; the others are data in base64."""
    kinds = re.findall(r"<script([^>]*)>([^<]*(?:<(?!/script>)[^<]*)*)</script>", text)
    (own,) = [body for attributes, body in kinds if not attributes]
    assert own == str(page._script())
    digest = base64.b64encode(hashlib.sha256(own.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in html.unescape(text)
    assert [attributes.split('"')[1] for attributes, _ in kinds if attributes] == ["text/plain"] * 2
    assert all(re.fullmatch(r"[A-Za-z0-9+/=]+", body) for attributes, body in kinds if attributes)
    assert text.count("<script") == len(kinds)


def test_hostile_text_stays_text_in_the_page(tmp_path: Path) -> None:
    text = rendered(every_outcome(tmp_path, HOSTILE))
    found = Page(text)
    assert not found.open
    assert not found.tags & {"iframe", "object", "link", "form", "base"}
    assert not [name for name in found.attributes if name.startswith("on")]
    assert_only_our_script_runs(text)
    assert all(source.startswith("data:image/png;base64,") for source in found.sources)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert not set(text) & {"\x00", "\x1b"}
    assert "default-src 'none'" in text


def test_every_link_inside_the_page_leads_somewhere_and_ids_are_unique(tmp_path: Path) -> None:
    for name, run in (
        ("a", every_outcome(tmp_path / "a", HOSTILE)),
        ("b", every_outcome(tmp_path / "b", "plain")),
        ("c", learned(tmp_path / "c")),
    ):
        found = Page(rendered(run))
        assert len(found.ids) == len(set(found.ids)), name
        inside = {link[1:] for link in found.links if link.startswith("#") and not link.startswith("#problem=")}
        shown = {parse_qs(link[1:])["problem"][0] for link in found.links if link.startswith("#problem=")}
        assert shown <= set(run.problems["problem"]), name
        assert inside, name
        assert inside <= set(found.ids), (name, inside - set(found.ids))
        assert {link for link in found.links if not link.startswith("#")} <= {
            "checks.csv",
            "problems.csv",
            "training.csv",
            "env.csv",
            "events.csv",
            "report.md",
            "junit.xml",
            "summary.json",
            "badge.svg",
        }


def test_totals_add_up_and_every_check_is_in_one_cell(tmp_path: Path) -> None:
    run = every_outcome(tmp_path, "plain")
    totals = frames.totals(run)
    assert int(totals["total"].sum()) == len(run.checks) == 2 * len(Outcome)
    assert all(int(totals[outcome.value].sum()) == 2 for outcome in Outcome)
    tables = suites.suites(run, frames.judged(run), {}, {})
    cells = [
        cell
        for table in tables
        for case in table.cases
        for line in case.lines
        for cell in line.cells
        if cell is not None
    ]
    assert sorted(cell.outcome for cell in cells) == sorted(run.checks["outcome"])


def test_junit_tells_every_check_once_and_reads_back(tmp_path: Path) -> None:
    run = every_outcome(tmp_path, HOSTILE)
    root = ET.fromstring(junit.render(run, gate.rule(run), frames.judged(run)))  # noqa: S314  our own document
    cases = [case for case in root.iter("testcase") if case.get("classname") != "gate"]
    assert len(cases) == len(run.checks)
    kinds = [child.tag for case in cases for child in case if child.tag != "system-err"]
    assert kinds.count("error") == 2 * 4  # error, crash, timeout, missing
    assert kinds.count("failure") == 2 * 4  # fail, unsupported, mistrusted, unbounded, none of them expected
    assert int(root.get("failures", "")) == len(list(root.iter("failure")))
    assert int(root.get("tests", "")) == len(list(root.iter("testcase")))


def test_an_expected_refusal_is_a_skip_with_its_reason_and_no_surprise(tmp_path: Path) -> None:
    folder = tmp_path / "expectations"
    folder.mkdir()
    (folder / "alpha.yaml").write_text(
        "crosscorrect: 1\nframework: alpha\nversions: ''\nexpect:\n"
        "  - {problems: 's/c*', outcome: unsupported, reason: no such thing, url: 'https://example.org/1'}\n",
        encoding="utf-8",
    )
    builder = Builder(tmp_path, ["alpha"])
    builder.add(check(outcome=Outcome.UNSUPPORTED, message="cannot"))
    run = builder.done()
    judged, ruling = frames.judged(run, folder), gate.rule(run, folder)
    surprises, expected, _ = refusals.cards(run, judged)
    assert (len(surprises), len(expected), ruling.exit) == (0, 1, Exit.OK)
    root = ET.fromstring(junit.render(run, ruling, judged))  # noqa: S314  our own document
    (skipped,) = root.iter("skipped")
    assert skipped.get("message") == "no such thing [cannot]"
    assert "https://example.org/1" in Page(page.render(run, ruling, judged)).links
    assert "no such thing" in markdown.render(run, ruling, judged)


def test_markdown_tables_keep_their_columns_and_no_html_gets_through(tmp_path: Path) -> None:
    run = every_outcome(tmp_path, HOSTILE)
    text = markdown.render(run, gate.rule(run), frames.judged(run))
    width = 0
    for line in text.splitlines():
        width = (line.count("|") if width == 0 or not line.startswith("|") else width) if line.startswith("|") else 0
        assert not line.startswith("|") or line.count("|") == width
    assert set(re.findall(r"<(/?\w+)", text)) <= {"details", "/details", "summary", "/summary", "code", "/code"}
    assert "**x**" not in text


def test_the_terminal_obeys_no_escape_sequence_and_no_markup(tmp_path: Path) -> None:
    from rich.console import Console

    run = every_outcome(tmp_path, HOSTILE)
    out = io.StringIO()
    Console(file=out, width=200, force_terminal=False).print(terminal.summary(run, gate.rule(run)))
    assert "\x1b" not in out.getvalue()
    assert "[red]" in out.getvalue()


def test_the_same_run_gives_the_same_files(tmp_path: Path) -> None:
    run = learned(tmp_path)
    first = {path.name: path.read_bytes() for path in crosscorrect_reports.write(run)}
    again = {path.name: path.read_bytes() for path in crosscorrect_reports.write(store.load(run.folder))}
    assert first == again
    assert {"report.html", "report.md", "junit.xml", "checks.csv", "training.csv"} <= set(first)


def test_csv_cells_that_a_spreadsheet_would_run_are_quoted(tmp_path: Path) -> None:
    run = every_outcome(tmp_path, "=cmd()|'/c calc'!A1")
    crosscorrect_reports.write(run)
    text = (run.folder / "checks.csv").read_text(encoding="utf-8")
    assert "'=cmd()" in text
    assert ",=cmd()" not in text
    assert ',"=cmd()' not in text


def test_a_report_that_cannot_be_written_is_one_sentence_and_leaves_nothing_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = learned(tmp_path)
    (run.folder / "report.html").mkdir()
    before = sorted(run.folder.iterdir())
    with pytest.raises(UsageError, match=r"the report cannot be written: .*report\.html: Is a directory"):
        crosscorrect_reports.write(run)
    assert sorted(run.folder.iterdir()) == before

    def full(path: Path, _: bytes) -> None:
        path.touch()
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(UsageError, match="No space left on device"):
        crosscorrect_reports.write(run)
    assert sorted(run.folder.iterdir()) == before


def test_a_run_in_which_nothing_ran_has_a_report(tmp_path: Path) -> None:
    run = Builder(tmp_path, ["alpha"]).done()
    crosscorrect_reports.write(run)
    assert "Nothing ran." in (run.folder / "report.html").read_text(encoding="utf-8")


def test_importing_the_reports_loads_no_matplotlib_and_no_pandas() -> None:
    lines = (
        "import sys, crosscorrect_reports; print(sorted({'matplotlib', 'pandas', 'PIL', 'rich'} & set(sys.modules)))"
    )
    found = subprocess.run(
        [sys.executable, "-c", lines],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    assert found.stdout.strip() == "[]"


def test_the_chapters_rates_and_printed_digits_come_out(tmp_path: Path) -> None:
    (lesson,) = learning.lessons(learned(tmp_path))
    assert lesson.gram == "[[18, 12], [12, 18]]"
    assert [f"{rate:.6f}" for rate in lesson.rates] == ["0.800000", "0.640000"]
    assert [told.framework for told in lesson.printed] == ["alpha", "beta"]
    assert all(same for told in lesson.printed for _, same in told.cells)


def test_a_digit_that_differs_from_the_printed_one_is_shown_as_wrong(tmp_path: Path) -> None:
    (lesson,) = learning.lessons(learned(tmp_path, last_loss=0.0046))
    assert lesson.printed[0].cells[4] == (["0.004"], True)
    assert lesson.printed[1].cells[4] == (["0.005"], False)


def test_figures_are_well_formed_take_the_pages_colours_and_share_no_id(tmp_path: Path) -> None:
    (lesson,) = learning.lessons(learned(tmp_path))
    other = replace(lesson, anchor="other")
    drawn = [str(figures.learning(one, ["alpha", "beta"])) for one in (lesson, other)]
    ids = [set(re.findall(r'\bid="([^"]*)"', text)) for text in drawn]
    assert ids[0]
    assert not ids[0] & ids[1]
    for text in drawn:
        ET.fromstring(text.replace("<svg ", '<svg xmlns:xlink="http://www.w3.org/1999/xlink" ', 1))  # noqa: S314  our own
        assert "var(--ink)" in text
        assert not set(drawing.CSS) & set(re.findall(r"#\w{6}", text))
        uses = set(re.findall(r'(?:href="|url\()#([^")]*)', text))
        assert uses
        assert uses <= set(re.findall(r'\bid="([^"]*)"', text))


def shown(results: Path, wrong: float) -> list[examples.Answer]:
    builder = Builder(results, ["alpha", "beta"])
    right = oracle.corr2d(X, K).value
    builder.add(check(), {"x": X, "w": K, "reference": right, "output": right.astype(np.float32)})
    other = right.copy()
    other[0, 1] += wrong
    verdict = {"outcome": Outcome.FAIL, "message": "25 is right", "where": "0,1"} if wrong else {}
    builder.add(check(framework="beta", **verdict), {"x": X, "w": K, "reference": right, "output": other})
    run = builder.done()
    (example,) = examples.examples(run, frames.judged(run))
    (panel,) = example.panels
    assert panel.formula == "Y[0, 0] = 0·0 + 1·1 + 3·2 + 4·3 = 19"
    assert [[cell.text for cell in row] for row in panel.output[0].rows] == [["19", "25"], ["37", "43"]]
    return panel.answers


def test_identical_outputs_are_said_once(tmp_path: Path) -> None:
    (answer,) = shown(tmp_path, wrong=0.0)
    assert answer.right
    assert not answer.grids
    assert len(answer.who) == 2


def test_a_differing_output_is_drawn_with_its_wrong_element_marked(tmp_path: Path) -> None:
    right, wrong = shown(tmp_path, wrong=-1.0)
    assert right.right
    assert not wrong.right
    cells = wrong.grids[0].rows
    assert cells[0][1].text == "24"
    assert cells[0][1].mark == "wrong"
    assert [cell.mark for row in cells for cell in row].count("wrong") == 1


@pytest.mark.parametrize(
    ("outcome", "message", "kind"),
    [
        (Outcome.PASS, "", "right"),
        (Outcome.UNSUPPORTED, "TypeError: no item assignment", "raised"),
        (Outcome.UNSUPPORTED, "the framework reports no error, and no gradient: it is None", "none"),
        (Outcome.UNSUPPORTED, "no automatic differentiation", "refused"),
        (Outcome.FAIL, "25 is right", "other"),
    ],
)
def test_problem_2_tells_gradient_none_exception_and_refusal_apart(
    tmp_path: Path, outcome: Outcome, message: str, kind: str
) -> None:
    builder = Builder(tmp_path, ["alpha"])
    row = check(operation="differentiate", direction=Direction.GRAD_INPUT, outcome=outcome, message=message)
    builder.add(row, settings='{"loop": "literal"}')
    run = builder.done()
    (speech,) = refusals.speeches(run, frames.judged(run), {})
    assert [said.kind for said in speech.loops[0]] == [kind]
    assert speech.loops[1:] == [[], []]
