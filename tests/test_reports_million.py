"""Reports of very many checks: what is not listed is counted, nothing is lost, and no file grows with what passed."""

from __future__ import annotations

import importlib.util
import re
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from pyarrow import csv

from crosscorrect import expectations, gate, store
from crosscorrect.model import Direction, Outcome, Reason
from crosscorrect_reports import frames, junit, page, refusals, suites
from made_runs import check, finished

if TYPE_CHECKING:
    import pandas as pd

MILLION = Path(__file__).parent.parent / "docs" / "measure" / "million.py"
COUNT = 100_000


def made_by_the_script(folder: Path) -> store.Run:
    spec = importlib.util.spec_from_file_location("million", MILLION)
    assert spec is not None
    assert spec.loader is not None
    script: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    return store.load(script.make(folder, COUNT))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> store.Run:
    return made_by_the_script(tmp_path_factory.mktemp("many"))


@pytest.fixture(scope="module")
def judged(run: store.Run) -> pd.DataFrame:
    return frames.judged(run)


@pytest.fixture(scope="module")
def html(run: store.Run, judged: pd.DataFrame) -> str:
    return page.render(run, gate.rule(run), judged)


def test_no_check_is_lost_in_the_counts_of_the_page(run: store.Run, judged: pd.DataFrame) -> None:
    _, _, anchors = refusals.cards(run, judged)
    tables = suites.suites(run, judged, anchors, {})
    cases = [case for table in tables for case in table.cases]
    for level in (tables, cases):
        cells = [cell for one in level for cell in one.cells if cell is not None]
        assert sum(cell.total for cell in cells) == COUNT
        assert sum(cell.passed for cell in cells) == (run.checks["outcome"] == "pass").sum()
    assert sum(table.checks for table in tables) == COUNT
    assert sum(table.surprises for table in tables) == (judged["surprise"] != "").sum() > 0
    assert sum(case.problems for case in cases) == run.checks["problem"].nunique()
    lines = len(run.checks[["problem", "direction"]].drop_duplicates())
    assert sum(len(case.lines) + case.passed + case.others for case in cases) == lines


def test_a_case_lists_a_bounded_number_of_lines_and_those_with_a_surprise_first(
    run: store.Run, judged: pd.DataFrame
) -> None:
    surprising: dict[str, int] = {}
    for row in judged[judged["surprise"] != ""].drop_duplicates(["problem", "direction"]).to_dict("records"):
        surprising[f"{row['suite']}/{row['case']}"] = surprising.get(f"{row['suite']}/{row['case']}", 0) + 1
    for table in suites.suites(run, judged, {}, {}):
        for case in table.cases:
            shown = [any(cell is not None and cell.surprise for cell in line.cells) for line in case.lines]
            assert len(shown) <= suites.MOST_LINES
            assert sum(shown) == min(surprising.get(f"{table.name}/{case.case}", 0), suites.MOST_LINES)
            assert all(any(c is not None and c.outcome != "pass" for c in line.cells) for line in case.lines)
            assert [line.anchor for line in case.lines if line.span] == list(
                dict.fromkeys(line.anchor for line in case.lines)
            )


def test_the_page_stays_small_says_what_it_leaves_out_and_every_link_in_it_leads_somewhere(html: str) -> None:
    assert len(html.encode()) < 5_000_000
    assert "In a run of so many checks it lists of them only some" in html
    assert re.search(r"Not listed: \d+ lines \(a problem in a direction\) that passed as expected everywhere", html)
    ids = re.findall(r' id="([^"]*)"', html)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]*)"', html)) <= set(ids)


