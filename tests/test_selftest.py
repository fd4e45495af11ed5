"""The selftest: who is killed and named, what survives, the small set that kills, and the command."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from crosscorrect import selftest
from crosscorrect.cli import main
from crosscorrect.selection import Selection
from crosscorrect.selftest import Score, minimal
from crosscorrect.suite import load_suite
from crosscorrect_adapters.numpy import NumpyAdapter

if TYPE_CHECKING:
    from pathlib import Path

SUITE = """\
crosscorrect: 1
suite: two
title: Two cases
defaults: {operation: conv2d, dtype: float32, level: smoke, directions: [forward, grad_input, grad_weight, grad_bias]}
cases:
  - {id: wide, source: test, title: First, x: {fill: integers, shape: [2, 3, 7, 9]},
     w: {fill: integers, shape: [4, 3, 3, 2]}, b: [1, 2, 3, 5], geometry: {padding: [[1, 0], [2, 1]]}}
  - {id: real, source: test, title: Second, x: {fill: normal, shape: [2, 3, 8, 7]},
     w: {fill: normal, shape: [4, 3, 2, 3]}, b: [1, 2, 3, 5], geometry: {stride: [2, 1]}}
"""


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    path = tmp_path / "two.yaml"
    path.write_text(SUITE, encoding="utf-8")
    return path


def scores(suite: Path, *names: str, base: type[Any] = NumpyAdapter) -> dict[str, Score]:
    problems = list(Selection([load_suite(suite)], level="smoke"))
    return {s.name: s for s in selftest.selftest(base, problems, names)}


def test_mutants_are_killed_by_cases_and_named(suite: Path) -> None:
    found = scores(suite, "flipped-kernel", "bias-reversed", "kernel-gradient-flipped")
    for s in found.values():
        assert s.killed, s
        assert s.recognised, s
        assert s.cases == {"two/wide", "two/real"}


def test_a_mutant_that_no_case_shows_survives(suite: Path) -> None:
    found = scores(suite, "dilation-ignored", "groups-reversed", "tf32-inputs")
    assert not found["dilation-ignored"].cases
    assert not found["groups-reversed"].cases
    assert found["tf32-inputs"].cases == {"two/real"}
    assert not found["tf32-inputs"].killed


def test_what_the_base_itself_fails_kills_nothing(suite: Path) -> None:
    class Broken(NumpyAdapter):
        def conv2d(self, x: Any, w: Any, b: Any, geometry: Any) -> Any:
            return super().conv2d(x, w, b, geometry) + 1

    found = scores(suite, "flipped-kernel", "kernel-gradient-flipped", base=Broken)
    assert found["kernel-gradient-flipped"].killed
    assert found["flipped-kernel"].diagnosed == 4  # the two gradients of both cases, and no forward pass


def test_a_mutant_that_raises_is_killed_and_not_diagnosed(suite: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Raises(NumpyAdapter):
        def conv2d(self, *_: Any) -> Any:
            raise RuntimeError("no descriptor")

    monkeypatch.setattr(selftest.mutants, "mutants", lambda _base, _names: {"raises": Raises})
    found = scores(suite, "raises")["raises"]
    assert found.killed
    assert found.diagnosed == 0


def test_the_frame_has_a_row_for_each_mutant(suite: Path) -> None:
    table = selftest.frame(scores(suite, "flipped-kernel", "dilation-ignored").values())
    assert list(table["mutant"]) == ["flipped-kernel", "dilation-ignored"]
    assert list(table["cases"]) == [2, 0]


def test_a_minimal_set_kills_each_by_as_many_cases_as_can() -> None:
    a = Score("a", "semantic", {"s/one@1": "s/one", "s/one@2": "s/one", "s/two": "s/two"})
    b = Score("b", "semantic", {"s/one@2": "s/one", "s/three": "s/three"})
    c = Score("c", "semantic", {"s/three": "s/three"})
    chosen = minimal([a, b, c, Score("alive", "semantic")])
    assert set(chosen) == {"s/one@2", "s/two", "s/three"}


def test_the_command_prints_the_score_and_its_exit_code_tells(suite: Path) -> None:
    good = CliRunner().invoke(main, ["selftest", str(suite), "-k", "flipped-kernel", "--json", "--minimal"])
    assert good.exit_code == 0, good.output
    told = json.loads(good.stdout)
    assert (told["mutants"], told["killed"], told["recognised"]) == (1, 1, 1)
    assert len(told["minimal"]) == 2
    bad = CliRunner().invoke(main, ["selftest", str(suite), "-k", "dilation-ignored", "-q"])
    assert bad.exit_code == 1
    assert "killed by   0 cases" in bad.output
    assert CliRunner().invoke(main, ["selftest", str(suite), "-k", "fliped-kernel"]).exit_code == 2
