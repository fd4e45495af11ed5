"""Suites: from case files to problems, and every defect told with file, line, key and remedy."""

from __future__ import annotations

import json
import math
import re
import textwrap
from typing import TYPE_CHECKING, Any

import jsonschema
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from crosscorrect import dtypes, matrix
from crosscorrect.errors import CaseError, UsageError
from crosscorrect.fills import FILLS
from crosscorrect.geometry import Geometry
from crosscorrect.model import Direction
from crosscorrect.needs import RELATIONS
from crosscorrect.problem import DTYPES, LEVELS, OPERATIONS, SPELLINGS, Problem
from crosscorrect.shipped import shipped_suites
from crosscorrect.suite import find_suites, lint, load_suite, schema
from crosscorrect.values import MAX_PUTS, WORDS

if TYPE_CHECKING:
    from pathlib import Path

HEAD = "crosscorrect: 1\nsuite: s\ncases:\n"


@pytest.fixture
def write(tmp_path: Path) -> Any:
    def written(cases: str) -> Path:
        path = tmp_path / "s.yaml"
        path.write_text(HEAD + textwrap.indent(textwrap.dedent(cases).strip("\n"), "  ") + "\n", encoding="utf-8")
        return path

    return written


def problems(path: Path) -> list[Problem]:
    return list(load_suite(path).problems())


def only(path: Path) -> Problem:
    (problem,) = problems(path)
    return problem


# ---------------------------------------------------------------- problems of each operation


def test_the_worked_example_is_one_problem_per_point_of_its_sweep(write: Any) -> None:
    path = write("""
        - id: worked-example
          source: "In [1]"
          title: T
          note: N
          sweep: {operation: [corr2d, layer, conv2d], dtype: [float32, float64]}
          x: [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
          w: [[0, 1], [2, 3]]
          expect: [[19, 25], [37, 43]]
          only: [torch]
          modes: [eager]
          isolate: true
          limit: 3
          show: true
    """)
    made = problems(path)
    assert [problem.id for problem in made] == [
        f"s/worked-example@operation={operation},dtype={dtype}"
        for operation in ("corr2d", "layer", "conv2d")
        for dtype in ("float32", "float64")
    ]
    first, lifted = made[0], made[-1]
    assert (first.suite, first.case, first.source, first.title, first.note) == (
        "s",
        "worked-example",
        "In [1]",
        "T",
        "N",
    )
    assert (first.only, first.modes, first.isolate, first.limit, first.show) == (
        ("torch",),
        ("eager",),
        True,
        3.0,
        True,
    )
    assert (first.folder, first.line, first.geometry, first.directions) == (path.parent, 4, None, (Direction.FORWARD,))
    assert first.expect == {"output": [[19, 25], [37, 43]]}
    assert {name: array.shape for name, array in first.inputs().items()} == {"x": (3, 3), "w": (2, 2)}
    assert made[2].inputs()["b"].tolist() == [0]
    assert lifted.expect == {"output": [[[[19, 25], [37, 43]]]]}
    assert lifted.geometry == Geometry()
    assert lifted.inputs()["x"].tolist() == [[[[0, 1, 2], [3, 4, 5], [6, 7, 8]]]]
    assert {array.dtype for array in lifted.inputs().values()} == {np.dtype("float64")}
    assert all(array.flags.c_contiguous for problem in made for array in problem.inputs().values())


def test_conv2d_takes_every_key_of_a_geometry(write: Any) -> None:
    problem = only(
        write("""
        - id: c
          operation: conv2d
          directions: [grad_bias, forward]
          x: {fill: integers, shape: [2, 4, 9, 12]}
          w: {fill: integers, shape: [6, 2, 2, 3]}
          b: {fill: normal}
          geometry: {padding: [1, [2, 3]], stride: [2, 3], dilation: 2, groups: 2}
          expect: {shape: [2, 6, 5, 5]}
    """)
    )
    assert problem.geometry == Geometry((2, 3), ((1, 1), (2, 3)), (2, 2), 2)
    assert problem.directions == (Direction.GRAD_BIAS, Direction.FORWARD)
    assert {name: array.shape for name, array in problem.inputs().items()} == {
        "x": (2, 4, 9, 12),
        "w": (6, 2, 2, 3),
        "b": (6,),
        "dy": (2, 6, 5, 5),
    }
    assert problem.shapes["output"] == (2, 6, 5, 5)


