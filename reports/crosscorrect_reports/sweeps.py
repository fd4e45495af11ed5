"""Time against the one thing that a case varies: batch, channels, the side of the image or of the kernel."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from crosscorrect.speed.model import RANKS, Speed
from crosscorrect_reports.drawing import BAND, FAINT, PAPER, Figure, look, svg
from crosscorrect_reports.marks import handle, line_of, no_ticks, patch, sheet, style, time_axis
from crosscorrect_reports.speeds import digits, unit_of
from crosscorrect_reports.text import one_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from markupsafe import Markup

    from crosscorrect.speed.model import Who
    from crosscorrect_reports.timed import Subject, Timed

FEWEST, PANELS = 3, 4
"""How many points a line needs, and how many panels a figure has."""
AXES = {"batch": "batch", "channels": "input channels", "image": "side of the image", "kernel": "side of the kernel"}
"""What may be varied, and what its axis is called."""
COLUMNS = ("case", "part", "varied", "value", "framework", "time", "least", "most", "unit")
NUMERIC = frozenset({"value", "time", "least", "most"})
HOW = (
    "Both axes are logarithmic; a ribbon reaches from the least to the most of the restarts' medians around their "
    "median. Lines that are flat on the left show what a call costs whatever it computes."
)


@dataclass(frozen=True, slots=True)
class Sweep:
    """A case that varies one thing: its points in order, each a value and what was timed there."""

    case: str
    part: str
    axis: str
    points: list[tuple[float, Subject]]


def scaling(timed: Timed) -> list[Figure]:
    """How time grows with each thing that was varied one by one; nothing where nothing was."""
    found = sweeps(timed)
    figures = []
    for start in range(0, len(found), PANELS):
        part = found[start : start + PANELS]
        names = ", ".join(dict.fromkeys(AXES[sweep.axis] for sweep in part))
        crossed = [said for sweep in part for said in crossings(timed, sweep)]
        lead = " ".join(crossed) or "Nobody changes places with the reference where both are ranked."
        title = f"Time by {names}"
        drawing = _draw(timed, part, f"scaling-{start}", f"{title}. {lead}")
        rows = [row for sweep in part for row in _rows(timed, sweep)]
        figures.append(Figure(f"speed-scaling-{start // PANELS}", title, lead, drawing, COLUMNS, rows, NUMERIC))
    return figures


def sweeps(timed: Timed) -> list[Sweep]:
    """The cases in which one thing is varied and everything else the same."""
    found = []
    for case, subjects in timed.cases().items():
        for part in dict.fromkeys(subject.key[1] for subject in subjects):
            own = [subject for subject in subjects if subject.key[1] == part]
            own = [subject for subject in own if any(timed.seconds(subject.key, who) for who in timed.arms)]
            sizes = [_sizes(subject.about) for subject in own]
            if len(own) < FEWEST or not all(sizes):
                continue
            varied = {name for name in sizes[0] if len({size[name] for size in sizes}) > 1}
            axis = varied.pop() if len(varied) == 1 else ""
            values = [float(size[axis][0]) for size in sizes] if axis in AXES else []
            if len(set(values)) == len(own):
                points = sorted(zip(values, own, strict=True), key=lambda point: point[0])
                found.append(Sweep(case, part, axis, points))
    return found


def _sizes(about: Mapping[str, Any]) -> dict[str, tuple[Any, ...]]:
    """What a problem's sizes are, each in a tuple whose first is the one to draw; empty where they are not written."""
    arrays = about.get("arrays") or {}
    x, w = _shape(arrays.get("x")), _shape(arrays.get("w"))
    if not x or len(x) != len(w):
        return {}
    geometry = dict(about.get("geometry") or {})
    geometry.pop("padding", None)  # goes with the kernel
    rest = [about.get(name) for name in ("operation", "dtype", "spelling", "settings")]
    sizes = {"image": x[2:], "kernel": w[2:], "batch": x[:1], "channels": (x[1], w[0])} if len(x) > 2 else {}
    sizes = sizes or {"image": x, "kernel": w}
    return {**sizes, "rest": (json.dumps([geometry, *rest], sort_keys=True, default=str),)}


def _shape(array: Any) -> tuple[int, ...]:
    if isinstance(array, dict):
        return tuple(array.get("shape") or ())
    try:
        return np.shape(array) if isinstance(array, list) else ()
    except ValueError:  # rows of several lengths
        return ()


