"""The forest plot: each comparison's ratio to the reference with its interval, beside the margin and the twin."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from crosscorrect.speed.model import Role, Speed
from crosscorrect_reports.drawing import BAND, FAINT, INK, PAPER, Figure, look, svg
from crosscorrect_reports.families import families
from crosscorrect_reports.marks import BEHIND, LONGEST, handle, patch, ratio_ticks, reach_of, sheet, style
from crosscorrect_reports.speeds import STYLES, digits, interval
from crosscorrect_reports.text import one_line, plural

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from markupsafe import Markup

    from crosscorrect.speed.model import Comparison, Who
    from crosscorrect_reports.families import Family
    from crosscorrect_reports.timed import Subject, Timed


MOST_LINES = 64
"""How many lines a figure has at most, unless one case has more."""
PITCH, TOP, BOTTOM = 0.165, 0.32, 0.6
"""Inches of a line, of the legend above and of the axis below."""
LEFT, RIGHT = 0.225, 0.755
"""Where the axis begins and ends, as shares of the width."""
BETWEEN = 0.4
"""Lines that are left free between problems."""
CHARACTERS = 33
"""How many fit to the left of the axis."""
COLUMNS = (
    *("problem", "part", "framework", "ratio", "low", "high", "resampled low", "resampled high"),
    *("resolution", "restarts", "verdict", "reason"),
)
NUMERIC = frozenset({"ratio", "low", "high", "resampled low", "resampled high", "resolution", "restarts"})


@dataclass(slots=True)
class Head:
    """A line that names a case, or a problem whose name is long. ``y`` is its place, in lines from the top."""

    text: str
    strong: bool = True
    y: float = 0.0


@dataclass(slots=True)
class Mark:
    """A line with one comparison, or the mean of several; the first of a problem names it in ``about``."""

    who: Who
    about: str
    ratio: float | None
    low: float | None
    high: float | None
    speed: Speed | None
    said: str
    resolution: float | None = None
    y: float = 0.0


Line = Head | Mark


def forests(timed: Timed) -> list[Figure]:
    """The forest plot of a run in as many figures as it needs, cut between cases."""
    found = families(timed)
    figures = []
    for number, cases in enumerate(_parts(timed)):
        names = [case.partition("/")[2] or case for case in cases]
        subjects = [subject for own in cases.values() for subject in own]
        lines = [line for case, own in cases.items() for line in _lines(timed, case, own, found)]
        if not any(isinstance(line, Mark) for line in lines):
            continue
        rows = [timed.told[s.key, who] for s in subjects for who in _places(timed, s)]
        title = f"Time over {timed.reference.name}'s time: {_listed(names)}"
        lead = _finding(timed, rows)
        drawing = _draw(timed, lines, f"forest-{number}", f"{title}. {lead}")
        anchor = f"speed-ratios-{number}"
        data = [_row(row) for row in rows] + [_family_row(family) for case in cases for family in found.get(case, [])]
        figures.append(Figure(anchor, title, lead, drawing, COLUMNS, data, NUMERIC))
    return figures


HOW = (
    "A mark is the ratio and its line the 95 % interval over restarts, on a logarithmic axis symmetric about 1; the "
    "grey band is the margin. A filled mark ranks, a hollow one is inconclusive, and a cross in the lane on the right "
    "has no ratio that may be told. Nothing finer than the dotted lines is told, because the machine resolved no more "
    "then; and verdicts weigh all comparisons jointly, so that one interval beyond the band may not be enough. A "
    "stroke is the reference beside its own twin: what measuring alone does. Each figure has an axis of its own."
)


def _parts(timed: Timed) -> Iterator[dict[str, list[Subject]]]:
    """The cases, as many together as fit into a figure; never two suites."""
    part: dict[str, list[Subject]] = {}
    size, suite = 0, None
    for case, subjects in timed.cases().items():
        own = sum(len(_places(timed, subject)) + 1 for subject in subjects) + len(timed.arms)
        if part and (size + own > MOST_LINES or case.partition("/")[0] != suite):
            yield part
            part, size = {}, 0
        part[case], size, suite = subjects, size + own, case.partition("/")[0]
    if part:
        yield part


def _places(timed: Timed, subject: Subject) -> list[Who]:
    """Whose comparisons a subject has: the arms, then the twin."""
    return [w for w in (*timed.arms, timed.twin) if w != timed.reference and (subject.key, w) in timed.told]


def _lines(timed: Timed, case: str, subjects: Sequence[Subject], found: Mapping[str, list[Family]]) -> Iterator[Line]:
    title = next((s.title for s in subjects if s.title), "")
    yield Head(f"{case}: {title}" if title else case)
    for subject in subjects:
        places = _places(timed, subject)
        is_long = bool(places) and len(subject.label) + len(places[0].name) > CHARACTERS - 2
        if is_long:
            yield Head(subject.label, strong=False)
        for place, who in enumerate(places):
            row = timed.told[subject.key, who]
            about = "" if place or is_long else subject.label
            said = tooltip(timed, subject, row)
            yield Mark(who, about, row.ratio, row.low, row.high, row.speed, said, row.resolution)
    label = ""
    for family in found.get(case, []):
        about, label = "" if family.label == label else family.label, family.label
        ratio = family.ratio
        said = f"{label}, {family.who.name}: {interval(ratio.value, ratio.low, ratio.high)}"
        said += f", {plural(ratio.restarts, 'restart')}"
        yield Mark(family.who, about, ratio.value, ratio.low, ratio.high, None, said)


def _placed(lines: Sequence[Line]) -> float:
    """Give each line its place; how many lines they come to."""
    y = -0.5
    for place, line in enumerate(lines):
        is_first = isinstance(line, Mark) and line.about and isinstance(lines[place - 1], Mark)
        is_head = isinstance(line, Head) and (line.strong or isinstance(lines[place - 1], Mark))
        y += 0.5 + (BETWEEN if is_first or (is_head and place) else 0.0)
        line.y = y
        y += 0.5
    return y + 0.5


def tooltip(timed: Timed, subject: Subject, row: Comparison) -> str:
    """What a pointer over a comparison is told."""
    who = f"{subject.name}, {row.framework} {row.mode}"
    if row.ratio is None:
        return f"{who}: {row.speed}: {row.message}"
    said = f"{who}: {interval(row.ratio, row.low, row.high)} times {timed.reference.name}'s time, {row.speed}"
    said += f"; {row.restarts} of {timed.bench['budget']['restarts']} restarts were fit"
    return said + (f"; {row.message}" if row.message else "") + (f"; {row.suspect}" if row.suspect else "")


def _finding(timed: Timed, rows: Sequence[Comparison]) -> str:
    """What a figure shows, in words."""
    said = []
    for who in timed.arms:
        own = [r for r in rows if r.role is Role.ARM and (r.framework, r.mode, r.device) == who[:3]]
        counts = Counter(row.speed for row in own)
        if own and who != timed.reference:
            said.append(f"{who.name} {', '.join(f'{counts[speed]} {speed}' for speed in Speed if counts[speed])}")
    twins = [row for row in rows if row.role is Role.TWIN and row.low is not None and row.high is not None]
    if twins:
        held = sum(row.low <= 1 <= row.high for row in twins)  # type: ignore[operator]
        said.append(f"{held} of {len(twins)} intervals of the twin hold 1")
    return "; ".join(said) + "."


def _listed(names: Sequence[str]) -> str:
    shown = [one_line(name, LONGEST) for name in names[:6]]
    return ", ".join(shown) + (f" and {len(names) - 6} more" if len(names) > 6 else "")


def _draw(timed: Timed, lines: Sequence[Line], name: str, title: str) -> Markup:
    count = _placed(lines)
    said: dict[str, str] = {}
    margin = next(iter(timed.told.values())).margin
    with look():
        arms = [who for who in timed.arms if who != timed.reference]
        figure, height = sheet(timed, TOP + BOTTOM + PITCH * count, arms, _legend(margin))
        axes = figure.add_axes((LEFT, BOTTOM / height, RIGHT - LEFT, PITCH * count / height))
        marks = [line for line in lines if isinstance(line, Mark)]
        reach = reach_of([v for m in marks for v in (m.ratio, m.low, m.high)], margin)
        axes.set_xlim(-reach, reach)
        axes.set_ylim(count - 0.5, -0.5)
        _ground(axes, lines, margin, reach)
        for number, line in enumerate(lines):
            at = (BOTTOM + PITCH * (count - line.y - 0.5)) / height
            if isinstance(line, Head):
                text, x, weight = one_line(line.text, 110), *((0.004, "bold") if line.strong else (0.014, "normal"))
                figure.text(x, at, text, fontsize=8.5, fontweight=weight, va="center", bbox=BEHIND)
                continue
            said[f"m{number}"] = line.said
            _mark(timed, axes, line, reach, f"m{number}")
            _texts(figure, at, line)
        return svg(figure, name, title, said)


def _ground(axes: Any, lines: Sequence[Any], margin: float, reach: float) -> None:
    across = axes.get_yaxis_transform()
    axes.axvspan(-math.log1p(margin), math.log1p(margin), color=BAND, linewidth=0, zorder=0)
    axes.axvline(0, color=FAINT, linewidth=1, zorder=1)
    reached = (-LEFT / (RIGHT - LEFT), 1 + (1 - RIGHT) / (RIGHT - LEFT))
    for line in lines[1:]:
        if isinstance(line, Head) and line.strong:
            axes.plot(reached, [line.y - 0.6] * 2, color=BAND, linewidth=1, transform=across, clip_on=False, zorder=0)
    places, texts = ratio_ticks(reach)
    axes.set_xticks(places, texts, fontsize=8.5)
    axes.grid(visible=True, axis="x", color=BAND, linewidth=0.7, zorder=0)
    axes.set_axisbelow(True)
    axes.tick_params(left=False, labelleft=False)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("← faster  ·  time over the reference's time  ·  slower →", fontsize=8.5)


def _mark(timed: Timed, axes: Any, line: Mark, reach: float, gid: str) -> None:
    """Draw one comparison: mark and interval, or a cross in the lane on the right where there is no ratio."""
    looks = style(timed, line.who)
    if line.who.role is Role.TWIN:
        looks["color"] = FAINT
    if line.ratio is None or line.low is None or line.high is None:
        cross = {Speed.UNFIT: "x", Speed.WRONG: "X"}.get(line.speed or Speed.UNFIT, "_")
        drawn = {"color": looks["color"], "marker": cross, "markersize": 5.5, "markeredgewidth": 1.6}
        axes.plot([1.015], [line.y], transform=axes.get_yaxis_transform(), clip_on=False, gid=gid, **drawn)
        return
    low, value, high = (math.log(line.low) if line.low > 0 else -math.inf), math.log(line.ratio), math.log(line.high)
    ends = [max(low, -reach), value, min(high, reach)]
    if line.speed is None:  # a mean: a diamond as wide as its interval
        xs, ys = [ends[0], value, ends[2], value], [line.y, line.y - 0.32, line.y, line.y + 0.32]
        axes.fill(xs, ys, facecolor=looks["color"], edgecolor=looks["color"], linewidth=1, zorder=3, gid=gid)
        return
    if line.resolution and line.who.role is Role.ARM:
        finest = math.log1p(line.resolution)
        dotted = {"colors": FAINT, "linewidth": 0.9, "linestyles": [(0, (1, 1.6))], "zorder": 1}
        axes.vlines([-finest, finest], line.y - 0.5, line.y + 0.5, **dotted)
    if line.speed is Speed.INCONCLUSIVE and line.who.role is Role.ARM:
        looks["markerfacecolor"] = PAPER
    size = 7 if line.who.role is Role.TWIN else 5.5
    axes.plot(ends, [line.y] * 3, markevery=[1], linewidth=1.5, markersize=size, zorder=3, gid=gid, **looks)
    for end, arrow, limit in ((low, "<", -reach), (high, ">", reach)):
        if not -reach <= end <= reach:
            axes.plot([limit], [line.y], marker=arrow, color=looks["color"], markersize=4, clip_on=False)


def _texts(figure: Any, y: float, line: Mark) -> None:
    name = one_line(line.who.name, CHARACTERS - 12)
    figure.text(LEFT - 0.008, y, name, fontsize=8, va="center", ha="right")
    figure.text(0.014, y, one_line(line.about, CHARACTERS - len(name) - 1), fontsize=8, va="center")
    figure.text(0.89, y, interval(line.ratio, line.low, line.high), fontsize=8, va="center", ha="right")
    if line.speed is not None and (line.who.role is Role.ARM or line.ratio is None):
        glyph, _ = STYLES[line.speed]
        figure.text(0.9, y, f"{glyph} {line.speed}", fontsize=8, va="center")


def _legend(margin: float) -> list[Any]:
    return [
        handle("twin (A/A)", marker="|", color=INK, markersize=8, markeredgewidth=1.6),
        handle("inconclusive", marker="o", markerfacecolor=PAPER, markeredgecolor=FAINT),
        handle("no ratio", marker="x", color=FAINT, markeredgewidth=1.6),
        handle("geometric mean", marker="d", color=FAINT),
        handle("resolved then", linestyle=(0, (1, 1.6)), color=FAINT),
        patch(f"margin ±{100 * margin:.3g} %"),
    ]


def _row(row: Comparison) -> list[str]:
    numbers = (row.ratio, row.low, row.high, row.resampled_low, row.resampled_high)
    resolution = "" if row.resolution is None else f"±{row.resolution:.1%}".replace("%", " %")
    name = f"{row.framework} {row.mode} {row.device}" + (" (twin)" if row.role is Role.TWIN else "")
    restarts = str(row.restarts) if row.ratio is not None else ""
    ends = (resolution, restarts, str(row.speed), row.message)
    return [row.problem, row.part, name, *(digits(v, row.low, row.high) for v in numbers), *ends]


def _family_row(family: Family) -> list[str]:
    ratio, who = family.ratio, family.who
    numbers = (ratio.value, ratio.low, ratio.high, *ratio.resampled)
    shown = [digits(v, ratio.low, ratio.high) for v in numbers]
    name = f"{who.framework} {who.mode} {who.device}"
    return [family.case, family.label, name, *shown, "", str(ratio.restarts), "", "no verdict: a summary"]
