"""The gate is strict both ways: what surprises it, what it exempts, and the exit code that follows."""

from __future__ import annotations

import json
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings, strategies as st

from crosscorrect import gate, store
from crosscorrect.gate import Ruling
from crosscorrect.model import Check, Direction, Exit, Outcome, Reason
from made_runs import check, finished

if TYPE_CHECKING:
    from pathlib import Path

PASS, FAIL, UNSUPPORTED, MISSING = Outcome.PASS, Outcome.FAIL, Outcome.UNSUPPORTED, Outcome.MISSING


def ruled(tmp_path: Path, checks: list[Check], expect: str = "[]", executed: str = "{}", **info: Any) -> Ruling:
    """What the gate says of a run of these checks under expectations written in YAML."""
    folder = tmp_path / "expectations"
    folder.mkdir()
    text = f'crosscorrect: 1\nframework: fw\nversions: "<2"\nexpect: {expect}\nexecuted: {executed}\n'
    (folder / "fw.yaml").write_text(text, encoding="utf-8")
    return gate.rule(store.load(finished(tmp_path / "run", checks, **info)), folder)


def entry(problems: str = "s/first", outcome: str = "unsupported", more: str = "") -> str:
    return f"[{{problems: {problems}, outcome: {outcome}, reason: known{more}}}]"


def only(ruling: Ruling) -> str:
    (finding,) = ruling.findings
    return finding


def test_a_run_in_which_all_pass_is_as_expected(tmp_path: Path) -> None:
    ruling = ruled(tmp_path, [check("s/first"), check("s/second")])
    assert ruling == Ruling([], [], passed=2, expected=0, total=2)
    assert ruling.exit is Exit.OK


@pytest.mark.parametrize("outcome", [o for o in Outcome if o not in (PASS, MISSING)])
def test_whatever_is_not_a_pass_and_not_expected_fails_the_gate_and_is_told(tmp_path: Path, outcome: Outcome) -> None:
    ruling = ruled(tmp_path, [check("s/first"), check("s/second", outcome=outcome, message="what happened")])
    assert ruling.exit is Exit.NOT_CONFORMANT
    assert only(ruling) == f"fw eager s/second forward: unexpected {outcome}: what happened"


def test_the_reason_of_a_failure_is_told(tmp_path: Path) -> None:
    row = check(outcome=FAIL, reason=Reason.BOUND_A, message="too far", direction=Direction.GRAD_BIAS)
    assert only(ruled(tmp_path, [row])) == "fw eager s/first grad_bias: unexpected fail (bound A): too far"


def test_what_is_expected_is_as_expected_and_counted_apart(tmp_path: Path) -> None:
    rows = [check("s/first", outcome=UNSUPPORTED, message="has no such thing"), check("s/second")]
    ruling = ruled(tmp_path, rows, entry(more=", message: no such"))
    assert ruling == Ruling([], [], passed=1, expected=1, total=2)
    assert ruling.exit is Exit.OK


def test_an_expected_failure_that_passes_now_fails_the_gate(tmp_path: Path) -> None:
    ruling = ruled(tmp_path, [check("s/first")], entry())
    assert only(ruling) == "fw eager s/first forward: passes, but fw.yaml:4 expects unsupported; remove the entry"
    assert ruling.exit is Exit.NOT_CONFORMANT


def test_another_outcome_than_the_expected_one_fails_the_gate(tmp_path: Path) -> None:
    ruling = ruled(tmp_path, [check(outcome=Outcome.CRASH, message="killed")], entry())
    assert only(ruling) == "fw eager s/first forward: crash where fw.yaml:4 expects unsupported: killed"


def test_another_message_than_the_expected_one_fails_the_gate(tmp_path: Path) -> None:
    ruling = ruled(tmp_path, [check(outcome=UNSUPPORTED, message="other words")], entry(more=", message: no such"))
    assert "the message is not the one fw.yaml:4 expects ('no such'): other words" in only(ruling)


def test_an_entry_that_no_check_meets_is_stale(tmp_path: Path) -> None:
    ruling = ruled(tmp_path, [check("s/first")], entry("s/gone*"))
    assert only(ruling) == "fw.yaml:4: stale, no check is s/gone* any more; remove the entry"
    assert ruling.exit is Exit.NOT_CONFORMANT


@pytest.mark.parametrize(
    "unasked",
    [
        entry("other/gone*"),
        entry("s/gone*", more=", modes: [compiled]"),
        entry("s/gone*", more=", devices: ['cuda:*']"),
    ],
)
def test_an_entry_about_what_was_not_run_is_not_stale(tmp_path: Path, unasked: str) -> None:
    assert ruled(tmp_path, [check("s/first")], unasked).exit is Exit.OK


def test_entries_for_other_versions_say_nothing(tmp_path: Path) -> None:
    ruling = ruled(tmp_path, [check("s/first")], entry(), versions={"fw": "2.0"})
    assert ruling.exit is Exit.OK


