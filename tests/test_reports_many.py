"""Reports of many checks: folded and small, with one cause told once, and with the properties of each framework."""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, strategies as st
from rich.console import Console

from crosscorrect import gate, store
from crosscorrect.model import Check, Direction, Outcome, Reason, cause_of
from crosscorrect_reports import commands, frames, junit, markdown, page, properties, refusals, suites, terminal
from crosscorrect_reports.causes import telling
from made_runs import check, finished

if TYPE_CHECKING:
    from pathlib import Path

MOST_BYTES = 5_000_000 / 25_000
"""What a check may add to a page that stays under 5 MB with 5000 checks of five frameworks."""

DIAGNOSIS = "equals the reference with a flipped kernel (every element <b>)"


def made(folder: Path, *rows: Check, **info: Any) -> store.Run:
    return store.load(finished(folder / "run", rows, **info))


def html(run: store.Run) -> str:
    return page.render(run, gate.rule(run), frames.judged(run))


def printed(run: store.Run, width: int) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=width, color_system=None).print(terminal.summary(run, gate.rule(run)))
    return out.getvalue().splitlines()


def failed(problem: str, message: str, **changed: Any) -> Check:
    return check(problem, outcome=Outcome.FAIL, reason=Reason.VALUE, message=message, **changed)


def test_a_diagnosis_stands_under_its_message_in_every_report(tmp_path: Path) -> None:
    run = made(tmp_path, failed("s/one", "25 is right", diagnosis=DIAGNOSIS))
    lines = printed(run, 200)
    (place,) = [i for i, line in enumerate(lines) if line.endswith("unexpected fail (value): 25 is right")]
    assert lines[place + 1].strip() == DIAGNOSIS
    escaped = DIAGNOSIS.replace("<b>", "&lt;b&gt;")
    assert re.search(rf'<pre>25 is right</pre>\s*<p class="diagnosis">{re.escape(escaped)}</p>', html(run))
    (failure,) = ET.fromstring(junit.render(run, gate.rule(run), frames.judged(run))).iter("failure")  # noqa: S314
    assert (failure.text or "").splitlines()[:2] == ["25 is right", f"diagnosis: {DIAGNOSIS}"]
    text = markdown.render(run, gate.rule(run), frames.judged(run))
    assert "25 is right; diagnosis: equals the reference with a flipped kernel (every element &#60;b&#62;)" in text


def test_failures_that_one_diagnosis_explains_are_one_line_and_one_group_whatever_their_messages(
    tmp_path: Path,
) -> None:
    rows = [failed(f"s/c{n}", f"{n} is wrong", diagnosis=f"consistent with TF32 inputs ({n} bits)") for n in range(9)]
    rows.append(failed("s/other", "no idea"))
    run = made(tmp_path, *rows)
    first, other = telling(gate.rule(run), run=run)
    assert first.line == "fw: 9 checks, the first: unexpected fail (value): 0 is wrong (s/c0, s/c1, s/c2 and 6 more)"
    assert first.diagnosis == "consistent with TF32 inputs"
    assert (other.line, other.diagnosis) == ("fw eager s/other forward: unexpected fail (value): no idea", "")
    groups = refusals.by_cause(refusals.cards(run, frames.judged(run))[0])
    assert [(cause, len(group)) for cause, group in groups] == [("consistent with TF32 inputs", 9), ("", 1)]
    assert html(run).count('<details class="group">') == 1


def test_checks_of_one_message_and_two_diagnoses_are_not_put_under_one_of_them(tmp_path: Path) -> None:
    run = made(tmp_path, *(failed(f"s/{d}", "wrong", diagnosis=d) for d in ("flipped", "shifted")))
    (told,) = telling(gate.rule(run), run=run)
    assert told.diagnosis == ""
    assert len(refusals.cards(run, frames.judged(run))[0]) == 2


@given(st.text(st.characters(exclude_characters="("), min_size=1), st.text())
def test_the_cause_of_a_diagnosis_is_what_stands_before_its_evidence(cause: str, evidence: str) -> None:
    assert cause_of(f"{cause} ({evidence})") == cause


def test_an_upstream_address_is_a_link_only_where_it_is_https(tmp_path: Path) -> None:
    addresses = ["https://example.org/issues/1?a=1&b=\"'<x>", "http://example.org/2", "javascript:alert(1)"]
    about = {f"s/c{n}": {"url": url} for n, url in enumerate(addresses)}
    run = made(tmp_path, *(failed(name, f"wrong in {name}") for name in about), about=about)
    links = re.findall(r'href="([^#"][^"]*)" rel="noreferrer noopener"', html(run))
    assert set(links) == {"https://example.org/issues/1?a=1&amp;b=&#34;&#39;&lt;x&gt;"}
    assert len(links) == 2  # of the case, and of its failure
    assert "javascript:alert(1)" in html(run)


