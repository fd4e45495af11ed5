"""Sizes and pads against counting by hand: a window is where the dilated kernel lies whole inside the padded image."""

from __future__ import annotations

import json

import pytest
from hypothesis import assume, given, settings, strategies as st

from crosscorrect.geometry import PADDING_WORDS, Geometry

unhurried = settings(deadline=None, max_examples=60)


@st.composite
def geometries(
    draw: st.DrawFn, *, words: bool = True, transposed: bool = False
) -> tuple[Geometry, list[int], list[int]]:
    """A geometry of one to three axes with an image and a kernel for it."""
    rank = draw(st.integers(1, 3))

    def per_axis(low: int, high: int) -> tuple[int, ...]:
        return tuple(draw(st.integers(low, high)) for _ in range(rank))

    explicit = st.tuples(*[st.tuples(st.integers(0, 4), st.integers(0, 4))] * rank)
    padding = draw(st.one_of(st.sampled_from(PADDING_WORDS), explicit) if words else explicit)
    extra = per_axis(0, 2) if transposed else (0,) * rank
    geometry = Geometry(per_axis(1, 4), padding, per_axis(1, 3), 1, transposed, extra)
    # the image of a correlation may be empty; what a transposed one scatters from is not
    return geometry, list(per_axis(int(transposed), 12)), list(per_axis(1, 4))


def positions(padded: int, span: int, stride: int) -> int:
    """How many times a span fits when its start moves in steps over a padded axis."""
    return sum(1 for start in range(0, padded, stride) if start + span <= padded)


@unhurried
@given(geometries())
def test_the_output_size_is_the_number_of_window_positions(drawn: tuple[Geometry, list[int], list[int]]) -> None:
    geometry, image, kernel = drawn
    pads, spans = geometry.pads(image, kernel), geometry.spans(kernel)
    padded = [n + begin + end for n, (begin, end) in zip(image, pads, strict=True)]
    counted = [positions(p, s, t) for p, s, t in zip(padded, spans, geometry.stride, strict=True)]
    assert [max(n, 0) for n in geometry.output_size(image, kernel)] == counted


@unhurried
@given(geometries())
def test_a_span_is_from_the_first_tap_to_the_last(drawn: tuple[Geometry, list[int], list[int]]) -> None:
    geometry, _, kernel = drawn
    taps = [range(0, k * d, d) for k, d in zip(kernel, geometry.dilation, strict=True)]
    assert geometry.spans(kernel) == tuple(t[-1] - t[0] + 1 for t in taps)


