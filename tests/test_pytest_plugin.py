"""YAML suites as pytest items: selected, reported, expected to fail and shared out by pytest's own means."""

from __future__ import annotations

import json
import os
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from crosscorrect import store

pytest_plugins = ["pytester"]

SUITE = """\
crosscorrect: 1
suite: small
cases:
  - {id: first, operation: corr2d, x: [[0, 1, 2], [3, 4, 5], [6, 7, 8]], w: [[0, 1], [2, 3]]}
  - {id: second, operation: conv2d, x: {fill: integers, shape: [2, 3, 5, 4]}, w: {fill: integers, shape: [4, 3, 2, 3]},
     directions: [forward, grad_weight]}
  - {id: third, operation: corr2d, sweep: {dtype: [float32, float64]}, x: [[1, 2, 4]], w: [[1, -1]]}
  - {id: torch-only, only: [torch], operation: corr2d, x: [[1, 2, 4]], w: [[1, -1]]}
  - {id: compiled-only, modes: [compiled], operation: corr2d, x: [[1, 2, 4]], w: [[1, -1]]}
"""
ITEMS = ["first", "second", "third@dtype=float32", "third@dtype=float64"]
MUTANT = """\
from crosscorrect_adapters.numpy import NumpyAdapter


class Mutant(NumpyAdapter):
    def corr2d(self, x, k):
        y = super().corr2d(x, k)
        y[-1, -1] = 0
        return y
"""


@pytest.fixture(autouse=True)
def project(pytester: pytest.Pytester) -> None:
    """A project with one suite, one YAML file that is none, and an adapter that loses the last element."""
    pytester.path.joinpath("small.yaml").write_text(SUITE, encoding="utf-8")
    pytester.path.joinpath("other.yaml").write_text("services: [a, b]\n", encoding="utf-8")
    site = pytester.path / "site"
    metadata = site / "mutant-1.0.dist-info"
    metadata.mkdir(parents=True)
    site.joinpath("mutant.py").write_text(MUTANT, encoding="utf-8")
    metadata.joinpath("METADATA").write_text("Metadata-Version: 2.1\nName: mutant\nVersion: 1.0\n", encoding="utf-8")
    points = "[crosscorrect.adapters]\nmutant = mutant:Mutant\n"
    metadata.joinpath("entry_points.txt").write_text(points, encoding="utf-8")


def run(pytester: pytest.Pytester, *arguments: object, framework: str = "numpy") -> pytest.RunResult:
    site = pytester.path / "site"
    os.environ["PYTHONPATH"] = str(site)  # pytester restores the environment
    return pytester.runpytest_subprocess("-p", "no:cacheprovider", "--crosscorrect", framework, *arguments)


@pytest.fixture(autouse=True)
def _own_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "")


def passed(result: pytest.RunResult) -> list[str]:
    return re.findall(r"::(\S+)\[\w+-eager\] PASSED", result.stdout.str())


def test_each_problem_that_is_about_the_framework_is_an_item(pytester: pytest.Pytester) -> None:
    result = run(pytester, "-v")
    assert result.ret == 0
    assert passed(result) == ITEMS


def test_k_and_markers_choose_items(pytester: pytest.Pytester) -> None:
    assert passed(run(pytester, "-v", "-k", "third")) == ITEMS[2:]
    assert passed(run(pytester, "-v", "--strict-markers", "-m", "conv2d or float64")) == [ITEMS[1], ITEMS[3]]


def test_without_the_option_no_yaml_file_is_collected(pytester: pytest.Pytester) -> None:
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED


def test_a_failing_check_is_told_with_the_right_value_and_the_returned_one_and_x_stops_there(
    pytester: pytest.Pytester,
) -> None:
    result = run(pytester, "-x", "--junit-xml", "junit.xml", framework="mutant")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(failed=1)
    said = "mutant eager small/first forward: unexpected fail (exactness): 1 of 4 elements are wrong; "
    result.stdout.fnmatch_lines([f"{said}at (1, 1) 43 is right and 0 was returned"])
    assert "pytest_plugin.py" not in result.stdout.str()
    (case,) = ET.parse(pytester.path / "junit.xml").iter("testcase")  # noqa: S314  written by pytest a moment ago
    assert case.attrib["name"] == "first[mutant-eager]"
    assert "43 is right and 0 was returned" in (case.find("failure").text or "")  # type: ignore[union-attr]


def test_junit_holds_every_item(pytester: pytest.Pytester) -> None:
    run(pytester, "--junit-xml", "junit.xml")
    cases = ET.parse(pytester.path / "junit.xml").iter("testcase")  # noqa: S314  written by pytest a moment ago
    assert [case.attrib["name"] for case in cases] == [f"{name}[numpy-eager]" for name in ITEMS]


def expectations(pytester: pytest.Pytester, framework: str, problems: str, outcome: str = "fail") -> str:
    folder = pytester.path / "expectations"
    folder.mkdir()
    text = (
        f"crosscorrect: 1\nframework: {framework}\nversions: ''\n"
        f"expect:\n  - {{problems: '{problems}', outcome: {outcome}, reason: a known loss}}\n"
    )
    folder.joinpath("own.yaml").write_text(text, encoding="utf-8")
    return f"--crosscorrect-expectations={folder}"


