"""Defective case files: each defect is told with file, line, key and remedy, and none as anything but a CaseError."""

from __future__ import annotations

import json
import re
import textwrap
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings, strategies as st

from crosscorrect import suite
from crosscorrect.errors import CaseError
from crosscorrect.specify import specify
from crosscorrect.suite import lint, load_suite, schema

if TYPE_CHECKING:
    from pathlib import Path

HEAD = "crosscorrect: 1\nsuite: s\ncases:\n"

BASE = {"id": "c", "operation": "conv2d", "x": [[1, 2, 3], [4, 5, 6]], "w": [[1, 2]]}
TRAIN = {**BASE, "operation": "train", "train": {"lr": 0.1, "steps": 3, "start": [[0, 0]]}}
CHANNELS = {**BASE, "x": {"fill": "normal", "shape": [1, 4, 5, 5]}, "w": {"fill": "normal", "shape": [3, 2, 2, 2]}}
DEFECTS: dict[str, tuple[dict[str, Any], str, str]] = {
    "unknown key": ({**BASE, "sweeep": 1}, "c.sweeep", "did you mean sweep?"),
    "numbers under a key": ({**BASE, "x": {"data": [[1]]}}, "c.x.data", "; write the numbers themselves: x: [[1]]"),
    "numbers under a known key's plural": (
        {**BASE, "x": {"values": [[1]]}},
        "c.x.values",
        "numbers themselves: x: [[1]]",
    ),
    "a row of numbers under a key": ({**BASE, "x": {"data": [1, 2]}}, "c.x.data", "numbers themselves: x: [1, 2]"),
    "many numbers under a key": ({**BASE, "x": {"data": [[1] * 99]}}, "c.x.data", "; write the numbers themselves"),
    "an output under a key": ({**BASE, "expect": {"value": [[1]]}}, "c.expect.value", "themselves: expect: [[1]]"),
    "a shape that is misspelt": ({**BASE, "expect": {"shap": [1, 1]}}, "c.expect.shap", "did you mean shape?"),
    "an unknown key of an output": ({**BASE, "expect": {"zz": 3}}, "c.expect.zz", "; what may stand here: the output"),
    "unknown operation": ({**BASE, "operation": "conv2"}, "c.operation", "did you mean conv2d?"),
    "wrong type": ({**BASE, "x": "image"}, "c.x", "not a list or a mapping"),
    "bad id": ({**BASE, "id": "../etc"}, "../etc.id", "Letters, digits"),
    "missing w": ({"id": "c", "operation": "conv2d", "x": [[1]]}, "c", "the key w is missing"),
    "missing id": ({"operation": "corr2d"}, "cases.0", "the key id is missing"),
    "ragged": ({**BASE, "x": [[1, 2], [3]]}, "c.x.1", "the rows differ"),
    "text in an array": ({**BASE, "x": [[1, "2"]]}, "c.x.0.1", "holds numbers"),
    "unknown picture": ({**BASE, "x": {"picture": "egde"}}, "c.x.picture", "did you mean edge?"),
    "unknown array key": ({**BASE, "x": {"picture": "edge", "sise": 3}}, "c.x.sise", "did you mean size?"),
    "kernel too large": ({**BASE, "w": [[1], [2], [3]]}, "c.w", "does not fit"),
    "huge fill": (
        {**BASE, "x": {"fill": "normal", "shape": [2**40, 2]}},
        "c.x",
        "would take 16 TiB; a problem",
    ),
    "huge output": (
        {**BASE, "geometry": {"padding": 2**20}},
        "c.x",
        "the output would take 32 TiB; a problem",
    ),
    "groups": ({**CHANNELS, "geometry": {"groups": 2}}, "c.geometry.groups", "do not divide"),
    "channels": (CHANNELS, "c.w", "the image has 4 channels, the kernel expects 2"),
    "bias": ({**BASE, "b": [1, 2]}, "c.b", "the shape must be [1]"),
    "dy": ({**BASE, "directions": ["grad_input"], "dy": [[1]]}, "c.dy", "the shape must be [1, 1, 2, 2]"),
    "expect": ({**BASE, "expect": [[1, 2, 3]]}, "c.expect", "the shape must be [1, 1, 2, 2]"),
    "expected shape": ({**BASE, "expect": {"shape": [2, 3]}}, "c.expect.shape", "the shape must be [1, 1, 2, 2]"),
    "expect without forward": ({**BASE, "directions": ["grad_input"], "expect": [[1]]}, "c.expect", "gradients only"),
    "losses of conv2d": ({**BASE, "expect": {"losses": {"1": "2.0"}}}, "c.expect.losses", "cannot expect"),
    "unquoted digits": ({**TRAIN, "expect": {"losses": {"2": 4.9}}}, "c.expect.losses.2", "in quotes"),
    "late loss": ({**TRAIN, "expect": {"losses": {"4": "4.9"}}}, "c.expect.losses.4", "ends after step 3"),
    "short weight": ({**TRAIN, "expect": {"weight": ["1.0"]}}, "c.expect.weight", "has 2 elements"),
    "no start": ({**TRAIN, "train": {"lr": 0.1, "steps": 3}}, "c.train", "needs start"),
    "start shape": ({**TRAIN, "train": {**TRAIN["train"], "start": [[0]]}}, "c.train.start", "must be [1, 1, 1, 2]"),
    "start word": ({**TRAIN, "train": {**TRAIN["train"], "start": "owl"}}, "c.train.start", "own"),
    "negative rate": ({**TRAIN, "train": {**TRAIN["train"], "lr": -1}}, "c.train.lr", "above 0"),
    "integer training": ({**TRAIN, "dtype": "int32"}, "c.dtype", "floating"),
    "train for conv2d": ({**TRAIN, "operation": "conv2d"}, "c.train", "train is for train"),
    "bias for corr2d": ({**BASE, "operation": "corr2d", "b": [1]}, "c.b", "does not take b"),
    "grad_bias without b": ({**BASE, "directions": ["grad_bias"]}, "c.directions", "no bias"),
    "four axes for corr2d": ({**CHANNELS, "operation": "corr2d"}, "c.x", "two axes"),
    "axes of stride": ({**BASE, "geometry": {"stride": [1, 1, 1]}}, "c.geometry.stride", "or 2"),
    "zero stride": ({**BASE, "geometry": {"stride": 0}}, "c.geometry.stride", "positive"),
    "padding word": ({**BASE, "geometry": {"padding": "same"}}, "c.geometry.padding", "same_upper"),
    "same transposed": (
        {**BASE, "geometry": {"padding": "same_upper", "transposed": True}},
        "c.geometry.padding",
        "no single meaning",
    ),
    "output_padding": ({**BASE, "geometry": {"output_padding": 1}}, "c.geometry.output_padding", "only a transposed"),
    "one name twice": (
        {**BASE, "sweep": {"x": [{"picture": "edge"}, {"picture": "edge", "size": 9}]}},
        "c.sweep.x.1",
        "have one name",
    ),
    "unspeakable value": ({**BASE, "sweep": {"x.npz": ["a b.npz"]}}, "c.sweep.x.npz.0", "cannot stand in a problem id"),
    "inside a list": ({**BASE, "sweep": {"x.seed": [1]}}, "c@x.seed=1.x", "not a mapping"),
    "swept value": ({**BASE, "sweep": {"w": [[[1]], [[1], [2], [3]]]}}, "c@w=#1.w", "does not fit"),
    "unknown sweep": ({**BASE, "sweep": {"title": ["a"]}}, "c.sweep.title", "no meaning"),
    "empty sweep": ({**BASE, "sweep": {"dtype": []}}, "c.sweep.dtype", "fewer than 1"),
    "long id": (
        {**BASE, "sweep": {f"{k}.seed": [1] for k in ("x", "w")}, "id": "c" * 61},
        "c" * 61 + ".id",
        "at most 60",
    ),
    "float16 overflow": ({**BASE, "dtype": "float16", "x": [[70000, 1]]}, "s/c.x", "float16 cannot hold"),
    "misspelt framework": ({**BASE, "only": ["numpy", "torhc"]}, "c.only.1", "did you mean torch?"),
    "unknown framework": ({**BASE, "only": ["zzz"]}, "c.only.0", "the adapters here are numpy, jax, mxnet"),
    "absent npz": ({**BASE, "x": {"npz": "absent.npz", "key": "a"}}, "c.x.npz", "no such file"),
}


