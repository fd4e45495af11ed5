"""From a case at one point of its sweep to a problem: what its keys mean together, checked before arrays are built."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from crosscorrect.geometry import Geometry
from crosscorrect.inputs import MAX_ELEMENTS, ArrayError, measure, shape_of
from crosscorrect.model import Direction
from crosscorrect.problem import Problem

if TYPE_CHECKING:
    from crosscorrect.sweep import Point

Shape = tuple[int, ...]

_ID = re.compile(r"[A-Za-z0-9_.+=,@#/-]{1,200}")
_OPERATION_KEYS = {
    "b": ("layer", "conv2d", "train"),
    "dy": ("conv2d", "differentiate"),
    "directions": ("conv2d",),
    "geometry": ("conv2d",),
    "train": ("train",),
    "form": ("matrix",),
    "loop": ("differentiate",),
}
_ASKS = ("dy", "directions", "train", "form", "loop")
"""Keys that say what is asked, not what is computed: a sweep over operations may have them for some of these."""


def specify(suite: str, point: Point) -> Problem:
    """The problem at a point of a sweep. Raises CaseError where its keys do not fit together."""
    data = point.data
    for key in ("operation", "x", "w"):
        if key not in data:
            point.fail(f"the key {key} is missing", (), remedy=f"add {key}, to the case, its sweep or the defaults")
    operation, dtype = data["operation"], data.get("dtype", "float32")
    for key, takers in _OPERATION_KEYS.items():
        ignored = key in _ASKS and "operation" in point.swept
        # a default is offered to every case; only what a case says itself must mean something there
        offered = point.origins.get(key, ("",))[0] == "defaults" and key in _ASKS
        if key in data and operation not in takers and not ignored and not offered:
            point.fail(f"{operation} does not take {key}", (key,), remedy=f"{key} is for " + ", ".join(takers))
    if dtype[0] != "f" and operation in ("train", "differentiate"):
        point.fail(f"{operation} needs a floating dtype", ("dtype",), dtype, "write float32 or float64")
    problem_id = f"{suite}/{data['id']}{point.suffix}"
    if not _ID.fullmatch(problem_id):
        point.fail("the problem id is longer than 200 characters", ("id",), problem_id, "shorten the id or the labels")
    limit = float(data.get("limit", 120.0))
    if not math.isfinite(limit):  # the schema's range lets NaN pass
        point.fail("this is no number of seconds", ("limit",), limit, "write seconds, at most 86400")
    parts = _PARTS[operation](point)
    return Problem(
        id=problem_id,
        suite=suite,
        case=data["id"],
        source=data.get("source", ""),
        title=data.get("title", ""),
        note=data.get("note", ""),
        operation=operation,
        dtype=dtype,
        directions=parts.directions,
        arrays=parts.arrays,
        shapes=parts.shapes,
        geometry=parts.geometry,
        settings=parts.settings,
        expect=_expect(point, parts),
        only=tuple(data.get("only", ())),
        modes=tuple(data.get("modes", ())),
        isolate=data.get("isolate", False),
        limit=limit,
        show=data.get("show", False),
        file=point.document.path,
        line=point.document.line(point.path),
    )


@dataclass(slots=True)
class _Parts:
    """What an operation makes of a case: array specifications, their shapes and the output's, and the rest."""

    arrays: dict[str, Any]
    shapes: dict[str, Shape]
    directions: tuple[Direction, ...] = (Direction.FORWARD,)
    geometry: Geometry | None = None
    settings: dict[str, Any] = field(default_factory=dict)


def _array(point: Point, key: str, default: Shape | None = None) -> tuple[Any, Shape]:
    """The specification at a key, complete with its shape, and that shape; ``train.start`` reaches inside."""
    spec: Any = point.data
    for name in key.split("."):
        spec = spec[name]
    if isinstance(spec, (int, float)):  # a bias of one number
        spec = [spec]
    keys = tuple(key.split("."))
    try:
        shape = shape_of(spec, point.document.path.parent, default)
    except ArrayError as error:
        point.fail(error.problem, (*keys, *error.key), error.value, error.remedy)
    if isinstance(spec, dict) and "fill" in spec and "shape" not in spec and default is not None:
        spec = {**spec, "shape": list(default)}
    return spec, shape


def _fits(point: Point, key: str, shape: Shape, wanted: Shape) -> None:
    if shape != wanted:
        point.fail(f"the shape must be {list(wanted)}", tuple(key.split(".")), list(shape))


def _pair(point: Point) -> _Parts:
    """The two-dimensional image and kernel of everything but conv2d."""
    parts = _Parts({}, {})
    for name in ("x", "w"):
        parts.arrays[name], parts.shapes[name] = _array(point, name)
        if len(parts.shapes[name]) != 2:
            point.fail(f"{point.data['operation']} takes two axes here", (name,), list(parts.shapes[name]))
    _output(point, parts, tuple(n - k + 1 for n, k in zip(parts.shapes["x"], parts.shapes["w"], strict=True)))
    return parts


