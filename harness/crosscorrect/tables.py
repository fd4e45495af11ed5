"""The tables of a run: the way from the records of a log to Parquet, a batch at a time."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import os
from collections import Counter
from dataclasses import MISSING, fields
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from crosscorrect import columns, dtypes, ledger, log
from crosscorrect.errors import DamagedError
from crosscorrect.model import Check

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    import pandas as pd
    import pyarrow as pa

    from crosscorrect.geometry import Geometry
    from crosscorrect.model import Event, TrainingStep
    from crosscorrect.problem import Problem
    from crosscorrect.speed.model import Comparison, Measurement, Sample

    Array = np.ndarray[Any, Any]
    Row = dict[str, Any]

TABLES = tuple(columns.ROWS)
TIMED = ("samples", "measurements", "verdicts")
"""The tables of a timed run; empty where nothing was timed."""
SUBJECT = ("problem", "part", "framework", "mode", "device", "role")
"""The columns that name what was measured."""
COLUMNS = {name: [column.name for column in columns.of(name)] for name in TABLES}
_COLUMNS = {name: frozenset(names) for name, names in COLUMNS.items()}
_ONCE = {
    "problems": ("problem",),
    "env": ("framework", "section", "key"),
    "arrays": ("digest",),
    "measurements": (*SUBJECT, "restart"),
    "verdicts": SUBJECT,
}
"""The tables that several lanes and processes write alike, and the columns that tell their rows apart."""
_NESTED = [column.name for column in columns.of("problems") if column.json and column.name != "geometry"]
"""The columns of a problem that are mappings, written as JSON; the geometry, which is an object, is one, too."""
_SAID = [name for name in COLUMNS["problems"] if name not in ("problem", "geometry", *_NESTED)]
ROUND = ("problem", "part", "restart", "round")
"""What the samples of one round have in common: one record of the log has them all."""
_encode_sorted = json.JSONEncoder(sort_keys=True).encode
_encode = json.JSONEncoder(ensure_ascii=False).encode
BATCH = 4096
"""How many rows of a table are in memory at a time."""
_UNSAID = {f.name: f.default for f in fields(Check) if f.default is not MISSING}
"""What a record of a check leaves out: the columns that have their default."""


def check_record(check: Check) -> Row:
    """A check as a row: a mapping of JSON values, all columns."""
    record = {name: getattr(check, name) for name in COLUMNS["checks"]}
    record["arrays"] = _encode_sorted(check.arrays)
    return record


def short_record(check: Check) -> Row:
    """The same without the columns that say nothing, which are most, for the log."""
    return {k: v for k, v in check_record(check).items() if k not in _UNSAID or v != _UNSAID[k]}


def row_record(row: TrainingStep | Event | Sample | Measurement | Comparison) -> Row:
    """A row of a table that is one of these."""
    return {f.name: getattr(row, f.name) for f in fields(row)}


def problem_record(problem: Problem) -> Row:
    """A problem as a row: all that a reader of the run needs to know about it."""
    return {
        "problem": problem.id,
        **{name: getattr(problem, name) for name in _SAID},
        "geometry": _geometry(problem.geometry),
        **{name: _encode(getattr(problem, name)) for name in _NESTED},
    }


@lru_cache(1024)
def _geometry(geometry: Geometry | None) -> str:
    """A geometry as JSON; many problems of a sweep have the same."""
    return _encode(None if geometry is None else geometry.to_json())


def array_record(array: Array, digest: str) -> Row:
    """An array as a record of a log, its bytes in base64."""
    data = base64.b64encode(np.ascontiguousarray(array).tobytes()).decode("ascii")
    return {"digest": digest, "dtype": dtypes.name_of(array.dtype), "shape": list(array.shape), "data": data}


def rows(paths: Iterable[Path]) -> Iterator[tuple[str, Row]]:
    """Each row of these logs with its table's name, in the order in which they were written, the first of alike ones.

    Raises DamagedError for a record that crosscorrect did not write, and for two that contradict each other.
    """
    seen: set[bytes] = set()
    units: dict[bytes, bytes] = {}
    for path in paths:
        for record in log.read(path):
            kind = record["kind"]
            try:
                if kind == "unit" and not _is_first(record, units):
                    continue
                for table, row in _rows_of(record):
                    if table not in _ONCE or _is_new(table, row, seen):
                        yield table, _whole(table, row)
            except (AttributeError, KeyError, TypeError, ValueError) as error:
                raise DamagedError(
                    f"{path} holds a {kind} record that crosscorrect did not write ({error!r}); run it again"
                ) from None


def _is_first(record: Row, units: dict[bytes, bytes]) -> bool:
    """Whether this is the first record of a unit; a second one, of a lease that was carried out twice, must agree."""
    said = ledger.verdicts_key(record)
    before = units.setdefault(ledger.unit_key(record), said)
    if before is said:
        return True
    if before != said:
        unit = ", ".join(ledger.unit_of(record).values())
        raise DamagedError(f"the run holds two verdicts that contradict each other on {unit}; run it again")
    return False


def _rows_of(record: Row) -> Iterator[tuple[str, Row]]:
    """The rows of one record: a row of one table, a unit with the rows of several, or a round of samples."""
    kind = record.pop("kind")
    if kind in TABLES:
        yield kind, record
    elif kind == "unit":
        for table in TABLES:
            for row in record.get(table, ()):
                yield table, row
    elif kind == "round":
        shared = {name: record[name] for name in ROUND}
        for row in record["samples"]:
            yield "samples", {**shared, **row}


def _is_new(table: str, row: Row, seen: set[bytes]) -> bool:
    named = "|".join([table, *[str(row[column]) for column in _ONCE[table]]])
    key = hashlib.blake2b(named.encode("utf-8", "replace"), digest_size=12).digest()
    if key in seen:
        return False
    seen.add(key)
    return True


def _whole(table: str, row: Row) -> Row:
    """The row with every column of its table and no other."""
    if table == "arrays":
        return {**row, "data": binascii.a2b_base64(row["data"], strict_mode=True)}
    if table == "checks":
        return {**_UNSAID, "arrays": "{}", **row}
    return row


def frames(paths: Iterable[Path]) -> dict[str, pa.Table]:
    """Every table of these logs in memory. Raises DamagedError."""
    import pyarrow as pa  # noqa: PLC0415  as below

    gathered: dict[str, list[Row]] = {name: [] for name in TABLES}
    for table, row in rows(paths):
        gathered[table].append(row)
    return {name: _table(name, found, pa) for name, found in gathered.items()}


def frame(name: str, found: Iterable[Row]) -> pd.DataFrame:
    """Rows of a table, which need not be in any log, as a run has them when it is read back."""
    import pyarrow as pa  # noqa: PLC0415  as below

    return _table(name, list(found), pa).to_pandas()


def export(folder: Path, found: Iterable[tuple[str, Row]]) -> dict[str, int]:
    """Write rows, as ``rows`` gives them, as the Parquet files of a run folder, each whole or not at all.

    Returns how many checks have each outcome.
    """
    import pyarrow as pa  # noqa: PLC0415  a third of a second that only the end of a run needs
    from pyarrow import parquet  # noqa: PLC0415

    parts = {name: folder / f".{name}.parquet.part" for name in TABLES}
    writers = {name: parquet.ParquetWriter(part, columns.arrow(name)) for name, part in parts.items()}
    outcomes: Counter[str] = Counter()
    try:
        waiting: dict[str, list[Row]] = {name: [] for name in TABLES}
        for table, row in found:
            waiting[table].append(row)
            if table == "checks":
                outcomes[row["outcome"]] += 1
            if len(waiting[table]) >= BATCH:
                writers[table].write_table(_table(table, waiting[table], pa))
                waiting[table] = []
        for table, left in waiting.items():
            writers[table].write_table(_table(table, left, pa))
    finally:
        for writer in writers.values():
            writer.close()
    replace_tables(folder, parts)
    return dict(outcomes)


def replace_tables(folder: Path, parts: Mapping[str, Path]) -> None:
    """Put finished files in the place of the tables, on the disk before under their names."""
    for name, part in parts.items():
        with part.open("rb") as stream:
            os.fsync(stream.fileno())
        part.replace(folder / f"{name}.parquet")
    log.sync_folder(folder)


def _table(name: str, found: list[Row], pa: Any) -> pa.Table:
    for row in found:
        if not row.keys() >= _COLUMNS[name]:
            absent = next(column for column in COLUMNS[name] if column not in row)
            raise DamagedError(f"a row of the table {name} has no {absent}: the run is damaged; run it again")
    try:
        table = pa.Table.from_pylist(found, schema=columns.arrow(name))
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        raise DamagedError(f"a row of the table {name} is no such row ({error}); run it again") from None
    for field, values in zip(table.schema, table.columns, strict=True):
        if values.null_count and not field.nullable:
            raise DamagedError(f"a row of the table {name} is no such row ({field.name} is missing); run it again")
    return table
