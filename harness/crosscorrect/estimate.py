"""What a problem would take of memory and of work, told before anything is built: the one place that estimates either.

A case file of one line can ask for more than any machine has. The caps are on what the *controller* would need for one
problem: its inputs, what is derived from them, and the reference. What a framework needs is its worker's affair, which
has limits of its own.

The estimates are upper bounds of the right size, not predictions: the bytes per element are peaks that were measured
(``tests/test_hostile_shapes.py`` measures them again), the blocks are those of ``slides``.
"""

from __future__ import annotations

from functools import lru_cache
from math import gcd, prod
from typing import TYPE_CHECKING, NamedTuple

from crosscorrect import dtypes
from crosscorrect.geometry import Geometry
from crosscorrect.model import Direction

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from crosscorrect.parts import Parts, Shape
    from crosscorrect.sweep import Point

MEMORY = 2**31
"""The most bytes of one problem: the largest that ships takes 1.2e9, and five lanes at once fit a common machine."""

OPERATIONS = 2**37
"""The most multiplications of one problem's reference: minutes at most. The largest that ships takes 1 in 40."""

_COLUMNS, _LEAST = 2**21, 64  # of ``slides``
_CALL_BYTES, _CALL = 2**11, 2**20  # one more question to the worker: its objects, and about a millisecond
_LOOP = 2**14  # one turn of the chapter's double loop in Python
_PHASE = 2**17  # what one more map costs, however small
_STEP = 2**7  # per window and tap in one step of training: passes over arrays that fit no cache
_SLOT = 400  # bytes of one number of a training history: in three arrays and as a number of Python's


class Cost(NamedTuple):
    """Per dtype: bytes per element of an input and of a result with its judgement, columns per column, work."""

    input: int
    result: int
    room: int
    work: int


_PLAIN = Cost(64, 200, 2, 1)
_COSTS = {
    "float64": Cost(140, 220, 16, 4),
    "complex64": Cost(100, 260, 2, 4),
    "complex128": Cost(260, 380, 16, 12),
    "int64": Cost(120, 420, 8, 8),
    "uint64": Cost(120, 420, 8, 8),
}


class Need(NamedTuple):
    """One thing that takes memory: its name for a person, its bytes, and the key that makes it as large as it is."""

    what: str
    size: int
    keys: tuple[str, ...]


class Sum(NamedTuple):
    """One sliding sum as ``slides`` makes it: elements of the framed operand, a block, the result; work."""

    frame: int
    columns: int
    result: int
    work: int


def excess(shape: Sequence[int]) -> str:
    """How much too large an array of this shape is, in words; empty where it is not.

    Every number is once a float64. An axis without elements counts as one of one: NumPy multiplies the others.
    """
    size = 8 * _count(shape)
    return f"would take {in_words(size)}; a problem may take {in_words(MEMORY)}" if size > MEMORY else ""


def check(point: Point, parts: Parts) -> None:
    """Raise CaseError where a problem would take more memory or more work than one may."""
    needs = list(_needs(point, parts))
    total = sum(need.size for need in needs)
    if total > MEMORY:
        largest = max(needs, key=lambda need: need.size)
        alone = largest.size > MEMORY
        what = largest.what if alone else f"the problem (most of all {largest.what})"
        told = f"{what} would take {in_words(largest.size if alone else total)}; a problem may take {in_words(MEMORY)}"
        hint = ", or write verify: checksum" if largest.what == "the reference" and _verifiable(point, parts) else ""
        point.fail(told, largest.keys, remedy=f"make the arrays, or what pads or dilates them, smaller{hint}")
    work = _work(point, parts)
    if work > OPERATIONS:
        told = f"the reference would take {work:.1e} multiplications; a problem may take {OPERATIONS:.1e}"
        training = point.data["operation"] == "train"
        keys, remedy = (
            (("train", "steps"), "train for fewer steps") if training else (("w",), "make the arrays smaller")
        )
        point.fail(told, keys, remedy=remedy)


def in_words(size: int) -> str:
    """A number of bytes for a person: ``2 GiB``, ``4.4 TiB``."""
    for power, unit in enumerate(("bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")):
        if size < 1024 ** (power + 1):
            return f"{size / 1024**power:.4g} {unit}"
    return "more than any machine has"


def _verifiable(point: Point, parts: Parts) -> bool:
    """Whether the output could be verified by its checksum, which needs less."""
    plain = parts.geometry is not None and not parts.geometry.transposed and parts.directions == (Direction.FORWARD,)
    real = point.data.get("dtype", "float32") in dtypes.REAL
    return point.data["operation"] == "conv2d" and plain and real and not parts.verify