def shown(*texts: str, framework: str = "alpha") -> list[Check]:
    return [check(f"s/c{n}", framework, property=text) for n, text in enumerate(texts)]


def test_a_property_is_a_row_with_what_each_framework_does_how_often_and_an_example(tmp_path: Path) -> None:
    rows = shown("subnormal inputs kept; a: bits agree", "subnormal inputs kept")
    rows += shown("a: bits agree", "subnormal inputs flushed", "", framework="beta")
    run = made(tmp_path, *rows)
    differing, alike = properties.topics(run)
    assert (differing.name, differing.ways) == ("subnormal inputs", ["kept", "flushed"])
    assert [[(way.way, way.count, way.example) for way in cell] for cell in differing.cells] == [
        [("kept", 2, "s/c0")],
        [("flushed", 1, "s/c1")],
    ]
    assert (differing.differs, differing.example) == (True, "s/c1")
    assert (alike.name, alike.ways, alike.differs) == ("a", ["bits agree"], False)
    text = html(run)
    assert 'kept <a class="small" href="#s/c0" title="s/c0">2</a>' in text
    assert 'flushed <a class="small" href="#s/c1" title="s/c1">1</a>' in text
    told = markdown.render(run, gate.rule(run), frames.judged(run))
    assert "| subnormal inputs | kept 2 | flushed 1 | <code>s/c1</code> |" in told
    assert "1 property is the same in every check." in told


def test_where_no_check_shows_a_property_no_report_speaks_of_any(tmp_path: Path) -> None:
    run = made(tmp_path, check())
    assert properties.topics(run) == []
    for text in (html(run), markdown.render(run, gate.rule(run), frames.judged(run))):
        assert "Properties" not in text


@given(st.text(max_size=40))
def test_the_words_of_any_property_are_in_its_question_and_answer(text: str) -> None:
    question, answer = properties.split(text)
    assert sorted(f"{question} {answer}".replace(":", "").split()) in (
        sorted(text.replace(":", "").split()),
        sorted([*text.replace(":", "").split(), "shown"]),
    )


@pytest.mark.parametrize(
    ("text", "question", "answer"),
    [
        ("integer overflow wraps", "integer overflow", "wraps"),
        ("padding × non-finite skipped", "padding × non-finite", "skipped"),
        ("gradient conjugated", "gradient", "conjugated"),
        ("gradient not conjugated", "gradient", "not conjugated"),
        ("an empty result instead of an error", "instead of an error", "an empty result"),
        ("batch_split: bits differ", "batch_split", "bits differ"),
        ("deterministic", "deterministic", "shown"),
    ],
)
def test_a_property_is_split_into_question_and_answer(text: str, question: str, answer: str) -> None:
    assert properties.split(text) == (question, answer)


def swept(count: int, frameworks: int = 5) -> list[Check]:
    """Checks as a large run has them: long ids, three directions, refusals, failures and properties among them."""
    rows = []
    for n in range(count):
        problem = f"suite/case-{n // 12}@dtype=float32,spelling=channels_last,geometry=stride-dilation-{n}"
        for turn, direction in enumerate(list(Direction)[:3]):
            for f in range(frameworks):
                number = (n * 3 + turn) * frameworks + f
                outcome, message = Outcome.PASS, ""
                if number % 7 == 0:
                    outcome, message = Outcome.UNSUPPORTED, f"NotImplementedError: no kernel {number % 40}: " + "x" * 90
                elif number % 50 == 0:
                    outcome, message = Outcome.FAIL, f"{number} of 999 elements are wrong, {number}.5 was returned"
                rows.append(
                    check(
                        problem, f"framework{f}", outcome, direction=direction, message=message, tier="A+B",
                        ratio=0.123, source="somebody 12345: outputs one wide with a stride",
                        property=f"batch_split: bits {'differ' if f else 'agree'}",
                    )
                )  # fmt: skip
    return rows


def test_a_page_of_five_thousand_checks_in_five_frameworks_stays_under_five_megabytes(tmp_path: Path) -> None:
    few, many = (html(made(tmp_path / str(n), *swept(n))) for n in (24, 96))
    assert (len(many.encode()) - len(few.encode())) / (72 * 3 * 5) < MOST_BYTES


def test_surprises_beyond_the_most_cards_share_one_and_every_cell_still_leads_somewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refusals, "MOST_CARDS", 4)
    run = made(tmp_path, *(failed(f"s/c{n}", f"{n} is wrong", got=float(n), where="0") for n in range(20)))
    surprises, _, anchors = refusals.cards(run, frames.judged(run))
    assert [len(card.checks) for card in surprises] == [16, 1, 1, 1, 1]
    assert len(anchors) == 20
    text = html(run)
    assert set(re.findall(r'href="#(?!problem=)([^"]*)"', text)) <= set(re.findall(r' id="([^"]*)"', text))
    assert "and 13 other messages" in text


