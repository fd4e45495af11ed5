"""Channel checksums see what they say they see, at the cost of one channel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, strategies as st

from crosscorrect import checksum, oracle
from crosscorrect.geometry import Geometry
from crosscorrect.model import Outcome, Reason
from crosscorrect_adapters.numpy import NumpyAdapter

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from crosscorrect.model import Check

    Solve = Callable[..., list[Check]]


def suite(tmp_path: Path, fill: str) -> Path:
    path = tmp_path / f"{fill}.yaml"
    case = (
        f"{{id: one, operation: conv2d, verify: checksum, x: {{fill: {fill}, shape: [2, 6, 9, 8]}}, "
        f"w: {{fill: {fill}, shape: [32, 6, 3, 2]}}, b: {{fill: {fill}}}}}"
    )
    path.write_text(f"crosscorrect: 1\nsuite: made\ncases:\n  - {case}\n", encoding="utf-8")
    return path


@given(seed=st.integers(0, 10**6), groups=st.sampled_from([1, 2, 4]))
def test_the_checksums_of_an_exact_output_are_the_reference(seed: int, groups: int) -> None:
    draw = np.random.default_rng(seed)
    x = draw.integers(-9, 10, (2, 4, 6, 5)).astype(np.float32)
    w = draw.integers(-9, 10, (8, 4 // groups, 3, 2)).astype(np.float32)
    b = draw.integers(-9, 10, 8).astype(np.float32)
    geometry = Geometry(groups=groups, padding=((1, 0), (0, 1)))
    output = oracle.forward(x, w, b, geometry).value
    assert np.array_equal(checksum.sums(output, groups), checksum.reference(x, w, b, geometry).value)


@pytest.mark.parametrize("fill", ["integers", "normal", "uniform"])
def test_a_right_output_passes(solve: Solve, tmp_path: Path, fill: str) -> None:
    (row,) = solve(NumpyAdapter, [suite(tmp_path, fill)])
    assert (row.outcome, row.tier) == (Outcome.PASS, "checksum")


@pytest.mark.parametrize("seed", range(20))
def test_on_whole_numbers_no_single_wrong_element_escapes(solve: Solve, tmp_path: Path, seed: int) -> None:
    class OneOff(NumpyAdapter):
        def conv2d(self, x: Any, w: Any, b: Any, geometry: Any) -> Any:
            y = super().conv2d(x, w, b, geometry)
            y.flat[np.random.default_rng(seed).integers(y.size)] += 1
            return y

    (row,) = solve(OneOff, [suite(tmp_path, "integers")])
    assert (row.outcome, row.reason) == (Outcome.FAIL, Reason.EXACTNESS)


@pytest.mark.parametrize("seed", range(20))
def test_on_real_numbers_an_error_beyond_the_stated_limit_is_seen(solve: Solve, tmp_path: Path, seed: int) -> None:
    """The module states ``6 sqrt(n) u S_r`` over the weight; three times that covers the rounding of outputs."""

    class Off(NumpyAdapter):
        def conv2d(self, x: Any, w: Any, b: Any, geometry: Any) -> Any:
            y = super().conv2d(x, w, b, geometry)
            reference = checksum.reference(x, w, b, geometry)
            place = tuple(np.random.default_rng(seed).integers(n) for n in y.shape)
            at = (place[0], 0, *place[2:])
            limit = 6 * np.sqrt(reference.terms[at]) * 2.0**-24 * reference.scale[at]
            y[place] += np.float32(3 * limit / checksum.weights(y.shape[1])[place[1]])
            return y

    (row,) = solve(Off, [suite(tmp_path, "normal")])
    assert row.outcome is Outcome.FAIL


def test_two_channels_that_change_places_are_seen(solve: Solve, tmp_path: Path) -> None:
    class Swapped(NumpyAdapter):
        def conv2d(self, x: Any, w: Any, b: Any, geometry: Any) -> Any:
            y = super().conv2d(x, w, b, geometry)
            return y[:, [1, 0, *range(2, y.shape[1])]]

    assert checksum.weights(2)[0] != checksum.weights(2)[1]
    (row,) = solve(Swapped, [suite(tmp_path, "integers")])
    assert row.outcome is Outcome.FAIL


@pytest.mark.parametrize("wrong", ["shape", "dtype", "nonfinite"])
def test_shape_dtype_and_values_that_are_not_finite_are_told_first(solve: Solve, tmp_path: Path, wrong: str) -> None:
    class Wrong(NumpyAdapter):
        def conv2d(self, x: Any, w: Any, b: Any, geometry: Any) -> Any:
            y = super().conv2d(x, w, b, geometry)
            if wrong == "nonfinite":
                y[0, 0, 0, 0] = np.nan
            return {"shape": y[..., :-1], "dtype": y.astype(np.float64), "nonfinite": y}[wrong]

    (row,) = solve(Wrong, [suite(tmp_path, "normal")])
    assert (row.outcome, row.reason) == (Outcome.FAIL, Reason(wrong))


def test_it_costs_one_channel_per_group_in_each_of_its_two_maps(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    real = oracle.forward

    def forward(x: Any, w: Any, *rest: Any) -> Any:
        asked.append(w.shape)
        return real(x, w, *rest)

    monkeypatch.setattr(oracle, "forward", forward)
    x, w = np.ones((1, 4, 6, 5), np.float32), np.ones((64, 4, 3, 3), np.float32)
    checksum.reference(x, w, None, Geometry())
    assert asked == [(1, 4, 3, 3)] * 2
