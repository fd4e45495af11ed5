"""Which problems a run is about: the same in every order of asking, from any place, and none made before its turn."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from crosscorrect import outline, selection
from crosscorrect.errors import CaseError, UsageError
from crosscorrect.outline import Outline
from crosscorrect.problem import LEVELS
from crosscorrect.selection import Selection, ordered
from crosscorrect.shipped import shipped_suites
from crosscorrect.spans import MAX_SHARDS, PIECES, Costs, Shard, Span, cut, deal
from crosscorrect.suite import load_suite

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from crosscorrect.suite import Suite

PATTERNS = ["c1", "s0/c0", "*", "s?/c0@*", "*float64*", "s0/c1@x.seed=[1-9]*", "*level=ci", "c", "s0/c"]
PATTERNS += ["s1/c0@dtype=float32", "s0/c0@level=ci"]


few = settings(max_examples=20)  # each reads its suites from files


def written(folder: Path, name: str, cases: list[dict[str, Any]]) -> Suite:
    path = folder / f"{name}.yaml"
    path.write_text(json.dumps({"crosscorrect": 1, "suite": name, "cases": cases}), encoding="utf-8")
    return load_suite(path)


def case(name: str, sweep: dict[str, list[Any]] | None = None, **keys: Any) -> dict[str, Any]:
    plain = {"operation": "corr2d", "x": {"fill": "normal", "shape": [5, 4]}, "w": {"fill": "normal", "shape": [2, 3]}}
    return {"id": name, **plain, **({"sweep": sweep} if sweep else {}), **keys}


def large(folder: Path, seeds: int = 1000) -> Suite:
    """A suite of one case of so many seeds squared, and one small case after it."""
    some = list(range(seeds))
    return written(folder, "large", [case("sweep", {"x.seed": some, "w.seed": some}), case("last")])


@st.composite
def suites(draw: st.DrawFn) -> list[list[dict[str, Any]]]:
    """The cases of one to three suites: swept over data, dtypes, shapes and levels, or not at all, some isolated."""
    keys = {
        "x.seed": st.lists(st.integers(0, 99), min_size=1, max_size=7, unique=True),
        "dtype": st.lists(st.sampled_from(["float32", "float64"]), min_size=1, max_size=2, unique=True),
        "level": st.lists(st.sampled_from(LEVELS), min_size=1, max_size=3, unique=True),
        "w": st.sampled_from([[{"fill": "normal", "shape": [n, 2], "label": f"h{n}"} for n in (1, 2, 4)]]),
    }
    found = []
    for _ in range(draw(st.integers(1, 3))):
        cases = []
        for number in range(draw(st.integers(1, 4))):
            names = draw(st.lists(st.sampled_from(sorted(keys)), max_size=3, unique=True))
            sweep = {name: draw(keys[name]) for name in names}
            more = {"isolate": True} if draw(st.booleans()) else {}
            if "level" not in sweep and draw(st.booleans()):
                more["level"] = draw(st.sampled_from(LEVELS))
            cases.append(case(f"c{number}", sweep, **more))
        found.append(cases)
    return found


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("suites")


def loaded(place: Path, drawn: list[list[dict[str, Any]]]) -> list[Suite]:
    return [written(place, f"s{number}", cases) for number, cases in enumerate(drawn)]


def ids(problems: Iterable[Any]) -> list[str]:
    return [problem.id for problem in problems]


# ---------------------------------------------------------------- the stream


@few
@given(drawn=suites(), level=st.sampled_from(LEVELS))
def test_a_selection_is_the_problems_of_its_suites_up_to_a_level_again_and_again(
    place: Path, drawn: list[list[dict[str, Any]]], level: str
) -> None:
    some = loaded(place, drawn)
    chosen = Selection(some, level=level)
    wanted = [p for s in some for p in s.problems() if LEVELS.index(p.level) <= LEVELS.index(level)]
    assert list(chosen) == wanted == list(chosen)
    assert chosen.size == sum(1 for s in some for _ in s.problems())
    assert chosen.count == len(wanted)


@few
@given(drawn=suites(), only=st.lists(st.sampled_from(PATTERNS), min_size=1, max_size=3))
def test_patterns_keep_what_they_keep_when_every_problem_is_looked_at(
    place: Path, drawn: list[list[dict[str, Any]]], only: list[str]
) -> None:
    from fnmatch import fnmatchcase

    some = loaded(place, drawn)
    wanted = [
        p.id
        for s in some
        for p in s.problems()
        if any(pattern in (p.id, p.case, f"{p.suite}/{p.case}") or fnmatchcase(p.id, pattern) for pattern in only)
    ]
    chosen = Selection(some, only, "smoke")
    assert ids(chosen) == wanted
    assert chosen.count == len(wanted)


@few
@given(drawn=suites(), data=st.data())
def test_problems_are_found_by_their_ids(place: Path, drawn: list[list[dict[str, Any]]], data: st.DataObject) -> None:
    some = loaded(place, drawn)
    known = [p for s in some for p in s.problems()]
    asked = data.draw(st.lists(st.sampled_from(known), min_size=1, max_size=4, unique_by=lambda p: p.id))
    assert sorted(ids(Selection(some, ids(asked)))) == sorted(ids(asked))


@few
@given(drawn=suites(), data=st.data())
def test_what_lies_between_two_places_is_found_without_what_lies_before(
    place: Path, drawn: list[list[dict[str, Any]]], data: st.DataObject
) -> None:
    chosen = Selection(loaded(place, drawn), level="nightly")
    start = data.draw(st.integers(0, chosen.size))
    stop = data.draw(st.integers(start, chosen.size))
    assert ids(chosen.of(Span(start, stop))) == ids(chosen)[start:stop]


@few
@given(drawn=suites(), level=st.sampled_from(LEVELS))
def test_problems_that_want_a_worker_of_their_own_come_last_and_all_others_before_them(
    place: Path, drawn: list[list[dict[str, Any]]], level: str
) -> None:
    chosen = Selection(loaded(place, drawn), level=level)
    assert list(ordered(chosen)) == sorted(chosen, key=lambda p: p.isolate) == list(ordered(list(chosen)))
    assert ids(chosen.isolated(True)) == [p.id for p in chosen if p.isolate]
    some = chosen.of(Span(chosen.size // 4, chosen.size))
    assert list(ordered(some)) == sorted(some, key=lambda p: p.isolate) == list(ordered(iter(some)))


def counted(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How many problems are made from now on, by their case."""
    made: Counter[str] = Counter()
    real = selection.specify

    def specify(suite: str, point: Any) -> Any:
        made[point.data["id"]] += 1
        return real(suite, point)

    monkeypatch.setattr(selection, "specify", specify)
    monkeypatch.setattr(outline, "specify", specify)
    return made


