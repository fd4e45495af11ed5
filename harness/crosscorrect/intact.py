"""What a run folder must hold to be read: the keys of ``run.json``, and each table's columns, types and closed sets."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from crosscorrect import tables
from crosscorrect.errors import DamagedError
from crosscorrect.model import Direction, Outcome, Reason
from crosscorrect.speed.model import Phase, Role, Speed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from enum import StrEnum
    from pathlib import Path

    import pandas as pd

LARGEST, MOST_ROWS = 2**35, 10**9
"""What no run comes to: 10^7 checks take about 10 GB. A small file may claim to hold a large one."""

_SETS: Mapping[str, Mapping[str, type[StrEnum]]] = {
    "checks": {"outcome": Outcome, "reason": Reason, "direction": Direction},
    "samples": {"role": Role, "phase": Phase},
    "measurements": {"role": Role},
    "verdicts": {"role": Role, "speed": Speed},
}
_NUMBERS = {
    "checks": {"error", "ratio", "expected", "got", "seconds", "transfer_seconds", "total_seconds"},
    "training": {"step", "loss", "loss_reference", "loss_bound"},
    "samples": {"restart", "round", "place", "calls", "wall", "cpu", "switches", "faults", "residual"},
    "measurements": {"restart", "calls", "rounds", "kept", "seconds", "fast", "waiting", "threads"}
    | {"switches", "faults", "residual"},
    "verdicts": {"margin", "ratio", "low", "high", "resampled_low", "resampled_high", "restarts", "seconds"}
    | {"flops", "padded", "bytes", "attainable", "resolution"},
}
_OTHERS = {
    "problems": {"show", "invalid"},
    "training": {"weight", "weight_reference", "weight_bound"},
    "arrays": {"shape", "data"},  # an array is read when it is asked for, and told then
}
"""The columns that hold neither text nor a number."""

_NESTED = {
    "checks": ("arrays",),
    "problems": ("geometry", "settings", "arrays", "expect"),
    "events": ("detail",),
}
"""The columns whose text is a JSON object, null or empty."""

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
    "asked": dict,
}
_NEEDED = ("crosscorrect", "run", "finished", "frameworks")
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

    for name in tables.TABLES:
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


def check_table(folder: Path, name: str, table: pd.DataFrame, columns: Sequence[str] | None = None) -> None:
    """Check that a table has its columns (or those asked for), each with values of its type and words that are known.

    Raises DamagedError for the first column that is off, with its table. Each distinct value is looked at once.
    """
    for column in columns or tables.COLUMNS[name]:
        if column not in table.columns:
            raise _damaged(folder, f"the table {name} has no column {column}")
        if len(table):
            _check_column(folder, name, table[column])


def _check_column(folder: Path, name: str, column: pd.Series[Any]) -> None:
    from pandas.api.types import infer_dtype  # noqa: PLC0415  only those who read a run wait for pandas

    place = f"the table {name}, column {column.name}"
    if column.name in _NUMBERS.get(name, ()):
        if infer_dtype(column, skipna=True) not in ("floating", "integer", "mixed-integer-float", "empty"):
            raise _damaged(folder, f"{place}: a value is not a number")
    elif column.name not in _OTHERS.get(name, ()):
        if infer_dtype(column, skipna=False) != "string":
            raise _damaged(folder, f"{place}: a value is not text")
        words = _SETS.get(name, {}).get(str(column.name))
        if words is not None:
            known = column.isin([word.value for word in words])
            if not known.all():
                raise _damaged(folder, f"{place}: {column[~known].iloc[0]!r} is no {column.name}")
        elif column.name in _NESTED.get(name, ()):
            for text in column.unique():
                _check_nested(folder, place, text)


def _check_nested(folder: Path, place: str, text: str) -> None:
    try:
        value = json.loads(text) if text else None
    except (ValueError, RecursionError):
        raise _damaged(folder, f"{place}: a value is not JSON") from None
    if value is not None and not isinstance(value, dict):
        raise _damaged(folder, f"{place}: a value is not a JSON object")
    if place.startswith("the table checks") and not all(isinstance(digest, str) for digest in (value or {}).values()):
        raise _damaged(folder, f"{place}: a digest is not text")


def _damaged(folder: Path, what: str) -> DamagedError:
    return DamagedError(f"the run {folder} is damaged: {what}; run it again")
