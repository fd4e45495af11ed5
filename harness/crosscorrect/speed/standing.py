"""What stands beside the samples of a run: verdicts of conformance, refusals, disturbances, all from its tables."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from crosscorrect.model import Outcome
from crosscorrect.speed.judgement import Facts
from crosscorrect.speed.model import WRONG, Key, Phase, Role, Speed, Who
from crosscorrect.speed.sampling import DISTURBED, OTHERS, REFUSED, TIMED
from crosscorrect.speed.subjects import PARTS
from crosscorrect.speed.work import Work

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    Standing = dict[tuple[Key, Who], tuple[Speed, str]]


def facts(
    info: Mapping[str, Any],
    checks: pd.DataFrame,
    events: pd.DataFrame,
    samples: pd.DataFrame,
    work: Mapping[Key, Work],
) -> Facts:
    """The facts of a run from ``run.json`` and its tables; ``work`` is how much work its subjects are."""
    bench = info["bench"]
    reference = Who(bench["reference"], bench["mode"], bench["device"])
    timed = events[events["what"] == TIMED]
    subjects = {(row.problem, json.loads(row.detail)["part"]) for row in timed.itertuples()}
    standing = {**of_checks(checks, subjects), **_of_events(events, samples)}
    others, occupied = {}, {}
    for row in events[events["what"] == OTHERS].itertuples():
        detail = json.loads(row.detail)
        key = ((row.problem, detail["part"]), detail["restart"])
        others[key], occupied[key] = row.message, detail["share"]
    disturbed = {}
    for row in events[events["what"] == DISTURBED].itertuples():
        detail = json.loads(row.detail)
        disturbed[(row.problem, detail["part"]), detail["restart"], row.device] = row.message
    restarts, threads = bench["budget"]["restarts"], bench["threads"]
    refused = _refused(events)
    return Facts(reference, restarts, threads, standing, work, others, disturbed, refused, occupied)


def of_checks(checks: pd.DataFrame, subjects: set[Key]) -> Standing:
    """The arms that conformance lets nobody time, by what it said: only what passes in all directions has a speed."""
    found: Standing = {}
    for row in checks[checks["outcome"] != Outcome.PASS].itertuples():
        subject, who = (row.problem, PARTS[row.direction]), Who(row.framework, row.mode, row.device)
        if subject not in subjects or found.get((subject, who), ("",))[0] is Speed.WRONG:
            continue
        speed = Speed.WRONG if row.outcome == Outcome.FAIL else Speed.NOT_COMPARABLE
        said = f"{row.outcome} ({row.reason})" if row.reason else str(row.outcome)
        found[subject, who] = (speed, f"{said}: {row.message}".rstrip(": "))
    return found


def _of_events(events: pd.DataFrame, samples: pd.DataFrame) -> Standing:
    """What went wrong in the workers that were timed; a refusal counts only where there is no sample at all."""
    steady = samples[samples["phase"] == Phase.STEADY]
    columns = ["problem", "part", "framework", "mode", "device", "role"]
    timed = set(steady[columns].drop_duplicates().itertuples(index=False, name=None))
    found: Standing = {}
    for row in events[events["what"].isin([WRONG, REFUSED])].itertuples():
        detail = json.loads(row.detail)
        subject = (row.problem, detail["part"])
        who = Who(row.framework, row.mode, row.device, Role(detail["role"]))
        if row.what == WRONG:
            found[subject, who] = (Speed.WRONG, f"{WRONG}: {row.message}")
        elif (*subject, *who) not in timed:
            found.setdefault((subject, who), (Speed.NOT_COMPARABLE, f"{REFUSED}: {row.message}"))
    return found


def _refused(events: pd.DataFrame) -> dict[tuple[Key, Who, int], str]:
    """Why an arm did not come to the end of a restart."""
    found = {}
    for row in events[events["what"] == REFUSED].itertuples():
        detail = json.loads(row.detail)
        who = Who(row.framework, row.mode, row.device, Role(detail["role"]))
        found[(row.problem, detail["part"]), who, detail["restart"]] = row.message
    return found


def work_of(verdicts: pd.DataFrame) -> dict[Key, Work]:
    """How much work subjects are, as an earlier judgement wrote it down."""
    told = verdicts.dropna(subset=["flops", "bytes"])
    return {(row.problem, row.part): Work(int(row.flops), int(row.padded), int(row.bytes)) for row in told.itertuples()}
