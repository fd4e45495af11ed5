"""What docs/pytest.md says to type works as written, with NumPy and a wrong copy of it in the place of frameworks."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from crosscorrect.pytest_items import MARKERS
from test_pytest_plugin import SUITE, _project, _tables_are_read_once_before, run  # noqa: F401  fixtures

pytest_plugins = ["pytester"]

TEXT = (Path(__file__).parent.parent / "docs" / "pytest.md").read_text(encoding="utf-8")
LINES = [
    line.partition("  #")[0].strip()
    for block in re.findall(r"```sh\n(.*?)```", TEXT, flags=re.DOTALL)
    for line in block.splitlines()
]
EXPECTED = "crosscorrect: 1\nframework: numpy\nversions: ''\nexpect: []\n"


@pytest.fixture
def project(pytester: pytest.Pytester) -> Path:
    for folder in ("cases", "expectations"):
        (pytester.path / folder).mkdir()
    (pytester.path / "small.yaml").rename(pytester.path / "cases" / "small.yaml")
    (pytester.path / "cases" / "mine.yaml").write_text(SUITE.replace("suite: small", "suite: mine"), encoding="utf-8")
    (pytester.path / "expectations" / "numpy.yaml").write_text(EXPECTED, encoding="utf-8")
    return pytester.path


@pytest.mark.parametrize("line", LINES)
def test_every_command_works_as_written(project: Path, pytester: pytest.Pytester, line: str) -> None:
    if "-n 2" in line:
        pytest.importorskip("xdist", reason="pytest-xdist is not installed here")
    program, *arguments = shlex.split(re.sub(r"\btorch\b", "numpy", line).replace("jax", "mutant"))
    assert program == "pytest"
    quick = ("-p", "no:hypothesispytest", "--strict-markers", "--strict-config")
    result = pytester.runpytest_subprocess(*quick, *arguments)
    outcomes = result.parseoutcomes()
    assert result.ret == 0 or ("mutant" in arguments and set(outcomes) <= {"passed", "failed", "deselected"})
    assert outcomes.get("passed", 0) or "--co" in arguments
    assert (project / "shards" / "numpy" / "run.json").exists() is ("shards/numpy" in arguments)


def test_every_option_of_the_plugin_is_in_the_document(pytester: pytest.Pytester) -> None:
    told = run(pytester, "--help", framework="").stdout.str()
    options = set(re.findall(r"(--crosscorrect[a-z-]*)[ =]", told.partition("crosscorrect: collect")[2]))
    assert options >= {"--crosscorrect", "--crosscorrect-shard"}
    assert {option for option in options if f"`{option} " not in TEXT} == set()
    assert all(kind in TEXT for kind in MARKERS)


def test_the_failure_of_the_document_is_what_one_looks_like(pytester: pytest.Pytester) -> None:
    said = run(pytester, "-k", "first", framework="mutant").stdout.str()
    (shown,) = re.findall(r"```text\n(.*?)```", TEXT, flags=re.DOTALL)
    for line in shown.replace("torch", "mutant").splitlines():
        wanted = line.replace("cases/small.yaml", str(pytester.path / "small.yaml"))
        assert wanted in said
