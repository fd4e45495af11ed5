"""``crosscorrect.check``: right kernels pass, wrong ones are caught and named, and what comes of it can be shown."""

from __future__ import annotations

import functools
import importlib
import itertools
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, strategies as st

import crosscorrect
from crosscorrect import store
from crosscorrect.errors import CrosscorrectError, IncompleteError, UsageError
from crosscorrect.geometry import Geometry
from crosscorrect.layout import KNOWN, Layout
from crosscorrect.model import Outcome, Reason
from crosscorrect.takes import Takes
from handmade import (
    WRONG,
    always_float64,
    border_lost,
    conv,
    conv_backward,
    corr2d,
    corr2d_backward,
    flipped,
    half_flipped,
    half_precision,
    mean,
    single_precision,
    too_small,
    transposed,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from crosscorrect.checked import Checked

    Array = np.ndarray[Any, Any]

FEW = {"only": ["handmade/loop", "handmade/loop-real"]}
SOME = {"only": ["chapter/rectangular", "handmade/loop", "handmade/loop-real", "handmade/loop-long"]}
HOSTILE = '<script>alert("x")</script>\x1b[31m\u202e'


def check(function: Any = corr2d, *suites: Any, **asked: Any) -> Checked:
    """As ``crosscorrect.check``, with a budget that no busy machine spends."""
    return crosscorrect.check(function, *suites, **({"budget": 600.0} | asked))


def outcomes(result: Checked) -> set[Outcome]:
    return {row.outcome for row in result.rows}


# ---------------------------------------------------------------- right ones


def test_the_double_loop_passes() -> None:
    result = check(corr2d)
    assert result
    assert result.handmade.layout.letters == "HW"
    assert len(result.rows) > 30
    assert {row.dtype for row in result.rows} == {"float32", "float64"}
    assert not result.failures
    assert result.diagnosis == ""


def test_a_convolution_with_everything_passes_and_is_asked_everything() -> None:
    result = check(conv)
    assert result, str(result)
    assert result.handmade.layout.letters == "NCHW"
    assert not result.unasked
    assert not result.left_out
    assert len(result.rows) > 150


@pytest.mark.parametrize("letters", KNOWN)
def test_a_right_function_passes_in_every_layout(letters: str) -> None:
    layout = Layout.of(letters)
    adapter = importlib.import_module("crosscorrect_adapters.numpy").NumpyAdapter("cpu", "eager")
    one = (1,) * layout.rank

    def own(
        x: Array, w: Array, stride: Any = one, padding: Any = ((0, 0),) * layout.rank, dilation: Any = one
    ) -> Array:
        ours = layout.image_back(x, 0), layout.kernel_back(w, 0)
        return layout.image(adapter.conv2d(*ours, None, Geometry(stride, padding, dilation)))

    result = check(own, layout=letters)
    assert result, str(result)
    assert {row.suite for row in result.rows} >= {"handmade"}


@pytest.mark.parametrize(("letters", "function"), [("NCHW", conv), ("HW", corr2d)])
def test_the_layout_is_found_by_trying(letters: str, function: Callable[..., Any]) -> None:
    assert check(function, **FEW | {"only": ["chapter/rectangular"]}).handmade.layout.letters == letters


def test_a_function_of_one_example_is_found_to_be_one() -> None:
    def example(x: Array, w: Array) -> Array:
        channels, _, _ = x.shape
        assert w.shape[1] == channels
        return conv(x[None], w)[0]

    result = check(example)
    assert result, str(result)
    assert result.handmade.layout.letters == "CHW"


def test_a_function_of_a_signal_is_found_to_be_one() -> None:
    def signal(x: Array, w: Array) -> Array:
        return np.array([(x[i : i + len(w)] * w).sum() for i in range(len(x) - len(w) + 1)], x.dtype)

    result = check(signal)
    assert result, str(result)
    assert result.handmade.layout.letters == "W"


def test_dtypes_can_be_chosen() -> None:
    assert {row.dtype for row in check(corr2d, dtypes=["float64"]).rows} == {"float64"}


def test_a_check_is_the_same_again() -> None:
    first, second = (check(half_precision, **FEW) for _ in range(2))
    timed = ["seconds", "transfer_seconds", "total_seconds"]
    assert first.checks.drop(columns=timed).equals(second.checks.drop(columns=timed))


def test_another_seed_gives_other_data() -> None:
    first, second = (check(corr2d, only=["handmade/loop"], seed=seed) for seed in (0, 7))
    assert first.rows[0].input_digest != second.rows[0].input_digest


# ---------------------------------------------------------------- wrong ones


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (flipped, "flipped-kernel"),
        (transposed, "swapped-kernel-axes"),
        (mean, "kernel-averaged"),
        (half_precision, "fp16-accumulator"),
        (single_precision, "float32-computation"),
        (border_lost, "not-written"),
        (too_small, "padding-off-by-one"),
    ],
)
def test_a_wrong_double_loop_is_caught_and_named(function: Callable[..., Any], name: str) -> None:
    result = check(function, **SOME)
    assert not result
    assert result.groups[0].name == name, str(result)
    assert result.diagnosis in str(result)


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_convolution_is_caught_and_named(name: str) -> None:
    result = check(WRONG[name], only=["handmade/batch", "handmade/batch-bias"])
    assert not result
    assert [group.name for group in result.groups] == [name], str(result)
    assert len(result.groups[0].failures) == len(result.failures)


