"""Reports of runs that went wrong as a whole: broken off, selected, hundreds of checks with one cause, no Unicode."""

from __future__ import annotations

import io
import json
import re
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console

import crosscorrect_reports
from crosscorrect import gate, store, tables
from crosscorrect.model import Check, Exit, Outcome
from crosscorrect_reports import causes, frames, markdown, page, refusals, terminal
from made_runs import check, finished, problem_row

if TYPE_CHECKING:
    from pathlib import Path

    from crosscorrect.gate import Ruling

ABSENT = "framework 'fw' cannot be used from /venv/python: ModuleNotFoundError: No module named 'fw'"


def broken_off(results: Path, checks: list[Check], **info: Any) -> Path:
    """The folder of a run whose process died after these checks."""
    folder = store.create(results, "run", {"frameworks": ["fw"], **info}, latest=False)
    segment = store.Segment(folder)
    for row in checks:
        segment.write("problems", problem_row(row.problem))
        segment.write("checks", tables.check_record(row))
    segment.close()
    return folder


def printed(run: store.Run, ruling: Ruling | None = None, encoding: str = "utf-8", width: int = 400) -> str:
    """What a terminal of this encoding gets."""
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding=encoding, newline="")
    Console(file=out, width=width, color_system=None).print(terminal.summary(run, ruling or gate.rule(run)))
    out.flush()
    return raw.getvalue().decode(encoding)


def everywhere(folder: Path) -> dict[str, str]:
    """The four texts that a person reads about a run."""
    run = store.load(folder)
    crosscorrect_reports.write(run)
    names = ("report.html", "report.md", "junit.xml")
    return {"terminal": printed(run), **{name: (folder / name).read_text(encoding="utf-8") for name in names}}


@pytest.mark.parametrize("judged", [[], [check("s/first"), check("s/second", outcome=Outcome.FAIL, message="wrong")]])
def test_an_unfinished_run_says_so_first_and_everywhere_and_is_incomplete(tmp_path: Path, judged: list[Check]) -> None:
    folder = broken_off(tmp_path, judged)
    told = everywhere(folder)
    assert gate.rule(store.load(folder)).exit is Exit.INCOMPLETE
    for name in ("terminal", "report.html", "report.md"):
        assert "The run was not finished." in told[name], name
        assert f"{len(judged)} checks so far: " in told[name], name
        assert "otherwise than expected." not in told[name], name
        assert told[name].casefold().count("the run was not finished") == 1, name
    assert "Exit code 3." in told["report.html"]
    assert "Exit code 3." in told["report.md"]
    failures = [f.get("message") for f in ET.fromstring(told["junit.xml"]).iter("failure")]  # noqa: S314  our own
    assert "the run was not finished" in failures


def test_the_counts_of_an_unfinished_run_leave_out_that_it_is_not_finished(tmp_path: Path) -> None:
    run = store.load(broken_off(tmp_path, [check("s/first")]))
    assert "1 check so far: 1 passed as expected, 0 refused or failed as expected, 0 surprises, 0 missing." in printed(
        run
    )


@pytest.mark.parametrize("chosen", [[], ["s/f*"]])
def test_a_run_of_chosen_problems_is_called_a_selection_everywhere(tmp_path: Path, chosen: list[str]) -> None:
    told = everywhere(finished(tmp_path / "run", [check("s/first")], filter=chosen))
    for name in ("terminal", "report.html", "report.md"):
        assert ("1 check of a selection of problems: " in told[name]) is bool(chosen), name


def missing(count: int) -> list[Check]:
    return [check(f"s/c{n:03}", outcome=Outcome.MISSING, message=ABSENT) for n in range(count)]


def test_hundreds_of_missing_checks_with_one_cause_are_one_line_and_all_are_in_the_ruling(tmp_path: Path) -> None:
    run = store.load(finished(tmp_path / "run", missing(300)))
    ruling = gate.rule(run)
    assert len(ruling.missing) == 300
    assert causes.lines(ruling) == [f"fw: 300 checks are missing: {ABSENT} (s/c000, s/c001, s/c002 and 297 more)"]
    assert printed(run).count("No module named 'fw'") == 1
    assert "s/c000, s/c001, s/c002 and 297 more" in printed(run)
    text = markdown.render(run, ruling, frames.judged(run))
    assert text.count("No module named") == 1
    assert "300 checks" in text
    html = page.render(run, ruling, frames.judged(run))
    assert html.count('<div class="card surprise"') == 1
    assert "300 checks (<span" in html


def test_surprises_that_differ_in_the_problem_only_are_one_line_and_others_are_not(tmp_path: Path) -> None:
    rows = [check(f"s/c{n}", outcome=Outcome.CRASH, message="killed by SIGSEGV") for n in range(2)]
    rows += [check(f"s/d{n}", outcome=Outcome.ERROR, message=f"error {n}") for n in range(2)]
    ruling = gate.rule(store.load(finished(tmp_path / "run", rows)))
    assert causes.lines(ruling) == [
        "fw: 2 checks: unexpected crash: killed by SIGSEGV (s/c0, s/c1)",
        "fw eager s/d0 forward: unexpected error: error 0",
        "fw eager s/d1 forward: unexpected error: error 1",
    ]
    assert len(ruling.findings) == 4


def test_the_same_message_with_other_numbers_has_a_card_of_its_own(tmp_path: Path) -> None:
    rows = [
        check(f"s/c{n}", outcome=Outcome.FAIL, message="too far", where="0,0", expected=1.0, got=float(got))
        for n, got in enumerate([2, 2, 3])
    ]
    run = store.load(finished(tmp_path / "run", rows))
    surprises, _, _ = refusals.cards(run, frames.judged(run))
    assert [[row["problem"] for row in card.checks] for card in surprises] == [["s/c0", "s/c1"], ["s/c2"]]


