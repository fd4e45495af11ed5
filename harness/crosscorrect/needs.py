"""What each relation needs of a problem to say anything: told when the case is read, not when it is judged."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn, cast

from crosscorrect import dtypes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from crosscorrect.geometry import Geometry
    from crosscorrect.parts import Parts
    from crosscorrect.sweep import Point


def require(point: Point, parts: Parts, name: str) -> None:
    """Raise CaseError where the relation of this name has nothing to say about these arrays and this geometry."""
    RELATIONS[name](_Need(point, parts, name))


class _Need:
    """One relation's view of a problem: the sizes it asks about, and how it refuses."""

    def __init__(self, point: Point, parts: Parts, name: str) -> None:
        self.point, self.name = point, name
        self.geometry = cast("Geometry", parts.geometry)
        self.x, self.w, self.output = parts.shapes["x"], parts.shapes["w"], parts.shapes["output"]
        self.dtype = point.data.get("dtype", "float32")

    def fail(self, what: str, keys: tuple[str, ...], value: object) -> NoReturn:
        remedy = "change this, or choose another relation"
        self.point.fail(f"the relation {self.name} needs {what}", keys, value, remedy)

    def floating(self) -> None:
        if self.dtype in dtypes.INTEGER:
            self.fail("a floating dtype: a scaled integer may overflow", ("dtype",), self.dtype)

    def signed(self) -> None:
        if self.dtype.startswith("u"):
            self.fail("a signed dtype", ("dtype",), self.dtype)

    def real(self) -> None:
        if self.dtype not in dtypes.REAL:
            self.fail("a real floating dtype", ("dtype",), self.dtype)

    def examples(self) -> None:
        if self.x[0] < 2:
            self.fail("two examples at least", ("x",), list(self.x))

    def out_channels(self) -> None:
        self.plain()
        if self.output[1] < 2 * self.geometry.groups:
            self.fail("two output channels at least in each group", ("w",), list(self.w))

    def in_channels(self) -> None:
        self.plain()
        if self.x[1] < 2 * self.geometry.groups:
            self.fail("two input channels at least in each group", ("x",), list(self.x))

    def groups(self) -> None:
        if self.geometry.groups < 2:
            self.fail("geometry.groups of 2 or more", ("geometry", "groups"), self.geometry.groups)

    def dilation(self) -> None:
        if not any(d > 1 and k > 1 for d, k in zip(self.geometry.dilation, self.w[2:], strict=True)):
            what = "a dilation above 1 on an axis where the kernel has two taps"
            self.fail(what, ("geometry", "dilation"), list(self.geometry.dilation))
        extra = self.geometry.output_padding
        if any(e >= s for e, s in zip(extra, self.geometry.stride, strict=True) if e):
            # the kernel with zeros has dilation 1, and output_padding must stay below the larger of the two
            self.fail("output_padding below the stride", ("geometry", "output_padding"), list(extra))

    def stride(self) -> None:
        self.plain()
        if max(self.geometry.stride) < 2:
            self.fail("a stride above 1", ("geometry", "stride"), list(self.geometry.stride))

    def same(self) -> None:
        if self.geometry.padding not in ("same_upper", "same_lower"):
            self.fail("padding same_upper or same_lower", ("geometry", "padding"), self.geometry.padding)

    def plain(self) -> None:
        if self.geometry.transposed:
            self.fail("a correlation that is not transposed", ("geometry", "transposed"), True)

    def planar(self) -> None:
        self.plain()
        if self.geometry.rank != 2:
            self.fail("two image axes", ("x",), list(self.x))

    def single(self) -> None:
        self.plain()
        if self.geometry.groups > 1:
            self.fail("one group", ("geometry", "groups"), self.geometry.groups)

    def pointwise(self) -> None:
        self.single()
        if max(self.w[2:]) > 1:
            self.fail("a kernel of one tap on each axis", ("w",), list(self.w))
        if any(map(any, self.geometry.pads(self.x[2:], self.w[2:]))):
            self.fail("no padding", ("geometry", "padding"), self.geometry.padding)
        if max(self.geometry.stride) > 1:
            self.fail("stride 1", ("geometry", "stride"), list(self.geometry.stride))

    def nothing(self) -> None:
        """Any problem will do."""


RELATIONS: Mapping[str, Callable[[_Need], None]] = {
    "scale": _Need.floating,
    "negate": _Need.signed,
    "batch_permute": _Need.examples,
    "batch_split": _Need.examples,
    "out_channel_permute": _Need.out_channels,
    "in_channel_permute": _Need.in_channels,
    "linearity": _Need.nothing,
    "groups": _Need.groups,
    "dilation": _Need.dilation,
    "stride": _Need.stride,
    "same": _Need.same,
    "flip": _Need.plain,
    "transpose": _Need.planar,
    "pointwise": _Need.pointwise,
    "matrix": _Need.single,
    "adjoint": _Need.real,
    "repeat": _Need.nothing,
    "process": _Need.nothing,
    "threads": _Need.nothing,
}
"""The relations a case may name, in the words of docs/cases.md, and the check of what each needs."""
