"""Parts of the page: what the heat-map, the figure of errors, the support matrix and the page's data say of a run."""

from __future__ import annotations

import base64
import json
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, strategies as st

from crosscorrect import gate, store
from crosscorrect.model import Check, Direction, Outcome, Reason
from crosscorrect_reports import commands, frames, page, payload, scatter
from crosscorrect_reports.heat import heat
from crosscorrect_reports.scatter import errors
from crosscorrect_reports.support import support
from made_runs import check, finished

if TYPE_CHECKING:
    from pathlib import Path


def made(folder: Path, *rows: Check, **info: Any) -> store.Run:
    return store.load(finished(folder / "run", rows, **info))


def unpacked(run: store.Run) -> dict[str, Any]:
    text = payload.payload(run, frames.judged(run)).text
    told: dict[str, Any] = json.loads(zlib.decompress(base64.b64decode(text), -zlib.MAX_WBITS))
    return told


def failed(problem: str, **changed: Any) -> Check:
    return check(problem, outcome=Outcome.FAIL, reason=Reason.VALUE, message="wrong", **changed)


@pytest.mark.parametrize(
    ("checks", "mark", "look"),
    [
        ([{"ratio": 0.0}], "=", "h0"),
        ([{"ratio": 0.01}], "·", "h1"),
        ([{"ratio": 0.0}, {"ratio": 0.05}], ":", "h2"),
        ([{"ratio": 1.0}], "∴", "h3"),
        ([{"tier": "invalid"}], "✔", "pass"),  # a refusal that had to be: no bits are the same there
        ([{"ratio": 0.5}, {"outcome": Outcome.UNSUPPORTED}], "∅", "unsupported"),
        ([{"outcome": Outcome.UNSUPPORTED}, {"outcome": Outcome.CRASH}], "↯", "crash"),
        ([{"outcome": Outcome.FAIL, "ratio": np.inf}], "✘", "fail"),
    ],
)
def test_a_cell_of_the_heat_map_tells_the_gravest_outcome_or_how_near_the_bound_passes_came(
    tmp_path: Path, checks: list[dict[str, Any]], mark: str, look: str
) -> None:
    run = made(tmp_path, *(check(f"s/c@n={n}", **changed) for n, changed in enumerate(checks)))
    (line,) = heat(run, frames.judged(run)).lines
    (cell,) = line.cells
    assert cell is not None
    assert (cell.mark, cell.look) == (mark, look)


def test_the_heat_map_sets_frameworks_side_by_side_in_the_order_of_the_run_under_each_dtype(tmp_path: Path) -> None:
    rows = [check("s/a", f, dtype=d, ratio=0.0) for d in ("float32", "float64") for f in ("b", "a")]
    rows += [check("s/a", "b", dtype="float32", direction=Direction.GRAD_INPUT, ratio=0.0)]
    found = heat(run := made(tmp_path, *rows), frames.judged(run))
    assert [(dtype, direction, name) for name, dtype, direction in found.columns] == [
        ("float32", "forward", "b"), ("float32", "forward", "a"), ("float32", "grad_input", "b"),
        ("float64", "forward", "b"), ("float64", "forward", "a"),
    ]  # fmt: skip
    assert found.heads == [("float32 forward", 2), ("float32 grad_input", 1), ("float64 forward", 2)]


def test_a_case_with_more_to_look_at_weighs_more(tmp_path: Path) -> None:
    rows = [check("s/exact", ratio=0.0), check("s/near", ratio=0.9), check("s/far", ratio=0.1), failed("s/wrong")]
    run = made(tmp_path, *rows)
    lines = sorted(heat(run, frames.judged(run)).lines, key=lambda line: -line.weight)
    assert [line.case for line in lines] == ["wrong", "near", "far", "exact"]


@given(st.lists(st.tuples(st.floats(5e-324, 1.7e308), st.floats(5e-324, 1.7e308)), min_size=1, max_size=12))
def test_any_errors_and_bounds_can_be_drawn(pairs: list[tuple[float, float]]) -> None:
    import pandas as pd
    from matplotlib.figure import Figure

    table = pd.DataFrame({"framework": "torch", "error": [e for e, _ in pairs], "ratio": [r for _, r in pairs]})
    axes = Figure().add_subplot()
    scatter._panel(axes, table, "float32", ["torch"])
    axes.figure.canvas.draw()
    (drawn,) = [line for line in axes.lines if line.get_label() == "torch"]
    at = drawn.get_xydata()
    # a mark stays on its side of the line, wherever it is moved; a 24th of a decade is one mark
    step = 10 ** (1 / scatter.STEPS)
    assert all(np.isfinite(at).ravel())
    if all(ratio > 1 for _, ratio in pairs):
        assert (at[:, 1] >= at[:, 0] / step).all()
    if all(ratio <= 1 for _, ratio in pairs):
        assert (at[:, 1] <= at[:, 0] * step).all()


def test_a_failure_far_out_stays_above_the_line() -> None:
    import pandas as pd
    from matplotlib.figure import Figure

    ordinary = [(1e-6 * (1 + n / 2000), 0.1) for n in range(2000)]
    table = pd.DataFrame([*ordinary, (1e-13, 1e7)], columns=["error", "ratio"]).assign(framework="torch")
    axes = Figure().add_subplot()
    scatter._panel(axes, table, "float32", ["torch"])
    (drawn,) = [line for line in axes.lines if line.get_label() == "torch"]
    assert sum(y > x for x, y in drawn.get_xydata()) == 1


