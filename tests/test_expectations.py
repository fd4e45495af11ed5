"""What the committed expectations say, of which versions, and how a defect in them is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import pytest
from hypothesis import given, strategies as st

from crosscorrect import expectations
from crosscorrect.errors import CaseError
from crosscorrect.expectations import Entry

if TYPE_CHECKING:
    from pathlib import Path

HEAD = "crosscorrect: 1\nframework: fw\n"
ANY = f"{HEAD}versions: ''\n"
ENTRY = "  - {problems: s/*, outcome: fail, reason: known}\n"


def written(tmp_path: Path, text: str, name: str = "fw.yaml") -> Path:
    (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def entry(**keys: object) -> Entry:
    given = {"place": "f:1", "problems": "s/a*", "outcome": "fail", "reason": "r", **keys}
    return Entry(**given)  # type: ignore[arg-type]  # the keys are the tests' own


@pytest.mark.parametrize(
    ("keys", "asked", "covered"),
    [
        ({}, ("s/abc", "forward", "eager", "cpu"), True),
        ({}, ("s/b", "forward", "eager", "cpu"), False),
        ({}, ("t/abc", "forward", "eager", "cpu"), False),
        ({"problems": "s/A*"}, ("s/abc", "forward", "eager", "cpu"), False),
        ({"directions": ("grad_bias",)}, ("s/a", "forward", "eager", "cpu"), False),
        ({"directions": ("grad_bias", "forward")}, ("s/a", "forward", "eager", "cpu"), True),
        ({"modes": ("compiled",)}, ("s/a", "forward", "eager", "cpu"), False),
        ({"modes": ("compiled",)}, ("s/a", "forward", "compiled", "cpu"), True),
        ({"devices": ("cuda:*",)}, ("s/a", "forward", "eager", "cpu"), False),
        ({"devices": ("cuda:*",)}, ("s/a", "forward", "eager", "cuda:3"), True),
    ],
)
def test_an_entry_speaks_of_a_check_when_every_key_it_has_does(
    keys: dict[str, object], asked: tuple[str, str, str, str], covered: bool
) -> None:
    assert entry(**keys).covers(*asked) is covered


NAMES = st.sampled_from(["s/a", "s/a@n=1", "s/a@n=2,m=1", "s/b@n=1", "t/a"])
CHOICES = {"direction": ("forward", "grad_input"), "mode": ("eager", "compiled"), "device": ("cpu", "cuda:0")}


@given(
    st.lists(
        st.builds(
            entry,
            problems=st.sampled_from(["s/a", "s/*", "s/a@*n=1*", "s/a@n=?,m=1", "[st]/a", "t/nothing"]),
            directions=st.sampled_from([(), ("forward",)]),
            modes=st.sampled_from([(), ("eager",)]),
            devices=st.sampled_from([(), ("cuda:*",)]),
            reason=st.text(max_size=3),
        ),
        max_size=4,
    ),
    st.lists(st.tuples(NAMES, *map(st.sampled_from, CHOICES.values())), max_size=12),
)
def test_what_is_expected_of_a_frame_is_what_is_expected_of_each_row(
    entries: list[Entry], asked: list[tuple[str, str, str, str]]
) -> None:
    expected = expectations.Expectations("fw", tuple(entries))
    frame = pd.DataFrame(asked, columns=["problem", *CHOICES])
    assert expected.each(frame) == [expected.of(*row) for row in asked]


@pytest.mark.parametrize(
    ("versions", "version", "holds"),
    [
        ("", "1.0", True),
        ("", "", True),
        ("", "of its own style", True),
        ("<2", "1.9.1", True),
        ("<2", "2.0", False),
        (">=2.0,<3", "2.13.0", True),
        (">=2.0,<3", "2.13.0+cpu", True),
        (">=2.0,<3", "3.0", False),
        (">=2", "2.1.0.dev20250101", True),
        (">=2", "", False),
        (">=2", "of its own style", False),
    ],
)
def test_expectations_hold_for_the_versions_they_name(tmp_path: Path, versions: str, version: str, holds: bool) -> None:
    folder = written(tmp_path, f'{HEAD}versions: "{versions}"\nexpect:\n{ENTRY}')
    assert bool(expectations.load("fw", version, folder).entries) is holds


def test_files_of_other_frameworks_say_nothing_and_files_of_the_same_add_up(tmp_path: Path) -> None:
    written(tmp_path, f"{HEAD}versions: ''\nexpect:\n{ENTRY}executed: {{s: {{eager: 3}}}}\n", "a.yaml")
    written(tmp_path, f"{HEAD}versions: '>=1'\nexpect: []\nexecuted: {{t: {{eager: 4}}}}\n", "b.yaml")
    written(tmp_path, f"crosscorrect: 1\nframework: other\nversions: ''\nexpect:\n{ENTRY}", "c.yaml")
    found = expectations.load("fw", "1.0", tmp_path)
    assert [e.place for e in found.entries] == ["a.yaml:5"]
    assert found.executed == {"s": {"eager": 3}, "t": {"eager": 4}}


def test_the_first_entry_that_speaks_of_a_check_counts(tmp_path: Path) -> None:
    text = f"{HEAD}versions: ''\nexpect:\n  - {{problems: s/a, outcome: error, reason: special}}\n{ENTRY}"
    found = expectations.load("fw", "1", written(tmp_path, text))
    outcomes = [e and e.outcome for e in (found.of(p, "forward", "eager", "cpu") for p in ("s/a", "s/b", "t/a"))]
    assert outcomes == ["error", "fail", None]


@pytest.mark.parametrize(
    ("text", "line", "key", "words"),
    [
        ("crosscorrect: 1\nframework: [\n", 3, "framework", "this is not YAML"),
        ("- a list\n", 1, "", "this is not a mapping"),
        (f"{HEAD}expect: []\n", 1, "", "the key versions is missing; add versions"),
        (f"{ANY}expect: []\nexpected: []\n", 5, "expected", "did you mean executed?"),
        (f"{HEAD}versions: 2\nexpect: []\n", 3, "versions", "this is not text (got 2)"),
        (f"{HEAD}versions: two\nexpect: []\n", 3, "versions", "no version range (got 'two'); write it as '>=2.0,<3'"),
        (f"{ANY}expect:\n{ENTRY}  - {{problems: s/a, outcome: fail}}\n", 6, "expect.1", "the key reason is missing"),
        (f"{ANY}expect:\n  - problems: s/a\n    outcome: pass\n    reason: r\n", 6, "expect.0.outcome", "'pass'"),
        (
            f"{ANY}expect:\n  - {{problems: x, outcome: fail, reason: r}}\n",
            5,
            "expect.0.problems",
            "(got 'x')",
        ),
        (f"{ANY}expect: []\nexecuted: {{s: {{eager: -1}}}}\n", 5, "executed.s.eager", "this is below 0 (got -1)"),
    ],
)
def test_a_defect_is_one_error_with_file_line_and_key(
    tmp_path: Path, text: str, line: int, key: str, words: str
) -> None:
    written(tmp_path, text)
    for read in (lambda: expectations.load("fw", "1", tmp_path), lambda: expectations.check_folder(tmp_path)):
        with pytest.raises(CaseError) as told:
            read()
        assert str(told.value).startswith(f"{tmp_path / 'fw.yaml'}:{line}: {key}")
        assert words in str(told.value)
        assert "\n" not in str(told.value)


def test_a_defect_in_the_file_of_another_framework_is_told_too(tmp_path: Path) -> None:
    written(tmp_path, "framework: other\n", "other.yaml")
    with pytest.raises(CaseError, match=r"other\.yaml"):
        expectations.load("fw", "1", tmp_path)


def test_the_expectations_that_ship_are_clean_and_name_problems_that_exist() -> None:
    from crosscorrect.shipped import shipped_suites
    from crosscorrect.suite import load_suite

    expectations.check_folder()
    known = [p.id for path in shipped_suites().values() for p in load_suite(path).problems()]
    for name in ("numpy", "mxnet", "torch", "tensorflow", "jax"):
        for found in expectations.load(name, "", expectations.shipped_folder()).entries:
            assert any(
                found.covers(p, d, m, "cpu") for p in known for d in DIRECTIONS for m in ("eager", "compiled")
            ), found


DIRECTIONS = ("forward", "grad_input", "grad_weight", "grad_bias", "train")


def test_the_version_of_a_framework_is_the_component_of_its_own_name() -> None:
    rows = [
        {"framework": "fw", "section": "version", "key": "onednn", "value": "3"},
        {"framework": "fw", "section": "version", "key": "fw", "value": "1.2"},
        {"framework": "fw", "section": "note", "key": "fw", "value": "not this"},
        {"framework": "other", "section": "version", "key": "fw", "value": "nor this"},
    ]
    assert expectations.versions(rows) == {"fw": "1.2"}
