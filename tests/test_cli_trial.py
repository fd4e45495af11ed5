"""What a new user's trial of the command line found: each once failed in a way a person should not see."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from commandline import invoke
from crosscorrect import api
from crosscorrect.errors import UsageError
from crosscorrect.selection import Selection
from crosscorrect.suite import find_suites, load_suite

HOSTILE = r"""crosscorrect: 1
suite: hostile
title: "bell \a and \e[31mred"
cases:
  - {id: a, source: s, title: "\e]0;owned\a", operation: corr2d, x: [[1, 2]], w: [[1]]}
"""


@pytest.mark.parametrize("limit", ["nan", "inf", "-1", "0", "1e300"])
def test_a_time_limit_that_is_no_number_of_seconds_is_a_usage_error(limit: str, tmp_path: Path) -> None:
    done = invoke("run", "chapter", "-f", "numpy", "--limit", limit, "--results", tmp_path / "results")
    assert done.exit_code == 2
    assert "--limit" in done.stderr
    assert not (tmp_path / "results").exists()


def test_a_time_limit_in_a_case_that_is_no_number_is_told_with_its_line(tmp_path: Path) -> None:
    text = "crosscorrect: 1\nsuite: s\ntitle: t\ncases:\n  - {id: a, source: s, title: t, operation: corr2d,\n"
    (tmp_path / "s.yaml").write_text(text + "     x: [[1, 2]], w: [[1]],\n     limit: .nan}\n", encoding="utf-8")
    done = invoke("cases", "lint", tmp_path / "s.yaml")
    assert done.exit_code == 2
    assert "s.yaml:7: " in done.stderr


def test_nothing_that_a_case_says_acts_on_the_terminal(tmp_path: Path) -> None:
    (tmp_path / "hostile.yaml").write_text(HOSTILE, encoding="utf-8")
    listed = invoke("cases", "list", tmp_path / "hostile.yaml")
    shown = invoke("cases", "show", "hostile/a", "--suite", tmp_path / "hostile.yaml")
    for done in (listed, shown):
        assert done.exit_code == 2
        assert not set(done.output) & {"\a", "\x1b"}
        assert "hostile.yaml:3: title: this text holds a control character" in done.stderr


def test_a_reader_that_goes_away_is_no_verdict_and_no_traceback() -> None:
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "crosscorrect", "cases", "list"]
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    os.close(write)
    assert done.returncode == 141
    assert done.stderr == ""


def test_an_encoding_without_the_glyphs_ends_in_no_traceback(tmp_path: Path) -> None:
    arguments = ["run", "chapter", "-f", "numpy", "-k", "worked-example", "--no-report", "--results", str(tmp_path)]
    command = [sys.executable, "-m", "crosscorrect", *arguments]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("pattern", ["edge-detection", "chapter/edge-detection"])
def test_a_case_is_found_by_its_name_without_the_sweep(pattern: str) -> None:
    chosen = list(Selection([load_suite(path) for path in find_suites(["chapter"])], [pattern]))
    assert len(chosen) > 1
    assert {problem.case for problem in chosen} == {"edge-detection"}


def test_explain_lists_what_a_case_is_swept_into(tmp_path: Path) -> None:
    finished = api.run(["chapter"], ["numpy"], only=["worked-example"], results=tmp_path)
    done = invoke("explain", finished.folder, "chapter/worked-example")
    assert done.exit_code == 2
    assert "it is swept into chapter/worked-example@operation=corr2d" in done.stderr


def test_explain_says_how_to_ask_the_same_framework_again(tmp_path: Path) -> None:
    finished = api.run(
        ["chapter"], ["numpy"], only=["worked-example"], results=tmp_path, pythons={"numpy": sys.executable}
    )
    problem = finished.problems["problem"].iloc[0]
    done = invoke("explain", finished.folder, problem)
    assert done.exit_code == 0, done.stderr
    assert f"again: crosscorrect run chapter -k '{problem}' -f numpy --python numpy=PATH" in done.stdout


def test_one_suite_one_framework_and_one_of_whatever_may_be_several_need_no_brackets(tmp_path: Path) -> None:
    from crosscorrect.speed import session

    plan = api.planned("chapter", "numpy", only="worked-example", modes="compiled", devices="cpu")
    assert {problem.case for problem in plan.problems} == {"worked-example"}
    assert [framework.name for framework in plan.frameworks] == ["numpy"]
    assert (plan.modes, plan.devices) == (("compiled",), ("cpu",))
    with pytest.raises(UsageError, match="there is no suite chapt; did you mean chapter"):
        session.bench("chapt", "numpy", results=tmp_path)
    with pytest.raises(UsageError, match="unknown framework 'nunpy'; did you mean 'numpy'"):
        api.run(Path("chapter"), "nunpy", results=tmp_path)


def test_a_framework_that_is_not_installed_here_is_told_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "absent.py").write_text("import no_such_framework\nclass Adapter: ...\n", encoding="utf-8")
    asked = ("-f", "absent", "--adapter", "absent=absent:Adapter", "-k", "worked-example")
    done = invoke("run", "chapter", *asked, "--no-report", "--results", "out")
    assert done.exit_code == 3
    told = " ".join(done.output.split())
    assert "or name the interpreter that it lives in with --python absent=PATH" in told


def test_a_case_that_is_swept_is_shown_by_its_name_with_its_problems() -> None:
    done = invoke("cases", "show", "chapter/edge-detection")
    assert done.exit_code == 0, done.stderr
    name, about, *_, first = done.stdout.splitlines()
    assert name == "chapter/edge-detection"
    assert about.startswith("In [")
    assert invoke("cases", "show", first.strip()).exit_code == 0
    (suite,) = [load_suite(path) for path in find_suites(["chapter"])]
    problems = [problem.id for problem in suite.problems() if problem.case == "edge-detection"]
    assert f"swept into {len(problems)} problems:" in done.stdout
    told = json.loads(invoke("cases", "show", "chapter/edge-detection", "--json").stdout)
    assert (told["problems"], told["first"]) == (len(problems), problems[:12])


def test_of_a_large_sweep_the_first_problems_are_listed_and_a_case_of_one_is_that_one(tmp_path: Path) -> None:
    seeds = ", ".join(map(str, range(1000)))
    (tmp_path / "s.yaml").write_text(
        "crosscorrect: 1\nsuite: s\ncases:\n"
        "- {id: many, operation: corr2d, x: {fill: integers, shape: [3, 3]}, w: [[1]], sweep: {x.seed: ["
        + seeds
        + "]}}\n"
        "- {id: one, operation: corr2d, x: [[1, 2]], w: [[1]], sweep: {dtype: [float64]}}\n",
        encoding="utf-8",
    )
    many, one = (invoke("cases", "show", f"s/{case}", "--suite", tmp_path / "s.yaml") for case in ("many", "one"))
    assert many.stdout.splitlines()[:3] == ["s/many", "swept into 1000 problems, the first 12:", "  s/many@x.seed=0"]
    assert len(many.stdout.splitlines()) == 14
    assert one.stdout.startswith("s/one@dtype=float64\n")
    assert "x: float64" in one.stdout
