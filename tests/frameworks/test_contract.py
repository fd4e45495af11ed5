"""One adapter against the oracle, over a fixed list of geometries; run inside the framework's own environment.

``CROSSCORRECT_ADAPTER`` names the adapter (default ``numpy``) and ``CROSSCORRECT_MODE`` its mode (default ``eager``).
An adapter that was asked for and cannot be imported is an error here, not a skip.
"""

from __future__ import annotations

import os
import re
import tomllib
from importlib import import_module
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest

from crosscorrect import bounds, dtypes, oracle
from crosscorrect.adapter import SPELLINGS, Unsupported
from crosscorrect.geometry import Geometry
from crosscorrect.model import Direction

Array: TypeAlias = np.ndarray[Any, Any]
Shape: TypeAlias = tuple[int, ...]

ADAPTER = os.environ.get("CROSSCORRECT_ADAPTER", "numpy")
MODE = os.environ.get("CROSSCORRECT_MODE", "eager")
PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"

pytestmark = pytest.mark.filterwarnings("default")  # a framework's own warnings are no defect of its answers

REFUSALS: dict[str, dict[str, str]] = {
    "torch": {
        r"gradients/u?int\d+/native": "can require gradients",
        r"forward/uint(16|32|64)/native": "not implemented for 'UInt",
        r"transposed.*/forward/u?int(8|16|32)/native": "not implemented for",
        r"line/.*/channels_last": "required rank 4",
        r"(uneven|same lower).*/module": "one padding for both sides",
    },
    "jax": {r"gradients/u?int\d+/native": "dtype float0"},
    "tensorflow": {
        r"gradients/u?int\d+/native": "must be floating",
        r"forward/(u?int(8|16|64)|uint32)/native": "allowed values",
        r"complex\d+/native": "allowed values",
        r"(even|uneven|same lower|transposed, ).*/module": "has the paddings",
    },
    "mxnet": {
        r"/float16/native": "FP16 gemm on cpu not implemented!",
        r"/int(32|64)/native": "only support floating point types",
        r"(uneven|transposed).*/u?int8/native": "only support floating point types",
        r"line/.*/channels_last": "valid values are",
        r"/channels_last": "could not create a descriptor",
        r"(uneven|same).*/module": "one padding for both sides",
    },
}
"""Per adapter: where in ``geometry/call/dtype/spelling`` it refuses, and its words. Another refusal fails, as does an
answer where one is listed."""

ERRORS: dict[str, dict[str, str]] = {
    "mxnet": {
        r"(uneven|transposed).*/bfloat16/native": "Unknown type enum",
        r"/uint8/native": "could not create a descriptor",
        r"gradients/int8/native": "could not create a descriptor",
    },
}
"""Likewise, where the framework fails without saying that it refuses."""

WRONG = "float64 Deconvolution with stride and dilation both above 1 returns wrong numbers; float32 is right"
DEFECTS: dict[str, dict[str, str]] = {
    "mxnet": {
        "transposed, dilation, stride/forward/float64": WRONG,
        "transposed line, groups/forward/float64": WRONG,
    },
}
"""Per adapter: the framework's own errors, each confirmed without the adapter. One that is gone fails, too."""


def g1(stride: int = 1, padding: Any = "valid", dilation: int = 1, groups: int = 1) -> Geometry:
    return Geometry((stride,), padding, (dilation,), groups, transposed=False, output_padding=(0,))


def g2(stride: Shape = (1, 1), padding: Any = "valid", dilation: Shape = (1, 1), groups: int = 1) -> Geometry:
    return Geometry(stride, padding, dilation, groups)


def g3(stride: Shape = (1, 1, 1), padding: Any = "valid", dilation: Shape = (1, 1, 1), groups: int = 1) -> Geometry:
    return Geometry(stride, padding, dilation, groups, transposed=False, output_padding=(0, 0, 0))