@pytest.mark.parametrize(("space", "kernel"), [((7,), (3,)), ((6, 5), (2, 3)), ((4, 5, 6), (2, 1, 3))])
@given(numbers=st.tuples(st.integers(1, 3), st.integers(0, 2), st.integers(1, 2)), transposed=st.booleans())
@settings(max_examples=15)
def test_the_output_shape_is_the_geometrys_for_every_rank(
    tmp_path_factory: pytest.TempPathFactory,
    space: tuple[int, ...],
    kernel: tuple[int, ...],
    numbers: tuple[int, int, int],
    transposed: bool,
) -> None:
    stride, pad, dilation = numbers
    case = {
        "id": "c",
        "operation": "conv2d",
        "directions": ["forward", "grad_input"],
        "x": {"fill": "normal", "shape": [2, 2, *space]},
        "w": {"fill": "normal", "shape": [2, 3, *kernel] if transposed else [3, 2, *kernel]},
        "geometry": {"stride": stride, "padding": pad, "dilation": dilation, "transposed": transposed},
    }
    path = tmp_path_factory.getbasetemp() / "rank.yaml"
    path.write_text(json.dumps({"crosscorrect": 1, "suite": "s", "cases": [case]}), encoding="utf-8")
    rank = len(space)
    geometry = Geometry((stride,) * rank, ((pad, pad),) * rank, (dilation,) * rank, 1, transposed, (0,) * rank)
    wanted = geometry.output_shape((2, 2, *space), case["w"]["shape"])
    if min(wanted) < 1:
        with pytest.raises(CaseError, match="does not fit"):
            problems(path)
    else:
        problem = only(path)
        assert problem.geometry == geometry
        assert problem.shapes["output"] == wanted == problem.inputs()["dy"].shape


def test_training_is_lifted_for_the_builtin_layer_only(write: Any) -> None:
    builtin, custom = problems(
        write("""
        - id: c
          operation: train
          sweep: {train.layer: [builtin, custom]}
          x: {picture: edge}
          w: [[1, -1]]
          b: 2
          train: {lr: 0.03, steps: 10, start: [[0.5, 0.25]], bias: 0, target: {fill: normal}}
          expect: {losses: {2: "4.949"}, weight: ["0.9", "-0.9"]}
    """)
    )
    assert builtin.settings == {"lr": 0.03, "steps": 10, "layer": "builtin", "start_own": False}
    assert builtin.expect == {"losses": {2: "4.949"}, "weight": ["0.9", "-0.9"]}
    assert builtin.directions == (Direction.TRAIN,)
    shapes = {"x": (6, 8), "w": (1, 2), "b": (1,), "start": (1, 2), "bias": (1,), "y": (6, 7)}
    assert {name: array.shape for name, array in custom.inputs().items()} == shapes
    assert {name: array.shape for name, array in builtin.inputs().items()} == {
        name: (1, 1, *shape) if len(shape) == 2 else shape for name, shape in shapes.items()
    }


def test_a_framework_that_starts_itself_gets_no_start(write: Any) -> None:
    problem = only(
        write("""
        - id: c
          operation: train
          x: {picture: edge}
          w: [[1, -1]]
          train: {lr: 0.03, steps: 1, start: own}
    """)
    )
    assert problem.settings["start_own"] is True
    assert set(problem.inputs()) == {"x", "w"}


def test_differentiate_and_matrix_have_their_settings(write: Any) -> None:
    made = problems(
        write("""
        - {id: d, operation: differentiate, loop: stacked, x: [[1, 2, 3]], w: [[1, 2]]}
        - {id: m, operation: matrix, form: toeplitz, x: [[1, 2, 3]], w: [[1, 2]], expect: [[5, 8]]}
        - {id: n, operation: matrix, x: [[1, 2, 3]], w: [[1, 2]], expect: [[5], [8]]}
    """)
    )
    assert made[0].settings == {"loop": "stacked"}
    assert made[0].directions == (Direction.GRAD_INPUT, Direction.GRAD_WEIGHT)
    assert made[0].inputs()["dy"].shape == (1, 2)
    assert [problem.settings for problem in made[1:]] == [{"form": "toeplitz"}, {"form": "unrolled"}]
    assert made[1].expect == made[2].expect == {"output": [[5], [8]]}


# ---------------------------------------------------------------- sweeps, ids, defaults