def test_all_that_fails_for_one_reason_is_one_group() -> None:
    result = check(WRONG["swapped-stride"])
    (group,) = result.groups
    assert len(group.failures) == len(result.failures) > 20
    assert len({failure.check.case for failure in result.failures}) > 5


def test_a_kernel_flipped_on_one_axis_only_is_named() -> None:
    assert "flip" in check(half_flipped, **SOME).diagnosis


def test_a_lost_border_is_told_by_its_sides() -> None:
    assert "in the last row and the last column" in check(border_lost, **SOME).diagnosis


def test_an_output_of_another_dtype_is_told_with_a_remedy_and_judged_where_it_can_be() -> None:
    result = check(always_float64, **SOME)
    (group,) = result.groups
    assert group.sentence == "it returns dtype float64 where float32 was asked for"
    assert "dtype=x.dtype" in str(result)
    assert {f.check.reason for f in result.failures} == {Reason.DTYPE}
    assert check(always_float64, dtypes=["float64"], **SOME)


def test_two_mistakes_are_two_groups() -> None:
    result = check(lambda x, w: always_float64(x, w[::-1, ::-1]), **SOME)
    assert [group.name for group in result.groups] == ["flipped-kernel", "dtype float64 where float32 was asked for"]


def test_a_function_that_answers_differently_each_time_is_told_so() -> None:
    calls = itertools.count()
    result = check(lambda x, w: corr2d(x, w) + x.dtype.type(next(calls)), **FEW)
    assert {f.check.reason for f in result.failures} == {Reason.DETERMINISM}
    assert "asked twice with the same arrays" in str(result)


def test_a_slight_difference_within_the_bound_is_found_by_asking_again() -> None:
    calls = itertools.count()

    def noisy(x: Array, w: Array) -> Array:
        return corr2d(x, w) * (1 + next(calls) % 2 * np.finfo(x.dtype).eps)

    result = check(noisy, only=["handmade/repeat"])
    assert {f.check.reason for f in result.failures} == {Reason.DETERMINISM}


def test_a_function_that_writes_into_its_image_is_told_so() -> None:
    def vandal(x: Array, w: Array) -> Array:
        y = corr2d(x, w)
        x[:] = 0
        return y

    result = check(vandal, **FEW)
    assert outcomes(result) == {Outcome.ERROR}
    assert "input x was changed" in str(result)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda y: y.tolist(), "TypeError: returned an object of type list, where a numpy.ndarray is due"),
        (lambda _: None, "TypeError: returned None, where a numpy.ndarray is due"),
        (lambda y: y[0, 0], "where a numpy.ndarray is due"),
        (lambda y: y.astype(object), "dtype object"),
        (lambda y: y[None], "shape (1, 4, 8) instead of (4, 8)"),
        (lambda y: y.ravel(), "shape (32,) instead of (4, 8)"),
        (lambda y: y[:0], "(0, 8)"),
        (lambda y: y * np.nan, "not finite"),
    ],
)
def test_an_answer_that_is_none_is_told_in_a_sentence(answer: Callable[[Any], Any], said: str) -> None:
    result = check(lambda x, w: answer(corr2d(x, w)), only=["handmade/loop@dtype=float32"])
    assert not result
    assert said in str(result)


def test_an_exception_is_an_error_with_the_line_where_it_was_raised() -> None:
    def broken(x: Array, w: Array) -> Array:
        raise IndexError("index 7 is out of bounds")

    result = check(broken, **FEW)
    assert outcomes(result) == {Outcome.ERROR}
    assert result.groups[0].name == "IndexError"
    assert "IndexError: index 7 is out of bounds" in str(result)
    assert re.search(rf"in broken, .*{re.escape('test_check.py')} line \d+", str(result))