def up(
    stride: Shape, padding: Any = "valid", extra: Shape | None = None, dilation: Shape | None = None, groups: int = 1
) -> Geometry:
    rank = len(stride)
    return Geometry(
        stride, padding, dilation or (1,) * rank, groups, transposed=True, output_padding=extra or (0,) * rank
    )


PLAIN = (2, 3, 7, 9), (4, 3, 3, 2)
GROUPED = (2, 4, 7, 9), (6, 2, 3, 2)
DEEP = (2, 4, 7, 9), (4, 1, 3, 2)
LINE = (2, 3, 11), (4, 3, 3)
CUBE = (2, 2, 4, 5, 6), (3, 2, 2, 3, 1)
FINE = (2, 4, 4, 5), (4, 3, 3, 2)
EVEN = ((1, 1), (2, 2))
ODD = ((0, 2), (1, 0))

CASES: dict[str, tuple[Geometry, tuple[Shape, Shape]]] = {
    "chapter": (g2(), ((1, 1, 6, 8), (1, 1, 1, 2))),
    "valid": (g2(), PLAIN),
    "one by one": (g2(), ((2, 3, 5, 4), (4, 3, 1, 1))),
    "one by one strided": (g2((2, 3)), ((2, 3, 5, 7), (4, 3, 1, 1))),
    "kernel as large as the image": (g2(), ((2, 3, 4, 5), (2, 3, 4, 5))),
    "column kernel": (g2(), ((2, 3, 6, 4), (2, 3, 4, 1))),
    "single pixel": (g2(padding=((1, 1), (0, 1))), ((2, 2, 1, 1), (3, 2, 3, 2))),
    "stride": (g2((2, 3)), PLAIN),
    "stride leaves a rest": (g2((3, 2)), ((2, 3, 8, 10), (4, 3, 2, 3))),
    "stride beyond the kernel": (g2((4, 5)), ((2, 3, 9, 12), (2, 3, 2, 2))),
    "even padding": (g2(padding=EVEN), PLAIN),
    "uneven padding": (g2(padding=ODD), PLAIN),
    "uneven padding, stride": (g2((2, 3), ODD), PLAIN),
    "padding beyond the kernel": (g2(padding=((3, 4), (5, 2))), ((2, 2, 3, 4), (3, 2, 2, 2))),
    "padding on one axis": (g2(padding=((0, 0), (2, 1))), PLAIN),
    "same upper": (g2(padding="same_upper"), ((2, 3, 6, 7), (4, 3, 2, 4))),
    "same lower": (g2(padding="same_lower"), ((2, 3, 6, 7), (4, 3, 2, 4))),
    "same upper, stride": (g2((2, 3), "same_upper"), ((2, 3, 7, 8), (4, 3, 4, 4))),
    "same lower, stride": (g2((2, 3), "same_lower"), ((2, 3, 7, 8), (4, 3, 4, 4))),
    "same upper, dilation": (g2((1, 1), "same_upper", (2, 3)), ((2, 3, 7, 8), (4, 3, 2, 2))),
    "same lower, dilation": (g2((1, 1), "same_lower", (2, 3)), ((2, 3, 7, 8), (4, 3, 2, 2))),
    "dilation": (g2(dilation=(2, 3)), PLAIN),
    "dilation, padding": (g2((1, 1), ODD, (3, 2)), PLAIN),
    "dilation, stride": (g2((2, 3), "valid", (3, 2)), ((2, 3, 9, 11), (4, 3, 3, 2))),
    "dilation, stride, padding": (g2((3, 2), ODD, (2, 3)), PLAIN),
    "groups": (g2(groups=2), GROUPED),
    "groups, stride, padding": (g2((2, 3), ODD, (1, 1), 2), GROUPED),
    "groups, dilation": (g2((1, 1), EVEN, (2, 3), 2), GROUPED),
    "groups, same lower": (g2((2, 1), "same_lower", (1, 1), 2), GROUPED),
    "three groups": (g2(groups=3), ((2, 6, 5, 6), (3, 2, 2, 3))),
    "depthwise": (g2(groups=4), DEEP),
    "depthwise, stride, padding": (g2((2, 3), ODD, (1, 1), 4), DEEP),
    "depthwise, dilation": (g2((1, 1), EVEN, (2, 3), 4), DEEP),
    "depthwise with multiplier": (g2(groups=3), ((2, 3, 6, 7), (6, 1, 3, 2))),
    "depthwise with multiplier, dilation, stride": (g2((2, 3), EVEN, (3, 2), 3), ((2, 3, 9, 8), (6, 1, 3, 2))),
    "32 channels": (g2(padding=EVEN), ((1, 32, 5, 4), (31, 32, 3, 3))),
    "33 channels": (g2(), ((1, 33, 5, 4), (32, 33, 3, 3))),
    "batch of seven": (g2(), ((7, 2, 5, 4), (3, 2, 2, 3))),
    "line": (g1(), LINE),
    "line, everything": (g1(3, ((1, 2),), 2), LINE),
    "line, same lower": (g1(2, "same_lower"), ((2, 3, 11), (4, 3, 4))),
    "line, groups": (g1(2, ((2, 0),), 1, 2), ((2, 4, 11), (6, 2, 3))),
    "line, depthwise": (g1(1, "same_upper", 2, 3), ((2, 3, 11), (3, 1, 4))),
    "cube": (g3(), CUBE),
    "cube, stride, padding": (g3((2, 1, 3), ((1, 0), (0, 2), (1, 1))), CUBE),
    "cube, dilation": (g3((1, 1, 1), ((1, 1), (0, 0), (2, 1)), (2, 1, 3)), CUBE),
    "cube, same lower": (g3((1, 2, 1), "same_lower"), ((1, 2, 4, 5, 6), (3, 2, 2, 4, 2))),
    "cube, groups": (g3(groups=2), ((2, 4, 3, 4, 5), (6, 2, 2, 3, 1))),
    "transposed": (up((1, 1)), FINE),
    "transposed, stride": (up((2, 3)), FINE),
    "transposed, padding": (up((2, 3), EVEN), FINE),
    "transposed, uneven padding": (up((2, 3), ODD), FINE),
    "transposed, output padding": (up((2, 3), EVEN, (1, 2)), FINE),
    "transposed, uneven padding, output padding": (up((3, 2), ODD, (2, 1)), FINE),
    "transposed, dilation": (up((1, 1), EVEN, None, (2, 3)), FINE),
    "transposed, dilation, stride": (up((2, 3), ODD, (1, 0), (3, 2)), FINE),
    "transposed, stride beyond the kernel": (up((4, 3), "valid", (1, 2)), ((2, 3, 3, 4), (3, 2, 2, 1))),
    "transposed, groups": (up((2, 3), ODD, (1, 1), None, 2), FINE),
    "transposed, depthwise": (up((2, 1), EVEN, None, None, 4), ((2, 4, 4, 5), (4, 1, 3, 2))),
    "transposed line": (up((3,), ((1, 0),), (2,)), ((2, 3, 6), (3, 2, 4))),
    "transposed line, groups": (up((2,), ((0, 1),), None, (2,), 2), ((2, 4, 6), (4, 3, 3))),
    "transposed cube": (up((2, 1, 3), ((1, 0), (0, 1), (0, 0)), (1, 0, 2)), ((2, 2, 3, 4, 2), (2, 3, 2, 3, 2))),
}