@pytest.mark.parametrize("name", DEFECTS)
def test_a_defect_is_one_error_with_key_and_remedy(tmp_path: Path, name: str) -> None:
    case, key, words = DEFECTS[name]
    path = tmp_path / "s.yaml"
    path.write_text(json.dumps({"crosscorrect": 1, "suite": "s", "cases": [case]}, indent=1), encoding="utf-8")
    (error,) = lint(path)
    assert error.key == key
    assert words in str(error)
    assert str(error).startswith(f"{path}:{error.line}: ")


def test_the_line_is_that_of_the_value_at_fault_wherever_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(
        textwrap.dedent("""\
        crosscorrect: 1
        suite: s
        defaults:
          w: [[1], [2],
              [3]]
        cases:
          - id: a
            operation: corr2d
            x: [[1, 2],
                [3]]
          - id: b
            operation: corr2d
            x: [[1, 2]]
          - id: c
            operation: corr2d
            x: {picture: edge}
            sweep:
              w:
                - [[1]]
                - {kernel: gaussian,
                   size: 3}
          - id: d
            operation: corr2d
            x: {picture: edge}
            sweep:
              w:
                - {kernel: gaussian, size: 3, sigma: 1}
              w.sigma:
                - 2
                - -1
        """),
        encoding="utf-8",
    )
    assert [(error.line, error.key) for error in lint(path)] == [
        (10, "a.x.1"),
        (4, "b.w"),
        (20, "c@w=gaussian.w"),
        (27, "d@w=gaussian,w.sigma=-1.w.kernel"),
    ]


