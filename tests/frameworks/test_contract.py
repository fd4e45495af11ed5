"""One adapter against the oracle, over a fixed list of geometries; run inside the framework's own environment.

``CROSSCORRECT_ADAPTER`` names the adapter (default ``numpy``) and ``CROSSCORRECT_MODE`` its mode (default ``eager``).
An adapter that was asked for and cannot be imported is an error here, not a skip.
"""

from __future__ import annotations

import os
import tomllib
from importlib import import_module
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest

from crosscorrect import bounds, oracle
from crosscorrect.adapter import Unsupported
from crosscorrect.geometry import Geometry
from crosscorrect.model import Direction

Array: TypeAlias = np.ndarray[Any, Any]
Shape: TypeAlias = tuple[int, ...]

ADAPTER = os.environ.get("CROSSCORRECT_ADAPTER", "numpy")
MODE = os.environ.get("CROSSCORRECT_MODE", "eager")
PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"

pytestmark = pytest.mark.filterwarnings("default")  # a framework's own warnings are no defect of its answers

REFUSALS: dict[str, dict[str, str]] = {}
"""Per adapter: ``geometry/call/dtype`` -> words of the reason. Another refusal, or one of these computed, fails."""

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
    key = "/".join(str(given.params[part]) for part in ("name", "call", "dtype")) if given else ""
    reason = DEFECTS.get(ADAPTER, {}).get(key)
    if reason is not None:
        request.applymarker(pytest.mark.xfail(reason=reason, strict=True, raises=(AssertionError, ValueError)))


def tensors(name: str, dtype: str, data: str) -> tuple[Geometry, list[Array]]:
    """The geometry and (x, w, b, dy) of a case, seeded by its name."""
    geometry, (x_shape, w_shape) = CASES[name]
    rng = np.random.default_rng(list(name.encode()))
    out = geometry.output_shape(x_shape, w_shape)
    draw = (lambda s: rng.integers(-4, 5, s)) if data == "integers" else rng.standard_normal
    return geometry, [np.asarray(draw(shape)).astype(dtype) for shape in (x_shape, w_shape, (out[1],), out)]


def answer(
    adapter: Any, name: str, call: str, dtype: str, data: str
) -> list[tuple[Any, oracle.Reference, list[Array]]]:
    """What the adapter returned beside its reference and the inputs; empty where it refused as it is known to."""
    geometry, arrays = tensors(name, dtype, data)
    x, w, b, dy = arrays
    known = REFUSALS.get(ADAPTER, {}).get(f"{name}/{call}/{dtype}")
    try:
        put = [adapter.put(array) for array in arrays]
        if call == "forward":
            got = [adapter.conv2d(*put[:3], geometry)]
        else:
            grads = adapter.grads(*put, geometry)
            got = [grads.dx, grads.dw, grads.db]
        got = [adapter.get(tensor) for tensor in got]
    except Unsupported as refusal:
        reason = str(refusal)
    else:
        reason = ""
    if reason:
        assert known is not None, f"refused without being listed: {reason}"
        assert known in reason
        return []
    assert known is None, f"computed although listed as refused: {known}"
    if call == "forward":
        return [(got[0], oracle.forward(x, w, b, geometry), [x, w, b])]
    found = oracle.gradients(x, w, b, dy, geometry)
    directions = (Direction.GRAD_INPUT, Direction.GRAD_WEIGHT, Direction.GRAD_BIAS)
    return [(g, found[d], [x, w, dy]) for g, d in zip(got, directions, strict=True)]


@pytest.mark.parametrize("call", ["forward", "gradients"])
@pytest.mark.parametrize("name", CASES)
def test_integer_data_give_exactly_the_reference_or_a_listed_refusal(
    adapter: Any, name: str, call: str, dtype: str
) -> None:
    for got, reference, inputs in answer(adapter, name, call, dtype, "integers"):
        assert bounds.exact(inputs, reference, dtype)
        assert got.dtype.name == dtype
        np.testing.assert_array_equal(got, reference.value)
        assert got.shape == reference.value.shape


@pytest.mark.parametrize("call", ["forward", "gradients"])
@pytest.mark.parametrize("name", CASES)
def test_real_data_stay_within_the_sound_rounding_bound(adapter: Any, name: str, call: str, dtype: str) -> None:
    for got, reference, _ in answer(adapter, name, call, dtype, "real"):
        assert got.shape == reference.value.shape
        over = np.abs(got.astype(np.float64) - reference.value) / bounds.tier_a(reference, dtype)
        assert over.max() <= 1


def test_the_list_covers_every_kind_of_geometry_and_nothing_listed_names_an_unknown_case() -> None:
    geometries = [geometry for geometry, _ in CASES.values()]
    assert {g.rank for g in geometries} == {1, 2, 3}
    assert {g.padding for g in geometries if isinstance(g.padding, str)} == {"valid", "same_upper", "same_lower"}
    assert any(g.transposed and any(g.output_padding) for g in geometries)
    for listed in (*REFUSALS.values(), *DEFECTS.values()):
        for key in listed:
            name, call, dtype = key.split("/")
            assert name in CASES
            assert call in {"forward", "gradients"}
            assert dtype in {"float32", "float64"}
