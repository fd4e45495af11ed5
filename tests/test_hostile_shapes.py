"""Case files that ask for more than any machine has: refused before anything is built, with what it would take."""

from __future__ import annotations

import json
import tracemalloc
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from crosscorrect import checksum, dtypes, estimate, judge, operations, plan, slides, specify
from crosscorrect.errors import CaseError
from crosscorrect.shipped import shipped_suites
from crosscorrect.suite import lint, load_suite

if TYPE_CHECKING:
    from pathlib import Path

    from crosscorrect.parts import Parts
    from crosscorrect.problem import Problem
    from crosscorrect.sweep import Point

MEGABYTE = 2**20


def fill(*shape: int, **keys: Any) -> dict[str, Any]:
    return {"fill": "integers", "shape": list(shape), **keys}


def conv2d(x: Any, w: Any, **keys: Any) -> dict[str, Any]:
    return {"operation": "conv2d", "x": x, "w": w, **keys}


def related(name: str, x: Any, w: Any, **geometry: Any) -> dict[str, Any]:
    return {"operation": "relation", "relation": name, "x": x, "w": w, "geometry": geometry}


def trained(x: Any, w: Any, steps: int, **settings: Any) -> dict[str, Any]:
    return {"operation": "train", "x": x, "w": w, "train": {"lr": 0.1, "steps": steps, "start": w, **settings}}


