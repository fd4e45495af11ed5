"""What the figures of speed share: how an arm is drawn, axes of times and of ratios, and the legend."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from crosscorrect.speed.model import Role
from crosscorrect_reports.drawing import BAND, FAINT, INK, PAPER
from crosscorrect_reports.speeds import duration
from crosscorrect_reports.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from crosscorrect.speed.model import Who
    from crosscorrect_reports.timed import Timed

WIDTH = 10.4
"""Inches of every figure: the width of the page's column."""
STEPS = (1.01, 1.02, 1.05, 1.1, 1.2, 1.5, *(m * 10.0**e for e in range(7) for m in (2, 3, 5, 10)))
"""Where a ratio's axis may have a tick, beside 1 and on both sides of it."""
BEHIND = {"facecolor": PAPER, "edgecolor": "none", "pad": 1.0}
"""Keeps what is drawn from running through a text."""
LEGEND, ROW = 0.18, 175
"""Inches of a row of a legend, and how many characters it has."""
LONGEST = 34
"""How many characters of a name fit beside an axis."""


def style(timed: Timed, who: Who) -> dict[str, Any]:
    """How an arm's mark looks; one that is not eager has a dark edge, and the twin is a dark stroke."""
    if who.role is Role.TWIN:
        return {"color": INK, "marker": "|", "markeredgecolor": INK, "markeredgewidth": 1.6}
    colour, marker = timed.looks[who.framework]
    edge = colour if who.mode == "eager" else INK
    return {"color": colour, "marker": marker, "markeredgecolor": edge, "markeredgewidth": 1.0}


def line_of(who: Who) -> Any:
    """The line style of an arm: one that is not eager is dashed."""
    return "-" if who.mode == "eager" else (0, (4, 1.5))


def sheet(
    timed: Timed, height: float, arms: Iterable[Who], more: Sequence[Any] = (), *, lines: bool = False
) -> tuple[Any, float]:
    """An empty figure with a legend along its top, and how many inches it is high: more where the legend takes rows.

    The legend names the arms, with ``lines`` where they are drawn as such, and after them the handles ``more``.
    """
    from matplotlib.figure import Figure  # noqa: PLC0415  half a second that only a page with figures needs
    from matplotlib.lines import Line2D  # noqa: PLC0415

    handles: list[Any] = [
        Line2D(
            [],
            [],
            linestyle=line_of(who) if lines else "none",
            markersize=6,
            label=_label(who.name),
            **style(timed, who),
        )
        for who in arms
    ]
    handles += more
    rows = max(1, math.ceil(sum(len(handle.get_label()) + 7 for handle in handles) / ROW))
    columns = max(1, math.ceil(len(handles) / rows))
    height += LEGEND * (rows - 1)
    figure = Figure(figsize=(WIDTH, height), facecolor="none")
    figure.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(0.0, 1.0),
        ncols=columns,
        fontsize=8,
        frameon=False,
        labelcolor=INK,
        borderaxespad=0,
        handletextpad=0.5,
        columnspacing=1.4,
    )
    return figure, height


def _label(name: str) -> str:
    """A name for a legend; matplotlib before 3.10 leaves out one that begins with an underscore."""
    text = one_line(name, LONGEST)
    return f" {text}" if text.startswith("_") else text


def handle(label: str, **look: Any) -> Any:
    """A legend's entry for what is no arm."""
    from matplotlib.lines import Line2D  # noqa: PLC0415  as above

    return Line2D([], [], label=label, **{"linestyle": "none", "markersize": 6, **look})


def patch(label: str) -> Any:
    """A legend's entry for a band."""
    from matplotlib.patches import Patch  # noqa: PLC0415  as above

    return Patch(facecolor=BAND, edgecolor=FAINT, linewidth=0.5, label=label)


def ratio_ticks(reach: float) -> tuple[list[float], list[str]]:
    """Places (logarithms) and texts of a ratio's ticks: 1, and the same steps on both sides of it within ``reach``."""
    steps: list[float] = []
    for step in reversed([s for s in STEPS if math.log(s) <= reach]):
        if all(math.log(kept / step) >= 0.13 * reach for kept in steps) and math.log(step) >= 0.13 * reach:
            steps.append(step)
    steps.reverse()
    places = [-math.log(s) for s in reversed(steps)] + [0.0] + [math.log(s) for s in steps]
    texts = [f"1/{s:g}" for s in reversed(steps)] + ["1"] + [f"{s:g}" for s in steps]
    return places, texts


def reach_of(values: Iterable[float | None], margin: float) -> float:
    """How far from 1 a ratio's axis must go, as a logarithm, to show these; what is infinite runs out of it."""
    finite = [abs(math.log(v)) for v in values if v is not None and 0 < v < math.inf]
    return 1.08 * max([*finite, math.log1p(3 * margin)])


def time_axis(axes: Any, which: str = "y") -> None:
    """A logarithmic axis of seconds whose ticks have units."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator  # noqa: PLC0415  as above

    getattr(axes, f"set_{which}scale")("log")
    axis = getattr(axes, f"{which}axis")
    low, high = axis.get_view_interval()
    decades = math.log10(high / low) if 0 < low < high else 1.0
    if decades < 0.7:  # too few round numbers of one digit
        axis.set_major_locator(_between(low, high))
    else:
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if decades < 2.5 else (1.0,), numticks=20))
    axis.set_major_formatter(FuncFormatter(lambda value, _: duration(value)))
    axis.set_minor_locator(NullLocator())
    axis.set_minor_formatter(NullFormatter())


def _between(low: float, high: float) -> Any:
    from matplotlib.ticker import FixedLocator, MaxNLocator  # noqa: PLC0415  as above

    return FixedLocator([float(v) for v in MaxNLocator(4).tick_values(low, high) if low <= v <= high])


def dots(axes: Any, x: Any, y: Any, colour: str, size: float, alpha: float = 0.6) -> None:
    """Draw many points as one path, in data coordinates, each a stroke without a length.

    A marker each would be three times the bytes.
    """
    from matplotlib.patches import PathPatch  # noqa: PLC0415  as above
    from matplotlib.path import Path  # noqa: PLC0415  as above

    points = np.column_stack([x, y]).astype(float)
    points = points[np.isfinite(points).all(axis=1)]
    if not len(points):
        return
    codes = np.tile([Path.MOVETO, Path.LINETO], len(points)).astype(np.uint8)
    path = Path(np.repeat(points, 2, axis=0), codes)
    path.should_simplify = False
    axes.add_patch(
        PathPatch(path, facecolor="none", edgecolor=colour, linewidth=size, capstyle="round", alpha=alpha, zorder=2)
    )


def no_ticks() -> Any:
    """A locator of nothing."""
    from matplotlib.ticker import NullLocator  # noqa: PLC0415  as above

    return NullLocator()
