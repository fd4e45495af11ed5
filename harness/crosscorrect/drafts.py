"""A random correct problem as a few numbers: drawn from a seed and an index, written as the case that says it.

The draw is a function of seed, index and dtype alone: its words are those of a counter-based generator
(``fills.stream_key``), and what follows is integer arithmetic, so it is the same on every machine.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from crosscorrect import dtypes, fills
from crosscorrect.geometry import Geometry

if TYPE_CHECKING:
    from collections.abc import Sequence

SUITE = "hunt"
MACS = 200_000
"""The most multiplications of one forward pass: small problems reach as many corners of a library as large ones."""
GRADIENTS = ("grad_input", "grad_weight", "grad_bias")

_LARGEST = {1: 48, 2: 14, 3: 7}  # extents of an image, by the number of its axes
# oneDNN, MKL, Eigen and XLA choose their kernels by channel counts: one less, as many and one more than a vector
_FEW, _SOME, _MANY = (1, 2, 3, 4), (5, 6, 7, 8, 9, 12), (15, 16, 17, 24, 31, 32, 33, 40)
_BATCHES = (1, 1, 1, 2, 2, 2, 3, 4, 5, 8, 9, 16, 17)
_KERNELS = (1, 1, 2, 2, 3, 3, 3, 3, 4, 5, 7)
_SPELLINGS = ("apart", "channels_last", "channels_first", "recorded", "module")
_POWERS = {"float16": (1, 2), "complex64": (5, 20)}


@dataclass(frozen=True, slots=True)
class Axis:
    """One image axis: its extent, the kernel's, and how the kernel moves along it; ``extra`` is output padding."""

    image: int
    kernel: int
    stride: int = 1
    dilation: int = 1
    begin: int = 0
    end: int = 0
    extra: int = 0