def test_fewer_executed_checks_than_the_expectations_ask_for_fail_the_gate(tmp_path: Path) -> None:
    rows = [check("s/first"), check("s/second", outcome=UNSUPPORTED)]
    ruling = ruled(tmp_path, rows, entry("s/second"), "{s: {eager: 2, compiled: 9}, other: {eager: 9}}")
    assert only(ruling) == "fw eager: 1 checks of suite s were executed, the expectations ask for 2"
    assert ruling.exit is Exit.NOT_CONFORMANT


def test_as_many_executed_checks_as_asked_for_and_more_are_as_expected(tmp_path: Path) -> None:
    assert ruled(tmp_path, [check("s/first"), check("s/second")], executed="{s: {eager: 1}}").exit is Exit.OK


def test_a_run_of_some_problems_is_not_asked_for_stale_entries_or_counts(tmp_path: Path) -> None:
    ruling = ruled(tmp_path, [check("s/first")], entry("s/gone*"), "{s: {eager: 9}}", filter=["s/first"])
    assert ruling.exit is Exit.OK


def test_a_shard_is_not_asked_for_stale_entries_or_counts_and_for_all_that_it_holds(tmp_path: Path) -> None:
    rows = [check("s/first"), check("s/second", outcome=FAIL)]
    ruling = ruled(tmp_path, rows, entry("s/gone*"), "{s: {eager: 9}}", shard="2/8", frameworks=["fw", "elsewhere"])
    assert only(ruling) == "fw eager s/second forward: unexpected fail"
    assert not ruling.missing


def test_a_run_of_some_problems_is_still_asked_for_failures_and_fixes(tmp_path: Path) -> None:
    rows = [check("s/first"), check("s/second", outcome=FAIL)]
    assert len(ruled(tmp_path, rows, entry(), filter=["s/*"]).findings) == 2


def test_a_framework_that_could_not_start_makes_the_run_incomplete_whatever_else(tmp_path: Path) -> None:
    rows = [check("s/first", outcome=FAIL), check("s/second", outcome=MISSING, message="cannot start")]
    ruling = ruled(tmp_path, rows)
    assert ruling.missing == ["fw s/second: cannot start"]
    assert ruling.exit is Exit.INCOMPLETE


def test_a_run_of_nothing_but_missing_checks_is_incomplete(tmp_path: Path) -> None:
    assert ruled(tmp_path, [check(outcome=MISSING)]).exit is Exit.INCOMPLETE


def test_a_framework_that_was_asked_for_and_left_no_check_makes_the_run_incomplete(tmp_path: Path) -> None:
    ruling = ruled(tmp_path, [check("s/first")], frameworks=["fw", "absent"])
    assert ruling.missing == ["absent"]
    assert only(ruling) == "absent: asked for, and no check of it in the run"
    assert ruling.exit is Exit.INCOMPLETE


def test_a_run_without_any_check_ran_nothing(tmp_path: Path) -> None:
    assert ruled(tmp_path, [], frameworks=["fw"]).exit is Exit.NOTHING_RAN


def test_every_framework_is_judged_by_its_own_expectations(tmp_path: Path) -> None:
    rows = [check("s/first", "fw", UNSUPPORTED), check("s/first", "other", UNSUPPORTED)]
    assert only(ruled(tmp_path, rows, entry())).startswith("other eager s/first")


COMPILED = "{s: {eager: 1, compiled: 1}}"


def offer(modes: str, note: str = "") -> list[dict[str, str]]:
    rows = [{"framework": "fw", "section": "offer", "key": "modes", "value": modes}]
    return rows + ([{"framework": "fw", "section": "note", "key": "0", "value": note}] if note else [])


def test_a_mode_that_was_asked_for_and_left_no_check_fails_the_gate(tmp_path: Path) -> None:
    ruling = ruled(tmp_path, [check()], executed=COMPILED, modes=[], env=offer("eager, compiled"))
    assert only(ruling) == "fw compiled: 0 checks of suite s were executed, the expectations ask for 1"


def test_a_mode_that_is_no_longer_offered_without_a_word_fails_the_gate(tmp_path: Path) -> None:
    assert ruled(tmp_path, [check()], executed=COMPILED, modes=[], env=offer("eager")).exit is Exit.NOT_CONFORMANT


def test_a_mode_that_this_machine_cannot_offer_is_noted_with_the_reason(tmp_path: Path) -> None:
    lack = "mode compiled is not offered: no compiler"
    ruling = ruled(tmp_path, [check()], executed=COMPILED, modes=[], env=offer("eager", lack))
    assert ruling.exit is Exit.OK
    assert len(ruling.notes) == 1
    assert ruling.notes[0].endswith(lack)


def test_a_mode_that_was_not_asked_for_is_not_missed(tmp_path: Path) -> None:
    assert ruled(tmp_path, [check()], executed=COMPILED, modes=["eager"]).exit is Exit.OK


