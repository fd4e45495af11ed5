"""The seal of a finished run: the digest of each of its files, so that any byte that changed since is found."""

from __future__ import annotations

import hashlib
import json
import os
from typing import TYPE_CHECKING, Any

from crosscorrect import ledger, log
from crosscorrect.errors import DamagedError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

NAME = "seal.json"
FORMAT = 1
_LARGEST = 2**20
_ASIDE = ("lock", NAME)


def write(folder: Path, paths: Iterable[Path]) -> None:
    """Seal these files of a run folder; those that were sealed before and are still there stay so, as they were."""
    files = _read(folder) if (folder / NAME).exists() else {}
    files = {name: said for name, said in files.items() if (folder / name).exists()}
    for path in paths:
        files[path.name] = _describe(path)
    replace(folder / NAME, _text(files))


def replace(path: Path, content: bytes) -> None:
    """Write a file whole or not at all, and have it on the disk before the old one goes.

    Raises OSError with the name of this file, not of the one that is written before: nobody has heard of that.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(path)
        log.sync_folder(path.parent)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        part.unlink(missing_ok=True)


def verify(folder: Path, *, finished: bool) -> str:
    """Check every byte of a run folder; return one sentence that says what was checked.

    A finished run is held to its seal, an unfinished one to the checksums of its logs. Raises DamagedError for the
    first file that is absent or not as it was written.
    """
    if not finished:
        paths = log.logs(folder)
        done = ledger.read(paths)
        return (
            f"{folder}: not finished; {len(done.done)} units in {len(paths)} logs, as they were written, "
            f"and {len(done.begun)} cut short"
        )
    if not (folder / NAME).exists():
        raise DamagedError(f"{folder} has no {NAME}: the run ended while it was sealed; 'crosscorrect run --resume'")
    files = _read(folder)
    for name, said in files.items():
        path = folder / name
        if path.is_symlink() or not path.is_file():
            raise DamagedError(f"{path} is sealed and is no file any more")
        if _describe(path) != said:
            raise DamagedError(f"{path} is not as it was sealed")
    others = sorted(p.name for p in folder.iterdir() if p.name not in files and p.name not in _ASIDE)
    besides = f"; not of the run: {', '.join(others)}" if others else ""
    return f"{folder}: {len(files)} files, as they were sealed{besides}"


def _describe(path: Path) -> dict[str, Any]:
    with path.open("rb") as stream:
        return {"bytes": path.stat().st_size, "sha256": hashlib.file_digest(stream, "sha256").hexdigest()}


def _text(files: dict[str, Any]) -> bytes:
    """The seal's own bytes: one way to write it, and its own digest in it, so that a byte changed here is found too."""
    ordered = dict(sorted(files.items()))
    digest = hashlib.sha256(json.dumps(ordered).encode()).hexdigest()
    return (json.dumps({"format": FORMAT, "files": ordered, "sha256": digest}, indent=1) + "\n").encode()


def _read(folder: Path) -> dict[str, Any]:
    path = folder / NAME
    try:
        with path.open("rb") as stream:
            content = stream.read(_LARGEST)
        files = json.loads(content)["files"]
        if content == _text(files) and all(_is_plain(name) for name in files):
            return dict(files)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        pass
    raise DamagedError(f"{path} is not as it was written")


def _is_plain(name: str) -> bool:
    """Whether a name is that of a file in the folder itself: a seal from a stranger reads nothing elsewhere."""
    return bool(name) and "/" not in name and "\0" not in name and name not in (".", "..")
