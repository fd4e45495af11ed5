"""The geometric mean of a case's ratios, where one may be told: over restarts in which all of its problems count."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from crosscorrect.speed.model import Speed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crosscorrect.speed.model import Who
    from crosscorrect.speed.ratios import Ratio
    from crosscorrect_reports.timed import Subject, Timed

TOLD = (Speed.FASTER, Speed.SLOWER, Speed.EQUIVALENT, Speed.INCONCLUSIVE)
"""The verdicts that have a ratio."""
FEWEST = 2
"""How many problems and restarts a mean needs."""
METHOD = (
    "A case's geometric mean is taken in each restart over the medians of its problems' rounds, and over restarts with "
    "Student's t, as each ratio is. It is told only where every problem of the case has a ratio and at least two "
    "restarts count for all of them. There is none over a whole suite: a loop in Python and a convolution are no one "
    "population."
)
LACKING = "SciPy is not installed here (pip install 'crosscorrect[bench]'), so that no mean of a case is told."


@dataclass(frozen=True, slots=True)
class Family:
    """The geometric mean of the ratios of one arm on one part of all problems of a case."""

    case: str
    label: str
    who: Who
    ratio: Ratio


def families(timed: Timed) -> dict[str, list[Family]]:
    """The means by case; of a case with one problem there is none, and none without SciPy."""
    if not _can():
        return {}
    found: dict[str, list[Family]] = {}
    for case, subjects in timed.cases().items():
        for part in dict.fromkeys(subject.key[1] for subject in subjects):
            own = [subject for subject in subjects if subject.key[1] == part]
            label = f"geometric mean of {len(own)}" + (f" {part}" if len(own) < len(subjects) else "")
            for who in timed.arms:
                ratio = _mean(timed, own, who) if who != timed.reference and len(own) >= FEWEST else None
                if ratio is not None:
                    found.setdefault(case, []).append(Family(case, label, who, ratio))
    return found


def method() -> str:
    """How the means are made, or why there are none."""
    return METHOD if _can() else LACKING


def _can() -> bool:
    try:
        from crosscorrect.speed import ratios  # noqa: F401, PLC0415  an extra: whoever reads a run may lack it
    except ImportError:
        return False
    return True


def _mean(timed: Timed, subjects: Sequence[Subject], who: Who) -> Ratio | None:
    from crosscorrect.speed import ratios  # noqa: PLC0415  as above

    rows = [timed.told.get((subject.key, who)) for subject in subjects]
    if any(row is None or row.speed not in TOLD for row in rows):
        return None
    counting = set.intersection(*(set(timed.fit(subject.key, who)) for subject in subjects))
    if len(counting) < FEWEST:
        return None
    restarts = []
    for restart in sorted(counting):
        logs = []
        for subject in subjects:
            trial = next(t for t in timed.trials[subject.key] if t.restart == restart)
            kept = timed.kept(trial, who)
            logs.append(ratios.logs(trial.arms[who].times[kept], trial.arms[timed.reference].times[kept]))
        restarts.append(logs)
    return ratios.geometric_mean(restarts)
