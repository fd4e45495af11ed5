"""The channel checksum: a large result verified at the cost of one output channel per group.

With weights r_o (small whole numbers, one per output channel), ``sum_o r_o y_o = x ⋆ (sum_o r_o w_o) + sum_o r_o b_o``
(algorithm-based fault tolerance: Huang and Abraham, "Algorithm-based fault tolerance for matrix operations", 1984). The
right side is one channel of work where the result has many; the left side is summed up here, in float64.

**What it can see.** An element off by e changes its sum by r_o e, and r_o is at least 1. On integer data, where the
tolerance is zero, no single wrong element escapes, nor do two of one position unless their errors cancel under the
weights. On real data an error shows when ``r_o |e|`` exceeds ``6 sqrt(n) u S_r``, with ``S_r = |x| ⋆ sum_o r_o |w_o|``:
about as many times more than a direct check can see as there are channels in the group.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from crosscorrect import bounds, dtypes, fills, oracle, probable

if TYPE_CHECKING:
    from crosscorrect.geometry import Geometry
    from crosscorrect.oracle import Floats, Reference
    from crosscorrect.problem import Problem

    Array = np.ndarray[Any, Any]

HEAVIEST = 64
"""The weights are whole numbers from 1 to this, drawn once and for all."""


def weights(channels: int) -> Floats:
    """The weight of each output channel, ``(O,)``, the same on every machine."""
    words = np.random.Philox(key=fills.stream_key("checksum", "weights")).random_raw(channels)
    return fills.integers(words, 1, HEAVIEST).astype(np.float64)


def reference(x: Array, w: Array, b: Array | None, geometry: Geometry) -> Reference:
    """The right checksums, ``(N, groups, *output)``, of a correlation ``(N, C, *space), (O, C / groups, *kernel)``.

    ``scale`` is S_r and ``terms`` counts as for one channel. Raises ValueError for a transposed geometry.
    """
    if geometry.transposed:
        raise ValueError("a checksum is made over the output channels of a correlation that is not transposed")
    r, kernel = weights(len(w)), dtypes.widen(w).astype(np.float64)
    signed = _summed(kernel, r, geometry.groups)
    sizes = _summed(np.abs(kernel), r, geometry.groups)
    image, dtype = dtypes.widen(x).astype(np.float64), dtypes.name_of(x.dtype)
    bias = None if b is None else dtypes.widen(b).astype(np.float64)
    value = oracle.forward(image, signed, None if bias is None else _summed(bias, r, geometry.groups), geometry, dtype)
    scale = oracle.forward(
        np.abs(image), sizes, None if bias is None else _summed(np.abs(bias), r, geometry.groups), geometry, dtype
    )
    return oracle.Reference(value.value, scale.value, value.terms)


def sums(output: Array, groups: int) -> Floats:
    """The checksums of an output ``(N, O, *size)``: ``(N, groups, *size)``, added up in float64."""
    y = dtypes.widen(output).astype(np.float64)
    r = weights(y.shape[1]).reshape(groups, -1)
    return np.asarray(np.einsum("go,ngo...->ng...", r, y.reshape(len(y), groups, -1, *y.shape[2:])))


def limit(reference: Reference, output: Array, groups: int, problem: Problem) -> Floats:
    """The largest error of a checksum: tier A of a sum with scale S_r or, on random data, tier B's ``6 sqrt(n) u S_r``.

    Added to either: ``u`` of each output (its own last rounding), and what adding them up in float64 may lose.
    """
    form, channels = bounds.floating(problem.dtype), output.shape[1] // groups
    if probable.applies(problem):
        summed = 6.0 * np.sqrt(reference.terms) * form.u * reference.scale
    else:
        summed = bounds.rounding(reference.scale, reference.terms, form)
    sizes = sums(np.abs(dtypes.widen(output).astype(np.float64)), groups)
    adding = (bounds.gamma(channels + 1, bounds.REFERENCE.u) + 2.0 * form.u) * sizes
    own = bounds.reference_error(reference) + channels * HEAVIEST * form.eta
    return np.asarray(summed + adding + own)


def _summed(array: Floats, r: Floats, groups: int) -> Floats:
    """The weighted sum over the output channels of each group: ``(O, …) -> (groups, …)``."""
    return np.asarray(np.einsum("go,go...->g...", r.reshape(groups, -1), array.reshape(groups, -1, *array.shape[1:])))
