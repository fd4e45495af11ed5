"""Both matrix forms of a correlation give the correlation (Problem 3)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from crosscorrect import oracle
from crosscorrect.matrix import toeplitz, unrolled

Array: TypeAlias = np.ndarray[Any, Any]
Shape: TypeAlias = tuple[int, ...]
Form: TypeAlias = Callable[[Array, Array], tuple[Array, Array]]


@settings(max_examples=60, deadline=None)
@given(
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    more=st.tuples(st.integers(0, 4), st.integers(0, 4)),
    dtype=st.sampled_from(["float32", "float64", "int32"]),
    seed=st.integers(0, 2**32 - 1),
)
def test_both_products_equal_the_correlation_exactly_on_integers(
    kernel: Shape, more: Shape, dtype: str, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    size = tuple(k + m for k, m in zip(kernel, more, strict=True))
    x, w = (rng.integers(-4, 5, shape).astype(dtype) for shape in (size, kernel))
    expected = oracle.corr2d(x, w).value
    for form, shape in ((unrolled, w.size), (toeplitz, x.size)):
        a, b = form(x, w)
        assert a.shape == (expected.size, shape)
        assert b.shape == (shape, 1)
        assert a.dtype == b.dtype == np.dtype(dtype)
        np.testing.assert_array_equal((a @ b).reshape(expected.shape), expected)


def test_the_toeplitz_matrix_of_a_small_kernel_is_the_one_written_by_hand() -> None:
    a, b = toeplitz(np.arange(9.0).reshape(3, 3), np.array([[1.0, 2], [3, 4]]))
    assert a.tolist() == [
        [1, 2, 0, 3, 4, 0, 0, 0, 0],
        [0, 1, 2, 0, 3, 4, 0, 0, 0],
        [0, 0, 0, 1, 2, 0, 3, 4, 0],
        [0, 0, 0, 0, 1, 2, 0, 3, 4],
    ]
    assert b.ravel().tolist() == list(range(9))


@pytest.mark.parametrize("form", [unrolled, toeplitz])
def test_what_does_not_fit_is_refused(form: Form) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        form(np.ones((2, 3)), np.ones((3, 1)))
    with pytest.raises(ValueError, match="two axes"):
        form(np.ones((1, 1, 3, 3)), np.ones((1, 1)))