def test_a_failure_that_is_expected_is_an_xfail_with_its_reason(pytester: pytest.Pytester) -> None:
    result = run(pytester, "-rx", expectations(pytester, "mutant", "small/*r*d*"), "-k", "third", framework="mutant")
    assert result.ret == 0
    result.assert_outcomes(xfailed=2)
    result.stdout.fnmatch_lines(["XFAIL *third@dtype=float32* - a known loss"])


def test_an_expected_failure_that_passes_fails(pytester: pytest.Pytester) -> None:
    result = run(pytester, expectations(pytester, "numpy", "small/first"), "-k", "first")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*small/first forward: passes, but own.yaml:5 expects fail; remove the entry"])


def test_another_outcome_than_the_expected_one_fails(pytester: pytest.Pytester) -> None:
    result = run(pytester, expectations(pytester, "mutant", "small/first", "unsupported"), "-k", "first", framework="mutant")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*small/first forward: fail where own.yaml:5 expects unsupported*"])


def test_the_shard_holds_every_row_and_is_sealed(pytester: pytest.Pytester) -> None:
    result = run(pytester, "--crosscorrect-shard", "shard", framework="mutant")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines([f"crosscorrect: the rows of this run are in {pytester.path / 'shard'}"])
    shard = store.load(pytester.path / "shard")
    assert shard.info["finished"]
    assert shard.info["totals"] == {"fail": 3, "pass": 2}
    assert (shard.info["frameworks"], shard.info["filter"], shard.info["problems"]) == (["mutant"], [], 6)
    assert [s["file"] for s in shard.info["suites"]] == ["small.yaml"]
    assert not (pytester.path / "latest").exists()


def test_a_selection_is_written_down_as_one(pytester: pytest.Pytester) -> None:
    run(pytester, "--crosscorrect-shard", "shard", "-k", "first")
    assert store.load(pytester.path / "shard").info["filter"] == ["pytest selection"]


def test_two_xdist_workers_leave_one_sealed_shard_with_all_rows(pytester: pytest.Pytester) -> None:
    pytest.importorskip("xdist", reason="pytest-xdist is not installed here")
    result = run(pytester, "-n", "2", "--crosscorrect-shard", "shard", framework="mutant")
    result.assert_outcomes(passed=1, failed=3)
    shard = store.load(pytester.path / "shard")
    assert shard.info["finished"]
    assert sorted(shard.checks["problem"]) == sorted(f"small/{name}" for name in [*ITEMS, "second"])
    assert shard.info["filter"] == []
    assert list(shard.env[shard.env["section"] == "version"]["framework"]) == ["mutant"] * 2  # numpy and its BLAS, once
    assert not list((pytester.path / "shard").glob("segment-*"))


def test_an_earlier_shard_is_replaced_and_any_other_folder_is_left_alone(pytester: pytest.Pytester) -> None:
    run(pytester, "--crosscorrect-shard", "shard", "-k", "first")
    run(pytester, "--crosscorrect-shard", "shard", "-k", "second")
    assert set(store.load(pytester.path / "shard").checks["case"]) == {"second"}
    mine = pytester.path / "mine"
    mine.mkdir()
    mine.joinpath("notes").write_text("keep", encoding="utf-8")
    result = run(pytester, "--crosscorrect-shard", "mine")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: */mine is not a run folder: *"])
    assert mine.joinpath("notes").read_text(encoding="utf-8") == "keep"


@pytest.mark.parametrize("shard", [True, False])
def test_a_defect_in_a_suite_is_a_collection_error_with_file_and_line(pytester: pytest.Pytester, shard: bool) -> None:
    bad = pytester.path / "bad.yaml"
    bad.write_text("crosscorrect: 1\nsuite: bad\ncases:\n  - {id: one, opration: corr2d}\n", encoding="utf-8")
    result = run(pytester, *(["--crosscorrect-shard", "shard"] if shard else []))
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([f"{bad}:4: one.opration: this key has no meaning here; did you mean operation?"])
    said = result.stdout.str() + result.stderr.str()
    assert "Traceback" not in said
    assert "INTERNALERROR" not in said
    if shard:
        assert json.loads((pytester.path / "shard" / "run.json").read_text())["finished"]


def test_an_unknown_framework_is_a_usage_error_with_the_nearest_name(pytester: pytest.Pytester) -> None:
    result = run(pytester, framework="nunpy")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: unknown framework 'nunpy'; did you mean 'numpy'? *"])


def test_a_missing_interpreter_ends_the_session_with_three(pytester: pytest.Pytester) -> None:
    result = run(pytester, "--crosscorrect-python", "/no/such/python")
    assert result.ret == 3
    assert "there is no interpreter at /no/such/python" in result.stderr.str()
    assert "Traceback" not in result.stderr.str()


def test_a_framework_that_cannot_be_imported_ends_the_session_with_three(pytester: pytest.Pytester) -> None:
    pytester.path.joinpath("site", "mutant.py").write_text("import no_such_framework\n", encoding="utf-8")
    result = run(pytester, framework="mutant")
    assert result.ret == 3
    said = result.stdout.str() + result.stderr.str()
    assert "framework 'mutant' cannot be used from" in said
    assert "No module named 'no_such_framework'" in said


def test_a_mode_that_is_not_offered_is_skipped_and_says_so(pytester: pytest.Pytester) -> None:
    result = run(pytester, "-rs", "--crosscorrect-mode", "all", str(Path("small.yaml")))
    result.assert_outcomes(passed=4, skipped=5)
    result.stdout.fnmatch_lines(["SKIPPED * numpy does not offer mode compiled here"])
