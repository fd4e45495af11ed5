"""Small units are asked several in one go; what happens to one of them is still told of that one alone."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from crosscorrect import api, log
from crosscorrect.errors import CaseError
from crosscorrect.plan import Preparation
from crosscorrect.suite import load_suite
from crosscorrect.turns import FAST, MOST, SLOW, Turn, Turns
from unsteady import STATE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from crosscorrect import store
    from crosscorrect.problem import Problem

COUNT = 100
SEEDS = list(range(COUNT))
MANY = f"""\
crosscorrect: 1
suite: many
cases:
  - {{id: before, operation: conv2d, x: {{fill: normal, shape: [1, 1, 3, 3]}}, w: [[1, 2]],
     sweep: {{x.seed: {SEEDS}}}}}
  - {{id: bad, operation: conv2d, x: [[7, 1, 5, 2], [3, 9, 4, 6]], w: [[1, 2]],
     directions: [forward, grad_input, grad_weight]}}
  - {{id: after, operation: conv2d, x: {{fill: normal, shape: [1, 1, 3, 3]}}, w: [[1, 2]],
     sweep: {{x.seed: {SEEDS}}}}}
"""
LARGE = "  - {id: large, operation: conv2d, x: {fill: normal, shape: [1, 1, 60, 60]}, w: [[1, 2]]}\n"


@pytest.fixture
def many(tmp_path: Path) -> Path:
    suite = tmp_path / "many.yaml"
    suite.write_text(MANY, encoding="utf-8")
    return suite


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow this machine is just now, as many go together as may."""
    monkeypatch.setattr("crosscorrect.turns.FAST", float("inf"))
    monkeypatch.setattr("crosscorrect.turns.SLOW", float("inf"))