def test_an_exit_is_an_error_and_an_interrupt_goes_through() -> None:
    def leaves(x: Array, w: Array) -> Array:
        raise SystemExit(3)

    def interrupted(x: Array, w: Array) -> Array:
        if x.shape == (3, 3):  # the one that is tried, to find the layout
            return corr2d(x, w)
        raise KeyboardInterrupt

    with pytest.raises(SystemExit):
        check(leaves)  # while it is tried, as everywhere in Python
    assert outcomes(check(leaves, layout="HW", **FEW)) == {Outcome.ERROR}
    with pytest.raises(KeyboardInterrupt):
        check(interrupted, **FEW)


def test_a_refusal_is_no_pass_and_told_apart_from_an_error() -> None:
    def some(x: Array, w: Array, stride: tuple[int, int] = (1, 1)) -> Array:
        if stride != (1, 1):
            raise NotImplementedError("strides")
        return conv(x, w)

    result = check(some, only=["handmade/batch"])
    assert not result
    assert outcomes(result) == {Outcome.PASS, Outcome.UNSUPPORTED}


def three_by_three(x: Array, w: Array) -> Array:
    if w.shape[2:] != (3, 3):
        raise NotImplementedError("only 3x3 kernels")
    return conv(x, w)


def test_refusals_are_counted_apart_and_told_last() -> None:
    refusing = check(three_by_three, layout="NCHW", only=["handmade/batch"])
    assert str(refusing).startswith("three_by_three: FAIL, 2 refused of 2 checks: only 3x3 kernels")
    wrong = check(
        lambda x, w: three_by_three(x, w)[..., ::-1], layout="NCHW", only=["handmade/batch", "handmade/three*"]
    )
    counts = wrong.totals
    assert counts[Outcome.UNSUPPORTED] == 2
    assert f"FAIL, {counts[Outcome.FAIL]} of {len(wrong.rows)} checks, 2 refused: the output is flipped" in str(wrong)
    assert [group.refusal for group in wrong.groups] == [False, True]
    assert "  2 refused: only 3x3 kernels" in str(wrong)
    assert "<b>2 refused:</b>" in wrong._repr_html_()


def test_a_kernel_of_three_by_three_and_eight_channels_is_among_the_first_that_are_asked() -> None:
    seen: list[tuple[int, ...]] = []

    def narrow(x: Array, w: Array, bias: Array | None = None, padding: tuple[int, int] = (0, 0)) -> Array:
        seen.append(w.shape)
        if w.shape[2:] != (3, 3) or w.shape[0] % 8 or w.shape[1] % 8:
            raise NotImplementedError
        return conv(x, w, bias, padding=tuple((p, p) for p in padding))

    result = check(narrow, layout="NCHW")
    passed = [row for row in result.rows if row.outcome is Outcome.PASS]
    assert outcomes(result) == {Outcome.PASS, Outcome.UNSUPPORTED}
    assert {row.case for row in passed} == {"three-by-three", "three-by-three-bias", "three-by-three-real"}
    assert len(passed) == 12
    assert seen.index((8, 8, 3, 3)) < len(seen) / 2


def test_what_it_prints_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    def loud(x: Array, w: Array) -> Array:
        sys.stdout.write("here\n")
        return corr2d(x, w)

    assert check(loud, **FEW)
    assert "here\n" in capsys.readouterr().out


# ---------------------------------------------------------------- backward passes


@pytest.mark.parametrize("function", [corr2d, conv])
def test_a_right_backward_pass_passes(function: Callable[..., Any]) -> None:
    result = check(function, backward=corr2d_backward if function is corr2d else conv_backward)
    assert result, str(result)
    wanted = {"forward", "grad_input", "grad_weight"} | ({"grad_bias"} if function is conv else set())
    assert {row.direction for row in result.rows} == wanted


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda dx, dw, db: (dx[:, :, ::-1], dw, db), "grad_input"),
        (lambda dx, dw, db: (dx, dw[:, :, ::-1, ::-1], db), "kernel"),
        (lambda dx, dw, db: (dx, dw, None if db is None else db / 2), "the gradient is averaged over the batch"),
        (lambda dx, dw, db: (dx / len(dx), dw / len(dx), db), "the gradient is averaged over the batch"),
        (lambda dx, dw, _: (dx, dw), "returned 2 values, where (dx, dw, db) is due"),
        (lambda dx, _dw, _db: dx, "where (dx, dw"),
    ],
)
def test_a_wrong_backward_pass_is_caught(change: Callable[..., Any], said: str) -> None:
    def backward(dy: Array, x: Array, w: Array, **geometry: Any) -> Any:
        return change(*conv_backward(dy, x, w, **geometry))

    result = check(
        lambda x, w, bias=None: conv(x, w, bias),
        backward=lambda dy, x, w, bias=None: backward(dy, x, w, bias=bias),
        only=["handmade/gradients*"],
    )
    assert not result
    assert said in str(result)
    failure = next(failure for failure in result.failures if failure.check.direction != "forward")
    assert failure.told.startswith("lambda(dy, x, w")
    assert "dy" in failure.inputs


