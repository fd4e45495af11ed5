"""The private channel between controller and worker: frames of a JSON header and raw array bytes over two pipes.

A frame is ``magic | header length | payload length | header (JSON) | payload``. Arrays lie in the payload, one after
the other; the header tells each one's name, dtype and shape. Nothing is ever pickled or evaluated. This module travels
to every worker: Python 3.8, NumPy 1.17 and the standard library.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import select
import struct
import sys
import time
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from crosscorrect import dtypes

PROTOCOL = 1
MAGIC = b"XCF1"
PREFIX = struct.Struct("<4sIQ")
MAX_HEADER = 1 << 20
MAX_PAYLOAD = 1 << 33
SMALL = 1 << 15
AHEAD = 1 << 16
SLICE, STALL = 1.0, 2.0
"""Seconds of one wait; one that took so much longer tells that this process was stopped, or its machine asleep."""
F_GETPIPE_SZ = 1032 if sys.platform == "linux" else 0
"""Linux's question for the size of a pipe, which Python has a name for since 3.10."""
DTYPES = ("bool", *dtypes.NAMES)
_NAMES = {dtypes.of(name).newbyteorder("<"): name for name in DTYPES}

_encode = json.JSONEncoder(separators=(",", ":")).encode

Arrays = Mapping[str, "np.ndarray[Any, Any]"]


class ProtocolError(Exception):
    """The other side sent something that is not a frame of this protocol."""


def digest(array: np.ndarray[Any, Any]) -> str:
    """The first 128 bits of the SHA-256 of an array's dtype, shape and little-endian C-order bytes, in hex."""
    data = _plain(array)
    seal = hashlib.sha256(f"{_NAMES.get(data.dtype) or dtypes.name_of(data.dtype)}|{np.shape(array)}|".encode())
    seal.update(_bytes(data) if data.size else b"")
    return seal.hexdigest()[:32]


