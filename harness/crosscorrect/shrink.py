"""The smallest problem that still fails in the same way: greedy simplification of a draft, one property at a time."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from crosscorrect.drafts import Axis, Draft

TRIALS = 400
"""How many problems are tried for one that failed."""
SECONDS = 120.0
"""How long that may take: a problem that kills its worker costs a start of the framework each time."""

SIMPLEST: tuple[dict[str, Any], ...] = ({"fill": "codes"}, {"fill": "integers"})
"""The data that are tried in place of others, the simplest first: 1, 2, 3 … still tell which number went where."""


def shrink(draft: Draft, fails: Callable[[Draft], bool], trials: int = TRIALS, seconds: float = SECONDS) -> Draft:
    """The smallest draft that greedy simplification finds for which ``fails`` holds; ``draft`` is known to fail.

    Every way to be simpler is tried until it fails to fail, and all of them again until none helps.
    """
    tried, end = {repr(draft)}, time.monotonic() + seconds
    changed = True
    while changed:
        changed = False
        for simpler in WAYS:
            found = next(_failing(simpler, draft, fails, tried, trials, end), None)
            while found is not None:
                draft, changed = found, True
                found = next(_failing(simpler, draft, fails, tried, trials, end), None)
    return draft


def _failing(
    simpler: Callable[[Draft], Iterator[Draft]],
    draft: Draft,
    fails: Callable[[Draft], bool],
    tried: set[str],
    trials: int,
    end: float,
) -> Iterator[Draft]:
    """The simpler drafts that fail and were not tried before, as long as trials and time are left."""
    for candidate in simpler(draft):
        if len(tried) > trials or time.monotonic() > end:
            return
        if candidate.possible and repr(candidate) not in tried:
            tried.add(repr(candidate))
            if fails(candidate):
                yield candidate


def _one_direction(draft: Draft) -> Iterator[Draft]:
    if len(draft.directions) > 1:
        for direction in draft.directions:
            unasked = ("dy",) if direction == "forward" else ()
            kept = {name: spec for name, spec in draft.data.items() if name not in unasked}
            yield replace(draft, directions=(direction,), data=kept)


def _fewer_axes(draft: Draft) -> Iterator[Draft]:
    if len(draft.axes) > 1:
        for place in range(len(draft.axes)):
            axes = draft.axes[:place] + draft.axes[place + 1 :]
            yield replace(draft, axes=axes, data=_without_places(draft.data, place))


def _without_places(data: dict[str, dict[str, Any]], place: int) -> dict[str, dict[str, Any]]:
    """The data with what speaks of an axis left out: an impulse's position on it."""
    kept = {}
    for name, spec in data.items():
        kept[name] = dict(spec)
        if "at" in spec:
            kept[name]["at"] = [at for index, at in enumerate(spec["at"]) if index != place + 1]
    return kept


def _plain_words(draft: Draft) -> Iterator[Draft]:
    if draft.spelling != "native":
        yield replace(draft, spelling="native")
    if draft.transposed:
        axes = tuple(replace(a, extra=0) for a in draft.axes)
        yield _inside(replace(draft, axes=axes, transposed=False))
    if draft.word:
        yield replace(draft, word="")
        images, kernels = [a.image for a in draft.axes], [a.kernel for a in draft.axes]
        pads = draft.geometry.pads(images, kernels)
        axes = tuple(replace(a, begin=b, end=e) for a, (b, e) in zip(draft.axes, pads, strict=True))
        yield replace(draft, axes=axes, word="")


def _no_bias(draft: Draft) -> Iterator[Draft]:
    if "b" in draft.data and "grad_bias" not in draft.directions:
        yield replace(draft, data={name: spec for name, spec in draft.data.items() if name != "b"})


def _less(value: int, least: int) -> Iterator[int]:
    """The values below one that are worth a try: the least, half, one less."""
    yield from dict.fromkeys(n for n in (least, least + 1, value // 2, value - 1) if least <= n < value)


def _fewer_of(name: str) -> Callable[[Draft], Iterator[Draft]]:
    """Fewer examples, groups or channels of a group."""

    def fewer(draft: Draft) -> Iterator[Draft]:
        for value in _less(getattr(draft, name), 1):
            changed: Any = {name: value}
            yield _inside(replace(draft, **changed))

    return fewer


def _plain_axes(draft: Draft) -> Iterator[Draft]:
    """One property of all axes made plain at once."""
    for change in ({"stride": 1}, {"dilation": 1}, {"begin": 0, "end": 0}, {"extra": 0}):
        plain: Any = change
        yield replace(draft, axes=tuple(_sound(replace(a, **plain)) for a in draft.axes))


def _less_of(name: str, least: int) -> Callable[[Draft], Iterator[Draft]]:
    """Less of one property of one axis."""

    def less(draft: Draft) -> Iterator[Draft]:
        for place, axis in enumerate(draft.axes):
            for value in _less(getattr(axis, name), least):
                changed: Any = {name: value}
                axes = list(draft.axes)
                axes[place] = _sound(replace(axis, **changed))
                yield _inside(replace(draft, axes=tuple(axes)))

    return less


def _sound(axis: Axis) -> Axis:
    """The axis with as much output padding as its stride and dilation leave a meaning."""
    return replace(axis, extra=min(axis.extra, max(axis.stride, axis.dilation) - 1))


def _inside(draft: Draft) -> Draft:
    """The draft with every impulse inside its array."""
    data = {}
    for name, spec in draft.data.items():
        data[name] = dict(spec)
        if "at" in spec:
            extents = draft.shapes[name][1:]
            data[name]["at"] = [min(at, extent - 1) for at, extent in zip(spec["at"], extents, strict=True)]
    return replace(draft, data=data)


def _simpler_data(draft: Draft) -> Iterator[Draft]:
    """Codes everywhere, small integers everywhere, then each for one array, as far as that is simpler."""
    for rank, spec in enumerate(SIMPLEST):
        if any(_rank(own) > rank for own in draft.data.values()):
            yield replace(draft, data={name: own if _rank(own) <= rank else spec for name, own in draft.data.items()})
    for name, own in draft.data.items():
        for spec in SIMPLEST[: _rank(own)]:
            yield replace(draft, data={**draft.data, name: spec})


def _rank(spec: dict[str, Any]) -> int:
    """The place of data among the simplest, or after them."""
    return next((rank for rank, simple in enumerate(SIMPLEST) if spec["fill"] == simple["fill"]), len(SIMPLEST))


WAYS: tuple[Callable[[Draft], Iterator[Draft]], ...] = (
    _one_direction,
    _fewer_axes,
    _plain_words,
    _no_bias,
    _fewer_of("batch"),
    _fewer_of("groups"),
    _fewer_of("inner"),
    _fewer_of("outer"),
    _plain_axes,
    _less_of("image", 1),
    _less_of("kernel", 1),
    _less_of("stride", 1),
    _less_of("dilation", 1),
    _less_of("begin", 0),
    _less_of("end", 0),
    _less_of("extra", 0),
    _simpler_data,
)
"""What makes a draft simpler, in the order of how much."""
