"""Text from strangers: what could act on a reader is refused with its line, and what is let through acts on none."""

from __future__ import annotations

import ast
import csv
import io
import json
import math
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, strategies as st

from commandline import invoke
from crosscorrect import expectations, store, yamlfile
from crosscorrect.errors import CaseError, inert
from crosscorrect.suite import lint, load_suite
from hostile import REFUSED_CHARACTERS, TEXT

if TYPE_CHECKING:
    from pathlib import Path

CASE = {"id": "c", "operation": "conv2d", "x": [[1, 2, 3], [4, 5, 6]], "w": [[1, 2]]}
TRAIN = {**CASE, "operation": "train", "train": {"lr": 0.1, "steps": 3, "start": [[0, 0]]}}


def suite(folder: Path, case: dict[str, Any], **keys: Any) -> Path:
    path = folder / "s.yaml"
    text = json.dumps({"crosscorrect": 1, "suite": "s", **keys, "cases": [case]}, indent=1)
    path.write_text(re.sub(r"-?\b(NaN|Infinity)\b", lambda m: {"NaN": ".nan"}.get(m[0], ".inf"), text), "utf-8")
    return path


FIELDS = ["title", "source", "note", "url", "id", "descriptor", "dtype", "only", "label", "npz", "seed", "key"]


@pytest.mark.parametrize("field", ["suite", "suite title", "description", *FIELDS])
@pytest.mark.parametrize("written", ["\x1b]0;x\x07", "a\x00b", "a\u202eb", "\x9b31m", "\ufffe", "a\u2028b", "\x7f"])
def test_what_a_terminal_or_a_reader_would_obey_is_refused_in_every_field_at_its_line(
    tmp_path: Path, field: str, written: str
) -> None:
    case, keys = dict(CASE), {}
    if field in ("suite", "suite title", "description"):
        keys[field.removeprefix("suite ")] = written
    elif field == "only":
        case["only"] = [written]
    elif field == "label":
        case["sweep"] = {"x": [{"of": [[1, 2]], "label": written}]}
    elif field in ("npz", "key"):
        case["x"] = {"npz": "a.npz", "key": "a", field: written}
    elif field == "seed":
        case["x"] = {"fill": "normal", written: 1}
    else:
        case[field] = written
    path = suite(tmp_path, case, **keys)
    (error,) = lint(path)
    lines = path.read_text(encoding="utf-8").splitlines()
    assert json.dumps(written)[1:-1] in lines[(error.line or 0) - 1]
    assert re.search(r"holds a (control character|character that reverses|code point)", str(error))
    assert error.remedy == "remove it"
    assert str(error).isprintable()


@pytest.mark.parametrize("field", ["title", "source", "id", "url", "padding", "expect", "losses", "only", "label"])
def test_a_line_end_after_a_word_does_not_make_it_another_word(tmp_path: Path, field: str) -> None:
    case: dict[str, Any] = dict(CASE)
    if field == "padding":
        case["geometry"] = {"padding": "valid\n"}
    elif field == "losses":
        case = {**TRAIN, "expect": {"losses": {"1": "4.9\n"}}}
    elif field == "only":
        case["only"] = ["numpy\n"]
    elif field == "label":
        case["sweep"] = {"x": [{"of": [[1, 2]], "label": "a\n"}]}
    else:
        case[field] = {"url": "https://example.org\n", "expect": "error\n"}.get(field, "c\n")
    (error,) = lint(suite(tmp_path, case))
    assert "not of the form" in str(error)
    assert "\\n'" in str(error)


@pytest.mark.parametrize(("field", "longest"), [("title", 300), ("source", 300), ("note", 5000), ("url", 508)])
def test_text_is_as_long_as_a_reader_needs(tmp_path: Path, field: str, longest: int) -> None:
    text = ("https://" if field == "url" else "") + "x" * (longest + 1)
    assert lint(suite(tmp_path, {**CASE, field: text[:longest]})) == []
    assert len(lint(suite(tmp_path, {**CASE, field: text[: longest + 1]}))) == 1


@given(st.text(st.characters(), max_size=60))
def test_what_is_made_inert_is_one_printable_line_and_plain_text_stays_as_it_is(text: str) -> None:
    shown = inert(text)
    assert shown.isprintable()
    assert inert(shown) == shown
    error = CaseError("no such thing", file=f"{text}.yaml", key=text, value=text, remedy="write another")
    assert str(error).isprintable()


def test_an_error_is_short_whatever_it_is_about() -> None:
    error = CaseError("p" * 10**6, file="s.yaml", line=1, key="k" * 10**6, value=["v" * 10**6], remedy="r")
    assert len(str(error)) < 1000


def test_an_error_about_ten_thousand_values_is_short(tmp_path: Path) -> None:
    for error in lint(suite(tmp_path, {**CASE, "x": [1.5] * 10**4, "dtype": ["float32"] * 10**4})):
        assert len(str(error)) < 1000


