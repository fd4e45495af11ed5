"""The form of a catalogue entry, and the register that entries are written into."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from crosscorrect.model import Direction

if TYPE_CHECKING:
    from crosscorrect.catalogue.change import Change, Setting

Changes = Callable[["Setting"], Iterable["Change"]]
GRADIENTS = (Direction.GRAD_INPUT, Direction.GRAD_WEIGHT, Direction.GRAD_BIAS)


@dataclass(frozen=True, slots=True)
class Entry:
    """One way of being wrong.

    ``name`` is its id, ``sentence`` what a person is told. ``kind`` is ``semantic`` (the forward pass, and with it its
    gradients), ``gradient`` (only the gradients of ``directions``), ``arithmetic`` or ``damage`` (something local that
    no change of arguments describes). ``changes`` gives, for a setting, the changes that go by this name, the likeliest
    first: that one makes the mutant, all of them are tried in a diagnosis; none where the entry does not apply.
    """

    name: str
    sentence: str
    kind: str
    changes: Changes
    directions: tuple[Direction, ...] = ()


class Register:
    """Entries by name, in the order in which they are written."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}

    def semantic(self, name: str, sentence: str) -> Callable[[Changes], Changes]:
        """Write down the decorated function as the changes of a semantic entry."""
        return self._added(name, sentence, "semantic", ())

    def gradient(self, name: str, sentence: str, *directions: Direction) -> Callable[[Changes], Changes]:
        """Write down the decorated function as the changes of an entry about these gradients."""
        return self._added(name, sentence, "gradient", directions)

    def arithmetic(self, name: str, sentence: str, changes: Changes) -> None:
        """Write down an arithmetic entry."""
        self._added(name, sentence, "arithmetic", ())(changes)

    def _added(
        self, name: str, sentence: str, kind: str, directions: tuple[Direction, ...]
    ) -> Callable[[Changes], Changes]:
        def add(changes: Changes) -> Changes:
            if name in self.entries:
                raise ValueError(f"two entries are called {name}")
            self.entries[name] = Entry(name, sentence, kind, changes, directions)
            return changes

        return add