def test_a_framework_without_a_check_is_told_once_and_not_by_its_bare_name(tmp_path: Path) -> None:
    run = store.load(finished(tmp_path / "run", [check()], frameworks=["fw", "absent"]))
    assert causes.lines(gate.rule(run)) == ["absent: asked for, and no check of it in the run"]
    html = page.render(run, gate.rule(run), frames.judged(run))
    assert html.count("absent: asked for") == 1
    assert "<li>absent</li>" not in html


HOSTILE = "a\x1b[31mb\x07\x08\x9b0m\r\x7f\u202e\u2066\u200f\u061c\udc80c"


def test_nothing_that_steers_a_terminal_or_turns_its_text_around_gets_through(tmp_path: Path) -> None:
    rows = [
        check("s/" + HOSTILE, HOSTILE, Outcome.FAIL, message=HOSTILE, mode=HOSTILE, device=HOSTILE, title=HOSTILE),
        check("s/m" + HOSTILE, HOSTILE, Outcome.MISSING, message=HOSTILE),
    ]
    place = tmp_path / "x\x1b[2J\u202e\n"
    place.mkdir()
    info = {"filter": [HOSTILE], "frameworks": [HOSTILE, "gone" + HOSTILE]}
    run = store.load(finished(place / "run", rows, **info))
    ruling = gate.rule(run)
    ruling.findings.append(HOSTILE)
    text = printed(run, ruling)
    assert not re.findall(
        "[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", text
    )
    assert "a␛[31mb␇␈\\x9b0m" in text


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp437"])
@pytest.mark.parametrize("width", [30, 200])
def test_a_terminal_without_the_glyphs_gets_ascii_marks_and_no_exception(
    tmp_path: Path, encoding: str, width: int
) -> None:
    rows = [check(f"s/{o}", "främe×wørk", o, message="× … ∑ " * 99) for o in Outcome]
    text = printed(store.load(finished(tmp_path / "run", rows)), encoding=encoding, width=width)
    assert "The run is incomplete" in " ".join(text.split())
    if encoding == "ascii" and width == 200:
        assert "+ pass" in text
        assert "X fail" in text


def test_the_totals_hide_rare_outcomes_that_none_has_and_keep_the_four_common_ones(tmp_path: Path) -> None:
    def heads(folder: Path, *rows: Check) -> list[list[str]]:
        run = store.load(finished(folder / "run", rows))
        parts = run, gate.rule(run), frames.judged(run)
        html = re.findall(r'<th scope="col" class="n">[^<]<br>(\w+)</th>', page.render(*parts))
        row = next(line for line in markdown.render(*parts).splitlines() if line.startswith("| framework"))
        return [html, [cell.split()[-1] for cell in row.strip("| ").split(" | ")[3:-1]]]

    common = ["pass", "fail", "unsupported", "error"]
    assert heads(tmp_path / "a", check()) == [common, common]
    more = [*common, "timeout"]
    assert heads(tmp_path / "b", check(), check("s/t", outcome=Outcome.TIMEOUT)) == [more, more]


def test_the_page_aligns_its_last_column_and_says_in_words_where_an_interpreter_is_from(tmp_path: Path) -> None:
    env = [{"framework": "fw", "section": "interpreter", "key": "found", "value": "option"}]
    run = store.load(finished(tmp_path / "run", [check()], env=env))
    html = page.render(run, gate.rule(run), frames.judged(run))
    heads = re.findall(r"<th [^>]*>error / bound</th>", html)
    assert heads
    assert all('class="n"' in head for head in heads)
    assert "<dt>interpreter</dt><dd>given by --python</dd>" in html


def drawn(folder: Path) -> str:
    """The worked example of an edge, as the page draws it."""
    import numpy as np

    edge, kernel = np.array([[1.0, 0.0, 1.0]]), np.array([[1.0, -1.0]])
    tensors = {"x": edge, "w": kernel, "reference": np.array([[1.0, -1.0]]), "output": np.array([[1.0, -1.0]])}
    made = store.create(folder, "run", {"frameworks": ["fw"]}, latest=False)
    segment = store.Segment(made)
    keys = {name: segment.keep(array) for name, array in tensors.items()}
    row = tables.check_record(check(output_digest=keys["output"]))
    segment.write("checks", {**row, "arrays": json.dumps(keys)})
    segment.write("problems", {**problem_row("s/first"), "operation": "corr2d", "show": True})
    segment.close()
    store.seal(made, {})
    run = store.load(made)
    return page.render(run, gate.rule(run), frames.judged(run))


def test_an_image_is_drawn_black_to_white_and_kernel_and_output_in_the_colours_of_their_signs(tmp_path: Path) -> None:
    found = re.findall(r'<table class="grid( grey)?" aria-label="([^"]*)"><tr>(.*?)</tr>', drawn(tmp_path))
    classes = {label: (grey, re.findall(r'<td class="(\w+)[^"]*">', cells)) for grey, label, cells in found}
    assert classes["image X"] == (" grey", ["g6", "g0", "g6"])
    assert classes["kernel K"] == ("", ["p6", "m6"])
    assert classes["output Y"] == ("", ["p6", "m6"])


def test_an_equals_sign_stays_with_what_it_stands_before(tmp_path: Path) -> None:
    sums = re.findall(r'(?s)<div class="sum">(.*?)<ul', drawn(tmp_path))
    assert sums
    for text in sums:
        assert text.count('class="op"') == 2
        assert len(re.findall(r'<div class="term"><div class="op"[^>]*>.</div>\s*<figure>', text)) == 2
