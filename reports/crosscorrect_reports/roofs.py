"""The roofline: how fast each part was beside what the measured processors can do, by operations a byte."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from crosscorrect.speed import roofline
from crosscorrect.speed.cold import Range
from crosscorrect.speed.work import Work
from crosscorrect_reports.drawing import BAND, FAINT, INK, Figure, look, svg
from crosscorrect_reports.marks import BEHIND, handle, patch, sheet, style
from crosscorrect_reports.speeds import digits, interval
from crosscorrect_reports.text import plural

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from markupsafe import Markup

    from crosscorrect.speed.model import Comparison, Who
    from crosscorrect.speed.roofline import Ceilings
    from crosscorrect_reports.timed import Timed

GIGA = 1e9
COLUMNS = (
    *("problem", "part", "framework", "FLOP", "FLOP with padding", "byte", "FLOP a byte", "GFLOP/s", "least", "most"),
    *("attainable GFLOP/s", "share", "doubt"),
)
NUMERIC = frozenset(COLUMNS[3:12])
HOW = (
    "Operations a byte are counted without padding, and each array is moved once. A bar reaches from the least to the "
    "most of the restarts. Lines are what the sentinel reached on the same processors in the same run, products of "
    "matrices and copies of several sizes, grey their least to most; a dash is what a problem can reach by the "
    "bandwidth of its own size, and a ring marks a speed above 1.1 times that, which is doubted."
)


def rate(row: Comparison, time: Range | None) -> Range | None:
    """The operations a second of a comparison, without padding; None where it has no time or no fixed work."""
    if time is None or not row.flops or not row.bytes:
        return None
    return Range(row.flops / time.median, row.flops / time.most, row.flops / time.least)


def rooflines(timed: Timed) -> list[Figure]:
    """The roofline of a run that measured its ceilings and has problems of fixed work."""
    ceilings = roofline.ceilings(timed.run.samples)
    points = list(_points(timed))
    if ceilings is None or not points:
        return []
    restarts = _restarts(timed)
    reached = [(row.attainable, who, row) for who, row, _ in points if row.attainable is not None and not row.suspect]
    doubted = [row for _, row, _ in points if row.suspect]
    peak = Range(ceilings.peak, *_span([c.peak for c in restarts] or [ceilings.peak]))
    said = f"The peak was {_giga(peak)} GFLOP/s. "
    if reached:
        share, who, row = max(reached, key=lambda found: found[0])
        said += f"Nearest to what is attainable: {who.name} on {row.problem} {row.part}, {100 * share:.0f} %. "
    said += f"{plural(len(doubted), 'speed')} doubted." if doubted else "No speed is doubted."
    title = "Roofline: FLOP a second by FLOP a byte"
    drawing = _draw(timed, ceilings, restarts, points, f"{title}. {said}")
    rows = [_row(ceilings, row, who, time) for who, row, time in points]
    return [Figure("speed-roofline", title, said, drawing, COLUMNS, rows, NUMERIC)]


def _points(timed: Timed) -> Iterator[tuple[Who, Comparison, Range]]:
    for subject in timed.subjects:
        for who in timed.arms:
            row = timed.told.get((subject.key, who))
            found = rate(row, timed.seconds(subject.key, who)) if row is not None and who.device == "cpu" else None
            if row is not None and found is not None:
                yield who, row, found


def _restarts(timed: Timed) -> list[Ceilings]:
    """The ceilings by restart: their spread is the ceilings' own interval."""
    samples = timed.run.samples
    own = samples[samples["problem"] == ""]
    found = [roofline.ceilings(group) for _, group in own.groupby("restart")]
    return [ceilings for ceilings in found if ceilings is not None]


def _span(values: Sequence[float]) -> tuple[float, float]:
    return min(values), max(values)


def _giga(found: Range) -> str:
    return interval(*(value / GIGA for value in found))