ONE, FAR = fill(1, 1, 1, 1), 2**20
HUGE: dict[str, tuple[dict[str, Any], str, str]] = {
    "an image": (conv2d(fill(2**40, 2), [[1]]), "c.x", "this array would take 16 TiB; a problem may take 2 GiB"),
    "a kernel": (conv2d(ONE, fill(2**10, 2**10, 31, 31)), "c.w", "this array would take 7.508 GiB"),
    "more than 64 bits count": (conv2d(fill(2**62, 2**62, 2**62, 9), [[1]]), "c.x", "more than any machine has"),
    "more than a double counts": (conv2d({"picture": "edge", "size": 10**307}, [[1]]), "c.x", "more than any machine"),
    "an empty batch of it": (conv2d(fill(0, 1, 2**40, 2**40), ONE), "c.x", "more than any machine has"),
    "an empty batch of padding": (conv2d(fill(0, 1, 1, 1), ONE, geometry={"padding": FAR}), "c.x", "the output would"),
    "no channel of it": (conv2d(fill(1, 0, 2**30, 2**30), fill(1, 0, 1, 1)), "c.x", "would take 8 EiB"),
    "a bias": (conv2d(ONE, ONE, b=fill(2**40)), "c.b", "would take 8 TiB"),
    "padding": (conv2d([[1]], [[1]], geometry={"padding": FAR}), "c.x", "the output would take 32 TiB"),
    "padding that the stride skips": (
        conv2d([[1]], [[1]], geometry={"padding": FAR, "stride": FAR}),
        "c.geometry",
        "the padded image of the reference would take 32 TiB; a problem may take 2 GiB",
    ),
    "dilation in padding": (
        conv2d([[1]], fill(3, 3), geometry={"padding": FAR, "dilation": FAR}),
        "c.geometry",
        "the padded image of the reference would take 32 TiB",
    ),
    "padding by a word": (
        conv2d([[1, 2]], fill(3, 3), geometry={"padding": "same_upper", "dilation": FAR}),
        "c.geometry",
        "the padded image of the reference would take 32 TiB",
    ),
    "padding of a gradient": (
        conv2d([[1]], fill(3, 3), geometry={"padding": FAR, "dilation": FAR}, directions=["grad_weight"]),
        "c.geometry",
        "the padded image of the gradient of the image would take 32 TiB",
    ),
    "a transposed stride": (
        conv2d(fill(1, 1, 9, 9), ONE, geometry={"transposed": True, "stride": FAR}), "c.x", "the output would take",
    ),
    "transposed dilation": (
        conv2d(ONE, fill(1, 1, 2, 2), geometry={"transposed": True, "dilation": FAR}), "c.x", "the output would take",
    ),
    "output padding": (
        conv2d(ONE, ONE, geometry={"transposed": True, "stride": FAR, "output_padding": FAR - 1}),
        "c.x", "the output would take",
    ),
    "a kernel as large as its image": (
        conv2d(fill(1, 1, 9000, 9000), fill(1, 1, 8990, 8990)), "c.w", "a block of the reference would take",
    ),
    "outputs of float64": (
        conv2d(fill(1, 1, 6000, 6000), ONE, dtype="float64"), "c.x", "the reference would take 7",
    ),
    "outputs of complex128": (
        conv2d(fill(1, 1, 4000, 4000), ONE, dtype="complex128"), "c.x", "the reference would take 5",
    ),
    "a batch of networks": (
        conv2d(fill(8, 64, 224, 224), fill(64, 64, 3, 3), geometry={"padding": 1}), "c.x", "or write verify: checksum",
    ),
    "multiplications": (
        conv2d(fill(1, 256, 200, 200), fill(64, 256, 17, 17)), "c.w", "multiplications; a problem may take 1.4e+11",
    ),
    "a descriptor": (
        {"operation": "conv2d", "descriptor": "mb9999999999ic9999999999ih9oc9999999999kh3ph1",
         "x": {"fill": "codes"}, "w": {"fill": "codes"}},
        "c.x", "more than any machine has",
    ),
    "a loop": ({"operation": "corr2d", "x": fill(9000, 9000), "w": [[1]]}, "c.x", "the reference would take 15"),
    "an unrolled matrix": (
        {"operation": "matrix", "x": fill(1500, 1500), "w": fill(50, 50)},
        "c.x", "the unrolled matrix would take 58",
    ),
    "a Toeplitz matrix": (
        {"operation": "matrix", "form": "toeplitz", "x": fill(200, 200), "w": fill(9, 9)},
        "c.x", "the toeplitz matrix would take 16",
    ),
    "taps of a Toeplitz matrix": (
        {"operation": "matrix", "form": "toeplitz", "x": fill(3500, 3500), "w": fill(3500, 3500)},
        "c.w", "multiplications",
    ),
    "a loop to differentiate": ({"operation": "differentiate", "x": fill(9000, 9000), "w": [[1]]}, "c.x", "GiB"),
    "zeros between taps": (
        related("dilation", fill(1, 64, 4, 4), fill(64, 64, 3, 3), padding=FAR, dilation=FAR, stride=FAR),
        "c.geometry.dilation", "the kernel with zeros between its taps would take 128 PiB",
    ),
    "a question for each example": (
        related("batch_split", fill(2**21, 1, 1, 1), ONE), "c.x", "the other questions would take",
    ),
    "questions for a minute": (related("batch_split", fill(2**18, 1, 1, 1), ONE), "c.w", "multiplications"),
    "a question for each group": (
        related("groups", fill(1, 2**21, 1, 1), fill(2**21, 1, 1, 1), groups=2**21), "c.x", "the other questions",
    ),
    "an image unrolled": (
        related("matrix", fill(1, 1, 1500, 1500), fill(1, 1, 50, 50)), "c.x", "the unrolled image would take",
    ),
    "a strided output without its stride": (
        related("stride", fill(1, 1, 1, 1), fill(1, 1, 1, 1), padding=8000, stride=8000),
        "c.geometry", "GiB",
    ),
    "an image with its padding": (
        related("flip", fill(1, 1, 9, 9), fill(1, 1, 1, 1), padding=8000, stride=5000), "c.geometry.padding", "GiB",
    ),
    "powers of a step": (trained(fill(99, 99), fill(60, 60), 10**4), "c.train.steps", "the powers of a training step"),
    "a training history": (trained(fill(31, 31), fill(30, 30), 10**5), "c.train.steps", "TiB"),
    "windows of training": (trained(fill(999, 999), fill(99, 99), 1), "c.w", "the windows of the image would take"),
    "steps": (trained(fill(9, 9), fill(5, 5), 10**5), "c.train.steps", "multiplications; a problem may take 1.4e+11"),
    "steps of a loop": (trained(fill(99, 99), fill(2, 2), 10**4, layer="custom"), "c.train.steps", "multiplications"),
}  # fmt: skip