def _output(point: Point, parts: _Parts, shape: Shape) -> None:
    if min(shape) < 1:
        image, kernel = list(parts.shapes["x"]), list(parts.shapes["w"])
        point.fail(
            f"the kernel {kernel} does not fit into the image {image}", ("w",), remedy="pad, or use a smaller kernel"
        )
    if math.prod(shape) > MAX_ELEMENTS:
        point.fail(f"the output would have more than {MAX_ELEMENTS} elements", ("x",), list(shape))
    parts.shapes["output"] = shape


def _layer(point: Point) -> _Parts:
    parts = _pair(point)
    parts.arrays["b"], parts.shapes["b"] = [0], (1,)
    if "b" in point.data:
        parts.arrays["b"], parts.shapes["b"] = _array(point, "b", (1,))
        _fits(point, "b", parts.shapes["b"], (1,))
    return parts


def _matrix(point: Point) -> _Parts:
    parts, form = _pair(point), point.data.get("form", "unrolled")
    rows = math.prod(parts.shapes["output"])
    if rows * math.prod(parts.shapes["w" if form == "unrolled" else "x"]) > MAX_ELEMENTS:
        point.fail(f"the {form} matrix would have more than {MAX_ELEMENTS} elements", ("x",), list(parts.shapes["x"]))
    parts.settings = {"form": form}
    parts.shapes["output"] = (rows, 1)
    return parts


def _gradient(point: Point, parts: _Parts) -> None:
    """Add ``dy``: as given, or small integers."""
    shape = parts.shapes["output"]
    if "dy" not in point.data:
        parts.arrays["dy"] = {"fill": "integers", "low": -4, "high": 4, "shape": list(shape)}
    else:
        parts.arrays["dy"], given = _array(point, "dy", shape)
        _fits(point, "dy", _lifted(given, len(shape)), shape)
    parts.shapes["dy"] = shape


def _differentiate(point: Point) -> _Parts:
    parts = _pair(point)
    _gradient(point, parts)
    parts.settings = {"loop": point.data.get("loop", "literal")}
    parts.directions = (Direction.GRAD_INPUT, Direction.GRAD_WEIGHT)
    return parts


def _lifted(shape: Shape, axes: int) -> Shape:
    """A two-dimensional shape as one example and one channel, where four axes are asked for."""
    return (1, 1, *shape) if len(shape) == 2 and axes == 4 else shape


def _conv2d(point: Point) -> _Parts:
    parts = _Parts({}, {})
    for name in ("x", "w"):
        parts.arrays[name], shape = _array(point, name)
        parts.shapes[name] = _lifted(shape, 4)
    x, w = parts.shapes["x"], parts.shapes["w"]
    if not 3 <= len(x) <= 5:
        point.fail("conv2d takes an image of 2 axes, or of 3 to 5 with examples and channels", ("x",), list(x))
    if len(w) != len(x):
        point.fail(f"the kernel must have {len(x)} axes, as the image has", ("w",), list(w))
    geometry = parts.geometry = _geometry(point, len(x) - 2)
    inner = w[0] if geometry.transposed else w[1] * geometry.groups
    if w[0] % geometry.groups:
        point.fail(
            f"the {w[0]} channels of the kernel do not divide into groups", ("geometry", "groups"), geometry.groups
        )
    if x[1] != inner:
        point.fail(f"the image has {x[1]} channels, the kernel expects {inner}", ("w",), list(w))
    _output(point, parts, geometry.output_shape(x, w))
    if "b" in point.data:
        channels = (parts.shapes["output"][1],)
        parts.arrays["b"], parts.shapes["b"] = _array(point, "b", channels)
        _fits(point, "b", parts.shapes["b"], channels)
    parts.directions = tuple(Direction(d) for d in point.data.get("directions", ("forward",)))
    if set(parts.directions) - {Direction.FORWARD}:
        if point.data.get("dtype", "float32")[0] != "f":
            point.fail("gradients need a floating dtype", ("dtype",), point.data["dtype"], "write float32 or float64")
        if Direction.GRAD_BIAS in parts.directions and "b" not in parts.arrays:
            point.fail(
                "there is no bias to differentiate by", ("directions",), "grad_bias", "add b, or leave grad_bias out"
            )
        _gradient(point, parts)
    return parts


