"""What two runs have changed, written for people: complete, within limits, and harmless whatever strangers wrote."""

from __future__ import annotations

import html
import io
import json
import re
from typing import TYPE_CHECKING

import jsonschema
import pytest
from hypothesis import given, strategies as st

from crosscorrect import beside, store
from crosscorrect.model import Check, Outcome, Reason
from crosscorrect.speed.model import Speed
from crosscorrect.surroundings import Difference
from crosscorrect_reports.diff import markdown, page, terminal
from crosscorrect_reports.diff.record import record, schema
from crosscorrect_reports.diff.words import differs
from crosscorrect_reports.strict import dump, strict
from made_runs import check, finished
from simulated import JAX, finished as timed, machine
from test_reports import HOSTILE, Page
from test_reports_summary import strictly

if TYPE_CHECKING:
    from pathlib import Path

    from crosscorrect.changes import Changes

FAIL = Outcome.FAIL


def changed(tmp_path: Path, then: list[Check], now: list[Check], versions: tuple[str, str] = ("1", "2")) -> Changes:
    folders = [
        finished(tmp_path / name, rows, dict.fromkeys(("fw", "gw"), version))
        for name, rows, version in zip(("then", "now"), (then, now), versions, strict=True)
    ]
    base, run = map(store.load, folders)
    return beside.compare(run, base)


def each_kind(tmp_path: Path, text: str) -> Changes:
    """Runs with a change of each kind, in which all that anyone may write is this text."""
    said = {"message": text, "diagnosis": text, "framework": f"fw{text}", "mode": text, "device": text}
    then = [
        check(f"s/one@{text}", **said),
        check(f"s/two@{text}", outcome=Outcome.ERROR, **said),
        check(f"s/three@{text}", outcome=FAIL, reason=Reason.SHAPE, **said),
        check(f"s/four@{text}", output_digest="a", ratio=0.5, **said),
        check(f"s/five@{text}", **said),
        check("s/only", framework=f"then{text}"),
    ]
    now = [
        check(f"s/one@{text}", outcome=FAIL, reason=Reason.VALUE, **said),
        check(f"s/two@{text}", **said),
        check(f"s/three@{text}", outcome=Outcome.CRASH, **said),
        check(f"s/four@{text}", output_digest="b", ratio=0.75, **said),
        check(f"s/six@{text}", **said),
        check("s/only", framework=f"now{text}"),
    ]
    asked = {"modes": [], "devices": []}
    folders = [
        finished(tmp_path / f"{name}", rows, {f"fw{text}": f"{name}{text}"}, **asked)
        for name, rows in (("then", then), ("now", now))
    ]
    base, run = map(store.load, folders)
    changes = beside.compare(run, base)
    assert all(changes.counts.values()), changes.counts
    changes.wrong.append((("p", text, "f", "m", "d"), text))
    changes.untold = text
    return changes


def rendered(changes: Changes, width: int = 200, encoding: str = "utf-8") -> str:
    from rich.console import Console

    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding=encoding)
    Console(file=out, width=width, force_terminal=False).print(terminal.summary(changes))
    out.flush()
    return raw.getvalue().decode(encoding)


def test_hostile_text_stays_text_in_the_page(tmp_path: Path) -> None:
    text = page.render(each_kind(tmp_path, HOSTILE))
    found = Page(text)
    assert not found.open
    assert not found.tags & {"script", "iframe", "object", "link", "form", "base", "img"}
    assert not [name for name in found.attributes if name.startswith("on")]
    assert found.sources == []
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert not set(text) & {"\x00", "\x1b"}
    assert "default-src 'none'" in text
    assert len(found.ids) == len(set(found.ids))


def test_hostile_text_stays_text_in_the_markdown_and_tables_keep_their_columns(tmp_path: Path) -> None:
    text = markdown.render(each_kind(tmp_path, HOSTILE))
    width = 0
    for line in text.splitlines():
        width = (line.count("|") if width == 0 or not line.startswith("|") else width) if line.startswith("|") else 0
        assert not line.startswith("|") or line.count("|") == width
    tags = set(re.findall(r"<(/?\w+)", text))
    assert tags <= {"details", "/details", "summary", "/summary", "code", "/code", "b", "/b"}
    assert text.count("<!--") == 1
    assert text.startswith("<!--")
    assert "**x**" not in text
    assert "@you" not in html.unescape(re.sub("<code>.*?</code>", "", text))


def test_hostile_text_is_obeyed_by_no_terminal_and_written_in_any_encoding(tmp_path: Path) -> None:
    changes = each_kind(tmp_path, HOSTILE)
    shown = rendered(changes)
    assert "\x1b" not in shown
    assert "[red]" in shown
    assert "regressed: 1 check" in rendered(changes, encoding="ascii")


