"""Array specifications: shapes told without building, values rounded once, defects told with their place."""

from __future__ import annotations

import io
import math
import zipfile
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st

from crosscorrect import dtypes, fills, inputs, kernels, pictures
from crosscorrect.errors import CaseError
from crosscorrect.inputs import array_of, shape_of
from crosscorrect.suite import load_suite
from crosscorrect.values import ArrayError, cast, measure

SHAPES = st.lists(st.integers(1, 4), min_size=1, max_size=5)
PICTURE_KEYS = {"polynomial": {"degree": 2}}
KERNEL_KEYS: dict[str, dict[str, Any]] = {
    "directional": {"vector": [2, -1]},
    "derivative": {"degree": 3},
    "integral": {"size": [2, 3]},
    "binomial": {"size": [3, 2]},
    "gaussian": {"size": [2, 5], "sigma": 1.5},
}
NAMED = [{"picture": name, "size": [4, 7], **PICTURE_KEYS.get(name, {})} for name in pictures.PICTURES] + [
    {"kernel": name, **KERNEL_KEYS.get(name, {})} for name in kernels.KERNELS
]


def build(spec: Any, dtype: str = "float64", folder: Path = Path()) -> Any:
    return array_of(spec, dtype, "suite/case", "x", folder)


@given(SHAPES, st.sampled_from(list(fills.FILLS)), st.booleans(), st.booleans())
def test_the_told_shape_is_the_built_shape(shape: list[int], kind: str, flip: bool, transpose: bool) -> None:
    spec = {"fill": kind, "shape": shape, "flip": flip, "transpose": transpose}
    spec.update({"impulse": {"at": [0]}, "constant": {"value": 3}}.get(kind, {}))
    assert shape_of(spec, Path()) == build(spec).shape


@pytest.mark.parametrize("spec", NAMED, ids=str)
@pytest.mark.parametrize("transpose", [False, True])
def test_named_arrays_have_their_told_shape_and_transpose(spec: dict[str, Any], transpose: bool) -> None:
    array = build({**spec, "transpose": transpose})
    assert array.shape == shape_of({**spec, "transpose": transpose}, Path())
    assert np.array_equal(array, build(spec).T if transpose else build(spec))


@given(st.recursive(st.integers(-9, 9), lambda inner: st.lists(inner, min_size=1, max_size=3), max_leaves=12))
def test_measure_agrees_with_numpy_or_refuses_what_numpy_refuses(rows: Any) -> None:
    try:
        wanted = np.array(rows).shape
    except ValueError:
        with pytest.raises(ArrayError, match="the rows differ"):
            measure(rows)
    else:
        assert measure(rows) == wanted


@given(
    st.lists(st.floats(-6e4, 6e4), min_size=1, max_size=8), st.floats(-1, 1), st.sampled_from(["float16", "float32"])
)
def test_values_are_rounded_to_nearest_once_after_scaling_in_float64(
    row: list[float], scale: float, dtype: str
) -> None:
    got = build({"of": [row], "scale": scale}, dtype)
    assert got.dtype == dtype
    for value, rounded in zip(row, got[0], strict=True):
        exact, near = Fraction(value * scale), Fraction(float(rounded))
        with np.errstate(over="ignore"):
            neighbours = [np.nextafter(rounded, np.asarray(side, dtype)) for side in (-math.inf, math.inf)]
        assert all(abs(exact - near) <= abs(exact - Fraction(float(n))) for n in neighbours if np.isfinite(n))


@given(st.lists(st.integers(-(2**53), 2**53), min_size=1, max_size=5))
def test_integers_stay_exact_in_int64_and_float64(row: list[int]) -> None:
    assert build([row], "int64").tolist() == [row]
    assert [int(value) for value in build([row], "float64")[0]] == row


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ([128], "int8"),
        ([-129], "int8"),
        ([-1], "uint8"),
        ([256], "uint8"),
        ([0.5], "int32"),
        ([2**31], "int32"),
        ([2.0**63], "int64"),
        ([65520], "float16"),
        ([1e39], "float32"),
    ],
)
def test_a_value_that_the_dtype_cannot_hold_is_refused(values: list[float], dtype: str) -> None:
    with pytest.raises(ArrayError, match="cannot hold") as caught:
        cast(np.array(values), dtype)
    assert caught.value.value == values[0]