def test_every_schema_error_of_a_file_is_told_in_the_order_of_lines(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(HEAD + "- id: c\n  foo: 1\n  dtype: float8\n- id: d\n  bar: 2\n", encoding="utf-8")
    assert [error.line for error in lint(path)] == [5, 6, 8]


def test_a_suite_about_somebody_else_s_adapter_can_be_read_without_it_and_is_refused_where_it_is_asked_for(
    tmp_path: Path,
) -> None:
    path = tmp_path / "s.yaml"
    case = "- {id: c, operation: corr2d, x: [[1]], w: [[1]]}\n"
    path.write_text(HEAD.replace("cases", "defaults: {only: [acme]}\ncases") + case, encoding="utf-8")
    read = load_suite(path)
    assert [problem.only for problem in read.problems()] == [("acme",)]
    read.check_frameworks(["acme"])
    assert lint(path, ["acme"]) == []
    with pytest.raises(CaseError, match="no adapter has this name") as caught:
        read.check_frameworks()
    assert (caught.value.line, caught.value.key, caught.value.value) == (3, "defaults.only.0", "acme")


def test_two_cases_of_one_id_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(HEAD + "- {id: c, operation: corr2d, x: [[1]], w: [[1]]}\n" * 2, encoding="utf-8")
    with pytest.raises(CaseError, match="another case has this id") as caught:
        load_suite(path)
    assert caught.value.line == 5


BAD_NAMES = [
    "../../etc/passwd",
    "/abs",
    "a/../../b",
    "a/b",
    "-rf",
    ".",
    "..",
    "",
    "a b",
    "c" * 61,
    "é",
    "e\u0301",
    "a@b",
]


@pytest.mark.parametrize("name", BAD_NAMES)
@pytest.mark.parametrize("key", ["suite", "id"])
def test_a_name_is_no_path_no_option_and_no_text_that_looks_like_another(tmp_path: Path, key: str, name: str) -> None:
    path = tmp_path / "s.yaml"
    case = {**BASE, **({"id": name} if key == "id" else {})}
    called = name if key == "suite" else "s"
    path.write_text(json.dumps({"crosscorrect": 1, "suite": called, "cases": [case]}), encoding="utf-8")
    (error,) = lint(path)
    assert "not of the form that stands here" in str(error)
    assert "Letters, digits" in error.remedy


MANY = {
    "words that are no words": HEAD + (f"- {{id: c, directions: [{'[], x, ' * 15_000}]}}\n"),
    "frameworks that nobody has": HEAD
    + (f"- {{id: c, operation: corr2d, x: [[1]], w: [[1]], only: [{', '.join(f'torhc{i}' for i in range(8000))}]}}\n"),
    "cases with a slip each": HEAD + ("".join(f"- {{id: c{i}, operaton: corr2d}}\n" for i in range(5000))),
    "keys that mean nothing": HEAD + (f"- {{id: c, {', '.join(f'k{i}: 1' for i in range(8000))}}}\n"),
}


@pytest.mark.parametrize("name", MANY)
def test_of_thousands_of_defects_the_first_fifty_are_told_at_most(tmp_path: Path, name: str) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(MANY[name], encoding="utf-8")
    assert 1 <= len(lint(path)) <= 50


def test_a_sweep_over_more_values_than_a_list_may_have_is_refused_before_it_is_labelled(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    case = f"- {{id: c, operation: corr2d, x: {{picture: edge}}, w: [[1]], sweep: {{x.size: [{'9, ' * 10_001}]}}}}\n"
    path.write_text(HEAD + case, encoding="utf-8")
    (error,) = lint(path)
    assert "this has more than 10000 elements" in str(error)
    assert error.key == "c.sweep.x.size"


def test_lint_looks_at_the_first_points_of_a_sweep_of_any_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "s.yaml"
    numbers = ", ".join(map(str, range(1, 1001)))
    case = f"- {{id: c, operation: corr2d, x: {{picture: edge}}, w: [[1]], sweep: {{x.size: [{numbers}], w: [[[1]]"
    path.write_text(f"{HEAD}{case}{', [[2]]' * 999}]}}}}\n", encoding="utf-8")
    looked: list[str] = []
    monkeypatch.setattr(suite, "LINT_POINTS", 10)
    monkeypatch.setattr(suite, "specify", lambda name, point: looked.append(point.suffix) or specify(name, point))
    assert lint(path) == []
    assert len(looked) == 10


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_damaged_suite_is_accepted_or_refused_with_case_errors(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    case = json.loads(json.dumps(data.draw(st.sampled_from([BASE, TRAIN, CHANNELS]))))
    junk = st.none() | st.booleans() | st.integers(-3, 2**70) | st.floats() | st.text(max_size=4)
    junk |= st.lists(junk, max_size=3) | st.dictionaries(st.sampled_from(["fill", "shape", "of", "label", "x"]), junk)
    keys = [*sorted(schema()["$defs"]["keys"]["properties"]), "sweep", "id"]
    for _ in range(data.draw(st.integers(1, 3))):
        case[data.draw(st.sampled_from(keys))] = data.draw(junk)
    path = tmp_path_factory.getbasetemp() / "damaged.yaml"
    text = json.dumps({"crosscorrect": 1, "suite": "s", "cases": [case]})
    path.write_text(re.sub(r"-?\b(NaN|Infinity)\b", ".nan", text), encoding="utf-8")
    assert all(isinstance(error, CaseError) for error in lint(path))
