"""Samples as they came: each round over all restarts, and beside it how they are spread, on the same axis of time."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from crosscorrect.speed import fitness
from crosscorrect.speed.model import Role, Speed
from crosscorrect_reports.drawing import BAND, FAINT, INK, Figure, look, svg
from crosscorrect_reports.marks import dots, handle, line_of, patch, sheet, style, time_axis
from crosscorrect_reports.speeds import duration
from crosscorrect_reports.text import one_line, plural, slug
from crosscorrect_reports.timed import who_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markupsafe import Markup

    from crosscorrect.speed.model import Comparison, Who
    from crosscorrect.speed.readings import Trial
    from crosscorrect_reports.timed import Subject, Timed

    Array = np.ndarray[Any, Any]

MOST, USUAL = 6, 4
"""How many problems are drawn at most, and how many where fewer ask for it."""
GAP = 0.06
"""The space between restarts, as a share of one."""
SHARES = np.linspace(0, 1, 101)
"""Through which quantiles a curve is drawn."""
COLUMNS = (
    *("framework", "restart", "rounds", "kept", "calls a sample", "5 % quantile", "median", "95 % quantile"),
    *("waited", "complaint"),
)
NUMERIC = frozenset(COLUMNS[1:9])
HOW = (
    "A dot is a sample: wall time a call, in the order of the rounds, restart after restart; a line is a restart's "
    "median. Strokes below are rounds in which that worker waited, which are dropped for it, or for everybody where it "
    "was the reference; a grey restart is not fit for somebody. On the right the same samples by their rank, without "
    "the rounds that were dropped: a thin curve for each restart and a thick one for all together, with marks at 5 % "
    "and the median; a step there is a second speed. The samples of all other problems are in samples.csv."
)


def strips(timed: Timed) -> list[Figure]:
    """A figure for each problem that a reader will want to look into: unfit or doubted ones, else the least certain."""
    figures: list[Figure] = []
    for subject, why in interesting(timed) if timed.told else ():
        trials = timed.trials.get(subject.key, [])
        workers = [who for who in (*timed.arms, timed.twin) if any(who in trial.arms for trial in trials)]
        if not workers:
            continue
        title = f"Sample by sample: {subject.name}"
        lead = f"Shown because {why}. {_finding(timed, subject, trials)}"
        drawing = _draw(timed, trials, workers, f"rounds-{len(figures)}", f"{title}. {lead}")
        rows = [_row(timed, subject, trial, who) for who in workers for trial in trials if who in trial.arms]
        anchor = f"speed-rounds-{slug('-'.join(subject.key))}"
        figures.append(Figure(anchor, title, lead, drawing, COLUMNS, rows, NUMERIC))
    return figures


def interesting(timed: Timed) -> list[tuple[Subject, str]]:
    """Which subjects are drawn, and why."""
    ranked: list[tuple[int, float, Subject, str]] = []
    for subject in timed.subjects:
        if not timed.trials.get(subject.key):
            continue
        rows = [timed.told[subject.key, who] for who in timed.arms if (subject.key, who) in timed.told]
        rows = [row for row in rows if row.role is Role.ARM]
        unfit = [row for row in rows if row.speed is Speed.UNFIT]
        doubted = [row.framework for row in rows if row.suspect]
        widths = [math.inf if not row.low else math.log(row.high / row.low) for row in rows if row.high is not None]
        widest = max(widths, default=0.0)
        if unfit:
            ranked.append((0, -len(unfit), subject, _unfit(unfit)))
        elif doubted:
            ranked.append((1, -len(doubted), subject, f"the speed of {', '.join(dict.fromkeys(doubted))} is doubted"))
        else:
            ranked.append((2, -widest, subject, "its intervals are among the widest"))
    ranked.sort(key=lambda found: found[:2])
    asked = sum(found[0] < 2 for found in ranked)
    return [(subject, why) for _, _, subject, why in ranked[: min(MOST, max(USUAL, asked))]]


def _unfit(rows: Sequence[Comparison]) -> str:
    names = ", ".join(dict.fromkeys(row.framework for row in rows))
    return f"it was not fit to compare {names}: {one_line(rows[0].message, 240)}"


def _finding(timed: Timed, subject: Subject, trials: Sequence[Trial]) -> str:
    dropped = []
    for who in (*timed.arms, timed.twin):
        own = [trial.arms[who].waiting for trial in trials if who in trial.arms]
        share = float(np.mean(np.concatenate(own) > fitness.WAITING)) if own else 0.0
        if share and timed.threads_of(who):
            dropped.append(f"{who.name} in {100 * share:.2g} %")
    rounds = sum(_count(trial) for trial in trials)
    said = f"{plural(len(trials), 'restart')}, {plural(rounds, 'round')}; "
    said += f"waited: {', '.join(dropped)} of them." if dropped else "nobody waited."
    unfit = [trial.restart + 1 for trial in trials if _complaints(timed, subject, trial)]
    if unfit:
        said += f" Not fit for somebody: {'restart' if len(unfit) == 1 else 'restarts'} {', '.join(map(str, unfit))}."
    return said


def _count(trial: Trial) -> int:
    return max((len(samples.wall) for samples in trial.arms.values()), default=0)


def _complaints(timed: Timed, subject: Subject, trial: Trial) -> dict[str, str]:
    """Why this restart does not count, by arm."""
    rows = [row for who in (*timed.arms, timed.twin) for row in timed.measured.get((subject.key, who), ())]
    rows = [row for row in rows if row.restart == trial.restart and row.complaint]
    return {who_of(row).name: row.complaint for row in rows}


def _draw(timed: Timed, trials: Sequence[Trial], workers: Sequence[Who], name: str, title: str) -> Markup:
    subject = next(subject for subject in timed.subjects if subject.key == trials[0].subject)
    said: dict[str, str] = {}
    with look():
        more = [handle("waited", marker="|", color=FAINT, markersize=7), patch("restart not fit")]
        figure, height = sheet(timed, 3.3, workers, more)
        left = figure.add_axes((0.062, 0.43 / height, 0.66, 2.49 / height))
        right = figure.add_axes((0.745, 0.43 / height, 0.25, 2.49 / height), sharey=left)
        begin = 0.0
        ticks = []
        for trial in trials:
            count = _count(trial)
            complaints = _complaints(timed, subject, trial)
            if complaints:
                said[f"r{trial.restart}"] = "; ".join(f"{who}: {why}" for who, why in complaints.items())
                span = left.axvspan(begin - 0.5, begin + count - 0.5, color=BAND, linewidth=0, zorder=0)
                span.set_gid(f"r{trial.restart}")
            for lane, who in enumerate(workers):
                if who in trial.arms:
                    _rounds(left, timed, trial, who, begin, lane)
            ticks.append((begin + count / 2, f"restart {trial.restart + 1}" + (" · not fit" if complaints else "")))
            begin += count * (1 + GAP)
        for who in workers:
            _ranks(right, timed, trials, who)
        left.set_xlim(-0.01 * begin, begin * 1.0)
        _finish(left, right, ticks, len(workers))
        return svg(figure, name, title, said)


def _colour(timed: Timed, who: Who) -> str:
    return INK if who.role is Role.TWIN else timed.looks[who.framework][0]


def _rounds(axes: Any, timed: Timed, trial: Trial, who: Who, begin: float, lane: int) -> None:
    """The samples of one worker in one restart, its median, and where it waited."""
    samples, colour = trial.arms[who], _colour(timed, who)
    at = begin + np.arange(len(samples.wall))
    dots(axes, at, samples.times, colour, 2.1, 0.3 if who.role is Role.TWIN else 0.5)
    used = samples.times[timed.kept(trial, who)]
    if len(used):
        axes.plot(at[[0, -1]], [np.median(used)] * 2, color=colour, linewidth=1.4, zorder=4, linestyle=line_of(who))
    late = at[samples.waiting > fitness.WAITING]
    if timed.threads_of(who) and len(late):
        y = 0.012 + 0.028 * lane
        axes.vlines(late, y, y + 0.024, color=colour, linewidth=0.8, transform=axes.get_xaxis_transform())


def _ranks(axes: Any, timed: Timed, trials: Sequence[Trial], who: Who) -> None:
    """The quantiles of one worker's samples: of each restart, and of all that count."""
    colour = _colour(timed, who)
    all_kept = []
    for trial in trials:
        if who in trial.arms:
            times = trial.arms[who].times[timed.kept(trial, who)]
            if len(times):
                all_kept.append(times)
                axes.plot(SHARES[::4], np.quantile(times, SHARES[::4]), color=colour, linewidth=0.6, alpha=0.45)
    if all_kept:
        times = np.concatenate(all_kept)
        axes.plot(SHARES, np.quantile(times, SHARES), color=colour, linewidth=1.7, linestyle=line_of(who), zorder=3)
        marks = np.quantile(times, [0.05, 0.5])
        axes.plot([0.05, 0.5], marks, linestyle="none", markersize=5, zorder=4, **style(timed, who))


