"""Measure and draw the figures of docs/numerics.md: ``python docs/figures/errors.py`` writes errors.csv and its SVG.

How large rounding errors are, beside what is allowed. Every number is measured here, on data that are the same on every
machine, with emulations of the arithmetics (tests/emulations.py); ``tests/test_figures.py`` measures and draws again.

``terms``: sums of n random products in one format, the error over the sum S of the absolute products, the largest and
the median of 200. ``layer``: a 3×3 layer of 1 to 256 input channels, the largest error over S of 576 elements.
``bits``: its effective bits.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

import emulations as em
from crosscorrect import bounds, fills, oracle, probable
from crosscorrect.geometry import Geometry
from crosscorrect.model import Direction
from crosscorrect_reports.drawing import FAINT, INK, look, svg

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

Array = np.ndarray[Any, Any]

HERE = Path(__file__).parent
SUMS = 200
TERMS = [4**k for k in range(1, 8)]
CHANNELS = [1, 4, 16, 64, 256]
NO_PADS = ((0, 0), (0, 0))
FORMATS = ("float32", "float16", "bfloat16")


class Point(NamedTuple):
    """One measured number of a figure."""

    figure: str
    series: str
    n: int
    value: float


def normal(name: str, *shape: int) -> Array:
    """Normal numbers in float32, the same everywhere."""
    key = fills.stream_key("docs/figures", name)
    return fills.fill({"fill": "normal"}, shape, key, "float32", em.float32)


def in_format(dtype: str, a: Array, b: Array) -> Array:
    """Sums of products one after the other, each rounded to a format."""
    if dtype == "float32":
        return em.sequential(a, b)
    if dtype == "float16":
        return em.sequential(a.astype(np.float16), b.astype(np.float16))
    return em.rounded(a.astype(np.float64) * b, em.bfloat16)


ROUNDED = {"float32": em.float32, "float16": em.float16, "bfloat16": em.bfloat16}


def terms() -> Iterator[Point]:
    """The errors of sums in three formats, and for 16 bits of sums in float32 that are rounded once."""
    for n in TERMS:
        x, w = normal(f"x{n}", SUMS, n), normal(f"w{n}", SUMS, n)
        for dtype in FORMATS:
            a, b = ROUNDED[dtype](x), ROUNDED[dtype](w)
            products = a.astype(np.float64) * b
            exact, scale = products.sum(axis=1), np.abs(products).sum(axis=1)
            ways = {dtype: in_format(dtype, a, b)}
            if dtype != "float32":
                ways[f"{dtype}, summed in float32"] = ROUNDED[dtype](em.sequential(a, b))
            for series, sums in ways.items():
                error = np.abs(np.asarray(sums, np.float64) - exact) / scale
                yield Point("terms", f"{series}: largest", n, float(error.max()))
                yield Point("terms", f"{series}: median", n, float(np.median(error)))


def direct(add: Callable[[Array, Array], Array], inputs: Callable[[Array], Array] = em.float32) -> Callable[..., Array]:
    """A direct correlation with a way to add and a way to round its inputs."""

    def computed(x: Array, w: Array) -> Array:
        seen, kernels = em.factors(inputs(x), inputs(w), NO_PADS)
        sums = np.stack([add(seen, np.broadcast_to(kernel, seen.shape)) for kernel in kernels], axis=1)
        return em.shaped(sums, x, w, NO_PADS)

    return computed


ARITHMETICS: dict[str, Callable[..., Array]] = {
    "float32, pairwise": direct(em.pairwise),
    "float32, one by one": direct(em.sequential),
    "FFT": lambda x, w: em.fourier(x, w, NO_PADS),
    "Winograd F(4)": lambda x, w: em.winograd(x, w, NO_PADS, "F(4,3)"),
    "sums toward zero": direct(em.truncated),
    "TF32 inputs": direct(em.fused, em.tf32),
    "bfloat16 inputs": direct(em.fused, em.bfloat16),
    "float16 sums": direct(lambda a, b: em.rounded(a.astype(np.float64) * b, em.float16), em.float16),
}


def layers() -> Iterator[Point]:
    """The errors of one layer, computed in every arithmetic, and the bits that survive."""
    geometry = Geometry()
    for channels in CHANNELS:
        x, w = normal(f"image{channels}", 1, channels, 14, 14), normal(f"kernel{channels}", 4, channels, 3, 3)
        reference = oracle.forward(x, w, None, geometry)
        squares = oracle.squares(Direction.FORWARD, x, w, geometry)
        for series, computed in ARITHMETICS.items():
            error = np.asarray(computed(x, w), np.float64) - reference.value
            yield Point("layer", series, 9 * channels, float((np.abs(error) / reference.scale).max()))
            yield Point("bits", series, 9 * channels, float(probable.effective_bits(error, squares)))


def measure() -> list[Point]:
    """Every point of the figures."""
    return [*terms(), *layers()]


def read(path: Path = HERE / "errors.csv") -> list[Point]:
    """The points as they were measured last."""
    with path.open(encoding="utf-8", newline="") as stream:
        rows = csv.DictReader(stream)
        return [Point(row["figure"], row["series"], int(row["n"]), float(row["value"])) for row in rows]


def write(points: Iterable[Point], path: Path = HERE / "errors.csv") -> None:
    """Write the points with four digits: what differs beyond them is how a machine adds, not what is shown."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        rows = csv.writer(stream, lineterminator="\n")
        rows.writerow(Point._fields)
        rows.writerows((*point[:3], f"{point.value:.4g}") for point in points)


