"""The figure of errors against bounds: how near each framework comes to what rounding may do, by dtype."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup

from crosscorrect.model import Outcome
from crosscorrect_reports.drawing import BAND, FAINT, INK, Figure, look, svg
from crosscorrect_reports.outcomes import looks
from crosscorrect_reports.text import number

if TYPE_CHECKING:
    import pandas as pd

    from crosscorrect.store import Run

    Array = np.ndarray[Any, Any]

MOST_PANELS = 4
"""So many dtypes have a panel, those with the most checks; the table has all."""
REACH = (1e-300, 1e300)
"""From where to where an axis can go: a logarithm beyond is not drawn."""
STEPS = 24
"""Marks of one framework that are nearer than a 24th of a decade are one mark: no eye tells more apart."""
COLUMNS = ("dtype", "framework", "checks", "exact", "median error / bound", "largest error / bound", "above the bound")


def errors(run: Run) -> Figure | None:
    """Return the figure, or None where no check has an error and a bound.

    The bound of a check is its largest error over its largest ratio of error to bound: that of the element which came
    nearest to it, or of one with a larger error. What failed without a finite ratio (exact data, a shape, NaN) has no
    mark, and is counted.
    """
    table = run.checks[["framework", "dtype", "outcome", "error", "ratio"]]
    failed = int((table["outcome"] == Outcome.FAIL).sum())
    table = table[table["ratio"].notna() & table["error"].notna()]
    if not len(table):
        return None
    finite = np.isfinite(table["ratio"].to_numpy(float)) & np.isfinite(table["error"].to_numpy(float))
    inexact = table[finite & (table["ratio"] > 0).to_numpy() & (table["error"] > 0).to_numpy()]
    marked = int((inexact["outcome"] == Outcome.FAIL).sum())
    dtypes = [str(name) for name in inexact["dtype"].value_counts().index]
    frameworks = [name for name in run.info["frameworks"] if name in set(table["framework"].unique())]
    rows = _rows(table, frameworks)
    exact = int((table["ratio"] == 0).sum())
    lead = (
        "Each mark is a check: its bound across, its largest error up. In the grey is what rounding can do; above is a "
        "proof of a wrong answer. Lower precision, Winograd or FFT is a cloud of its own, nearer to the line; "
        "what lies far out is on the edge, on its own side of the line. "
    )
    lead = (lead if len(inexact) else "") + (
        f"Of {len(table)} checks with a bound {exact} are exact and have no mark. {failed} checks of the run failed"
        + (f", {failed - marked} of them without a mark: their error over bound is not finite." if failed else ".")
    )
    drawing = _drawing(inexact, dtypes[:MOST_PANELS], frameworks, len(table)) if len(inexact) else Markup()
    return Figure(
        "errors", "Error against bound", lead, drawing, COLUMNS, rows, frozenset(COLUMNS[2:]),
        "every check is in checks.csv",
    )  # fmt: skip


def _rows(table: pd.DataFrame, frameworks: list[str]) -> list[list[str]]:
    groups = {key: own.to_numpy(float) for key, own in table.groupby(["dtype", "framework"])["ratio"]}
    rows = []
    for dtype in table["dtype"].value_counts().index:
        for framework in frameworks:
            own = groups.get((dtype, framework), np.zeros(0))
            if len(own):
                inexact = own[own > 0]
                middle = number(float(np.median(inexact)), 2) if len(inexact) else "0"
                counts = (str(len(own)), str(len(own) - len(inexact)))
                largest = number(float(own.max()), 2)
                rows.append([str(dtype), framework, *counts, middle, largest, str(int((own > 1).sum()))])
    return rows


def _drawing(table: pd.DataFrame, dtypes: list[str], frameworks: list[str], total: int) -> Markup:
    from matplotlib.figure import Figure as Canvas  # noqa: PLC0415  half a second that only a page with figures needs

    with look():
        canvas = Canvas(figsize=(10.4, 3.9), facecolor="none")
        for place, dtype in enumerate(dtypes):
            axes = canvas.add_subplot(1, max(2, len(dtypes)), place + 1)
            _panel(axes, table[table["dtype"] == dtype], dtype, frameworks)
            if place == 0:
                axes.set_ylabel("largest error")
                axes.legend(fontsize=8, frameon=False, loc="lower right", labelcolor=INK, handletextpad=0.2)
        canvas.subplots_adjust(left=0.075, right=0.995, bottom=0.14, top=0.92, wspace=0.28)
        return svg(canvas, "errors", f"Error against bound of {total} checks, by dtype and framework")


def _panel(axes: Any, table: pd.DataFrame, dtype: str, frameworks: list[str]) -> None:
    from matplotlib.ticker import LogLocator, NullLocator  # noqa: PLC0415  as above

    style = looks(frameworks)
    axes.autoscale(enable=False)  # the limits are set below; margins beside 300 decades are beyond any number
    ratios = table["ratio"].to_numpy(float)
    found = np.clip(table["error"].to_numpy(float), *REACH)
    with np.errstate(over="ignore", under="ignore"):
        bounds = np.clip(table["error"].to_numpy(float) / ratios, *REACH)
    left, right = _reach(bounds)
    low = min(_reach(found)[0], left)
    axes.fill_between([left, right], [left, right], [low, low], color=BAND, linewidth=0, zorder=0)
    axes.plot([left, right], [left, right], color=FAINT, linewidth=1.2, zorder=1)
    high = max(_reach(found)[1], right)
    for name in frameworks:
        own = (table["framework"] == name).to_numpy()
        across = np.clip(bounds[own], left, right)
        with np.errstate(over="ignore", under="ignore"):
            up = across * ratios[own]
        # a mark that is moved to an edge stays on its side of the line, which is what it tells
        up = np.where(ratios[own] > 1, np.clip(up, across, high), np.clip(up, low, across))
        marks = np.column_stack([across, up])
        marks = 10 ** (np.unique(np.round(np.log10(marks) * STEPS), axis=0) / STEPS)
        axes.plot(
            marks[:, 0], marks[:, 1], linestyle="none", marker=style[name][1], markersize=3.4, alpha=0.8,
            markerfacecolor=style[name][0], markeredgewidth=0, label=name, zorder=2, clip_on=False,
        )  # fmt: skip
    axes.set(xscale="log", yscale="log", xlim=(left, right), ylim=(low, high), xlabel="bound")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(numticks=4))
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(lambda value, _: f"1e{round(np.log10(value))}".replace("-", "−"))
    axes.set_title(dtype, loc="left", fontsize=10)


def _reach(values: Array) -> tuple[float, float]:
    """Return from where to where an axis goes: all values but the outermost hundredth, and room beside them."""
    low, high = np.quantile(values, [0.01, 0.99])
    return float(max(low / 10, values.min(), 2 * REACH[0]) / 2), float(min(high * 10, values.max(), REACH[1] / 2) * 2)
