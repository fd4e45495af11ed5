"""Two runs beside each other: each check is told once, by what became of it, and the exit code says the worst."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings, strategies as st

from crosscorrect import beside, store
from crosscorrect.changes import Changes, Kind
from crosscorrect.model import Check, Exit, Outcome, Reason
from crosscorrect.speed.model import Speed
from made_runs import check, finished
from simulated import JAX, finished as timed, machine

if TYPE_CHECKING:
    from pathlib import Path

PASS, FAIL, UNSUPPORTED, CRASH, ERROR = Outcome.PASS, Outcome.FAIL, Outcome.UNSUPPORTED, Outcome.CRASH, Outcome.ERROR
SUITES = [{"name": "s", "title": "S", "file": "s.yaml", "digest": "d"}]


def compared(
    tmp_path: Path,
    then: list[Check],
    now: list[Check],
    expect: str = "[]",
    info: tuple[dict[str, Any], dict[str, Any]] = ({}, {}),
) -> Changes:
    """What changed between two runs of these checks, with the expectations of ``fw`` in YAML."""
    folder = tmp_path / "expectations"
    folder.mkdir(exist_ok=True)
    text = f'crosscorrect: 1\nframework: fw\nversions: ""\nexpect: {expect}\n'
    (folder / "fw.yaml").write_text(text, encoding="utf-8")
    folders = [
        finished(tmp_path / name, rows, **more)
        for name, rows, more in zip(("then", "now"), (then, now), info, strict=True)
    ]
    base, run = map(store.load, folders)
    return beside.compare(run, base, folder)


def kinds(changes: Changes) -> dict[str, int]:
    return {str(kind): count for kind, count in changes.counts.items() if count}


def test_a_run_beside_itself_has_no_change(tmp_path: Path) -> None:
    rows = [check("s/one"), check("s/two", outcome=FAIL, reason=Reason.VALUE, message="25 is right")]
    run = store.load(finished(tmp_path / "run", rows))
    changes = beside.compare(run, run)
    assert (kinds(changes), changes.exit, changes.any) == ({"unchanged": 2}, Exit.OK, False)
    assert (changes.around, changes.groups(*Kind)) == ([], [])


@pytest.mark.parametrize(
    ("then", "now", "kind", "code"),
    [
        (PASS, FAIL, Kind.REGRESSED, Exit.NOT_CONFORMANT),
        (PASS, UNSUPPORTED, Kind.REGRESSED, Exit.NOT_CONFORMANT),
        (PASS, Outcome.MISSING, Kind.REGRESSED, Exit.NOT_CONFORMANT),
        (UNSUPPORTED, FAIL, Kind.REGRESSED, Exit.NOT_CONFORMANT),
        (UNSUPPORTED, ERROR, Kind.REGRESSED, Exit.NOT_CONFORMANT),
        (FAIL, CRASH, Kind.CHANGED, Exit.OK),
        (FAIL, UNSUPPORTED, Kind.CHANGED, Exit.OK),
        (FAIL, PASS, Kind.FIXED, Exit.OK),
        (UNSUPPORTED, PASS, Kind.FIXED, Exit.OK),
        (FAIL, FAIL, Kind.UNCHANGED, Exit.OK),
    ],
)
def test_an_outcome_that_got_worse_regressed_and_any_other_is_no_alarm(
    tmp_path: Path, then: Outcome, now: Outcome, kind: Kind, code: Exit
) -> None:
    changes = compared(tmp_path, [check(outcome=then)], [check(outcome=now)])
    assert (kinds(changes), changes.exit) == ({str(kind): 1}, code)


@pytest.mark.parametrize(
    ("then", "now", "kind"),
    [
        ({"reason": Reason.VALUE}, {"reason": Reason.SHAPE}, Kind.CHANGED),
        ({"diagnosis": "the kernel is flipped (4 of 4)"}, {"diagnosis": "the bias is ignored (4 of 4)"}, Kind.CHANGED),
        (
            {"diagnosis": "the kernel is flipped (4 of 4)"},
            {"diagnosis": "the kernel is flipped (9 of 9)"},
            Kind.UNCHANGED,
        ),
        ({"message": "at (0, 1) 25 is right"}, {"message": "at (3, 1) 7.5e-3 is right"}, Kind.UNCHANGED),
    ],
)
def test_a_failure_changed_where_its_reason_or_cause_did_and_not_where_its_numbers_did(
    tmp_path: Path, then: dict[str, Any], now: dict[str, Any], kind: Kind
) -> None:
    changes = compared(tmp_path, [check(outcome=FAIL, **then)], [check(outcome=FAIL, **now)])
    assert kinds(changes) == {str(kind): 1}


@pytest.mark.parametrize(
    ("then", "now", "kind"),
    [
        ("no such operator at 0x7f12a0", "no such operator at 0x99aa", Kind.UNCHANGED),
        ("no such operator", "the device is lost", Kind.CHANGED),
        ("TF32 is on", "TF16 is on", Kind.CHANGED),
    ],
)
def test_an_error_with_another_message_changed_unless_only_its_numbers_differ(
    tmp_path: Path, then: str, now: str, kind: Kind
) -> None:
    changes = compared(tmp_path, [check(outcome=ERROR, message=then)], [check(outcome=ERROR, message=now)])
    assert kinds(changes) == {str(kind): 1}


def test_a_regression_that_the_expectations_list_is_known_and_no_alarm(tmp_path: Path) -> None:
    now = [check("s/one", outcome=FAIL), check("s/two")]
    expect = "[{problems: s/one, outcome: fail, reason: a known defect, url: 'https://example.org/1'}]"
    changes = compared(tmp_path, [check("s/one"), check("s/two")], now, expect)
    assert (kinds(changes), changes.known, changes.exit) == ({"regressed": 1, "unchanged": 1}, 1, Exit.OK)
    (group,) = changes.groups(Kind.REGRESSED)
    assert group.entry is not None
    assert (group.entry.reason, group.entry.url) == ("a known defect", "https://example.org/1")


def test_an_expectation_of_another_outcome_excuses_nothing(tmp_path: Path) -> None:
    expect = "[{problems: s/one, outcome: unsupported, reason: it refuses}]"
    changes = compared(tmp_path, [check("s/one")], [check("s/one", outcome=FAIL)], expect)
    assert (changes.known, changes.exit) == (0, Exit.NOT_CONFORMANT)


def test_what_was_asked_for_and_is_gone_vanished_and_is_incomplete(tmp_path: Path) -> None:
    changes = compared(tmp_path, [check("s/one"), check("s/two")], [check("s/one")])
    assert (kinds(changes), changes.exit) == ({"vanished": 1, "unchanged": 1}, Exit.INCOMPLETE)


def test_what_came_is_told_and_is_no_alarm_even_if_it_fails(tmp_path: Path) -> None:
    changes = compared(tmp_path, [check("s/one")], [check("s/one"), check("s/two", outcome=FAIL)])
    assert (kinds(changes), changes.exit) == ({"appeared": 1, "unchanged": 1}, Exit.OK)
    assert changes.newcomers == 1


def test_what_came_and_passes_or_is_as_the_expectations_say_needs_no_mention(tmp_path: Path) -> None:
    now = [check("s/one"), check("s/two"), check("s/three", outcome=FAIL), check("s/four", outcome=UNSUPPORTED)]
    expect = "[{problems: s/three, outcome: fail, reason: a known defect}]"
    changes = compared(tmp_path, [check("s/one")], now, expect)
    assert (kinds(changes), changes.newcomers) == ({"appeared": 3, "unchanged": 1}, 1)
    known = [group for group in changes.groups(Kind.APPEARED) if group.entry is not None]
    assert [group.problems for group in known] == [["s/three"]]


OTHER_SUITE = [{**SUITES[0], "digest": "other"}]


@pytest.mark.parametrize(
    ("more", "now", "kind", "why", "code"),
    [
        (
            {"frameworks": ["gw"]},
            check(framework="gw"),
            Kind.ONLY_THEN,
            "framework fw was not asked for",
            Exit.NOTHING_RAN,
        ),
        (
            {"modes": ["compiled"]},
            check(mode="compiled"),
            Kind.ONLY_THEN,
            "mode eager was not asked for",
            Exit.NOTHING_RAN,
        ),
        (
            {"devices": ["cuda:0"]},
            check(device="cuda:0"),
            Kind.ONLY_THEN,
            "device cpu was not asked for",
            Exit.NOTHING_RAN,
        ),
        (
            {"suites": [{**SUITES[0], "name": "t"}]},
            check("t/x"),
            Kind.ONLY_THEN,
            "suite s was not asked for",
            Exit.NOTHING_RAN,
        ),
        ({"level": "smoke"}, check("s/x"), Kind.ONLY_THEN, "another level", Exit.NOTHING_RAN),
        ({"filter": ["s/x"]}, check("s/x"), Kind.ONLY_THEN, "another filter", Exit.NOTHING_RAN),
        ({"shard": "1/2"}, check("s/x"), Kind.ONLY_THEN, "another shard", Exit.NOTHING_RAN),
        ({"suites": OTHER_SUITE}, check("s/x"), Kind.VANISHED, "the suite s was changed", Exit.NOTHING_RAN),
        ({"modes": []}, check("s/x"), Kind.VANISHED, "", Exit.INCOMPLETE),
        ({"sealed": False}, check("s/x"), Kind.VANISHED, "the run is not finished", Exit.INCOMPLETE),
    ],
)
def test_what_one_run_was_not_asked_for_is_told_apart_from_what_vanished(
    tmp_path: Path, more: dict[str, Any], now: Check, kind: Kind, why: str, code: Exit
) -> None:
    changes = compared(tmp_path, [check("s/one")], [now], info=({"suites": SUITES}, {"suites": SUITES, **more}))
    (group,) = changes.groups(Kind.ONLY_THEN, Kind.VANISHED)
    assert (group.kind, group.why, changes.exit) == (kind, why, code)


@pytest.mark.parametrize("more", [{"level": "smoke"}, {"modes": ["compiled"]}, {"frameworks": ["gw"]}])
def test_the_other_way_round_it_is_only_asked_now(tmp_path: Path, more: dict[str, Any]) -> None:
    changes = compared(tmp_path, [check("s/x", framework="gw", mode="compiled")], [check("s/one")], info=(more, {}))
    (group,) = changes.groups(Kind.ONLY_NOW)
    assert (group.then, group.now) == (("", ""), ("pass", ""))


def test_a_base_that_was_cut_short_says_why_checks_appeared(tmp_path: Path) -> None:
    changes = compared(tmp_path, [check("s/x")], [check("s/x"), check("s/one")], info=({"sealed": False}, {}))
    (group,) = changes.groups(Kind.APPEARED)
    assert group.why == "the base is not finished"


def test_a_thousand_checks_with_one_cause_are_one_group_whichever_bound_found_it(tmp_path: Path) -> None:
    then = [check(f"s/x@i={i}") for i in range(1000)]
    now = [
        check(
            f"s/x@i={i}",
            outcome=FAIL,
            reason=(Reason.BOUND_A, Reason.EXACTNESS)[i % 2],
            message=f"{i} is wrong",
            diagnosis=f"the kernel is flipped (all {i})",
        )
        for i in range(1000)
    ]
    (group,) = compared(tmp_path, then, now).groups(*Kind)
    assert (len(group), group.cause, group.now) == (1000, "the kernel is flipped", ("fail", "bound A, exactness"))
    assert group.problems[:2] == ["s/x@i=0", "s/x@i=1"]


def test_failures_with_no_cause_are_told_apart_by_their_reason(tmp_path: Path) -> None:
    then = [check("s/one"), check("s/two"), check("s/three", framework="gw")]
    now = [
        check("s/one", outcome=FAIL, reason=Reason.BOUND_A),
        check("s/two", outcome=FAIL, reason=Reason.SHAPE),
        check("s/three", framework="gw", outcome=FAIL, reason=Reason.SHAPE),
    ]
    groups = compared(tmp_path, then, now).groups(Kind.REGRESSED)
    assert {(group.framework, group.now[1]) for group in groups} == {
        ("fw", "bound A"),
        ("fw", "shape"),
        ("gw", "shape"),
    }


def test_other_bits_of_an_unchanged_verdict_are_counted_with_how_the_error_moved(tmp_path: Path) -> None:
    then = [check(f"s/{i}", output_digest="a", ratio=0.5) for i in range(4)]
    now = [
        check("s/0", output_digest="a", ratio=0.5),
        check("s/1", output_digest="b", ratio=0.75),
        check("s/2", output_digest="b", ratio=0.25),
        check("s/3", output_digest="b", ratio=0.5, input_digest="other data"),
    ]
    changes = compared(tmp_path, then, now)
    (bits,) = changes.bits
    assert (bits.compared, bits.other, bits.larger, bits.smaller) == (3, 2, 1, 1)
    assert (bits.then, bits.now, bits.problem) == (0.5, 0.75, "s/1")
    assert (changes.exit, changes.any) == (Exit.OK, False)


def test_what_else_differs_is_told_with_versions_first(tmp_path: Path) -> None:
    folders = [
        finished(
            tmp_path / name,
            [check()],
            {"fw": version},
            env=[
                {"framework": "fw", "section": "switch", "key": "OMP_NUM_THREADS", "value": threads},
                {"framework": "fw", "section": "start", "key": "import_seconds", "value": threads},
                {"framework": "fw", "section": "note", "key": "0", "value": "alike"},
            ],
            suites=[{**SUITES[0], "digest": version}],
            sources={"fw": "one"},
            seed=int(threads),
        )
        for name, version, threads in (("then", "1.9", "1"), ("now", "2.0", "2"))
    ]
    base, run = map(store.load, folders)
    told = [(one.what, one.framework, one.key, one.then, one.now) for one in beside.compare(run, base).around]
    assert told == [
        ("version", "fw", "fw", "1.9", "2.0"),
        ("suite", "", "s", "1.9", "2.0"),
        ("asked", "", "seed", "1", "2"),
        ("switch", "fw", "OMP_NUM_THREADS", "1", "2"),
    ]


def test_nothing_is_told_of_the_environment_of_a_framework_that_only_one_run_has(tmp_path: Path) -> None:
    then, now = [check(framework="fw")], [check(framework="gw")]
    told = compared(tmp_path, then, now).around
    assert [(one.what, one.key) for one in told] == [("asked", "frameworks")]


OUTCOMES = st.sampled_from([None, *Outcome])


@settings(max_examples=10)
@given(st.lists(st.tuples(OUTCOMES, OUTCOMES), min_size=1, max_size=8), st.booleans())
def test_every_check_of_either_run_is_of_one_kind_and_backwards_nothing_is_lost(
    tmp_path_factory: pytest.TempPathFactory, pairs: list[tuple[Outcome | None, Outcome | None]], renamed: bool
) -> None:
    folder = tmp_path_factory.mktemp("runs")
    sides: list[list[Check]] = [[check("s/always")], [check("s/always", framework="gw" if renamed else "fw")]]
    for number, outcomes in enumerate(pairs):
        for side, outcome in zip(sides, outcomes, strict=True):
            side.extend([] if outcome is None else [check(f"s/{number}", outcome=outcome)])
    base, run = (store.load(finished(folder / name, rows)) for name, rows in zip(("a", "b"), sides, strict=True))
    there, back = beside.compare(run, base), beside.compare(base, run)
    keys = {(row.problem, row.framework) for side in sides for row in side}
    assert sum(there.counts.values()) == sum(back.counts.values()) == len(keys)
    assert sum(len(group) for group in there.groups(*Kind)) == len(there.table)
    for one, other in ((Kind.VANISHED, Kind.APPEARED), (Kind.ONLY_THEN, Kind.ONLY_NOW)):
        assert (there.counts[one], there.counts[other]) == (back.counts[other], back.counts[one])
    assert there.unchanged == back.unchanged


@pytest.mark.parametrize(("ratio", "speed", "code"), [(1.0, Speed.SLOWER, Exit.SLOWER), (0.6, Speed.FASTER, Exit.OK)])
def test_of_timed_runs_the_speeds_are_compared_with_their_intervals(
    tmp_path: Path, ratio: float, speed: Speed, code: Exit
) -> None:
    base = store.load(timed(tmp_path, "then", machine({JAX: 0.8}, seed=1, process=0.004)))
    run = store.load(timed(tmp_path, "now", machine({JAX: ratio}, seed=2, process=0.004)))
    changes = beside.compare(run, base)
    found = {change.names.framework: change for change in changes.speed}
    assert found["jax"].speed is speed
    assert found["jax"].low is not None
    assert found["jax"].high is not None
    assert found["jax"].low < ratio / 0.8 < found["jax"].high
    assert (changes.exit, changes.compared) == (code, 0)  # these made-up runs have no checks: only speeds in common


def test_a_timed_run_beside_one_that_is_none_says_why_no_speed_is_compared(tmp_path: Path) -> None:
    base = store.load(finished(tmp_path / "plain", [check()]))
    run = store.load(timed(tmp_path, "timed", machine({JAX: 0.8})))
    changes = beside.compare(run, base)
    assert changes.speed == []
    assert "plain is no timed run" in changes.untold


def test_timed_runs_in_which_nothing_was_fit_say_that_no_speed_is_compared(tmp_path: Path) -> None:
    base, run = (store.load(timed(tmp_path, name, machine({JAX: 0.8}, waiting={JAX: 0.9}))) for name in ("a", "b"))
    for one in (base, run):
        one.measurements["complaint"] = "waited"
    changes = beside.compare(run, base)
    assert (changes.speed, changes.untold[:25]) == ([], "neither run tells a speed")


def test_who_became_wrong_while_it_was_timed_is_not_conformant(tmp_path: Path) -> None:
    base = store.load(timed(tmp_path, "then", machine({JAX: 0.8}, seed=1)))
    run = store.load(timed(tmp_path, "now", machine({JAX: 0.8}, seed=2)))
    assert beside.compare(run, base).wrong == []
    run.verdicts.loc[run.verdicts["framework"] == "jax", ["speed", "message"]] = ["wrong", "wrong when timed: fail"]
    changes = beside.compare(run, base)
    assert (changes.wrong, changes.exit) == (
        [(("p", "forward", "jax", "eager", "cpu"), "wrong when timed: fail")],
        Exit.NOT_CONFORMANT,
    )
    assert beside.compare(base, run).wrong == []


def test_a_run_json_without_what_a_plan_says_is_compared_all_the_same(tmp_path: Path) -> None:
    folder = finished(tmp_path / "run", [check()], sealed=False)
    info = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    kept = {key: info[key] for key in ("schema", "crosscorrect", "run", "finished", "frameworks")}
    (folder / "run.json").write_text(json.dumps(kept), encoding="utf-8")
    other = store.load(finished(tmp_path / "other", [check()]))
    assert kinds(beside.compare(store.load(folder), other)) == {"unchanged": 1}
    assert kinds(beside.compare(other, store.load(folder))) == {"unchanged": 1}
