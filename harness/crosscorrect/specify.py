"""From a case at one point of its sweep to a problem: what its keys mean together, checked before arrays are built."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

from crosscorrect import estimate
from crosscorrect.convolution import conv2d, relation
from crosscorrect.model import Direction
from crosscorrect.parts import Parts, array, fits, gradient, lifted, misfit, set_output
from crosscorrect.problem import Problem
from crosscorrect.values import ArrayError, measure

if TYPE_CHECKING:
    from crosscorrect.sweep import Point

_ID = re.compile(r"[A-Za-z0-9_.+=,@#/-]{1,200}")
_OPERATION_KEYS = {
    "b": ("layer", "conv2d", "relation", "train"),
    "dy": ("conv2d", "relation", "differentiate"),
    "directions": ("conv2d",),
    "geometry": ("conv2d", "relation"),
    "descriptor": ("conv2d", "relation"),
    "spelling": ("conv2d", "relation"),
    "relation": ("relation",),
    "verify": ("conv2d",),
    "dirty": ("conv2d",),
    "train": ("train",),
    "form": ("matrix",),
    "loop": ("differentiate",),
}
_ASKS = ("dy", "directions", "spelling", "relation", "verify", "dirty", "train", "form", "loop")
"""Keys that say what is asked, not what is computed: a sweep over operations may have them for some of these."""


def specify(suite: str, point: Point) -> Problem:
    """The problem at a point of a sweep. Raises CaseError where its keys do not fit together."""
    data = point.data
    _check_keys(point)
    operation, dtype = data["operation"], data.get("dtype", "float32")
    problem_id = f"{suite}/{data['id']}{point.suffix}"
    if not _ID.fullmatch(problem_id):
        point.fail("the problem id is longer than 200 characters", ("id",), problem_id, "shorten the id or the labels")
    limit = float(data.get("limit", 120.0))
    for keys, number in (("limit",), limit), (("train", "lr"), data.get("train", {}).get("lr", 1.0)):
        if not math.isfinite(number):  # the schema's ranges let NaN pass, and one of them infinity
            point.fail("this is not finite", keys, number, "write a number above 0")
    parts = _PARTS[operation](point)
    estimate.check(point, parts)
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
        level=data.get("level", "ci"),
        spelling=parts.spelling,
        url=data.get("url", ""),
        invalid=parts.invalid,
        verify=parts.verify,
        dirty=parts.dirty,
        file=point.document.path,
        line=point.document.line(point.path),
    )


def _check_keys(point: Point) -> None:
    data = point.data
    for key in ("operation", "x", "w"):
        if key not in data:
            point.fail(f"the key {key} is missing", (), remedy=f"add {key}, to the case, its sweep or the defaults")
    operation, dtype = data["operation"], data.get("dtype", "float32")
    for key, takers in _OPERATION_KEYS.items():
        if key not in data or operation in takers:
            continue
        ignored = key in _ASKS and "operation" in point.swept
        # a default is offered to every case; only what a case says itself must mean something there
        offered = point.origins.get(key, ("",))[0] == "defaults" and key in _ASKS
        if not ignored and not offered:
            point.fail(f"{operation} does not take {key}", (key,), remedy=f"{key} is for " + ", ".join(takers))
    if dtype not in ("float16", "float32", "float64") and operation in ("train", "differentiate"):
        remedy = "write float16, float32 or float64"
        point.fail(f"{operation} needs a floating dtype that NumPy has", ("dtype",), dtype, remedy)
    if data.get("expect") == "error" and operation not in ("conv2d", "relation"):
        point.fail(f"{operation} cannot expect an error", ("expect",), "error", "only conv2d can")


def _pair(point: Point) -> Parts:
    """The two-dimensional image and kernel of everything but conv2d."""
    parts = Parts()
    for name in ("x", "w"):
        parts.arrays[name], parts.shapes[name] = array(point, name)
        if len(parts.shapes[name]) != 2:
            point.fail(f"{point.data['operation']} takes two axes here", (name,), list(parts.shapes[name]))
    _shrunk(point, parts)
    return parts


def _shrunk(point: Point, parts: Parts) -> None:
    """The chapter's output: H - h + 1 by W - w + 1."""
    x, w = parts.shapes["x"], parts.shapes["w"]
    shape = (*x[:-2], x[-2] - w[-2] + 1, x[-1] - w[-1] + 1)
    if min(shape) < 1:
        point.fail(misfit(parts), ("w",), remedy="pad, or use a smaller kernel")
    set_output(point, parts, shape)


