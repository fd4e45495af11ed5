"""Relations hold for a right adapter and fail for one that breaks them, with the reason and the claim."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from crosscorrect.model import Outcome, Reason
from crosscorrect.related import RELATIONS
from crosscorrect_adapters.numpy import NumpyAdapter

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from crosscorrect.model import Check

    Solve = Callable[..., list[Check]]

PLAIN = "x: {fill: DATA, shape: [3, 6, 9, 7]}, w: {fill: DATA, shape: [4, 6, 3, 2]}, b: {fill: DATA}"
KEYS = {
    "groups": "x: {fill: DATA, shape: [2, 6, 9, 7]}, w: {fill: DATA, shape: [4, 3, 3, 2]}, geometry: {groups: 2}",
    "dilation": f"{PLAIN}, geometry: {{dilation: [2, 3], padding: [[1, 0], [0, 2]]}}",
    "stride": f"{PLAIN}, geometry: {{stride: [2, 3], padding: [[1, 0], [0, 2]]}}",
    "same": f"{PLAIN}, geometry: {{padding: same_lower, stride: [1, 2]}}",
    "pointwise": "x: {fill: DATA, shape: [2, 6, 5, 4]}, w: {fill: DATA, shape: [3, 6, 1, 1]}, b: {fill: DATA}",
    "flip": f"{PLAIN}, geometry: {{stride: [2, 3], padding: [[1, 0], [0, 2]]}}",
    "transpose": f"{PLAIN}, geometry: {{stride: [2, 1], dilation: [1, 2], padding: [[1, 0], [0, 2]]}}",
}


def suite(tmp_path: Path, relation: str, data: str = "normal") -> Path:
    keys = KEYS.get(relation, PLAIN).replace("DATA", data)
    path = tmp_path / f"{relation}-{data}.yaml"
    case = f"{{id: one, operation: relation, relation: {relation}, {keys}}}"
    path.write_text(f"crosscorrect: 1\nsuite: made\ncases:\n  - {case}\n", encoding="utf-8")
    return path


class Stateful(NumpyAdapter):
    """Each call adds a little more: the same question has another answer."""

    calls = itertools.count()

    def conv2d(self, x: Any, w: Any, b: Any, geometry: Any) -> Any:
        return super().conv2d(x, w, b, geometry) + np.float32(next(self.calls))


class AddsOne(NumpyAdapter):
    def conv2d(self, x: Any, w: Any, b: Any, geometry: Any) -> Any:
        return super().conv2d(x, w, b, geometry) + np.float32(1)


class FirstExampleForAll(NumpyAdapter):
    def conv2d(self, x: Any, w: Any, b: Any, geometry: Any) -> Any:
        return super().conv2d(np.repeat(x[:1], len(x), 0), w, b, geometry)


class FirstChannelsTwice(NumpyAdapter):
    """The second group reads the channels of the first."""

    def conv2d(self, x: Any, w: Any, b: Any, geometry: Any) -> Any:
        if geometry.groups == 2:
            half = x.shape[1] // 2
            x = np.concatenate([x[:, :half], x[:, :half]], 1)
        return super().conv2d(x, w, b, geometry)


class NoDilation(NumpyAdapter):
    """Right in shape, wrong in the taps it takes."""

    def conv2d(self, x: Any, w: Any, b: Any, geometry: Any) -> Any:
        y = super().conv2d(x, w, b, geometry)
        return y if max(geometry.dilation) == 1 else y[..., ::-1].copy()


class StridePhase(NumpyAdapter):
    def conv2d(self, x: Any, w: Any, b: Any, geometry: Any) -> Any:
        return super().conv2d(x if max(geometry.stride) == 1 else np.roll(x, 1, -1), w, b, geometry)


class WordsMeanTheOtherSide(NumpyAdapter):
    def conv2d(self, x: Any, w: Any, b: Any, geometry: Any) -> Any:
        return super().conv2d(x if not isinstance(geometry.padding, str) else np.roll(x, 1, -1), w, b, geometry)


class ByHalves(NumpyAdapter):
    """float16 inside, whatever the dtype: scaling by a power of two is still exact, other relations suffer."""

    def conv2d(self, x: Any, w: Any, b: Any, geometry: Any) -> Any:
        b = None if b is None else b.astype(np.float16)
        y = super().conv2d(x.astype(np.float16), w.astype(np.float16), b, geometry)
        return y.astype(x.dtype)


class HalfGradient(NumpyAdapter):
    def grads(self, x: Any, w: Any, b: Any, dy: Any, geometry: Any) -> Any:
        return super().grads(x, w, b, dy / np.float32(2), geometry)


@pytest.mark.parametrize("data", ["normal", "integers"])
@pytest.mark.parametrize("relation", [*RELATIONS, "adjoint"])
def test_every_relation_holds_for_a_right_adapter(solve: Solve, tmp_path: Path, relation: str, data: str) -> None:
    rows = solve(NumpyAdapter, [suite(tmp_path, relation, data)])
    assert rows
    assert [(r.outcome, r.message) for r in rows] == [(Outcome.PASS, "")] * len(rows)


@pytest.mark.parametrize(
    ("relation", "adapter", "reason"),
    [
        ("repeat", Stateful, Reason.DETERMINISM),
        ("process", Stateful, Reason.DETERMINISM),
        ("threads", Stateful, Reason.DETERMINISM),
        ("scale", AddsOne, Reason.RELATION),
        ("negate", AddsOne, Reason.RELATION),
        ("linearity", AddsOne, Reason.RELATION),
        ("batch_permute", FirstExampleForAll, Reason.RELATION),
        ("batch_split", FirstExampleForAll, Reason.RELATION),
        ("groups", FirstChannelsTwice, Reason.RELATION),
        ("dilation", NoDilation, Reason.RELATION),
        ("stride", StridePhase, Reason.RELATION),
        ("same", WordsMeanTheOtherSide, Reason.RELATION),
        ("flip", StridePhase, Reason.RELATION),
        ("transpose", StridePhase, Reason.RELATION),
        ("pointwise", AddsOne, Reason.RELATION),
        ("matrix", ByHalves, Reason.RELATION),
        ("adjoint", HalfGradient, Reason.RELATION),
    ],
)
def test_an_adapter_that_breaks_a_relation_fails_it(
    solve: Solve, tmp_path: Path, relation: str, adapter: type, reason: Reason
) -> None:
    rows = solve(adapter, [suite(tmp_path, relation)])
    assert {(r.outcome, r.reason) for r in rows} == {(Outcome.FAIL, reason)}


def test_permuting_channels_sees_an_output_channel_computed_from_its_place(solve: Solve, tmp_path: Path) -> None:
    class ByPlace(NumpyAdapter):
        def conv2d(self, x: Any, w: Any, b: Any, geometry: Any) -> Any:
            y = super().conv2d(x, w, b, geometry)
            return y * np.arange(1, y.shape[1] + 1, dtype=y.dtype).reshape(-1, 1, 1)

    assert {r.reason for r in solve(ByPlace, [suite(tmp_path, "out_channel_permute")])} == {Reason.RELATION}


def test_permuting_inputs_sees_a_channel_that_is_dropped_by_its_place(solve: Solve, tmp_path: Path) -> None:
    class DropsTheLast(NumpyAdapter):
        def conv2d(self, x: Any, w: Any, b: Any, geometry: Any) -> Any:
            x = x.copy()
            x[:, -1] = 0
            return super().conv2d(x, w, b, geometry)

    assert {r.reason for r in solve(DropsTheLast, [suite(tmp_path, "in_channel_permute")])} == {Reason.RELATION}


def test_whether_bits_agree_is_a_property_and_no_failure(solve: Solve, tmp_path: Path) -> None:
    (row,) = solve(NumpyAdapter, [suite(tmp_path, "batch_permute")])
    assert row.property in ("batch_permute: bits agree", "batch_permute: bits differ")


def test_a_wrong_shape_in_any_of_the_answers_is_told_before_values(solve: Solve, tmp_path: Path) -> None:
    class ShortAlone(NumpyAdapter):
        def conv2d(self, x: Any, w: Any, b: Any, geometry: Any) -> Any:
            y = super().conv2d(x, w, b, geometry)
            return y if len(x) > 1 else y[..., :-1]

    (row,) = solve(ShortAlone, [suite(tmp_path, "batch_split")])
    assert (row.outcome, row.reason) == (Outcome.FAIL, Reason.SHAPE)


def test_an_error_in_any_of_the_calls_is_the_outcome(solve: Solve, tmp_path: Path) -> None:
    class RefusesOne(NumpyAdapter):
        def conv2d(self, x: Any, w: Any, b: Any, geometry: Any) -> Any:
            if len(x) == 1:
                raise RuntimeError("one example is too few")
            return super().conv2d(x, w, b, geometry)

    (row,) = solve(RefusesOne, [suite(tmp_path, "batch_split")])
    assert (row.outcome, row.message) == (Outcome.ERROR, "RuntimeError: one example is too few")