def test_of_a_million_problems_only_those_that_are_reached_are_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = counted(monkeypatch)
    chosen = Selection([large(tmp_path)])
    assert chosen.size == 1_000_001
    assert ids(itertools.islice(chosen, 3)) == [f"large/sweep@x.seed=0,w.seed={n}" for n in range(3)]
    assert ids(chosen.of(Span(765_432, 765_434))) == [f"large/sweep@x.seed=765,w.seed={n}" for n in (432, 433)]
    last = "large/sweep@x.seed=999,w.seed=999"
    assert ids(Selection([large(tmp_path)], [last])) == [last]
    assert made == {"sweep": 6}


def test_a_case_that_is_not_meant_is_not_walked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from crosscorrect.sweep import Sweep

    chosen = Selection([large(tmp_path)], ["last", "large/l*"])
    others = Selection([large(tmp_path)])

    def digits(self: Sweep, _: int) -> list[int]:
        assert not self.names, "a point of the large case was looked at"
        return []

    monkeypatch.setattr(Sweep, "digits", digits)
    assert ids(chosen) == ["large/last"]
    assert not ids(others.isolated(True))


def test_nothing_that_matches_is_told_and_a_match_that_comes_early_is_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite = written(tmp_path, "s", [case("a", {"x.seed": [1, 2]}), case("b", level="nightly")])
    with pytest.raises(UsageError, match=r"no problem is called s/c\*; 'crosscorrect cases list' lists them"):
        Selection([suite], ["s/c*"]).check()
    with pytest.raises(UsageError, match="no case of level smoke; ask for a higher --level"):
        Selection([suite], level="smoke").check()
    Selection([suite], ["s/b"], "smoke").check()
    made = counted(monkeypatch)
    Selection([large(tmp_path)], ["*x.seed=0,*"]).check()
    assert made["sweep"] <= selection.CHECKED_POINTS + 1


