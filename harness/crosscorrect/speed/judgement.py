"""From raw samples to measurements and speed verdicts: a function of what the run folder holds, whenever it is asked.

Within a restart an arm is compared with the reference round by round; a round in which either waited is dropped, and a
restart that is not fit does not count (research/timing.md 3.4, 3.5). Over restarts ``ratios`` has the interval, and
over all comparisons ``ruling`` the verdicts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from crosscorrect.speed import fitness, ratios, roofline
from crosscorrect.speed.model import REFERENCE, Comparison, Key, Measurement, Role, Speed, Who
from crosscorrect.speed.readings import trials
from crosscorrect.speed.ruling import Measured, SpeedVerdict, rule as rule_on

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from crosscorrect.speed.readings import Trial
    from crosscorrect.speed.work import Work

FIT_SHARE, FEWEST = 0.6, 2
"""The share of restarts that must be fit, and how many at least."""
UNWAITED = 0.05
"""The share of a sample's wall time that its last result may be waited for afterwards (research/timing.md 3.7)."""
TICK = 20e-6
"""Seconds by which that may be wrong: a look at a result costs a Python call or two for each of its tensors, more the
first time. Of a sample of 0.8 ms it is half of ``UNWAITED``."""


class Rule(NamedTuple):
    """By what samples are judged.

    ``margin``: what differs by less is the same.
    """

    margin: float = 0.03


@dataclass(frozen=True, slots=True)
class Facts:
    """What stands beside the samples of a run.

    ``standing`` is a verdict that no number changes, by subject and arm; ``work`` how much work a subject is;
    ``others`` who else was at work, by subject and restart; ``disturbed`` what was wrong with a device, by that too;
    ``refused`` why an arm did not come to the end of a restart; ``occupied`` which share of the processors that were
    measured others used, by subject and restart.
    """

    reference: Who
    restarts: int
    threads: int
    standing: Mapping[tuple[Key, Who], tuple[Speed, str]] = field(default_factory=dict)
    work: Mapping[Key, Work] = field(default_factory=dict)
    others: Mapping[tuple[Key, int], str] = field(default_factory=dict)
    disturbed: Mapping[tuple[Key, int, str], str] = field(default_factory=dict)
    refused: Mapping[tuple[Key, Who, int], str] = field(default_factory=dict)
    occupied: Mapping[tuple[Key, int], float] = field(default_factory=dict)

    def refusal(self, trial: Trial, who: Who) -> str:
        """Why an arm did not come to the end of a restart; empty where it did."""
        return self.refused.get((trial.subject, who, trial.restart), "")

    def threads_of(self, who: Who) -> int:
        """How many threads an arm may use, where wall and processor time tell: 0 where a device beside it computes."""
        return self.threads if who.device == self.reference.device == "cpu" else 0


def judge(samples: pd.DataFrame, facts: Facts, rule: Rule) -> tuple[list[Measurement], list[Comparison]]:
    """The rows of both tables, for every subject and arm that has samples or a standing verdict.

    ``samples`` is the table of that name.
    """
    by_subject: dict[Key, list[Trial]] = {subject: [] for subject, _ in facts.standing}
    for trial in trials(samples):
        by_subject.setdefault(trial.subject, []).append(trial)
    measurements: list[Measurement] = []
    measured: dict[tuple[Key, Who], Measured] = {}
    seconds: dict[tuple[Key, Who], float | None] = {}
    late: dict[Key, str] = {}
    for subject, found in by_subject.items():
        rows = {(who, t.restart): _measurement(t, who, facts) for t in found for who in t.arms}
        measurements += rows.values()
        late[subject] = _late([row for (who, _), row in rows.items() if who == facts.reference])
        arms = {who for t in found for who in t.arms} | {who for s, who in facts.standing if s == subject}
        for who in sorted(arms):
            own = [row.seconds for (other, _), row in rows.items() if other == who and not math.isnan(row.seconds)]
            seconds[subject, who] = float(np.median(own)) if own else None
            if who != facts.reference:
                measured[subject, who] = _measured(subject, who, found, rows, facts)
    told = _ruled(measured, rule)
    told |= {key: _of_reference(key, facts, late.get(key[0], "")) for key in seconds if key[1] == facts.reference}
    ceilings = roofline.ceilings(samples)
    return measurements, [_comparison(key, told[key], seconds[key], facts, rule, ceilings) for key in sorted(told)]