def test_a_backward_pass_that_writes_into_what_it_is_given_is_told() -> None:
    def vandal(dy: Array, x: Array, w: Array) -> Any:
        slopes = corr2d_backward(dy, x, w)
        dy[:] = 0
        return slopes

    result = check(corr2d, backward=vandal, only=["handmade/image-gradients"])
    assert "input dy was changed" in str(result)


def test_gradients_can_be_asked_alone() -> None:
    result = check(corr2d, backward=corr2d_backward, directions="grad_weight")
    assert result, str(result)
    assert {row.direction for row in result.rows} == {"grad_weight"}


def test_a_gradient_that_is_none_fails_alone_and_is_named() -> None:
    result = check(
        corr2d, backward=lambda dy, x, w: (corr2d_backward(dy, x, w)[0], None), only="handmade/image-gradients"
    )
    failed = {row.direction for row in result.rows if row.outcome is not Outcome.PASS}
    assert failed == {"grad_weight"}
    assert "grad_input" in {row.direction for row in result.rows}
    assert "(grad_weight): grad_weight: no gradient reaches w" in str(result).splitlines()[0]
    assert "crosscorrect_adapters" not in str(result)


def test_the_text_says_which_direction_failed() -> None:
    def backward(dy: Array, x: Array, w: Array) -> Any:
        dx, dw = corr2d_backward(dy, x, w)
        return dx, dw[::-1, ::-1]

    said = str(check(corr2d, backward=backward, only="handmade/image-gradients"))
    assert re.match(r"corr2d: FAIL, 2 of 6 checks \(grad_weight\): ", said)
    assert "    grad_weight of handmade/image-gradients@" in said
    assert "    right grad_weight = [[" in said
    assert "    returned grad_weight = [[" in said


# ---------------------------------------------------------------- what is asked


def test_what_a_function_has_no_parameter_for_is_not_asked_and_counted() -> None:
    result = check(lambda x, w, stride=(1, 1): conv(x, w, stride=stride))
    assert result, str(result)
    assert set(result.unasked) == {"bias", "padding", "dilation", "groups"}
    assert "not asked, because it does not take it: bias (" in str(result)


def test_one_number_for_all_axes_is_given_where_the_default_is_one() -> None:
    seen = set()

    def numbers(x: Array, w: Array, stride: int = 1, pad: int = 0) -> Array:
        seen.add((stride, pad))
        return conv(x, w, stride=(stride, stride), padding=((pad, pad), (pad, pad)))

    result = check(numbers)
    assert result, str(result)
    assert {(2, 0), (1, 1)} <= seen
    assert "stride other than one number for all axes (" in str(result)


def test_a_word_for_the_padding_is_given_in_the_case_of_the_default() -> None:
    seen = set()

    def words(x: Array, w: Array, strides: tuple[int, int] = (1, 1), padding: str = "VALID") -> Array:
        seen.add(padding)
        geometry = Geometry(strides, {"VALID": "valid", "SAME": "same_upper"}[padding])
        pads = geometry.pads(x.shape[2:], w.shape[2:])
        return conv(x, w, stride=strides, padding=pads)

    result = check(words)
    assert result, str(result)
    assert seen == {"VALID", "SAME"}


def test_examples_say_what_a_signature_does_not() -> None:
    def open_ended(x: Array, w: Array, **more: Any) -> Array:
        return conv(x, w, **more)

    wide = check(open_ended, takes={"stride": (1, 1), "bias": None})
    assert wide, str(wide)
    assert not {"stride", "bias"} & set(wide.unasked)

    def narrow(x: Array, w: Array, stride: Any = 1) -> Array:
        return conv(x, w, stride=stride if isinstance(stride, tuple) else (stride, stride))

    assert "stride" in check(narrow).unasked
    assert "stride" not in check(narrow, takes={"stride": (1, 1)}).unasked


