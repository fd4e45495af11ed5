"""What each relation asks beside the plain question, and the two sides that it makes of the answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from crosscorrect import dtypes, oracle
from crosscorrect.ask import Call, conv2d_call
from crosscorrect.geometry import Geometry
from crosscorrect.model import Direction

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from crosscorrect.oracle import Floats
    from crosscorrect.problem import Problem

    Array = np.ndarray[Any, Any]
    Inputs = dict[str, Array]
    Sides = tuple[Floats, Floats]

FACTOR = 2.0**5


@dataclass(frozen=True, slots=True)
class Relation:
    """``calls`` derives the questions, the problem's own first; ``sides`` makes left and right of the answers.

    ``claim`` is the statement in words.
    """

    claim: str
    calls: Callable[[Problem, Inputs], list[Call]]
    sides: Callable[[Problem, Inputs, Sequence[Array]], Sides]


def _axes(slices: Iterable[slice]) -> Any:
    """An index that takes these parts of the last axes."""
    return (..., *slices)


def _geometry(problem: Problem) -> Geometry:
    return cast("Geometry", problem.geometry)


def _changed(**changes: Callable[[Array], Array]) -> Callable[[Problem, Inputs], list[Call]]:
    """One more forward call, on inputs of which some are changed."""

    def derive(problem: Problem, inputs: Inputs) -> list[Call]:
        other = {n: np.ascontiguousarray(changes[n](a)) if n in changes else a for n, a in inputs.items()}
        return [conv2d_call(problem, other)]

    return derive


def _times(factor: float) -> Callable[[Array], Array]:
    def multiply(array: Array) -> Array:
        if array.dtype.kind in "iu":
            return np.asarray(array * array.dtype.type(int(factor)))
        return np.asarray(dtypes.narrow(_scaled(dtypes.widen(array), factor), dtypes.name_of(array.dtype)))

    return multiply


def _scaled(array: Array, factor: float) -> Array:
    """Each component times a real number: as a product of complex numbers, an infinity times it would be NaN."""
    part = array.real.dtype
    with np.errstate(over="ignore"):
        return np.asarray((np.ascontiguousarray(array).view(part) * part.type(factor)).view(array.dtype))


def _multiplied(factor: float) -> Relation:
    claim = f"multiplying image and bias by {factor:g} must multiply the output, bit for bit"
    change = _times(factor)
    return Relation(claim, _changed(x=change, b=change), lambda _p, _i, y: (_scaled(y[0], factor), y[1]))


def _order(size: int) -> list[int]:
    """A permutation without a fixed point where there is one: rotated by about a third."""
    return [(i + max(size // 3, 1)) % size for i in range(size)]


def _taken(array: Array, axis: int) -> Array:
    return np.ascontiguousarray(np.take(array, _order(array.shape[axis]), axis))


def _split_calls(problem: Problem, inputs: Inputs) -> list[Call]:
    return [conv2d_call(problem, {**inputs, "x": inputs["x"][i : i + 1]}) for i in range(len(inputs["x"]))]


def _out_channels(problem: Problem, inputs: Inputs) -> list[Call]:
    """Permute output channels inside each group, of the kernel and of the bias."""
    order = _inside_groups(_outputs(problem), _geometry(problem).groups)
    other = {**inputs, "w": np.ascontiguousarray(inputs["w"][order])}
    if "b" in inputs:
        other["b"] = np.ascontiguousarray(inputs["b"][order])
    return [conv2d_call(problem, other)]


def _outputs(problem: Problem) -> int:
    return problem.shapes["output"][1]


def _inside_groups(channels: int, groups: int) -> list[int]:
    per = channels // groups
    return [g * per + i for g in range(groups) for i in _order(per)]


def _in_channels(problem: Problem, inputs: Inputs) -> list[Call]:
    order = _inside_groups(inputs["x"].shape[1], _geometry(problem).groups)
    other = {**inputs, "x": np.ascontiguousarray(inputs["x"][:, order]), "w": _taken(inputs["w"], 1)}
    return [conv2d_call(problem, other)]


def _linear_calls(problem: Problem, inputs: Inputs) -> list[Call]:
    """The image in two parts that have no element in common, so that taking it apart rounds nothing."""
    x = inputs["x"]
    chosen = (np.arange(x.size).reshape(x.shape) * 7 // 3) % 2 == 0
    parts = []
    for mask in (chosen, ~chosen):
        part = x.copy()
        part[~mask] = np.zeros((), x.dtype)
        parts.append(part)
    first, second = ({n: a for n, a in inputs.items() if n != "b"} for _ in range(2))
    return [conv2d_call(problem, {**first, "x": parts[0]}), conv2d_call(problem, {**second, "x": parts[1]})]


def _linear_sides(_: Problem, inputs: Inputs, y: Sequence[Array]) -> Sides:
    bias = numbers(inputs["b"]).reshape(-1, *(1,) * (y[0].ndim - 2)) if "b" in inputs else 0.0
    return y[0], y[1] + y[2] + bias


def _group_calls(problem: Problem, inputs: Inputs) -> list[Call]:
    geometry = _geometry(problem)
    plain, made = _with(geometry, groups=1), []
    for g in range(geometry.groups):
        parts = {"x": _slice(inputs["x"], 1, g, geometry.groups), "w": _slice(inputs["w"], 0, g, geometry.groups)}
        if "b" in inputs:
            parts["b"] = _slice(inputs["b"], 0, g, geometry.groups)
        made.append(conv2d_call(problem, parts, plain))
    return made


def _slice(array: Array, axis: int, part: int, parts: int) -> Array:
    per = array.shape[axis] // parts
    return np.ascontiguousarray(np.take(array, range(part * per, (part + 1) * per), axis))


def _dilation_calls(problem: Problem, inputs: Inputs) -> list[Call]:
    geometry, w = _geometry(problem), inputs["w"]
    stuffed = np.zeros((*w.shape[:2], *geometry.spans(w.shape[2:])), w.dtype)
    stuffed[_axes(slice(None, None, d) for d in geometry.dilation)] = w
    plain = _with(geometry.explicit(inputs["x"].shape[2:], w.shape[2:]), dilation=(1,) * geometry.rank)
    return [conv2d_call(problem, {**inputs, "w": stuffed}, plain)]


def _stride_calls(problem: Problem, inputs: Inputs) -> list[Call]:
    explicit = _geometry(problem).explicit(inputs["x"].shape[2:], inputs["w"].shape[2:])
    return [conv2d_call(problem, inputs, _with(explicit, stride=(1,) * explicit.rank))]


def _stride_sides(problem: Problem, _: Inputs, y: Sequence[Array]) -> Sides:
    steps = tuple(slice(None, None, s) for s in _geometry(problem).stride)
    seen = y[1][_axes(steps)]
    return y[0], seen[_axes(slice(0, n) for n in y[0].shape[2:])]


def _same_calls(problem: Problem, inputs: Inputs) -> list[Call]:
    return [conv2d_call(problem, inputs, _geometry(problem).explicit(inputs["x"].shape[2:], inputs["w"].shape[2:]))]


def _flip_calls(problem: Problem, inputs: Inputs) -> list[Call]:
    """Both operands reversed, on an image that carries its padding and ends where the last window ends."""
    geometry, x, w = _geometry(problem), inputs["x"], inputs["w"]
    pads, spans = geometry.pads(x.shape[2:], w.shape[2:]), geometry.spans(w.shape[2:])
    size = geometry.output_size(x.shape[2:], w.shape[2:])
    extents = [(n - 1) * s + span for n, s, span in zip(size, geometry.stride, spans, strict=True)]
    padded = np.zeros((*x.shape[:2], *(sum(p) + n for p, n in zip(pads, x.shape[2:], strict=True))), x.dtype)
    padded[_axes(slice(p[0], p[0] + n) for p, n in zip(pads, x.shape[2:], strict=True))] = x
    padded = padded[_axes(slice(0, e) for e in extents)]
    axes = tuple(range(2, x.ndim))
    flipped = {"x": np.ascontiguousarray(np.flip(padded, axes)), "w": np.ascontiguousarray(np.flip(w, axes))}
    plain = _with(geometry, padding=((0, 0),) * geometry.rank)
    return [conv2d_call(problem, {**inputs, **flipped}, plain)]


def _flip_sides(_p: Problem, _i: Inputs, y: Sequence[Array]) -> Sides:
    return y[0], np.flip(y[1], tuple(range(2, y[1].ndim)))


def _transpose_calls(problem: Problem, inputs: Inputs) -> list[Call]:
    geometry = _geometry(problem)
    pads = geometry.pads(inputs["x"].shape[2:], inputs["w"].shape[2:])
    other = {n: np.ascontiguousarray(np.swapaxes(a, -1, -2)) if n in ("x", "w") else a for n, a in inputs.items()}
    turned = Geometry(geometry.stride[::-1], pads[::-1], geometry.dilation[::-1], geometry.groups)
    return [conv2d_call(problem, other, turned)]


def _pointwise_calls(_: Problem, inputs: Inputs) -> list[Call]:
    """``(O, C) @ (C, N * space)``."""
    x, w = inputs["x"], inputs["w"]
    columns = np.ascontiguousarray(np.moveaxis(x, 1, 0).reshape(x.shape[1], -1))
    return [Call("matmul", {"a": np.ascontiguousarray(w.reshape(len(w), -1)), "b": columns}, {}, {"output": _FORWARD})]


def _pointwise_sides(_: Problem, inputs: Inputs, y: Sequence[Array]) -> Sides:
    n, channels, *space = y[0].shape
    product = np.moveaxis(y[1].reshape(channels, n, *space), 0, 1)
    return y[0], product + _bias(inputs, y[0].ndim)


def _matrix_calls(problem: Problem, inputs: Inputs) -> list[Call]:
    """Problem 3: the windows of the image, one a row, times the kernels, one a column."""
    w = inputs["w"]
    x = dtypes.widen(inputs["x"])  # as it is: neither complex numbers nor all 64-bit integers are float64
    seen = oracle.windows(x, w.shape[2:], _geometry(problem), x.dtype)
    rows = dtypes.narrow(seen.reshape(-1, w[0].size), problem.dtype)
    return [Call("matmul", {"a": rows, "b": np.ascontiguousarray(w.reshape(len(w), -1).T)}, {}, {"output": _FORWARD})]


def _matrix_sides(_: Problem, inputs: Inputs, y: Sequence[Array]) -> Sides:
    n, channels, *space = y[0].shape
    return y[0], np.moveaxis(y[1].reshape(n, *space, channels), -1, 1) + _bias(inputs, y[0].ndim)


def _bias(inputs: Inputs, axes: int) -> Any:
    return numbers(inputs["b"]).reshape(-1, *(1,) * (axes - 2)) if "b" in inputs else 0.0


def _again(**where: Any) -> Callable[[Problem, Inputs], list[Call]]:
    return lambda problem, inputs: [conv2d_call(problem, inputs, **where)]


def _first_two(_p: Problem, _i: Inputs, y: Sequence[Array]) -> Sides:
    return y[0], y[1]


def numbers(array: Array) -> Floats:
    """An output as float64 or complex128."""
    wide = dtypes.widen(array)
    return np.asarray(wide, np.complex128 if wide.dtype.kind == "c" else np.float64)


def _with(geometry: Geometry, **changes: Any) -> Geometry:
    return Geometry(**{**{name: getattr(geometry, name) for name in geometry.__dataclass_fields__}, **changes})


_FORWARD = Direction.FORWARD

RELATIONS: Mapping[str, Relation] = {
    "scale": _multiplied(FACTOR),
    "negate": _multiplied(-1.0),
    "batch_permute": Relation(
        "permuting the examples must permute the outputs",
        _changed(x=lambda x: _taken(x, 0)),
        lambda _p, _i, y: (_taken(y[0], 0), y[1]),
    ),
    "batch_split": Relation(
        "each example alone must give its part of the output",
        _split_calls,
        lambda _p, _i, y: (y[0], np.concatenate(y[1:])),
    ),
    "out_channel_permute": Relation(
        "permuting the kernels must permute the output channels",
        _out_channels,
        lambda p, _i, y: (y[0][:, _inside_groups(_outputs(p), _geometry(p).groups)], y[1]),
    ),
    "in_channel_permute": Relation(
        "permuting the channels of image and kernels together must change nothing", _in_channels, _first_two
    ),
    "linearity": Relation("the image in two parts must give the output in two parts", _linear_calls, _linear_sides),
    "groups": Relation(
        "the groups one by one must give the output together",
        _group_calls,
        lambda _p, _i, y: (y[0], np.concatenate(y[1:], axis=1)),
    ),
    "dilation": Relation(
        "the kernel with zeros between its taps must do without dilation", _dilation_calls, _first_two
    ),
    "stride": Relation("every so many-th output of stride 1 must be the strided output", _stride_calls, _stride_sides),
    "same": Relation("padding by a word must equal the same padding in counts", _same_calls, _first_two),
    "flip": Relation("image and kernel reversed must give the output reversed", _flip_calls, _flip_sides),
    "transpose": Relation(
        "corr(X.T, K.T) must equal corr(X, K).T",
        _transpose_calls,
        lambda _p, _i, y: (y[0], np.swapaxes(y[1], -1, -2)),
    ),
    "pointwise": Relation("a 1×1 kernel must equal a matrix product", _pointwise_calls, _pointwise_sides),
    "matrix": Relation("the unrolled image times the kernels must equal the output", _matrix_calls, _matrix_sides),
    "repeat": Relation("the same question asked again must have the same answer", _again(), _first_two),
    "process": Relation("a new process must give the same answer", _again(fresh=True), _first_two),
    "threads": Relation("one thread must give the same answer", _again(fresh=True, threads=1), _first_two),
}
