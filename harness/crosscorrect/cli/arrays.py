"""Arrays for a person and for a machine: dtype and shape, and the numbers where they are few."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
import numpy as np

from crosscorrect import dtypes

if TYPE_CHECKING:
    Array = np.ndarray[Any, Any]

SMALL = 200
"""Arrays of up to this many numbers are printed whole."""


def show_array(name: str, array: Array | None) -> None:
    """Print an array's name, dtype and shape, and its numbers where they are few; nothing for None."""
    if array is None:
        return
    click.echo(f"  {name}: {dtypes.name_of(array.dtype)} {array.shape}")
    if array.size <= SMALL:
        numbers = np.array2string(np.squeeze(dtypes.widen(array)), separator=", ")
        click.echo("\n".join("    " + line for line in numbers.splitlines()))


def described(array: Array | None) -> dict[str, Any] | None:
    """The same for ``say_json``: ``values`` are nested lists, a complex number as ``[real, imaginary]``.

    What is no number is the text ``NaN`` here: in a document, nothing stands for a number that is not known.
    """
    if array is None:
        return None
    said: dict[str, Any] = {"dtype": dtypes.name_of(array.dtype), "shape": list(array.shape)}
    if array.size > SMALL:
        return said
    wide = dtypes.widen(array)
    pairs = np.stack([wide.real, wide.imag], axis=-1) if np.iscomplexobj(wide) else wide
    return {**said, "values": told(pairs.tolist())}


def told(value: Any) -> Any:
    """A number, or nested lists of them, with NaN as text."""
    if isinstance(value, list):
        return [told(own) for own in value]
    return "NaN" if value != value else value  # noqa: PLR0124  what NaN is
