"""Slices of a stream of problems: cut to about the same cost, and dealt to shards so that all have about as much to do.

Costs are whole microseconds and every tie has a rule, so that all processes on all machines cut and deal alike.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from crosscorrect.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

Integers = NDArray[np.int64]

MAX_SHARDS = 4096
SWAPS = 4
PIECES = 64
"""A shard gets about so many pieces, or single problems: its share then differs from others by a 64th at most."""


@dataclass(frozen=True, slots=True)
class Span:
    """The points from ``start`` up to and without ``stop`` of a stream, and their estimated cost in seconds.

    Places count the points of all suites in order, whether or not they are asked for. ``Span(**dataclasses.asdict(s))``
    is the same span: all of it is plain JSON.
    """

    start: int
    stop: int
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Shard:
    """Part ``number`` (from 1) of ``count`` parts of the problems; written ``number/count``."""

    number: int
    count: int

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    @classmethod
    def of(cls, number: int, count: int) -> Shard | None:
        """Part ``number`` of ``count``, None for the whole. Raises UsageError where there is no such part."""
        if not 1 <= number <= count <= MAX_SHARDS:
            raise UsageError(f"there is no shard {number}/{count}; write i/n with 1 ≤ i ≤ n ≤ {MAX_SHARDS}, as in 2/8")
        return cls(number, count) if count > 1 else None

    @classmethod
    def read(cls, text: str) -> Shard | None:
        """The shard that ``i/n`` means, None for the whole. Raises UsageError for anything else."""
        found = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", text, re.ASCII)
        if found is None:
            raise UsageError(f"{text!r} is no shard; write i/n, as in 2/8")
        return cls.of(int(found[1]), int(found[2]))


class Costs(NamedTuple):
    """Some problems of one case in order: their places in the stream, and what each costs in microseconds, at least 1.

    ``case`` is ``suite/case``, and ``within`` their places in its sweep.
    """

    places: Integers
    costs: Integers
    case: str
    within: Integers


class _Piece(NamedTuple):
    """Some problems of one case as dealt; pieces sort in the order in which they are."""

    less: int
    case: str
    within: int
    start: int
    stop: int

    @property
    def cost(self) -> int:
        return -self.less


def cut(stream: Iterable[Costs], budget: int, most: int) -> Iterator[Span]:
    """Spans of about ``budget`` microseconds and at most ``most`` problems, in order; every problem is in one.

    A span begins and ends with a problem that is asked for, and takes problems until the budget is used up.
    """
    begin = end = cost = count = 0
    for places, costs, *_ in stream:
        before = np.cumsum(costs) - costs
        done = 0
        while done < len(places):
            room = int(np.searchsorted(before, budget - cost + before[done]))
            stop = max(done, min(room, done + most - count))
            if stop > done:
                begin, end = begin if count else int(places[done]), int(places[stop - 1]) + 1
                cost, count = cost + int(costs[done:stop].sum()), count + stop - done
            if stop < len(places):
                yield Span(begin, end, cost / 1e6)
                cost = count = 0
            done = stop
    if count:
        yield Span(begin, end, cost / 1e6)


def deal(stream: Callable[[], Iterable[Costs]], shard: Shard) -> list[Span]:
    """What a shard gets of a stream, in order; together the shards have every problem, and none in two.

    The stream is cut into pieces, which are dealt in rounds from the most expensive to the cheapest, each shard one in
    a round, and the more it has so far the cheaper a one; then shards swap pieces while that makes them more alike. So
    they differ little in what they cost, and by one piece at most in how many they have: where a framework takes as
    long for every problem, whatever the estimate, they are even too. Who gets what depends on neither the order of the
    suites nor the frameworks that are asked.
    """
    sizes = [(int(part.costs.sum()), len(part.costs)) for part in stream()]
    budget, most = (max(1, sum(sums) // (PIECES * shard.count)) for sums in zip((0, 0), *sizes, strict=True))
    pieces = sorted(piece for part in stream() for piece in _pieces(part, budget, most))
    shares: list[list[_Piece]] = [[] for _ in range(shard.count)]
    loads = [0] * shard.count
    for start in range(0, len(pieces), shard.count):
        takers = sorted(range(shard.count), key=loads.__getitem__)
        for piece, taker in zip(pieces[start : start + shard.count], takers, strict=False):
            shares[taker].append(piece)
            loads[taker] += piece.cost
    _even(shares, loads)
    mine = sorted(shares[shard.number - 1], key=lambda piece: piece.start)
    return [Span(piece.start, piece.stop, piece.cost / 1e6) for piece in mine]


def _even(shares: list[list[_Piece]], loads: list[int]) -> None:
    """Swap a piece of the shard that has most for one of the shard that has least, while that makes them more alike."""
    for _ in range(SWAPS * len(shares)):
        high, low = loads.index(max(loads)), loads.index(min(loads))
        gap = loads[high] - loads[low]
        given, taken = min(
            ((piece, other) for piece in shares[high] for other in shares[low]),
            key=lambda pair: (abs(2 * (pair[0].cost - pair[1].cost) - gap), pair),
            default=(None, None),
        )
        if given is None or taken is None or not 0 < given.cost - taken.cost < gap:
            return
        shares[high][shares[high].index(given)] = taken
        shares[low][shares[low].index(taken)] = given
        loads[high] -= given.cost - taken.cost
        loads[low] += given.cost - taken.cost


def _pieces(part: Costs, budget: int, most: int) -> Iterator[_Piece]:
    """The problems in pieces of about the budget and so many problems at most; one that costs more ends its piece."""
    turns = (np.cumsum(part.costs) - part.costs) // budget
    parted = (np.diff(turns) != 0) | (np.diff(np.arange(len(turns)) // most) != 0)
    edges = [0, *(np.flatnonzero(parted) + 1).tolist(), len(turns)]
    for begin, end in itertools.pairwise(edges):
        start, stop = int(part.places[begin]), int(part.places[end - 1]) + 1
        yield _Piece(-int(part.costs[begin:end].sum()), part.case, int(part.within[begin]), start, stop)