@pytest.mark.parametrize(
    ("value", "dtype"), [(127, "int8"), (-128, "int8"), (255, "uint8"), (65519, "float16"), (-(2.0**63), "int64")]
)
def test_the_last_value_that_the_dtype_holds_is_kept(value: float, dtype: str) -> None:
    assert np.isfinite(cast(np.array([value]), dtype)).all()


def test_flip_reverses_the_image_axes_only() -> None:
    assert build({"of": [[1, 2], [3, 4]], "flip": True}).tolist() == [[4, 3], [2, 1]]
    spec = {"fill": "codes", "shape": [2, 3, 2, 4]}
    assert np.array_equal(build({**spec, "flip": True}), build(spec)[:, :, ::-1, ::-1])
    assert np.array_equal(build({**spec, "transpose": True}), build(spec).swapaxes(2, 3))


def test_a_fill_takes_its_shape_from_what_it_must_fit() -> None:
    assert shape_of({"fill": "normal"}, Path(), (3, 2)) == (3, 2)


def test_the_stream_depends_on_problem_name_and_seed() -> None:
    spec = {"fill": "normal", "shape": [4, 4]}
    made = [
        array_of(spec, "float32", "s/a", "x", Path()),
        array_of(spec, "float32", "s/b", "x", Path()),
        array_of(spec, "float32", "s/a", "w", Path()),
        array_of({**spec, "seed": 1}, "float32", "s/a", "x", Path()),
    ]
    assert len({array.tobytes() for array in made}) == 4
    assert np.array_equal(made[0], array_of(spec, "float32", "s/a", "x", Path()))


def test_a_salt_makes_another_stream_and_0_makes_none() -> None:
    spec = {"fill": "normal", "shape": [4, 4]}
    made = [array_of(spec, "float32", "s/a", "x", Path(), salt).tobytes() for salt in (0, 1, 2)]
    assert len(set(made)) == 3
    assert made[0] == array_of(spec, "float32", "s/a", "x", Path()).tobytes()


@pytest.mark.parametrize("kind", fills.FILLS)
def test_a_complex_fill_has_the_real_one_as_its_real_part(kind: str) -> None:
    spec: dict[str, Any] = {"fill": kind, "shape": [3, 4], "scale": 0.5, "flip": True}
    spec.update({"impulse": {"at": [0]}, "constant": {"value": 3}}.get(kind, {}))
    got, real = build(spec, "complex64"), build(spec, "float32")
    assert np.array_equal(got.real, real)
    other = array_of(spec, "float32", "suite/case", "x.imag", Path())
    assert np.array_equal(got.imag, other if kind in fills.RANDOM else np.zeros((3, 4)))
    assert (kind in fills.RANDOM) == bool(got.imag.any())


def test_a_complex_literal_has_an_imaginary_part_or_none() -> None:
    spec = {"of": [[1, 2], [3, 4]], "imag": [[0, -1], [0.5, 8]], "scale": 2, "transpose": True}
    assert build(spec, "complex128").tolist() == [[2, 6 + 1j], [4 - 2j, 8 + 16j]]
    assert build([[1, 2]], "complex64").tolist() == [[1, 2]]
    with pytest.raises(ArrayError, match="cannot hold"):
        build(spec, "float32")


def test_a_bfloat16_array_is_built_like_any_other() -> None:
    spec = {"fill": "normal", "shape": [3, 2, 4], "scale": 0.3, "transpose": True, "flip": True}
    got, exact = build(spec, "bfloat16"), build(spec, "float64")
    assert got.dtype == dtypes.BFLOAT16
    assert np.array_equal(dtypes.widen(got), dtypes.widen(dtypes.narrow(exact, "bfloat16")))
    assert dtypes.widen(build({"fill": "impulse", "shape": [2, 2], "at": [0, 1]}, "bfloat16")).tolist() == [
        [0, 1],
        [0, 0],
    ]