@dataclass(frozen=True, slots=True)
class Draft:
    """A ``conv2d`` problem. ``inner`` and ``outer`` are the channels of one group that go in and come out.

    ``word`` is a padding word, or empty where the axes say the padding. ``data`` maps ``x``, ``w``, and, where there
    is a bias and a gradient, ``b`` and ``dy`` to a fill without its shape.
    """

    axes: tuple[Axis, ...]
    batch: int = 1
    groups: int = 1
    inner: int = 1
    outer: int = 1
    transposed: bool = False
    word: str = ""
    dtype: str = "float32"
    directions: tuple[str, ...] = ("forward",)
    spelling: str = "native"
    data: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def geometry(self) -> Geometry:
        """How the kernel moves."""
        axes = self.axes
        return Geometry(
            tuple(a.stride for a in axes),
            self.word or tuple((a.begin, a.end) for a in axes),
            tuple(a.dilation for a in axes),
            self.groups,
            self.transposed,
            tuple(a.extra for a in axes),
        )

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shapes of ``x``, ``w`` and the output."""
        images, kernels = tuple(a.image for a in self.axes), tuple(a.kernel for a in self.axes)
        x, wide, narrow = (self.batch, self.groups * self.inner, *images), self.groups * self.outer, self.inner
        w = (self.groups * self.inner, self.outer, *kernels) if self.transposed else (wide, narrow, *kernels)
        return {"x": x, "w": w, "output": (self.batch, wide, *self.geometry.output_size(images, kernels))}

    @property
    def macs(self) -> int:
        """The multiplications of a forward pass, those with padding too."""
        shapes = self.shapes
        coarse = shapes["x"] if self.transposed else shapes["output"]
        return self.batch * math.prod(coarse[2:]) * math.prod(shapes["w"])

    @property
    def possible(self) -> bool:
        """Whether there is such a problem: the kernel fits everywhere, and output padding has a meaning."""
        axes = self.axes
        return min(self.shapes["output"]) >= 1 and all(a.extra < max(a.stride, a.dilation) for a in axes)

    @property
    def features(self) -> frozenset[str]:
        """What is not plain about it, in words: what failures are told apart by."""
        axes = self.axes
        found = {f"{len(axes)} axes", self.word, self.spelling} - {"", "valid", "native", "2 axes"}
        said = {
            "transposed": self.transposed,
            "stride": any(a.stride > 1 for a in axes),
            "dilation": any(a.dilation > 1 for a in axes),
            "padding": not self.word and any(a.begin or a.end for a in axes),
            "uneven padding": not self.word and any(a.begin != a.end for a in axes),
            "output padding": any(a.extra for a in axes),
            "groups": self.groups > 1,
            "depthwise": self.groups > 1 and self.inner == 1,
            "several examples": self.batch > 1,
            "several input channels": self.inner * self.groups > 1,
            "several output channels": self.outer * self.groups > 1,
            "bias": "b" in self.data,
        }
        return frozenset(found | {name for name, holds in said.items() if holds})

    def case(self, name: str, **more: Any) -> dict[str, Any]:
        """The case of this problem, by the keys of docs/cases.md; what is plain is left out."""
        shapes = self.shapes
        case: dict[str, Any] = {"id": name, **more, "operation": "conv2d", "dtype": self.dtype}
        case["directions"] = list(self.directions)
        case.update({key: {**spec, "shape": list(shapes[key])} for key, spec in self.data.items() if key in "xw"})
        case.update({key: dict(spec) for key, spec in self.data.items() if key not in "xw"})
        geometry = self.geometry
        said: dict[str, Any] = {
            "stride": _short(geometry.stride, 1),
            "padding": self.word or _pads(self.axes),
            "dilation": _short(geometry.dilation, 1),
            "groups": self.groups if self.groups > 1 else None,
            "transposed": True if self.transposed else None,
            "output_padding": _short(geometry.output_padding, 0),
        }
        said = {key: value for key, value in said.items() if value is not None}
        case |= {"geometry": said} if said else {}
        return case | ({} if self.spelling == "native" else {"spelling": self.spelling})

    def __str__(self) -> str:
        """One line for people."""
        x, w = ("×".join(map(str, self.shapes[name])) for name in "xw")
        return f"x {x}, w {w}{''.join(f', {word}' for word in sorted(self.features) if 'several' not in word)}"


def _short(values: Sequence[int], plain: int) -> int | list[int] | None:
    """One number where all axes have it, none where that is the plain one."""
    if len(set(values)) > 1:
        return list(values)
    return None if values[0] == plain else values[0]


def _pads(axes: Sequence[Axis]) -> int | list[int] | list[list[int]] | None:
    if any(a.begin != a.end for a in axes):
        return [[a.begin, a.end] for a in axes]
    return _short([a.begin for a in axes], 0)


class Dice:
    """Random integers from the counter-based generator of a key, by multiply-shift as in ``fills.integers``."""

    def __init__(self, key: np.ndarray[Any, Any]) -> None:
        self._philox = np.random.Philox(key=key)

    def below(self, count: int) -> int:
        """An integer from 0 to ``count`` - 1."""
        return (int(self._philox.random_raw()) >> 32) * count >> 32

    def between(self, low: int, high: int) -> int:
        """An integer from ``low`` to ``high``, both included."""
        return low + self.below(high - low + 1)

    def chance(self, percent: int) -> bool:
        """True so many times in a hundred."""
        return self.below(100) < percent

    def of(self, choices: Sequence[Any]) -> Any:
        """One of these."""
        return choices[self.below(len(choices))]


def draw(seed: int, index: int, dtype: str) -> Draft:
    """Problem ``index`` of the search ``seed`` in a dtype: the same each time it is asked for."""
    dice = Dice(fills.stream_key(f"{SUITE}/{seed}-{index}", dtype))
    rank = dice.of((1, 1, 2, 2, 2, 2, 2, 3, 3, 3))
    transposed = dice.chance(25)
    word = "" if transposed else dice.of(("", "", "", "valid", "same_upper", "same_lower"))
    even, padded = dice.chance(35), not word and dice.chance(70)
    # half of the problems have no stride and most no dilation: the paths that libraries care most about
    strides, dilations = dice.of(((1,), (1, 2, 2, 3, 4))), dice.of(((1,), (1,), (1, 2, 3)))
    pads = (4 if padded else 0, even)
    axes = tuple(_axis(dice, rank, strides, dilations, pads, transposed=transposed) for _ in range(rank))
    groups, inner, outer = _channels(dice)
    if dice.chance(30):  # thin ones, with outputs one wide: libraries have paths of their own for single channels
        axes = tuple(replace(axis, image=dice.between(1, 4)) for axis in axes)
        groups, inner, outer = 1, dice.of((1, 1, 1, 2)), dice.of((1, 1, 2, 3, 4, 8))
    bias, asked = dice.chance(60), dice.chance(35) and dtype not in dtypes.INTEGER
    directions = ("forward", *(GRADIENTS if bias else GRADIENTS[:2])) if asked else ("forward",)
    draft = Draft(axes, dice.of(_BATCHES), groups, inner, outer, transposed, word, dtype, directions)
    draft = _fitted(draft)
    return replace(draft, data=_data(dice, draft, bias))


def spelt(seed: int, index: int, dtype: str) -> str:
    """In which other spelling the problem is to be asked too: one time in four there is one, else this is empty."""
    dice = Dice(fills.stream_key(f"{SUITE}/{seed}-{index}", f"{dtype} spelling"))
    return str(dice.of(_SPELLINGS)) if dice.chance(25) else ""


def _axis(
    dice: Dice,
    rank: int,
    strides: Sequence[int],
    dilations: Sequence[int],
    pads: tuple[int, bool],
    *,
    transposed: bool,
) -> Axis:
    """One axis; ``pads`` is the most padding, which never exceeds the kernel's span, and whether both sides agree."""
    kernel = dice.of(_KERNELS if rank < 3 else _KERNELS[:9])
    stride, dilation = dice.of(strides), dice.of(dilations)
    most = min(dilation * (kernel - 1) + 1, pads[0])
    begin, other = dice.between(0, most), dice.between(0, most)
    extra = dice.below(max(stride, dilation)) if transposed and dice.chance(50) else 0
    return Axis(dice.between(1, _LARGEST[rank]), kernel, stride, dilation, begin, begin if pads[1] else other, extra)


