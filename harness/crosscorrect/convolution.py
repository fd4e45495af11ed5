"""What the keys of ``conv2d`` and ``relation`` mean together: geometry, channels, bias, gradients, a wanted error."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from crosscorrect import dtypes
from crosscorrect.descriptor import Descriptor, DescriptorError, parse
from crosscorrect.estimate import excess
from crosscorrect.geometry import Geometry
from crosscorrect.model import Direction
from crosscorrect.needs import require
from crosscorrect.parts import Parts, Shape, array, fits, gradient, lifted, misfit, set_output

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crosscorrect.sweep import Point

POSITIVE = "write one positive number, or one for each image axis"
LARGEST = 2**20
"""What a stride, a padding or a dilation may be at most; more only where an error is expected."""


def conv2d(point: Point) -> Parts:
    """The parts of a ``conv2d`` problem. Raises CaseError."""
    case = _Case(point, point.data.get("expect") == "error")
    case.measure()
    parts = case.parts
    parts.directions = tuple(Direction(d) for d in point.data.get("directions", ("forward",)))
    parts.spelling, parts.dirty = point.data.get("spelling", "native"), point.data.get("dirty", False)
    parts.verify, parts.invalid = point.data.get("verify", ""), case.expected
    forward = parts.directions == (Direction.FORWARD,)
    if parts.verify:
        _checksum(point, parts)
    if case.expected and not forward and not parts.shapes["output"]:
        directions = list(point.data["directions"])
        point.fail("no formula tells the shape of an output to differentiate", ("directions",), directions)
    if case.expected and not case.found:
        problem = "these arguments are valid, so no framework may refuse them"
        point.fail(problem, ("expect",), "error", "write the output, or leave expect out")
    if not forward:
        _gradients(point, parts)
    return parts


def _checksum(point: Point, parts: Parts) -> None:
    """Refuse a checksum where there is none."""
    if parts.directions != (Direction.FORWARD,):
        remedy = "leave directions out, or verify"
        point.fail("only the forward direction has a checksum", ("verify",), parts.verify, remedy)
    if parts.invalid:
        point.fail("there is no output to verify where an error is expected", ("verify",), parts.verify)
    if parts.geometry is not None and parts.geometry.transposed:
        point.fail("a transposed correlation has no checksum", ("verify",), parts.verify, "leave verify out")
    dtype = point.data.get("dtype", "float32")
    if dtype not in dtypes.REAL:
        kind = "a complex output" if dtype in dtypes.COMPLEX else "an integer output, which may wrap or saturate,"
        point.fail(f"{kind} has no checksum", ("verify",), parts.verify, "leave verify out")


def relation(point: Point) -> Parts:
    """The parts of a ``relation`` problem, which meet what the relation needs. Raises CaseError."""
    if "relation" not in point.data:
        point.fail("a relation needs its name", (), remedy="add relation, such as relation: batch_split")
    if "expect" in point.data:
        point.fail("a relation expects nothing but itself", ("expect",), remedy="leave expect out, or write conv2d")
    case, name = _Case(point), point.data["relation"]
    case.measure()
    parts = case.parts
    parts.spelling, parts.settings = point.data.get("spelling", "native"), {"relation": name}
    require(point, parts, name)
    if name == "adjoint":
        parts.directions = (Direction.GRAD_INPUT, Direction.GRAD_WEIGHT)
        gradient(point, parts)
    elif "dy" in point.data and point.origins.get("dy", ("",))[0] != "defaults" and "relation" not in point.swept:
        point.fail(f"the relation {name} has no output gradient", ("dy",), remedy="dy is for adjoint")
    return parts


def _gradients(point: Point, parts: Parts) -> None:
    dtype = point.data.get("dtype", "float32")
    if dtype in dtypes.INTEGER:
        point.fail("gradients need a floating dtype", ("dtype",), dtype, "write float32 or float64")
    if Direction.GRAD_BIAS in parts.directions and "b" not in parts.arrays:
        point.fail(
            "there is no bias to differentiate by", ("directions",), "grad_bias", "add b, or leave grad_bias out"
        )
    gradient(point, parts)


@dataclass(slots=True)
class _Case:
    """A case being read: what is wrong with it is refused, or, where it expects an error, ``found``."""

    point: Point
    expected: bool = False
    found: bool = False
    parts: Parts = field(default_factory=Parts)

    def wrong(self, problem: str, keys: Sequence[str | int], value: object, remedy: str = "") -> None:
        if self.expected:
            self.found = True
            return
        if self.point.data["operation"] == "conv2d":
            hint = "if a framework must refuse this, write expect: error"
            remedy = f"{remedy}; {hint}" if remedy else hint
        self.point.fail(problem, keys, value, remedy)

    def measure(self) -> None:
        """Add the arrays, the geometry and the shape of the output."""
        point, parts, described = self.point, self.parts, self.descriptor()
        shapes = (described.x_shape, described.w_shape) if described else (None, None)
        for name, wanted in zip(("x", "w"), shapes, strict=True):
            parts.arrays[name], shape = array(point, name, wanted, empty=True)
            parts.shapes[name] = lifted(shape, 4)
            if wanted is not None:
                fits(point, name, parts.shapes[name], wanted)
        x, w = parts.shapes["x"], parts.shapes["w"]
        if not 3 <= len(x) <= 5:
            problem = f"{point.data['operation']} takes an image of 2 axes, or of 3 to 5 with examples and channels"
            point.fail(problem, ("x",), list(x))
        geometry = parts.geometry = described.geometry if described else self.geometry(len(x) - 2)
        if len(w) != len(x):
            self.wrong(f"the kernel must have {len(x)} axes, as the image has", ("w",), list(w))
        else:
            if 0 in w[2:]:
                self.wrong("a kernel has one tap at least on each axis", ("w",), list(w))
            self.channels(x, w, geometry)
        self.output(x, w, geometry)
        if "b" in point.data:
            count = w[1] * geometry.groups if geometry.transposed and len(w) > 1 else w[0]
            parts.arrays["b"], parts.shapes["b"] = array(point, "b", (max(count, 0),), empty=True)
            if parts.shapes["b"] != (count,):
                self.wrong(f"the shape must be [{count}]", ("b",), list(parts.shapes["b"]))

    def descriptor(self) -> Descriptor | None:
        """What the descriptor says, which then nothing else may."""
        text = self.point.data.get("descriptor")
        if text is None:
            return None
        if "geometry" in self.point.data:
            remedy = "leave geometry or descriptor out"
            self.point.fail("the descriptor says the geometry already", ("geometry",), remedy=remedy)
        try:
            return parse(text)
        except DescriptorError as error:
            self.point.fail(str(error), ("descriptor",), text, error.remedy)

    def channels(self, x: Shape, w: Shape, geometry: Geometry) -> None:
        groups = geometry.groups
        if groups < 1:
            self.wrong("there is at least one group of channels", ("geometry", "groups"), groups)
            return
        if w[0] % groups:
            self.wrong(f"the {w[0]} channels of the kernel do not divide into groups", ("geometry", "groups"), groups)
        inner = w[0] if geometry.transposed else w[1] * groups
        if x[1] != inner:
            self.wrong(f"the image has {x[1]} channels, the kernel expects {inner}", ("w",), list(w))

    def output(self, x: Shape, w: Shape, geometry: Geometry) -> None:
        """The output's shape: by the formula, at least 0; the empty tuple where a wanted error leaves no formula."""
        if len(w) != len(x) or min(*geometry.stride, *geometry.dilation, *w[2:]) < 1:
            self.parts.shapes["output"] = ()
            return
        shape = geometry.output_shape(x, w)
        if min(shape[2:]) < 1:
            self.wrong(misfit(self.parts), ("w",), None, "pad, or use a smaller kernel")
        if self.found and excess(shape):
            self.parts.shapes["output"] = ()
            return
        set_output(self.point, self.parts, tuple(max(n, 0) for n in shape))

    def axes(self, key: str, default: int, least: int, remedy: str) -> Shape:
        """The number or numbers of a key of the geometry, one for each axis of the image, ``least`` or more."""
        rank = len(self.parts.shapes["x"]) - 2
        value = self.point.data.get("geometry", {}).get(key, default)
        values = tuple(value) if isinstance(value, list) else (value,) * rank
        if len(values) != rank:
            problem = f"this needs one number, or {rank}: one for each image axis"
            self.point.fail(problem, ("geometry", key), value)
        if min(values) < least:
            self.wrong(f"this is below {least}", ("geometry", key), value, remedy)
        if max(values) > LARGEST:
            self.wrong(f"this is above {LARGEST}", ("geometry", key), value)
        return values

    def geometry(self, rank: int) -> Geometry:
        written, point = self.point.data.get("geometry", {}), self.point
        transposed = written.get("transposed", False)
        stride, dilation = self.axes("stride", 1, 1, POSITIVE), self.axes("dilation", 1, 1, POSITIVE)
        extra = self.axes("output_padding", 0, 0, "write 0 or more")
        padding = self.padding(written.get("padding", "valid"), rank)
        if isinstance(padding, str) and transposed and padding != "valid":
            remedy = "write a list of [begin, end]"
            point.fail("this word has no single meaning when transposed", ("geometry", "padding"), padding, remedy)
        if any(extra) and not transposed:
            point.fail("only a transposed correlation has it", ("geometry", "output_padding"), list(extra))
        if any(e >= max(s, d) > 0 for e, s, d in zip(extra, stride, dilation, strict=True)):
            remedy = "keep it below the stride, or below the dilation"
            self.wrong("output_padding is too large", ("geometry", "output_padding"), list(extra), remedy)
        return Geometry(stride, padding, dilation, written.get("groups", 1), transposed, extra)

    def padding(self, value: Any, rank: int) -> str | tuple[tuple[int, int], ...]:
        if isinstance(value, str):
            return value
        written = tuple(value) if isinstance(value, list) else (value,) * rank
        if len(written) != rank:
            problem = f"this needs one number, or {rank}: one for each image axis"
            self.point.fail(problem, ("geometry", "padding"), value)
        pads = tuple((p, p) if isinstance(p, int) else (p[0], p[1]) for p in written)
        if min(map(min, pads)) < 0:
            self.wrong("padding counts zeros, from 0", ("geometry", "padding"), value, "write 0 or more")
        if max(map(max, pads)) > LARGEST:
            self.wrong(f"this is above {LARGEST}", ("geometry", "padding"), value)
        return pads