def _measurement(trial: Trial, who: Who, facts: Facts) -> Measurement:
    """The row of one arm, which has samples."""
    samples = trial.arms[who]
    pair = trial.pair(who, facts.reference)
    threads = facts.threads_of(who)
    kept = fitness.kept(pair, threads)
    there = ~np.isnan(samples.wall)
    times = samples.times
    used = times[kept & there]
    complaints = [c.message for c in fitness.complaints(pair, trial.sentinel, threads)]
    devices = sorted({who.device, facts.reference.device})
    complaints += [said for d in devices if (said := facts.disturbed.get((trial.subject, trial.restart, d)))]
    complaints += [f"{w.name}: {why}" for w in (facts.reference, who) if (why := facts.refusal(trial, w))]
    if not trial.sentinel:
        complaints.append("the sentinel has no sample")
    if facts.reference not in trial.arms:
        complaints.append(f"the reference {facts.reference.name} has no sample")
    others = facts.others.get((trial.subject, trial.restart))
    is_crowded = facts.occupied.get((trial.subject, trial.restart), 0.0) > fitness.OCCUPIED
    if others and (complaints or is_crowded or threads > 1):  # several threads may spin and not show that they wait
        complaints.insert(0, f"meanwhile {others}")
    waiting = samples.waiting[there]
    residual = np.broadcast_to(samples.residual, samples.wall.shape)[there]
    share = np.median(residual - TICK) / np.median(samples.wall[there])
    return Measurement(
        problem=trial.subject[0],
        part=trial.subject[1],
        **who._asdict(),
        restart=trial.restart,
        calls=int(np.nanmedian(samples.calls)),
        rounds=int(there.sum()),
        kept=int((kept & there).sum()),
        seconds=float(np.median(used)) if len(used) else math.nan,
        fast=float(np.quantile(times[there], 0.05)),
        waiting=float(np.quantile(waiting, 0.9)),
        threads=float(np.median(1 / waiting)),
        switches=int(np.nansum(samples.switches)),
        faults=int(np.nansum(samples.faults)),
        residual=max(0.0, float(share)),
        complaint="; ".join(complaints),
    )


def _measured(
    subject: Key, who: Who, found: list[Trial], rows: Mapping[tuple[Who, int], Measurement], facts: Facts
) -> Measured:
    """What is known of an arm beside the reference on one subject."""
    for other, of_whom in ((who, ""), (facts.reference, f"the reference {facts.reference.name}: ")):
        speed, message = facts.standing.get((subject, other), (None, ""))
        if speed is Speed.WRONG and other == who:
            return Measured(None, wrong=message)
        if speed is not None:
            return Measured(None, other=of_whom + message)
    for other, of_whom in ((who, ""), (facts.reference, f"the reference {facts.reference.name}: ")):
        if late := _late([rows[other, t.restart] for t in found if other in t.arms]):
            return Measured(None, other=of_whom + late)
        lost = [why for t in found if (why := facts.refusal(t, other))]
        if found and len(lost) == len(found):
            return Measured(None, other=f"{of_whom}not timed to the end in any restart: {lost[0]}")
    own = [rows[who, t.restart] for t in found if who in t.arms]
    fit = [t for t in found if who in t.arms and not rows[who, t.restart].complaint]
    needed = max(FEWEST, math.ceil(FIT_SHARE * facts.restarts))
    if len(fit) < needed:
        whys = list(dict.fromkeys(row.complaint for row in own if row.complaint))
        said = f"{len(fit)} of {len(found)} restarts were fit, {needed} must be"
        return Measured(None, unfit="; ".join([said, *whys[:2]]))
    logs = []
    for trial in fit:
        kept = fitness.kept(trial.pair(who, facts.reference), facts.threads_of(who))
        logs.append(ratios.logs(trial.arms[who].times[kept], trial.arms[facts.reference].times[kept]))
    drifts = [fitness.resolution(trial.sentinel) for trial in fit]
    return Measured(ratios.ratio(logs), resolution=float(np.median(drifts)))


