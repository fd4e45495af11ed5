"""A run folder: append-only segments while a run goes on, Parquet tables and ``run.json`` when it is finished."""

from __future__ import annotations

import json
import os
import shutil
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from crosscorrect import __version__, dtypes, intact
from crosscorrect.errors import IncompleteError, UsageError
from crosscorrect.model import SCHEMA_VERSION, Check, TrainingStep
from crosscorrect.worker.wire import digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pandas as pd

    from crosscorrect.problem import Problem

    Array = np.ndarray[Any, Any]

TABLES, COLUMNS = intact.TABLES, intact.COLUMNS
KEEP_ALWAYS = 4 * 1024
"""Arrays up to this many bytes are kept with every check."""
KEEP_ON_FAILURE = 4 * 1024 * 1024
"""Arrays up to this many bytes are kept with a check that did not pass, or whose case asks to be shown."""


_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


def new_run_id() -> str:
    """A folder name that sorts by time and does not collide: UTC time and process id."""
    return datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")[:-4] + f"-{os.getpid()}"


def create(results: Path, run_id: str, info: Mapping[str, Any], *, latest: bool = True) -> Path:
    """Make ``results/<run_id>`` with its ``run.json``; point ``results/latest`` at it if wanted. Raises UsageError."""
    folder, link = results / run_id, results / f".latest-{os.getpid()}"
    own = {"schema": SCHEMA_VERSION, "crosscorrect": __version__, "run": run_id, "finished": False}
    if latest:
        _check_latest(results / "latest")
    try:
        folder.mkdir(parents=True)
        try:
            write_info(folder, {**own, **info})
            if latest:
                link.symlink_to(run_id)
                link.replace(results / "latest")
        except OSError:
            link.unlink(missing_ok=True)
            shutil.rmtree(folder, ignore_errors=True)  # ours, just made: nothing half-written stays
            raise
    except OSError as error:
        raise UsageError(
            f"the run folder {folder} cannot be written ({error.strerror}); choose another with --results FOLDER"
        ) from None
    return folder


def _check_latest(place: Path) -> None:
    """Raise UsageError where something of a person's own is in the place of the link to the newest run."""
    if place.exists() and not place.is_symlink():
        kind = "folder" if place.is_dir() else "file"
        raise UsageError(
            f"{place} cannot be written (it is a {kind} of its own, and the link to the newest run belongs there); "
            "move it away, or choose another place for runs with --results FOLDER"
        )


def write_info(folder: Path, info: Mapping[str, Any]) -> None:
    """Write ``run.json`` whole or not at all."""
    part = folder / ".run.json.part"
    text = json.dumps(info, indent=1, ensure_ascii=False) + "\n"
    part.write_text(text, encoding="utf-8", errors="replace")  # a lone surrogate, from an argument that is not UTF-8
    part.replace(folder / "run.json")


class Segment:
    """One process's append-only log in a run folder: a line of JSON a record, array bytes in a file beside it.

    Every record is handed to the operating system before ``write`` returns, so the death of this process loses
    nothing. Safe to use from several threads.
    """

    def __init__(self, folder: Path) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL
        stem = folder / f"segment-{os.getpid()}-{threading.get_native_id()}"
        self._log = os.open(stem.with_suffix(".jsonl"), flags, 0o644)
        self._data = os.open(stem.with_suffix(".bin"), flags, 0o644)
        self._kept: set[str] = set()
        self._seen: set[str] = set()
        self._offset = 0
        self._lock = threading.Lock()

    def write(self, kind: str, record: Mapping[str, Any]) -> None:
        """Append one record of a kind: ``start``, ``checks``, ``training``, ``env``, ``arrays``."""
        line = _encode({"kind": kind, **record}) + "\n"
        with self._lock:
            # a lone surrogate, from some framework's message, has no UTF-8: it becomes a question mark
            os.write(self._log, line.encode("utf-8", "replace"))

    def first(self, key: str) -> bool:
        """Whether this is the first time that this key is asked about."""
        with self._lock:
            known = key in self._seen
            self._seen.add(key)
            return not known

    def keep(self, array: Array, known: str | None = None) -> str:
        """Append an array unless it is there already; return its digest, which may be ``known``."""
        name = known or digest(array)
        with self._lock:
            if name in self._kept:
                return name
            self._kept.add(name)
            data = np.ascontiguousarray(array).tobytes()
            os.write(self._data, data)
            offset, self._offset = self._offset, self._offset + len(data)
        described = {
            "dtype": dtypes.name_of(array.dtype),
            "shape": list(array.shape),
            "offset": offset,
            "size": len(data),
        }
        self.write("arrays", {"digest": name, **described})
        return name

    def close(self) -> None:
        """Flush to the disk and close."""
        for fd in (self._data, self._log):
            os.fsync(fd)
            os.close(fd)


def row_record(row: TrainingStep) -> dict[str, Any]:
    """A training step as a mapping of JSON values."""
    return {name: getattr(row, name) for name in COLUMNS["training"]}


def check_record(check: Check) -> dict[str, Any]:
    """A check as a mapping of JSON values."""
    record = {name: getattr(check, name) for name in COLUMNS["checks"]}
    return {**record, "arrays": json.dumps(check.arrays, sort_keys=True)}


def problem_record(problem: Problem) -> dict[str, Any]:
    """A problem as a mapping of JSON values: all that a reader of the run needs to know about it."""
    geometry = None if problem.geometry is None else problem.geometry.to_json()
    nested = {"geometry": geometry, "settings": problem.settings, "arrays": problem.arrays, "expect": problem.expect}
    return {
        "problem": problem.id,
        **{name: getattr(problem, name) for name in COLUMNS["problems"] if name not in ("problem", *nested)},
        **{name: json.dumps(value, ensure_ascii=False) for name, value in nested.items()},
    }


