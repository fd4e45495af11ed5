"""Keys of a case beside its computation (level, spelling, link …), data of every dtype, empty extents, descriptors."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from crosscorrect import dtypes
from crosscorrect.errors import CaseError
from crosscorrect.fills import FILLS
from crosscorrect.model import Direction
from crosscorrect.needs import RELATIONS
from crosscorrect.problem import SPELLINGS
from crosscorrect.suite import lint, load_suite, schema

if TYPE_CHECKING:
    from crosscorrect.problem import Problem

BASE: dict[str, Any] = {
    "id": "c",
    "operation": "conv2d",
    "x": {"fill": "integers", "shape": [2, 4, 5, 6]},
    "w": {"fill": "integers", "shape": [6, 4, 2, 3]},
}
PLAIN = {"operation": "corr2d", "x": [[1, 2, 3]], "w": [[1, 2]]}
TRAIN = {**PLAIN, "operation": "train", "train": {"lr": 0.1, "steps": 3, "start": [[0, 0]]}}


def written(folder: Path, *cases: dict[str, Any], **more: Any) -> Path:
    path = folder / "s.yaml"
    text = json.dumps({"crosscorrect": 1, "suite": "s", **more, "cases": list(cases)}, indent=1)
    path.write_text(text, encoding="utf-8")
    return path


def problems(folder: Path, *cases: dict[str, Any], **more: Any) -> list[Problem]:
    return list(load_suite(written(folder, *cases, **more)).problems())


def refused(folder: Path, case: dict[str, Any]) -> CaseError:
    (error,) = lint(written(folder, case))
    return error


# ---------------------------------------------------------------- level, spelling, url, verify, dirty


def test_what_a_case_does_not_say_is_plain(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, BASE)
    assert (problem.level, problem.spelling, problem.url, problem.verify) == ("ci", "native", "", "")
    assert (problem.invalid, problem.dirty) == (False, False)


def test_level_spelling_link_checksum_and_dirt_reach_the_problem(tmp_path: Path) -> None:
    link = "https://github.com/pytorch/pytorch/issues/21597"
    more = {"level": "nightly", "spelling": "apart", "url": link, "verify": "checksum", "dirty": True}
    (problem,) = problems(tmp_path, {**BASE, **more})
    assert (problem.level, problem.spelling, problem.url) == ("nightly", "apart", link)
    assert (problem.verify, problem.dirty) == ("checksum", True)


def test_they_are_swept_and_stand_in_the_id(tmp_path: Path) -> None:
    sweep = {"spelling": ["native", "module"], "verify": ["checksum"], "dirty": [False, True], "level": ["smoke"]}
    made = problems(tmp_path, {**BASE, "sweep": sweep})
    assert [problem.id for problem in made] == [
        f"s/c@spelling={spelling},verify=checksum,dirty={dirty},level=smoke"
        for spelling in ("native", "module")
        for dirty in ("false", "true")
    ]
    assert [problem.spelling for problem in made] == ["native", "native", "module", "module"]


def test_a_default_spelling_is_for_the_cases_that_have_one(tmp_path: Path) -> None:
    plain = {**PLAIN, "id": "d"}
    made = problems(tmp_path, BASE, plain, defaults={"spelling": "recorded", "dirty": True, "level": "smoke"})
    assert [(problem.spelling, problem.dirty, problem.level) for problem in made] == [
        ("recorded", True, "smoke"),
        ("native", False, "smoke"),
    ]


@pytest.mark.parametrize(
    ("more", "key", "words"),
    [
        ({"level": "daily"}, "c.level", "smoke, ci, nightly"),
        ({"spelling": "nativ"}, "c.spelling", "did you mean native?"),
        ({"url": "http://example.org"}, "c.url", "https"),
        ({"url": "https://a b"}, "c.url", "https"),
        ({"verify": "sum"}, "c.verify", "checksum"),
        ({"dirty": 1}, "c.dirty", "true or false"),
        ({"dtype": "float8"}, "c.dtype", "did you mean"),
        (
            {**PLAIN, "spelling": "apart"},
            "c.spelling",
            "corr2d does not take spelling; spelling is for conv2d, relation",
        ),
        ({**PLAIN, "verify": "checksum"}, "c.verify", "verify is for conv2d"),
        ({**PLAIN, "dirty": True}, "c.dirty", "dirty is for conv2d"),
        ({"relation": "scale"}, "c.relation", "conv2d does not take relation"),
        ({"verify": "checksum", "directions": ["forward", "grad_input"]}, "c.verify", "only the forward direction"),
        ({"verify": "checksum", "dtype": "complex64"}, "c.verify", "a complex output"),
        (
            {"verify": "checksum", "w": {"fill": "codes", "shape": [4, 6, 2, 3]}, "geometry": {"transposed": True}},
            "c.verify",
            "a transposed correlation",
        ),
        ({"directions": ["grad_input"], "dtype": "uint16"}, "c.dtype", "gradients need a floating dtype"),
        ({**TRAIN, "dtype": "bfloat16"}, "c.dtype", "write float16, float32 or float64"),
        ({**TRAIN, "dtype": "complex64"}, "c.dtype", "write float16, float32 or float64"),
    ],
    ids=str,
)
def test_a_defect_is_one_error_with_key_and_remedy(tmp_path: Path, more: dict[str, Any], key: str, words: str) -> None:
    error = refused(tmp_path, {**BASE, **more})
    assert error.key == key
    assert words in str(error)


# ---------------------------------------------------------------- dtypes, empty extents, put, salt


@pytest.mark.parametrize("dtype", dtypes.NAMES)
def test_arrays_of_every_dtype_are_built(tmp_path: Path, dtype: str) -> None:
    x = {"fill": "integers", "low": 0, "shape": [2, 4, 5, 6]}
    (problem,) = problems(tmp_path, {**BASE, "dtype": dtype, "x": x, "w": {**x, "shape": [6, 4, 2, 3]}, "b": [1] * 6})
    arrays = problem.inputs()
    assert {dtypes.name_of(array.dtype) for array in arrays.values()} == {dtype}
    assert all(array.flags.c_contiguous for array in arrays.values())
    assert dtypes.widen(arrays["b"]).tolist() == [1] * 6


@pytest.mark.parametrize("dtype", ["bfloat16", "complex64"])
def test_gradients_of_a_floating_or_complex_dtype_are_asked_for(tmp_path: Path, dtype: str) -> None:
    (problem,) = problems(tmp_path, {**BASE, "dtype": dtype, "directions": ["grad_weight"]})
    assert problem.directions == (Direction.GRAD_WEIGHT,)
    assert problem.inputs()["dy"].shape == (2, 6, 4, 4)


@pytest.mark.parametrize(
    ("x", "w", "padding", "output"),
    [
        ([0, 4, 5, 6], [6, 4, 2, 3], 0, (0, 6, 4, 4)),
        ([2, 0, 5, 6], [6, 0, 2, 3], 0, (2, 6, 4, 4)),
        ([2, 4, 5, 6], [0, 4, 2, 3], 0, (2, 0, 4, 4)),
        ([2, 4, 0, 6], [6, 4, 2, 3], 1, (2, 6, 1, 6)),
        ([0, 0, 0], [1, 0, 2], 1, (0, 1, 1)),
    ],
)
def test_an_empty_batch_channel_or_image_is_a_problem(
    tmp_path: Path, x: list[int], w: list[int], padding: int, output: tuple[int, ...]
) -> None:
    case = {
        **BASE,
        "x": {"fill": "normal", "shape": x},
        "w": {"fill": "normal", "shape": w},
        "b": {"fill": "normal"},
        "geometry": {"padding": padding},
        "directions": ["forward", "grad_input"],
        "expect": {"shape": list(output)},
    }
    (problem,) = problems(tmp_path, case)
    assert problem.shapes["output"] == output
    shapes = {name: array.shape for name, array in problem.inputs().items()}
    assert shapes == {"x": tuple(x), "w": tuple(w), "b": output[1:2], "dy": output}


@pytest.mark.parametrize(
    ("more", "key", "words"),
    [
        ({"x": {"fill": "normal", "shape": [2, 4, 0, 6]}}, "c.w", "does not fit into the image [2, 4, 0, 6]"),
        ({"w": {"fill": "normal", "shape": [6, 4, 0, 3]}}, "c.w", "one tap at least"),
        ({"x": {"fill": "normal", "shape": [2, -4, 5, 6]}}, "c.x.shape.1", "-4"),
        ({**PLAIN, "x": {"fill": "normal", "shape": [0, 3]}}, "c.x", "corr2d takes no empty array"),
        ({**TRAIN, "w": {"fill": "normal", "shape": [1, 0]}}, "c.w", "train takes no empty array"),
    ],
    ids=str,
)
def test_an_extent_of_0_elsewhere_is_refused(tmp_path: Path, more: dict[str, Any], key: str, words: str) -> None:
    error = refused(tmp_path, {**BASE, **more})
    assert error.key == key
    assert words in str(error)


def test_single_elements_are_put_and_swept(tmp_path: Path) -> None:
    puts = [[{"at": [0, 0, 0, 0], "value": "nan"}], [{"at": [1, 2], "value": "-0"}, {"at": [0, 0], "value": 7}]]
    first, second = problems(tmp_path, {**BASE, "sweep": {"x.put": puts}})
    assert [problem.id for problem in (first, second)] == ["s/c@x.put=#0", "s/c@x.put=#1"]
    assert np.isnan(first.inputs()["x"]).sum() == 1
    x = second.inputs()["x"]
    assert np.signbit(x[:, :, 1, 2]).all()
    assert (x[:, :, 0, 0] == 7).all()
    json.dumps(dict(first.arrays), allow_nan=False)


@pytest.mark.parametrize(
    ("more", "key", "words"),
    [
        ({"x": {**BASE["x"], "put": [{"at": [5, 0], "value": 1}]}}, "c.x.put.0.at", "inside the shape [2, 4, 5, 6]"),
        ({"x": {**BASE["x"], "put": [{"at": [0], "value": "NaN"}]}}, "c.x.put.0.value", "in quotes"),
        ({"x": {**BASE["x"], "put": [{"at": [0]}]}}, "c.x.put.0", "the key value is missing"),
        ({"x": {**BASE["x"], "put": [{"at": [0], "value": 1}] * 1001}}, "c.x.put", "more than 1000"),
        ({"x": {**BASE["x"], "put": [{"at": [0], "value": "nan"}]}, "dtype": "int8"}, "c.x.put.0.value", "int8 has no"),
        ({"x": {**BASE["x"], "put": [{"at": [0], "value": 300}]}, "dtype": "int8"}, "c.x.put.0.value", "cannot hold"),
        ({**PLAIN, "x": {"of": [[1, 2, 3]], "imag": [[1, 2, 3]]}}, "c.x.imag", "float32 has no imaginary part"),
        (
            {**TRAIN, "train": {**TRAIN["train"], "start": {"of": [[0, 0]], "put": [{"at": [0], "value": "inf"}]}}},
            "c.train.start.put",
            "finite numbers",
        ),
    ],
    ids=str,
)
def test_what_cannot_be_put_is_refused_before_arrays_are_built(
    tmp_path: Path, more: dict[str, Any], key: str, words: str
) -> None:
    path = written(tmp_path, {**BASE, **more})
    with pytest.raises(CaseError) as caught:
        list(load_suite(path).problems())
    assert caught.value.key == key
    assert words in str(caught.value)


def test_a_salt_changes_every_fill_and_nothing_else(tmp_path: Path) -> None:
    case = {
        **BASE,
        "b": [1, 2, 3, 4, 5, 6],
        "directions": ["grad_input"],
        "w": {"fill": "codes", "shape": [6, 4, 2, 3]},
    }
    (problem,) = problems(tmp_path, case)
    plain, zero, first, second = (problem.inputs(*salt) for salt in ((), (0,), (1,), (2,)))
    assert all(np.array_equal(plain[name], zero[name]) for name in plain)
    assert {name for name in plain if np.array_equal(plain[name], first[name])} == {"w", "b"}
    assert {name for name in plain if np.array_equal(first[name], second[name])} == {"w", "b"}


# ---------------------------------------------------------------- descriptors


def test_the_examples_of_the_documentation_are_clean(tmp_path: Path) -> None:
    text = (Path(__file__).parent.parent / "docs" / "cases.md").read_text(encoding="utf-8")
    whole, case = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    path = tmp_path / "s.yaml"
    for example in (whole, "crosscorrect: 1\nsuite: s\ncases:\n" + case):
        path.write_text(example, encoding="utf-8")
        assert lint(path) == []
        assert list(load_suite(path).problems())


def test_every_key_of_a_case_and_of_an_array_is_in_the_documentation() -> None:
    text = (Path(__file__).parent.parent / "docs" / "cases.md").read_text(encoding="utf-8")
    definitions = schema()["$defs"]
    words = {*definitions["keys"]["properties"], *definitions["array"]["properties"], *RELATIONS, *SPELLINGS, *FILLS}
    assert [word for word in sorted(words) if not re.search(rf"`{word}\b|\b{word}:", text)] == []


def test_a_descriptor_gives_shapes_and_geometry(tmp_path: Path) -> None:
    fill = {"fill": "integers"}
    case = {**BASE, "x": fill, "w": fill, "b": fill, "dy": fill, "directions": ["grad_bias", "forward"]}
    (problem,) = problems(tmp_path, {**case, "descriptor": "g2mb3ic4ih9iw8oc6oh5ow8kh3kw2sh2dh1ph2"})
    assert problem.shapes == {
        "x": (3, 4, 9, 8),
        "w": (6, 2, 3, 2),
        "output": (3, 6, 5, 8),
        "b": (6,),
        "dy": (3, 6, 5, 8),
    }
    assert problem.geometry is not None
    assert (problem.geometry.padding, problem.geometry.dilation) == (((2, 2), (0, 1)), (2, 1))
    assert {name: array.shape for name, array in problem.inputs().items()}["x"] == (3, 4, 9, 8)


def test_a_swept_descriptor_is_named_by_its_name_or_its_text(tmp_path: Path) -> None:
    texts = ['mb1ic1ih5oc1kh2n"net:conv1*4"', "mb1ic1ih5iw6oc1oh5ow6kh3kw3ph1pw1_g1_dh0dw0_sh1sw1_n"]
    case = {**BASE, "x": {"fill": "codes"}, "w": {"fill": "codes"}, "sweep": {"descriptor": texts}}
    made = problems(tmp_path, case)
    assert [problem.id for problem in made] == [f"s/c@descriptor={n}" for n in ("net-conv1", texts[1].rstrip("n"))]


@pytest.mark.parametrize(
    ("more", "key", "words"),
    [
        ({"descriptor": "ic4ih5kx3"}, "c.descriptor", "at character 7"),
        ({"sweep": {"descriptor": ["ic4ih5kx3"]}}, "c@descriptor=#0.descriptor", "the keys are g, mb"),
        ({"descriptor": "mb2ic4ih5oc6kh2"}, "c.x", "the shape must be [2, 4, 5, 5]"),
        ({"descriptor": "mb2ic4ih5iw6oc6kh2kw2"}, "c.w", "the shape must be [6, 4, 2, 2]"),
        ({"descriptor": "mb2ic4ih5oc6kh2", "geometry": {}}, "c.geometry", "says the geometry already"),
        ({"descriptor": 3}, "c.descriptor", "not text"),
        ({"descriptor": "g" * 301}, "c.descriptor", "benchdnn"),
        ({**PLAIN, "descriptor": "ic4ih5kx3"}, "c.descriptor", "descriptor is for conv2d, relation"),
        (
            {"descriptor": "mb1ic1ih99999oc1kh1", "x": {"fill": "codes"}, "w": {"fill": "codes"}},
            "c.x",
            "a problem may take",
        ),
        ({"sweep": {"descriptor": ['ic1n"a:b"', 'ic2n"a-b"']}}, "c.sweep.descriptor.1", "have one name"),
    ],
    ids=str,
)
def test_a_defect_of_a_descriptor_is_told(tmp_path: Path, more: dict[str, Any], key: str, words: str) -> None:
    error = refused(tmp_path, {**BASE, **more})
    assert error.key == key
    assert words in str(error)
