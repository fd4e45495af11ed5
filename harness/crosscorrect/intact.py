"""What a run folder must hold to be read: the keys of ``run.json``, and in each table what ``columns`` says of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from crosscorrect import columns
from crosscorrect.errors import DamagedError, inert

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import pyarrow as pa

LARGEST, MOST_ROWS = 2**35, 10**9
"""What no run comes to: 10^7 checks take about 10 GB. A small file may claim to hold a large one."""

_INFO: dict[str, type | tuple[type, type]] = {
    "crosscorrect": str,
    "run": str,
    "finished": bool,
    "frameworks": (list, str),
    "suites": (list, dict),
    "modes": (list, str),
    "devices": (list, str),
    "filter": (list, str),
    "arithmetic": str,
    "level": str,
    "seed": int,
    "problems": int,
    "shard": str,
    "share": int,
    "totals": dict,
    "sources": dict,
    "adapters": dict,
    "asked": dict,
}
_NEEDED = ("crosscorrect", "run", "finished", "frameworks")
LONGEST_VALUE = 80
"""How many characters are shown of a value that is not what it should be."""
_KINDS = {
    columns.TEXT: "text",
    columns.NUMBER: "a number",
    columns.WHOLE: "a whole number",
    columns.FLAG: "true or false",
    columns.BYTES: "bytes",
    columns.NUMBERS: "a list of numbers",
    columns.WHOLES: "a list of whole numbers",
}
_WORDS = {str: "text", bool: "true or false", int: "a whole number", list: "a list", dict: "a mapping"}


def check_info(folder: Path, info: Mapping[str, Any]) -> None:
    """Check the keys of ``run.json`` and the types of their values. Raises DamagedError for the first wrong one."""
    for key, kind in _INFO.items():
        if key not in info and key not in _NEEDED:
            continue
        outer, inner = kind if isinstance(kind, tuple) else (kind, object)
        value = info.get(key)
        if not isinstance(value, outer) or (outer is int and isinstance(value, bool)):
            raise _damaged(folder, f"run.json: {key!r} is not {_WORDS[outer]}")
        if isinstance(value, list) and not all(isinstance(item, inner) for item in value):
            raise _damaged(folder, f"run.json: {key!r} holds what is not {_WORDS[inner]}")
    for suite in info.get("suites", ()):
        for key in ("name", "title", "file", "digest"):
            if not isinstance(suite.get(key), str):
                raise _damaged(folder, f"run.json: a suite's {key!r} is not text")


def check_files(folder: Path) -> None:
    """Check that a finished run has every table, as Parquet. Raises DamagedError for the first that it has not."""
    from pyarrow import ArrowException, parquet  # noqa: PLC0415  only those who read a run wait for it

    for name in columns.ROWS:
        path = folder / f"{name}.parquet"
        if path.exists() and not path.is_file():
            raise _damaged(folder, f"the table {path.name} is no file")
        try:
            metadata = parquet.read_metadata(path)
        except (OSError, ValueError, ArrowException) as error:
            raise _damaged(folder, f"the table {path.name} is missing or damaged: {error}") from None
        size = sum(metadata.row_group(place).total_byte_size for place in range(metadata.num_row_groups))
        if size > LARGEST or metadata.num_rows > MOST_ROWS:
            raise _damaged(folder, f"the table {path.name} says that it is of {metadata.num_rows} rows, {size} bytes")


def checked(folder: Path, name: str, table: pa.Table, names: Sequence[str] | None = None) -> pa.Table:
    """The columns of a table (or those asked for, in that order) in their types, each with what ``columns`` says of it.

    Raises DamagedError for the first that is off, naming folder, table, column and value. A value is looked at once,
    however often it is there.
    """
    import pyarrow as pa  # noqa: PLC0415  only those who read a run wait for it

    known = {column.name: column for column in columns.of(name)}
    fields = [columns.arrow(name).field(asked) for asked in names or known]
    found = []
    for field in fields:
        there = table.schema.get_all_field_indices(field.name)
        if len(there) != 1:
            raise _damaged(folder, f"the table {name} has {'several columns' if there else 'no column'} {field.name}")
        try:
            found.append(_checked(known[field.name], table.column(there[0]), field))
        except (ValueError, OverflowError, pa.ArrowException) as error:
            raise _damaged(folder, f"the table {name}, column {field.name}: {inert(error)}") from None
    return pa.Table.from_arrays(found, schema=pa.schema(fields))


def _checked(column: columns.Column, values: pa.ChunkedArray, field: pa.Field) -> pa.ChunkedArray:
    """The values of one column in its type. Raises ValueError, OverflowError or ArrowException: what is off."""
    import pyarrow as pa  # noqa: PLC0415  as above

    if values.null_count and not field.nullable:
        raise ValueError(f"a value is missing, and each is {_KINDS[column.kind]}")
    said = values.drop_null()
    if not len(said):
        return pa.chunked_array([pa.nulls(len(values), field.type)])
    if not _fits(values.type, field.type):
        raise ValueError(f"{_told(said[0].as_py())} is not {_KINDS[column.kind]}")
    values = values.cast(field.type)
    values.validate(full=True)
    if column.words or column.json:
        for value in values.unique().to_pylist():
            if column.words and value not in column.words:
                raise ValueError(f"{_told(value)} is no {column.name}")
            if column.json:
                _check_json(value, digests=column.digests)
    return values


def _fits(found: pa.DataType, wanted: pa.DataType) -> bool:
    """Whether values of one type may be read as another: other tools write text and numbers in types of their own."""
    from pyarrow import types  # noqa: PLC0415  as above

    if types.is_list(wanted) and (types.is_list(found) or types.is_large_list(found)):
        return _fits(found.value_type, wanted.value_type)
    alike = (types.is_string, types.is_large_string), (types.is_integer, types.is_floating)
    return (
        types.is_null(found)
        or any(any(is_one(found) for is_one in kind) and any(is_one(wanted) for is_one in kind) for kind in alike)
        or bool(found == wanted)
    )


def _check_json(text: str, *, digests: bool) -> None:
    try:
        value = json.loads(text) if text else None
    except (ValueError, RecursionError):
        raise ValueError(f"{_told(text)} is not JSON") from None
    if value is not None and not isinstance(value, dict):
        raise ValueError(f"{_told(text)} is not a JSON object")
    if digests and not all(isinstance(digest, str) for digest in (value or {}).values()):
        raise ValueError(f"{_told(text)} holds a digest that is not text")


def _told(value: object) -> str:
    """A value of a stranger's, short and on one line."""
    shown = inert(repr(value))
    return shown if len(shown) <= LONGEST_VALUE else shown[: LONGEST_VALUE - 1] + "…"


def _damaged(folder: Path, what: str) -> DamagedError:
    return DamagedError(f"the run {folder} is damaged: {what}; run it again")