def test_a_suite_is_open_where_something_is_not_as_expected_or_where_it_shows_examples(tmp_path: Path) -> None:
    rows = [check("plain/a"), failed("wrong/b", "no"), check("wrong/c"), check("drawn/d")]
    run = made(tmp_path, *rows, about={"drawn/d": {"show": True}})
    found = {table.name: (table.open, table.surprises) for table in suites.suites(run, frames.judged(run), {}, {})}
    assert found == {"plain": (False, 0), "wrong": (True, 1), "drawn": (True, 0)}
    heads = dict(re.findall(r'<details class="suite" id="suite-(\w+)" data-suite="\w+"( open)?>', html(run)))
    assert heads == {"plain": "", "wrong": " open", "drawn": " open"}


def test_the_problems_of_a_swept_case_are_one_folded_row_with_counts_for_each_framework(tmp_path: Path) -> None:
    ids = [f"s/c@n={n}" for n in range(5)]
    rows = [check(i, "alpha", direction=d) for i in ids for d in (Direction.FORWARD, Direction.GRAD_INPUT)]
    rows += [check(ids[0], "beta"), failed(ids[1], "wrong", framework="beta")]
    run = made(tmp_path, *rows)
    (table,) = suites.suites(run, frames.judged(run), {}, {})
    (case,) = table.cases
    assert case.problems == 5
    assert [line.span for line in case.lines] == [2, 0] * 5
    assert [(cell.passed, cell.total, cell.outcome) for cell in case.cells if cell] == [
        (10, 10, "pass"),
        (1, 2, "fail"),
    ]
    text = html(run)
    (body,) = re.findall(r'(?s)<details class="case" id="case-s/c" data-case="c">(.*?)</details>', text)
    summary, _, unfolded = body.partition("</summary>")
    assert "5 problems" in summary
    assert re.findall(r"[✔✘] [\d/]+", summary) == ["✔ 10", "✘ 1/2"]
    assert all(f'id="{i}"' in unfolded and f'title="{i}"' in unfolded for i in ids)


def test_what_sets_the_problems_of_a_case_apart_is_said_once(tmp_path: Path) -> None:
    about = {
        "s/a": {"level": "smoke", "spelling": "channels_last", "invalid": True},
        "s/b@n=1": {"level": "ci", "spelling": "native"},
        "s/b@n=2": {"level": "ci", "spelling": "apart"},
    }
    run = made(tmp_path, *(check(name) for name in about), about=about)
    (table,) = suites.suites(run, frames.judged(run), {}, {})
    assert [case.tags for case in table.cases] == [["smoke", "channels_last", "has to be refused"], []]


def test_markdown_lists_of_a_plain_suite_only_the_cases_in_which_something_did_not_pass(tmp_path: Path) -> None:
    rows = [check(f"good/c{n}") for n in range(3)] + [check("bad/fine"), failed("bad/wrong", "no", title="Wrong one")]
    run = made(tmp_path, *rows)
    text = markdown.render(run, gate.rule(run), frames.judged(run))
    assert "| good | 3 | ✔ 3 |" in text
    assert "| bad | 2 | **✘** 1/2 |" in text
    assert "<summary>good" not in text
    assert "| Wrong one |" in text
    assert "1 other case passed everywhere." in text


def test_the_terminals_table_keeps_its_heads_whole_at_80_columns_with_every_outcome(tmp_path: Path) -> None:
    modes = ("eager", "compiled")
    rows = [check(f"s/{o}", "tensorflow", o, mode=mode, device="cuda:0") for o in Outcome for mode in modes]
    rows += [check(f"s/{n}", "tensorflow", mode=mode, device="cuda:0") for n in range(1000) for mode in modes]
    lines = printed(made(tmp_path, *rows), 80)
    assert lines[0].split() == ["framework", "mode", "device", *"✔✘∅‼↯◷?∞–", "checks"]
    assert lines[2].split() == ["tensorflow", "eager", "cuda:0", "1001", *"11111111", "1009"]
    assert max(map(len, lines)) <= 80
    legend = " ".join(" ".join(lines[4:6]).split())
    assert legend.startswith("✔ pass ✘ fail ∅ unsupported ‼ error ↯ crash ◷ timeout ? mistrusted ∞ unbounded – missing")


def test_the_terminals_table_has_no_column_for_what_is_nowhere(tmp_path: Path) -> None:
    lines = printed(made(tmp_path, check(), failed("s/x", "no")), 80)
    assert lines[0].split() == ["framework", "✔", "✘", "checks"]
    assert lines[3].split() == ["✔", "pass", "✘", "fail"]


def test_the_command_that_repeats_a_run_has_its_level_and_seed(tmp_path: Path) -> None:
    plain, other = made(tmp_path / "a", check()), made(tmp_path / "b", check(), level="nightly", seed=7)
    assert "--level" not in commands.again(plain)[0]
    assert "--seed" not in commands.again(plain)[0]
    assert commands.again(other)[0] == "crosscorrect run s.yaml -f fw --level nightly --seed 7"
