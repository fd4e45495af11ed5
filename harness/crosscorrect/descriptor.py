"""Problem descriptors in the grammar of oneDNN's benchdnn: ``mb1ic64ih56oc64oh56kh3ph1n"resnet_50:res2a"``.

Keys with their numbers stand in any order: ``g`` groups, ``mb`` examples, ``ic`` and ``oc`` channels, and for the axes
``d``, ``h``, ``w`` the image ``i``, the output ``o``, the kernel ``k``, the stride ``s``, the padding at the beginning
``p`` and the dilation ``d``. ``_`` separates, ``n`` begins a name that runs to the end, and of a key that stands twice
the last counts. The rules are those of oneDNN's ``str2desc`` and ``sanitize_desc`` (tests/benchdnn, Apache-2.0):

- the defaults are ``g1``, ``mb2``, stride 1, dilation 0; a dilation counts the zeros between taps, so ours is one more;
- an axis that is not spoken of is as the one before it: ``h`` as ``d``, ``w`` as ``h``; of ``h`` and ``w`` beside ``d``
  both are given or none; without ``d`` the image has two axes, without ``d`` and ``h`` one;
- without ``o`` the padding is ``p``, default 0, on both sides, and the output follows;
- with ``o`` and without ``p`` the beginning gets half of the padding that leads to that output, rounded toward zero;
- the padding at the end is always what is left to get that output. Below 0 it stands for rows that no window reaches,
  as in every strided 1×1 layer, and is 0 here; a smaller output than the windows make is refused, as oneDNN does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from crosscorrect.geometry import Geometry

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

KEYS = ("g", "mb", *(f"{what}{axis}" for what in "iokspd" for axis in "dhw"), "ic", "oc")
"""The words of the grammar."""

_TOKEN = re.compile("(" + "|".join(sorted(KEYS, key=len, reverse=True)) + r")([0-9]*)")
_NAME = re.compile(r'"?(.*?)"?(?:\*([1-9][0-9]{0,8}))?"?', re.DOTALL)
_AXES = "dhw"
_MAX_DIGITS = 10


class DescriptorError(ValueError):
    """A text that is no descriptor: where in it (a position from 0; None where it is about the whole), and a remedy."""

    def __init__(self, problem: str, position: int | None = None, remedy: str = "") -> None:
        super().__init__(problem if position is None else f"{problem}, at character {position + 1}")
        self.position, self.remedy = position, remedy


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A convolution: the shapes ``(N, C, *space)`` and OIHW, its geometry with explicit padding.

    ``name`` is what the descriptor calls it, without quotes, or empty; ``count`` how often it occurs in its network.
    """

    x_shape: tuple[int, ...]
    w_shape: tuple[int, ...]
    geometry: Geometry
    name: str = ""
    count: int = 1


@dataclass(frozen=True, slots=True)
class _Axis:
    """One axis of the image, with its padding deduced."""

    size: int
    kernel: int
    stride: int
    begin: int
    end: int
    dilation: int