def test_of_a_signature_that_cannot_be_read_nothing_is_claimed() -> None:
    def star(*args: Any, **more: Any) -> Array:
        return conv(*args, **more)

    unsigned = functools.partial(conv)
    unsigned.__signature__ = "as of what is written in C"  # type: ignore[attr-defined]
    for function in (star, unsigned):
        result = check(function, only=["handmade/batch*"])
        assert result, str(result)
        assert "not asked, because its signature cannot be read; say takes={…}: " in str(result)
        assert "does not take it" not in str(result)
    said = str(check(star, takes={"stride": (1, 1)}, only=["handmade/batch*"]))
    assert "not asked, because it does not take it: " in said
    assert "cannot be read" not in said
    with pytest.raises(UsageError, match="need bias, and the signature of star cannot be read; say takes="):
        check(star, only=["handmade/batch-bias"])


def test_where_no_order_of_axes_is_accepted_the_result_says_so_and_why() -> None:
    def even(x: Array, w: Array) -> Array:
        _, _, height, _ = x.shape
        if height % 2:
            raise ValueError("odd height")
        return conv(x, w)

    result = check(even)
    said = str(result)
    assert 'no order of axes was accepted by it; (H, W) was assumed: say layout="NCHW" or "NHWC"' in said
    assert (
        "tried: HW: ValueError: not enough values to unpack (expected 4, got 2); NCHW: ValueError: odd height" in said
    )
    assert "no order of axes was accepted" in result._repr_html_()
    assert "NotImplementedError: only 3x3 kernels" in str(check(three_by_three, **FEW))
    for accepted in (check(even, layout="NCHW"), check(flipped)):
        assert "no order of axes" not in str(accepted)


def test_a_function_of_kernel_and_image_is_told_the_order() -> None:
    told = "it is called as function(image, kernel); yours names them the other way round"

    def rev(kernel: Array, image: Array) -> Array:
        return corr2d(image, kernel)

    result = check(rev, **FEW)
    assert not result
    assert str(result).splitlines()[1].strip() == told
    assert told in result._repr_html_()
    with pytest.raises(UsageError, match=re.escape(told)):
        check(rev, only=["handmade/batch"])
    assert told not in str(check(flipped, **FEW))
    assert Takes.of(lambda dy, w, x: None, operands=("dy", "an image", "a kernel")).swapped


def test_a_dtype_that_no_problem_has_leads_to_suites_that_do() -> None:
    with pytest.raises(
        UsageError, match=re.escape("such problems are in dtypes and smoke: say suites=['dtypes', 'smoke']")
    ):
        check(conv, dtypes="int32")
    assert check(conv, "dtypes", dtypes="int32", budget=5).rows


@pytest.mark.parametrize("function", [corr2d, lambda x, w: conv(x, w)])  # noqa: PLW0108  of its own signature
def test_half_precision_is_asked_of_the_suite_of_dtypes(function: Callable[..., Any]) -> None:
    with pytest.raises(UsageError, match=r"such problems are in dtypes.*: say suites=\['dtypes'"):
        check(function, dtypes="float16")
    result = check(function, "dtypes", dtypes="float16", only=["dtypes/loop", "dtypes/no-bias"])
    assert result, str(result)
    assert {row.dtype for row in result.rows} == {"float16"}


def test_a_partial_goes_by_the_name_of_its_function_and_its_own_parameters_stay() -> None:
    def shifted(x: Array, w: Array, offset: float = 0.0) -> Array:
        return corr2d(x, w) + x.dtype.type(offset)

    result = check(functools.partial(shifted, offset=0.0), **FEW)
    assert result
    assert result.name == "shifted"
    assert "left at their defaults: offset" in str(result)


def test_a_budget_leaves_out_the_largest_and_says_so() -> None:
    whole, clock = check(corr2d), pytest.MonkeyPatch()
    seconds = itertools.count()
    clock.setattr("crosscorrect.trial.time.perf_counter", lambda: float(next(seconds)))
    try:
        result = check(corr2d, budget=60)
    finally:
        clock.undo()
    assert result
    assert 1 < len(result.rows) < len(whole.rows)
    assert {row.problem for row in result.rows} | set(result.left_out) == {row.problem for row in whole.rows}
    assert f"left out, to stay within 60 s: {len(result.left_out)} problems" in str(result)


