"""What a person may have meant: by a name that is not known the nearest that is, by one name a list of it."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

LONGEST = 100
"""So many characters of a name are compared: what a stranger wrote may be of any length."""
MOST = 1000
"""So many names are compared, each of which takes some ten microseconds."""


def nearest(word: object, known: Iterable[str], cutoff: float = 0.6) -> str:
    """The known name that is most like a word, whatever its case; empty where none is like it.

    ``cutoff`` is how alike they must be, from 0 to 1.
    """
    from difflib import get_close_matches  # noqa: PLC0415  what goes right needs none of it

    if not isinstance(word, (str, int, float)):
        return ""
    folded = {name.casefold(): name for name in islice(known, MOST)}
    close = get_close_matches(str(word)[:LONGEST].casefold(), folded, 1, cutoff)
    return folded[close[0]] if close else ""


def meant(word: object, known: Iterable[str], otherwise: str = "") -> str:
    """The end of an error about a name: whether the nearest known one was meant, or what to do where none is near."""
    near = nearest(word, known)
    return f"did you mean {near}?" if near else otherwise


def each(value: Iterable[Any] | str | Path) -> tuple[Any, ...]:
    """Several values, or one that a person wrote without brackets."""
    return (value,) if isinstance(value, (str, Path)) else tuple(value)