def parse(text: str) -> Descriptor:
    """Read a descriptor. Raises DescriptorError."""
    numbers, name, count = _tokens(text)
    groups = numbers.get("g", 1)
    for key in ("g", "ic", "oc", "sd", "sh", "sw"):
        if numbers.get(key, 0 if key in ("ic", "oc") else 1) < 1:
            raise DescriptorError(f"{key} must be at least 1", remedy=f"write {key} with a positive number")
    if numbers["ic"] % groups or numbers["oc"] % groups:
        raise DescriptorError(f"{groups} groups do not divide ic and oc", remedy="ic and oc count the channels of all")
    axes = _axes(numbers)
    return Descriptor(
        (numbers.get("mb", 2), numbers["ic"], *(axis.size for axis in axes)),
        (numbers["oc"], numbers["ic"] // groups, *(axis.kernel for axis in axes)),
        Geometry(
            stride=tuple(axis.stride for axis in axes),
            padding=tuple((axis.begin, axis.end) for axis in axes),
            dilation=tuple(axis.dilation for axis in axes),
            groups=groups,
            output_padding=(0,) * len(axes),
        ),
        name,
        count,
    )


def write(x_shape: Sequence[int], w_shape: Sequence[int], geometry: Geometry) -> str:
    """The descriptor of a correlation; ``parse`` reads the same problem from it, without padding that nothing reaches.

    Raises ValueError for what the grammar cannot say: a transposed correlation, an extent of 0 other than the examples.
    """
    if geometry.transposed:
        raise ValueError("a descriptor says no transposed correlation")
    size = geometry.output_size(x_shape[2:], w_shape[2:])
    if min(*x_shape[1:], *w_shape, *size) < 1:
        raise ValueError("a descriptor says no extent of 0")
    axes = _AXES[3 - geometry.rank :]
    pads = geometry.pads(x_shape[2:], w_shape[2:])

    def part(what: str, values: Sequence[int]) -> str:
        return "".join(f"{what}{axis}{value}" for axis, value in zip(axes, values, strict=True))

    text = f"g{geometry.groups}" if geometry.groups > 1 else ""
    text += f"mb{x_shape[0]}ic{x_shape[1]}" + part("i", x_shape[2:])
    text += f"oc{w_shape[0]}" + part("o", size) + part("k", w_shape[2:])
    text += part("s", geometry.stride) if max(geometry.stride) > 1 else ""
    text += part("p", [begin for begin, _ in pads])
    return text + (part("d", [d - 1 for d in geometry.dilation]) if max(geometry.dilation) > 1 else "")


def label(text: str) -> str:
    """What names a descriptor in a problem id: its own name, else its text up to there. Raises DescriptorError."""
    _, name, _ = _tokens(text)
    return re.sub(r"[^A-Za-z0-9_.+#-]", "-", name)[:60] or text.partition("n")[0]


def _tokens(text: str) -> tuple[dict[str, int], str, int]:
    """The numbers by key, the name and the count."""
    numbers: dict[str, int] = {}
    position = 0
    while position < len(text):
        if text[position] == "n":
            found = _NAME.fullmatch(text, position + 1)
            name, count = found.groups() if found else ("", None)
            return numbers, name, int(count or 1)
        token = _TOKEN.match(text, position)
        if token is not None:
            key, digits = token.groups()
            if not digits:
                raise DescriptorError(f"{key} needs a number, 0 or more", token.end(), "write digits after it")
            if len(digits) > _MAX_DIGITS:
                raise DescriptorError(f"the number of {key} is too large", token.start(2), "write a smaller one")
            numbers[key], position = int(digits), token.end()
        elif text[position] == "_":
            position += 1
        else:
            problem = f"no key of a descriptor begins with {text[position : position + 8]!r}"
            raise DescriptorError(problem, position, "the keys are " + ", ".join(KEYS))
    return numbers, "", 1


def _axes(numbers: Mapping[str, int]) -> list[_Axis]:
    """The axes of the image, those that are not spoken of made like the one before."""
    spoken = {axis: _axis(numbers, axis) for axis in _AXES if _mentioned(numbers, axis)}
    if not spoken:
        raise DescriptorError("there is no axis", remedy="write the image and the kernel, such as ih56kh3")
    if "d" in spoken and len(spoken) == 2:
        raise DescriptorError("beside d, h and w must both be given or neither", remedy="add the axis that is missing")
    first = _AXES.index(next(iter(spoken)))
    return [spoken.get(axis) or spoken[_AXES[first]] for axis in _AXES[first:]]


def _mentioned(numbers: Mapping[str, int], axis: str) -> bool:
    """Whether an axis is spoken of; its stride 1, padding 0 and dilation 0 alone say nothing."""
    zeros = (numbers.get(what + axis, 0) for what in "iokdp")
    return any(zeros) or numbers.get("s" + axis, 1) != 1


def _axis(numbers: Mapping[str, int], axis: str) -> _Axis:
    size, kernel, output = (numbers.get(what + axis, 0) for what in "iko")
    stride, between, begin = numbers.get("s" + axis, 1), numbers.get("d" + axis, 0), numbers.get("p" + axis)
    for what, value in (("i", size), ("k", kernel)):
        if not value:
            raise DescriptorError(
                f"{what}{axis} must be at least 1", remedy=f"write {what}{axis} with a positive number"
            )
    span = (kernel - 1) * (between + 1) + 1
    if not output:
        begin = begin or 0
        # toward zero: a kernel that sticks out by less than a stride has one output, with padding for it at the end
        output = _quotient(size - span + 2 * begin, stride) + 1
        if output < 1:
            raise DescriptorError(f"k{axis} does not fit into the padded i{axis}", remedy=f"raise p{axis}")
    total = (output - 1) * stride - size + span
    if begin is None:
        begin = _quotient(total, 2)
    if begin < 0:
        problem = f"o{axis}{output} on i{axis}{size} would need padding below 0 at the beginning"
        raise DescriptorError(problem, remedy=f"write p{axis}0, or leave o{axis} out")
    end = max(total - begin, 0)
    if (size + begin + end - span) // stride + 1 != output:
        problem = f"o{axis}{output} is less than the windows on i{axis}{size} make"
        raise DescriptorError(problem, remedy=f"leave o{axis} out to have it deduced")
    return _Axis(size, kernel, stride, begin, end, between + 1)


def _quotient(dividend: int, divisor: int) -> int:
    """Rounded toward zero, as C divides."""
    return dividend // divisor if dividend >= 0 else -(-dividend // divisor)
