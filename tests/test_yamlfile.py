"""One YAML file: JSON means what it means, YAML 1.2 what its core schema says, and a hostile file is one CaseError."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from crosscorrect import yamlfile
from crosscorrect.errors import CaseError
from hostile import REFUSED_CHARACTERS, TEXT

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(TEXT, inner, max_size=5),
    max_leaves=20,
)


def typed(value: Any) -> Any:
    """The value with its types spelt out, so that 1, 1.0 and True differ."""
    if isinstance(value, dict):
        return {key: typed(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [typed(inner) for inner in value]
    return type(value).__name__, value


@given(JSON_VALUES, st.sampled_from([None, 1, 2]))
def test_any_json_value_reads_as_json_reads_it(value: Any, indent: int | None) -> None:
    text = json.dumps(value, indent=indent)
    assert typed(yamlfile.parse(text).value) == typed(json.loads(text))


@given(st.sampled_from(REFUSED_CHARACTERS), TEXT, TEXT)
def test_a_character_that_does_not_show_is_refused_in_a_value_and_in_a_key_however_it_is_written(
    character: str, before: str, after: str
) -> None:
    hidden = json.dumps(before + character + after)
    for text in (f'{{"a": 1,\n"b": {hidden}}}', f'{{"a": 1,\n{hidden}: 1}}'):
        with pytest.raises(CaseError, match=r"character|code point") as told:
            yamlfile.parse(text)
        assert told.value.line == 2
        assert str(told.value).isprintable()
    if character != "\r":  # a line end of its own outside quotes
        with pytest.raises(CaseError):
            yamlfile.parse(f"a: x{character}y")


@settings(max_examples=300)
@given(st.text(max_size=80) | st.text("[]{}:,-?&*!|>'\"%@`# \n\tab1~", max_size=60))
def test_any_text_is_a_document_or_one_case_error(text: str) -> None:
    line = 1
    try:
        yamlfile.parse(text)
    except CaseError as error:
        line = error.line or 0
    # YAML also ends lines at carriage returns and at three characters beyond ASCII
    assert 1 <= line <= sum(text.count(end) for end in "\n\r\x85\u2028\u2029") + 2


@given(st.binary(max_size=200))
def test_any_bytes_are_a_document_or_one_case_error(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_bytes(data)
    told = ""
    try:
        yamlfile.load(path)
    except CaseError as error:
        told = str(error)
    assert told == "" or told.startswith(str(path))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-5", 1e-5),
        ("no", "no"),
        ("yes", "yes"),
        ("True", True),
        ("~", None),
        ("''", ""),
        ("010", 10),
        ("0o10", 8),
        ("0x1F", 31),
        ("1:30", "1:30"),
        ("1_000", "1_000"),
        ("2026-01-01", "2026-01-01"),
        ("-.inf", -math.inf),
        ("+12", 12),
        ("-.5", -0.5),
        ("1.", 1.0),
        ("'1'", "1"),
        ("|\n  1\n", "1\n"),
    ],
)
def test_scalars_follow_the_core_schema_of_yaml_1_2(text: str, value: Any) -> None:
    assert typed(yamlfile.parse(f"a: {text}").value) == typed({"a": value})


def test_nan_is_read_where_it_is_written() -> None:
    assert math.isnan(yamlfile.parse(".nan").value)


def test_keys_are_the_text_as_written() -> None:
    assert yamlfile.parse("{2: a, no: b, 1.50: c, 'd': e}").value == {"2": "a", "no": "b", "1.50": "c", "d": "e"}


def test_a_merge_key_is_an_ordinary_key() -> None:
    assert yamlfile.parse("a: &a {x: 1}\nb: {<<: *a}").value["b"] == {"<<": {"x": 1}}


def test_lines_are_those_of_the_values() -> None:
    document = yamlfile.parse("a:\n  - 1\n  - b: 2\n    c:\n      3\nd: {e: [5,\n  6]}\n")
    assert [document.line(path) for path in [(), ("a", 0), ("a", 1, "b"), ("a", 1, "c"), ("d", "e", 1)]] == [
        1,
        2,
        3,
        5,
        7,
    ]


def test_the_line_of_a_missing_key_is_that_of_what_would_hold_it() -> None:
    assert yamlfile.parse("x: 1\na:\n  b: {c: 1}\n").line(("a", "b", "z", 3)) == 3


def test_an_alias_has_its_own_line_and_its_content_the_lines_of_the_anchor() -> None:
    document = yamlfile.parse("a: &a\n  b: 1\nc: *a\n")
    assert (document.line(("c",)), document.line(("c", "b"))) == (3, 2)


def test_a_byte_order_mark_and_windows_line_ends_are_read(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1\r\nb: 2\r\n")
    document = yamlfile.load(path)
    assert (document.value, document.line(("b",))) == ({"a": 1, "b": 2}, 2)


LAUGHS = "a: &a [1,2,3,4,5,6,7,8,9]\n" + "".join(
    f"{chr(98 + i)}: &{chr(98 + i)} [{','.join([f'*{chr(97 + i)}'] * 9)}]\n" for i in range(10)
)
REFUSED = {
    "nested brackets": ("[" * 30_000, 1, "nested more than 32 deep"),
    "a million brackets": ("[" * 10**6, 1, "nested more than 32 deep"),
    "nested mappings": ("\n".join(" " * i + "a:" for i in range(40)), 33, "nested more than 32 deep"),
    "depth by aliases": ("a: &a " + "[" * 20 + "]" * 20 + "\nb: " + "[" * 20 + "*a" + "]" * 20, 2, "nested"),
    "billion laughs": (LAUGHS, 6, "more than 200000 values"),
    "quadratic aliases": ("a: &a [" + "1," * 9000 + "]\nb: [" + "*a, " * 100 + "]", 2, "more than 200000 values"),
    "merge keys": (
        "a0: &a0 {x: 1}\n" + "".join(f"a{i}: &a{i} {{<<: *a{i - 1}, y: *a{i - 1}}}\n" for i in range(1, 30)),
        16,
        "more than 200000 values",
    ),
    "many aliases": ("a: &a 1\nb: [" + "*a, " * 101 + "]", 2, "more than 100 aliases"),
    "cycle": ("x: 1\na: &a [*a]", 2, "inside its own anchor"),
    "unknown alias": ("a: 1\nb: *c", 2, "no anchor before it"),
    "python tag": ("a: 1\nb: !!python/object/apply:os.system ['x']", 2, "tags are not read"),
    "binary tag": ("a: !!binary aGk=", 1, "tags are not read"),
    "own tag": ("a:\n  - !mine {}", 2, "tags are not read"),
    "a tag as long as the file": ("a: !" + "t" * (yamlfile.MAX_BYTES - 10), 1, "tags are not read"),
    "a tag of escapes": ("a: !" + "%41" * 100_000, 1, "tags are not read"),
    "a tag in angles": ("a: 1\nb: !<tag:yaml.org,2002:python/name:os.system> x", 2, "tags are not read"),
    "duplicate key": ("a: 1\nb: 2\na: 3", 3, "stands twice"),
    "duplicate spelt otherwise": ('a: 1\n"\\u0061": 3', 2, "stands twice"),
    "list as key": ("a: 1\n? [b]\n: 1", 2, "a key must be text"),
    "mapping as key": ("{a: 1}: 1", 1, "a key must be text"),
    "long value": ("a: 1\nb: " + "x" * 70_000, 2, "longer than 65536"),
    "long number": ("a: " + "9" * 5000, 1, "more than 400 characters"),
    "beyond a double": ("a: 1\nb: 1e999", 2, "beyond a double"),
    "half a surrogate": ('a: "\\ud800"', 1, "half a surrogate"),
    "impossible character": ('a: 1\nb: "\\UFFFFFFFF"', 2, "not YAML"),
    "NUL": ("a: 1\nb: \0", 2, "a control character"),
    "reversed text": ("a: 1\nb: x\u202ey", 2, "direction of text"),
    "tab": ("a:\n\t- 1", 2, "indent with spaces"),
    "not YAML": ("a: 1\nb: c: d", 2, "not YAML"),
    "unclosed": ("a: [1,\n", 2, "not YAML"),
    "two documents": ("a: 1\n---\nb: 2", 2, "second document"),
    "many documents": ("--- 1\n" * 100_000, 2, "second document"),
    "YAML 1.1": ("%YAML 1.1\n---\na: 1", 2, "only YAML 1.2 is read"),
    "tag directive": ("%TAG ! tag:x,2000:\n---\na: 1", 1, "tags are not read"),
    "escaped terminal command": ('a: 1\nb: "\\e]0;x\\a"', 2, "this text holds a control character"),
    "escaped NUL": ('a: 1\n"b\\0": 1', 2, "this text holds a control character"),
    "escaped reversal": ('a: 1\nb: "\\u202e"', 2, "this text holds a character that reverses"),
    "empty": ("", 1, "empty"),
    "only a comment": ("# nothing\n", 1, "empty"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_hostile_text_is_one_error_at_its_line(name: str) -> None:
    text, line, words = REFUSED[name]
    with pytest.raises(CaseError) as caught:
        yamlfile.parse(text, "s.yaml")
    assert caught.value.line == line
    assert words in str(caught.value)
    assert str(caught.value).startswith(f"s.yaml:{line}: ")


def test_the_value_cap_counts_what_the_file_itself_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yamlfile, "MAX_NODES", 10)
    assert len(yamlfile.parse("[" + "1," * 9 + "]").value) == 9
    with pytest.raises(CaseError, match="more than 10 values"):
        yamlfile.parse("[" + "1," * 10 + "]")


def test_a_hundred_aliases_are_read() -> None:
    assert yamlfile.parse("a: &a 1\nb: [" + "*a, " * 100 + "]").value["b"] == [1] * 100


@pytest.mark.parametrize("data", [b"a: 1\nb: \xe9", "a: 1\nb: é".encode("utf-16")])
def test_what_is_not_utf_8_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "s.yaml"
    path.write_bytes(data)
    with pytest.raises(CaseError, match="not UTF-8"):
        yamlfile.load(path)


def test_a_file_of_100_megabytes_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    with path.open("wb") as stream:
        stream.truncate(100_000_000)
    with pytest.raises(CaseError, match="larger than 2097152 bytes"):
        yamlfile.load(path)


def test_only_regular_files_are_opened(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    for path in (fifo, Path("/dev/zero"), tmp_path):
        with pytest.raises(CaseError, match="not a regular file"):
            yamlfile.load(path)
    for path in (tmp_path / "absent.yaml", tmp_path / "a\0b"):
        with pytest.raises(CaseError, match="cannot be read"):
            yamlfile.load(path)


@pytest.mark.parametrize("text", ["9" * 309, "-" + "9" * 399, "0x" + "f" * 300])
def test_an_integer_beyond_a_double_is_refused_with_its_line_and_key(text: str) -> None:
    with pytest.raises(CaseError, match="this number is beyond a double") as told:
        yamlfile.parse(f"a: 1\nb:\n  c: {text}\n")
    assert (told.value.line, told.value.key) == (3, "b.c")


@given(st.integers(-(10**308), 10**308))
def test_an_integer_that_a_double_reaches_is_read_whole(value: int) -> None:
    assert yamlfile.parse(f"a: {value}").value == {"a": value}
