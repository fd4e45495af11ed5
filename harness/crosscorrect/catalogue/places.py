"""Geometry misread: stride, padding, dilation, and the content of the padding."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from crosscorrect.catalogue.change import Change, Map, Setting
from crosscorrect.catalogue.entry import Register

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from crosscorrect.oracle import Array

REGISTER = Register()
semantic = REGISTER.semantic


# ---------------------------------------------------------------- stride


@semantic("swapped-stride", "the strides of the axes are swapped (height and width)")
def swapped_stride(s: Setting) -> Iterator[Change]:
    yield from (s.other(stride=v) for v in _orders(s.geometry.stride))


@semantic("stride-ignored", "the stride is ignored")
def stride_ignored(s: Setting) -> Iterator[Change]:
    if any(n > 1 for n in s.geometry.stride):
        yield s.other(stride=(1,) * s.rank)


@semantic("stride-of-one-axis-for-all", "the stride of one axis is used for all")
def one_stride(s: Setting) -> Iterator[Change]:
    yield from (s.other(stride=(n,) * s.rank) for n in _others(s.geometry.stride))


@semantic("stride-on-one-axis-only", "the stride is used on one axis and ignored on the others")
def lone_stride(s: Setting) -> Iterator[Change]:
    yield from (s.other(stride=v) for v in _lone(s.geometry.stride, 1))


@semantic("stride-phase", "the stride begins at another element: every output is computed one or more elements later")
def stride_phase(s: Setting) -> Iterator[Change]:
    if any(n > 1 for n in s.geometry.stride):
        yield _shifted(s, tuple(min(1, n - 1) for n in s.geometry.stride))
        for phases in product(*(range(n) for n in s.geometry.stride)):
            yield _shifted(s, phases)


@semantic(
    "stride-from-the-end", "the stride counts from the end of the image, so that what is left over is at its beginning"
)
def stride_from_the_end(s: Setting) -> Iterator[Change]:
    if not s.geometry.transposed and any(n > 1 for n in s.geometry.stride):
        spans = s.geometry.spans(s.w[2:])
        rests = [
            (n + sum(p) - k) % step for n, p, k, step in zip(s.x[2:], s.pads, spans, s.geometry.stride, strict=True)
        ]
        yield _shifted(s, tuple(rests))


@semantic("stride-and-dilation-exchanged", "stride and dilation have changed places")
def stride_and_dilation(s: Setting) -> Iterator[Change]:
    yield s.other(stride=s.geometry.dilation, dilation=s.geometry.stride)


@semantic("stride-off-by-one", "the stride is one too large or too small")
def stride_off_by_one(s: Setting) -> Iterator[Change]:
    for d in (1, -1):
        steps = tuple(max(n + d, 1) for n in s.geometry.stride)
        yield s.other(stride=steps)


# ---------------------------------------------------------------- dilation


@semantic("swapped-dilation", "the dilations of the axes are swapped (height and width)")
def swapped_dilation(s: Setting) -> Iterator[Change]:
    yield from (s.other(dilation=v) for v in _orders(s.geometry.dilation))


@semantic("dilation-ignored", "the dilation is ignored")
def dilation_ignored(s: Setting) -> Iterator[Change]:
    if any(n > 1 for n in s.geometry.dilation):
        yield s.other(dilation=(1,) * s.rank)
        yield _kept_size(s, (1,) * s.rank)


@semantic(
    "dilation-too-large",
    "the dilation is one too large: a convention that counts the gaps, read as one that counts steps",
)
def dilation_too_large(s: Setting) -> Iterator[Change]:
    larger = tuple(n + 1 for n in s.geometry.dilation)
    yield s.other(dilation=larger)
    yield _kept_size(s, larger)


@semantic(
    "dilation-too-small",
    "the dilation is one too small: a convention that counts steps, read as one that counts the gaps",
)
def dilation_too_small(s: Setting) -> Iterator[Change]:
    if any(n > 2 for n in s.geometry.dilation) or any(n > 1 for n in s.geometry.dilation):
        smaller = tuple(max(n - 1, 1) for n in s.geometry.dilation)
        yield s.other(dilation=smaller)
        yield _kept_size(s, smaller)


@semantic("dilation-of-one-axis-for-all", "the dilation of one axis is used for all")
def one_dilation(s: Setting) -> Iterator[Change]:
    yield from (s.other(dilation=(n,) * s.rank) for n in _others(s.geometry.dilation))


@semantic("dilation-on-one-axis-only", "the dilation is used on one axis and ignored on the others")
def lone_dilation(s: Setting) -> Iterator[Change]:
    yield from (s.other(dilation=v) for v in _lone(s.geometry.dilation, 1))


@semantic("dilation-of-the-image", "the dilation is applied to the image instead of the kernel")
def dilated_image(s: Setting) -> Iterator[Change]:
    if any(n > 1 for n in s.geometry.dilation):
        steps = s.geometry.dilation

        def stuffed(x: Array) -> Array:
            wide = np.zeros(
                (*x.shape[:2], *((n - 1) * d + 1 for n, d in zip(x.shape[2:], steps, strict=True))), x.dtype
            )
            place: Any = (..., *(slice(None, None, d) for d in steps))
            wide[place] = x
            return wide

        yield Change(s.other(dilation=(1,) * s.rank).geometry, x=Map(stuffed))


# ---------------------------------------------------------------- padding


@semantic("swapped-padding-sides", "the padding of the beginning and of the end are swapped")
def swapped_sides(s: Setting) -> Iterator[Change]:
    sentence = ""
    if s.word in ("same_upper", "same_lower"):
        other = "same_lower" if s.word == "same_upper" else "same_upper"
        sentence = f"equals the reference with {other} padding: the odd zero of SAME is on the other side"
    swapped = s.padded(*((e, b) for b, e in s.pads)).geometry
    yield Change(swapped, sentence=sentence)
    if s.rank > 1:
        for axis in range(s.rank):
            yield s.padded(*((e, b) if i == axis else (b, e) for i, (b, e) in enumerate(s.pads)))


@semantic("swapped-padding-axes", "the padding of the axes is swapped (height and width)")
def swapped_padding(s: Setting) -> Iterator[Change]:
    yield from (s.padded(*v) for v in _orders(s.pads))


@semantic(
    "padding-order",
    "the list of paddings is read in another order: beginnings and ends as pairs, or pairs as beginnings and ends",
)
def padding_order(s: Setting) -> Iterator[Change]:
    if s.rank > 1:
        pairs = [n for pair in s.pads for n in pair]
        by_side = [b for b, _ in s.pads] + [e for _, e in s.pads]
        yield s.padded(*zip(by_side[::2], by_side[1::2], strict=True))
        yield s.padded(*zip(pairs[: s.rank], pairs[s.rank :], strict=True))
        yield s.padded(*((b, e) for e, b in reversed(s.pads)))


@semantic("padding-ignored", "the padding is ignored")
def padding_ignored(s: Setting) -> Iterator[Change]:
    if _padding(s):
        yield s.padded(*((0, 0),) * s.rank)


@semantic("padding-at-the-beginning-only", "only the padding at the beginning is applied")
def padding_begin(s: Setting) -> Iterator[Change]:
    yield s.padded(*((b, 0) for b, _ in s.pads))


@semantic("padding-at-the-end-only", "only the padding at the end is applied")
def padding_end(s: Setting) -> Iterator[Change]:
    yield s.padded(*((0, e) for _, e in s.pads))


@semantic("padding-all-at-one-side", "all the padding of an axis is at one of its sides")
def padding_one_side(s: Setting) -> Iterator[Change]:
    yield s.padded(*((0, b + e) for b, e in s.pads))
    yield s.padded(*((b + e, 0) for b, e in s.pads))


@semantic("padding-of-one-side-for-both", "the padding of one side is used for both sides")
def padding_mirrored(s: Setting) -> Iterator[Change]:
    yield s.padded(*((b, b) for b, _ in s.pads))
    yield s.padded(*((e, e) for _, e in s.pads))


@semantic("padding-made-symmetric", "the padding is spread evenly over both sides")
def padding_even(s: Setting) -> Iterator[Change]:
    totals = [b + e for b, e in s.pads]
    yield s.padded(*((t // 2, t - t // 2) for t in totals))
    yield s.padded(*((t - t // 2, t // 2) for t in totals))


@semantic("padding-of-one-axis-for-all", "the padding of one axis is used for all")
def one_padding(s: Setting) -> Iterator[Change]:
    yield from (s.padded(*(p,) * s.rank) for p in _others(s.pads))


@semantic("padding-on-one-axis-only", "the padding of one axis only is applied")
def lone_padding(s: Setting) -> Iterator[Change]:
    yield from (s.padded(*v) for v in _lone(s.pads, (0, 0)))


@semantic("padding-doubled", "the padding is applied twice")
def padding_doubled(s: Setting) -> Iterator[Change]:
    if _padding(s):
        yield s.padded(*((2 * b, 2 * e) for b, e in s.pads))


@semantic("padding-off-by-one", "the padding of a side is one too large or too small, so the output has another size")
def padding_off(s: Setting) -> Iterator[Change]:
    for db, de in ((1, 0), (0, 1), (-1, 0), (0, -1), (1, 1), (-1, -1)):
        yield s.padded(*((b + db, e + de) for b, e in s.pads))
        if s.rank > 1:
            for axis in range(s.rank):
                yield s.padded(*((b + db, e + de) if i == axis else (b, e) for i, (b, e) in enumerate(s.pads)))


@semantic(
    "output-size-rounded-up",
    "the size of the output is rounded up where the stride does not divide: one row or column too many",
)
def rounded_up(s: Setting) -> Iterator[Change]:
    if not s.geometry.transposed and any(n > 1 for n in s.geometry.stride):
        yield s.padded(*((b, e + n - 1) for (b, e), n in zip(s.pads, s.geometry.stride, strict=True)))


@semantic("shifted-image", "the image is read one element too early or too late")
def shifted_image(s: Setting) -> Iterator[Change]:
    lines = [tuple(int(i == axis) for i in range(s.rank)) for axis in range(s.rank)]
    for shift in ((1,) * s.rank, *(lines if s.rank > 1 else ())):
        for sign in (1, -1):
            yield _shifted(s, tuple(sign * n for n in shift))


@semantic(
    "same-padding-by-another-rule",
    "SAME padding by another rule: without the stride, without the dilation, or half the kernel on each side",
)
def same_rules(s: Setting) -> Iterator[Change]:
    if s.word not in ("same_upper", "same_lower"):
        return
    spans, kernel = s.geometry.spans(s.w[2:]), s.w[2:]
    for extents in (spans, kernel):
        halves = [((n - 1) // 2, n - 1 - (n - 1) // 2) for n in extents]
        yield s.padded(*halves)
        yield s.padded(*((e, b) for b, e in halves))
        yield s.padded(*((n // 2, n // 2) for n in extents))
    totals = [
        max((-(-n // step) - 1) * step + k - n, 0)
        for n, step, k in zip(s.x[2:], s.geometry.stride, kernel, strict=True)
    ]
    yield s.padded(*((t // 2, t - t // 2) for t in totals))
    yield s.padded(*((t - t // 2, t // 2) for t in totals))


def _filled(s: Setting, mode: str, **options: Any) -> Iterator[Change]:
    """Padding with other content: the padded image, and no padding left for the geometry."""
    if s.geometry.transposed or not _padding(s):
        return
    widths = [(0, 0), (0, 0), *s.pads]
    small = mode in ("reflect", "wrap", "symmetric")
    reach = 1 if mode == "reflect" else 0
    if small and any(max(p) > n - reach for p, n in zip(s.pads, s.x[2:], strict=True)):
        return  # deeper than the image: NumPy repeats there, frameworks refuse
    filled = Map(lambda x: np.pad(x, widths, mode, **options))  # type: ignore[call-overload]
    yield Change(s.padded(*((0, 0),) * s.rank).geometry, x=filled)


@semantic("edge-padding", "the border is padded with copies of the nearest pixel instead of zeros")
def edge_padding(s: Setting) -> Iterator[Change]:
    yield from _filled(s, "edge")


@semantic("reflect-padding", "the border is padded with the mirrored image instead of zeros")
def reflect_padding(s: Setting) -> Iterator[Change]:
    yield from _filled(s, "reflect")
    yield from _filled(s, "symmetric")


@semantic("circular-padding", "the border is padded with the opposite side of the image instead of zeros")
def circular_padding(s: Setting) -> Iterator[Change]:
    yield from _filled(s, "wrap")


@semantic("constant-padding", "the border is padded with a constant that is not zero")
def constant_padding(s: Setting) -> Iterator[Change]:
    for value in (1, -1, 128, 255, 127):
        for change in _filled(s, "constant", constant_values=value):
            inside = tuple(slice(b, b + n) for (b, _), n in zip(s.pads, s.x[2:], strict=True))
            crop: Callable[[Array, Array], Array] = lambda _, y, inside=inside: y[(..., *inside)]  # type: ignore[misc] # noqa: E731
            yield Change(change.geometry, x=Map(change.x.rearrange, back=crop))


@semantic("padded-windows-skipped", "windows that reach into the padding are left out: their outputs are zero")
def border_skipped(s: Setting) -> Iterator[Change]:
    if s.geometry.transposed or not _padding(s):
        return
    spans = s.geometry.spans(s.w[2:])
    inside = []
    for n, (b, _), k, step, size in zip(s.x[2:], s.pads, spans, s.geometry.stride, s.output[2:], strict=True):
        first = np.arange(size) * step - b
        inside.append((first >= 0) & (first + k <= n))
    mask = np.ones((), bool)
    for line in inside:
        mask = np.multiply.outer(mask, line)
    yield s.change(result=lambda y: np.where(mask, y, np.zeros((), y.dtype)) if y.shape[2:] == mask.shape else y)


# ---------------------------------------------------------------- transposed


@semantic("output-padding-ignored", "the output padding is ignored")
def output_padding_ignored(s: Setting) -> Iterator[Change]:
    if s.geometry.transposed and any(s.geometry.output_padding):
        yield s.other(output_padding=(0,) * s.rank)


@semantic("output-padding-at-the-beginning", "the output padding is added at the beginning instead of the end")
def output_padding_begin(s: Setting) -> Iterator[Change]:
    if s.geometry.transposed and any(s.geometry.output_padding):
        extra = s.geometry.output_padding
        pads = tuple((b - n, e) for (b, e), n in zip(s.pads, extra, strict=True))
        yield s.other(padding=pads, output_padding=(0,) * s.rank)


@semantic(
    "output-padding-not-computed",
    "the rows and columns of the output padding are zeros: what the kernel puts there is lost",
)
def output_padding_zero(s: Setting) -> Iterator[Change]:
    if s.geometry.transposed and any(s.geometry.output_padding):
        extra = s.geometry.output_padding

        def cut(y: Array) -> Array:
            y = y.copy()
            for axis, n in enumerate(extra):
                if n:
                    y[(slice(None),) * (2 + axis) + (slice(-n, None),)] = 0
            return y

        yield s.change(result=cut)


@semantic("swapped-output-padding", "the output padding of the axes is swapped")
def output_padding_swapped(s: Setting) -> Iterator[Change]:
    if s.geometry.transposed:
        yield from (s.other(output_padding=v) for v in _orders(s.geometry.output_padding))


@semantic("transposed-padding-added", "the padding is added to the full output instead of taken off")
def transposed_padding_added(s: Setting) -> Iterator[Change]:
    if s.geometry.transposed and _padding(s):
        yield s.padded(*((-b, -e) for b, e in s.pads))


@semantic(
    "transposed-padding-of-the-stuffed-image",
    "the padding is read as that of the image with zeros stuffed in, not as what is taken off the full output",
)
def transposed_padding_stuffed(s: Setting) -> Iterator[Change]:
    if s.geometry.transposed:
        spans = s.geometry.spans(s.w[2:])
        yield s.padded(*((k - 1 - b, k - 1 - e) for (b, e), k in zip(s.pads, spans, strict=True)))


def _padding(s: Setting) -> bool:
    return any(n for pair in s.pads for n in pair)


def _shifted(s: Setting, shift: tuple[int, ...]) -> Change:
    """Every output computed from windows that lie ``shift`` elements later."""
    sign = -1 if s.geometry.transposed else 1
    return s.padded(*((b - sign * n, e + sign * n) for (b, e), n in zip(s.pads, shift, strict=True)))


def _kept_size(s: Setting, dilation: tuple[int, ...]) -> Change:
    """Another dilation, and the padding at the end such that the output keeps its size."""
    before, after = s.geometry.spans(s.w[2:]), s.other(dilation=dilation).geometry.spans(s.w[2:])
    pads = tuple((b, e + a - k) for (b, e), k, a in zip(s.pads, before, after, strict=True))
    return s.other(dilation=dilation, padding=pads)


def _orders(values: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    """The last two swapped, and all reversed, where that is another order."""
    seen = {values}
    for order in ((*values[:-2], *values[:-3:-1]), values[::-1], (*values[1:], values[0]), (values[-1], *values[:-1])):
        if len(values) > 1 and order not in seen:
            seen.add(order)
            yield order


def _others(values: tuple[Any, ...]) -> list[Any]:
    """The values, each once, where there are several: the one that could be used for all axes."""
    distinct = list(dict.fromkeys(values))
    return distinct if len(distinct) > 1 else []


def _lone(values: tuple[Any, ...], nothing: Any) -> Iterator[tuple[Any, ...]]:
    """One axis keeps its value and the others have none."""
    if len(values) > 1:
        for axis in range(len(values)):
            changed = tuple(v if i == axis else nothing for i, v in enumerate(values))
            if changed != values:
                yield changed