def test_one_s_own_suite_is_asked(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(
        "crosscorrect: 1\nsuite: own\ntitle: Own\ncases:\n  - {id: one, source: test, title: One, operation: corr2d,\n"
        "     x: [[1, 2, 3], [4, 5, 6]], w: [[1, -1]]}\n",
        encoding="utf-8",
    )
    result = check(corr2d, [tmp_path / "own.yaml"])
    assert [row.problem for row in result.rows] == ["own/one"]


def test_a_function_that_always_pads_is_asked_only_that() -> None:
    def same(x: Array, w: Array) -> Array:
        return corr2d(np.pad(x, Geometry(padding="same_upper").pads(x.shape, w.shape)), w)

    assert "say always={'padding': 'same'}" in str(check(same, **SOME))
    result = check(same, always={"padding": "same"})
    assert result, str(result)
    assert len(result.rows) >= 4
    assert "always: padding 'same'" in str(result)
    other = check(lambda x, w: same(x[::-1, ::-1], w[::-1, ::-1])[::-1, ::-1], always={"padding": "SAME"})
    assert "equals the reference with same_lower padding" in other.diagnosis


def test_a_function_that_always_steps_and_pads_is_asked_only_that() -> None:
    for always in ({"stride": 2, "padding": 1}, {"stride": (2, 2), "pad": ((1, 1), (1, 1))}):
        result = check(lambda x, w, b=None: conv(x, w, b, (2, 2), ((1, 1), (1, 1))), always=always, layout="NCHW")
        assert result, str(result)
        assert {row.problem.partition("geometry=")[2].partition(",")[0] for row in result.rows} == {"stride-2-pad-1"}


@pytest.mark.parametrize("one", [{"suites": "handmade"}, {"only": "handmade/loop"}, {"dtypes": "float32"}])
def test_one_word_needs_no_brackets(one: dict[str, str]) -> None:
    assert check(**({"only": "handmade/loop*"} | one))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"function": 3}, "takes functions of an image and a kernel, not an object of type int"),
        ({"function": lambda x: x}, "takes 1 by position and is given 2, an image, a kernel"),
        ({"function": lambda x, w, alpha: x}, "has a parameter 'alpha' without a default"),
        ({"function": lambda x, w, padding=(0, 0, 0, 0): x}, r"padding=\(0, 0, 0, 0\) is no padding"),
        ({"function": lambda x, w, stride="two": x}, "stride='two' is no stride"),
        ({"backward": "conv"}, "takes functions of an image and a kernel, not an object of type str"),
        ({"backward": lambda dy, x: x}, "takes 2 by position and is given 3, dy, an image, a kernel"),
        ({"takes": {"stride": 1}}, "'stride' is no parameter of corr2d"),
        ({"takes": {"speed": 1}}, "'speed' is none of"),
        ({"always": {"bias": 1}}, "always: 'bias' is none of stride, padding, dilation, groups"),
        ({"always": {"stride": "two"}}, "stride='two' is no stride"),
        ({"function": conv, "always": {"stride": 2}}, "always: 'stride' is a parameter of conv"),
        ({"level": "all"}, "level 'all' is none of smoke"),
        ({"layout": "HWX"}, "layout 'HWX' is none of HW"),
        ({"dtypes": ["f32"]}, "dtype 'f32' is none of float16"),
        ({"directions": ["train"]}, "direction 'train' is none of forward"),
        ({"directions": ["grad_input"]}, "have no automatic differentiation"),
        ({"arithmetic": "fast"}, "arithmetic 'fast' is none of strict"),
        ({"arithmetic": "tf32"}, "NumPy has no TF32 arithmetic"),
        ({"dtypes": ["float32", "bfloat16"]}, "dtype 'bfloat16' is none of NumPy's"),
        ({"seed": "a"}, "seed is a whole number, not 'a'"),
        ({"seed": True}, "seed is a whole number, not True"),
        ({"seed": 1.5}, "seed is a whole number, not 1.5"),
        ({"budget": 0}, "budget is a number of seconds above 0"),
        ({"budget": float("nan")}, "budget is a number of seconds above 0"),
        ({"device": "cuda:0"}, "sees no device 'cuda:0'"),
        ({"arrays": "nump"}, "did you mean 'numpy'"),
        ({"suites": ["networks"]}, "no problem of networks can be asked"),
        ({"suites": ["chaptr"]}, "chaptr"),
        ({"only": ["nothing"]}, "no problem is called nothing"),
    ],
)
def test_a_request_that_means_nothing_is_one_clear_sentence(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        check(**({"function": corr2d} | arguments))
    assert "\n" not in str(caught.value)


def test_a_framework_that_is_not_here_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "crosscorrect_adapters.torch", raising=False)
    with pytest.raises(IncompleteError, match="arrays 'torch': this Python cannot import"):
        check(corr2d, arrays="torch")


# ---------------------------------------------------------------- signatures and layouts by themselves