def curves(points: Sequence[Point], figure: str) -> dict[str, tuple[list[int], list[float]]]:
    """The series of a figure, in the order in which they were measured."""
    found: dict[str, tuple[list[int], list[float]]] = {}
    for point in points:
        if point.figure == figure:
            n, values = found.setdefault(point.series, ([], []))
            n.append(point.n)
            values.append(point.value)
    return found


# Okabe and Ito's palette, as in the reports
COLOURS = ("#0072b2", "#56b4e9", "#009e73", "#e69f00", "#cc79a7", "#d55e00", "#8a7d00", "#767676")
MARKS = "osD^vXP<"


def draw_terms(points: Sequence[Point]) -> Any:
    """Errors against the number of terms, a panel per format."""
    from matplotlib.figure import Figure  # noqa: PLC0415  half a second that only drawing needs

    figure = Figure(figsize=(10.4, 4.8), facecolor="none")
    panels = figure.subplots(1, 3, sharey=True)
    every = curves(points, "terms")
    for axes, dtype in zip(panels, FORMATS, strict=True):
        bound(axes, dtype, TERMS)
        own = {name: curve for name, curve in every.items() if name.partition(":")[0].partition(",")[0] == dtype}
        for name, (n, values) in own.items():
            wide, median = "summed" in name, "median" in name
            axes.plot(
                n, values, color=COLOURS[2 if wide else 0], marker=MARKS[2 if wide else 0], markersize=4,
                linestyle=":" if median else "-", linewidth=1.4, gid=f"terms {name}",
                label=f"sums in {'float32, rounded once' if wide else 'the format'}: {name.partition(': ')[2]}",
            )  # fmt: skip
        axes.set_title(dtype, loc="left")
        scales(axes)
    panels[0].set_ylabel("error / S")
    figure.legend(*panels[-1].get_legend_handles_labels(), frameon=False, fontsize=9, loc="lower center", ncols=3)
    figure.tight_layout(rect=(0, 0.13, 1, 1))
    return figure


