"""Where an output is wrong when no entry predicts it: one lost tap, channels, rows, a factor, an order, garbage."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from crosscorrect import oracle
from crosscorrect.diagnosis.question import Answer, Cause, inside
from crosscorrect.model import Direction

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crosscorrect.oracle import Array

AXES = ("example", "output channel", "row", "column")
MOST = 6
"""How many places are listed."""


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
    assert wrong is not None
    if int(wrong.sum()) != 1 or np.iscomplexobj(answer.output):
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
    """The kernel that would give this output, where the image determines it: which taps differ from the right one."""
    g = answer.given
    if answer.direction is not Direction.FORWARD or g.geometry.transposed or g.geometry.groups != 1 or not g.whole:
        return
    if np.iscomplexobj(g.x) or answer.output.size > 2**14 or not np.all(np.isfinite(answer.output)):
        return
    seen = oracle.windows(g.x, g.w.shape[2:], g.geometry.explicit(g.x.shape[2:], g.w.shape[2:]))
    seen = seen.reshape(-1, g.w[0].size)
    bias = 0.0 if g.b is None else g.b.reshape(-1, 1)
    sums = np.moveaxis(answer.output, 1, 0).reshape(g.w.shape[0], -1) - bias
    if len(seen) <= seen.shape[1] or seen.shape[1] > 600:
        return
    found, _, rank, _ = np.linalg.lstsq(seen, sums.T, rcond=None)
    whole = np.rint(found)
    if rank < seen.shape[1] or not np.array_equal(seen @ whole, sums.T):
        return
    kernel = whole.T.reshape(g.w.shape)
    places = np.argwhere(kernel != g.w)
    if not len(places):
        return
    shown = "; ".join(f"w{tuple(map(int, p))} is {kernel[tuple(p)]:g}, not {g.w[tuple(p)]:g}" for p in places[:MOST])
    more = f"; and {len(places) - MOST} more" if len(places) > MOST else ""
    said = f"the output is that of another kernel: {shown}{more}"
    name = "kernel-taps-lost" if all(kernel[tuple(p)] == 0 for p in places) else "another-kernel"
    yield _cause(
        name,
        said,
        f"solved from all {answer.output.size} elements, exactly; {len(places)} of {g.w.size} weights differ",
        1.0,
    )


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
    """Every element the same multiple of the right one."""
    got, right = np.real(answer.output), np.real(answer.right.value)
    base = float(np.vdot(right, right))
    if not base or got.size < 3 or not np.all(np.isfinite(got)):
        return
    factor = float(np.vdot(right, got)) / base
    if abs(factor - 1.0) > 1e-6 and bool(
        np.all(np.abs(got - factor * right) <= answer.bound * (1 + abs(factor)) + 1e-12 * np.abs(right))
    ):
        name = "output-zero" if abs(factor) < 1e-12 else "scaled"
        yield _cause(
            name,
            f"every element is {factor:.7g} times the right one",
            f"all {got.size} elements, within the bound",
            1.0,
        )


def _offset(answer: Answer) -> Iterator[Cause]:
    """Every element of a channel off by the same amount."""
    off = np.real(answer.output - answer.right.value)
    if off.ndim < 3 or off[0, 0].size * off.shape[0] < 3 or not np.all(np.isfinite(off)):
        return
    lines = np.moveaxis(off, 1, 0).reshape(off.shape[1], -1)
    limit = np.moveaxis(answer.bound, 1, 0).reshape(off.shape[1], -1)
    middle = np.median(lines, axis=1, keepdims=True)
    if bool(np.all(np.abs(lines - middle) <= 2 * limit + 1e-12)):
        shown = ", ".join(f"{v:.6g}" for v in middle.ravel()[:MOST])
        said = f"each output channel is off by a constant ({shown}): another bias"
        yield _cause("another-bias", said, "all elements of a channel differ by the same amount", 1.0)


def _places(answer: Answer) -> Iterator[Cause]:
    """Where it is wrong and what stands there."""
    wrong = answer.wrong
    assert wrong is not None
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
        hit = marked.any(axis=tuple(i for i in range(marked.ndim) if i != axis))
        places = np.flatnonzero(hit)
        if len(places) < len(hit):
            shown = ", ".join(map(str, places[:MOST])) + ("…" if len(places) > MOST else "")
            all_of_it = bool(np.all(np.take(marked, places, axis)))
            said.append((all_of_it, f"{_axis(answer, axis)}{'s' if len(places) > 1 else ''} {shown}"))
    for all_of_it, words in said:
        if all_of_it:
            return f", in {words}, and there everywhere"
    flat = np.flatnonzero(marked.ravel())
    if flat[-1] == marked.size - 1 and len(flat) == marked.size - flat[0]:
        return f", from position {int(flat[0])} in row order to the end"
    return f", in {' and '.join(words for _, words in said)}" if said else ", spread over the whole output"


def _axis(answer: Answer, axis: int) -> str:
    if answer.output.ndim != 4 or answer.direction in (Direction.GRAD_WEIGHT, Direction.GRAD_BIAS):
        return f"slice of axis {axis}"
    name = AXES[axis]
    return "input channel" if axis == 1 and answer.direction is Direction.GRAD_INPUT else name


def _orders(rank: int) -> Iterator[tuple[int, ...]]:
    from itertools import permutations  # noqa: PLC0415

    yield from (order for order in permutations(range(rank)) if order != tuple(range(rank)))


def _cause(name: str, sentence: str, evidence: str, share: float) -> Cause:
    return Cause(name, sentence, evidence, float("inf"), share, "damage", (name,))
