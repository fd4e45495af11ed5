"""Problems made ready: shared, counted at what they take, and let go of without looking at the others."""

from __future__ import annotations

import gc
import itertools
import threading
import tracemalloc
from typing import TYPE_CHECKING

import pytest

from crosscorrect import plan
from crosscorrect.errors import CaseError
from crosscorrect.plan import Preparation
from crosscorrect.shipped import shipped_suites
from crosscorrect.suite import load_suite

if TYPE_CHECKING:
    from pathlib import Path

    from crosscorrect.problem import Problem

SWEEP = """\
crosscorrect: 1
suite: many
cases:
  - {id: tiny, operation: conv2d, x: {fill: integers, shape: [1, 1, 4, 5]}, w: {fill: integers, shape: [1, 1, 2, 3]},
     sweep: {x.seed: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9], w.seed: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]}}
"""


@pytest.fixture
def problems(tmp_path: Path) -> list[Problem]:
    path = tmp_path / "many.yaml"
    path.write_text(SWEEP, encoding="utf-8")
    return list(load_suite(path).problems())


def held(preparation: Preparation) -> int:
    """What it counts, which must be what the problems that it holds take."""
    assert preparation._bytes == sum(made.nbytes for made, _ in preparation._ready.values())
    return preparation._bytes


@pytest.mark.parametrize("suite", ["tiny", "chapter", "special"])
def test_what_a_problem_is_counted_at_is_what_it_takes_and_at_most_twice_that(
    suite: str, problems: list[Problem]
) -> None:
    if suite != "tiny":
        problems = list(itertools.islice(load_suite(shipped_suites()[suite]).problems(), 60))
    made = [Preparation().get(problem) for problem in problems]  # caches that all share fill first
    for prepared in made:
        for direction in prepared.references:
            prepared.standards(direction, "strict")
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    made = [Preparation().get(problem) for problem in problems]
    for prepared in made:
        for direction in prepared.references:
            prepared.standards(direction, "strict")
    gc.collect()
    taken = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    counted = sum(prepared.nbytes for prepared in made)
    assert taken < counted < 2 * taken


def test_the_problems_kept_stay_within_their_bound_and_the_newest_stays_whatever_its_size(
    problems: list[Problem], monkeypatch: pytest.MonkeyPatch
) -> None:
    preparation = Preparation()
    size = preparation.get(problems[0]).nbytes
    monkeypatch.setattr(plan, "KEPT_BYTES", 5 * size)
    for problem in problems:
        preparation.get(problem)
        assert held(preparation) <= 5 * size
    assert list(preparation._ready) == [p.id for p in problems[-len(preparation._ready) :]]
    monkeypatch.setattr(plan, "KEPT_BYTES", 1)
    newest = preparation.get(problems[0])
    assert preparation.get(problems[0]) is newest
    assert len(preparation._ready) == 1


def test_no_more_problems_are_kept_than_the_bound_says(
    problems: list[Problem], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "KEPT_FOR_ONE", 7)
    preparation = Preparation()
    for problem in problems:
        preparation.get(problem)
    assert len(preparation._ready) == 7
    assert held(preparation) > 0


def test_lanes_that_ask_at_the_same_time_get_one_and_the_same(
    problems: list[Problem], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls, real, started = [], plan._prepare, threading.Barrier(4)

    def prepare(problem: Problem, seed: int) -> plan.Prepared:
        calls.append(problem.id)
        return real(problem, seed)

    monkeypatch.setattr(plan, "_prepare", prepare)
    preparation, got = Preparation(lanes=4), {}

    def lane(name: int) -> None:
        started.wait()
        got[name] = [preparation.get(problem) for problem in problems]

    threads = [threading.Thread(target=lane, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(calls) == sorted(problem.id for problem in problems)
    assert all(a is b for name in got for a, b in zip(got[0], got[name], strict=True))
    assert not preparation._making


def test_a_problem_that_cannot_be_made_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(
        "crosscorrect: 1\nsuite: wrong\ndefaults: {dtype: float16, operation: corr2d}\n"
        "cases:\n  - {id: c, x: [[1e30]], w: [[1]]}\n",
        encoding="utf-8",
    )
    (problem,) = load_suite(path).problems()
    preparation = Preparation()
    for _ in range(2):
        with pytest.raises(CaseError, match="cannot hold this value"):
            preparation.get(problem)
    assert not preparation._making
    assert held(preparation) == 0