def _channels(dice: Dice) -> tuple[int, int, int]:
    """Groups, and how many channels go into and come out of each."""

    def count() -> int:
        return int(dice.of(dice.of((_FEW, _FEW, _SOME, _MANY))))

    kind = dice.below(20)
    if kind < 12:
        return 1, count(), count()
    if kind < 16:  # depthwise, with its multiplier
        return max(count(), 2), 1, dice.of((1, 1, 2, 3))
    groups = dice.of((2, 2, 3, 4, 5, 8))
    return groups, min(count(), 40 // groups), min(count(), 40 // groups)


def _fitted(draft: Draft) -> Draft:
    """The draft with images large enough for its kernel, and then small enough for the budget.

    What is cut first is the number of examples, then the image, then channels.
    """
    for place in range(len(draft.axes)):
        while min(draft.shapes["output"][2 + place : 3 + place]) < 1:
            draft = _image(draft, place, draft.axes[place].image + 1)
    while draft.macs > MACS:
        images = [a.image for a in draft.axes]
        place = images.index(max(images))
        smaller = _image(draft, place, max(2 * images[place] // 3, 1))
        if draft.batch > 2:
            draft = replace(draft, batch=draft.batch // 2)
        elif smaller.axes != draft.axes and smaller.possible:
            draft = smaller
        elif draft.outer >= max(draft.inner, 2):
            draft = replace(draft, outer=draft.outer // 2)
        elif draft.inner > 1:
            draft = replace(draft, inner=draft.inner // 2)
        elif draft.groups > 1:
            draft = replace(draft, groups=draft.groups // 2)
        else:
            draft = replace(draft, axes=tuple(replace(a, kernel=max(a.kernel - 1, 1)) for a in draft.axes))
            draft = draft if draft.possible else _fitted(draft)
    return draft


def _image(draft: Draft, place: int, extent: int) -> Draft:
    axes = list(draft.axes)
    axes[place] = replace(axes[place], image=extent)
    return replace(draft, axes=tuple(axes))


def _data(dice: Dice, draft: Draft, bias: bool) -> dict[str, dict[str, Any]]:
    """Which numbers: exact integers, random ones, of one sign, of adversarial scales, or an impulse in one operand."""
    dtype = draft.dtype
    regime = dice.of(("integers", "integers", "normal", "normal", "normal", "uniform", "wide", "wide", "impulse"))
    plain: dict[str, Any] = {"fill": "normal" if regime == "impulse" else regime}
    if dtype in dtypes.INTEGER:
        regime, plain = "integers", {"fill": "integers", "low": 0 if dtype.startswith("u") else -4, "high": 4}
    if regime == "wide":
        plain["powers"] = dice.of(_POWERS.get(dtype, (5, 20, 30)))
    names = ["x", "w", *(["b"] if bias else []), *(["dy"] if len(draft.directions) > 1 else [])]
    data = {name: dict(plain) for name in names}
    if regime == "impulse":
        # on all axes but the first, so that each output copies one number
        data["w"] = {"fill": "impulse", "at": [dice.below(extent) for extent in draft.shapes["w"][1:]]}
    return data
