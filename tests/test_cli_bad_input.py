"""Each bad input is one clear message with the right exit code, no traceback, and nothing half-written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from commandline import SUITE, invoke, tree
from crosscorrect.model import Exit
from made_runs import check, finished

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("suite") / "tiny.yaml"
    path.write_text(SUITE, encoding="utf-8")
    return path


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A results folder with an earlier run in it, which is the latest."""
    run = finished(tmp_path / "results" / "earlier", [check()])
    (run.parent / "latest").symlink_to(run.name)
    return run.parent


def case(keys: str) -> str:
    return f"crosscorrect: 1\nsuite: bad\ncases:\n  - id: one\n{keys}"


PAIR = "    x: [[1, 2, 3]]\n    w: [[1, 2]]\n"
LOOP = "    operation: corr2d\n"
BATCH = "    x: {fill: normal, shape: [1, 2, 5, 5]}\n    w: {fill: normal, shape: [4, 3, 2, 2]}\n"
BAD_SUITES = {
    "malformed YAML": ("crosscorrect: 1\nsuite: [\n", 3, ["this is not YAML"]),
    "a tab": ("crosscorrect: 1\ncases:\n\t- id: one\n", 3, ["indent with spaces"]),
    "empty": ("", 1, ["the file is empty", "docs/cases.md"]),
    "unknown key": (case("    operaton: corr2d\n" + PAIR), 5, ["one.operaton", "did you mean operation?"]),
    "wrong type": (case("    operation: corr2d\n    title: 7\n" + PAIR), 6, ["one.title", "got 7", "not text"]),
    "unknown word": (case("    operation: corr3d\n" + PAIR), 5, ["one.operation", "'corr3d'", "did you mean corr2d?"]),
    "misspelt framework": (
        case(LOOP + PAIR + "    only: [torhc]\n"), 8, ["one.only.0", "'torhc'", "did you mean torch?"],
    ),
    "ragged array": (case(LOOP + "    x: [[1, 2], [3]]\n    w: [[1]]\n"), 6, ["one.x.1", "same length"]),
    "no number": (case(LOOP + "    x: [[1, two]]\n    w: [[1]]\n"), 6, ["one.x.0.1", "'two'", "a number"]),
    "kernel larger than the image": (
        case(LOOP + "    x: [[1, 2]]\n    w: [[1, 2, 3]]\n"), 7,
        ["one.w", "the kernel [1, 3] does not fit into the image [1, 2]", "smaller kernel"],
    ),
    "channels that do not fit": (
        case("    operation: conv2d\n" + BATCH),
        7, ["one.w", "the image has 2 channels, the kernel expects 3", "[4, 3, 2, 2]"],
    ),
    "a literal of another shape": (
        case(LOOP + PAIR + "    expect: [[1]]\n"), 8, ["one.expect", "must be [1, 2]", "[1, 1]"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD_SUITES)
def test_a_defect_in_a_case_file_is_one_message_with_file_line_key_value_and_remedy(
    tmp_path: Path, results: Path, what: str
) -> None:
    text, line, words = BAD_SUITES[what]
    path = tmp_path / "bad.yaml"
    path.write_text(text, encoding="utf-8")
    before = tree(results)
    result = invoke("run", path, "-f", "numpy", "--results", results)
    assert result.exit_code == Exit.USAGE
    assert result.stdout == ""
    (message,) = result.stderr.splitlines()
    assert message.startswith(f"crosscorrect: {path}:{line}: ")
    assert all(word in message for word in words), message
    assert tree(results) == before
    linted = invoke("cases", "lint", path)
    assert linted.exit_code == Exit.USAGE
    assert linted.stderr.splitlines() == [message.removeprefix("crosscorrect: "), "crosscorrect: 1 defect"]


BAD_REQUESTS = {
    "unknown suite": (["chaptr"], 2, "there is no suite chaptr; did you mean chapter, or the path of a YAML file"),
    "no such file": (["no/such.yaml"], 2, "there is no suite file no/such.yaml"),
    "a folder as a suite": (["."], 2, "this is not a regular file; name a YAML file"),
    "unknown framework": (["SUITE", "-f", "torhc"], 2, "unknown framework 'torhc'; did you mean 'torch'?"),
    "interpreter of an unknown framework": (
        ["SUITE", "--python", "torhc=/usr/bin/python3"],
        2,
        "did you mean 'torch'?",
    ),
    "missing interpreter": (
        ["SUITE", "-f", "torch", "--python", "torch=/no/python"],
        3,
        "there is no interpreter at /no/python",
    ),
    "unknown adapter module": (
        ["SUITE", "--adapter", "mine=no_such:Thing", "-f", "mine"],
        2,
        "no module named 'no_such' here",
    ),
    "no problem": (
        ["SUITE", "-k", "tiny/none"],
        2,
        "no problem is called tiny/none; 'crosscorrect cases list' lists them",
    ),
}


@pytest.mark.parametrize("what", BAD_REQUESTS)
def test_a_request_that_cannot_be_meant_is_one_message_and_nothing_is_written(
    suite: Path, results: Path, what: str
) -> None:
    arguments, code, words = BAD_REQUESTS[what]
    before = tree(results)
    result = invoke("run", *(suite if a == "SUITE" else a for a in arguments), "--results", results)
    assert (result.exit_code, result.stdout) == (code, "")
    (message,) = result.stderr.splitlines()
    assert message.startswith("crosscorrect: ")
    assert words in message
    assert tree(results) == before


@pytest.mark.parametrize(
    "arguments",
    [
        ["--mode", "fast"],
        ["--python", "torch"],
        ["--adapter", "=x:Y"],
        ["--limit", "0"],
        ["--nonsense"],
        ["--arithmetic", "x"],
    ],
)
def test_an_option_that_is_wrong_is_a_usage_error(suite: Path, results: Path, arguments: list[str]) -> None:
    before = tree(results)
    result = invoke("run", suite, "--results", results, *arguments)
    assert result.exit_code == Exit.USAGE
    assert "Error: " in result.stderr
    assert tree(results) == before


@pytest.mark.parametrize("below", ["", "deeper"])
def test_a_file_where_the_results_folder_should_be_is_told(suite: Path, tmp_path: Path, below: str) -> None:
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    result = invoke("run", suite, "-f", "numpy", "--results", tmp_path / "file" / below)
    assert result.exit_code == Exit.USAGE
    assert str(tmp_path / "file") in result.stderr
    assert "Traceback" not in result.stderr
    assert (tmp_path / "file").read_text(encoding="utf-8") == "mine"


def test_a_defect_in_expectations_of_one_s_own_is_told_before_anything_runs(suite: Path, tmp_path: Path) -> None:
    folder = tmp_path / "expectations"
    folder.mkdir()
    (folder / "numpy.yaml").write_text("crosscorrect: 1\nframework: numpy\nversions: ''\nexpect: 7\n", encoding="utf-8")
    result = invoke("run", suite, "-f", "numpy", "--results", tmp_path / "results", "--expectations", folder)
    assert result.exit_code == Exit.USAGE
    assert result.stderr.startswith(f"crosscorrect: {folder / 'numpy.yaml'}:4: expect: this is not a list (got 7)")
    assert not (tmp_path / "results").exists()