def test_swept_arrays_are_named_by_label_name_or_place(write: Any) -> None:
    made = problems(
        write("""
        - id: c
          operation: conv2d
          w: [[1]]
          sweep:
            x: [{picture: edge}, {picture: edge, size: 9, label: large}, [[1, 2]], {of: [[3]]}]
            geometry.padding: [0, same_upper, [1, 2]]
    """)
    )
    assert [problem.id for problem in made] == [
        f"s/c@x={x},geometry.padding={padding}"
        for x in ("edge", "large", "#2", "#3")
        for padding in ("0", "same_upper", "#2")
    ]


def test_a_sweep_reaches_inside_and_leaves_the_case_alone(write: Any) -> None:
    made = problems(
        write("""
        - id: c
          operation: corr2d
          sweep: {x.seed: [1, 2], x: [{fill: normal, shape: [3, 3]}, {fill: uniform, shape: [2, 2]}]}
          w: [[1]]
    """)
    )
    assert [problem.arrays["x"]["seed"] for problem in made] == [1, 1, 2, 2]
    assert [problem.shapes["x"] for problem in made] == [(3, 3), (2, 2)] * 2


def test_defaults_are_given_to_cases_that_lack_them(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(
        "crosscorrect: 1\nsuite: s\ndefaults: {dtype: float64, operation: matrix, form: toeplitz, x: [[1, 2]]}\n"
        "cases:\n  - {id: a, w: [[1]]}\n  - {id: b, operation: corr2d, dtype: float32, w: [[2]]}\n",
        encoding="utf-8",
    )
    first, second = problems(path)
    assert (first.dtype, first.operation, first.settings) == ("float64", "matrix", {"form": "toeplitz"})
    assert (second.dtype, second.operation, second.settings) == ("float32", "corr2d", {})


@given(st.lists(st.integers(1, 4), min_size=1, max_size=3), st.integers(0, 10**6))
@settings(max_examples=25)
def test_ids_are_distinct_well_formed_and_enough_to_find_the_problem(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], seed: int
) -> None:
    keys = ["x.seed", "dtype", "w.seed"][: len(sizes)]
    values = {"x.seed": list(range(seed, seed + 4)), "w.seed": [2, -3, 0, 7], "dtype": list(DTYPES[:3])}
    case = {
        "id": "c",
        "operation": "corr2d",
        "x": {"fill": "normal", "shape": [2, 2]},
        "w": {"fill": "normal", "shape": [1, 1]},
        "sweep": {key: values[key][:size] for key, size in zip(keys, sizes, strict=True)},
    }
    path = tmp_path_factory.getbasetemp() / "ids.yaml"
    path.write_text(json.dumps({"crosscorrect": 1, "suite": "s", "cases": [case]}), encoding="utf-8")
    suite = load_suite(path)
    made = list(suite.problems())
    assert len({problem.id for problem in made}) == len(made) == math.prod(map(len, case["sweep"].values()))
    for problem in made:
        assert re.fullmatch(r"[A-Za-z0-9_.+=,@#/-]{1,200}", problem.id)
        assert suite.problem(problem.id) == problem


def test_an_unknown_problem_id_suggests_the_nearest(write: Any) -> None:
    suite = load_suite(write("- {id: c, operation: corr2d, x: [[1]], w: [[1]], sweep: {dtype: [float32, float64]}}"))
    with pytest.raises(UsageError, match="did you mean s/c@dtype=float64"):
        suite.problem("s/c@dtype=float46")
    with pytest.raises(UsageError, match="did you mean s/c"):
        suite.problem("s/d")


def test_problems_are_streamed_and_a_sweep_is_counted_before_it_is_expanded(write: Any) -> None:
    def sweep(last: str) -> Path:
        return write(f"""
            - id: c
              operation: corr2d
              x: {{fill: normal, shape: [2, 2]}}
              w: {{fill: normal, shape: [1, 1]}}
              sweep: {{x.seed: {list(range(1000))}, w.seed: {list(range(1000))}, x.scale: {last}}}
        """)

    suite = load_suite(sweep("[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]"))
    assert next(suite.problems()).id == "s/c@x.seed=0,w.seed=0,x.scale=1"
    with pytest.raises(CaseError, match="more than 10000000 problems"):
        load_suite(sweep("[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]"))