def _needs(point: Point, parts: Parts) -> Iterator[Need]:
    operation, shapes = point.data["operation"], parts.shapes
    dtype = point.data.get("dtype", "float32")
    cost, item = _COSTS.get(dtype, _PLAIN), dtypes.of(dtype).itemsize
    for name, shape in shapes.items():
        if name != "output":
            yield Need(name, cost.input * _count(shape), _KEYS.get(name, (name,)))
    if parts.invalid:
        return
    if operation == "train":
        yield from _trained(shapes, parts.settings["steps"])
    elif operation == "matrix":
        columns = _count(shapes["w" if parts.settings["form"] == "unrolled" else "x"])
        size = 3 * item * _count(shapes["output"]) * columns
        yield Need(f"the {parts.settings['form']} matrix", size, ("x",))
    elif operation == "relation":
        yield from _related(parts, cost, item)
    for what, found in _sums(point, parts):
        checked = parts.verify and 64 * _count(shapes["output"])
        yield Need(f"the padded image of {what}", 8 * found.frame, ("geometry",))
        yield Need(f"a block of {what}", 8 * cost.room * found.columns, ("w",))
        yield Need(what, cost.result * found.result + int(checked or 0), ("x",))


def _work(point: Point, parts: Parts) -> int:
    operation, shapes = point.data["operation"], parts.shapes
    if parts.invalid:
        return 0
    weight = _COSTS.get(point.data.get("dtype", "float32"), _PLAIN).work
    work = sum(weight * found.work for _, found in _sums(point, parts))
    turns, taps = _count(shapes["output"]), _count(shapes["w"])
    if operation in ("corr2d", "layer", "differentiate"):
        return work + _LOOP * turns
    if operation == "matrix":
        return work + (_LOOP * taps if parts.settings["form"] == "toeplitz" else 0)
    if operation == "train":
        steps: int = parts.settings["steps"]
        loops = _LOOP * turns if parts.settings["layer"] == "custom" else 0
        return work + steps * (steps * taps**2 // 2 + _STEP * turns * taps + 4 * taps**3 + _PHASE + loops)
    if operation == "relation":
        return work + _CALL * _calls(parts)
    return work


def _sums(point: Point, parts: Parts) -> tuple[tuple[str, Sum], ...]:
    """Every sliding sum of a reference, with its name."""
    operation, shapes, geometry = point.data["operation"], parts.shapes, parts.geometry
    directions = (*parts.directions, Direction.FORWARD) if operation == "relation" else parts.directions
    if geometry is None:  # training begins with the target
        directions = (Direction.FORWARD,) if operation == "train" else directions
        return _summed(shapes["x"], shapes["w"], (), None, directions)
    w = shapes["w"]
    if parts.verify == "checksum":  # one channel of output per group
        w = (geometry.groups, *w[1:])
    return _summed(shapes["x"], w, shapes["output"], geometry, directions)


@lru_cache(maxsize=256)
def _summed(
    x: Shape, w: Shape, y: Shape, geometry: Geometry | None, directions: tuple[Direction, ...]
) -> tuple[tuple[str, Sum], ...]:
    """Without a geometry ``y`` is the chapter's output; the points of a sweep mostly have the same shapes."""
    if geometry is None:
        geometry = Geometry((1, 1), ((0, 0), (0, 0)))
        x, w = ((shape[0] if len(shape) == 4 else 1, 1, *shape[-2:]) for shape in (x, w))
        y = (x[0], 1, *geometry.output_size(x[2:], w[2:]))
    geometry = geometry.explicit(x[2:], w[2:])
    # without examples or channels nothing is summed, and what is counted once for all of them is counted still
    x, w, y = (tuple(max(n, 1) for n in shape) for shape in (x, w, y))
    transposed, found = geometry.transposed, []
    if Direction.FORWARD in directions:
        forward = _adjoint(x, w, y[2:], geometry) if transposed else _correlation(x, w, y[2:], geometry)
        found.append(("the reference", forward))
    if Direction.GRAD_INPUT in directions or Direction.GRAD_WEIGHT in directions:
        back = _correlation(y, w, x[2:], geometry) if transposed else _adjoint(y, w, x[2:], geometry)
        found.append(("the gradient of the image", back))
        sides = (y, x) if transposed else (x, y)
        found.append(("the gradient of the kernel", _kernel_gradient(sides[0], w, sides[1], geometry)))
    return tuple(found)


def _correlation(x: Shape, w: Shape, size: Shape, geometry: Geometry) -> Sum:
    """``(N, C, *space), (O, C / groups, *kernel) -> (N, O, *size)``."""
    extents = _extents(size, w[2:], geometry.stride, geometry.dilation)
    frame, result = x[0] * x[1] * prod(extents), x[0] * w[0] * prod(size)
    columns = _block(max(x[1] * prod(w[2:]), w[0]), size, x[0])
    return Sum(frame, columns, result, result * w[1] * prod(w[2:]) + _PHASE)


def _adjoint(y: Shape, w: Shape, image: Shape, geometry: Geometry) -> Sum:
    """``(N, O, *space), (O, C / groups, *kernel) -> (N, C, *image)``, phase by phase."""
    steps = [s // gcd(s, d) for s, d in zip(geometry.stride, geometry.dilation, strict=True)]
    spreads = [d // gcd(s, d) for s, d in zip(geometry.stride, geometry.dilation, strict=True)]
    phases = prod(min(step, k) for step, k in zip(steps, w[2:], strict=True))
    taps = [-(-k // step) for k, step in zip(w[2:], steps, strict=True)]
    size = tuple(-(-n // s) for n, s in zip(image, geometry.stride, strict=True))
    frame = y[0] * y[1] * prod(_extents(size, taps, (1,) * len(size), spreads))
    result = y[0] * w[1] * geometry.groups * prod(image)
    columns = _block(max(y[1] * prod(taps), w[1] * geometry.groups), size, y[0])
    each = y[0] * w[0] * w[1] * prod(size) * prod(taps)
    return Sum(frame, columns, result, phases * (each + _PHASE))


def _kernel_gradient(x: Shape, w: Shape, y: Shape, geometry: Geometry) -> Sum:
    """``(N, C, *space), (N, O, *output) -> (O, C / groups, *kernel)``: the output is the kernel that slides."""
    extents = _extents(w[2:], y[2:], geometry.dilation, geometry.stride)
    columns = _block(max(geometry.groups * y[0] * prod(y[2:]), y[1]), w[2:], w[1])
    return Sum(x[0] * x[1] * prod(extents), columns, prod(w), prod(w) * y[0] * prod(y[2:]) + _PHASE)


def _extents(size: Sequence[int], kernel: Sequence[int], steps: Sequence[int], spreads: Sequence[int]) -> list[int]:
    axes = zip(size, kernel, steps, spreads, strict=True)
    return [(max(o, 1) - 1) * s + (max(k, 1) - 1) * d + 1 for o, k, s, d in axes]


def _block(taps: int, size: Sequence[int], examples: int) -> int:
    """The elements unrolled at once: a row of the result at least, and no more than all."""
    return min(taps * prod(size) * examples, max(_COLUMNS, _LEAST * taps, taps * prod(size[1:])))


def _trained(shapes: Mapping[str, Shape], steps: int) -> Iterator[Need]:
    taps, rows = _count(shapes["w"]) + 1, _count(shapes["output"])
    yield Need("the windows of the image", 64 * rows * taps, ("w",))
    yield Need("the powers of a training step", 16 * steps * taps**2, ("train", "steps"))
    yield Need("the history of the training", _SLOT * steps * taps, ("train", "steps"))


def _related(parts: Parts, cost: Cost, item: int) -> Iterator[Need]:
    """What the further questions of a relation and their answers take."""
    name, geometry, shapes = parts.settings["relation"], parts.geometry, parts.shapes
    assert geometry is not None  # noqa: S101  a relation has a geometry
    x, w, y = shapes["x"], shapes["w"], shapes["output"]
    again = cost.input * (_count(x) + _count(w))
    if name == "dilation":
        stuffed = w[0] * w[1] * prod(geometry.spans(w[2:]))
        yield Need("the kernel with zeros between its taps", 2 * item * stuffed, ("geometry", "dilation"))
    elif name == "flip":
        padded = [n + sum(pads) for n, pads in zip(x[2:], geometry.pads(x[2:], w[2:]), strict=True)]
        yield Need("the image with its padding", 3 * item * x[0] * x[1] * prod(padded), ("geometry", "padding"))
    elif name == "matrix":
        windows = y[0] * prod(y[2:]) * x[1] * prod(w[2:])
        yield Need("the unrolled image", (16 + 2 * item) * windows, ("x",))
    elif name == "stride":
        pads = geometry.pads(x[2:], w[2:])
        size = [n + sum(p) - span + 1 for n, p, span in zip(x[2:], pads, geometry.spans(w[2:]), strict=True)]
        yield Need("the output of stride 1", (16 + item) * y[0] * y[1] * prod(size), ("geometry",))
    yield Need("the other questions", again + _CALL_BYTES * _calls(parts), ("x",))
    yield Need("the answers", 3 * cost.result * _count(y) // 2, ("x",))


def _calls(parts: Parts) -> int:
    name = parts.settings["relation"]
    if name == "batch_split":
        return parts.shapes["x"][0]
    return parts.geometry.groups if name == "groups" and parts.geometry is not None else 2


def _count(shape: Sequence[int]) -> int:
    return prod(max(extent, 1) for extent in shape)


_KEYS = {"y": ("train", "target"), "start": ("train", "start"), "bias": ("train", "bias")}
