"""One array of an ``.npz`` file beside a suite, read so that a hostile file is one clear error and nothing else.

The file is reached from the suite's folder without following a link. Of the archive only the list of members and the
one asked for are read, of that only as much as its header says, and its header is compared with patterns: nothing of
the file is unpickled, evaluated or handed to a parser that does more than is needed here.
"""

from __future__ import annotations

import errno
import hashlib
import io
import os
import re
import stat
import struct
import zipfile
from contextlib import contextmanager, suppress
from math import prod
from pathlib import PurePath
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import numpy as np

from crosscorrect.estimate import MEMORY, excess, in_words
from crosscorrect.values import ArrayError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    Array = np.ndarray[Any, Any]

MAX_MEMBERS = 1000
"""The most arrays of one file."""

MAX_HEADER = 10_000
"""The longest header of an array, as NumPy has it."""

MAX_AXES = 5

_PIECE = 2**18
_MOST_AT_ONCE = 2**20  # bytes, so of the list of members too
_FIELDS = (
    r"(?P<q>['\"])descr(?P=q)\s*:\s*['\"](?P<descr>[<>|=]?(?:[iu][1248]|f[248]|c(?:8|16)))['\"]",
    r"(?P<r>['\"])fortran_order(?P=r)\s*:\s*(?P<order>True|False)",
    r"(?P<s>['\"])shape(?P=s)\s*:\s*\((?P<shape>(?:[0-9]{1,19}, *)*(?:[0-9]{1,19})?)\)",
)
_HEADER = re.compile(r"\{\s*" + r"\s*,\s*".join(_FIELDS) + r"(?:\s*,)?\s*\}\s*")
"""How NumPy and the other writers spell it: three fields in the order of their names."""


class Header(NamedTuple):
    """What is known of an array before its data are read; ``crc`` is the CRC-32 of its member in the archive."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fortran: bool
    crc: int


def header(folder: Path, name: Any, key: Any) -> Header:
    """Shape, dtype and checksum of the array of this key. Raises ArrayError; no data are read."""
    with _member(folder, name, key) as (found, _):
        return found


def read(folder: Path, name: Any, key: Any, crc: int | None = None) -> Array:
    """The array of this key. Raises ArrayError, also where its checksum is not ``crc``: the file has changed since."""
    with _member(folder, name, key) as (found, stream):
        if crc is not None and found.crc != crc:
            raise ArrayError("the file has changed since the suite was read", ("npz",), name, "run it again")
        flat = np.empty(prod(found.shape), found.dtype)
        view, done = flat.view(np.uint8).data, 0
        while done < view.nbytes:
            piece = stream.read(min(_PIECE, view.nbytes - done))
            if not piece:
                raise EOFError("the array is cut short")
            view[done : done + len(piece)] = piece
            done += len(piece)
        stream.read(1)  # at the end of a member its checksum is compared
        return flat.reshape(found.shape[::-1]).T if found.fortran else flat.reshape(found.shape)


def digest(folder: Path, name: Any) -> str:
    """The SHA-256 of a whole file, in hex; empty where it cannot be read, which is told when its array is asked for."""
    with suppress(ArrayError, OSError), _opened(folder, name) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
    return ""


@contextmanager
def _member(folder: Path, name: Any, key: Any) -> Iterator[tuple[Header, IO[bytes]]]:
    """The header of one array, and a stream of its data."""
    try:
        with _opened(folder, name) as file, _Careful(file) as whole, zipfile.ZipFile(whole) as archive:
            info = _info(archive, f"{key}.npy")
            with archive.open(info) as stream:
                yield _header(stream, info), stream
    except ArrayError:
        raise
    except Exception as error:  # whatever zipfile and zlib make of a hostile archive
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise ArrayError(f"the file cannot be read: {reason[:200]}", ("npz",), name) from error


class _Careful(io.BufferedReader):
    """Never reads much at once: zipfile takes the list of members, as long as it says it is, in one piece."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and 0 <= size <= _MOST_AT_ONCE:
            return super().read(size)
        found = super().read(_MOST_AT_ONCE + 1)
        if len(found) > _MOST_AT_ONCE:
            raise zipfile.BadZipFile("the list of its members is too long")
        return found


