"""The catalogue of ways to be wrong: each entry predicts what such a backend returns, and is such a backend.

A diagnosis (``crosscorrect.diagnosis``) looks for the entry whose prediction explains an output;
``crosscorrect.mutants`` makes the wrong adapters that measure whether the suites catch it. The entries are the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from crosscorrect.catalogue import arithmetic, arrays, backward, kernels, outputs, places
from crosscorrect.catalogue.entry import Entry
from crosscorrect.errors import UsageError
from crosscorrect.nearest import meant

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Entry", "entries", "named"]

_ALL: dict[str, Entry] = {}
for _part in (kernels, places, arrays, outputs, backward, arithmetic):
    for _entry in _part.REGISTER.entries.values():
        if _entry.name in _ALL:
            raise ValueError(f"two entries are called {_entry.name}")
        _ALL[_entry.name] = _entry


def entries(kinds: Iterable[str] = ()) -> list[Entry]:
    """Every entry of these kinds (none: all), in the order in which equal explanations are told."""
    wanted = set(kinds)
    return [entry for entry in _ALL.values() if not wanted or entry.kind in wanted]


def named(name: str) -> Entry:
    """The entry of this name. Raises UsageError, with the nearest name, where there is none."""
    if name not in _ALL:
        hint = meant(name, _ALL)
        raise UsageError(f"no entry of the catalogue is called {name!r}{f'; {hint}' if hint else ''}")
    return _ALL[name]
