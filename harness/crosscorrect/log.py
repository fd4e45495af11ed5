"""An append-only file of records that survives the death of its writer at any byte and shows every later change.

A line is ``checksum SP json LF``. The checksum is the CRC-32 of the JSON, begun with the checksum of the line before:
a line that was changed, taken out, put in or moved breaks the chain. A line without its end was torn by the death of
its writer and was never a record. Records go to the operating system before ``append`` returns, several of them with
one ``write``, so that kill -9 loses nothing; a thread asks for the disk every tenth of a second, so that a power cut
loses no more than that.
"""

from __future__ import annotations

import json
import os
import re
import threading
import zlib
from functools import partial
from typing import TYPE_CHECKING, Any

from crosscorrect.errors import DamagedError, LogError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

FORMAT = 2
SYNC_SECONDS = 0.1
"""How often what was written is sent to the disk, at most; also when the log is closed."""
PATTERN = "log-*.jsonl"
LONGEST_LINE = 2**28
"""The most bytes of a record that is read: the arrays of a unit that failed in all directions take a fifth of it."""

_NAME = re.compile(r"log-(\d{4,})\.jsonl")
_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


class Log:
    """One process's log in a run folder, under a number that no other has. Safe to use from several threads."""

    def __init__(self, folder: Path, number: int | None = None) -> None:
        """Create the next log of the folder, or that of a number. Raises LogError where it cannot be written."""
        self._lock = threading.Lock()
        self._chain = 0
        self._dirty = self._broken = False
        self._closing = threading.Event()
        try:
            self.path, self._fd = _create(folder, number)
        except OSError as error:
            raise _unwritable(folder, error) from None
        self._flusher = threading.Thread(target=self._flush, name="log", daemon=True)
        self._flusher.start()
        self.append("log", {"format": FORMAT, "name": self.path.name})

    def append(self, kind: str, record: Mapping[str, Any]) -> None:
        """Append one record. Raises LogError where it was not written whole; the log then takes no more."""
        self.append_all(kind, [record])

    def append_all(self, kind: str, records: Iterable[Mapping[str, Any]]) -> None:
        """Append records of a kind with one write; whole ones at the front may be there where it raises LogError."""
        # a lone surrogate, from some framework's message, has no UTF-8: it becomes a question mark
        bodies = [_encode({"kind": kind, **record}).encode("utf-8", "replace") for record in records]
        with self._lock:
            if self._broken:
                raise LogError(f"the log {self.path} failed before; go on with 'crosscorrect run --resume'")
            lines = []
            for body in bodies:
                self._chain = zlib.crc32(body, self._chain)
                lines.append(b"%08x %b\n" % (self._chain, body))
            data = b"".join(lines)
            try:
                written = os.write(self._fd, data)
            except OSError as error:
                self._broken = True
                raise _unwritable(self.path, error) from None
            if written != len(data):
                self._broken = True  # what follows a torn line could not be read
                raise LogError(f"the log {self.path} took only a part of a record: the disk is full; {_REMEDY}")
            self._dirty = True

    def close(self) -> None:
        """Send everything to the disk and close. Raises LogError where the disk refuses."""
        if self._closing.is_set():
            return
        self._closing.set()
        self._flusher.join()
        try:
            _to_disk(self._fd)
        except OSError as error:
            raise _unwritable(self.path, error) from None
        finally:
            os.close(self._fd)

    def _flush(self) -> None:
        while not self._closing.wait(SYNC_SECONDS):
            if self._dirty and not self._broken:
                self._dirty = False
                try:
                    _to_disk(self._fd)
                except OSError:  # the kernel may have dropped what it could not write: nothing more is trusted to it
                    self._broken = True


def _to_disk(fd: int) -> None:
    getattr(os, "fdatasync", os.fsync)(fd)  # macOS has the second only


def logs(folder: Path) -> list[Path]:
    """The logs of a run folder in the order of their numbers."""
    found = [p for p in folder.glob(PATTERN) if _NAME.fullmatch(p.name) and p.is_file() and not p.is_symlink()]
    return sorted(found, key=lambda p: int(p.stem[4:]))


def read(path: Path) -> Iterator[dict[str, Any]]:
    """Each record of a log as a mapping with its ``kind``, in order, without the head.

    Raises DamagedError, with file and line, at a record that is not as it was written. A last line without its end is
    no record: it was being written when its writer died.
    """
    chain = number = 0
    with path.open("rb") as stream:
        for number, line in enumerate(iter(partial(stream.readline, LONGEST_LINE), b""), 1):
            if not line.endswith(b"\n"):
                return
            body = line[9:-1]
            chain = zlib.crc32(body, chain)
            # byte for byte: the same number spelt in other letters is a changed byte, too
            if line[:9] != b"%08x " % chain:
                raise _damaged(path, number, "is not as it was written")
            record = _decode(path, number, body)
            if number == 1:
                _check_head(path, record)
            else:
                yield record


def _decode(path: Path, number: int, body: bytes) -> dict[str, Any]:
    try:
        record = json.loads(body.decode())
        if isinstance(record, dict) and isinstance(record.get("kind"), str):
            return record
    except (ValueError, RecursionError):
        pass
    raise _damaged(path, number, "is no record of crosscorrect")


def _check_head(path: Path, record: Mapping[str, Any]) -> None:
    if record["kind"] != "log" or record.get("name") != path.name:
        raise _damaged(path, 1, "is not the head of this log")
    if record.get("format") != FORMAT:
        raise _damaged(path, 1, f"has format {record.get('format')}, and this crosscorrect reads {FORMAT}")


def next_number(folder: Path) -> int:
    """The number after those of the logs that are in a run folder."""
    return 1 + max((int(p.stem[4:]) for p in logs(folder)), default=0)


def name(number: int) -> str:
    """The file name of a log."""
    return f"log-{number:04d}.jsonl"


def _create(folder: Path, number: int | None) -> tuple[Path, int]:
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    wanted = next_number(folder) if number is None else number
    while True:
        path = folder / name(wanted)
        try:
            fd = os.open(path, flags, 0o644)
        except FileExistsError:
            if number is not None:
                raise
            wanted += 1  # another process of this run took the number
            continue
        sync_folder(folder)
        return path, fd


def sync_folder(folder: Path) -> None:
    """Send a folder's list of names to the disk, so that a file made in it is there after a power cut."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


_REMEDY = "make room and go on with 'crosscorrect run --resume'"


def _unwritable(path: Path, error: OSError) -> LogError:
    return LogError(f"the log {path} cannot be written ({error.strerror or error}); {_REMEDY}")


def _damaged(path: Path, number: int, what: str) -> DamagedError:
    return DamagedError(f"{path}, line {number}, {what}: the run is damaged; run it again")
