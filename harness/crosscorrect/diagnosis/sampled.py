"""Some elements of a large output: what a changed problem has there, at a small part of the cost of all of it.

A few hundred windows are cut out of the (changed) image and stood side by side as the groups of one small problem, so
the oracle computes them like any other.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from crosscorrect import oracle
from crosscorrect.catalogue.change import SAME, cropped, cut, plainly
from crosscorrect.geometry import Geometry
from crosscorrect.oracle import Reference

if TYPE_CHECKING:
    from crosscorrect.catalogue.change import Change
    from crosscorrect.oracle import Array, Sizes

ELEMENTS = 384
"""How many elements are looked at: wrong ones, and a sixth of others."""


def places(wrong: Array) -> Array:
    """Positions in row order, the same for the same marks: wrong elements spread over all of them, and some others."""
    bad, good = np.flatnonzero(wrong), np.flatnonzero(~wrong)
    draw = np.random.Generator(np.random.Philox(wrong.size))
    chosen = [
        draw.choice(part, min(len(part), n), replace=False) for part, n in ((bad, ELEMENTS), (good, ELEMENTS // 6))
    ]
    return np.sort(np.concatenate(chosen))


def taken(reference: Reference, where: Array) -> Reference:
    """The elements of a reference at these positions, as a flat one."""
    low, own = reference.low, reference.own
    return Reference(
        reference.value.ravel()[where],
        reference.scale.ravel()[where],
        np.asarray(reference.terms).ravel()[where],
        None if low is None else low.ravel()[where],
        None if own is None else own.ravel()[where],
    )


def forward(change: Change, x: Array, w: Array, b: Array | None, where: Array, shape: Sizes) -> Reference | None:
    """What ``catalogue.change.forward`` gives at these positions of an output of this shape.

    None where the changed output has another shape, or one that is not made element by element.
    """
    geometry, off = cut(change.geometry)
    if geometry.transposed or change.result.back is not None:
        return None
    x, w = change.x(x), change.w(w)
    try:
        x = x if off is None else cropped(x, off)
        geometry = geometry.explicit(x.shape[2:], w.shape[2:])
        inner = geometry.output_shape(x.shape, w.shape)
        if min(inner) < 1 or x.shape[1] != w.shape[1] * geometry.groups:
            return None
        codes = None if change.result is SAME else change.result.codes(inner)
    except ValueError:
        return None
    if (inner if codes is None else codes.shape) != shape:
        return None
    inside = where if codes is None else codes.ravel()[where] - 1
    found = _windows(x, w, geometry, np.maximum(inside, 0), inner)
    bias = _bias(change, b, where, np.maximum(inside, 0), inner)
    if bias is not None:
        found = replace(
            found, value=found.value + bias, scale=found.scale + np.abs(bias), terms=found.terms + 1, single=None
        )
    factor = np.broadcast_to(np.asarray(change.result.factor), shape).ravel()[where] * (inside >= 0)
    return Reference(
        found.value * factor, found.scale * np.abs(factor), np.where(inside >= 0, found.terms + change.terms, 0)
    )


def _windows(x: Array, w: Array, geometry: Geometry, where: Array, shape: Sizes) -> Reference:
    """The elements of a correlation at these positions, without bias."""
    n, o, *at = np.unravel_index(where, shape)
    rank, count = geometry.rank, len(where)
    first = o // (w.shape[0] // geometry.groups) * w.shape[1]
    channels = first[:, None] + np.arange(w.shape[1])
    index: list[Array] = [n.reshape(-1, *(1,) * (1 + rank)), channels.reshape(count, -1, *(1,) * rank)]
    seen = np.ones((count, 1, *w.shape[2:]), bool)
    for axis, (begin, _) in enumerate(geometry.pads((), ())):
        taps = np.arange(w.shape[2 + axis]) * geometry.dilation[axis]
        rows = at[axis][:, None] * geometry.stride[axis] + taps - begin
        rows = rows.reshape(count, 1, *(-1 if i == axis else 1 for i in range(rank)))
        seen &= (rows >= 0) & (rows < x.shape[2 + axis])
        index.append(np.clip(rows, 0, x.shape[2 + axis] - 1))
    windows = np.where(seen, x[tuple(index)], 0)
    single = Geometry((1,) * rank, ((0, 0),) * rank, (1,) * rank, count, False, (0,) * rank)
    found = oracle.forward(windows.reshape(1, -1, *w.shape[2:]), np.ascontiguousarray(w[o]), None, single, plainly(x))
    terms = seen.reshape(count, -1).sum(1) * w.shape[1]
    return Reference(found.value.ravel(), found.scale.ravel(), terms.astype(np.int64))


def _bias(change: Change, b: Array | None, where: Array, inside: Array, inner: Sizes) -> Array | None:
    if b is None:
        return None
    if change.spread is not None:
        return np.asarray(np.broadcast_to(change.spread(b), inner).ravel()[where])
    return np.asarray(change.b(b)[np.unravel_index(inside, inner)[1]])