def _layer(point: Point) -> Parts:
    parts = _pair(point)
    parts.arrays["b"], parts.shapes["b"] = [0], (1,)
    if "b" in point.data:
        parts.arrays["b"], parts.shapes["b"] = array(point, "b", (1,))
        fits(point, "b", parts.shapes["b"], (1,))
    return parts


def _matrix(point: Point) -> Parts:
    parts, form = _pair(point), point.data.get("form", "unrolled")
    rows = math.prod(parts.shapes["output"])
    parts.settings = {"form": form}
    parts.shapes["output"] = (rows, 1)
    return parts


def _differentiate(point: Point) -> Parts:
    parts = _pair(point)
    gradient(point, parts)
    parts.settings = {"loop": point.data.get("loop", "literal")}
    parts.directions = (Direction.GRAD_INPUT, Direction.GRAD_WEIGHT)
    return parts


def _train(point: Point) -> Parts:
    settings = point.data.get("train", {})
    for key in ("lr", "steps", "start"):
        if key not in settings:
            point.fail(f"training needs {key}", ("train",), remedy=f"add {key} to train")
    layer = settings.get("layer", "builtin")
    axes = 4 if layer == "builtin" else 2
    parts = Parts(directions=(Direction.TRAIN,))
    for name in ("x", "w"):
        parts.arrays[name], shape = array(point, name)
        parts.shapes[name] = lifted(shape, axes)
        if len(parts.shapes[name]) != axes:
            point.fail(f"the {layer} layer takes {'2 or 4 axes' if axes == 4 else '2 axes'} here", (name,), list(shape))
    x, w = parts.shapes["x"], parts.shapes["w"]
    if axes == 4 and (x[1] != 1 or w[:2] != (1, 1)):
        point.fail("training takes one channel", ("x" if x[1] != 1 else "w",), list(x if x[1] != 1 else w))
    _shrunk(point, parts)
    own = settings["start"] == "own"
    wanted = [("b", "b", (1,), "b" in point.data), ("start", "train.start", w, not own)]
    wanted += [("bias", "train.bias", (1,), "bias" in settings)]
    wanted += [("y", "train.target", parts.shapes["output"], "target" in settings)]
    for name, key, shape, given in wanted:
        if given:
            parts.arrays[name], written = array(point, key, shape)
            fits(point, key, lifted(written, len(shape)), shape)
            parts.shapes[name] = shape
    for name, key, _, given in [("x", "x", (), True), ("w", "w", (), True), *wanted]:
        puts = parts.arrays[name].get("put", ()) if given and isinstance(parts.arrays[name], dict) else ()
        if any(entry["value"] in ("nan", "inf", "-inf") for entry in puts):
            point.fail("training takes finite numbers", (*key.split("."), "put"), puts, "put finite values")
    parts.settings = {"lr": float(settings["lr"]), "steps": settings["steps"], "layer": layer, "start_own": own}
    return parts


def _expect(point: Point, parts: Parts) -> dict[str, Any] | None:
    """What the case expects, lifted to the output's axes."""
    written = point.data.get("expect")
    if written is None or parts.invalid:
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
    fits(point, "expect", lifted(shape, len(output)), output)
    return {"output": [[written]] if len(shape) < len(output) else written}


def _expected_words(point: Point, parts: Parts, words: dict[str, Any]) -> dict[str, Any] | None:
    if "shape" in words:
        output = parts.shapes["output"]
        fits(point, "expect.shape", lifted(tuple(words["shape"]), len(output)), output)
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
    "conv2d": conv2d,
    "relation": relation,
    "matrix": _matrix,
    "train": _train,
    "differentiate": _differentiate,
}
