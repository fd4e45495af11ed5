"""A run folder: append-only logs while a run goes on, Parquet tables and ``run.json``, sealed, when it is finished."""

from __future__ import annotations

import json
import os
import shutil
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from crosscorrect import __version__, columns, dtypes, intact, log, sealed, tables
from crosscorrect.errors import DamagedError, UsageError
from crosscorrect.model import SCHEMA_VERSION
from crosscorrect.nearest import nearest
from crosscorrect.worker.wire import digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import pandas as pd
    import pyarrow as pa

    from crosscorrect.model import Check, Event, TrainingStep
    from crosscorrect.problem import Problem

    Array = np.ndarray[Any, Any]

KEEP_ALWAYS = 4 * 1024
"""Arrays up to this many bytes are kept with every check, until ``KEEP_IN_ALL``."""
KEEP_IN_ALL = 8 * 2**20
"""So many bytes a process keeps of checks that pass and that no case asks to show: a long run must not grow with
them. They are those of 3,500 of the smallest problems."""
ROW_BYTES = 512
"""What an array takes in log and table beside its numbers."""
KEEP_ON_FAILURE = 4 * 1024 * 1024
"""Arrays up to this many bytes are kept with a check that did not pass, or whose case asks to be shown."""
REMEMBERED = 2**15
"""How many problems and arrays a segment remembers to have written; what it writes again is dropped when read."""
LARGEST_INFO = 16 * 2**20
CSV_ROWS = 2**16
"""How many rows are in memory as text at a time."""


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
    text = json.dumps(info, indent=1, ensure_ascii=False) + "\n"
    sealed.replace(folder / "run.json", text.encode("utf-8", "replace"))  # an argument may be no UTF-8


@dataclass(slots=True)
class Unit:
    """The rows of one problem in one mode on one device of one framework, gathered to be one record of the log."""

    problem: Problem
    framework: str
    mode: str
    device: str
    checks: list[Check] = field(default_factory=list)
    training: list[TrainingStep] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    arrays: list[dict[str, Any]] = field(default_factory=list)

    @property
    def key(self) -> dict[str, str]:
        """The columns that name the unit."""
        return {"problem": self.problem.id, "framework": self.framework, "mode": self.mode, "device": self.device}


class _Recent:
    """Whether something was met before, of the last ``REMEMBERED`` things."""

    def __init__(self) -> None:
        self._met: OrderedDict[str, None] = OrderedDict()

    def is_new(self, key: str) -> bool:
        if key in self._met:
            self._met.move_to_end(key)
            return False
        self._met[key] = None
        if len(self._met) > REMEMBERED:
            self._met.popitem(last=False)
        return True


class Segment:
    """What one process writes into a run folder: a log of its own. Safe to use from several threads.

    ``kept`` is about how many bytes of arrays it has taken.
    """

    def __init__(self, folder: Path, number: int | None = None, kept: int = 0) -> None:
        """Begin the next log of the folder, or that of a number; ``kept`` bytes were kept by this process before."""
        self._log = log.Log(folder, number)
        self._arrays, self._problems = _Recent(), _Recent()
        self.kept = kept
        self._lock = threading.Lock()

    def write(self, kind: str, record: Mapping[str, Any]) -> None:
        """Append a row of the table ``kind``. Raises LogError."""
        self._log.append(kind, record)

    def begin(self, units: Iterable[Unit]) -> None:
        """Append that these units begin. Raises LogError."""
        self._log.append("start", {"units": [unit.key for unit in units]})

    def commit(self, *units: Unit) -> None:
        """Append units with one write, each whole or not at all. Raises LogError."""
        self._log.append_all("unit", [self._record(unit) for unit in units])

    def _record(self, unit: Unit) -> dict[str, Any]:
        with self._lock:
            is_new = self._problems.is_new(unit.problem.id)
        rows: dict[str, list[Any]] = {
            "problems": [tables.problem_record(unit.problem)] if is_new else [],
            "checks": [tables.short_record(check) for check in unit.checks],
            "training": [tables.row_record(step) for step in unit.training],
            "events": [tables.row_record(event) for event in unit.events],
            "arrays": unit.arrays,
        }
        said = {name: found for name, found in rows.items() if found or name == "checks"}
        return {**unit.key, **said}

    def keep(self, array: Array, known: str | None = None, unit: Unit | None = None) -> str:
        """Put an array into a unit, or else into the log, unless it is there; return its digest, maybe ``known``."""
        name = known or digest(array)
        with self._lock:
            if not self._arrays.is_new(name):
                return name
            self.kept += array.nbytes + ROW_BYTES
        record = tables.array_record(array, name)
        if unit is None:
            self.write("arrays", record)
        else:
            unit.arrays.append(record)
        return name

    def limit(self, *, show: bool) -> int:
        """Up to how many bytes an array is kept now, of a check that is to be shown or of another."""
        return KEEP_ON_FAILURE if show else KEEP_ALWAYS if self.kept < KEEP_IN_ALL else -1

    def close(self) -> None:
        """Send everything to the disk and close. Raises LogError."""
        self._log.close()


