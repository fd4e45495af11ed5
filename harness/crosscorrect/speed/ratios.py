"""The time of one arm over that of another, with an interval whose unit is the restart.

Samples of one process are not independent of each other: identical processes differ by 0.6 to 1.1 % (research/timing.md
0.6), so that an interval over samples is wrong up to one time in five. Within a restart the arms take turns, and their
ratio is taken there, round by round; drift of the machine then cancels. Over restarts it is a mean with Student's t.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import stats

if TYPE_CHECKING:
    from collections.abc import Sequence

    Array = np.ndarray[Any, Any]

LEVEL = 0.95
"""The share of intervals that hold the truth."""
RESAMPLES = 2000
MOST_RESTARTS = 1000
"""What is told where more restarts would be needed: the value lies on a border."""


@dataclass(frozen=True, slots=True)
class Ratio:
    """The ratio of two arms' times over restarts: above 1 the first is slower. Intervals are of ``LEVEL``.

    ``restarts`` is how many it is made of and ``spread`` the standard deviation of the logarithm between them, NaN for
    one. ``low`` and ``high`` are 0 and infinity where there are fewer than two. ``resampled`` is the same interval by
    resampling restarts and then rounds: where the two differ much, the restarts are not what Student's t expects.
    """

    value: float
    low: float
    high: float
    restarts: int
    spread: float
    resampled: tuple[float, float]

    @property
    def half_width(self) -> float:
        """Half the interval, as a share: 0.011 is ±1.1 %."""
        return math.sqrt(self.high / self.low) - 1 if self.low > 0 else math.inf

    def p_beyond(self, margin: float) -> float:
        """How often as much as this is seen where the truth is within ``margin`` of 1: two one-sided t tests, doubled.

        Below 1 - ``LEVEL`` exactly where the interval lies outside ``[1 / (1 + margin), 1 + margin]``.
        """
        return min(1.0, 2 * self._tail(abs(math.log(self.value)) - math.log1p(margin)))

    def p_within(self, margin: float) -> float:
        """How often as little as this is seen where the truth is at ``margin`` or beyond.

        The larger of two one-sided tests (Schuirmann, "A comparison of the two one-sided tests procedure…", 1987),
        doubled, so that it is below 1 - ``LEVEL`` exactly where the interval lies inside.
        """
        return min(1.0, 2 * self._tail(math.log1p(margin) - abs(math.log(self.value))))

    def _tail(self, distance: float) -> float:
        if self.restarts < 2:
            return 1.0
        error = self.spread / math.sqrt(self.restarts)
        if error == 0:
            return 0.0 if distance > 0 else 1.0
        return float(stats.t.sf(distance / error, self.restarts - 1))


def logs(times: Array, base: Array) -> Array:
    """``log(times / base)`` of the rounds of one restart in which both have a sample: ``(rounds,), (rounds,) -> (n,)``.

    A round that was dropped is NaN. In seconds, or any one unit. Raises ValueError for a time that is not positive.
    """
    both = ~(np.isnan(times) | np.isnan(base))
    if not ((times[both] > 0) & (base[both] > 0)).all():
        raise ValueError("a time is not positive")
    return np.asarray(np.log(times[both] / base[both]))


def ratio(restarts: Sequence[Array], resamples: int = RESAMPLES) -> Ratio:
    """The ratio over restarts, of each the logarithms of its rounds as ``logs`` gives them; at least one has any.

    The median of a restart, because single samples have long tails; the mean over restarts (research/timing.md 3.5).
    Raises ValueError where there is no round at all.
    """
    rounds = [found for found in restarts if len(found)]
    if not rounds:
        raise ValueError("no round has a sample of both")
    medians = np.array([np.median(found) for found in rounds])
    centre, count = float(medians.mean()), len(medians)
    if count < 2:
        return Ratio(math.exp(centre), 0.0, math.inf, count, math.nan, (0.0, math.inf))
    spread = float(medians.std(ddof=1))
    reach = float(stats.t.ppf((1 + LEVEL) / 2, count - 1)) * spread / math.sqrt(count)
    low, high = np.exp(np.quantile(_resampled(rounds, resamples), [(1 - LEVEL) / 2, (1 + LEVEL) / 2]))
    return Ratio(
        math.exp(centre),
        math.exp(centre - reach),
        math.exp(centre + reach),
        count,
        spread,
        (float(low), float(high)),
    )


def _resampled(rounds: Sequence[Array], count: int) -> Array:
    """Means of medians of restarts drawn with replacement, and of their rounds drawn with replacement."""
    draw = np.random.Generator(np.random.Philox(key=count))
    medians = np.stack([np.median(draw.choice(found, (count, len(found))), axis=1) for found in rounds])
    chosen = draw.integers(len(rounds), size=(len(rounds), count))
    return np.asarray(medians[chosen, np.arange(count)].mean(axis=0))


def restarts_for(found: Ratio, margin: float) -> int:
    """About how many restarts make the interval lie wholly on one side of each border of ``margin``, with this spread.

    At least one more than there are. From the distance of the value to the nearest border and ``t s / sqrt(n)``.
    """
    distance = abs(abs(math.log(found.value)) - math.log1p(margin))
    count = found.restarts + 1
    if not found.spread > 0:
        return count
    while count < MOST_RESTARTS:
        if float(stats.t.ppf((1 + LEVEL) / 2, count - 1)) * found.spread / math.sqrt(count) <= distance:
            break
        count = math.ceil(count * 1.2)
    return count


def jointly(values: Sequence[float]) -> list[float]:
    """P values, each as if all were one question.

    Benjamini and Hochberg, "Controlling the false discovery rate", 1995.
    """
    return [float(p) for p in stats.false_discovery_control(values)] if len(values) else []


def geometric_mean(restarts: Sequence[Sequence[Array]]) -> Ratio:
    """The geometric mean of the ratios of several problems, its interval from those of each restart.

    ``restarts[r][p]`` are the logarithms of problem ``p`` in restart ``r``; a restart counts only where every problem
    has a round. Raises ValueError where none does.
    """
    means = [np.array([np.mean([np.median(found) for found in problems])]) for problems in restarts if _whole(problems)]
    return ratio(means)


def _whole(problems: Sequence[Array]) -> bool:
    return bool(problems) and all(len(found) for found in problems)