def _draw(timed: Timed, ceilings: Ceilings, restarts: Sequence[Ceilings], points: Sequence[Any], title: str) -> Markup:
    said: dict[str, str] = {}
    with look():
        more = [
            handle("attainable", marker="_", color=INK, markersize=8),
            handle("doubted", marker="o", color=INK, markerfacecolor="none", markersize=8),
            patch("ceiling, least to most"),
        ]
        figure, height = sheet(timed, 5.2, timed.arms, more)
        axes = figure.add_axes((0.065, 0.52 / height, 0.925, 4.3 / height))
        axes.set_xscale("log")
        axes.set_yscale("log")
        intensities = [row.flops / row.bytes for _, row, _ in points]
        low, high = min(intensities) / 1.6, max([*intensities, ceilings.peak / min(ceilings.bandwidth.values())]) * 1.8
        axes.set_xlim(low, high)
        highest = max([ceilings.peak, *(found.most for *_, found in points)])
        axes.set_ylim(min(found.least for *_, found in points) / GIGA / 1.7, 3 * highest / GIGA)
        _ceilings(axes, ceilings, restarts, (low, high))
        for number, (who, row, found) in enumerate(points):
            x, gid = row.flops / row.bytes, f"p{number}"
            share = "" if row.attainable is None else f", {100 * row.attainable:.3g} % of what is attainable"
            said[gid] = f"{row.problem} {row.part}, {who.name}: {_giga(found)} GFLOP/s{share}. {row.suspect}".strip()
            _point(axes, timed, who, x, found, gid)
            if row.suspect:
                axes.plot([x], [found.median / GIGA], marker="o", markersize=12, color=INK, markerfacecolor="none")
        for row in {(row.problem, row.part): row for _, row, _ in points}.values():
            limit = ceilings.attainable(Work(row.flops or 0, row.padded or 0, row.bytes or 1)) / GIGA
            axes.plot([row.flops / row.bytes], [limit], marker="_", color=INK, markersize=7, markeredgewidth=1.1)
        axes.set_xlabel("floating-point operations a byte that must move", fontsize=8.5)
        axes.set_ylabel("GFLOP/s", fontsize=8.5)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.tick_params(labelsize=8.5)
        axes.grid(visible=True, color=BAND, linewidth=0.7, zorder=0)
        return svg(figure, "roofline", title, said)


def _ceilings(axes: Any, ceilings: Ceilings, restarts: Sequence[Ceilings], span: tuple[float, float]) -> None:
    """The peak, and a slope for each size that was copied, with their least and most of the restarts as bands."""
    x = np.geomspace(*span, 200)
    bandwidth = ceilings.bandwidth
    fastest, largest = max(bandwidth, key=lambda size: bandwidth[size]), max(bandwidth)
    peaks = [c.peak for c in restarts] or [ceilings.peak]
    for size in sorted(bandwidth):
        named = size in (fastest, largest)
        if named:
            rates = [c.bandwidth[size] for c in restarts if size in c.bandwidth] or [bandwidth[size]]
            least, most = np.minimum(min(peaks), x * min(rates)), np.minimum(max(peaks), x * max(rates))
            axes.fill_between(x, least / GIGA, most / GIGA, color=BAND, linewidth=0, zorder=0)
            if 3 * span[0] * bandwidth[size] < ceilings.peak:  # else too little of the slope is seen
                _say_slope(axes, size, Range(bandwidth[size], *_span(rates)), span[0], above=size == fastest)
        line = np.minimum(ceilings.peak, x * bandwidth[size]) / GIGA
        axes.plot(x, line, color=FAINT, linewidth=1.3 if named else 0.5, zorder=1)
    text = f"peak {_giga(Range(ceilings.peak, *_span(peaks)))} GFLOP/s"
    place = {"xytext": (-4, 4), "textcoords": "offset points", "ha": "right"}
    axes.annotate(text, (span[1], ceilings.peak / GIGA), fontsize=8, color=FAINT, **place)


def _say_slope(axes: Any, size: int, found: Range, begin: float, *, above: bool) -> None:
    """Write along a slope what it is; both axes have their limits already."""
    (left, right), (low, high), box = axes.get_xlim(), axes.get_ylim(), axes.get_window_extent()
    across, up = box.width / math.log(right / left), box.height / math.log(high / low)
    text = f"copies of {_bytes(size)}: {_giga(found)} GB/s"
    axes.annotate(
        text, (begin * 1.1, begin * 1.1 * found.median / GIGA), xytext=(0, 3 if above else -3),
        textcoords="offset points", fontsize=8, color=FAINT, rotation=math.degrees(math.atan2(up, across)),
        rotation_mode="anchor", va="bottom" if above else "top", bbox=BEHIND,
    )  # fmt: skip


def _bytes(moved: int) -> str:
    size = moved // 2  # each is read and written
    return f"{size // 2**20} MiB" if size >= 2**20 else f"{size // 2**10} KiB"


def _point(axes: Any, timed: Timed, who: Who, x: float, found: Range, gid: str) -> None:
    y = [value / GIGA for value in (found.least, found.median, found.most)]
    axes.plot([x] * 3, y, markevery=[1], linewidth=1.1, markersize=4.5, zorder=3, gid=gid, **style(timed, who))


def _row(ceilings: Ceilings, row: Comparison, who: Who, found: Range) -> list[str]:
    work = Work(row.flops or 0, row.padded or 0, row.bytes or 1)
    numbers = [digits(v / GIGA, found.least / GIGA, found.most / GIGA) for v in found]
    share = "" if row.attainable is None else f"{100 * row.attainable:.3g} %"
    amounts = [str(row.flops), str(row.padded), str(row.bytes), f"{work.flops / work.bytes:.3g}"]
    limit = f"{ceilings.attainable(work) / GIGA:.3g}"
    return [row.problem, row.part, who.name, *amounts, *numbers, limit, share, row.suspect]