@given(st.sampled_from([2, 3]), st.integers(0, 3), st.integers(0, 3), st.integers(1, 3), st.integers(1, 3))
def test_what_a_form_says_is_what_the_geometry_is(
    stride: int, begin: int, end: int, across: int, dilation: int
) -> None:
    geometry = Geometry((stride, across), ((begin, end), (end, begin)), (dilation, 1))

    def function(
        x: Any, w: Any, stride: Any = (1, 1), padding: Any = ((0, 0), (0, 0)), dilation: Any = (1, 1)
    ) -> None: ...

    said = Takes.of(function).arguments(geometry, (9, 8), (3, 2))
    assert said == {"stride": geometry.stride, "padding": geometry.padding, "dilation": geometry.dilation}


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-2, 5)
    | st.floats()
    | st.text(max_size=9)
    | st.sampled_from(["SAME", "valid"]),
    lambda inner: st.lists(inner, max_size=3) | st.lists(inner, max_size=3).map(tuple),
    max_leaves=6,
)


@given(st.sampled_from(["bias", "stride", "padding", "dilation", "groups"]), VALUES)
def test_any_default_is_a_form_or_refused_in_a_sentence(feature: str, default: Any) -> None:
    def read() -> Takes | str:
        try:
            return Takes.of(lambda x, w, **_: x, {feature: default})
        except UsageError as error:
            return str(error)

    takes = read()
    if isinstance(takes, str):
        assert feature in takes
        assert "\n" not in takes
    else:
        assert set(takes.arguments(Geometry(), (9, 8), (3, 2))) == {feature} - {"bias"}


@given(st.sampled_from(KNOWN), st.integers(1, 3), st.integers(1, 3), st.integers(1, 3))
def test_a_layout_leads_there_and_back(letters: str, examples: int, inputs: int, outputs: int) -> None:
    layout = Layout.of(letters)
    space = (4, 5, 6)[: layout.rank]
    x = np.arange(examples * inputs * np.prod(space)).reshape(examples, inputs, *space)
    w = np.arange(outputs * inputs * np.prod(space)).reshape(outputs, inputs, *space)
    if layout.holds({"x": x.shape, "w": w.shape}):
        assert np.array_equal(layout.image_back(layout.image(x), x.ndim), x)
        assert np.array_equal(layout.kernel_back(layout.kernel(w), w.ndim), w)
        assert layout.image(x).ndim == len(letters)


# ---------------------------------------------------------------- what comes of it


def test_the_checks_have_the_columns_of_a_run() -> None:
    result = check(flipped, **FEW)
    assert len(result.checks) == len(result.rows)
    assert set(result.checks["outcome"]) == {"fail"}
    assert result.checks["framework"].unique().tolist() == ["flipped"]
    assert result.checks["diagnosis"].str.contains("flipped").any()


def test_a_failure_has_what_it_takes_to_repeat_it() -> None:
    failure = check(flipped, only=["chapter/worked-example"]).failures[0]
    assert failure.x.tolist() == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
    assert failure.w.tolist() == [[0, 1], [2, 3]]
    assert failure.output is not None
    assert failure.reference is not None
    assert failure.output.tolist() == [[5, 11], [23, 29]]
    assert failure.reference.tolist() == [[19, 25], [37, 43]]
    assert failure.where == (0, 0)
    assert failure.told == "flipped(x, w)"
    assert failure.call().tolist() == [[5, 11], [23, 29]]


def test_a_failure_of_a_wrong_shape_has_no_worst_element() -> None:
    failure = check(too_small, **FEW).failures[0]
    assert failure.check.reason is Reason.SHAPE
    assert failure.where is None
    assert failure.output is not None


def test_numbers_can_be_pasted_and_searched() -> None:
    said = str(check(lambda x, w: corr2d(x, -w), only=["handmade/loop", "handmade/loop-real"]))
    assert re.search(r"at \(\d, \d\) (-\S+ is right|\S+ is right and -)", said)
    assert "\N{MINUS SIGN}" not in said


def test_a_failure_is_in_the_layout_of_its_function() -> None:
    def last(x: Array, w: Array, bias: Array | None = None) -> Array:
        return np.moveaxis(conv(np.moveaxis(x, -1, 1), w.transpose(3, 2, 0, 1)), 1, -1)

    result = check(last, layout="NHWC", only=["handmade/batch-bias"])
    failure = result.failures[0]
    assert failure.output is not None
    assert failure.reference is not None
    assert failure.where is not None
    assert failure.x.shape == (2, 8, 7, 3)
    assert failure.w.shape == (3, 2, 3, 4)
    assert failure.output.shape == failure.reference.shape == (2, 6, 6, 4)
    assert failure.reference[failure.where] == failure.check.expected
    assert failure.output[failure.where] == failure.check.got
    assert "bias=b" in failure.told


def test_nothing_is_written_unless_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    check(flipped, **FEW)
    assert not list(tmp_path.iterdir())