@pytest.mark.parametrize("name", HUGE)
def test_what_no_machine_holds_is_refused_with_what_it_would_take_before_anything_is_built(
    tmp_path: Path, name: str
) -> None:
    case, key, words = HUGE[name]
    path = tmp_path / "s.yaml"
    path.write_text(json.dumps({"crosscorrect": 1, "suite": "s", "cases": [{"id": "c", **case}]}), encoding="utf-8")
    lint(path)  # what is loaded once and for all is not counted
    tracemalloc.start()
    errors = lint(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    (error,) = errors
    assert error.key == key
    assert words in str(error)
    assert error.line == 1
    assert peak < 4 * MEGABYTE


def test_of_arguments_that_must_be_refused_only_the_arrays_are_counted(tmp_path: Path) -> None:
    case = conv2d([[1]], fill(3, 3), geometry={"padding": 2**62}, expect="error")
    (problem,) = problems(tmp_path, case)
    assert problem.invalid
    assert problem.shapes["output"] == ()


def problems(folder: Path, case: dict[str, Any]) -> list[Problem]:
    path = folder / "s.yaml"
    path.write_text(json.dumps({"crosscorrect": 1, "suite": "s", "cases": [{"id": "c", **case}]}), encoding="utf-8")
    return list(load_suite(path).problems())


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int, int]]:
    """Every problem that is specified: its id, its bytes and its work by the estimate."""
    found: list[tuple[str, int, int]] = []

    def check(point: Point, parts: Parts) -> None:
        needs = sum(need.size for need in estimate._needs(point, parts))
        found.append((point.data["id"] + point.suffix, needs, estimate._work(point, parts)))

    monkeypatch.setattr(specify.estimate, "check", check)
    return found


def test_every_problem_that_ships_stays_well_below_both_caps(told: list[tuple[str, int, int]]) -> None:
    for path in shipped_suites().values():
        for _ in load_suite(path).problems():
            pass
    assert len(told) > 1000
    for name, memory, work in told:
        assert memory <= 0.6 * estimate.MEMORY, name
        assert work <= estimate.OPERATIONS / 20, name


EXTENTS = st.sampled_from([1, 1, 2, 3, 7])
NUMBERS = [{"fill": "integers"}, {"fill": "normal"}, {"fill": "normal", "put": [{"at": [0], "value": "nan"}]}]
NUMBERS += [{"fill": "wide"}, {"fill": "normal", "put": [{"at": [0], "value": "smallest"}]}]
WHOLE = [{"fill": "integers"}, {"fill": "integers", "low": 0, "high": 2**31 - 1}]