def test_hostile_text_is_strict_json(tmp_path: Path) -> None:
    changes = each_kind(tmp_path, HOSTILE)
    told = json.loads(dump(record(changes)), parse_constant=pytest.fail)
    assert told["counts"] == {str(kind): count for kind, count in changes.counts.items()}
    assert sum(group["checks"] for group in told["groups"]) == len(changes.table)
    assert {one["kind"] for one in told["checks"]} == {"regressed", "changed otherwise", "fixed", "vanished"}
    jsonschema.Draft202012Validator(strictly(schema())).validate(told)


def test_the_json_of_two_timed_runs_fits_its_schema(tmp_path: Path) -> None:
    base = store.load(timed(tmp_path, "then", machine({JAX: 0.8}, seed=1, process=0.004)))
    run = store.load(timed(tmp_path, "now", machine({JAX: 1.0}, seed=2, process=0.004)))
    told = strict(record(beside.compare(run, base)))
    assert {row["framework"] for row in told["speed"]} == {"jax", "torch"}
    jsonschema.Draft202012Validator(strictly(schema())).validate(told)


@given(
    st.recursive(
        st.floats() | st.text(st.characters()) | st.integers(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_any_value_becomes_json_that_strict_readers_take(value: object) -> None:
    text = dump(value)
    text.encode("utf-8")
    assert json.loads(text, parse_constant=pytest.fail) == strict(value)


def test_every_kind_is_in_every_output_with_its_glyph_and_word(tmp_path: Path) -> None:
    changes = each_kind(tmp_path, "plain")
    texts = [page.render(changes), markdown.render(changes), rendered(changes)]
    for kind in ("✘ regressed", "− vanished", "≠ changed otherwise", "✔ fixed", "+ appeared"):
        glyph, _, word = kind.partition(" ")
        assert all(word in text and glyph in text for text in texts), kind
    for text in texts:
        assert "pass → ✘ fail (value)" in re.sub(r"<[^>]+>", "", html.unescape(text))
        assert "thenplain" in text
        assert "nowplain" in text


def test_a_new_check_that_does_not_pass_is_in_the_headline_and_takes_the_tick_from_it(tmp_path: Path) -> None:
    new = [check("s/two", outcome=FAIL), check("s/three", outcome=Outcome.UNSUPPORTED), check("s/four")]
    changes = changed(tmp_path, [check("s/one")], [check("s/one"), *new])
    said = "Nothing got worse; 2 new checks do not pass."
    assert f"\n! {said}\n" in rendered(changes)
    assert f"\n## ! crosscorrect: {said}\n" in markdown.render(changes)
    shown = page.render(changes)
    assert f"<b>{said}</b>" in shown
    assert "<title>! crosscorrect" in shown
    assert 'class="verdict missing"' in shown
    assert record(changes)["headline"] == said


def test_a_new_failure_beside_a_regression_is_told_after_it(tmp_path: Path) -> None:
    now = [check("s/one", outcome=FAIL), check("s/two", outcome=FAIL)]
    changes = changed(tmp_path, [check("s/one")], now)
    assert "\n## ✘ crosscorrect: 1 check regressed; 1 new check does not pass.\n" in markdown.render(changes)


def test_what_differs_beside_the_checks_comes_before_them(tmp_path: Path) -> None:
    changes = changed(tmp_path, [check("s/one")], [check("s/one", outcome=FAIL)], ("2.12.0", "2.13.0"))
    for text in (page.render(changes), markdown.render(changes), rendered(changes)):
        assert 0 < text.index("2.12.0") < text.index("2.13.0") < text.index("s/one")


@pytest.mark.parametrize(
    ("difference", "about"),
    [
        (("version", "numpy", "numpy", "1", "2"), "numpy version"),
        (("version", "numpy", "openblas", "1", "2"), "numpy version openblas"),
        (("interpreter", "numpy", "numpy", "1", "2"), "numpy interpreter numpy"),
        (("crosscorrect", "", "version", "1", "2"), "crosscorrect version"),
        (("code", "torch", "of harness and adapter", "1", "2"), "torch code of harness and adapter"),
        (("note", "torch", "", "1", "2"), "torch notes"),
    ],
)
def test_what_differs_is_named_once(difference: tuple[str, str, str, str, str], about: str) -> None:
    assert differs(Difference(*difference)) == (about, "1", "2")


def test_a_run_beside_itself_is_no_change_in_every_output(tmp_path: Path) -> None:
    run = store.load(finished(tmp_path / "run", [check("s/one"), check("s/two", outcome=FAIL)]))
    changes = beside.compare(run, run)
    for text in (page.render(changes), markdown.render(changes), rendered(changes)):
        assert "No change." in text
        assert "regressed" not in text.replace("✘ regressed</li>", "")


def test_a_thousand_changes_with_one_cause_are_one_line(tmp_path: Path) -> None:
    then = [check(f"s/x@i={i}") for i in range(1000)]
    now = [check(f"s/x@i={i}", outcome=FAIL, diagnosis=f"flipped ({i})", message=f"{i} wrong") for i in range(1000)]
    changes = changed(tmp_path, then, now)
    text = markdown.render(changes)
    assert text.count("<details>") == 1
    assert "1000 checks regressed" in text
    assert "and 990 checks more" in text
    assert rendered(changes).count("flipped") == 1
    assert "and 900 checks more" in page.render(changes)


@pytest.mark.parametrize(
    ("limit", "groups", "whole"),
    [(2_000, 2, True), (2_000, 60, False), (3_333, 7, True), (20_000, 60, False), (10**6, 60, True)],
)
def test_a_comment_is_as_long_as_it_may_be_and_counts_what_it_leaves_out(
    tmp_path: Path, limit: int, groups: int, whole: bool
) -> None:
    then = [check(f"s/{i}@{'long' * 20}") for i in range(groups)]
    now = [
        check(
            f"s/{i}@{'long' * 20}",
            outcome=FAIL,
            diagnosis=f"cause {'abcdefghij'[i % 10] * (i + 1)}",
            message="| wrong " * 40,
        )
        for i in range(groups)
    ]
    changes = changed(tmp_path, then, now)
    text = markdown.render(changes, limit)
    assert len(text) <= limit
    assert text.count("<details>") == text.count("</details>")
    told = sum(int(count) for count in re.findall(r"(\d+) checks? regressed:", text))
    untold = re.search(r"And (\d+) more that do not fit", text)
    assert told + (int(untold[1]) if untold else 0) == groups
    assert (untold is None) is whole


def test_the_limit_is_that_of_github() -> None:
    assert markdown.LIMIT < 65_536


def test_links_lead_from_the_page_to_the_reports_where_these_are(tmp_path: Path) -> None:
    changes = changed(tmp_path / "a b#c", [check("s/one"), check("s/two")], [check("s/one", outcome=FAIL)])
    assert not [link for link in Page(page.render(changes, tmp_path)).links if "report" in link]
    for run in (changes.base, changes.run):
        (run.folder / "report.html").write_text("")
    links = Page(page.render(changes, tmp_path)).links
    assert "a%20b%23c/then/report.html#s/one" in links
    assert "a%20b%23c/now/report.html#s/one" in links
    viewed = [link.partition("report.html#problem=")[2] for link in links if link.startswith("a%20b%23c/now/")]
    assert "s%2Fone&framework=fw&mode=eager&device=cpu&direction=forward" in viewed
    beside_it = Page(page.render(changes, changes.run.folder)).links
    assert {"../then/report.html#s/one", "report.html#s/one"} <= set(beside_it)


def test_the_anchors_of_links_are_those_of_the_report(tmp_path: Path) -> None:
    import crosscorrect_reports

    changes = changed(tmp_path, [check("s/one")], [check("s/one", outcome=FAIL)])
    crosscorrect_reports.write(changes.run)
    ids = Page((changes.run.folder / "report.html").read_text(encoding="utf-8")).ids
    anchors = {link.partition("#")[2] for link in Page(page.render(changes, changes.run.folder)).links if "#" in link}
    assert "s/one" in anchors
    assert {anchor for anchor in anchors if not anchor.startswith("problem=")} <= set(ids)


def test_the_table_says_how_many_lines_it_leaves_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "MOST_LINES", 3)
    then = [check(f"s/{i}") for i in range(8)]
    changes = changed(tmp_path, then, [check(f"s/{i}", outcome=FAIL) for i in range(8)])
    assert "and 5 lines more" in page.render(changes)


def test_speeds_have_their_intervals_in_every_output_and_slower_ones_come_first(tmp_path: Path) -> None:
    base = store.load(timed(tmp_path, "then", machine({JAX: 0.8}, seed=1, process=0.004)))
    run = store.load(timed(tmp_path, "now", machine({JAX: 1.0}, seed=2, process=0.004)))
    changes = beside.compare(run, base)
    for text in (page.render(changes), markdown.render(changes), rendered(changes)):
        assert re.search(r"1\.2\d* \[1\.\d+, 1\.\d+\]", text)
        assert "▼ slower" in text
    text = page.render(changes)
    assert text.index("▼ slower") < text.index("= equivalent")
    assert '<svg class="between slower"' in text


@pytest.mark.parametrize(
    ("ratio", "place"), [(1.0, 110.0), (4.0, 220.0), (0.25, 0.0), (100.0, 220.0), (2.0, 165.0), (None, 110.0)]
)
def test_an_interval_is_drawn_on_a_logarithmic_scale_that_ends(ratio: float | None, place: float) -> None:
    assert page._pixel(ratio, 4.0) == place


@pytest.mark.parametrize(("ends", "reach"), [((), 1.25), ((0.9, 1.2), 1.25), ((0.6, 1.0), 2.0), ((0.01, 1.0), 4.0)])
def test_a_drawing_reaches_as_far_as_the_widest_interval_needs_up_to_four(
    ends: tuple[float, ...], reach: float
) -> None:
    from crosscorrect.speed.against import Change, Names

    names = Names("p", "forward", "jax", "eager", "cpu")
    assert page._reach([Change(names, Speed.INCONCLUSIVE, 1.0, *ends)] if ends else []) == reach