def test_put_comes_after_scale_flip_and_transpose() -> None:
    spec = {"of": [[1, 2, 3]], "scale": 10, "flip": True, "transpose": True, "put": [{"at": [2, 0], "value": 7}]}
    assert shape_of(spec, Path()) == (3, 1)
    assert build(spec).tolist() == [[30], [20], [7]]


@given(
    st.lists(st.integers(0, 3), min_size=1, max_size=5), st.sampled_from(["float32", "bfloat16", "complex64", "int8"])
)
def test_a_fill_without_elements_has_its_shape(shape: list[int], dtype: str) -> None:
    spec = {"fill": "integers", "shape": shape}
    assert shape_of(spec, Path()) == build(spec, dtype).shape == tuple(shape)


@pytest.mark.parametrize(
    ("spec", "key", "words"),
    [
        (3, (), "a list of numbers or a mapping"),
        ({}, (), "exactly one"),
        ({"fill": "normal", "picture": "edge", "shape": [2]}, (), "exactly one"),
        ({"picture": "edeg"}, ("picture",), "no picture"),
        ({"picture": "edge", "sigma": 1}, ("sigma",), "no meaning"),
        ({"picture": "polynomial"}, (), "degree is missing"),
        ({"picture": "edge", "size": [2**40, 2**40]}, (), "a problem may take 2 GiB"),
        ({"kernel": "gaussian", "size": 3}, (), "sigma is missing"),
        ({"kernel": "gaussian", "size": "3", "sigma": 1}, ("kernel",), "cannot be made"),
        ({"fill": "normal"}, ("fill",), "no shape"),
        ({"fill": "normal", "shape": [2**40]}, (), "a problem may take 2 GiB"),
        ({"fill": "normal", "shape": [1] * 65}, ("shape",), "1 to 5"),
        ({"fill": "normal", "shape": [2, -1]}, ("shape",), "none below 0"),
        ({"fill": "normal", "shape": [2], "low": 3}, ("low",), "no meaning"),
        ({"fill": "integers", "shape": [2], "low": 3, "high": 2}, ("fill",), "low and high"),
        ({"of": [[1, 2], [3]]}, ("of", 1), "the rows differ"),
        ({"of": 3}, ("of",), "nested list"),
        ({"of": [1, 2], "imag": 3}, ("imag",), "nested list"),
        ({"of": [1, 2], "imag": [1, [2]]}, ("imag", 1), "the rows differ"),
        ({"of": [1, 2], "imag": [1]}, ("imag",), "the shape must be [2]"),
        ({"of": [1, 2], "put": [{"at": [2], "value": 1}]}, ("put", 0, "at"), "inside the shape [2]"),
        ({"fill": "wide", "shape": [2], "powers": -1}, ("fill",), "powers must be"),
        ({"fill": "normal", "shape": [2], "imag": [1, 2]}, ("imag",), "no meaning"),
        ({"of": [[1]], "flip": 1}, ("flip",), "true or false"),
        ({"of": [[1]], "scale": math.inf}, ("scale",), "finite"),
        ([[1, "2"]], (0, 1), "holds numbers"),
        ([[1, True]], (0, 1), "holds numbers"),
        ([[1, math.nan]], (0, 1), "finite"),
        ([[2**53 + 1]], (0, 0), "beyond 2**53"),
        ([[]], (0,), "empty"),
        ({"npz": "../x.npz", "key": "a"}, ("npz",), "not in the suite's folder"),
        ({"npz": "/etc/passwd", "key": "a"}, ("npz",), "not in the suite's folder"),
        ({"npz": "absent.npz", "key": "a"}, ("npz",), "no such file"),
    ],
    ids=str,
)
def test_a_defect_is_told_with_its_place(spec: Any, key: tuple[str | int, ...], words: str, tmp_path: Path) -> None:
    with pytest.raises(ArrayError) as caught:
        shape_of(spec, tmp_path)
    assert words in str(caught.value)
    assert caught.value.key == key


def test_a_misspelt_name_suggests_the_nearest() -> None:
    with pytest.raises(ArrayError) as caught:
        shape_of({"kernel": "sobelx"}, Path())
    assert caught.value.remedy == "did you mean sobel_x?"