def unfinished(tmp_path: Path, checks: list[Check], expect: str = "[]", executed: str = "{}") -> Ruling:
    """What the gate says of a run of these checks that was broken off."""
    folder = tmp_path / "expectations"
    folder.mkdir()
    text = f'crosscorrect: 1\nframework: fw\nversions: "<2"\nexpect: {expect}\nexecuted: {executed}\n'
    (folder / "fw.yaml").write_text(text, encoding="utf-8")
    run = store.load(finished(tmp_path / "run", checks, frameworks=["fw", "later"], sealed=False))
    return gate.rule(run, folder)


@pytest.mark.parametrize("rows", [[], [check("s/first")], [check("s/first", outcome=FAIL)]])
def test_an_unfinished_run_is_incomplete_whatever_it_holds(tmp_path: Path, rows: list[Check]) -> None:
    ruling = unfinished(tmp_path, rows)
    assert ruling.exit is Exit.INCOMPLETE
    assert ruling.missing == ["the run was not finished"]
    assert len(ruling.findings) == sum(row.outcome is FAIL for row in rows)


def test_an_unfinished_run_is_not_asked_for_what_it_had_no_time_for(tmp_path: Path) -> None:
    assert not unfinished(tmp_path, [check("s/first")], entry("s/gone*"), "{s: {eager: 9}}").findings


def test_checks_that_differ_in_the_problem_only_have_one_cause_and_keep_their_sentences(tmp_path: Path) -> None:
    rows = [check(f"s/m{n}", outcome=MISSING, message="cannot start") for n in range(3)]
    rows += [check(f"s/f{n}", outcome=FAIL, message="wrong") for n in range(2)]
    rows += [check("s/f9", outcome=FAIL, message="wrong otherwise")]
    ruling = ruled(tmp_path, rows)
    assert [(c.missing, c.says, c.problems) for c in ruling.causes] == [
        (True, "cannot start", ["s/m0", "s/m1", "s/m2"]),
        (False, "unexpected fail: wrong", ["s/f0", "s/f1"]),
        (False, "unexpected fail: wrong otherwise", ["s/f9"]),
    ]
    assert [s for c in ruling.causes if c.missing for s in c.sentences] == ruling.missing
    assert [s for c in ruling.causes if not c.missing for s in c.sentences] == ruling.findings


def test_of_what_passes_and_is_spoken_of_by_no_entry_nothing_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [check(f"s/sweep@x.seed={n}") for n in range(500)]
    rows += [check("s/known", outcome=UNSUPPORTED), check("s/known@x=1"), check("s/wrong", outcome=FAIL)]
    looked: list[str] = []
    real = gate._rule_row
    monkeypatch.setattr(gate, "_rule_row", lambda row, *rest: (looked.append(row["problem"]), real(row, *rest)))
    ruling = ruled(tmp_path, rows, entry("s/known*"), "{s: {eager: 503}}")
    assert looked == ["s/known", "s/known@x=1", "s/wrong"]
    assert (ruling.passed, ruling.expected, ruling.total) == (500, 1, 503)
    assert [finding.partition(":")[0] for finding in ruling.findings] == [
        "fw eager s/known@x=1 forward",
        "fw eager s/wrong forward",
        "fw eager",
    ]


PATTERNS = ["s/a", "s/a@*", "s/*", "s/?*", "s/b@x=[12]*", "t/*", "s/a@x=1", "s/?@x=3", "s/b@y=3"]
PROBLEMS = ["s/a", "s/a@x=1", "s/b@x=2", "s/b@x=3", "t/a"]


@given(
    patterns=st.lists(st.sampled_from(PATTERNS), max_size=4),
    checks=st.lists(
        st.tuples(st.sampled_from(PROBLEMS), st.sampled_from([PASS, FAIL, MISSING])),
        min_size=1,
        max_size=12,
    ),
)
@settings(max_examples=25)
def test_a_ruling_is_what_a_look_at_each_row_and_each_entry_gives(
    tmp_path_factory: pytest.TempPathFactory, patterns: list[str], checks: list[tuple[str, Outcome]]
) -> None:
    folder = tmp_path_factory.mktemp("ruled")
    rows = [check(problem, outcome=outcome) for problem, outcome in checks]
    ruling = ruled(folder, rows, yaml_entries(patterns), filter=["chosen"])
    covered = [any(fnmatchcase(row.problem, pattern) for pattern in patterns) for row in rows]
    missing = [row.outcome is MISSING for row in rows]
    right = [row.outcome is (FAIL if known else PASS) for row, known in zip(rows, covered, strict=True)]
    assert len(ruling.missing) == sum(missing)
    assert len(ruling.findings) == sum(not ok and not gone for ok, gone in zip(right, missing, strict=True))
    assert ruling.passed == sum(ok and not known for ok, known in zip(right, covered, strict=True))
    assert ruling.expected == sum(ok and known for ok, known in zip(right, covered, strict=True))


def yaml_entries(patterns: list[str]) -> str:
    return json.dumps([{"problems": pattern, "outcome": "fail", "reason": "known"} for pattern in patterns])
