"""What a run says while it goes on: totals as far as they can be told, and no more lines than a person can read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from crosscorrect.cli import progress as module
from crosscorrect.cli.progress import Progress
from crosscorrect.model import Check, Outcome
from crosscorrect.plan import Greeting, Plan
from crosscorrect.registry import locate
from crosscorrect.selection import Selection
from crosscorrect.suite import load_suite
from made_runs import check

if TYPE_CHECKING:
    from pathlib import Path

PAIR = {"operation": "conv2d", "x": {"fill": "normal", "shape": [5, 4]}, "w": {"fill": "normal", "shape": [2, 3]}}
HELLO = {"versions": {"numpy": "2.0"}, "modes": ["eager", "compiled"], "spellings": ["native", "apart"]}


def selection(folder: Path, cases: list[dict[str, Any]], **more: Any) -> Selection:
    path = folder / "s.yaml"
    said = [{"id": f"c{number}", **PAIR, **case} for number, case in enumerate(cases)]
    path.write_text(json.dumps({"crosscorrect": 1, "suite": "s", "cases": said}), encoding="utf-8")
    return Selection([load_suite(path)], **more)


def said(capsys: pytest.CaptureFixture[str], plan: Plan, greeting: Greeting, checks: list[Check]) -> list[str]:
    """The lines on standard error, which is no terminal here."""
    with Progress() as shown:
        shown.hear(plan, None)
        shown.hear(plan, greeting)
        for row in checks:
            shown.hear(plan, row)
    return capsys.readouterr().err.splitlines()


def started(capsys: pytest.CaptureFixture[str], chosen: Any, *, hello: bool = True, **plan: Any) -> str:
    """What is said of how many checks there are."""
    greeting = Greeting("numpy", HELLO if hello else None, "" if hello else "not here")
    return said(capsys, Plan(chosen, [locate("numpy")], **plan), greeting, [])[0]


CASES = [
    {"sweep": {"x.seed": list(range(40))}, "directions": ["forward", "grad_input"]},
    {"only": ["torch"]},
    {"modes": ["compiled"]},
    {"sweep": {"spelling": ["native", "apart", "module"]}},
]


@pytest.mark.parametrize(
    ("plan", "count"),
    [
        ({}, 40 * 2 + 2),
        ({"modes": ("compiled",)}, 40 * 2 + 1 + 2),
        ({"modes": ()}, 40 * 4 + 1 + 4),
        ({"devices": ("cpu", "cuda:0")}, 2 * (40 * 2 + 2)),
    ],
)
def test_the_checks_of_a_framework_are_counted_by_what_it_offers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], plan: dict[str, Any], count: int
) -> None:
    chosen = selection(tmp_path, CASES)
    assert started(capsys, chosen, **plan).startswith(f"numpy: started, {count} checks: numpy 2.0")
    assert started(capsys, list(chosen), **plan).startswith(f"numpy: started, {count} checks: numpy 2.0")


def test_a_framework_that_is_missing_has_the_checks_that_every_one_has(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert started(capsys, selection(tmp_path, CASES), hello=False) == "numpy: missing, 81 checks: not here"


def test_a_large_sweep_over_data_is_counted_exactly_and_one_over_sizes_is_estimated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seeds, sizes = list(range(1000)), [{"fill": "normal", "shape": [9, n], "label": f"n{n}"} for n in range(5, 305)]
    data = selection(tmp_path, [{"sweep": {"x.seed": seeds, "w.seed": seeds}}])
    assert started(capsys, data).startswith("numpy: started, 1000000 checks: ")
    many = selection(tmp_path, [{"sweep": {"x": sizes, "geometry.padding": list(range(50))}}])
    assert started(capsys, many).startswith("numpy: started, about 15000 checks: ")


def test_what_takes_a_look_at_a_million_problems_is_not_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seeds = list(range(1000))
    chosen = selection(tmp_path, [{"sweep": {"x.seed": seeds, "w.seed": seeds}}], only=["*x.seed=7,*"])
    assert started(capsys, chosen).startswith("numpy: started: numpy 2.0")


def test_surprises_get_a_line_each_up_to_a_number_and_then_one_that_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST", 3)
    plan = Plan(selection(tmp_path, CASES), [locate("numpy")])
    rows = [check(f"s/c{n}", "numpy", Outcome.FAIL, message=f"wrong {n}") for n in range(9)]
    rows += [check("s/fine", "numpy")]
    lines = said(capsys, plan, Greeting("numpy", HELLO), rows)
    assert [line for line in lines if "wrong" in line] == [
        f"numpy eager s/c{n} forward: fail, wrong {n}" for n in range(3)
    ]
    assert sum("more than 3 checks are not as expected; the report has them all" in line for line in lines) == 1


def test_of_those_with_one_outcome_and_message_three_are_told_and_once_that_there_are_more(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = Plan(selection(tmp_path, CASES), [locate("numpy")])
    refused = [check(f"s/c{n}", "numpy", Outcome.UNSUPPORTED, message="no such dtype") for n in range(125)]
    others = [check(f"s/d{n}", "numpy", Outcome.ERROR, message="no such dtype") for n in range(3)]
    wrong = [check(f"s/e{n}", "numpy", Outcome.FAIL, message=f"wrong {n}") for n in range(5)]
    lines = said(capsys, plan, Greeting("numpy", HELLO), [*refused[:60], *others, *wrong, *refused[60:]])
    assert lines[2:14] == [
        *(f"numpy eager s/c{n} forward: unsupported, no such dtype" for n in range(3)),
        "numpy: … and more like it: unsupported, no such dtype",
        *(f"numpy eager s/d{n} forward: error, no such dtype" for n in range(3)),
        *(f"numpy eager s/e{n} forward: fail, wrong {n}" for n in range(5)),
    ]
    assert lines[14:] == [lines[-1]], "the last line counts them all"
    assert "125 unsupported" in lines[-1]


def test_what_is_told_once_more_does_not_use_up_the_lines_of_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST", 6)
    plan = Plan(selection(tmp_path, CASES), [locate("numpy")])
    rows = [check(f"s/c{n}", "numpy", Outcome.UNSUPPORTED, message="no such dtype") for n in range(50)]
    rows.append(check("s/late", "numpy", Outcome.FAIL, message="25 is right"))
    lines = said(capsys, plan, Greeting("numpy", HELLO), rows)
    assert "numpy eager s/late forward: fail, 25 is right" in lines


def test_a_run_that_is_resumed_says_what_was_judged_before_and_its_bar_begins_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = Plan(selection(tmp_path, CASES), [locate("numpy")])
    lines = said(capsys, plan, Greeting("numpy", HELLO, done=40), [check("s/c0", "numpy")])
    assert lines[0].startswith("numpy: started, 82 checks, 40 of them judged before: numpy 2.0")
    assert lines[-1].startswith("numpy: 41/82")