def _finish(left: Any, right: Any, ticks: Sequence[tuple[float, str]], lanes: int) -> None:
    left.set_yscale("log")
    low, high = left.get_ylim()
    room = 0.03 * lanes + 0.03  # of the height, for the strokes
    left.set_ylim(low / (high / low) ** (room / (1 - room)), high)
    time_axis(left)
    left.grid(visible=True, axis="y", color=BAND, linewidth=0.7, zorder=0)
    right.grid(visible=True, axis="y", color=BAND, linewidth=0.7, zorder=0)
    left.set_xticks([at for at, _ in ticks], [text for _, text in ticks], fontsize=8.5)
    left.tick_params(axis="x", length=0)
    left.tick_params(axis="y", labelsize=8.5)
    left.set_title("a call, round by round", loc="left", fontsize=8.5, pad=3, color=FAINT)
    right.tick_params(labelleft=False)
    right.set_xticks([0.05, 0.5, 0.95], ["5 %", "50 %", "95 %"], fontsize=8.5)
    right.set_xlim(-0.02, 1.02)
    right.set_title("share of samples that took no longer", loc="left", fontsize=8.5, pad=3, color=FAINT)


def _row(timed: Timed, subject: Subject, trial: Trial, who: Who) -> list[str]:
    samples = trial.arms[who]
    there = samples.times[~np.isnan(samples.wall)]
    row = next((row for row in timed.measured.get((subject.key, who), ()) if row.restart == trial.restart), None)
    late = int((samples.waiting > fitness.WAITING).sum())
    numbers = [duration(float(v)) for v in np.quantile(there, [0.05, 0.5, 0.95])]
    kept, calls, complaint = (row.kept, row.calls, row.complaint) if row is not None else ("", "", "")
    return [who.name, str(trial.restart + 1), str(len(there)), str(kept), str(calls), *numbers, str(late), complaint]