NUMBERS: dict[str, tuple[Any, str]] = {
    "NaN in an array": ({**CASE, "x": [[1, math.nan]]}, "finite numbers"),
    "infinity in an array": ({**CASE, "x": [[1, -math.inf]]}, "finite numbers"),
    "NaN expected": ({**CASE, "expect": [[math.nan, 1], [1, 1]]}, "finite numbers"),
    "a truth value in an array": ({**CASE, "x": [[1, True]]}, "an array holds numbers"),
    "a truth value expected": ({**CASE, "expect": [[True, 1], [1, 1]]}, "an array holds numbers"),
    "a truth value to put": ({**CASE, "x": {"of": [[1, 2]], "put": [{"at": [0], "value": True}]}}, "number or text"),
    "a truth value as a shape": ({**CASE, "x": {"fill": "normal", "shape": [True, 3]}}, "not an integer"),
    "a truth value as a stride": ({**CASE, "geometry": {"stride": True}}, "not an integer"),
    "a float as a stride": ({**CASE, "geometry": {"stride": 1.0}}, "not an integer"),
    "a float as groups": ({**CASE, "geometry": {"groups": 1.0}}, "not an integer"),
    "a float as padding": ({**CASE, "geometry": {"padding": [[0.0, 1], [0, 0]]}}, "not an integer"),
    "a float as a shape": ({**CASE, "x": {"fill": "normal", "shape": [3.0, 3]}}, "not an integer"),
    "a float as steps": ({**TRAIN, "train": {**TRAIN["train"], "steps": 3.0}}, "not an integer"),
    "a float as a seed": ({**CASE, "x": {"fill": "normal", "shape": [3, 3], "seed": 1.0}}, "not an integer"),
    "a float as a place": ({**CASE, "x": {"of": [[1, 2]], "put": [{"at": [0.0], "value": 1}]}}, "not an integer"),
    "a rate of infinity": ({**TRAIN, "train": {**TRAIN["train"], "lr": math.inf}}, "not finite"),
    "a rate of NaN": ({**TRAIN, "train": {**TRAIN["train"], "lr": math.nan}}, "not finite"),
    "a limit of NaN": ({**CASE, "limit": math.nan}, "not finite"),
    "a scale of NaN": ({**CASE, "x": {"of": [[1, 2]], "scale": math.nan}}, "scale is a finite number"),
    "a scale beyond the dtype": ({**CASE, "x": {"of": [[1, 2]], "scale": 1e308}}, "float32 cannot hold"),
    "a constant of NaN": ({**CASE, "x": {"fill": "constant", "shape": [3, 3], "value": math.nan}}, "finite number"),
    "a vector beyond doubles": ({**CASE, "w": {"kernel": "directional", "vector": [1e308, 1e308]}}, "at most 1e+300"),
    "an integer that is not exact": ({**CASE, "x": [[2**53 + 1, 1]]}, "not exact"),
    "an integer beyond doubles": ({**CASE, "x": [[10**308, 1]]}, "not exact"),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_what_is_no_number_for_its_place_is_refused(tmp_path: Path, name: str) -> None:
    case, words = NUMBERS[name]
    errors = lint(suite(tmp_path, case))
    assert errors
    assert all(words in str(error) for error in errors)


@pytest.mark.parametrize(
    ("text", "bits"),
    [("-0.0", 0x80000000), ("5e-324", 0), ("1e-45", 1), ("0x10", 0x41800000), ("1e-400", 0), ("-1e-400", 0x80000000)],
)
def test_a_number_is_rounded_once_to_the_dtype_with_its_sign(tmp_path: Path, text: str, bits: int) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(
        f"crosscorrect: 1\nsuite: s\ncases:\n- {{id: c, operation: corr2d, x: [[{text}, 1]], w: [[1]]}}\n", "utf-8"
    )
    (problem,) = load_suite(path).problems()
    assert problem.inputs()["x"].view(np.uint32)[0, 0] == bits


ANGRY = (
    """</script><script>alert(1)</script> "><img src=x onerror=alert(1)> ![i](https://e.example/x.png) """
    """[b](javascript:x) @someone #12 www.e.example | `x` **b** {{7*7}} {% raw %} %s {0} $(id) ''' \""" \\ [red]x[/]"""
)
SPREADSHEET = "=cmd|'/c calc'!A1"
HIDDEN = "\u200f"
"""A mark that a reader cannot see, which right-to-left text needs, so that a file may hold it."""
EXPECTED = {
    "crosscorrect": 1, "framework": "numpy", "versions": "",
    "expect": [{"problems": "s/wrong", "outcome": "fail", "reason": ANGRY}],
}  # fmt: skip


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A run of a suite whose every text is hostile, one case of which fails, and what the terminal saw."""
    folder = tmp_path_factory.mktemp("angry")
    told = {"title": ANGRY, "source": SPREADSHEET, "note": ANGRY + "\n" + HIDDEN, "url": "https://e.example/?<b>'\""}
    cases = [
        {**CASE, **told, "show": True},
        {**CASE, **told, "id": "wrong", "expect": [[9, 9], [9, 9]]},
        {**TRAIN, **told, "id": "train", "show": True},
    ]
    path = folder / "s.yaml"
    text = {"crosscorrect": 1, "suite": "s", "title": ANGRY, "description": ANGRY, "cases": cases}
    path.write_text(json.dumps(text), encoding="utf-8")
    (folder / "expectations").mkdir()
    (folder / "expectations" / "numpy.yaml").write_text(json.dumps(EXPECTED), encoding="utf-8")
    result = invoke("run", path, "-f", "numpy", "--results", folder, "--expectations", folder / "expectations")
    assert result.exit_code == 0, result.output
    return folder, result.output


class Parsed(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[tuple[str, str | None]] = set()
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= set(attrs)

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_shows_hostile_text_and_obeys_none_of_it(ran: tuple[Path, str]) -> None:
    text = (ran[0] / "latest" / "report.html").read_text(encoding="utf-8")
    page = Parsed(text)
    assert ANGRY in page.text
    assert text.count("<script") == 3  # the page's own, whose hash the policy names, and two of data in base64
    assert all(re.fullmatch(r"[A-Za-z0-9+/=]+", data) for data in re.findall(r"<script [^>]*>([^<]*)</script>", text))
    assert not page.tags & {"iframe", "object", "embed", "form", "base", "link"}
    assert all((value or "").startswith("data:image/png;base64,") for name, value in page.attributes if name == "src")
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    links = {value or "" for name, value in page.attributes if name in ("href", "src", "xlink:href")}
    allowed = re.compile(r"#|data:image/png;base64,|https://e\.example/|[a-z]+\.\w+$")
    assert not [link for link in links if not allowed.match(link)]


def test_markdown_shows_hostile_text_as_text(ran: tuple[Path, str]) -> None:
    text = (ran[0] / "latest" / "report.md").read_text(encoding="utf-8")
    assert "alert" in text
    assert set(re.findall(r"</?(\w+)", text)) <= {"details", "summary", "code"}
    assert not re.search(r"!\[|\]\(|@\w|www\.|javascript:|\*\*b", text)


def test_junit_reads_back(ran: tuple[Path, str]) -> None:
    root = ET.parse(ran[0] / "latest" / "junit.xml").getroot()  # noqa: S314  our own document
    (skipped,) = root.iter("skipped")
    assert (skipped.get("message") or "").startswith(ANGRY)


def test_no_cell_of_a_table_is_a_formula_and_each_reads_back(ran: tuple[Path, str]) -> None:
    for path in (ran[0] / "latest").glob("*.csv"):
        for row in csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"))):
            assert not [cell for cell in row.values() if cell[:1] in ("=", "+", "@", "\t", "\r")]
            assert row.get("title", ANGRY) == ANGRY


@pytest.mark.parametrize("command", ["run", "list", "show", "explain"])
def test_the_terminal_shows_hostile_text_and_obeys_none_of_it(ran: tuple[Path, str], command: str) -> None:
    folder, seen = ran
    arguments = {
        "list": ["cases", "list", folder / "s.yaml"],
        "show": ["cases", "show", "s/c", "--suite", folder / "s.yaml"],
        "explain": ["explain", folder / "latest", "s/wrong"],
    }
    text = seen if command == "run" else invoke(*arguments[command]).output
    assert not [c for c in text if c != "\n" and (ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0 or c == HIDDEN)]
    if command in ("list", "show"):
        assert ANGRY in text


def test_a_script_holds_no_hostile_text_outside_of_comments_and_runs(ran: tuple[Path, str]) -> None:
    folder, _ = ran
    result = invoke("explain", folder / "latest", "s/wrong", "--script", "-")
    tree = ast.parse(result.stdout)
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    assert not names & {"alert", "id", "cmd"}
    path = folder / "script.py"
    path.write_text(result.stdout, encoding="utf-8")
    done = subprocess.run([sys.executable, path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@given(TEXT)
def test_an_expectation_s_reason_is_read_as_it_is_written(text: str) -> None:
    document = yamlfile.parse(json.dumps({"reason": text}))
    assert document.value == {"reason": text}


@pytest.mark.parametrize("field", ["framework", "versions", "problems", "reason", "message", "url", "devices"])
@pytest.mark.parametrize("character", REFUSED_CHARACTERS[::9])
def test_no_text_of_an_expectation_holds_what_acts_on_a_reader(tmp_path: Path, field: str, character: str) -> None:
    entry: dict[str, Any] = {"problems": "s/c", "outcome": "fail", "reason": "r"}
    whole: dict[str, Any] = {"crosscorrect": 1, "framework": "fw", "versions": "", "expect": [entry]}
    holder = whole if field in whole else entry
    holder[field] = [f"a{character}b"] if field == "devices" else f"s/{character}"
    (tmp_path / "fw.yaml").write_text(json.dumps(whole, indent=1), encoding="utf-8")
    with pytest.raises(CaseError, match=r"holds a") as told:
        expectations.check_folder(tmp_path)
    assert str(told.value).isprintable()


def test_a_run_folder_keeps_hostile_text_as_it_is(ran: tuple[Path, str]) -> None:
    kept = store.load(ran[0] / "latest")
    assert set(kept.checks["title"]) == {ANGRY}
    assert set(kept.checks["source"]) == {SPREADSHEET}
