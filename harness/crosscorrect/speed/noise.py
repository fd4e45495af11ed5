"""What a machine's own noise does to what is timed: the same measured against itself, and clocks that are known.

Several workers of one framework are measured as if each were another. Of them, comparisons are drawn again and again:
in each restart two different workers, so that only what is the same is compared. How often these come out different is
the false-positive rate of the rule on this machine; how wide their intervals are tells what each budget is worth.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy import stats

from crosscorrect.registry import locate
from crosscorrect.speed import fitness, ratios
from crosscorrect.speed.judgement import Rule
from crosscorrect.speed.model import Role
from crosscorrect.speed.readings import trials
from crosscorrect.worker.controls import CALL

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from crosscorrect.registry import Framework
    from crosscorrect.speed.model import Key, Who
    from crosscorrect.speed.readings import Trial
    from crosscorrect.store import Run

    Array = np.ndarray[Any, Any]

COPIES = 5
"""How many workers of a framework are measured, beside the twin of the first."""
CLOCK, TWICE = "clock", "twice"
TARGETS = {CLOCK: "crosscorrect.worker.controls:Clock", TWICE: "crosscorrect.worker.controls:Twice"}
PROBLEMS = ("speed/chapter-loop@operation=corr2d", "speed/size*", "speed/kernel*")
"""What is measured: the loop, which the clocks know too, and small convolutions."""
DRAWS = 400
"""How many comparisons are drawn of each problem."""
EFFECT = 1.05
"""The slow-down that is injected to see how often it is found: recorded times times so much."""
TOLERANCE = 0.05
"""By how much a known time may be misread on a fit machine: what it costs to call and to wait, a hundredth or two of a
call of ``CALL``, and noise. The mistakes it is there for are whole calls: one of four, or twice as many."""


class Rates(NamedTuple):
    """Shares of drawn comparisons: that differ from 1 at all, that differ beyond the margin, and that find ``EFFECT``.

    ``half_width`` is their median half-width, as a share.
    """

    plain: float
    beyond: float
    found: float
    half_width: float


@dataclass(frozen=True, slots=True)
class Control:
    """A check of the timing itself by what is known: its name, whether it holds, and what was read."""

    name: str
    holds: bool
    said: str


@dataclass(frozen=True, slots=True)
class Noise:
    """What an audit found. ``rates`` are of the whole budget, ``budgets`` of parts of it by (restarts, rounds).

    ``fit`` of ``restarts`` (of all problems) were fit; ``problems`` is how many problems there were.
    """

    problems: int
    fit: int
    restarts: int
    rates: Rates | None
    interval: tuple[float, float]
    budgets: dict[tuple[int, int], Rates]
    controls: list[Control]


def frameworks(name: str, pythons: dict[str, Any], adapters: dict[str, str]) -> list[Framework]:
    """The copies of a framework under names of their own, and the clocks."""
    own = locate(name, pythons, adapters)
    copies = [replace(own, name=copy_of(name, number)) for number in range(1, COPIES + 1)]
    return [*copies, *(locate(clock, {}, {clock: target}) for clock, target in TARGETS.items())]


def copy_of(name: str, number: int) -> str:
    """What a copy of a framework is called."""
    return f"{name}-{number}"


def noise(run: Run, rule: Rule = Rule()) -> Noise:  # noqa: B008  an immutable tuple
    """What the samples of an audit say."""
    found = [trial for trial in trials(run.samples) if _same(trial)]
    by_subject: dict[Key, list[Trial]] = {}
    for trial in found:
        by_subject.setdefault(trial.subject, []).append(trial)
    fit = {subject: [t for t in own if _is_fit(t)] for subject, own in by_subject.items()}
    usable = {subject: own for subject, own in fit.items() if len(own) > 1}
    restarts, rounds = run.info["bench"]["budget"]["restarts"], run.info["bench"]["budget"]["rounds"]
    each = {subject: _rates(own, len(own), rounds, rule) for subject, own in usable.items()}
    budgets = {}
    for count in range(2, restarts + 1):
        for length in (rounds // 4, rounds // 2, rounds):
            parts = [_rates(own, count, length, rule) for own in usable.values() if len(own) >= count]
            if parts:
                budgets[count, length] = _mean(parts)
    plain = [rates.plain for rates in each.values()]
    return Noise(
        problems=len(by_subject),
        fit=sum(map(len, fit.values())),
        restarts=len(found),
        rates=_mean(list(each.values())) if each else None,
        interval=_interval(plain),
        budgets=budgets,
        controls=_controls(run.samples),
    )


def _same(trial: Trial) -> list[Who]:
    """The arms that are the same framework."""
    return [who for who in sorted(trial.arms) if who.framework not in TARGETS]


def _is_fit(trial: Trial) -> bool:
    arms = {who.name: trial.arms[who] for who in _same(trial)}
    return len(arms) > 1 and not fitness.complaints(arms, trial.sentinel)


def _rates(found: Sequence[Trial], restarts: int, rounds: int, rule: Rule) -> Rates:
    """Of comparisons drawn from so many restarts and rounds of one problem, in each restart two different workers."""
    draw = np.random.default_rng(restarts * rounds)
    logs = []
    for trial in found:
        arms = _same(trial)
        kept = fitness.kept({who.name: trial.arms[who] for who in arms})
        logs.append(np.log(np.stack([trial.arms[who].times[kept][:rounds] for who in arms])))
    values = np.empty((DRAWS, restarts))
    for number in range(DRAWS):
        for place, restart in enumerate(draw.choice(len(logs), restarts, replace=False)):
            one, other = draw.choice(len(logs[restart]), 2, replace=False)
            values[number, place] = np.median(logs[restart][one] - logs[restart][other])
    centre, spread = values.mean(axis=1), values.std(axis=1, ddof=1)
    reach = stats.t.ppf((1 + ratios.LEVEL) / 2, restarts - 1) * spread / math.sqrt(restarts)
    margin, effect = math.log1p(rule.margin), math.log(EFFECT)
    return Rates(
        plain=float((np.abs(centre) > reach).mean()),
        beyond=float((np.abs(centre) - reach > margin).mean()),
        found=float((centre + effect - reach > 0).mean()),
        half_width=float(np.median(np.expm1(reach))),
    )


def _mean(rates: Sequence[Rates]) -> Rates:
    """The mean of the shares over problems, and the median of the half-widths."""
    plain, beyond, found, _ = (float(np.mean(column)) for column in zip(*rates, strict=True))
    return Rates(plain, beyond, found, float(np.median([rate.half_width for rate in rates])))


def _interval(shares: Sequence[float]) -> tuple[float, float]:
    """The interval of a mean over problems, which are what is independent here."""
    if len(shares) < 2:
        return 0.0, 1.0
    reach = float(stats.t.ppf((1 + ratios.LEVEL) / 2, len(shares) - 1) * stats.sem(shares))
    return max(0.0, float(np.mean(shares)) - reach), min(1.0, float(np.mean(shares)) + reach)


def _controls(samples: pd.DataFrame) -> list[Control]:
    """The clocks: what is known of them, and what was read. They hold only where the machine was fit."""
    times: dict[str, list[float]] = {CLOCK: [], TWICE: []}
    for trial in trials(samples):
        for who, own in trial.arms.items():
            if who.framework in times and who.role is Role.ARM:
                times[who.framework].append(float(np.nanmedian(own.times)))
    if not all(times.values()):
        return [Control("the clocks were measured", holds=False, said="they have no sample")]
    read = {name: float(np.median(found)) for name, found in times.items()}
    return [
        Control(
            "a call of a known time reads that time",
            holds=abs(read[CLOCK] / CALL - 1) < TOLERANCE,
            said=f"{CALL * 1e6:g} µs reads {read[CLOCK] * 1e6:.1f} µs",
        ),
        Control(
            "who takes twice as long reads twice as long",
            holds=abs(read[TWICE] / read[CLOCK] / 2 - 1) < TOLERANCE,
            said=f"2 reads {read[TWICE] / read[CLOCK]:.3f}",
        ),
    ]
