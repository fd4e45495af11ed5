"""The catalogue: maps and their adjoints, entries that are what they say, mutants that are what entries predict."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st

from crosscorrect import bounds, catalogue, mutants, oracle
from crosscorrect.catalogue import sums
from crosscorrect.catalogue.arithmetic import rounded
from crosscorrect.catalogue.change import Change, Map, Setting, consistent, forward, gradient
from crosscorrect.errors import UsageError
from crosscorrect.geometry import Geometry
from crosscorrect.model import Direction
from crosscorrect_adapters.numpy import NumpyAdapter

Array = np.ndarray[Any, Any]

PLANE = Geometry(stride=(2, 3), padding=((2, 0), (1, 3)), dilation=(3, 2), groups=2)
SAME = Geometry(stride=(1, 2), padding="same_upper")
BACK = Geometry(stride=(2, 3), padding=((1, 0), (0, 1)), transposed=True, output_padding=(1, 0))
SOLID = Geometry((1, 1, 2), ((1, 0), (0, 1), (2, 1)), (1, 2, 1), 1, False, (0, 0, 0))
LINE = Geometry((2,), ((1, 0),), (2,), 1, False, (0,))
SQUARE = Geometry(padding=((1, 1), (1, 1)))
STRONG = {
    "plane": (PLANE, (3, 4, 9, 12), (6, 2, 2, 4)),
    "same": (SAME, (2, 5, 9, 12), (7, 5, 4, 3)),
    "back": (BACK, (2, 3, 6, 7), (3, 4, 3, 2)),
    "solid": (SOLID, (2, 3, 5, 6, 7), (4, 3, 3, 2, 2)),
    "line": (LINE, (2, 3, 12), (4, 3, 3)),
    "square": (SQUARE, (2, 4, 12, 11), (4, 4, 3, 3)),
}


def problem(name: str, dtype: str = "float32", *, whole: bool = True) -> tuple[Geometry, dict[str, Array]]:
    geometry, x, w = STRONG[name]
    draw = np.random.default_rng(7)
    make = (lambda s: draw.integers(-8, 9, s)) if whole else draw.standard_normal
    output = geometry.output_shape(x, w)
    shapes = {"x": x, "w": w, "b": (output[1],), "dy": output}
    return geometry, {name: make(shape).astype(dtype) for name, shape in shapes.items()}


def test_there_are_as_many_entries_as_a_person_was_promised() -> None:
    assert len(catalogue.entries(("semantic",))) >= 50
    assert len(catalogue.entries(("arithmetic",))) >= 8
    assert len(catalogue.entries(("gradient",))) >= 20


def test_names_are_ids_and_sentences_are_for_people() -> None:
    for entry in catalogue.entries():
        assert entry.name == entry.name.lower()
        assert " " not in entry.name
        assert len(entry.sentence.split()) >= 3
        assert not entry.sentence.endswith(".")


def test_a_misspelt_name_is_told_the_nearest() -> None:
    with pytest.raises(UsageError, match="flipped-kernel"):
        catalogue.named("fliped-kernel")


REARRANGEMENTS = {
    "flip": lambda a: a[..., ::-1],
    "transpose": lambda a: a.swapaxes(0, 1),
    "edge": lambda a: np.pad(a, 1, mode="edge"),
    "zeroed": lambda a: np.where(np.arange(a.shape[-1]) == 0, 0, a),
    "repeat": lambda a: np.repeat(a[:1], 3, 0),
}


@given(
    st.sampled_from(sorted(REARRANGEMENTS)), st.integers(1, 4), st.integers(1, 4), st.integers(0, 9), st.integers(-2, 3)
)
def test_the_adjoint_of_a_map_satisfies_the_adjoint_identity(
    name: str, rows: int, columns: int, seed: int, factor: int
) -> None:
    draw = np.random.default_rng(seed)
    linear = Map(REARRANGEMENTS[name], factor)
    a = draw.integers(-9, 10, (rows, columns))
    y = draw.integers(-9, 10, linear(a).shape)
    assert np.vdot(linear(a), y) == np.vdot(a, linear.adjoint(a, y))


@pytest.mark.parametrize("name", sorted(STRONG))
def test_consistent_gradients_are_the_derivative_of_the_wrong_forward_pass(name: str) -> None:
    # whole numbers: a linear function's difference quotient is its derivative, exactly
    geometry, arrays = problem(name, "float64")
    x, w, b, dy = (arrays[n] for n in ("x", "w", "b", "dy"))
    setting, checked = Setting.of(x, w, b, geometry), 0
    for entry in catalogue.entries(("semantic",)):
        for change in list(entry.changes(setting))[:2]:
            nonlinear = any(m.back is not None for m in (change.x, change.w, change.result)) or not change.whole
            found, _ = consistent(change, x, w, b, dy)
            if nonlinear or not found:
                continue
            base = forward(change, x, w, b)
            assert base is not None
            for direction, step in (
                (Direction.GRAD_INPUT, "x"),
                (Direction.GRAD_WEIGHT, "w"),
                (Direction.GRAD_BIAS, "b"),
            ):
                moved = dict(arrays)
                move = np.random.default_rng(3).integers(-3, 4, arrays[step].shape)
                moved[step] = arrays[step] + move
                there = forward(change, moved["x"], moved["w"], moved["b"])
                assert there is not None
                assert np.vdot(there.value - base.value, dy) == np.vdot(found[direction].value, move), entry.name
            checked += 1
    assert checked > 60


@pytest.mark.parametrize("name", sorted(STRONG))
def test_a_mutant_returns_what_its_entry_predicts(name: str) -> None:
    geometry, arrays = problem(name)
    x, w, b, dy = (arrays[n] for n in ("x", "w", "b", "dy"))
    setting, checked = Setting.of(x, w, b, geometry), 0
    right = NumpyAdapter("cpu", "eager").conv2d(x, w, b, geometry)
    for entry in catalogue.entries(("semantic", "gradient")):
        change = next(iter(entry.changes(setting)), None)
        if change is None or not change.whole:
            continue
        adapter = mutants.make(entry, NumpyAdapter)("cpu", "eager")
        got = adapter.conv2d(x, w, b, geometry)
        if entry.kind == "gradient":
            assert np.array_equal(got, right)
            grads = adapter.grads(x, w, b, dy, geometry)
            for direction in entry.directions:
                predicted = gradient(change, direction, x, w, b, dy)
                if predicted is not None:
                    field = getattr(grads, mutants.FIELDS[direction])
                    assert np.array_equal(field, predicted.value), (entry.name, direction)
        else:
            predicted = forward(change, x, w, b)
            if predicted is not None:
                assert np.array_equal(got, predicted.value), entry.name
        checked += 1
    assert checked > 100


def test_every_semantic_and_gradient_entry_makes_a_wrong_backend_somewhere() -> None:
    # the few that a geometry of this list does not show have one of their own
    own = {"same-padding-by-another-rule": Geometry(stride=(2, 2), padding="same_upper", dilation=(2, 1))}
    alive = {entry.name for entry in catalogue.entries(("semantic", "gradient"))}
    for name in STRONG:
        geometry, arrays = problem(name)
        alive -= _caught(alive, geometry, arrays)
    for name, geometry in own.items():
        _, arrays = problem("square")
        arrays["dy"] = np.ones(geometry.output_shape(arrays["x"].shape, arrays["w"].shape), np.float32)
        alive -= _caught({name}, geometry, arrays)
    assert not alive


def _caught(names: set[str], geometry: Geometry, arrays: dict[str, Array]) -> set[str]:
    x, w, b, dy = (arrays[n] for n in ("x", "w", "b", "dy"))
    right, found = NumpyAdapter("cpu", "eager"), set()
    y, grads = right.conv2d(x, w, b, geometry), right.grads(x, w, b, dy, geometry)
    for name in names:
        adapter = mutants.make(catalogue.named(name), NumpyAdapter)("cpu", "eager")
        wrong = adapter.grads(x, w, b, dy, geometry)
        pairs = [(y, adapter.conv2d(x, w, b, geometry))]
        pairs += [(getattr(grads, f), getattr(wrong, f)) for f in ("dx", "dw", "db")]
        if not all(np.array_equal(a, b) for a, b in pairs):
            found.add(name)
    return found


@given(st.floats(-1e30, 1e30), st.integers(2, 24))
def test_rounding_to_few_bits_is_nearest_and_truncation_is_toward_zero(value: float, digits: int) -> None:
    near, cut = float(rounded(np.array(value), digits)), float(rounded(np.array(value), digits, truncate=True))
    unit = 2.0 ** (max(int(np.frexp(value)[1]) - 1, -126) - digits + 1)
    assert abs(near - value) <= unit / 2
    assert 0 <= abs(value) - abs(cut) < unit
    assert near / unit == round(near / unit)


@pytest.mark.parametrize("tile", [2, 4, 6])
def test_winograds_transforms_are_exact_where_arithmetic_is(tile: int) -> None:
    back, kernel, image = sums.transforms(tile)
    g, d = np.array([3.0, -1.0, 2.0]), np.arange(1.0, tile + 3)
    assert np.allclose(back @ ((kernel @ g) * (image @ d)), np.correlate(d, g, "valid"), rtol=2.0**-44, atol=2.0**-40)


@pytest.mark.parametrize("name", ["truncating-accumulator", "winograd-f2", "winograd-f4", "winograd-f6", "fft"])
def test_an_emulated_sum_in_float64_is_right_to_float32(name: str) -> None:
    geometry, arrays = problem("square", "float64", whole=False)
    found = sums.computed(name, arrays["x"], arrays["w"], geometry)
    reference = oracle.forward(arrays["x"], arrays["w"], None, geometry)
    assert found is not None
    assert np.all(np.abs(found - reference.value) <= bounds.tier_a(reference, "float32"))


def test_a_narrow_accumulator_returns_numbers_of_its_format() -> None:
    geometry, arrays = problem("square", whole=False)
    found = sums.computed("bf16-accumulator", arrays["x"], arrays["w"], geometry)
    assert found is not None
    assert np.array_equal(found, rounded(found, 8))
    assert not np.array_equal(found, rounded(found, 7))


def test_negative_padding_takes_elements_off() -> None:
    x, w = np.arange(12.0).reshape(1, 1, 3, 4), np.ones((1, 1, 1, 1))
    found = forward(Change(Geometry(padding=((-1, 0), (0, -2)))), x, w, None)
    assert found is not None
    assert np.array_equal(found.value[0, 0], x[0, 0, 1:, :2])


def test_an_adapter_that_lists_a_spelling_is_asked_in_it_by_its_mutant() -> None:
    class Spelt(NumpyAdapter):
        asked = ""

        def conv2d(self, x: Any, w: Any, b: Any, geometry: Any, spelling: str = "native") -> Any:
            Spelt.asked = spelling
            return super().conv2d(x, w, b, geometry)

    geometry, arrays = problem("line")
    adapter = mutants.make(catalogue.named("group-inputs-interleaved"), Spelt)("cpu", "eager")
    adapter.conv2d(arrays["x"], arrays["w"], None, geometry, spelling="apart")
    assert Spelt.asked == "apart"