# ---------------------------------------------------------------- what is told before a run


def test_a_problem_that_makes_no_sense_is_told_before_the_run_wherever_it_is_in_a_small_sweep(tmp_path: Path) -> None:
    kernels = [{"fill": "normal", "shape": [n, 2], "label": f"h{n}"} for n in range(1, 8)]
    suite = written(tmp_path, "s", [case("a", {"x.seed": list(range(50)), "w": kernels})])
    with pytest.raises(CaseError, match="does not fit into the image") as told:
        Selection([suite]).check()
    assert "w=h6" in str(told.value)


def test_each_value_of_a_large_sweep_is_tried_before_the_run(tmp_path: Path) -> None:
    kernels = [{"fill": "normal", "shape": [1 + (n == 700) * 8, 1 + n % 3], "label": f"k{n}"} for n in range(800)]
    suite = written(tmp_path, "s", [case("a", {"x.seed": list(range(1000)), "w": kernels})])
    with pytest.raises(CaseError, match="k700"):
        Selection([suite]).check()


def test_a_number_that_the_dtype_cannot_hold_is_told_before_the_run(tmp_path: Path) -> None:
    suite = written(tmp_path, "s", [case("a", {"dtype": ["float32", "float16"]}, w=[[1e30, 1]])])
    with pytest.raises(CaseError, match="float16 cannot hold this value"):
        Selection([suite]).check()
    Selection([suite], ["*float32"]).check()


# ---------------------------------------------------------------- kinds


@few
@given(drawn=suites(), level=st.sampled_from(LEVELS), shard=st.sampled_from([None, Shard(1, 2), Shard(2, 3)]))
def test_the_kinds_of_a_selection_count_its_problems_by_all_but_their_data(
    place: Path, drawn: list[list[dict[str, Any]]], level: str, shard: Shard | None
) -> None:
    def essence(p: Any) -> tuple[Any, ...]:
        return (p.suite, p.case, p.dtype, p.level, p.isolate, p.directions, tuple(sorted(p.shapes.items())))

    chosen = Selection(loaded(place, drawn), level=level, shard=shard)
    assert chosen.exact
    wanted = Counter(essence(p) for p in chosen)
    found: Counter[tuple[Any, ...]] = Counter()
    for problem, count in chosen.kinds():
        found[essence(problem)] += count
    assert found == wanted