class Channel:
    """One side's pair of pipe ends. The controller's side passes deadlines; a worker waits for ever."""

    def __init__(self, read_fd: int, write_fd: int) -> None:
        self._read_fd, self._write_fd = read_fd, write_fd
        self._ahead = b""
        self._readable = select.poll()
        self._readable.register(read_fd, select.POLLIN)
        self._writable = select.poll()
        self._writable.register(write_fd, select.POLLOUT)

    def never_block(self) -> None:
        """Make writes give up at their deadline even when the other side has stopped reading."""
        os.set_blocking(self._write_fd, False)

    def close(self) -> None:
        """Close both ends; the other side then reads the end of the file."""
        os.close(self._read_fd)
        os.close(self._write_fd)

    @property
    def room(self) -> int:
        """How many bytes can be sent whole whatever the other side does, while it has read all that was sent."""
        size = fcntl.fcntl(self._write_fd, F_GETPIPE_SZ) if F_GETPIPE_SZ else select.PIPE_BUF
        return min(size, SMALL)

    def send(
        self, header: Mapping[str, Any], arrays: Optional[Arrays] = None, deadline: Optional[float] = None
    ) -> None:
        """Send one frame. Raises BrokenPipeError when the other side is gone, TimeoutError past the deadline."""
        self.send_all([frame(header, arrays)], deadline)

    def send_all(self, frames: Sequence[Sequence[memoryview]], deadline: Optional[float] = None) -> None:
        """Send frames, as ``frame`` makes them, one after the other. Raises as ``send``."""
        parts = [part for parts in frames for part in parts]
        if sum(part.nbytes for part in parts) <= SMALL:  # one write wakes the other side once, with everything there
            parts = [memoryview(b"".join(parts))]
        for part in parts:
            self._write(part, deadline)

    def receive(self, deadline: Optional[float] = None) -> Tuple[Dict[str, Any], Dict[str, np.ndarray[Any, Any]]]:
        """Wait for one frame. Raises EOFError, TimeoutError (``deadline`` on the monotonic clock) or ProtocolError."""
        magic, header_size, payload_size = PREFIX.unpack(self._read(PREFIX.size, deadline))
        if magic != MAGIC or header_size > MAX_HEADER or payload_size > MAX_PAYLOAD:
            raise ProtocolError(f"not a frame: magic {magic!r}, header {header_size}, payload {payload_size} bytes")
        try:
            header = json.loads(bytes(self._read(header_size, deadline)).decode())
            layout = [(str(n), _dtype(d), tuple(int(s) for s in shape)) for n, d, shape in header.pop("arrays")]
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            raise ProtocolError(f"not a header: {error}") from None
        sizes = [_size(dtype, shape) for _, dtype, shape in layout]
        if sum(sizes) != payload_size:
            raise ProtocolError(f"the arrays take {sum(sizes)} bytes, the payload has {payload_size}")
        payload = self._read(payload_size, deadline)
        arrays, start = {}, 0
        for (name, dtype, shape), size in zip(layout, sizes):
            flat = np.frombuffer(payload, dtype, count=size // dtype.itemsize, offset=start)
            try:
                arrays[name] = flat.reshape(shape)
            except ValueError as error:  # more axes, or longer ones beside an empty one, than NumPy can hold
                raise ProtocolError(f"no array has shape {shape}: {error}") from None
            start += size
        return header, arrays

    def _write(self, view: memoryview, deadline: Optional[float]) -> None:
        while view.nbytes:
            deadline = self._wait(self._writable, deadline)
            try:
                view = view[os.write(self._write_fd, view) :]
            except BlockingIOError:
                continue

    def _read(self, size: int, deadline: Optional[float]) -> memoryview:
        # One private, writable buffer per frame part: arrays are views of it, so nothing is copied twice, and its start
        # is aligned for every dtype only because NumPy tolerates unaligned views; adapters copy on ``put``.
        buffer = memoryview(bytearray(size))
        done = min(size, len(self._ahead))
        buffer[:done], self._ahead = self._ahead[:done], self._ahead[done:]
        while done < size:
            deadline = self._wait(self._readable, deadline)
            if size - done >= AHEAD:
                got = os.readv(self._read_fd, [buffer[done:]])
            else:  # a small frame is there whole: one read takes all of its parts
                chunk = os.read(self._read_fd, AHEAD)
                got = min(len(chunk), size - done)
                buffer[done : done + got], self._ahead = chunk[:got], chunk[got:]
            if not got:
                raise EOFError("the other side closed the channel")
            done += got
        return buffer

    @staticmethod
    def _wait(poll: select.poll, deadline: Optional[float]) -> Optional[float]:
        """Wait until the pipe is ready; the deadline, moved by as long as this process itself was held up."""
        if deadline is None:
            return None
        while True:
            begin = time.monotonic()
            left = min(deadline - begin, SLICE)
            if left <= 0:
                raise TimeoutError("no answer before the deadline")
            if poll.poll(left * 1000):
                return deadline
            stalled = time.monotonic() - begin - left
            if stalled > STALL:
                deadline += stalled


def frame(header: Mapping[str, Any], arrays: Optional[Arrays] = None) -> List[memoryview]:
    """The parts of one frame, in order; arrays are not copied. Raises ProtocolError for what no frame can hold."""
    parts, described = [], []
    for name, array in (arrays or {}).items():
        data = _plain(array)
        if data.dtype not in _NAMES:
            raise ProtocolError(f"array {name!r} has dtype {array.dtype}, which does not cross process borders")
        described.append([name, _NAMES[data.dtype], list(array.shape)])
        if data.size:
            parts.append(_bytes(data))
    body = _encode({**header, "arrays": described}).encode()
    if len(body) > MAX_HEADER:
        raise ProtocolError(f"a header of {len(body)} bytes is over the limit of {MAX_HEADER}")
    total = sum(part.nbytes for part in parts)
    return [memoryview(PREFIX.pack(MAGIC, len(body), total) + body), *parts]


def _plain(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The same values in C order, little-endian; a 0-d array comes out with one axis."""
    if isinstance(array, np.ndarray) and array.ndim and array.flags.c_contiguous and array.dtype in _NAMES:
        return array
    return np.ascontiguousarray(array, np.asarray(array).dtype.newbyteorder("<"))


def _bytes(array: np.ndarray[Any, Any]) -> memoryview:
    """The bytes of a C-order array that is not empty, in place. A memoryview cannot itself cast a structured array."""
    return array.reshape(-1).view(np.uint8).data


def _dtype(name: Any) -> np.dtype[Any]:
    if name not in DTYPES:
        raise ValueError(f"dtype {name!r}")
    return dtypes.of(name)


def _size(dtype: np.dtype[Any], shape: Tuple[int, ...]) -> int:
    size = dtype.itemsize
    for extent in shape:
        if extent < 0:
            raise ProtocolError(f"negative extent in shape {shape}")
        size *= extent
    return size