def test_a_run_folder_holds_the_same_and_can_be_reported(tmp_path: Path) -> None:
    result = check(flipped, **FEW, results=tmp_path)
    assert result.run is not None
    again = store.load(result.run.folder)
    assert again.info["finished"]
    said = again.checks.drop(columns=["arrays"])
    assert said.equals(result.checks.drop(columns=["arrays"]))
    written = importlib.import_module("crosscorrect_reports").write(again)
    assert {path.name for path in written} >= {"report.html", "report.md", "junit.xml"}
    assert str(result.run.folder) in str(result)


def test_the_text_says_verdict_cause_place_and_arrays() -> None:
    said = str(check(flipped, only=["chapter/worked-example"]))
    assert said.startswith("flipped: FAIL, 2 of 2 checks: the kernel is flipped: convolution instead of cross-corr")
    assert "at (0, 0) 19 is right and 5 was returned" in said
    assert "x = [[0., 1., 2.]," in said
    assert "only=['chapter/worked-example@operation=corr2d,dtype=float32']" in said


def test_the_representation_is_the_text_and_a_pass_is_one_line_first() -> None:
    result = check(corr2d, **FEW)
    assert repr(result) == str(result)
    assert str(result).splitlines()[0].startswith("corr2d: PASS, 4 checks, ")


class _Balanced(HTMLParser):
    """The tags of a fragment; every one that is opened must be closed."""

    VOID = ("img", "br")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, _attrs: Any) -> None:
        self.seen.add(tag)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def parsed(html: str) -> _Balanced:
    parser = _Balanced()
    parser.feed(html)
    assert not parser.open
    return parser


@pytest.mark.parametrize("function", [corr2d, flipped, border_lost, too_small, always_float64, WRONG["bias-ignored"]])
def test_a_notebook_is_shown_one_sound_element(function: Callable[..., Any]) -> None:
    result = check(function, only=["handmade/loop", "handmade/example-bias"])
    html = result._repr_html_()
    assert parsed(html).seen <= {
        *("div", "style", "p", "b", "span", "code", "figure", "figcaption", "table", "tr", "td", "img", "br"),
    }
    assert html.count("<div") == html.count("</div>")
    assert ('class="head fail"' in html) is not bool(result)


def test_a_notebook_is_shown_the_arrays_with_the_worst_element_marked() -> None:
    html = check(flipped, only=["chapter/worked-example"])._repr_html_()
    assert re.search(r'<td class="[^"]* wrong">5</td>', html)
    assert re.search(r'<td class="[^"]* window">19</td>', html)
    assert len(re.findall(r'class="[^"]* window"', html)) == 4 + 1  # the window in the image, and what is right


def test_the_style_of_a_notebook_reaches_nothing_else_in_it() -> None:
    (style,) = re.findall(r"<style>(.*?)</style>", check(corr2d, **FEW)._repr_html_(), flags=re.DOTALL)
    selectors = re.findall(r"(?:^|\})\s*([^{}]+)\{", style)
    assert len(selectors) > 20
    assert [s for s in selectors if not all(part.strip().startswith(".crosscorrect") for part in s.split(","))] == []


def test_hostile_text_of_an_exception_is_shown_and_not_obeyed() -> None:
    def hostile(x: Array, w: Array) -> Array:
        raise ValueError(HOSTILE)

    hostile.__name__ = HOSTILE
    result = check(hostile, **FEW)
    html = result._repr_html_()
    assert "<script" not in html
    assert "&lt;script&gt;" in html
    assert parsed(html)
    for shown in (html, str(result)):
        assert "\x1b" not in shown
        assert "\u202e" not in shown


def test_rich_prints_the_same_text_and_obeys_no_markup() -> None:
    from rich.console import Console

    def marked(x: Array, w: Array) -> Array:
        raise ValueError("[red]no[/red]")

    result = check(marked, **FEW)
    console = Console(width=200)
    with console.capture() as captured:
        console.print(result)
    assert "[red]no[/red]" in captured.get()


def test_errors_are_the_library_s_own() -> None:
    assert issubclass(UsageError, CrosscorrectError)


# ---------------------------------------------------------------- the page about it

PAGE = (Path(__file__).parent.parent / "docs" / "check.md").read_text(encoding="utf-8")  # tests/test_docs.py follows it


@pytest.mark.parametrize(
    "name", sorted(set(re.findall(r"`(diagnosis|groups|failures|checks|left_out|unasked)`", PAGE)))
)
def test_what_the_page_says_a_result_has_it_has(name: str) -> None:
    assert hasattr(check(flipped, only=["chapter/worked-example"]), name)