def test_the_kinds_of_a_million_problems_are_told_from_a_handful(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = counted(monkeypatch)
    chosen = Selection([large(tmp_path)])
    assert [(p.case, count) for p, count in chosen.kinds()] == [("sweep", 1_000_000), ("last", 1)]
    assert chosen.count == 1_000_001
    assert made == {"sweep": 1, "last": 1}


def test_a_sweep_over_too_many_sizes_is_told_apart_in_fewer_kinds_and_says_so(tmp_path: Path) -> None:
    x, w = ([{"fill": "normal", "shape": [30, n], "label": f"n{n}"} for n in range(k, k + 100)] for k in (100, 1))
    suite = written(tmp_path, "s", [case("a", {"x": x, "w": w, "dtype": ["float32", "float64"]})])
    chosen = Selection([suite])
    coarse = Outline("s", suite.sweep(0), 64)
    assert chosen.size == 20_000
    assert not coarse.exact
    assert coarse.count <= 64
    places = np.arange(20_000)
    assert coarse.counts.tolist() == np.bincount(coarse.kinds(places), minlength=coarse.count).tolist()
    for place in range(0, 20_000, 997):
        near = coarse.problem(int(coarse.kinds(np.array([place]))[0]))
        there = suite.problem(f"s/a{suite.sweep(0).suffix(place)}")
        assert abs(near.shapes["x"][1] - there.shapes["x"][1]) < 32
        assert near.dtype == there.dtype


def test_problems_that_cannot_be_counted_cheaply_are_not_counted(tmp_path: Path) -> None:
    chosen = Selection([large(tmp_path)], ["*x.seed=1*"])
    assert not chosen.countable
    assert chosen.count is None
    assert "problems" not in chosen.describe()
    assert Selection([large(tmp_path)]).describe()["problems"] == 1_000_001


# ---------------------------------------------------------------- spans and shards


@few
@given(drawn=suites(), level=st.sampled_from(LEVELS), seconds=st.sampled_from([1e-6, 0.003, 0.02, 10.0]),
       most=st.integers(1, 9), shard=st.sampled_from([None, Shard(1, 2), Shard(3, 3)]))  # fmt: skip
def test_spans_are_the_stream_in_order_and_none_is_too_long(
    place: Path, drawn: list[list[dict[str, Any]]], level: str, seconds: float, most: int, shard: Shard | None
) -> None:
    chosen = Selection(loaded(place, drawn), level=level, shard=shard)
    spans = list(chosen.spans(seconds, most))
    parts = [list(chosen.of(Span(**json.loads(json.dumps(asdict(span)))))) for span in spans]
    assert [p.id for part in parts for p in part] == ids(chosen)
    assert all(1 <= len(part) <= most for part in parts)
    assert all(before.stop <= after.start for before, after in itertools.pairwise(spans))


@st.composite
def streams(draw: st.DrawFn) -> list[Costs]:
    """Costs of a few cases with gaps between the places."""
    found, at = [], 0
    for number in range(draw(st.integers(0, 5))):
        costs = draw(st.lists(st.integers(1, 10 ** draw(st.integers(0, 7))), min_size=1, max_size=40))
        gaps = draw(st.lists(st.integers(1, 3), min_size=len(costs), max_size=len(costs)))
        within = np.cumsum(gaps) - 1
        found.append(Costs(at + within, np.array(costs), f"s/c{number}", within))
        at += int(within[-1]) + draw(st.integers(1, 3))
    return found


def costs_of(stream: list[Costs]) -> dict[int, int]:
    return {int(place): int(cost) for part in stream for place, cost in zip(part.places, part.costs, strict=True)}


@given(stream=streams(), budget=st.integers(1, 10**6), most=st.integers(1, 50))
def test_a_cut_fills_each_span_as_far_as_its_budget_and_no_further(stream: list[Costs], budget: int, most: int) -> None:
    costs = costs_of(stream)
    spans = list(cut(stream, budget, most))
    held = [[p for p in sorted(costs) if span.start <= p < span.stop] for span in spans]
    assert [p for part in held for p in part] == sorted(costs)
    for span, part in zip(spans, held, strict=True):
        total = sum(costs[p] for p in part)
        assert (part[0], part[-1] + 1) == (span.start, span.stop)
        assert span.seconds == total / 1e6
        assert len(part) == most or total >= budget or span is spans[-1]
        assert total - costs[part[-1]] < budget


@given(stream=streams(), count=st.integers(1, 64))
def test_shards_have_every_problem_once_and_about_as_much_to_do(stream: list[Costs], count: int) -> None:
    costs = costs_of(stream)
    shares = [
        [p for span in deal(lambda: stream, Shard(number, count)) for p in sorted(costs) if span.start <= p < span.stop]
        for number in range(1, count + 1)
    ]
    assert sorted(p for share in shares for p in share) == sorted(costs)
    assert all(share == sorted(share) for share in shares)
    loads = [sum(costs[p] for p in share) for share in shares]
    assert max(loads) - min(loads) <= sum(costs.values()) // (PIECES * count) + max(costs.values(), default=0)


def test_where_every_problem_is_a_piece_shards_have_as_many_of_them_and_cost_about_the_same() -> None:
    costs = [10**6, 1, 7, 5 * 10**5, 3, 10**6, 9, 2, 10**6, 4, 6, 8]
    stream = list(spread(costs))
    shares = [[s.start for s in deal(lambda: stream, Shard(number, 3))] for number in (1, 2, 3)]
    assert [len(share) for share in shares] == [4, 4, 4]
    assert sorted(sum(costs[p] for p in share) for share in shares) == [1_000_018, 1_000_019, 1_500_003]


@few
@given(drawn=suites(), count=st.integers(2, 64), level=st.sampled_from(LEVELS))
def test_the_shards_of_a_selection_have_every_problem_once_in_whatever_order_the_suites_are(
    place: Path, drawn: list[list[dict[str, Any]]], count: int, level: str
) -> None:
    some = loaded(place, drawn)
    parts = [ids(Selection(some, level=level, shard=Shard(number, count))) for number in range(1, count + 1)]
    whole = ids(Selection(some, level=level))
    assert sorted(itertools.chain(*parts)) == sorted(whole)
    position = {name: at for at, name in enumerate(whole)}
    assert all(part == sorted(part, key=position.__getitem__) for part in parts)
    backwards = [ids(Selection(some[::-1], level=level, shard=Shard(n, count))) for n in range(1, count + 1)]
    assert [sorted(part) for part in backwards] == [sorted(part) for part in parts]


def test_more_shards_than_problems_leave_empty_ones_that_are_no_error(tmp_path: Path) -> None:
    suite = written(tmp_path, "s", [case("a", {"x.seed": [1, 2, 3]})])
    parts = [Selection([suite], shard=Shard(number, 64)) for number in range(1, 65)]
    for part in parts:
        part.check()
    assert sorted(part.count or 0 for part in parts) == [0] * 61 + [1] * 3
    assert {part.describe()["problems"] for part in parts} == {3}


@pytest.mark.parametrize("text", ["", "1", "0/3", "4/3", "1/0", "-1/2", "1/2/3", "a/b", "1/ 2", "²/3", "1/99999"])
def test_what_is_no_shard_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"is no shard|there is no shard"):
        Shard.read(text)