def _late(own: list[Measurement]) -> str:
    """That an arm's sync does not wait; empty where it does."""
    late = float(np.median([row.residual for row in own])) if own else 0.0
    return f"its sync does not wait: {late:.0%} of the time came after it" if late > UNWAITED else ""


def _ruled(measured: Mapping[tuple[Key, Who], Measured], rule: Rule) -> dict[tuple[Key, Who], SpeedVerdict]:
    """The verdicts: on the twins among themselves first, then on the arms as far as their twins allow."""
    twins = {key: found for key, found in measured.items() if key[1].role is Role.TWIN}
    arms = {key: found for key, found in measured.items() if key[1].role is not Role.TWIN}
    against = _against_twins(twins, {subject for subject, _ in arms})
    widths = {subject: found.ratio.half_width for (subject, _), found in twins.items() if found.ratio is not None}
    for key, found in arms.items():
        if found.ratio is not None and key[0] in against:
            arms[key] = replace(found, unfit=against[key[0]])
        elif found.ratio is not None:  # what is the same came out so far apart by chance
            arms[key] = replace(found, resolution=max(found.resolution, widths.get(key[0], 0.0)))
    return {**rule_on(twins, rule.margin), **rule_on(arms, rule.margin)}


def _against_twins(twins: Mapping[tuple[Key, Who], Measured], subjects: set[Key]) -> dict[Key, str]:
    """What the control says against each subject.

    One interval in twenty does not hold 1 by chance, and a run has many: they are looked at jointly.
    """
    against = dict.fromkeys(subjects, "the reference has no twin there, so that nothing tells whether it is fit")
    for (subject, _), measured in twins.items():
        against[subject] = f"the twin says nothing: {measured.unfit or measured.wrong or measured.other}"
        if measured.ratio is not None:
            del against[subject]
    there = {subject: found.ratio for (subject, _), found in twins.items() if found.ratio is not None}
    jointly = ratios.jointly([found.p_beyond(0.0) for found in there.values()])
    for (subject, found), p in zip(there.items(), jointly, strict=True):
        reason = fitness.twins_differ(found, differs=p < 1 - ratios.LEVEL)
        if reason:
            against[subject] = reason
    return against


def _of_reference(key: tuple[Key, Who], facts: Facts, late: str) -> SpeedVerdict:
    """The reference beside itself."""
    if late and key not in facts.standing:
        return SpeedVerdict(Speed.NOT_COMPARABLE, message=late)
    speed, message = facts.standing.get(key, (Speed.EQUIVALENT, REFERENCE))
    return SpeedVerdict(speed, message=message)


def _comparison(
    key: tuple[Key, Who],
    told: SpeedVerdict,
    seconds: float | None,
    facts: Facts,
    rule: Rule,
    ceilings: roofline.Ceilings | None,
) -> Comparison:
    subject, who = key
    found, work = told.ratio, facts.work.get(subject)
    if told.speed in (Speed.WRONG, Speed.NOT_COMPARABLE):
        seconds = None  # a wrong answer has no speed
    reached = None
    if work is not None and seconds is not None and ceilings is not None and who.device == "cpu":
        reached = ceilings.reached(work, seconds)
    low, high = (None, None) if found is None else found.resampled
    return Comparison(
        problem=subject[0],
        part=subject[1],
        **who._asdict(),
        reference=facts.reference.name,
        speed=told.speed,
        margin=rule.margin,
        ratio=found.value if found else None,
        low=found.low if found else None,
        high=found.high if found else None,
        resampled_low=low,
        resampled_high=high,
        restarts=found.restarts if found else 0,
        resolution=told.resolution if found else None,
        seconds=seconds,
        flops=work.flops if work else None,
        padded=work.padded if work else None,
        bytes=work.bytes if work else None,
        attainable=reached,
        suspect=roofline.suspicion(reached),
        message=told.message,
    )