def crossings(timed: Timed, sweep: Sweep) -> list[str]:
    """Between which values an arm and the reference change places, by the verdicts that rank."""
    said = []
    for who in timed.arms:
        before: tuple[float, Speed] | None = None
        for value, subject in sweep.points:
            row = timed.told.get((subject.key, who))
            if who == timed.reference or row is None or row.speed not in RANKS or row.speed is Speed.EQUIVALENT:
                continue
            if before is not None and before[1] is not row.speed:
                said.append(
                    f"{who.name} is {before[1]} than {timed.reference.name} up to {before[0]:g} and {row.speed} from "
                    f"{value:g} {AXES[sweep.axis]} on: they cross in between."
                )
            before = value, row.speed
    return said


def _draw(timed: Timed, found: Sequence[Sweep], name: str, title: str) -> Markup:
    rows = (len(found) + 1) // 2
    drawn = 0.45 + 2.9 * rows
    with look():
        figure, height = sheet(timed, drawn, timed.arms, [_hollow(), patch("least to most")], lines=True)
        grid = figure.add_gridspec(
            rows, 2, left=0.065, right=0.995, top=(drawn - 0.55) / height, bottom=0.5 / height, hspace=0.45, wspace=0.16
        )
        for number, sweep in enumerate(found):
            axes = figure.add_subplot(grid[number // 2, number % 2])
            for who in timed.arms:
                _line(axes, timed, sweep, who)
            axes.set_xscale("log")
            time_axis(axes)
            values = [value for value, _ in sweep.points]
            axes.set_xticks(_apart(values), [f"{value:g}" for value in _apart(values)])
            axes.xaxis.set_minor_locator(no_ticks())
            axes.tick_params(labelsize=8.5)
            axes.grid(visible=True, color=BAND, linewidth=0.7, zorder=0)
            axes.set_xlabel(AXES[sweep.axis], fontsize=8.5, labelpad=2)
            axes.set_title(one_line(f"{sweep.case} {sweep.part}", 60), loc="left", fontsize=9, pad=4)
        return svg(figure, name, title)


def _hollow() -> Any:
    return handle("not fit to compare", marker="o", color=FAINT, markerfacecolor=PAPER)


def _line(axes: Any, timed: Timed, sweep: Sweep, who: Who) -> None:
    told = [(value, timed.seconds(subject.key, who)) for value, subject in sweep.points]
    there = [(value, time) for value, time in told if time is not None]
    if not there:
        return
    values = [value for value, _ in there]
    looks = style(timed, who)
    axes.plot(values, [time.median for _, time in there], linestyle=line_of(who), linewidth=1.5, markersize=5, **looks)
    unfit = [(value, time.median) for value, time in there if _is_unfit(timed, sweep, value, who)]
    if unfit:
        hollow = {**looks, "markerfacecolor": PAPER}
        axes.plot(*zip(*unfit, strict=True), linestyle="none", markersize=5, zorder=4, **hollow)
    lows, highs = [time.least for _, time in there], [time.most for _, time in there]
    axes.fill_between(values, lows, highs, color=looks["color"], alpha=0.22, linewidth=0)


def _is_unfit(timed: Timed, sweep: Sweep, value: float, who: Who) -> bool:
    key = next(subject.key for at, subject in sweep.points if at == value)
    return timed.told[key, who].speed is Speed.UNFIT


def _apart(values: Sequence[float]) -> list[float]:
    """Those whose texts do not touch on a logarithmic axis."""
    span = values[-1] / values[0] if values[0] > 0 else 1.0
    shown: list[float] = []
    for value in values:
        if not shown or value / shown[-1] >= span ** (1 / 14):
            shown.append(value)
    return shown


def _rows(timed: Timed, sweep: Sweep) -> list[list[str]]:
    told = {
        (value, who): time
        for value, subject in sweep.points
        for who in timed.arms
        if (time := timed.seconds(subject.key, who)) is not None
    }
    unit, factor = unit_of([time.median for time in told.values()])
    rows = []
    for (value, who), time in told.items():
        low, high = time.least * factor, time.most * factor
        cells = [digits(v * factor, low, high) for v in time]
        rows.append([sweep.case, sweep.part, AXES[sweep.axis], f"{value:g}", who.name, *cells, unit])
    return rows
