"""Print which implementations each tier and contract accepts: ``python docs/measure/acceptance.py [SEEDS]``.

The layer of research numerics 2.3, a 3×3 kernel with padding 1 on two 12×12 images, 8 output channels, with 1, 16, 64
and 512 input channels (n up to 4608) and 5 seeds of each: 20 results a cell. Columns: the sound bound (tier A) under
each contract, on normal data; tier B on normal and on uniform data; the median effective bits on normal data. Only a
result with a bound for each of its elements counts as accepted: float16 sums of 4608 terms have none.
"""

from __future__ import annotations

import sys
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

import emulations as em
from crosscorrect import bounds, oracle, probable
from crosscorrect.geometry import Geometry
from crosscorrect.model import Direction

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Array = np.ndarray[Any, Any]

PADS = ((1, 1), (1, 1))
GEOMETRY = Geometry((1, 1), PADS)
CONTRACTS = ("strict", "tf32", "bf16", "fp16", "winograd", "fft")


def direct(add: Callable[[Array, Array], Array], inputs: Callable[[Array], Array] = em.float32) -> Callable[..., Array]:
    """A direct correlation with a way to add and a way to round inputs, a few output rows at a time."""

    def computed(x: Array, w: Array) -> Array:
        seen, kernels = em.factors(inputs(x), inputs(w), PADS)
        sums = np.stack([add(seen, np.broadcast_to(kernel, seen.shape)) for kernel in kernels], axis=1)
        return em.shaped(sums, x, w, PADS)

    return computed


def wide(x: Array, w: Array) -> Array:
    """The reference rounded once."""
    return oracle.forward(x, w, None, GEOMETRY).value.astype(np.float32)


def lost_tap(x: Array, w: Array) -> Array:
    """Right, but for one tap of one element."""
    y = wide(x, w)
    y[1, 3, 5, 6] -= x[1, 0, 5, 5] * w[3, 0, 1, 0]
    return y


def one_off(x: Array, w: Array) -> Array:
    """Right, but for 3e-4 S in one element."""
    reference = oracle.forward(x, w, None, GEOMETRY)
    y = reference.value.copy()
    y[0, 2, 7, 1] += 3e-4 * reference.scale[0, 2, 7, 1]
    return y.astype(np.float32)


def without_channel(x: Array, w: Array) -> Array:
    """The last input channel left out."""
    return wide(x[:, :-1], w[:, :-1]) if x.shape[1] > 1 else 0 * wide(x, w)


IMPLEMENTATIONS: dict[str, Callable[..., Array]] = {
    "ok: float64, rounded once": wide,
    "ok: sequential loop": direct(em.sequential),
    "ok: pairwise": direct(em.pairwise),
    "ok: eight lanes": direct(em.lanes),
    "ok: BLAS": direct(em.blas),
    "ok: fused multiply-add": direct(em.fused),
    "algorithm: Winograd F(2)": lambda x, w: em.winograd(x, w, PADS, "F(2,3)"),
    "algorithm: Winograd F(4)": lambda x, w: em.winograd(x, w, PADS, "F(4,3)"),
    "algorithm: Winograd F(6)": lambda x, w: em.winograd(x, w, PADS, "F(6,3)"),
    "algorithm: FFT": lambda x, w: em.fourier(x, w, PADS),
    "precision: TF32 inputs": direct(em.fused, em.tf32),
    "precision: TF32 inputs, cut": direct(em.truncated, em.tf32_cut),
    "precision: bfloat16 inputs": direct(em.fused, em.bfloat16),
    "precision: float16 inputs": direct(em.fused, em.float16),
    "precision: float16 sums": direct(lambda a, b: em.rounded(a.astype(np.float64) * b, em.float16), em.float16),
    "precision: bfloat16 result": lambda x, w: em.bfloat16(wide(x, w)),
    "precision: sums toward zero": direct(em.truncated),
    "precision: the same, 8 at a time": direct(lambda a, b: em.truncated(a, b, 8)),
    "defect: one tap of one element": lost_tap,
    "defect: 3e-4 S in one element": one_off,
    "defect: a channel left out": without_channel,
}


def data(seeds: int) -> Iterator[tuple[tuple[Array, Array], tuple[Array, Array]]]:
    """Inputs and kernels: normal ones and uniform ones."""
    for channels in (1, 16, 64, 512):
        for seed in range(seeds):
            rng = np.random.default_rng([channels, seed])
            shapes = ((2, channels, 12, 12), (8, channels, 3, 3))
            normal = [rng.standard_normal(shape).astype(np.float32) for shape in shapes]
            uniform = [rng.random(shape, dtype=np.float32) for shape in shapes]
            yield (normal[0], normal[1]), (uniform[0], uniform[1])


def accepted(seeds: int) -> dict[str, list[Any]]:
    """Per implementation: how many results each contract's tier A and tier B accept, and the effective bits."""
    found: dict[str, list[Any]] = {name: [0] * (len(CONTRACTS) + 2) + [[]] for name in IMPLEMENTATIONS}
    for normal, uniform in data(seeds):
        for place, (x, w) in enumerate((normal, uniform)):
            reference = oracle.forward(x, w, None, GEOMETRY)
            squares = oracle.squares(Direction.FORWARD, x, w, GEOMETRY)
            operands = bounds.Operands(x, w, None, GEOMETRY)
            limits = {c: bounds.tier_a(reference, "float32", c, operands) for c in CONTRACTS} if not place else {}
            for name, implementation in IMPLEMENTATIONS.items():
                error = implementation(x, w).astype(np.float64) - reference.value
                row = found[name]
                for column, limit in enumerate(limits.values()):
                    row[column] += bool((np.isfinite(limit) & (np.abs(error) <= limit)).all())
                row[len(CONTRACTS) + place] += probable.judge(error, reference, "float32", bias=0.0) is None
                if not place:
                    row[-1].append(probable.effective_bits(error, squares))
    return found


def main(seeds: int = 5) -> None:
    """Print the matrix as a Markdown table."""
    heads = ["implementation", *(f"A {c}" for c in CONTRACTS), "B normal", "B uniform", "bits"]
    print("|", " | ".join(heads), "|\n|" + "---|" * len(heads))
    for name, (*counts, bits) in accepted(seeds).items():
        print("|", " | ".join([name, *map(str, counts), f"{median(bits):.1f}"]), "|")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
