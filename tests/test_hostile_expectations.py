"""Expectations from strangers: patterns, folders and files that would take for ever, or lead elsewhere, are refused."""

from __future__ import annotations

import fnmatch
import os
import re
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, strategies as st

from crosscorrect import expectations
from crosscorrect.errors import CaseError
from crosscorrect.expectations import MAX_FILES, MAX_PATTERNS, Entry, Expectations

if TYPE_CHECKING:
    from pathlib import Path

HEAD = "crosscorrect: 1\nframework: fw\nversions: ''\nexpect:\n"
PLACE = ("forward", "eager", "cpu")


def entry(problems: str, **keys: Any) -> Entry:
    return Entry("fw.yaml:1", problems, "fail", "r", **keys)


def written(folder: Path, text: str, name: str = "fw.yaml") -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    return folder


PIECES = st.sampled_from(
    ["a", "b", "s", "@", "=", ",", "-", "*", "?", "[", "]", "[!a]", "[a-b]", "[b-a]", "\\", "(", "+"]
)
PATTERNS = st.lists(PIECES, max_size=12).map(lambda pieces: "s/" + "".join(pieces))
PROBLEMS = st.text("ab@=,-[(+\\", max_size=12).map(lambda text: f"s/{text}")


@given(PATTERNS, PROBLEMS)
def test_a_pattern_means_what_the_shell_makes_of_it(pattern: str, problem: str) -> None:
    assert entry(pattern).covers(problem, *PLACE) == fnmatch.fnmatchcase(problem, pattern)


@given(st.lists(PATTERNS | st.sampled_from(["t/*", "s/*", "s/a"]), max_size=8), PROBLEMS | st.just("t/a"))
def test_the_first_entry_that_covers_a_check_is_found_without_asking_all(patterns: list[str], problem: str) -> None:
    entries = tuple(entry(pattern, message=str(number)) for number, pattern in enumerate(patterns))
    wanted = next((e for e in entries if e.covers(problem, *PLACE)), None)
    assert Expectations("fw", entries).of(problem, *PLACE) == wanted


def test_a_pattern_of_many_stars_is_no_trap() -> None:
    """What backtracks would try more ways than there are atoms."""
    pattern, problem = "s/" + "*a" * 60 + "*b", "s/" + "a" * 190
    for _ in range(1000):
        assert not entry(pattern).covers(problem, *PLACE)


def test_as_many_patterns_as_a_framework_may_have_are_each_compiled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = []

    def translate(pattern: str) -> str:
        compiled.append(pattern)
        return "(?!)"

    monkeypatch.setattr(fnmatch, "translate", translate)
    found = Expectations("fw", tuple(entry(f"once/*{number}*") for number in range(MAX_PATTERNS)))
    for problem in ("once/x", "once/y", "once/z"):
        assert found.of(problem, *PLACE) is None
    assert len(compiled) == MAX_PATTERNS
    expectations._matcher.cache_clear()


def test_more_patterns_than_a_framework_may_have_are_refused_at_the_entry(tmp_path: Path) -> None:
    many = ", ".join(f"s/{number}" for number in range(MAX_PATTERNS))
    written(tmp_path, f"{HEAD}  - {{problems: [{many}], outcome: fail, reason: r}}\n")
    assert len(expectations.load("fw", "1", tmp_path).entries) == MAX_PATTERNS
    written(tmp_path, f"{HEAD}  - {{problems: s/one-more, outcome: fail, reason: r}}\n", "more.yaml")
    with pytest.raises(CaseError, match=f"more than {MAX_PATTERNS} patterns for fw") as told:
        expectations.load("fw", "1", tmp_path)
    assert (told.value.line, str(told.value.file)) == (5, str(tmp_path / "more.yaml"))


def test_more_files_than_a_folder_may_have_are_refused_unread(tmp_path: Path) -> None:
    for number in range(MAX_FILES + 1):
        (tmp_path / f"{number}.yaml").touch()
    with pytest.raises(CaseError, match=f"more than {MAX_FILES} files"):
        expectations.check_folder(tmp_path)


def fifo(path: Path) -> None:
    os.mkfifo(path)


def sparse(path: Path) -> None:
    with path.open("wb") as stream:
        stream.truncate(10**10)