def test_failures_without_a_finite_ratio_are_counted_and_listed_though_they_have_no_mark(tmp_path: Path) -> None:
    rows = [failed("s/a", error=1.0, ratio=np.inf), check("s/b", error=0.0, ratio=0.0), failed("s/c")]
    figure = errors(made(tmp_path, *rows))
    assert figure is not None
    assert "2 checks of the run failed, 2 of them without a mark" in figure.lead
    assert figure.rows == [["float32", "fw", "2", "1", "∞", "∞", "1"]]
    assert figure.drawing == ""  # nothing to draw, and no empty axes


def test_a_run_without_any_error_and_bound_has_no_figure(tmp_path: Path) -> None:
    assert errors(made(tmp_path, check("s/a"))) is None


def test_the_support_matrix_tells_yes_partly_no_breaks_and_wrong_apart(tmp_path: Path) -> None:
    refused = {"outcome": Outcome.UNSUPPORTED, "message": "no such kernel"}
    kinds: dict[str, list[dict[str, Any]]] = {
        "yes": [{}, {"outcome": Outcome.UNBOUNDED}],
        "partly": [{}, refused],
        "no": [refused],
        "breaks": [{}, refused, {"outcome": Outcome.CRASH, "message": "died"}],
        "wrong": [{"outcome": Outcome.CRASH}, {"outcome": Outcome.FAIL, "message": "7 is wrong"}],
    }
    rows = [
        check(f"s/{word}@n={n}", operation=word, **changed)
        for word, checks in kinds.items()
        for n, changed in enumerate(checks)
    ]
    found = {feature.operation: feature.cells[0] for feature in support(made(tmp_path, *rows))}
    assert {word: cell.word for word, cell in found.items() if cell} == {word: word for word in kinds}
    told = {word: (cell.says, cell.right, cell.total) for word, cell in found.items() if cell}
    assert told["breaks"] == ("died", 1, 3)
    assert told["wrong"] == ("7 is wrong", 0, 2)
    assert told["no"] == ("no such kernel", 0, 1)


def test_what_did_not_run_and_what_has_to_be_refused_is_no_matter_of_support(tmp_path: Path) -> None:
    rows = [check("s/a", outcome=Outcome.MISSING), check("s/b", "other"), check("s/c", "other", tier="invalid")]
    run = made(tmp_path, *rows, about={"s/c": {"invalid": True}})
    (feature,) = support(run)
    assert [cell and cell.total for cell in feature.cells] == [None, 1]


def test_of_a_long_run_whole_problems_are_told_and_first_those_with_something_to_tell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(payload, "MOST_CHECKS", 5)
    rows = [check(f"s/c{n}", f) for n in range(6) for f in ("a", "b")]
    rows[9] = failed("s/c4", framework="b")
    told = unpacked(made(tmp_path, *rows))
    assert (told["told"], told["total"]) == (4, 12)
    assert [problem["problem"] for problem in told["problems"]] == ["s/c0", "s/c4"]
    assert sorted((check["p"], check["f"]) for check in told["checks"]) == [(0, 0), (0, 1), (1, 0), (1, 1)]


@given(text=st.text(max_size=30))
def test_json_columns_are_cleaned_after_they_are_read(text: str) -> None:
    seen = payload._parsed(json.dumps({text: [text, {"deep": text}]}))
    words = [*seen, *(word for value in seen.values() for word in (value[0], value[1]["deep"]))]
    for word in words:
        word.encode("utf-8")
        assert not set(word) & {"\x1b", "\x85", "\u202e", "\u2028"}


@pytest.mark.parametrize("raw", ['{"x": "\\ud800"}', '{"x": "\u0085"}', '{"x": "\\u202e"}'])
def test_a_json_column_of_a_stranger_does_not_end_the_report(tmp_path: Path, raw: str) -> None:
    run = made(tmp_path, check("s/a"), about={"s/a": {"arrays": raw}})
    assert "\u202e" not in page.render(run, gate.rule(run), frames.judged(run))
    assert unpacked(run)["problems"][0]["arrays"]["x"]


def suite(name: str, file: str) -> dict[str, str]:
    return {"name": name, "title": "", "file": file, "digest": ""}


def test_a_suite_is_asked_again_by_its_name_if_it_ships_and_else_by_its_file(tmp_path: Path) -> None:
    run = made(tmp_path, check("mine/a"), suites=[suite("chapter", "chapter.yaml"), suite("mine", "mine.yaml")])
    asked = [commands.asked_by(run, name) for name in ("chapter", "mine", "hunt")]
    assert asked == ["run chapter", "run mine.yaml", "hunt"]
    assert commands.again(run)[0].startswith("crosscorrect run chapter mine.yaml -f fw")
    own = made(tmp_path / "own", check("chapter/a"), suites=[suite("chapter", "my chapter.yaml")])
    assert commands.asked_by(own, "chapter") == "run 'my chapter.yaml'"


def test_an_adapter_that_no_entry_point_leads_to_is_named_in_every_command_that_repeats_it(tmp_path: Path) -> None:
    run = made(tmp_path, check("s/a", "mine"), check("s/a", "numpy"), adapters={"mine": "my own:Adapter"})
    assert commands.again(run)[0].endswith("-f mine --adapter 'mine=my own:Adapter' -f numpy")
    assert unpacked(run)["named"] == {"mine": "-f mine --adapter 'mine=my own:Adapter'", "numpy": "-f numpy"}


def test_the_page_is_told_of_which_frameworks_a_script_can_be_written(tmp_path: Path) -> None:
    assert unpacked(made(tmp_path, check("s/a", "mine"), check("s/a", "numpy")))["templates"] == ["numpy"]