def test_an_npz_array_is_measured_by_its_header_and_read(tmp_path: Path) -> None:
    values = np.arange(6, dtype=np.float32).reshape(2, 3)
    np.savez_compressed(tmp_path / "data.npz", image=values, words=np.array(["a"]), complex=values * 1j)
    spec = {"npz": "data.npz", "key": "image"}
    assert shape_of(spec, tmp_path) == (2, 3)
    assert np.array_equal(build(spec, "float64", tmp_path), values)
    assert np.array_equal(build({**spec, "transpose": True}, "int8", tmp_path), values.T)
    assert np.array_equal(build({"npz": "data.npz", "key": "complex"}, "complex64", tmp_path), values * 1j)
    with pytest.raises(ArrayError, match="real or complex numbers"):
        shape_of({"npz": "data.npz", "key": "words"}, tmp_path)
    with pytest.raises(ArrayError, match="cannot be read"):
        shape_of({"npz": "data.npz", "key": "absent"}, tmp_path)


def test_an_npz_file_with_a_pickle_is_refused_unpickled(tmp_path: Path) -> None:
    np.savez(tmp_path / "data.npz", image=np.array([[{}]], dtype=object))
    with pytest.raises(ArrayError, match="real or complex numbers"):
        shape_of({"npz": "data.npz", "key": "image"}, tmp_path)


def test_an_npz_file_that_claims_to_be_huge_is_refused_by_its_header(tmp_path: Path) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (2**40,)})
    with zipfile.ZipFile(tmp_path / "data.npz", "w") as archive:
        archive.writestr("image.npy", header.getvalue())
    with pytest.raises(ArrayError, match="would take 8 TiB; a problem may take 2 GiB"):
        shape_of({"npz": "data.npz", "key": "image"}, tmp_path)


def test_what_is_no_npz_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data.npz").write_text("x")
    with pytest.raises(ArrayError, match="cannot be read"):
        shape_of({"npz": "data.npz", "key": "image"}, tmp_path)


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "suite").mkdir()
    np.savez(tmp_path / "data.npz", image=np.ones(2))
    (tmp_path / "suite" / "data.npz").symlink_to(tmp_path / "data.npz")
    with pytest.raises(ArrayError, match="a link leads there"):
        shape_of({"npz": "data.npz", "key": "image"}, tmp_path / "suite")


def test_every_kind_of_array_has_a_way_to_be_measured() -> None:
    assert set(inputs._SHAPES) == set(inputs.KINDS)


HUGE = 10**399


@pytest.mark.parametrize(
    "spec",
    [
        [[HUGE]],
        {"of": [-HUGE]},
        {"of": [1], "scale": HUGE},
        {"fill": "constant", "value": HUGE, "shape": [2]},
        {"fill": "integers", "high": HUGE, "shape": [2]},
        {"kernel": "gaussian", "size": 3, "sigma": HUGE},
        {"kernel": "directional", "vector": [HUGE, 1]},
        {"picture": "polynomial", "degree": HUGE},
        {"picture": "polynomial", "degree": 1, "coefficients": [HUGE, 1]},
        {"picture": "edge", "size": [HUGE, 2]},
    ],
    ids=str,
)
def test_an_integer_beyond_a_double_is_refused_like_any_other_wrong_value(spec: Any) -> None:
    with pytest.raises(ArrayError):
        shape_of(spec, Path())


@pytest.mark.parametrize("digits", [20, 300, 400])
def test_a_huge_integer_in_a_case_file_is_told_with_its_line_and_key(tmp_path: Path, digits: int) -> None:
    path = tmp_path / "own.yaml"
    head = "crosscorrect: 1\nsuite: own\ncases:\n"
    path.write_text(f"{head}  - {{id: a, operation: corr2d, w: [[1]],\n     x: [[1, {'9' * digits}]]}}\n")
    with pytest.raises(CaseError) as told:
        list(load_suite(path).problems())
    assert told.value.line == 5
    assert "x" in told.value.key.split(".")
    assert f"{path}:5: " in str(told.value)