@st.composite
def moderate(draw: st.DrawFn) -> dict[str, Any]:
    """A valid conv2d or relation case of any geometry with up to some ten thousand elements."""
    rank, groups = draw(st.sampled_from([1, 2, 2, 3])), draw(st.sampled_from([1, 1, 2, 3]))
    inner, outer, examples = (draw(st.sampled_from(n)) for n in ([1, 2, 8], [1, 2, 12], [1, 1, 5]))
    dtype = draw(st.sampled_from(["float16", "float32", "float64", "complex64", "complex128", "int32", "int64"]))
    kernel, dilation, stride = (draw(st.lists(EXTENTS, min_size=rank, max_size=rank)) for _ in range(3))
    pads = draw(st.lists(st.integers(0, 30), min_size=rank, max_size=rank))
    side = int((draw(st.sampled_from([300, 3000, 30_000])) / (examples * inner * groups)) ** (1 / rank))
    image = [max(side, 1 + (k - 1) * d - 2 * p) for k, d, p in zip(kernel, dilation, pads, strict=True)]
    transposed = draw(st.booleans())
    kinds = st.sampled_from(WHOLE if dtype == "int64" else WHOLE[:1] if dtype == "int32" else NUMBERS[:3])
    kinds = st.sampled_from(NUMBERS) if dtype in ("float32", "float64", "complex128") else kinds
    geometry = {"stride": stride, "padding": [[p, p] for p in pads], "dilation": dilation, "groups": groups}
    case = conv2d(
        {**draw(kinds), "shape": [examples, inner * groups, *image]},
        {**draw(kinds), "shape": [(inner if transposed else outer) * groups, outer if transposed else inner, *kernel]},
        dtype=dtype,
        geometry={**geometry, "transposed": transposed},
    )
    if draw(st.integers(0, 2)) == 0:
        names = ["scale", "batch_split", "groups", "dilation", "stride", "flip", "matrix", "linearity", "adjoint"]
        return {**case, "operation": "relation", "relation": draw(st.sampled_from(names))}
    if not transposed and dtype in dtypes.REAL and draw(st.integers(0, 3)) == 0:
        return {**case, "verify": "checksum"}
    if dtype not in dtypes.INTEGER:
        case["directions"] = draw(st.sampled_from([["forward"], ["grad_input"], ["grad_weight", "forward"]]))
    return case


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(moderate())
def test_a_problem_takes_no_more_memory_than_its_estimate(
    tmp_path: Path, told: list[tuple[str, int, int]], case: dict[str, Any]
) -> None:
    try:
        (problem,) = problems(tmp_path, case)
        problem.inputs()
    except CaseError:  # a relation that does not suit, a kernel that does not fit, a fill that overflows
        return
    slides._taps.cache_clear()
    tracemalloc.start()
    prepared = plan._prepare(problem, 0)
    for direction, reference in prepared.references.items():
        if problem.verify:
            groups = reference.value.shape[1]
            output = np.zeros(problem.shapes["output"], dtypes.of(problem.dtype))
            compared = checksum.sums(output, groups) - reference.value
            assert compared.shape == checksum.limit(reference, output, groups, problem).shape
            continue
        with np.errstate(all="ignore"):
            right = dtypes.narrow(reference.value, problem.dtype)
        standards = prepared.standards(direction, "strict")
        if problem.operation == "conv2d":
            judge.hold(problem, direction, right, standards)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak <= told[-1][1] + 12 * MEGABYTE  # a piece of a fill, of whatever size


@pytest.mark.parametrize(("taps", "steps"), [(2, 1), (4, 100)])
def test_a_training_takes_no_more_memory_than_its_estimate(
    tmp_path: Path, told: list[tuple[str, int, int]], taps: int, steps: int
) -> None:
    (problem,) = problems(tmp_path, trained({"picture": "edge", "size": 60}, [[0.5] * taps] * taps, steps, lr=1e-9))
    tracemalloc.start()
    inputs = problem.inputs()
    operations.training_reference(problem, inputs, inputs["start"], None)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak <= told[-1][1]


def test_the_counts_of_terms_of_large_images_are_not_kept(tmp_path: Path) -> None:
    slides._taps.cache_clear()
    for size in (60, 600):
        (problem,) = problems(tmp_path, conv2d(fill(1, 1, size, size), ONE))
        plan._prepare(problem, 0)
    assert slides._taps.cache_info().currsize == 1


@pytest.mark.parametrize(
    ("size", "words"),
    [(0, "0 bytes"), (1023, "1023 bytes"), (2**31, "2 GiB"), (4.4 * 2**40, "4.4 TiB"), (10**400, "more than any")],
)
def test_bytes_are_told_in_words(size: int, words: str) -> None:
    assert estimate.in_words(int(size)).startswith(words)