@pytest.fixture
def run(
    many: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Callable[..., store.Run]:
    request.getfixturevalue("hurried")
    monkeypatch.setenv(STATE, str(tmp_path / "times"))

    def ran(name: str) -> store.Run:
        return api.run([many], [name], adapters={name: f"unsteady:{name}"}, results=tmp_path / "results")

    return ran


def bad(finished: store.Run) -> dict[str, tuple[str, str, str]]:
    """Outcome, reason and message of each direction of the problem in the middle; the others pass, each once."""
    rows = finished.checks
    others = rows[rows["case"] != "bad"]
    assert sorted(others["problem"]) == sorted(f"many/{case}@x.seed={s}" for case in ("after", "before") for s in SEEDS)
    assert set(others["outcome"]) == {"pass"}
    told = rows[rows["case"] == "bad"].set_index("direction")
    return {d: (row["outcome"], row["reason"], row["message"]) for d, row in told.iterrows()}


@pytest.mark.usefixtures("hurried")
def test_units_that_begin_together_are_written_down_together(
    many: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logs: list[dict[str, Any]] = []
    monkeypatch.setattr("crosscorrect.store.seal", lambda folder: logs.extend(log.read(log.logs(folder)[0])))
    api.run([many], ["numpy"], results=tmp_path / "results")
    begun = [len(record["units"]) for record in logs if record["kind"] == "start"]
    assert sum(begun) == 2 * COUNT + 1
    assert begun[:4] == [1, 2, 4, 8]
    assert max(begun) == MOST
    place = {(u["problem"]): i for i, r in enumerate(logs) if r["kind"] == "start" for u in r["units"]}
    verdicts = [(i, r["problem"]) for i, r in enumerate(logs) if r["kind"] == "unit"]
    assert len(verdicts) == 2 * COUNT + 1
    assert all(place[problem] < i for i, problem in verdicts)  # none had its verdict before it began


@pytest.mark.parametrize(
    ("name", "first"),
    [("DiesInCrowd", "the worker was killed by SIGSEGV"), ("LeavesInCrowd", "the worker left with exit code 3")],
)
def test_what_kills_its_worker_among_others_is_a_crash_and_no_other_is(
    run: Callable[..., store.Run], name: str, first: str
) -> None:
    told = bad(run(name))
    assert told["forward"][0] == "crash"
    assert told["forward"][2].startswith(first)
    assert told["grad_input"][0] == told["grad_weight"][0] == "pass"


def test_what_dies_among_others_and_passes_alone_depends_on_the_order(run: Callable[..., store.Run]) -> None:
    outcome, reason, message = bad(run("DiesInCrowdAfterOthers"))["forward"]
    assert (outcome, reason) == ("fail", "order-dependent")
    assert message.startswith("the worker was killed by SIGSEGV; asked again alone in a fresh process it passes")
    assert message.endswith(f"here {COUNT} other units were asked before it")


def test_what_is_wrong_among_others_and_passes_alone_keeps_what_was_asked_before(run: Callable[..., store.Run]) -> None:
    finished = run("WrongInCrowdAfterOthers")
    assert bad(finished)["forward"][:2] == ("fail", "order-dependent")
    detail = json.loads(finished.events.set_index("what").loc["asked again", "detail"])
    assert detail["asked"] == COUNT
    assert detail["last"] == [f"many/before@x.seed={seed} eager cpu" for seed in SEEDS]


def test_a_loss_in_the_gradients_is_held_against_the_gradients_alone(run: Callable[..., store.Run]) -> None:
    told = bad(run("GradsDieOnce"))
    assert told["forward"] == ("pass", "", "")
    assert {told[d][:2] for d in ("grad_input", "grad_weight")} == {("fail", "order-dependent")}


def test_an_answer_that_came_before_the_loss_is_not_asked_until_it_passes(run: Callable[..., store.Run]) -> None:
    told = bad(run("WrongThenDies"))
    assert told["forward"][:2] == ("fail", "order-dependent")
    assert {told[d][:2] for d in ("grad_input", "grad_weight")} == {("fail", "order-dependent")}


@pytest.mark.usefixtures("hurried")
def test_each_of_several_that_are_unsteady_is_asked_again_in_the_worker_that_gave_both_answers(
    many: Path, tmp_path: Path
) -> None:
    unsteady = "".join(
        f"  - {{id: bad{i}, operation: conv2d, x: [[7, 1, 5, {i}], [3, 9, 4, 6]], w: [[1, 2]]}}\n" for i in range(1, 5)
    )
    before, after = MANY.index("  - {id: bad"), MANY.index("  - {id: after")
    many.write_text(MANY[:before] + unsteady + MANY[after:], encoding="utf-8")
    finished = api.run(
        [many], ["WrongFirst"], adapters={"WrongFirst": "unsteady:WrongFirst"}, results=tmp_path / "results"
    )
    rows = finished.checks[finished.checks["outcome"] != "pass"]
    assert list(rows["case"]) == ["bad1", "bad2", "bad3", "bad4"]
    assert set(rows["reason"]) == {"determinism"}
    assert list(finished.events["what"]).count("recycled") == 1


def test_a_check_took_no_less_than_the_framework_took_for_it(run: Callable[..., store.Run]) -> None:
    checks = run("Crowded").checks
    assert (checks["total_seconds"] >= checks["seconds"]).all()


def test_a_worker_that_is_killed_from_outside_among_others_blames_nobody(run: Callable[..., store.Run]) -> None:
    finished = run("KilledInCrowdOnce")
    assert {told[0] for told in bad(finished).values()} == {"pass"}
    assert list(finished.events["what"]) == ["lost"]
    assert set(finished.events["problem"]) == {"many/bad"}


@pytest.mark.usefixtures("impatient")
def test_what_is_killed_from_outside_again_and_again_is_given_up(run: Callable[..., store.Run]) -> None:
    told = bad(run("KilledInCrowd"))
    assert told["forward"][0] == "crash"
    assert told["grad_input"][0] == told["grad_weight"][0] == "pass"


def test_one_that_prints_is_asked_by_itself_so_that_what_it_prints_is_its_own(run: Callable[..., store.Run]) -> None:
    finished = run("Chatters")
    told = finished.checks[finished.checks["case"] == "bad"].iloc[0]
    assert told["outcome"] == "error"
    assert told["stderr"].count("computing") == 1


def test_what_was_printed_by_one_among_others_says_so(run: Callable[..., store.Run]) -> None:
    finished = run("Complains")
    told = finished.checks[finished.checks["case"] == "bad"].iloc[0]
    assert "RuntimeError: no such kernel" in told["stderr"]
    assert "units asked in one go:\nit cannot be computed" in told["stderr"]


@pytest.fixture
def problems(many: Path) -> list[Problem]:
    return list(load_suite(many).problems())


@pytest.fixture
def large(many: Path) -> Problem:
    many.write_text(MANY + LARGE, encoding="utf-8")
    return list(load_suite(many).problems())[-1]


def test_units_go_together_while_the_framework_is_fast_and_fewer_when_it_is_slow(problems: list[Problem]) -> None:
    turns = Turns((Turn(problem, "eager", "cpu") for problem in problems), Preparation())
    sizes = []
    for seconds in (FAST / 2, FAST / 2, FAST / 2, FAST * 2, SLOW * 2, SLOW * 2, FAST / 2):
        sizes.append(len(taken := turns.take()))
        turns.learn(len(taken), seconds, silent=True)
    assert sizes == [1, 2, 4, 8, 8, 4, 2]
    turns.learn(4, 0.0, silent=False)
    assert len(turns.take()) == 1


def test_what_is_large_or_wants_a_worker_goes_by_itself(problems: list[Problem], large: Problem) -> None:
    small = problems[:8]
    alone = replace(problems[9], isolate=True)
    turns = Turns((Turn(p, "eager", "cpu") for p in [*small[:3], large, *small[3:5], alone, *small[5:]]), Preparation())
    turns.learn(1, 0.0, silent=True)
    turns.learn(2, 0.0, silent=True)
    taken = list(iter(turns.take, []))
    assert [[turn.problem.id for turn in some] for some in taken] == [
        [p.id for p in some] for some in (small[:3], [large], small[3:5], [alone], small[5:])
    ]


def test_what_has_a_large_output_is_not_small(problems: list[Problem]) -> None:
    wide = replace(problems[0], geometry=replace(problems[0].geometry, padding=((40, 40), (40, 40))))  # type: ignore[type-var]
    preparation = Preparation()
    assert Turn(problems[0], "eager", "cpu", prepared=preparation.get(problems[0])).small
    assert not Turn(wide, "eager", "cpu", prepared=Preparation().get(wide)).small


def test_looking_ahead_makes_ready_no_more_than_one_large_problem(large: Problem) -> None:
    source = iter([Turn(replace(large, id=f"many/large{place}"), "eager", "cpu") for place in range(9)])
    turns = Turns(source, Preparation())
    for count in (1, 2, 4):
        turns.learn(count, 0.0, silent=True)
    turns.look_ahead()
    turns.look_ahead()
    assert len(list(source)) == 8


def test_what_was_put_back_comes_first_and_by_itself_and_nothing_is_lost(problems: list[Problem]) -> None:
    turns = Turns((Turn(problem, "eager", "cpu") for problem in problems), Preparation())
    for count in (1, 2):
        turns.learn(count, 0.0, silent=True)
    taken = turns.take()
    turns.put_back([])
    turns.put_back(taken[1:])
    rest = list(iter(turns.take, []))
    assert [turn.problem.id for some in [taken[:1], *rest] for turn in some] == [p.id for p in problems]
    assert len(rest[0]) == 1


def test_putting_nothing_back_changes_nothing(problems: list[Problem]) -> None:
    turns = Turns((Turn(problem, "eager", "cpu") for problem in problems), Preparation())
    turns.learn(1, 0.0, silent=True)
    turns.put_back([])
    assert len(turns.take()) == 2


def test_problems_before_one_that_makes_no_sense_are_all_asked(problems: list[Problem]) -> None:
    def source() -> Iterator[Turn]:
        for problem in problems[:5]:
            yield Turn(problem, "eager", "cpu")
        raise CaseError("makes no sense", file="many.yaml")

    turns = Turns(source(), Preparation())
    turns.look_ahead()
    turns.look_ahead()
    assert sum(map(len, iter(turns.take, []))) == 5
    with pytest.raises(CaseError, match="makes no sense"):
        turns.check()
