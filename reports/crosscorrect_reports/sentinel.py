"""What the machine itself did over a timed run: the times of the worker that always does the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from crosscorrect.speed import fitness
from crosscorrect.speed.model import Role
from crosscorrect_reports.drawing import BAND, FAINT, INK, Figure, look, svg
from crosscorrect_reports.marks import WIDTH
from crosscorrect_reports.text import plural

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from markupsafe import Markup

    from crosscorrect_reports.timed import Timed

    Array = np.ndarray[Any, Any]

COLUMNS = ("restart", "problem", "part", "sentinel", "median", "25 %", "75 %", "step", "chance")
NUMERIC = frozenset({"median", "25 %", "75 %", "step", "chance"})
LOOKS: dict[str, tuple[str, Any]] = {Role.COMPUTE: (INK, "-"), Role.STREAMING: (FAINT, (0, (3, 1.5)))}
NAMES: dict[str, str] = {Role.COMPUTE: "products of matrices", Role.STREAMING: "copies of 4 MiB"}


def timeline(timed: Timed) -> list[Figure]:
    """The sentinel over the run, in the order in which the problems were timed; nothing where it has no samples."""
    # restarts follow each other, unless runs were put together
    trials = sorted(timed.sequence, key=lambda trial: trial.restart)
    found = {role: np.array([_quantiles(t.sentinel.get(role)) for t in trials]).reshape(-1, 3) for role in LOOKS}
    found = {role: times for role, times in found.items() if np.isfinite(times).any()}
    if not found:
        return []
    relative = {role: times / np.nanmedian(times[:, 0]) for role, times in found.items()}
    said = " ".join(
        f"The {NAMES[role]} took from {_percent(np.nanmin(times[:, 0]))} to {_percent(np.nanmax(times[:, 0]))} of "
        "their own median."
        for role, times in relative.items()
    )
    title = "The sentinel over the run"
    lead = (
        f"{said} This worker always does the same, so that a line which is not level is the machine's doing; a ribbon "
        "holds the middle half of the rounds. Turns cancel what is the same for all who take them."
    )
    restarts = [trial.restart for trial in trials]
    drawing = _draw(relative, restarts, f"{title}: {said}")
    rows = [row for number, trial in enumerate(trials) for row in _rows(trial, number, relative)]
    cut = f"{plural(len(trials), 'problem')} in all restarts"
    return [Figure("speed-sentinel", title, lead, drawing, COLUMNS, rows, NUMERIC, cut)]


def _quantiles(samples: fitness.Samples | None) -> tuple[float, ...]:
    times = np.array([]) if samples is None else samples.times[~np.isnan(samples.wall)]
    return tuple(float(v) for v in np.quantile(times, [0.5, 0.25, 0.75])) if len(times) else (np.nan,) * 3


def _percent(value: float) -> str:
    return f"{100 * value:.0f} %"


def _draw(relative: Mapping[str, Array], restarts: Sequence[int], title: str) -> Markup:
    from matplotlib.figure import Figure as Sheet  # noqa: PLC0415  half a second that only a page with figures needs

    with look():
        figure = Sheet(figsize=(WIDTH, 1.75), facecolor="none")
        axes = figure.add_axes((0.055, 0.17, 0.94, 0.66))
        x = np.arange(len(restarts))
        for role, times in relative.items():
            colour, line = LOOKS[role]
            axes.fill_between(x, times[:, 1], times[:, 2], color=colour, alpha=0.14, linewidth=0)
            axes.plot(x, times[:, 0], color=colour, linestyle=line, linewidth=1.2, label=NAMES[role])
        begins = [n for n in range(len(restarts)) if not n or restarts[n] != restarts[n - 1]]
        for begin in begins[1:]:
            axes.axvline(begin - 0.5, color=BAND, linewidth=1.2, zorder=0)
        axes.set_xticks(begins, [f"restart {restarts[n] + 1}" for n in begins], fontsize=8.5, ha="left")
        axes.tick_params(axis="x", length=0)
        axes.tick_params(axis="y", labelsize=8.5)
        axes.axhline(1, color=BAND, linewidth=1, zorder=0)
        axes.yaxis.set_major_formatter(lambda value, _: _percent(value))
        axes.set_xlim(-0.5, len(restarts) - 0.5)
        axes.legend(
            loc="lower left", bbox_to_anchor=(-0.005, 0.98), ncols=2, fontsize=8, frameon=False, labelcolor=INK,
            borderaxespad=0.2,
        )  # fmt: skip
        return svg(figure, "sentinel", title)


def _rows(trial: Any, number: int, relative: Mapping[str, Array]) -> list[list[str]]:
    rows = []
    for role, times in relative.items():
        if role in trial.sentinel:
            step, chance = fitness.drift(trial.sentinel[role].times)
            shares = [f"{100 * v:.1f} %" for v in times[number]]
            last = [f"{100 * step:.1f} %", f"{100 * chance:.1f} %"]
            rows.append([str(trial.restart + 1), *trial.subject, role, *shares, *last])
    return rows