def seal(folder: Path, totals: Mapping[str, Any]) -> None:
    """Turn the segments of a folder into Parquet tables and mark the run finished; the segments then go."""
    import pandas as pd  # noqa: PLC0415  half a second that only the end of a run needs

    segments = sorted(folder.glob("segment-*.jsonl"))
    tables = {name: pd.DataFrame(rows, columns=COLUMNS[name]) for name, rows in _fold(segments).items()}
    write_tables(folder, tables, totals)
    for segment in segments:
        segment.with_suffix(".bin").unlink(missing_ok=True)
        segment.unlink()


def write_tables(folder: Path, tables: Mapping[str, pd.DataFrame], totals: Mapping[str, Any]) -> None:
    """Write every table as Parquet, each whole or not at all, and then mark the run finished."""
    for name in TABLES:
        part = folder / f".{name}.parquet.part"
        tables[name].to_parquet(part, index=False)
        part.replace(folder / f"{name}.parquet")
    write_info(folder, {**read_info(folder), **totals, "finished": True})


def _fold(segments: Iterable[Path]) -> dict[str, list[dict[str, Any]]]:
    tables: dict[str, list[dict[str, Any]]] = {name: [] for name in TABLES}
    seen: set[str | bytes] = set()  # what several lanes or processes write alike: problems, environments, arrays
    for segment in segments:
        beside = segment.with_suffix(".bin")
        data = beside.read_bytes() if beside.exists() else b""  # its writer may have died between the two
        for line in segment.read_bytes().split(b"\n"):  # not splitlines: a message may hold U+2028 and its like
            try:
                record = json.loads(line)
            except ValueError:
                continue  # a line torn by the death of its writer: the record was never complete
            try:
                _take(record, line, data, seen, tables)
            except (AttributeError, KeyError, TypeError):
                raise IncompleteError(f"{segment} holds a line that crosscorrect did not write; run it again") from None
    return tables


def _take(record: Any, line: bytes, data: bytes, seen: set[str | bytes], tables: dict[str, list[Any]]) -> None:
    kind = record.pop("kind")
    if kind in ("problems", "env", "arrays"):
        key = record["digest"] if kind == "arrays" else line
        if key in seen:
            return
        seen.add(key)
    if kind == "arrays":
        start = record.pop("offset")
        record["data"] = data[start : start + record.pop("size")]
    if kind in tables:
        tables[kind].append(record)


def read_info(folder: Path) -> dict[str, Any]:
    """``run.json`` of a run folder. Raises UsageError when the folder is no run, or of a newer schema."""
    try:
        info: dict[str, Any] = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(f"{folder} is not a run folder: it has no run.json; 'crosscorrect run' makes one") from None
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"{folder / 'run.json'} cannot be read: {error}") from None
    if not isinstance(info, dict) or "finished" not in info:
        raise UsageError(f"{folder / 'run.json'} is not what 'crosscorrect run' writes")
    if info.get("schema") != SCHEMA_VERSION:
        raise UsageError(f"{folder} has schema {info.get('schema')}; this crosscorrect reads {SCHEMA_VERSION}")
    return info


@dataclass(slots=True)
class Run:
    """A run that was read back: its ``run.json`` and its tables as pandas frames; ``array`` gives a kept array."""

    folder: Path
    info: dict[str, Any]
    checks: pd.DataFrame
    problems: pd.DataFrame
    training: pd.DataFrame
    env: pd.DataFrame
    arrays: pd.DataFrame
    _index: dict[str, int] = field(default_factory=dict)

    def array(self, name: str) -> Array | None:
        """The kept array with this digest, or None where it was too large to keep.

        Raises IncompleteError where what was kept is no array.
        """
        if not self._index:
            self._index = {d: i for i, d in enumerate(self.arrays["digest"])}
        if name not in self._index:
            return None
        row = self.arrays.iloc[self._index[name]]
        try:
            return np.frombuffer(row["data"], dtypes.of(row["dtype"])).reshape(tuple(row["shape"]))
        except (TypeError, ValueError) as error:
            raise IncompleteError(
                f"the run {self.folder} is damaged: the table arrays, digest {name}: {error}; run it again"
            ) from None


def load(folder: Path | str) -> Run:
    """Read a run folder. An unfinished run is read from its segments, as far as it came.

    Raises UsageError for a folder that is no run, IncompleteError for one whose tables are missing or damaged.
    """
    import pandas as pd  # noqa: PLC0415  as in seal

    path = Path(folder)
    info = read_info(path)
    intact.check_info(path, info)
    if info["finished"]:
        try:
            frames = {name: pd.read_parquet(path / f"{name}.parquet") for name in TABLES}
        except (OSError, ValueError) as error:
            raise IncompleteError(f"a table of the finished run {path} is missing or damaged: {error}") from None
    else:
        tables = _fold(sorted(path.glob("segment-*.jsonl")))
        frames = {name: pd.DataFrame(tables[name], columns=COLUMNS[name]) for name in TABLES}
    intact.check_tables(path, frames)
    return Run(path, info, **frames)


def write_csv(run: Run) -> list[Path]:
    """Write every table but the arrays as CSV beside the Parquet; cells that a spreadsheet would run are quoted."""
    written = []
    for name in TABLES[:-1]:
        frame = getattr(run, name).map(_inert)
        target = run.folder / f"{name}.csv"
        # RFC 4180's line ends, which also make a lone carriage return inside a cell quoted instead of a new row
        frame.to_csv(target, index=False, lineterminator="\r\n")
        written.append(target)
    return written


def _inert(cell: Any) -> Any:
    return f"'{cell}" if isinstance(cell, str) and cell[:1] in ("=", "+", "-", "@", "\t", "\r") else cell
