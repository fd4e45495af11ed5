"""The second witness: cross-correlation and its gradients in exact fractions, straight from the definition.

Nothing here comes from the oracle. Every product that enters a sum is visited one by one, in plain Python; no padding
is added, no kernel turned and no zero stuffed: ``connections`` lists which input element meets which kernel element in
which output element, and everything else is addition.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

from crosscorrect import dtypes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crosscorrect.geometry import Geometry

Array: TypeAlias = np.ndarray[Any, Any]
Shape: TypeAlias = tuple[int, ...]


class Answer(NamedTuple):
    """Object arrays of one shape: the sum of the products, of their absolute values, and how many there are."""

    value: Array
    scale: Array
    terms: Array


def connections(x_shape: Shape, w_shape: Shape, geometry: Geometry) -> Iterator[tuple[Shape, Shape, Shape]]:
    """Every (input, kernel, output) index triple whose product enters the sum.

    A correlation's output ``(n, o, i)`` sums over all channels c of its group and all taps a the input
    ``(n, c, i * stride + a * dilation - begin)`` where there is one. Transposed, input and output change places.
    """
    groups, transposed = geometry.groups, geometry.transposed
    first = [begin for begin, _ in geometry.pads(x_shape[2:], w_shape[2:])]
    out = geometry.output_shape(x_shape, w_shape)
    coarse, fine = (x_shape, out) if transposed else (out, x_shape)
    wide, narrow = coarse[1] // groups, fine[1] // groups
    for n, g, o, c in product(range(x_shape[0]), range(groups), range(wide), range(narrow)):
        for i, a in product(product(*map(range, coarse[2:])), product(*map(range, w_shape[2:]))):
            axes = zip(i, a, geometry.stride, geometry.dilation, first, strict=True)
            j = tuple(p * s + q * d - b for p, q, s, d, b in axes)
            if all(0 <= p < size for p, size in zip(j, fine[2:], strict=True)):
                low, high = (n, g * wide + o, *i), (n, g * narrow + c, *j)
                yield (low if transposed else high), (g * wide + o, c, *a), (high if transposed else low)


def exact(array: Any) -> Array:
    """The numbers as fractions; bfloat16 too."""
    plain = np.asarray(dtypes.widen(array))
    found = np.empty(plain.shape, object)
    for at in np.ndindex(plain.shape):
        found[at] = Fraction(plain[at].item())
    return found


def forward(x: Array, w: Array, b: Array | None, geometry: Geometry) -> Answer:
    """The cross-correlation with its bias."""
    x, w = exact(x), exact(w)
    found = _none(geometry.output_shape(x.shape, w.shape))
    for i, a, o in connections(x.shape, w.shape, geometry):
        _add(found, o, x[i] * w[a])
    if b is not None:
        bias = exact(b)
        for o in np.ndindex(found.value.shape):
            _add(found, o, bias[o[1]])
    return found


def grad_input(x: Array, w: Array, dy: Array, geometry: Geometry) -> Answer:
    """The gradient of ``sum(forward * dy)`` by ``x``; of ``x`` only the shape matters."""
    w, dy = exact(w), exact(dy)
    found = _none(x.shape)
    for i, a, o in connections(x.shape, w.shape, geometry):
        _add(found, i, dy[o] * w[a])
    return found


def grad_weight(x: Array, w: Array, dy: Array, geometry: Geometry) -> Answer:
    """The gradient of ``sum(forward * dy)`` by ``w``; of ``w`` only the shape matters."""
    x, dy = exact(x), exact(dy)
    found = _none(w.shape)
    for i, a, o in connections(x.shape, w.shape, geometry):
        _add(found, a, x[i] * dy[o])
    return found


def grad_bias(dy: Array) -> Answer:
    """The gradient of ``sum(forward * dy)`` by the bias."""
    dy = exact(dy)
    found = _none((dy.shape[1],))
    for o in np.ndindex(dy.shape):
        _add(found, (o[1],), dy[o])
    return found


def _none(shape: Shape) -> Answer:
    return Answer(*(np.full(shape, start, dtype=object) for start in (Fraction(0), Fraction(0), 0)))


def _add(answer: Answer, at: Shape, term: Fraction) -> None:
    answer.value[at] += term
    answer.scale[at] += abs(term)
    answer.terms[at] += 1
