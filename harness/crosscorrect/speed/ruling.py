"""From ratios to speed verdicts: undecided until the evidence decides, and nothing where the answer was wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from crosscorrect.speed.model import Speed
from crosscorrect.speed.ratios import LEVEL, Ratio, jointly, restarts_for

if TYPE_CHECKING:
    from collections.abc import Mapping

Key = TypeVar("Key")


@dataclass(frozen=True, slots=True)
class Measured:
    """What is known of one comparison: the ratio over fit restarts, and what stands against telling it.

    ``wrong`` is why the answer is no right one, ``unfit`` why the machine was not fit, ``other`` why the two are not
    the same question. ``resolution`` is the smallest difference, as a share, that the machine could tell then.
    """

    ratio: Ratio | None
    wrong: str = ""
    unfit: str = ""
    other: str = ""
    resolution: float = 0.0


@dataclass(frozen=True, slots=True)
class SpeedVerdict:
    """The verdict on one comparison, with its reason; ``ratio`` only where one may be told, with what was resolved."""

    speed: Speed
    ratio: Ratio | None = None
    message: str = ""
    resolution: float = 0.0


def rule(measured: Mapping[Key, Measured], margin: float) -> dict[Key, SpeedVerdict]:
    """The verdicts on comparisons that are looked at together, within ``margin`` (0.03: ±3 %).

    Of all that seem to differ, and of all that seem the same, the expected share that does not is 1 - ``LEVEL``. What
    differs must do so by more than the machine's ``resolution``, too; and where that is wider than the margin, nothing
    is told to be the same.
    """
    told = {key: _standing(found) for key, found in measured.items()}
    open_keys = [key for key, verdict in told.items() if verdict is None]
    ratios = [_ratio(measured[key]) for key in open_keys]
    coarse = [measured[key].resolution for key in open_keys]
    beyond = jointly([found.p_beyond(max(margin, share)) for found, share in zip(ratios, coarse, strict=True)])
    within = jointly([found.p_within(margin) for found in ratios])
    decided = {
        key: _decide(found, margin, share, differs=p < 1 - LEVEL, same=q < 1 - LEVEL)
        for key, found, share, p, q in zip(open_keys, ratios, coarse, beyond, within, strict=True)
    }
    return {key: verdict if verdict is not None else decided[key] for key, verdict in told.items()}


def _standing(found: Measured) -> SpeedVerdict | None:
    """The verdict that no number changes."""
    if found.wrong:
        return SpeedVerdict(Speed.WRONG, message=found.wrong)
    if found.other:
        return SpeedVerdict(Speed.NOT_COMPARABLE, message=found.other)
    if found.unfit or found.ratio is None:
        return SpeedVerdict(Speed.UNFIT, message=found.unfit or "no restart was fit")
    return None


def _ratio(found: Measured) -> Ratio:
    assert found.ratio is not None  # noqa: S101  the others have their verdict
    return found.ratio


def _decide(found: Ratio, margin: float, resolution: float, *, differs: bool, same: bool) -> SpeedVerdict:
    speed, message = Speed.INCONCLUSIVE, ""
    if differs:
        speed = Speed.SLOWER if found.value > 1 else Speed.FASTER
    elif resolution > margin:
        message = f"this machine told nothing finer than ±{resolution:.0%} then"
    elif same:
        speed = Speed.EQUIVALENT
    else:
        more = restarts_for(found, margin) - found.restarts
        message = f"needs about {more} more restart{'s' if more > 1 else ''}"
    return SpeedVerdict(speed, found, message, resolution)