def seal(folder: Path, more: Mapping[str, Any] | None = None) -> None:
    """Turn the logs of a folder into Parquet tables, mark the run finished and seal it; the logs then go.

    ``more`` goes into ``run.json``, beside the ``totals`` of each outcome. Raises DamagedError where a log is not as it
    was written. Done again after an interruption it does the same.
    """
    paths = log.logs(folder)
    totals = tables.export(folder, tables.rows(paths))
    finish(folder, {"totals": totals, **(more or {})})
    for path in paths:
        path.unlink()


def finish(folder: Path, more: Mapping[str, Any]) -> None:
    """Mark a run whose tables are written as finished, and seal it."""
    write_info(folder, {**read_info(folder), **more, "finished": True})
    sealed.write(folder, [folder / "run.json", *(folder / f"{name}.parquet" for name in tables.TABLES)])


def write_tables(folder: Path, frames: Mapping[str, pd.DataFrame], more: Mapping[str, Any]) -> None:
    """Write every table as Parquet, each whole or not at all, mark the run finished and seal it."""
    parts = {name: folder / f".{name}.parquet.part" for name in tables.TABLES}
    for name, part in parts.items():
        frames[name].to_parquet(part, index=False, schema=columns.arrow(name))
    tables.replace_tables(folder, parts)
    finish(folder, more)


def read_info(folder: Path) -> dict[str, Any]:
    """``run.json`` of a run folder. Raises UsageError when the folder is no run, or of a newer schema."""
    if (folder / "run.json").exists() and not (folder / "run.json").is_file():
        raise UsageError(f"{folder / 'run.json'} is no file")
    try:
        with (folder / "run.json").open("rb") as stream:
            info: dict[str, Any] = json.loads(stream.read(LARGEST_INFO))
    except FileNotFoundError:
        told = f"{folder} is not a run folder: it has no run.json; 'crosscorrect run' makes one"
        near = "" if folder.exists() else nearest(folder.name, runs_beside(folder))
        raise UsageError(f"{told}; did you mean {folder.parent / near}?" if near else told) from None
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"{folder / 'run.json'} cannot be read: {error}") from None
    if not isinstance(info, dict) or "finished" not in info:
        raise UsageError(f"{folder / 'run.json'} is not what 'crosscorrect run' writes")
    if info.get("schema") != SCHEMA_VERSION:
        raise UsageError(
            f"{folder / 'run.json'} has schema {info.get('schema')}; this crosscorrect reads {SCHEMA_VERSION}"
        )
    return info


def runs_beside(folder: Path) -> list[str]:
    """The names of the run folders in the folder that this one is in."""
    return sorted(path.parent.name for path in folder.parent.glob("*/run.json"))


