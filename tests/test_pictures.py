"""Named pictures: the chapter's images literally, and what the others promise."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, strategies as st

import crosscorrect_cases
from crosscorrect import pictures

SIDES = st.integers(1, 12)


def test_edge_is_the_chapters_image() -> None:
    assert pictures.edge(6, 8).tolist() == [[1, 1, 0, 0, 0, 0, 1, 1]] * 6


def test_diagonal_is_one_on_and_above_the_diagonal() -> None:
    assert pictures.diagonal(3, 4).tolist() == [[1, 1, 1, 1], [0, 1, 1, 1], [0, 0, 1, 1]]


def test_identity_is_one_on_the_diagonal() -> None:
    assert pictures.identity(2, 3).tolist() == [[1, 0, 0], [0, 1, 0]]


def test_step_and_ramp_are_literal() -> None:
    assert pictures.step(2, 5).tolist() == [[0, 0, 1, 1, 1]] * 2
    assert pictures.ramp(2, 4).tolist() == [[0, 1, 2, 3]] * 2


@given(SIDES, SIDES, st.integers(0, 6), st.integers(-3, 3), st.integers(-3, 3))
def test_polynomial_is_exact(height: int, width: int, degree: int, a: int, b: int) -> None:
    wanted = [[a * x**degree + b * y**degree for x in range(width)] for y in range(height)]
    assert pictures.polynomial(height, width, degree, [a, b]).tolist() == wanted


def test_polynomial_adds_both_coordinates_by_default() -> None:
    assert pictures.polynomial(2, 3, 2).tolist() == [[0, 1, 4], [1, 2, 5]]


@pytest.mark.parametrize(
    ("size", "keys"),
    [((4, 400), {"degree": 20}), ((4, 4), {"degree": -1}), ((4, 4), {"degree": 2, "coefficients": [1]})],
)
def test_polynomials_that_are_not_exact_or_mean_nothing_are_refused(
    size: tuple[int, int], keys: dict[str, int]
) -> None:
    with pytest.raises(ValueError, match=r"must|exceeds"):
        pictures.check("polynomial", size, **keys)
    with pytest.raises(ValueError, match=r"must|exceeds"):
        pictures.polynomial(*size, **keys)


def test_the_photograph_is_grey_values_with_contrast() -> None:
    image = pictures.photograph(600, 512)
    assert (image.shape, image.dtype) == ((600, 512), np.int64)
    assert 0 <= image.min() < 16
    assert 240 < image.max() <= 255
    assert len(np.unique(image)) > 200


@given(st.integers(1, 600), st.integers(1, 512))
def test_a_crop_of_the_photograph_is_its_centre(height: int, width: int) -> None:
    whole, crop = pictures.photograph(600, 512), pictures.photograph(height, width)
    top, left = (600 - height) // 2, (512 - width) // 2
    assert np.array_equal(crop, whole[top : top + height, left : left + width])


def test_a_crop_can_be_changed_without_changing_the_photograph() -> None:
    before = pictures.photograph(2, 2)
    pictures.photograph(2, 2)[:] = -1
    assert np.array_equal(pictures.photograph(2, 2), before)


def test_the_photograph_has_no_larger_crop() -> None:
    with pytest.raises(ValueError, match="only 600 × 512"):
        pictures.check("photograph", (601, 10))


@pytest.mark.parametrize("name", list(pictures.PICTURES))
def test_size_is_told_without_drawing_and_kept_when_drawn(name: str) -> None:
    keys = {"degree": 2} if name == "polynomial" else {}
    for size in (None, 5, [4, 7]):
        told = pictures.size_of(name, size)
        assert pictures.PICTURES[name].draw(*told, **keys).shape == told


@pytest.mark.parametrize("size", [0, [1], [1, 2, 3], [2, -1], [2, True]])
def test_sizes_that_mean_nothing_are_refused(size: int | list[int]) -> None:
    with pytest.raises(ValueError, match="size must be"):
        pictures.size_of("edge", size)


def test_the_schema_offers_exactly_these_pictures() -> None:
    schema = json.loads((Path(crosscorrect_cases.__file__).parent / "suite.schema.json").read_text(encoding="utf-8"))
    assert schema["$defs"]["array"]["properties"]["picture"]["enum"] == list(pictures.PICTURES)