def _info(archive: zipfile.ZipFile, member: str) -> zipfile.ZipInfo:
    """The entry of one member, which is stored or deflated, not encrypted, and the only one of its name."""
    if len(archive.infolist()) > MAX_MEMBERS:
        raise zipfile.BadZipFile(f"it has more than {MAX_MEMBERS} members")
    found = [info for info in archive.infolist() if info.filename == member]
    if len(found) != 1:
        many = "two arrays" if found else "no array"
        raise zipfile.BadZipFile(f"it has {many} of this name")
    info = found[0]
    if info.flag_bits & 1:
        raise zipfile.BadZipFile("it is encrypted")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise zipfile.BadZipFile("its compression is none that NumPy writes")
    return info


def _header(stream: IO[bytes], info: zipfile.ZipInfo) -> Header:
    """Read the header of a member: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html."""
    magic = stream.read(8)
    sizes = {b"\x93NUMPY\x01\x00": "<H", b"\x93NUMPY\x02\x00": "<I"}
    if magic not in sizes:
        raise zipfile.BadZipFile("the member is no array")
    form = struct.Struct(sizes[magic])
    (length,) = form.unpack(stream.read(form.size))
    if length > MAX_HEADER:
        raise zipfile.BadZipFile(f"the header of the array is longer than {MAX_HEADER} bytes")
    matched = _HEADER.fullmatch(stream.read(length).decode("latin-1"))
    if matched is None:
        raise ArrayError("an array holds real or complex numbers that NumPy has on every machine", ("key",))
    shape = tuple(map(int, re.findall("[0-9]+", matched["shape"])))
    if not 1 <= len(shape) <= MAX_AXES or 0 in shape:
        raise ArrayError(f"an array has 1 to {MAX_AXES} axes and at least one element", ("key",), list(shape))
    dtype = np.dtype(matched["descr"])
    if told := excess(shape):
        raise ArrayError(f"this array {told}", ("key",), list(shape), "make it smaller")
    if info.file_size != len(magic) + form.size + length + prod(shape) * dtype.itemsize:
        raise zipfile.BadZipFile("the array is longer or shorter than its header says")
    return Header(shape, dtype, matched["order"] == "True", info.CRC)


@contextmanager
def _opened(folder: Path, name: Any) -> Iterator[io.FileIO]:
    """A regular file in a folder or below it."""
    path = PurePath(name) if isinstance(name, str) and "\0" not in name else PurePath()
    if not path.parts or path.is_absolute() or ".." in path.parts:
        raise ArrayError("this file is not in the suite's folder", ("npz",), name, "put it beside the suite")
    try:
        descriptor = _descended(folder, path.parts)
    except FileNotFoundError:
        raise ArrayError("there is no such file beside the suite", ("npz",), name) from None
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR, errno.EMLINK):
            remedy = "put the file itself there"
            raise ArrayError("a link leads there, or a part is no folder", ("npz",), name, remedy) from None
        raise ArrayError(f"the file cannot be read: {error.strerror}", ("npz",), name) from None
    told = os.fstat(descriptor)
    if not stat.S_ISREG(told.st_mode) or told.st_size > MEMORY:
        os.close(descriptor)
        wrong = f"larger than {in_words(MEMORY)}" if stat.S_ISREG(told.st_mode) else "not a regular file"
        raise ArrayError(f"this is {wrong}", ("npz",), name, "name an .npz file")
    with io.FileIO(descriptor) as file:
        yield file


def _descended(folder: Path, parts: Sequence[str]) -> int:
    """A descriptor of what is at the end of a path below a folder, reached part by part and through no link.

    So that none can be put there between a check and its opening. Only the folder itself may be one.
    """
    here = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    for number, part in enumerate(parts, start=1):
        how = os.O_NONBLOCK if number == len(parts) else os.O_DIRECTORY
        try:
            there = os.open(part, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | how, dir_fd=here)
        finally:
            os.close(here)
        here = there
    return here