def test_a_shard_is_read_as_it_is_written_and_one_of_one_is_the_whole() -> None:
    assert str(Shard.read("3/8")) == "3/8"
    assert Shard.read(f"{MAX_SHARDS}/{MAX_SHARDS}") == Shard(MAX_SHARDS, MAX_SHARDS)
    assert Shard.read("1/1") is None


DEALT = """
import hashlib, sys
from crosscorrect.selection import Selection
from crosscorrect.spans import Shard
from crosscorrect.suite import find_suites, load_suite
suites = [load_suite(path) for path in find_suites(["chapter", "relations", "dtypes"])]
ids = [p.id for i in (1, 2, 3) for p in Selection(suites, shard=Shard(i, 3))]
spans = [(s.start, s.stop, s.seconds) for s in Selection(suites).spans(0.5)]
print(hashlib.sha256(repr((ids, spans)).encode()).hexdigest())
"""


def test_shards_and_spans_are_the_same_whatever_the_hash_seed_and_the_locale() -> None:
    found = set()
    for seed, locale in (("0", "C"), ("4711", "tr_TR.UTF-8")):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "LANG": locale, "LC_ALL": locale}
        done = subprocess.run(
            [sys.executable, "-c", DEALT], env=environment, capture_output=True, text=True, check=True, timeout=120
        )
        found.add(done.stdout)
    assert len(found) == 1


def test_the_shards_of_the_shipped_suites_cost_about_the_same_by_estimate() -> None:
    stream = list(Selection([load_suite(path) for path in shipped_suites().values()])._costs())
    total = sum(costs_of(stream).values())
    for count in (2, 4, 8):
        loads = [sum(s.seconds for s in deal(lambda: stream, Shard(n, count))) for n in range(1, count + 1)]
        assert abs(sum(loads) - total / 1e6) < 1e-3
        assert max(loads) < 1.02 * sum(loads) / count


def spread(costs: Iterable[int]) -> Iterator[Costs]:
    own = np.array(list(costs))
    yield Costs(np.arange(len(own)), own, "s/c", np.arange(len(own)))


def test_what_alternates_with_the_shards_is_dealt_evenly_all_the_same() -> None:
    stream = lambda: spread([1, 1000] * 500)  # noqa: E731  iterated more than once
    loads = [sum(span.seconds for span in deal(stream, Shard(number, 2))) for number in (1, 2)]
    assert max(loads) <= 1.01 * min(loads)
