"""Named kernels: their literal taps, and the properties their docstrings claim."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st

import crosscorrect_cases
from crosscorrect import kernels


def correlate(x: Any, k: Any) -> Any:
    """The chapter's double loop in exact Python integers."""
    height, width = x.shape[0] - k.shape[0] + 1, x.shape[1] - k.shape[1] + 1
    return np.array(
        [
            [
                sum(int(x[i + a, j + b]) * int(k[a, b]) for a in range(k.shape[0]) for b in range(k.shape[1]))
                for j in range(width)
            ]
            for i in range(height)
        ],
        dtype=object,
    )


@pytest.mark.parametrize(
    ("name", "taps"),
    [
        ("edge", [[1, -1]]),
        ("sobel_x", [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]),
        ("sobel_y", [[-1, -2, -1], [0, 0, 0], [1, 2, 1]]),
        ("prewitt_x", [[-1, 0, 1], [-1, 0, 1], [-1, 0, 1]]),
        ("prewitt_y", [[-1, -1, -1], [0, 0, 0], [1, 1, 1]]),
        ("laplacian", [[0, 1, 0], [1, -4, 1], [0, 1, 0]]),
        ("laplacian8", [[1, 1, 1], [1, -8, 1], [1, 1, 1]]),
        ("sharpen", [[0, -1, 0], [-1, 5, -1], [0, -1, 0]]),
        ("emboss", [[-2, -1, 0], [-1, 1, 1], [0, 1, 2]]),
        ("second_derivative", [[1, -2, 1]]),
    ],
)
def test_kernels_without_parameters_have_their_textbook_taps(name: str, taps: list[list[int]]) -> None:
    assert kernels.KERNELS[name][0]().tolist() == taps


@given(st.integers(1, 8), st.integers(0, 8), st.integers(-3, 3))
def test_a_derivative_of_degree_d_gives_factorial_d_and_kills_lower_degrees(d: int, power: int, start: int) -> None:
    row = np.array([[(start + x) ** min(power, d) for x in range(d + 4)]], dtype=object)
    wanted = math.factorial(d) if power >= d else 0
    assert set(correlate(row, kernels.derivative(d)).ravel()) == {wanted}


@given(st.integers(-5, 5), st.integers(-5, 5), st.integers(-5, 5))
def test_sobel_prewitt_and_laplacian_differentiate_planes_and_bowls(a: int, b: int, c: int) -> None:
    plane = np.array([[a * x + b * y + c for x in range(5)] for y in range(4)], dtype=object)
    assert set(correlate(plane, kernels.sobel_x()).ravel()) == {8 * a}
    assert set(correlate(plane, kernels.sobel_y()).ravel()) == {8 * b}
    assert set(correlate(plane, kernels.prewitt_x()).ravel()) == {6 * a}
    assert set(correlate(plane, kernels.prewitt_y()).ravel()) == {6 * b}
    assert set(correlate(plane, kernels.directional([a, b])).ravel()) == {8 * (a * a + b * b)}
    bowl = np.array([[a * x * x + b * y * y + c for x in range(5)] for y in range(4)], dtype=object)
    assert set(correlate(bowl, kernels.laplacian()).ravel()) == {2 * a + 2 * b}
    assert set(correlate(bowl, kernels.laplacian8()).ravel()) == {6 * a + 6 * b}


@given(st.integers(1, 31), st.integers(1, 31))
def test_binomial_sums_to_a_power_of_two_and_is_symmetric(height: int, width: int) -> None:
    kernel = kernels.binomial([height, width])
    assert kernel.shape == (height, width)
    assert int(kernel.sum()) == 2 ** (height + width - 2)
    assert np.array_equal(kernel, kernel[::-1, ::-1])


def test_binomial_of_three_is_pascals() -> None:
    assert kernels.binomial(3).tolist() == [[1, 2, 1], [2, 4, 2], [1, 2, 1]]


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 8))
def test_gaussian_sums_to_one_within_its_rounding_and_is_symmetric(height: int, width: int, eighths: int) -> None:
    kernel = kernels.gaussian([height, width], eighths / 8)
    assert kernel.shape == (height, width)
    assert np.array_equal(kernel, kernel[::-1, ::-1])
    # every tap is rounded once, relative to itself, and the taps add up to 1; fsum rounds once more
    assert abs(math.fsum(kernel.ravel()) - 1) <= 2**-52


def test_gaussian_of_three_agrees_with_its_formula_to_the_last_bits() -> None:
    edge = math.exp(-0.5)
    total = (1 + 2 * edge) ** 2
    wanted = np.array([[edge * edge, edge, edge * edge], [edge, 1, edge], [edge * edge, edge, edge * edge]]) / total
    # at most eight roundings of the naive formula, each of a relative 2**-53, and two units for exp
    assert np.all(np.abs(kernels.gaussian(3, 1.0) - wanted) <= 10 * 2**-53 * wanted)


def test_integral_is_ones() -> None:
    assert kernels.integral([2, 3]).tolist() == [[1, 1, 1], [1, 1, 1]]


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("derivative", {"degree": 0}),
        ("derivative", {"degree": 31}),
        ("derivative", {"degree": True}),
        ("gaussian", {"size": 3, "sigma": 0}),
        ("gaussian", {"size": 0, "sigma": 1}),
        ("gaussian", {"size": [3, 256], "sigma": 1}),
        ("binomial", {"size": 32}),
        ("integral", {"size": [1, 2, 3]}),
        ("directional", {"vector": [1]}),
        ("directional", {"vector": [1, float("inf")]}),
    ],
)
def test_parameters_that_mean_nothing_are_refused(name: str, keys: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"must"):
        kernels.KERNELS[name][0](**keys)


def test_the_schema_offers_exactly_these_kernels() -> None:
    schema = json.loads((Path(crosscorrect_cases.__file__).parent / "suite.schema.json").read_text(encoding="utf-8"))
    assert schema["$defs"]["array"]["properties"]["kernel"]["enum"] == list(kernels.KERNELS)
