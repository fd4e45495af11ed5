"""Descriptors in benchdnn's grammar: its rules one by one, real ones from its files, and the way back."""

from __future__ import annotations

import re

import pytest
from hypothesis import assume, given, strategies as st

from crosscorrect.descriptor import KEYS, DescriptorError, label, parse, write
from crosscorrect.geometry import Geometry


def geometry(stride: tuple[int, ...], pads: tuple[tuple[int, int], ...], dilation: tuple[int, ...]) -> Geometry:
    return Geometry(stride, pads, dilation, output_padding=(0,) * len(stride))


@st.composite
def problems(draw: st.DrawFn) -> tuple[tuple[int, ...], tuple[int, ...], Geometry]:
    """A correlation of one to three axes that has an output."""
    rank, groups = draw(st.integers(1, 3)), draw(st.integers(1, 3))

    def axes(low: int, high: int) -> tuple[int, ...]:
        return tuple(draw(st.integers(low, high)) for _ in range(rank))

    explicit = tuple(zip(axes(0, 5), axes(0, 5), strict=True))
    padding = draw(st.sampled_from(["valid", "same_upper", "same_lower", explicit]))
    made = Geometry(axes(1, 5), padding, axes(1, 4), groups, output_padding=(0,) * rank)
    x = (draw(st.integers(0, 3)), groups * draw(st.integers(1, 4)), *axes(1, 30))
    w = (groups * draw(st.integers(1, 4)), x[1] // groups, *axes(1, 7))
    assume(min(made.output_size(x[2:], w[2:])) >= 1)
    return x, w, made


@given(problems())
def test_what_is_written_reads_back_as_the_same_problem(
    drawn: tuple[tuple[int, ...], tuple[int, ...], Geometry],
) -> None:
    x, w, given_geometry = drawn
    text = write(x, w, given_geometry)
    back = parse(text)
    assert (back.x_shape, back.w_shape) == (x, w)
    read, wanted = back.geometry, given_geometry.explicit(x[2:], w[2:])
    assert (read.stride, read.dilation, read.groups) == (wanted.stride, wanted.dilation, wanted.groups)
    assert read.output_size(x[2:], w[2:]) == wanted.output_size(x[2:], w[2:])
    # the padding at the end is the same but for rows that no window reaches
    spare = [
        (n + sum(p) - span) % s
        for n, p, span, s in zip(x[2:], wanted.pads(x[2:], w[2:]), wanted.spans(w[2:]), wanted.stride, strict=True)
    ]
    trimmed = tuple((begin, max(end - n, 0)) for (begin, end), n in zip(wanted.padding, spare, strict=True))
    assert read.padding == trimmed
    assert write(x, w, read) == text


@given(problems(), st.randoms(use_true_random=False))
def test_the_order_of_keys_and_underscores_mean_nothing(
    drawn: tuple[tuple[int, ...], tuple[int, ...], Geometry], random: object
) -> None:
    text = write(*drawn)
    parts = re.findall(r"[a-z]+[0-9]+", text)
    random.shuffle(parts)  # type: ignore[attr-defined]  hypothesis types its random as object
    assert parse("_".join(parts) + "_") == parse(text)


@pytest.mark.parametrize(
    ("text", "x", "w", "groups", "stride", "pads", "dilation", "name", "count"),
    [
        (
            'g1mb50ic3ih224iw224oc64oh112ow112kh7kw7sh2sw2ph3pw3n"resnet_50:conv1"',
            *((50, 3, 224, 224), (64, 3, 7, 7), 1, (2, 2), ((3, 2), (3, 2)), (1, 1), "resnet_50:conv1", 1),
        ),
        (
            'mb50ic64ih56oc64oh56kh3ph1n"resnet_50:res2a_branch2b*3"',
            *((50, 64, 56, 56), (64, 64, 3, 3), 1, (1, 1), ((1, 1), (1, 1)), (1, 1), "resnet_50:res2a_branch2b", 3),
        ),
        (
            'g2mb256ic96ih27oc256oh27kh5ph2n"alexnet:conv2"',
            *((256, 96, 27, 27), (256, 48, 5, 5), 2, (1, 1), ((2, 2), (2, 2)), (1, 1), "alexnet:conv2", 1),
        ),
        (
            'mb32_g1ic3oc32_ih224oh112kh3sh2dh0ph1_iw224ow112kw3sw2dw0pw1_n"mobilenet:conv1*3"',
            *((32, 3, 224, 224), (32, 3, 3, 3), 1, (2, 2), ((1, 0), (1, 0)), (1, 1), "mobilenet:conv1", 3),
        ),
        # 1×1 with stride 2, of ResNet: the last row of 56 is reached by no window, and the end is not padded by -1
        ("mb1ic256ih56oc512oh28kh1sh2ph0", (1, 256, 56, 56), (512, 256, 1, 1), 1, (2, 2), ((0, 0),) * 2, (1, 1), "", 1),
        ("ic3iw9oc2kw3", (2, 3, 9), (2, 3, 3), 1, (1,), ((0, 0),), (1,), "", 1),
        ("mb1ic1id5oc1kd2pd1", (1, 1, 5, 5, 5), (1, 1, 2, 2, 2), 1, (1,) * 3, ((1, 1),) * 3, (1,) * 3, "", 1),
        (
            "mb1ic1id5ih6iw7oc1kd1kh2kw3dh1nplain",
            *((1, 1, 5, 6, 7), (1, 1, 1, 2, 3), 1, (1,) * 3, ((0, 0),) * 3, (1, 2, 1), "plain", 1),
        ),
    ],
)
def test_descriptors_are_read_by_benchdnn_s_rules(
    text: str,
    x: tuple[int, ...],
    w: tuple[int, ...],
    groups: int,
    stride: tuple[int, ...],
    pads: tuple[tuple[int, int], ...],
    dilation: tuple[int, ...],
    name: str,
    count: int,
) -> None:
    found = parse(text)
    assert (found.x_shape, found.w_shape, found.geometry.groups) == (x, w, groups)
    assert (found.geometry.stride, found.geometry.padding, found.geometry.dilation) == (stride, pads, dilation)
    assert (found.name, found.count, found.geometry.rank) == (name, count, len(x) - 2)


def test_the_defaults_are_two_examples_one_group_stride_1_no_padding_no_dilation() -> None:
    found = parse("ic1ih5oc1kh2")
    assert found.x_shape == (2, 1, 5, 5)
    assert found.geometry == geometry((1, 1), ((0, 0), (0, 0)), (1, 1))


def test_a_width_that_is_spoken_of_is_not_made_like_the_height() -> None:
    assert parse("ic1ih5iw9oc1kh2kw4").x_shape == (2, 1, 5, 9)
    # stride 1, padding 0 and dilation 0 alone say nothing of an axis
    assert parse("ic1ih5oc1kh2sh2sw1pw0dw0") == parse("ic1ih5oc1kh2sh2")


def test_an_output_that_is_given_deduces_the_padding_and_half_of_it_stands_at_the_beginning() -> None:
    assert parse("ic1ih5oc1oh5kh4").geometry.padding == ((1, 2), (1, 2))
    assert parse("ic1ih5oc1oh5kh4ph3").geometry.padding == ((3, 0), (3, 0))
    assert parse("ic1ih5oc1oh5kh4ph0").geometry.padding == ((0, 3), (0, 3))


def test_a_kernel_that_sticks_out_by_less_than_a_stride_has_one_output() -> None:
    found = parse("ic1ih2oc1kh3sh2")  # (2 - 3) / 2 is 0 in C
    assert found.geometry.padding == ((0, 1), (0, 1))
    assert found.geometry.output_size((2, 2), (3, 3)) == (1, 1)


def test_of_a_key_that_stands_twice_the_last_counts() -> None:
    assert parse("mb1ic1ih5oc1kh2mb7").x_shape[0] == 7


@pytest.mark.parametrize(
    ("text", "words", "position"),
    [
        ("ic3ih4kx3", "begins with 'kx3', at character 7", 6),
        ("ic3 ih4", "begins with ' ih4', at character 4", 3),
        ("ic3oc4ih4kh", "kh needs a number, 0 or more, at character 12", 11),
        ("ic3oc4ih4kh-1", "kh needs a number", 11),
        ("ic3oc4ih99999999999kh1", "the number of ih is too large, at character 9", 8),
        ("", "ic must be at least 1", None),
        ("g0ic1oc1ih1kh1", "g must be at least 1", None),
        ("ic3oc0ih4kh1", "oc must be at least 1", None),
        ("ic3oc1ih4kh1sh0", "sh must be at least 1", None),
        ("g2ic3oc2ih4kh1", "2 groups do not divide", None),
        ("ic1oc1", "there is no axis", None),
        ("ic1oc1ih4", "kh must be at least 1", None),
        ("ic1oc1ih4kh1sw2", "iw must be at least 1", None),
        ("ic1oc1id4kd1ih4kh1", "h and w must both be given", None),
        ("ic1oc1id4kd1iw4kw1", "h and w must both be given", None),
        ("ic1oc1ih2kh4", "kh does not fit", None),
        ("ic1oc1ih56oh20kh1sh2ph0", "oh20 is less than the windows on ih56 make", None),
        ("ic1oc1ih56oh14kh1sh4", "padding below 0 at the beginning", None),
    ],
)
def test_a_text_that_is_no_descriptor_is_told_with_its_place(text: str, words: str, position: int | None) -> None:
    with pytest.raises(DescriptorError) as caught:
        parse(text)
    assert words in str(caught.value)
    assert caught.value.position == position
    assert caught.value.remedy


@given(st.lists(st.sampled_from(["_", "n", '"', "*", " ", *KEYS, *map(str, range(6))]), max_size=20).map("".join))
def test_any_text_is_a_descriptor_or_one_error(text: str) -> None:
    told = ""
    try:
        found = parse(text)
    except DescriptorError as error:
        told = str(error)
    else:
        assert min(found.geometry.output_size(found.x_shape[2:], found.w_shape[2:])) >= 1
        assert min(min(pad) for pad in found.geometry.padding) >= 0
    assert told == "" or "\n" not in told


def test_a_label_is_the_name_or_the_text() -> None:
    assert label('ic1ih4oc1kh1n"resnet_50:conv1*2"') == "resnet_50-conv1"
    assert label("ic1ih4oc1kh1") == label('ic1ih4oc1kh1n""') == "ic1ih4oc1kh1"
    assert len(label("n" + "x" * 99)) == 60


@pytest.mark.parametrize(
    ("x", "w", "transposed", "words"),
    [
        ((1, 1, 4, 4), (1, 1, 2, 2), True, "no transposed"),
        ((1, 0, 4, 4), (1, 0, 2, 2), False, "extent of 0"),
        ((1, 1, 2, 2), (1, 1, 3, 3), False, "extent of 0"),
    ],
)
def test_what_the_grammar_cannot_say_is_refused(
    x: tuple[int, ...], w: tuple[int, ...], transposed: bool, words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        write(x, w, Geometry(transposed=transposed))