@pytest.mark.parametrize("word", ["same_upper", "same_lower"])
@unhurried
@given(drawn=geometries())
def test_same_padding_gives_the_image_size_over_the_stride_rounded_up(
    word: str, drawn: tuple[Geometry, list[int], list[int]]
) -> None:
    given_geometry, image, kernel = drawn
    geometry = Geometry(given_geometry.stride, word, given_geometry.dilation)
    expected = tuple((n + s - 1) // s for n, s in zip(image, geometry.stride, strict=True))
    assert geometry.output_size(image, kernel) == expected


@unhurried
@given(geometries())
def test_same_padding_is_the_least_that_reaches_its_size(drawn: tuple[Geometry, list[int], list[int]]) -> None:
    given_geometry, image, kernel = drawn
    assume(min(image) >= 1)  # no window is wanted of an empty axis
    geometry = Geometry(given_geometry.stride, "same_upper", given_geometry.dilation)
    spans = geometry.spans(kernel)
    for n, s, span, (begin, end) in zip(image, geometry.stride, spans, geometry.pads(image, kernel), strict=True):
        wanted = -(-n // s)
        assert begin + end == next(t for t in range(100) if positions(n + t, span, s) >= wanted)


@unhurried
@given(geometries())
def test_upper_and_lower_differ_exactly_where_the_total_is_odd(drawn: tuple[Geometry, list[int], list[int]]) -> None:
    given_geometry, image, kernel = drawn
    upper, lower = (
        Geometry(given_geometry.stride, word, given_geometry.dilation).pads(image, kernel)
        for word in ("same_upper", "same_lower")
    )
    for (begin, end), other in zip(upper, lower, strict=True):
        assert end - begin == (begin + end) % 2
        assert other == (end, begin)


@unhurried
@given(geometries(words=False, transposed=True))
def test_a_transposed_size_is_that_of_scattering_the_kernel_and_cutting_the_pads(
    drawn: tuple[Geometry, list[int], list[int]],
) -> None:
    geometry, image, kernel = drawn
    axes = zip(
        image, kernel, geometry.stride, geometry.dilation, geometry.padding, geometry.output_padding, strict=True
    )
    for size, (n, k, s, d, pad, extra) in zip(geometry.output_size(image, kernel), axes, strict=True):
        touched = {i * s + j * d for i in range(n) for j in range(k)}
        assert size == max(touched) + 1 - sum(pad) + extra


@unhurried
@given(geometries(words=False))
def test_a_transposed_correlation_undoes_the_size_of_the_plain_one(
    drawn: tuple[Geometry, list[int], list[int]],
) -> None:
    """It is the adjoint: some output_padding, below the stride, leads back to the image."""
    geometry, image, kernel = drawn
    size = geometry.output_size(image, kernel)
    assume(min(size) >= 1)
    back = Geometry(geometry.stride, geometry.padding, geometry.dilation, 1, True, (0,) * geometry.rank)
    for n, m, stride in zip(image, back.output_size(size, kernel), geometry.stride, strict=True):
        assert 0 <= n - m < stride


@unhurried
@given(geometries(), st.integers(1, 5), st.integers(1, 5), st.integers(1, 3))
def test_the_output_shape_has_the_examples_and_the_kernel_s_channels(
    drawn: tuple[Geometry, list[int], list[int]], examples: int, channels: int, groups: int
) -> None:
    geometry, image, kernel = drawn
    plain = Geometry(geometry.stride, geometry.padding, geometry.dilation, groups)
    size = plain.output_size(image, kernel)
    assert plain.output_shape([examples, 7, *image], [channels, 7, *kernel]) == (examples, channels, *size)
    rank = geometry.rank
    turned = Geometry(geometry.stride, ((0, 0),) * rank, geometry.dilation, groups, True, (0,) * rank)
    assert turned.output_shape([examples, 7, *image], [7, channels, *kernel])[:2] == (examples, channels * groups)


@unhurried
@given(geometries())
def test_spelling_the_padding_out_changes_no_size(drawn: tuple[Geometry, list[int], list[int]]) -> None:
    geometry, image, kernel = drawn
    explicit = geometry.explicit(image, kernel)
    assert explicit.padding == geometry.pads(image, kernel)
    assert explicit.output_size(image, kernel) == geometry.output_size(image, kernel)


@unhurried
@given(st.one_of(geometries(), geometries(words=False, transposed=True)))
def test_a_geometry_survives_json(drawn: tuple[Geometry, list[int], list[int]]) -> None:
    geometry, _, _ = drawn
    again = Geometry.from_json(json.loads(json.dumps(geometry.to_json())))
    assert again == geometry
    assert hash(again) == hash(geometry)


@pytest.mark.parametrize("word", ["same_upper", "same_lower"])
def test_a_word_for_a_size_is_refused_when_transposed(word: str) -> None:
    geometry = Geometry(padding=word, transposed=True)
    with pytest.raises(ValueError, match="no single meaning when transposed"):
        geometry.output_size([4, 4], [2, 2])


def test_the_chapter_s_sizes_hold() -> None:
    assert Geometry().output_size([3, 3], [2, 2]) == (2, 2)
    assert Geometry().output_size([6, 8], [1, 2]) == (6, 7)