@pytest.fixture(scope="session")
def adapter() -> Any:
    """The adapter of the entry-point table, under strict arithmetic."""
    targets = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]["entry-points"]["crosscorrect.adapters"]
    module, _, name = targets[ADAPTER].partition(":")
    made = getattr(import_module(module), name)("cpu", MODE)
    made.arithmetic("strict")
    return made


@pytest.fixture(params=["float32", "float64"])
def dtype(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(autouse=True)
def known_defect(request: pytest.FixtureRequest) -> None:
    """Expect, strictly, the failure of what ``DEFECTS`` lists."""
    given = getattr(request.node, "callspec", None)
    key = "/".join(str(given.params.get(part)) for part in ("name", "call", "dtype")) if given else ""
    reason = DEFECTS.get(ADAPTER, {}).get(key)
    if reason is not None:
        request.applymarker(pytest.mark.xfail(reason=reason, strict=True, raises=(AssertionError, ValueError)))


def tensors(name: str, dtype: str, data: str) -> tuple[Geometry, list[Array]]:
    """The geometry and (x, w, b, dy) of a case, seeded by its name."""
    geometry, (x_shape, w_shape) = CASES[name]
    rng = np.random.default_rng(list(name.encode()))
    out = geometry.output_shape(x_shape, w_shape)

    def draw(shape: Shape) -> Array:
        if data == "real":
            return np.asarray(rng.standard_normal(shape))
        low, high = {"integers": (-4, 5), "few": (0 if dtype.startswith("u") else -1, 2)}[data]
        return rng.integers(low, high, shape) * (1 + 0j) if dtype in dtypes.COMPLEX else rng.integers(low, high, shape)

    turn = 1 - 1j if dtype in dtypes.COMPLEX else 1
    return geometry, [dtypes.narrow(draw(s) * turn, dtype) for s in (x_shape, w_shape, (out[1],), out)]


def listed(table: dict[str, dict[str, str]], key: str) -> str | None:
    """What the table says of this adapter at a key: the first entry that is found in it."""
    return next((words for place, words in table.get(ADAPTER, {}).items() if re.search(place, key)), None)


def answer(
    adapter: Any, name: str, call: str, dtype: str, data: str, spelling: str = "native"
) -> list[tuple[Array, oracle.Reference, list[Array]]]:
    """What the adapter returned beside its reference and the inputs; empty where it refused as it is known to."""
    geometry, arrays = tensors(name, dtype, data)
    x, w, b, dy = arrays
    key, more = f"{name}/{call}/{dtype}/{spelling}", {} if spelling == "native" else {"spelling": spelling}
    refuses, fails = listed(REFUSALS, key), listed(ERRORS, key)
    if refuses or fails:
        kind: Any = Unsupported if refuses else Exception
        with pytest.raises(kind, match=re.escape(refuses or fails or "")) as caught:
            ask(adapter, call, arrays, geometry, more)
        assert isinstance(caught.value, Unsupported) == bool(refuses)
        return []
    got = ask(adapter, call, arrays, geometry, more)
    if call == "forward":
        return [(got[0], oracle.forward(x, w, b, geometry, dtype), [x, w, b])]
    found = oracle.gradients(x, w, b, dy, geometry, dtype)
    directions = (Direction.GRAD_INPUT, Direction.GRAD_WEIGHT, Direction.GRAD_BIAS)
    return [(g, found[d], [x, w, dy]) for g, d in zip(got, directions, strict=True)]


def ask(adapter: Any, call: str, arrays: list[Array], geometry: Geometry, more: dict[str, str]) -> list[Array]:
    put = [adapter.put(array) for array in arrays]
    if call == "forward":
        return [adapter.get(adapter.conv2d(*put[:3], geometry, **more))]
    grads = adapter.grads(*put, geometry, **more)
    return [adapter.get(tensor) for tensor in (grads.dx, grads.dw, grads.db)]


@pytest.mark.parametrize("call", ["forward", "gradients"])
@pytest.mark.parametrize("name", CASES)
def test_integer_data_give_exactly_the_reference_or_a_listed_refusal(
    adapter: Any, name: str, call: str, dtype: str
) -> None:
    for got, reference, inputs in answer(adapter, name, call, dtype, "integers"):
        assert bounds.exact(inputs, reference, dtype)
        assert dtypes.name_of(got.dtype) == dtype
        np.testing.assert_array_equal(got, reference.value)
        assert got.shape == reference.value.shape


@pytest.mark.parametrize("call", ["forward", "gradients"])
@pytest.mark.parametrize("name", CASES)
def test_real_data_stay_within_the_sound_rounding_bound(adapter: Any, name: str, call: str, dtype: str) -> None:
    for got, reference, _ in answer(adapter, name, call, dtype, "real"):
        assert_bounded(got, reference, dtype)


def assert_bounded(got: Array, reference: oracle.Reference, dtype: str) -> None:
    assert got.shape == reference.value.shape
    over = np.abs(got.astype(np.float64) - reference.value) / bounds.tier_a(reference, dtype)
    assert over.max() <= 1


@pytest.mark.parametrize("call", ["forward", "gradients"])
@pytest.mark.parametrize("name", ["valid", "uneven padding", "groups", "transposed line", "line"])
@pytest.mark.parametrize("kind", [name for name in dtypes.NAMES if name not in ("float32", "float64")])
def test_every_other_dtype_is_exact_on_few_integers_or_refused(adapter: Any, name: str, call: str, kind: str) -> None:
    if kind not in adapter.identity().dtypes:
        pytest.skip(f"{ADAPTER} has no tensors of {kind}")
    for got, reference, inputs in answer(adapter, name, call, kind, "few"):
        assert bounds.exact(inputs, reference, kind)
        assert dtypes.name_of(got.dtype) == kind
        answers = [reference, *reference.others]  # of complex numbers, gradients conjugate or do not
        assert any(np.array_equal(dtypes.widen(got), standard.value) for standard in answers)


@pytest.mark.parametrize("call", ["forward", "gradients"])
@pytest.mark.parametrize(
    "name", ["valid", "even padding", "uneven padding", "same upper", "same lower, stride", "dilation", "groups",
             "transposed, padding", "line", "cube"]
)  # fmt: skip
@pytest.mark.parametrize("spelling", SPELLINGS[1:])
def test_every_spelling_stays_within_the_bound_or_is_refused(adapter: Any, name: str, call: str, spelling: str) -> None:
    if spelling not in adapter.identity().spellings:
        pytest.skip(f"{ADAPTER} has no spelling {spelling}")
    for got, reference, _ in answer(adapter, name, call, "float32", "real", spelling):
        assert_bounded(got, reference, "float32")


@pytest.mark.parametrize("kind", dtypes.NAMES)
def test_every_listed_dtype_comes_back_from_the_device_bit_for_bit(adapter: Any, kind: str) -> None:
    if kind not in adapter.identity().dtypes:
        pytest.skip(f"{ADAPTER} has no tensors of {kind}")
    if kind in dtypes.INTEGER:
        values = np.array([[0, 1, np.iinfo(kind).max], [3, np.iinfo(kind).min, 5]], kind)
    else:
        numbers = [0.0, -0.0, np.inf, -np.inf, 1 / 3, -1e-7 if kind == "float16" else -1e-40]
        values = dtypes.narrow(np.reshape(numbers, (2, 3)), kind)
        if kind in dtypes.COMPLEX:
            values.imag = -values.real
    back = adapter.get(adapter.put(values))
    assert dtypes.name_of(back.dtype) == kind
    assert back.shape == values.shape
    assert back.tobytes() == values.tobytes()


def test_the_list_covers_every_kind_of_geometry_and_nothing_listed_names_an_unknown_case() -> None:
    geometries = [geometry for geometry, _ in CASES.values()]
    assert {g.rank for g in geometries} == {1, 2, 3}
    assert {g.padding for g in geometries if isinstance(g.padding, str)} == {"valid", "same_upper", "same_lower"}
    assert any(g.transposed and any(g.output_padding) for g in geometries)
    keys = [
        f"{n}/{c}/{d}/{s}" for n in CASES for c in ("forward", "gradients") for d in dtypes.NAMES for s in SPELLINGS
    ]
    for table in (*REFUSALS.values(), *ERRORS.values()):
        for place in table:
            assert any(re.search(place, key) for key in keys)
    for known in DEFECTS.values():
        for key in known:
            assert f"{key}/native" in keys
