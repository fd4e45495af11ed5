"""Cold starts: what each framework takes from nothing, and after how many calls a slower start has paid off."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from crosscorrect.speed import cold
from crosscorrect.speed.cold import Range
from crosscorrect.speed.model import Phase
from crosscorrect_reports.drawing import BAND, FAINT, INK, PAPER, Figure, look, svg
from crosscorrect_reports.marks import BEHIND, LONGEST, line_of, no_ticks, sheet, style, time_axis
from crosscorrect_reports.speeds import about, duration
from crosscorrect_reports.text import one_line, slug

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from markupsafe import Markup

    from crosscorrect.speed.cold import Start
    from crosscorrect.speed.model import Key, Who
    from crosscorrect_reports.timed import Timed

MOST = 12
"""How many parts are drawn; the terminal and the table of samples have all."""
SHADES = {Phase.IMPORT: 0.14, Phase.PUT: 0.3, Phase.TRACE: 0.46, Phase.COMPILE: 0.66, Phase.FIRST: 0.9}
"""How dark each phase is drawn."""
WORDS = {Phase.PUT: "moving data", Phase.FIRST: "rest of the first call"}
LATEST = 1e9
COLUMNS = ("who", "phase", "median", "least", "most")
NUMERIC = frozenset(COLUMNS[2:])
HOW = (
    "On the left what comes once, up to the first answer; in each row the median of the restarts, and its least and "
    "most. On the right the time from the start of the import until so many calls are done, with the least and most as "
    "a ribbon; a ring is where the one who is done first changes. Nobody is ranked by these."
)


class Crossing(NamedTuple):
    """After how many calls who starts later is ahead: of the medians, and in each restart; None for never."""

    first: Who
    then: Who
    calls: int | None
    restarts: list[int | None]


def cold_starts(timed: Timed) -> list[Figure]:
    """A figure for each part that was started cold."""
    found = cold.starts(timed.run.samples)
    restarts = _by_restart(timed)
    figures: list[Figure] = []
    for key in list(dict.fromkeys(start.subject for start in found))[:MOST]:
        starts = [start for start in found if start.subject == key]
        crossed = _crossings(key, found, restarts)
        told = " ".join(_said(crossing) for crossing in crossed if crossing.calls is not None)
        title = f"Cold start: {' '.join(key)}"
        lead = told or "Nobody overtakes anybody."
        drawing = _draw(timed, starts, restarts, f"cold-{len(figures)}", f"{title}. {lead}")
        rows = [row for start in starts for row in _rows(start, restarts)] + [_crossing_row(c) for c in crossed]
        figures.append(Figure(f"speed-cold-{slug('-'.join(key))}", title, lead, drawing, COLUMNS, rows, NUMERIC))
    return figures


def _by_restart(timed: Timed) -> dict[tuple[Key, Who], list[Start]]:
    """Each start once for every restart, so that what is reckoned from several phases has an interval, too."""
    found: dict[tuple[Key, Who], list[Start]] = {}
    for _, own in timed.run.samples.groupby("restart"):
        for start in cold.starts(own):
            found.setdefault((start.subject, start.who), []).append(start)
    return found


def _crossings(key: Key, found: Sequence[Start], restarts: Mapping[tuple[Key, Who], Sequence[Start]]) -> list[Crossing]:
    told = []
    for crossing in cold.crossings([start for start in found if start.subject == key]):
        pairs = zip(restarts[key, crossing.first], restarts[key, crossing.then], strict=False)
        each = [_calls(one, other) for one, other in pairs]
        told.append(Crossing(crossing.first, crossing.then, crossing.calls, each))
    return told


def _calls(first: Start, then: Start) -> int | None:
    """After how many calls ``then`` is ahead for good, of one restart."""
    (crossing,) = cold.crossings([first, then])
    if crossing.then == then.who:
        return crossing.calls
    return 1 if crossing.calls is None else None  # it started sooner there


def _said(crossing: Crossing) -> str:
    said = f"{crossing.then.name} overtakes {crossing.first.name} after about {about(crossing.calls or 1)} calls"
    return f"{said} [{_least(crossing)}, {_most(crossing)}]."


def _least(crossing: Crossing) -> str:
    return about(min((calls for calls in crossing.restarts if calls is not None), default=None))


def _most(crossing: Crossing) -> str:
    never = any(calls is None for calls in crossing.restarts)
    return "never" if never else about(max((c for c in crossing.restarts if c is not None), default=None))


def _draw(
    timed: Timed, starts: Sequence[Start], restarts: Mapping[tuple[Key, Who], Sequence[Start]], name: str, title: str
) -> Markup:
    drawn = max(3.1, 1.15 + 0.42 * len(starts))
    with look():
        figure, height = sheet(timed, drawn, [start.who for start in starts], lines=True)
        low, tall = 0.5 / height, (drawn - 0.98) / height
        bars = figure.add_axes((0.15, low, 0.38, tall))
        curves = figure.add_axes((0.625, low, 0.355, tall))
        _bars(bars, starts, restarts)
        _curves(curves, timed, starts, restarts)
        return svg(figure, name, title)


def _stack(start: Start) -> dict[Phase, float]:
    """The phases one after the other: what is traced and compiled is taken off the first call."""
    times = {phase: found.median for phase, found in start.phases.items()}
    inside = times.get(Phase.TRACE, 0.0) + times.get(Phase.COMPILE, 0.0)
    return {**times, Phase.FIRST: max(0.0, times[Phase.FIRST] - inside)}


def _bars(axes: Any, starts: Sequence[Start], restarts: Mapping[tuple[Key, Who], Sequence[Start]]) -> None:
    longest = max(start.total(1) for start in starts)
    for place, start in enumerate(starts):
        begin = 0.0
        for phase, time in _stack(start).items():
            axes.barh(place, time, left=begin, height=0.56, color=INK, alpha=SHADES[phase], linewidth=0)
            if time > 0.2 * longest:
                # the darkest are written on in the paper's colour
                colour = PAPER if SHADES[phase] > 0.5 else INK
                text = f"{phase} {duration(time)}"
                axes.text(begin + time / 2, place, text, ha="center", va="center", fontsize=7.5, color=colour)
            begin += time
        total = _total(start, restarts)
        text = f"{duration(total.median)} [{duration(total.least)}, {duration(total.most)}]"
        axes.text(begin + 0.012 * longest, place - 0.13, text, va="center", fontsize=7.5)
        steady = f"then {duration(start.steady.median)} a call"
        axes.text(begin + 0.012 * longest, place + 0.2, steady, va="center", fontsize=7.5, color=FAINT)
    axes.set_yticks(range(len(starts)), [one_line(start.who.name, LONGEST) for start in starts], fontsize=8.5)
    axes.set_ylim(len(starts) - 0.4, -0.6)
    axes.set_xlim(0, 1.42 * longest)
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", labelsize=8.5)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g} s")
    shades = [_swatch(phase) for phase in SHADES]
    axes.legend(
        handles=shades, loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=5, fontsize=7.5, frameon=False,
        handlelength=1.0, handletextpad=0.4, columnspacing=0.9, labelcolor=INK,
    )  # fmt: skip


def _swatch(phase: Phase) -> Any:
    from matplotlib.patches import Patch  # noqa: PLC0415  as above

    return Patch(facecolor=INK, alpha=SHADES[phase], linewidth=0, label=WORDS.get(phase, str(phase)))


def _total(start: Start, restarts: Mapping[tuple[Key, Who], Sequence[Start]]) -> Range:
    own = [one.total(1) for one in restarts.get((start.subject, start.who), ())]
    return Range(start.total(1), min([*own, start.total(1)]), max([*own, start.total(1)]))


def _curves(
    axes: Any, timed: Timed, starts: Sequence[Start], restarts: Mapping[tuple[Key, Who], Sequence[Start]]
) -> None:
    crossed = [c.calls for c in cold.crossings(starts) if c.calls is not None]
    calls = np.geomspace(1, min(LATEST, 20 * max([*crossed, 50_000])), 160)
    totals = []
    for start in starts:
        looks = style(timed, start.who)
        line = start.total(1) + (calls - 1) * start.steady.median
        totals.append(line)
        axes.plot(calls, line, color=looks["color"], linestyle=line_of(start.who), linewidth=1.6, zorder=3)
        axes.plot(calls[::40], line[::40], linestyle="none", markersize=4.5, zorder=3, **looks)
        each = [o.total(1) + (calls - 1) * o.steady.median for o in restarts.get((start.subject, start.who), ())]
        if len(each) > 1:
            low, high = np.min(each, axis=0), np.max(each, axis=0)
            axes.fill_between(calls, low, high, color=looks["color"], alpha=0.2, linewidth=0, zorder=2)
    leader = np.argmin(totals, axis=0)
    for place in np.flatnonzero(np.diff(leader)):
        one, other = starts[leader[place]], starts[leader[place + 1]]
        (crossing,) = cold.crossings([one, other])
        if crossing.calls is not None:
            at = (crossing.calls, one.total(crossing.calls))
            axes.plot(*at, marker="o", markersize=10, markerfacecolor="none", markeredgecolor=INK, zorder=4)
            is_far = np.log(crossing.calls) > 0.6 * np.log(calls[-1])
            axes.annotate(
                f"{about(crossing.calls)} calls", at, xytext=(-8, 7) if is_far else (8, -7), textcoords="offset points",
                fontsize=8, ha="right" if is_far else "left", va="bottom" if is_far else "top", bbox=BEHIND,
            )  # fmt: skip
    axes.set_xscale("log")
    time_axis(axes)
    axes.tick_params(labelsize=8.5)
    axes.xaxis.set_major_formatter(lambda value, _: _thousands(value))
    axes.xaxis.set_minor_locator(no_ticks())
    axes.grid(visible=True, color=BAND, linewidth=0.7, zorder=0)
    axes.set_xlabel("calls", fontsize=8.5, labelpad=2)
    axes.set_title("time until so many calls are done", loc="left", fontsize=8.5, pad=4, color=FAINT)


def _thousands(value: float) -> str:
    names = ((1e9, "G"), (1e6, "M"), (1e3, "k"))
    return next((f"{value / size:g} {name}" for size, name in names if value >= size), f"{value:g}")


def _rows(start: Start, restarts: Mapping[tuple[Key, Who], Sequence[Start]]) -> list[list[str]]:
    total = _total(start, restarts)
    times = {**{str(phase): found for phase, found in start.phases.items()}, "until the first answer": total}
    times["steady"] = start.steady
    return [[start.who.name, phase, *(duration(value) for value in found)] for phase, found in times.items()]


def _crossing_row(crossing: Crossing) -> list[str]:
    who = f"{crossing.then.name} overtakes {crossing.first.name}"
    if crossing.calls is None and all(calls is None for calls in crossing.restarts):
        return [who, "calls", "never", "", ""]
    middle = "never" if crossing.calls is None else about(crossing.calls)
    return [who, "calls", middle, _least(crossing), _most(crossing)]