def test_junit_counts_what_came_out_alike_and_tells_each_kind_of_surprise(run: store.Run, judged: pd.DataFrame) -> None:
    document = junit.render(run, gate.rule(run), judged)
    assert len(document) < 2_000_000
    root = ET.fromstring(document)  # noqa: S314  our own document
    cases = [case for case in root.iter("testcase") if case.get("classname") != "gate"]
    checks: Counter[str] = Counter()
    for case in cases:
        found = re.fullmatch(r".*: (\d+) checks: (\w+)", case.get("name", ""))
        kind = case[0].tag if len(case) else "passed"
        checks[kind] += int(found[1]) if found else 1
    surprise = judged["surprise"] != ""
    assert sum(checks.values()) == COUNT
    assert checks["passed"] == ((judged["outcome"] == "pass") & ~surprise).sum()
    assert checks["failure"] + checks["error"] == surprise.sum()
    assert min(checks[kind] for kind in ("passed", "skipped", "failure", "error")) > 0
    told = {case[0].get("message") for case in cases if len(case) and case[0].tag in ("failure", "error")}
    messages = judged[surprise].drop_duplicates(["framework", "mode", "case", "outcome", "message"])
    assert told == set(messages["surprise"])
    assert all(case[0].get("message") for case in cases if len(case))


def test_the_csv_has_every_check_and_every_number(run: store.Run) -> None:
    store.write_csv(run)
    table = csv.read_csv(run.folder / "checks.csv", parse_options=csv.ParseOptions(newlines_in_values=True))
    assert table.num_rows == COUNT
    assert table.column("output_digest").to_pylist() == list(run.checks["output_digest"])
    for name in ("ratio", "total_seconds"):
        np.testing.assert_array_equal(table.column(name).to_numpy(), run.checks[name].to_numpy())


def test_every_check_has_the_expectation_that_is_found_for_it_alone(run: store.Run, judged: pd.DataFrame) -> None:
    known = expectations.versions(run.env.to_dict("records"))
    some = judged[(judged["outcome"] != "pass") | (np.arange(COUNT) % 97 == 0)]
    expected = {name: expectations.load(name, known[name]) for name in run.info["frameworks"]}
    for row in some.to_dict("records"):
        entry = expected[row["framework"]].of(row["problem"], row["direction"], row["mode"], row["device"])
        assert entry == row["entry"]
        assert gate.as_expected(row, entry) == row["surprise"]


def test_the_gate_of_many_checks_adds_up(run: store.Run, judged: pd.DataFrame) -> None:
    ruling = gate.rule(run)
    unexpected = int((judged["surprise"] != "").sum())
    assert ruling.passed + ruling.expected + unexpected == ruling.total == COUNT
    sentences = [sentence for cause in ruling.causes for sentence in cause.sentences]
    assert sorted(sentences) == sorted(s for s in judged["surprise"] if s)


@pytest.mark.parametrize("many", [True, False])
def test_above_the_limit_lines_that_pass_everywhere_are_counted_and_below_it_every_line_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, many: bool
) -> None:
    names = [f"s/c@n={n}" for n in range(30)]
    rows = [check(name, direction=turn) for name in names for turn in (Direction.FORWARD, Direction.GRAD_INPUT)]
    failed = {"outcome": Outcome.FAIL, "reason": Reason.VALUE, "message": "wrong"}
    rows += [check(name, "other", **(failed if n % 7 == 3 else {})) for n, name in enumerate(names)]
    monkeypatch.setattr(frames, "MANY", len(rows) - many)
    monkeypatch.setattr(suites, "MOST_LINES", 3)
    run = store.load(finished(tmp_path / "run", rows))
    (table,) = suites.suites(run, frames.judged(run), {}, {})
    (case,) = table.cases
    assert (case.problems, table.checks, table.surprises) == (30, 90, 4)
    if many:
        assert [line.problem for line in case.lines] == ["s/c@n=3", "s/c@n=10", "s/c@n=17"]
        assert (case.passed, case.others, len(case.unlisted)) == (56, 1, 27)
    else:
        assert len(case.lines) == 60
        assert (case.passed, case.others, case.unlisted) == (0, 0, [])
    assert suites.spots([table])["s/c@n=4"] == ("case-s/c" if many else "s/c@n=4")
    text = page.render(run, gate.rule(run), frames.judged(run))
    assert ("Not listed: 56 lines" in text) == many
    assert ("and 1 line that did not" in text) == many
