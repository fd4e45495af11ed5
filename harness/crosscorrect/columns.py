"""What the tables of a run hold, read from the classes of their rows: each column, its type, its words, its meaning.

The one place for it: the Arrow schema of the files, the check of what is read (``intact``) and the reference in
docs/frames.md come from here.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from types import UnionType
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

from crosscorrect.model import JSON, Check, Event, Fact, KeptArray, ProblemRow, TrainingStep
from crosscorrect.speed.model import Comparison, Measurement, Sample

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa

ROWS: Mapping[str, type] = {
    "checks": Check,
    "problems": ProblemRow,
    "training": TrainingStep,
    "samples": Sample,
    "measurements": Measurement,
    "verdicts": Comparison,
    "env": Fact,
    "events": Event,
    "arrays": KeptArray,
}
"""The class of a row of each table."""

TEXT, NUMBER, WHOLE, FLAG, BYTES, NUMBERS, WHOLES = "text", "float64", "int64", "bool", "binary", "floats", "ints"
_KINDS = {
    str: TEXT,
    float: NUMBER,
    int: WHOLE,
    bool: FLAG,
    bytes: BYTES,
    list[float]: NUMBERS,
    list[int]: WHOLES,
    dict[str, str]: TEXT,
}
"""What a field of each type is in a table."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column. ``words`` is its closed set, or empty; ``json`` says that its text is a JSON object, null or nothing.

    ``digests`` says that the object maps names to digests. ``optional`` is whether a value may be missing, which is NaN
    in a frame.
    """

    name: str
    kind: str
    meaning: str
    words: tuple[str, ...] = ()
    json: bool = False
    digests: bool = False
    optional: bool = False


@cache
def of(table: str) -> tuple[Column, ...]:
    """The columns of a table, in their order."""
    hints = get_type_hints(ROWS[table], include_extras=True)
    return tuple(_column(name, hint.__origin__, hint.__metadata__) for name, hint in hints.items())


def _column(name: str, found: Any, said: tuple[str, ...]) -> Column:
    """The column of an annotated type; ``said`` are its marks and then its meaning."""
    optional = isinstance(found, UnionType)
    kind = next(part for part in get_args(found) if part is not type(None)) if optional else found
    words = tuple(word.value for word in kind) if isinstance(kind, type) and issubclass(kind, StrEnum) else ()
    return Column(
        name, TEXT if words else _KINDS[kind], said[-1], words, JSON in said[:-1], kind == dict[str, str], optional
    )


@cache
def arrow(table: str) -> pa.Schema:
    """The Arrow schema of a table; each field carries its meaning, which Parquet keeps."""
    import pyarrow as pa  # noqa: PLC0415  a third of a second that only those who write or read a run wait for

    types = {
        TEXT: pa.string(),
        NUMBER: pa.float64(),
        WHOLE: pa.int64(),
        FLAG: pa.bool_(),
        BYTES: pa.binary(),
        NUMBERS: pa.list_(pa.float64()),
        WHOLES: pa.list_(pa.int64()),
    }
    return pa.schema(
        # pandas writes NaN as a missing number, so that any float may be one
        pa.field(c.name, types[c.kind], nullable=c.optional or c.kind == NUMBER, metadata={"meaning": c.meaning})
        for c in of(table)
    )