@dataclass
class Run:
    """A run that was read back: its ``run.json`` and its tables as tidy pandas frames, each read when it is asked for.

    ``columns`` (and docs/frames.md) say what each column is. Text and lists are never missing, a missing number is NaN.
    Raises DamagedError, naming folder, table, column and value, for a table that does not hold what it should.
    """

    folder: Path
    info: dict[str, Any]

    @cached_property
    def checks(self) -> pd.DataFrame:
        """One row per check: problem × direction × framework × mode × device and its verdict."""
        return self._table("checks")

    @cached_property
    def problems(self) -> pd.DataFrame:
        """One row per problem: what was asked, and where it is written."""
        return self._table("problems")

    @cached_property
    def training(self) -> pd.DataFrame:
        """One row per step of a training run, with the float64 reference and its rounding envelope."""
        return self._table("training")

    @cached_property
    def samples(self) -> pd.DataFrame:
        """One row per timed region of a timed run, in nanoseconds."""
        return self._table("samples")

    @cached_property
    def measurements(self) -> pd.DataFrame:
        """One row per arm, problem and restart of a timed run, made of the samples."""
        return self._table("measurements")

    @cached_property
    def verdicts(self) -> pd.DataFrame:
        """One row per comparison of a timed run: how fast a framework is beside the reference, with its interval."""
        return self._table("verdicts")

    @cached_property
    def env(self) -> pd.DataFrame:
        """One row per fact about a framework or the machine: versions, switches, what it offers."""
        return self._table("env")

    @cached_property
    def events(self) -> pd.DataFrame:
        """One row per thing that happened beside the verdicts: workers lost, questions asked again."""
        return self._table("events")

    @cached_property
    def arrays(self) -> pd.DataFrame:
        """One row per kept array; ``array`` gives it."""
        return self._table("arrays")

    def array(self, name: str) -> Array | None:
        """The kept array with this digest, or None where it was too large to keep.

        Raises DamagedError where what was kept is no array.
        """
        if name not in self._index:
            return None
        row = self.arrays.iloc[self._index[name]]
        try:
            return np.frombuffer(row["data"], dtypes.of(row["dtype"])).reshape(tuple(row["shape"]))
        except (TypeError, ValueError) as error:
            raise DamagedError(
                f"the run {self.folder} is damaged: the table arrays, digest {name}: {error}; run it again"
            ) from None

    def columns(self, table: str, names: Iterable[str]) -> pd.DataFrame:
        """Some columns of a table, in that order: a large one is then read in little memory."""
        return self._table(table, list(names))

    @cached_property
    def _index(self) -> dict[str, int]:
        return {digest: place for place, digest in enumerate(self.arrays["digest"])}

    @cached_property
    def _logged(self) -> dict[str, Any]:
        return tables.frames(log.logs(self.folder))

    def _table(self, name: str, names: Sequence[str] | None = None) -> pd.DataFrame:
        from pyarrow import ArrowException, parquet  # noqa: PLC0415  pandas and all: only those who read wait for it

        if self.info["finished"]:
            try:
                with parquet.ParquetFile(self.folder / f"{name}.parquet") as file:
                    table = file.read(columns=names)
            except (OSError, ValueError, ArrowException) as error:
                raise DamagedError(
                    f"a table of the finished run {self.folder} is missing or damaged: {error}"
                ) from None
        else:
            table = self._logged[name]
        table = intact.checked(self.folder, name, table, names)
        return table.to_pandas(self_destruct=self.info["finished"], ignore_metadata=True)


def load(folder: Path | str) -> Run:
    """Read a run folder. An unfinished run is read from its logs, as far as it came.

    Raises UsageError for a folder that is no run, DamagedError for one whose ``run.json`` or tables are damaged.
    """
    path = Path(folder)
    info = read_info(path)
    intact.check_info(path, info)
    if info["finished"]:
        intact.check_files(path)
    return Run(path, info)


def write_csv(run: Run) -> list[Path]:
    """Write every table but the arrays as CSV beside the Parquet; cells that a spreadsheet would run are quoted.

    Those of a timed run only where the run is one. Text is always in quotation marks, a missing number is an empty
    cell, and a list is JSON.
    """
    import pyarrow as pa  # noqa: PLC0415  as above
    from pyarrow import csv  # noqa: PLC0415

    written = []
    for name in tables.TABLES[:-1]:
        frame, schema = getattr(run, name), columns.arrow(name)
        if name in tables.TIMED and not len(frame):
            continue
        target = run.folder / f"{name}.csv"
        cells = pa.schema((field.name, pa.string() if pa.types.is_list(field.type) else field.type) for field in schema)
        with target.open("wb") as stream, csv.CSVWriter(stream, cells) as writer:
            for start in range(0, len(frame), CSV_ROWS):
                rows = pa.Table.from_pandas(frame[start : start + CSV_ROWS], schema, preserve_index=False)
                writer.write_table(pa.table([_inert(values) for values in rows.columns], schema=cells))
        written.append(target)
    return written


def _inert(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """The cells of a column of CSV, with an apostrophe before what a spreadsheet would take for a formula."""
    import pyarrow as pa  # noqa: PLC0415  as above
    from pyarrow import compute  # noqa: PLC0415

    if pa.types.is_list(values.type):
        return pa.chunked_array([[json.dumps(value) for value in values.to_pylist()]], pa.string())
    if not pa.types.is_string(values.type):
        return values
    formula = compute.match_substring_regex(values, r"^[=+\-@\t\r]")
    return compute.if_else(formula, compute.binary_join_element_wise("'", values, ""), values)