FILES = {
    "a pipe that nobody writes to": (fifo, "not a regular file"),
    "a folder": (lambda path: path.mkdir(), "not a regular file"),
    "a file of ten gigabytes": (sparse, "larger than"),
    "a link to a device": (lambda path: path.symlink_to("/dev/zero"), "leads out of its folder"),
    "a link to someone's secrets": (lambda path: path.symlink_to("/etc/shadow"), "leads out of its folder"),
    "a link to a process's own files": (lambda path: path.symlink_to("/proc/self/environ"), "leads out of its folder"),
    "a link to itself": (lambda path: path.symlink_to(path.name), "cannot be read"),
    "a link to nothing": (lambda path: path.symlink_to("nothing"), "cannot be read"),
    "no text": (lambda path: path.write_bytes(b"\xff\xfe\x00"), "not UTF-8"),
}


@pytest.mark.parametrize("name", FILES)
def test_what_is_no_plain_file_of_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    make, words = FILES[name]
    make(tmp_path / "fw.yaml")
    with pytest.raises(CaseError, match=words) as told:
        expectations.check_folder(tmp_path)
    assert str(told.value).startswith(str(tmp_path / "fw.yaml"))


def test_a_link_inside_the_folder_is_followed(tmp_path: Path) -> None:
    written(tmp_path, f"{HEAD}  - {{problems: s/a, outcome: fail, reason: r}}\n", "real")
    (tmp_path / "fw.yaml").symlink_to("real")
    assert len(expectations.load("fw", "1", tmp_path).entries) == 1


@pytest.mark.parametrize("versions", [">=1" + ",<9" * 60, ">=" + "1." * 90 + "1", "===" + "x" * 190, "==1.*,!=1.2.*"])
def test_a_version_range_may_be_as_long_as_its_key_allows(tmp_path: Path, versions: str) -> None:
    written(tmp_path, f'crosscorrect: 1\nframework: fw\nversions: "{versions}"\nexpect: []\n')
    expectations.check_folder(tmp_path)


@pytest.mark.parametrize(
    "version", ["1" * 5000, "1." * 5000, "1!" + "0" * 10**5, "=" * 9, "\x1b[31m", "1.0+" + "a." * 9999]
)
def test_a_version_that_a_stranger_s_framework_claims_is_no_error(tmp_path: Path, version: str) -> None:
    written(tmp_path, "crosscorrect: 1\nframework: fw\nversions: '>=1'\nexpect: []\n")
    assert expectations.load("fw", version, tmp_path).entries == ()


TOO_LONG = {
    "versions": ("versions: '" + ">=1," * 60 + "'", "versions"),
    "a pattern": (f"expect: [{{outcome: fail, reason: r, problems: s/{'a' * 300}}}]", "expect.0.problems"),
    "one of several": (f"expect: [{{outcome: fail, reason: r, problems: [s/{'a' * 300}]}}]", "expect.0.problems.0"),
    "a reason": (f"expect: [{{problems: s/a, outcome: fail, reason: {'r' * 2001}}}]", "expect.0.reason"),
    "a message": (f"expect: [{{problems: s/a, outcome: fail, reason: r, message: {'m' * 2001}}}]", "expect.0.message"),
    "devices": (f"expect: [{{problems: s/a, outcome: fail, reason: r, devices: [{'c,' * 21}]}}]", "expect.0.devices"),
    "a framework": (f"framework: {'f' * 61}", "framework"),
}  # fmt: skip


@pytest.mark.parametrize("name", TOO_LONG)
def test_what_is_longer_than_anyone_needs_is_refused_with_its_key(tmp_path: Path, name: str) -> None:
    line, key = TOO_LONG[name]
    lines = ["crosscorrect: 1", "framework: fw", "versions: ''", "expect: []"]
    text = "\n".join(line if line.partition(":")[0] == other.partition(":")[0] else other for other in lines)
    with pytest.raises(CaseError, match=r"this has more than \d+ (characters|elements)") as told:
        expectations.check_folder(written(tmp_path, text))
    assert told.value.key == key
    assert len(str(told.value)) < 1000


def test_a_file_with_a_defect_in_every_entry_is_looked_at_for_the_first_fifty_only(tmp_path: Path) -> None:
    written(tmp_path, HEAD + "  - 1\n" * 20_000)
    with pytest.raises(CaseError, match=re.escape("expect.0: this is not a mapping (got 1)")):
        expectations.check_folder(tmp_path)