def draw_layer(points: Sequence[Point]) -> Any:
    """The largest errors of a layer in every arithmetic, beside both bounds of float32."""
    from matplotlib.figure import Figure  # noqa: PLC0415  as above

    figure = Figure(figsize=(10.4, 4.8), facecolor="none")
    axes = figure.subplots()
    bound(axes, "float32", [9 * c for c in CHANNELS])
    series(axes, points, "layer")
    scales(axes)
    axes.set_ylabel("largest error / S")
    axes.legend(frameon=False, fontsize=9, loc="center left", bbox_to_anchor=(1.0, 0.5))
    figure.tight_layout()
    return figure


def draw_bits(points: Sequence[Point]) -> Any:
    """The effective bits of the same outputs."""
    from matplotlib.figure import Figure  # noqa: PLC0415  as above

    figure = Figure(figsize=(10.4, 4.2), facecolor="none")
    axes = figure.subplots()
    series(axes, points, "bits")
    terms_below(axes)
    axes.set_ylabel("effective bits")
    axes.set_yticks(range(8, 25, 4))
    axes.legend(frameon=False, fontsize=9, loc="center left", bbox_to_anchor=(1.0, 0.5))
    figure.tight_layout()
    return figure


def bound(axes: Any, dtype: str, terms: Sequence[int]) -> None:
    """The proved and the probable limit of sums in a format."""
    u = bounds.FORMATS[dtype].u
    n = np.geomspace(terms[0], terms[-1], 60)
    proved = n[n * u < 0.999]
    axes.plot(proved, proved * u / (1 - proved * u), color=INK, linewidth=1.6, label="proved: γₙ(u)")
    axes.plot(n, 6 * np.sqrt(n) * u, color=FAINT, linewidth=1.6, linestyle="--", label="probable: 6 √n u")


def series(axes: Any, points: Sequence[Point], figure: str) -> None:
    """Every series of a figure with its own colour and mark."""
    for place, (name, (n, values)) in enumerate(curves(points, figure).items()):
        axes.plot(
            n, values, color=COLOURS[place], marker=MARKS[place], markersize=5, linewidth=1.4, label=name,
            gid=f"{figure} {name}",
        )  # fmt: skip


def scales(axes: Any) -> None:
    """Both axes in powers of ten."""
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(power)
    terms_below(axes)


def terms_below(axes: Any) -> None:
    """The number of terms along the bottom, in powers of ten."""
    axes.set_xscale("log")
    axes.set_xlabel("terms n")
    axes.xaxis.set_major_formatter(power)


def power(value: float, _: int) -> str:
    """A power of ten in characters: the texts of a figure are no formulas, so that a reader's own font shows them."""
    return "10" + str(round(np.log10(value))).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


DRAWN: dict[str, tuple[str, Callable[[Sequence[Point]], Any]]] = {
    "errors-terms": ("Errors of sums of n random products in three formats, and their bounds", draw_terms),
    "errors-layer": ("The largest error of a layer in eight arithmetics, and the bounds of float32", draw_layer),
    "errors-bits": ("The effective bits of a layer in eight arithmetics", draw_bits),
}
STYLE = """<style>
:root { --ink: #1b1f24; --faint: #6e7781; --band: #d8dee4; --page: #ffffff }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --faint: #9198a1; --band: #3d444d; --page: #131416 } }
text { font-family: system-ui, sans-serif }
</style><rect width="100%" height="100%" style="fill: var(--page)"/>"""


def drawn(points: Sequence[Point]) -> dict[str, str]:
    """Every figure as a file that stands by itself, in the reader's light or dark."""
    made = {}
    for name, (title, draw) in DRAWN.items():
        with look():
            text = str(svg(draw(points), name, title))
        namespaces = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
        head, tail = text.replace("<svg ", f"<svg {namespaces} ", 1).split(">", 1)
        made[name] = f"{head}>{STYLE}{tail}"
    return made


def main() -> None:
    """Measure, and draw what was written."""
    write(measure())
    for name, text in drawn(read()).items():
        (HERE / f"{name}.svg").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