def test_a_point_is_found_by_its_place_and_its_place_by_what_it_adds_to_the_id(write: Any) -> None:
    suite = load_suite(
        write("""
        - {id: c, operation: corr2d, x: {fill: normal, shape: [4, 4]}, w: [[1]],
           sweep: {x.seed: [3, 1, 2], dtype: [float32, float64], w: [{kernel: edge}, {fill: normal, shape: [2, 2]}]}}
        - {id: d, operation: corr2d, x: [[1]], w: [[1]]}
    """)
    )
    sweep, plain = suite.sweep(0), suite.sweep(1)
    assert [sweep.suffix(place) for place in range(len(sweep))] == [
        p.id.removeprefix("s/c") for p in suite.problems() if p.case == "c"
    ]
    assert [sweep.place(sweep.suffix(place)) for place in range(len(sweep))] == list(range(12))
    assert [sweep.at(sweep.digits(place)) for place in range(len(sweep))] == list(range(12))
    assert (len(plain), plain.suffix(0), plain.place("")) == (1, "", 0)
    wrong = ["", "@", "@x.seed=3", "@x.seed=3,dtype=float32,w=none", "x.seed=3,dtype=float32,w=edge"]
    wrong += ["@dtype=float32,x.seed=3,w=edge", "@x.seed=3,dtype=float32,w=edge,", "@x.seed=03,dtype=float32,w=edge"]
    assert [sweep.place(suffix) for suffix in wrong] == [None] * len(wrong)
    assert plain.place("@x.seed=3") is None


def test_the_digest_is_of_the_content(write: Any) -> None:
    path = write("- {id: c, operation: corr2d, x: [[1]], w: [[1]]}")
    before = load_suite(path).digest
    path.write_text(
        "# a comment\n" + path.read_text(encoding="utf-8").replace("x: [[1]]", "x:   [[1 ]]"), encoding="utf-8"
    )
    assert load_suite(path).digest == before
    path.write_text(path.read_text(encoding="utf-8").replace("w: [[1]]", "w: [[2]]"), encoding="utf-8")
    assert load_suite(path).digest != before


# ---------------------------------------------------------------- finding suites, schema


def test_a_shipped_name_and_a_path_find_a_suite_once(write: Any) -> None:
    path = write("- {id: c, operation: corr2d, x: [[1]], w: [[1]]}")
    chapter = shipped_suites()["chapter"]
    assert find_suites(["chapter", str(path), chapter, "chapter"]) == [chapter, path]
    assert find_suites([]) == list(shipped_suites().values())


def test_an_unknown_suite_suggests_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean chapter"):
        find_suites(["chaptr"])
    with pytest.raises(UsageError, match="no suite file"):
        find_suites(["nowhere/s.yaml"])


def test_the_schema_is_valid_and_strict_everywhere() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())

    def objects(part: Any) -> Any:
        if isinstance(part, dict):
            if "properties" in part and "type" in part:
                yield part
            for inner in part.values():
                yield from objects(inner)

    assert all(part.get("additionalProperties") is False for part in objects(schema()))


def test_a_case_may_have_every_key_that_the_defaults_may_have() -> None:
    definitions = schema()["$defs"]
    assert set(definitions["case"]["properties"]) == set(definitions["keys"]["properties"]) | {"id", "sweep"}


def test_the_schema_has_the_words_of_the_code() -> None:
    definitions = schema()["$defs"]
    assert definitions["operation"]["enum"] == list(OPERATIONS)
    assert definitions["dtype"]["enum"] == list(DTYPES)
    assert all(callable(getattr(matrix, form)) for form in definitions["form"]["enum"])
    assert definitions["relation"]["enum"] == list(RELATIONS)
    assert definitions["level"]["enum"] == list(LEVELS)
    assert definitions["spelling"]["enum"] == list(SPELLINGS)
    assert definitions["array"]["properties"]["fill"]["enum"] == list(FILLS)
    put = definitions["array"]["properties"]["put"]
    assert put["maxItems"] == MAX_PUTS
    assert put["items"]["properties"]["value"]["pattern"] == f"^({'|'.join(WORDS)})$"


def test_the_dtypes_of_a_problem_are_those_that_cross_process_borders() -> None:
    assert DTYPES == dtypes.NAMES


def test_lint_of_a_broken_file_is_its_one_error(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text("a: [", encoding="utf-8")
    (error,) = lint(path)
    assert "not YAML" in str(error)