def _geometry(point: Point, rank: int) -> Geometry:
    written = point.data.get("geometry", {})

    def axes(key: str, default: int) -> Shape:
        value = written.get(key, default)
        values = tuple(value) if isinstance(value, list) else (value,) * rank
        if len(values) != rank:
            point.fail(f"this needs one number, or {rank}: one for each image axis", ("geometry", key), value)
        return values

    transposed, extra = written.get("transposed", False), axes("output_padding", 0)
    stride, dilation = axes("stride", 1), axes("dilation", 1)
    padding = written.get("padding", "valid")
    if not isinstance(padding, str):
        padding = tuple((p, p) if isinstance(p, int) else (p[0], p[1]) for p in axes("padding", 0))
    elif transposed and padding != "valid":
        remedy = "write a list of [begin, end]"
        point.fail("this word has no single meaning when transposed", ("geometry", "padding"), padding, remedy)
    if any(extra) and not transposed:
        point.fail("only a transposed correlation has it", ("geometry", "output_padding"), list(extra))
    if any(e >= max(s, d) for e, s, d in zip(extra, stride, dilation, strict=True)):
        remedy = "keep it below the stride, or below the dilation"
        point.fail("output_padding is too large", ("geometry", "output_padding"), list(extra), remedy)
    return Geometry(stride, padding, dilation, written.get("groups", 1), transposed, extra)


def _train(point: Point) -> _Parts:
    settings = point.data.get("train", {})
    for key in ("lr", "steps", "start"):
        if key not in settings:
            point.fail(f"training needs {key}", ("train",), remedy=f"add {key} to train")
    layer = settings.get("layer", "builtin")
    axes = 4 if layer == "builtin" else 2
    parts = _Parts({}, {}, (Direction.TRAIN,))
    for name in ("x", "w"):
        parts.arrays[name], shape = _array(point, name)
        parts.shapes[name] = _lifted(shape, axes)
        if len(parts.shapes[name]) != axes:
            point.fail(f"the {layer} layer takes {'2 or 4 axes' if axes == 4 else '2 axes'} here", (name,), list(shape))
    x, w = parts.shapes["x"], parts.shapes["w"]
    if axes == 4 and (x[1] != 1 or w[:2] != (1, 1)):
        point.fail("training takes one channel", ("x" if x[1] != 1 else "w",), list(x if x[1] != 1 else w))
    _output(point, parts, (*x[:-2], x[-2] - w[-2] + 1, x[-1] - w[-1] + 1))
    own = settings["start"] == "own"
    wanted = [("b", "b", (1,), "b" in point.data), ("start", "train.start", w, not own)]
    wanted += [("bias", "train.bias", (1,), "bias" in settings)]
    wanted += [("y", "train.target", parts.shapes["output"], "target" in settings)]
    for name, key, shape, given in wanted:
        if given:
            parts.arrays[name], written = _array(point, key, shape)
            _fits(point, key, _lifted(written, len(shape)), shape)
            parts.shapes[name] = shape
    parts.settings = {"lr": float(settings["lr"]), "steps": settings["steps"], "layer": layer, "start_own": own}
    return parts


def _expect(point: Point, parts: _Parts) -> dict[str, Any] | None:
    """What the case expects, lifted to the output's axes."""
    written = point.data.get("expect")
    if written is None:
        return None
    operation, output = point.data["operation"], parts.shapes["output"]
    words = ("losses", "weight") if operation == "train" else ("shape",)
    if not {Direction.FORWARD, Direction.TRAIN} & set(parts.directions):
        point.fail("expect is about the output, and this case asks for gradients only", ("expect",))
    if isinstance(written, dict):
        for key in written:
            if key not in (*words, "label"):
                point.fail(f"{operation} cannot expect this", ("expect", key), remedy="expect " + " or ".join(words))
        return _expected_words(point, parts, {key: written[key] for key in words if key in written})
    if operation == "train":
        point.fail("training expects losses and weight", ("expect",), remedy='write {losses: {2: "4.949"}}')
    try:
        shape = measure(written)
    except ArrayError as error:
        point.fail(error.problem, ("expect", *error.key), error.value, error.remedy)
    if operation == "matrix" and math.prod(shape) == output[0] and len(shape) == 2:
        return {"output": [[value] for row in written for value in row]}
    _fits(point, "expect", _lifted(shape, len(output)), output)
    return {"output": [[written]] if len(shape) < len(output) else written}


def _expected_words(point: Point, parts: _Parts, words: dict[str, Any]) -> dict[str, Any] | None:
    if "shape" in words:
        output = parts.shapes["output"]
        _fits(point, "expect.shape", _lifted(tuple(words["shape"]), len(output)), output)
        words["shape"] = list(output)
    if "losses" in words:
        steps = point.data["train"]["steps"]
        words["losses"] = {int(step): digits for step, digits in words["losses"].items()}
        late = next((step for step in words["losses"] if step > steps), None)
        if late is not None:
            point.fail(f"training ends after step {steps}", ("expect", "losses", str(late)))
    if "weight" in words and len(words["weight"]) != math.prod(parts.shapes["w"]):
        point.fail(f"the kernel has {math.prod(parts.shapes['w'])} elements", ("expect", "weight"), words["weight"])
    return words or None


_PARTS = {
    "corr2d": _pair,
    "layer": _layer,
    "conv2d": _conv2d,
    "matrix": _matrix,
    "train": _train,
    "differentiate": _differentiate,
}
