"""Where an output is wrong when no entry predicts it: one lost tap, channels, rows, a factor, an order, garbage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from crosscorrect import oracle
from crosscorrect.diagnosis.question import Answer, Cause, inside
from crosscorrect.model import Direction

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crosscorrect.oracle import Array

SPACE = {3: ("position",), 4: ("row", "column"), 5: ("plane", "row", "column")}
"""The names of the spatial axes, by the number of all axes."""
ALIKE = 2.0**-8
"""Factors this near to each other are told as one: for words only, since the verdict stands before."""
MOST = 6
"""How many places are listed."""
UNKNOWNS = 300
"""The most weights of an output channel that are solved for."""


def described(answer: Answer) -> list[Cause]:
    """What can be said of a wrong output by looking at it, the most telling first."""
    if answer.wrong is None:
        return list(_shape(answer))
    if not answer.wrong.any():
        return []
    found = [
        *_not_finite(answer),
        *_single(answer),
        *_kernel(answer),
        *_order(answer),
        *_factor(answer),
        *_offset(answer),
    ]
    return [*found, *_places(answer)]


def _shape(answer: Answer) -> Iterator[Cause]:
    got, right = answer.output.shape, answer.right.value.shape
    if answer.output.ndim == len(right) and sorted(got) == sorted(right):
        for order in _orders(len(right)):
            moved = answer.right.value.transpose(order)
            if moved.shape == got and bool(np.all(inside(answer.output, moved, answer.bound.transpose(order)))):
                said = f"the axes of the output are in the order {order}"
                yield _cause("axes-permuted", said, "all elements are right in that order", 1.0)
                return
    if answer.output.size == answer.right.value.size:
        flat = answer.output.reshape(right)
        if bool(np.all(inside(flat, answer.right.value, answer.bound))):
            said = f"the output has the shape {got} instead of {right}"
            yield _cause("wrong-shape", said, "its elements are right in row order", 1.0)
            return
    common = tuple(slice(min(a, b)) for a, b in zip(got, right, strict=False))
    if answer.output.ndim == len(right) and answer.output[common].size:
        same = inside(answer.output[common], answer.right.value[common], answer.bound[common])
        if bool(np.all(same)):
            said = (
                f"the output has the shape {got} instead of {right}: rows or columns at the end are missing or too many"
            )
            yield _cause(
                "wrong-shape",
                said,
                "what both shapes have in common is right",
                float(same.size / answer.right.value.size),
            )
            return
    yield _cause(
        "wrong-shape", f"the output has the shape {got} instead of {right}", "nothing predicts its values", 0.0
    )


def _not_finite(answer: Answer) -> Iterator[Cause]:
    lost = ~np.isfinite(answer.output) & np.isfinite(answer.right.value)
    count = int(lost.sum())
    if count:
        where = _where(answer, lost)
        said = f"{count} of {lost.size} elements are not finite{where}: overflow, or memory that was never written"
        yield _cause("not-finite", said, "every right element there is finite", 1 - count / lost.size)


def _single(answer: Answer) -> Iterator[Cause]:
    """One wrong element: the product that is missing there or was added twice, if one is."""
    wrong = answer.wrong
    if wrong is None or int(wrong.sum()) != 1 or np.iscomplexobj(answer.output):
        return
    place = tuple(int(i) for i in np.argwhere(wrong)[0])
    off = float(answer.output[place] - answer.right.value[place])
    head = f"1 of {wrong.size} elements is wrong, at {place}"
    evidence = f"off by {off:.6g}, all others are right"
    if answer.output[place] == 0:
        said = f"{head}: it is zero, not written"
        yield _cause("element-not-written", said, evidence, 1 - 1 / wrong.size)
        return
    products = _products(answer, place)
    if products is not None and np.isfinite(off):
        slack = float(answer.bound[place])
        for sign, word in ((-1, "is lost there"), (1, "is added twice there")):
            error = np.abs(products - sign * off)
            best = np.unravel_index(int(np.argmin(error)), error.shape)
            if error[best] <= slack and products[best] != 0:
                channel, tap = int(best[0]), tuple(int(i) for i in best[1:])
                likely = int((error <= slack).sum())
                exactly = "exactly " if error[best] == 0 else ""
                other = f", or one of {likely - 1} others of this size" if likely > 1 else ""
                said = (
                    f"{head}: off by {exactly}the product of tap {tap} of input channel {channel}{other}: "
                    f"the tap {word}"
                )
                yield _cause("one-lost-tap" if sign < 0 else "one-tap-twice", said, evidence, 1 - 1 / wrong.size)
                return
    said = f"{head}, and no single product accounts for it" if products is not None else head
    yield _cause("one-element-wrong", said, evidence, 1 - 1 / wrong.size)


def _products(answer: Answer, place: tuple[int, ...]) -> Array | None:
    """The products ``(C / groups, *kernel)`` that one element of a plain forward output sums."""
    g = answer.given
    if answer.direction is not Direction.FORWARD or g.geometry.transposed or len(place) != g.x.ndim:
        return None
    n, o, *at = place
    per = g.w.shape[0] // g.geometry.groups
    first = o // per * g.w.shape[1]
    image = g.x[n : n + 1, first : first + g.w.shape[1]]
    explicit = g.geometry.explicit(g.x.shape[2:], g.w.shape[2:])
    seen = oracle.windows(image, g.w.shape[2:], explicit)[(0, *at)]
    return np.asarray(seen * g.w[o])


def _kernel(answer: Answer) -> Iterator[Cause]:
    """The kernel that would give this output, where the image determines it: how it differs from the right one."""
    g, output = answer.given, answer.output
    if answer.direction is not Direction.FORWARD or g.geometry.transposed or np.iscomplexobj(output):
        return
    if output.size > 2**14 or g.w[0].size > UNKNOWNS or not np.all(np.isfinite(output)):
        return
    solved = _solved(answer)
    if solved is None:
        return
    whole = np.rint(solved)
    exact = g.whole and bool(np.all(np.abs(solved - whole) < 2.0**-10))
    kernel = whole if exact else solved
    limit = 0.0 if exact else 2.0**-10 * float(np.max(np.abs(g.w)))
    differ = np.abs(kernel - g.w) > limit
    if not differ.any():
        return
    name, said = _change_of_kernel(kernel, g.w, differ, limit)
    evidence = f"solved from all {output.size} elements{', exactly' if exact else ''}"
    evidence += f"; {int(differ.sum())} of {g.w.size} weights differ"
    yield _cause(name, f"the output is that of another kernel: {said}", evidence, 1.0)


def _solved(answer: Answer) -> Array | None:
    """The one kernel that gives the output within the bound; None where there is none, or not one only."""
    g, groups = answer.given, answer.given.geometry.groups
    seen = oracle.windows(g.x, g.w.shape[2:], g.geometry.explicit(g.x.shape[2:], g.w.shape[2:]))
    per = g.w.shape[0] // groups
    found = np.zeros_like(g.w)
    for group in range(groups):
        inputs = slice(group * g.w.shape[1], (group + 1) * g.w.shape[1])
        outputs = slice(group * per, (group + 1) * per)
        rows = seen[(slice(None),) * (1 + g.geometry.rank) + (inputs,)].reshape(-1, g.w[0].size)
        bias = 0.0 if g.b is None else g.b[outputs].reshape(-1, 1)
        sums = np.moveaxis(answer.output[:, outputs], 1, 0).reshape(per, -1) - bias
        limit = np.moveaxis(answer.bound[:, outputs], 1, 0).reshape(per, -1)
        if len(rows) <= rows.shape[1]:
            return None
        kernel, _, rank, _ = np.linalg.lstsq(rows, sums.T, rcond=None)
        left = np.abs(rows @ kernel - sums.T)
        slack = 2.0 * limit.T + 2.0**-40 * (np.abs(rows) @ np.abs(kernel))
        if rank < rows.shape[1] or not np.all(left <= slack):
            return None
        found[outputs] = kernel.T.reshape(per, *g.w.shape[1:])
    return found


def _change_of_kernel(kernel: Array, right: Array, differ: Array, limit: float) -> tuple[str, str]:
    """The name and the words of what became of a kernel."""

    def same(a: Array, b: Array) -> bool:
        return bool(np.all(np.abs(a - b) <= limit))

    for axis in range(kernel.ndim):
        size = kernel.shape[axis]
        lines, wanted = (np.moveaxis(v, axis, 0).reshape(size, -1) for v in (kernel, right))
        matches = np.array([[same(a, b) for b in wanted] for a in lines]) if size <= 64 else np.zeros((1, 1), bool)
        if matches.shape == (size, size) and np.all(matches.any(1)) and not np.all(np.diagonal(matches)):
            order = [int(np.argmax(row)) for row in matches]
            what = (
                ("output channel", "input channel", "row", "column")[axis] if kernel.ndim == 4 else f"axis {axis} slice"
            )
            shown = ", ".join(map(str, order[:12]))
            return (
                f"kernel-{what.replace(' ', '-')}s-in-another-order",
                f"its {what}s are those numbered {shown} of the right one",
            )
    taps = differ.any(axis=(0, 1))
    if np.all(differ.any(1, keepdims=True) <= taps) and not taps.all():
        with np.errstate(divide="ignore", invalid="ignore"):
            factors = np.where(right != 0, kernel / right, np.nan)
        for tap in np.argwhere(taps)[:1]:
            place: Any = (slice(None), slice(None), *(int(i) for i in tap))
            values = factors[place][np.isfinite(factors[place]) & differ[place]]
            if taps.sum() == 1 and values.size and np.ptp(values) <= ALIKE * abs(values[0]) and differ[place].sum() > 1:
                times = f"counts {values[0]:.4g} times" if abs(values[0]) > 2.0**-10 else "is lost"
                where = "" if differ[place].all() else f" of {int(differ[place].sum())} channel pairs"
                return (
                    "kernel-tap-scaled" if "times" in times else "kernel-taps-lost",
                    f"tap {place[2:]}{where} {times}",
                )
    places = np.argwhere(differ)
    shown = "; ".join(f"w{tuple(map(int, p))} is {kernel[tuple(p)]:g}, not {right[tuple(p)]:g}" for p in places[:MOST])
    more = f"; and {len(places) - MOST} more" if len(places) > MOST else ""
    lost = all(abs(kernel[tuple(p)]) <= limit for p in places)
    return "kernel-taps-lost" if lost else "another-kernel", f"{shown}{more}"


def _order(answer: Answer) -> Iterator[Cause]:
    """Slices along an axis that are all right and in another place, or one of them everywhere."""
    got, right = answer.output, answer.right.value
    for axis in range(got.ndim):
        size = got.shape[axis]
        if not 1 < size <= 64:
            continue
        a, b, limit = (np.moveaxis(v, axis, 0).reshape(size, -1) for v in (got, right, answer.bound))
        same = np.all(inside(a[:, None], b[None], limit[None]), axis=2)
        if np.all(same.any(1)) and not np.all(np.diagonal(same)):
            order = [int(np.argmax(row)) for row in same]
            if len(set(order)) == 1 and size > 2 and not np.any(right):
                continue
            shown = ", ".join(map(str, order[:12])) + ("…" if size > 12 else "")
            axis_name = _axis(answer, axis)
            said = f"the {axis_name}s of the output are in the wrong place: they hold those numbered {shown}"
            yield _cause(
                f"{axis_name.replace(' ', '-')}s-in-another-order", said, "every one of them is right elsewhere", 1.0
            )
            return
    if answer.given.whole and got.size > 3 and np.array_equal(np.sort(got, axis=None), np.sort(right, axis=None)):
        said = "the output has the right numbers in the wrong places"
        yield _cause("elements-in-another-order", said, f"its {got.size} elements, sorted, are the right ones", 1.0)


def _factor(answer: Answer) -> Iterator[Cause]:
    """Every element the same multiple of the right one, by more than rounding."""
    got, right, limit = np.real(answer.output), np.real(answer.right.value), answer.rounding
    base = float(np.vdot(right, right))
    if not base or got.size < 3 or not np.all(np.isfinite(got)) or not np.any(np.abs(got - right) > 4.0 * limit):
        return
    factor = float(np.vdot(right, got)) / base
    if bool(np.all(np.abs(got - factor * right) <= limit * (1 + abs(factor)))):
        name = "output-zero" if abs(factor) < 2.0**-40 else "scaled"
        said = f"every element is {factor:.7g} times the right one"
        yield _cause(name, said, f"all {got.size} elements, within the bound", 1.0)


def _offset(answer: Answer) -> Iterator[Cause]:
    """Every element of a channel off by the same amount."""
    off = np.real(answer.output - answer.right.value)
    if off.ndim < 3 or off[0, 0].size * off.shape[0] < 3 or not np.all(np.isfinite(off)):
        return
    lines = np.moveaxis(off, 1, 0).reshape(off.shape[1], -1)
    limit = np.moveaxis(answer.rounding, 1, 0).reshape(off.shape[1], -1)
    middle = np.median(lines, axis=1, keepdims=True)
    if np.any(np.abs(middle) > 4.0 * limit) and bool(np.all(np.abs(lines - middle) <= 2.0 * limit)):
        shown = ", ".join(f"{v:.6g}" for v in middle.ravel()[:MOST])
        said = f"each output channel is off by a constant ({shown}): another bias"
        yield _cause("another-bias", said, "all elements of a channel differ by the same amount", 1.0)


def _places(answer: Answer) -> Iterator[Cause]:
    """Where it is wrong and what stands there."""
    wrong = answer.wrong
    if wrong is None:
        return
    count, size = int(wrong.sum()), wrong.size
    values = answer.output[wrong]
    what = ""
    if not np.any(values):
        what = " and zero: not written"
    elif count > 1 and np.all(values == values.flat[0]):
        what = f" and all {np.real(values.flat[0]):.6g}"
    where = _where(answer, wrong)
    if not where and count == size:
        where = ""
    said = f"{'all' if count == size else count} of {size} elements are wrong{what}{where}"
    yield _cause(
        "not-written" if "not written" in what else "wrong-elements",
        said,
        "no entry of the catalogue predicts this",
        1 - count / size,
    )


def _where(answer: Answer, marked: Array) -> str:
    """In words, the slices that hold all marked elements, where there are few; or from where on they are all marked."""
    count = int(marked.sum())
    if count == marked.size:
        return ""
    said = []
    for axis in range(marked.ndim):
        hit: Any = marked.any(axis=tuple(i for i in range(marked.ndim) if i != axis))
        places = np.flatnonzero(hit)
        if len(places) < len(hit):
            shown = ", ".join(map(str, places[:MOST])) + ("…" if len(places) > MOST else "")
            all_of_it = bool(np.all(np.take(marked, places, axis)))
            said.append((all_of_it, f"{_axis(answer, axis)}{'s' if len(places) > 1 else ''} {shown}"))
    for all_of_it, words in said:
        if all_of_it:
            return f", in {words}, and there everywhere"
    border = _border(answer, marked)
    if border:
        return f", only in {' and '.join(border)}"
    flat = np.flatnonzero(marked.ravel())
    if flat[-1] == marked.size - 1 and len(flat) == marked.size - flat[0]:
        return f", from position {int(flat[0])} in row order to the end"
    return f", in {' and '.join(words for _, words in said)}" if said else ", spread over the whole output"


def _border(answer: Answer, marked: Array) -> list[str]:
    """In words, the sides of an image that hold all marked elements, where they need two of them or more."""
    space = range(2, marked.ndim)
    sides = [(axis, place) for axis in space for place in (0, -1) if marked.shape[axis] > 2]
    inner = marked[(..., *(slice(1, -1) if marked.shape[axis] > 2 else slice(None) for axis in space))]
    if not sides or inner.any() or answer.direction in (Direction.GRAD_WEIGHT, Direction.GRAD_BIAS):
        return []
    for side in list(sides):
        left = marked.copy()
        for axis, place in sides:
            if (axis, place) != side:
                left[(slice(None),) * axis + (place,)] = False
        if not left.any():
            sides.remove(side)
    said = [f"the {'last' if place else 'first'} {_axis(answer, axis)}" for axis, place in sides]
    return said if len(said) > 1 else []


def _axis(answer: Answer, axis: int) -> str:
    """What a slice along an axis of the output is called."""
    if answer.direction is Direction.GRAD_BIAS:
        return "element"
    first = ("output channel", "input channel") if answer.direction is Direction.GRAD_WEIGHT else ("example", "channel")
    names = (*first, *SPACE.get(answer.output.ndim, ()))
    return names[axis] if axis < len(names) else f"slice of axis {axis}"


def _orders(rank: int) -> Iterator[tuple[int, ...]]:
    from itertools import permutations  # noqa: PLC0415

    yield from (order for order in permutations(range(rank)) if order != tuple(range(rank)))


def _cause(name: str, sentence: str, evidence: str, share: float) -> Cause:
    return Cause(name, sentence, evidence, float("inf"), share, "damage", (name,))
