"""Arrays cross a pipe bit for bit, digests tell them apart, and what is no frame is refused without allocating."""

from __future__ import annotations

import json
import os
import threading
import time
import tracemalloc
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import assume, given, settings, strategies as st
from hypothesis.extra import numpy as hnp

from crosscorrect import dtypes
from crosscorrect.worker.wire import DTYPES, MAGIC, MAX_HEADER, MAX_PAYLOAD, PREFIX, Channel, ProtocolError, digest

if TYPE_CHECKING:
    from collections.abc import Iterator

Array = np.ndarray[Any, Any]
unhurried = settings(deadline=None, max_examples=60)
LAYOUTS = ("C", "F", "strided", "reversed", "swapped")


@contextmanager
def pipe() -> Iterator[tuple[Channel, int]]:
    """A channel that reads from, and writes into, one pipe, and the descriptor to write raw bytes to."""
    read, write = os.pipe()
    channel = Channel(read, write)
    try:
        yield channel, write
    finally:
        channel.close()


def crossed(header: dict[str, Any], arrays: dict[str, Array]) -> tuple[dict[str, Any], dict[str, Array]]:
    with pipe() as (channel, _):
        sender = threading.Thread(target=channel.send, args=(header, arrays))
        sender.start()
        received = channel.receive(time.monotonic() + 60)
        sender.join()
    return received


def plain(array: Array) -> np.dtype[Any]:
    return dtypes.of(dtypes.name_of(array.dtype))


def bits(array: Array) -> bytes:
    return np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()


@st.composite
def arrays(draw: st.DrawFn) -> Array:
    """Any bits in any allowed dtype and shape, 0-d and empty ones too, in any memory layout."""
    dtype = dtypes.of(draw(st.sampled_from(sorted(DTYPES))))
    shape = draw(hnp.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=4))
    size = int(np.prod(shape))
    raw = draw(st.binary(min_size=size * dtype.itemsize, max_size=size * dtype.itemsize))
    flat = np.array([byte & 1 for byte in raw], bool) if dtype == np.bool_ else np.frombuffer(bytearray(raw), dtype)
    array = flat.reshape(shape)
    match draw(st.sampled_from(LAYOUTS)):
        case "F":
            return np.asfortranarray(array) if array.ndim else array
        case "strided":
            return np.repeat(array, 2, axis=-1)[..., ::2] if array.ndim else array
        case "reversed":
            return array[..., ::-1] if array.ndim else array
        case "swapped":
            return array.astype(dtype.newbyteorder(">")) if dtype.kind in "iuV" else array
    return array


@unhurried
@given(st.dictionaries(st.text(max_size=8), arrays(), max_size=4))
def test_arrays_cross_with_the_same_names_dtypes_shapes_and_bits(sent: dict[str, Array]) -> None:
    header, received = crossed({"type": "call", "text": "× \u2028"}, sent)
    assert header == {"type": "call", "text": "× \u2028"}
    assert list(received) == list(sent)
    for name, array in sent.items():
        assert received[name].dtype == plain(array)
        assert received[name].shape == array.shape
        assert bits(received[name]) == bits(array)
        assert digest(received[name]) == digest(array)


def test_an_array_larger_than_the_pipe_crosses_whole() -> None:
    big = np.arange(300_000, dtype=np.float64).reshape(3, -1)
    _, received = crossed({}, {"big": big, "small": np.array([1.5], np.float32)})
    assert bits(received["big"]) == bits(big)
    assert received["small"].tolist() == [1.5]


def test_a_received_array_may_be_written_to_and_shares_nothing_with_the_next_frame() -> None:
    with pipe() as (channel, _):
        channel.send({}, {"x": np.zeros(3)})
        channel.send({}, {"x": np.zeros(3)})
        first = channel.receive()[1]["x"]
        first[:] = 7
        assert channel.receive()[1]["x"].tolist() == [0, 0, 0]


@unhurried
@given(arrays())
def test_the_digest_is_the_same_for_every_memory_layout_of_an_array(array: Array) -> None:
    assert digest(array) == digest(np.frombuffer(bits(array), plain(array)).reshape(array.shape))


@unhurried
@given(arrays(), arrays())
def test_the_digest_tells_dtype_shape_and_bytes_apart(one: Array, other: Array) -> None:
    same = (plain(one), one.shape, bits(one)) == (plain(other), other.shape, bits(other))
    assert (digest(one) == digest(other)) == same


def test_the_digest_tells_a_number_from_a_list_of_one_number() -> None:
    assert digest(np.zeros(())) != digest(np.zeros(1))
    assert digest(np.zeros((2, 3))) != digest(np.zeros((3, 2)))
    assert digest(np.zeros(2, np.int32)) != digest(np.zeros(2, np.float32))
    assert digest(np.array([0.0])) != digest(np.array([-0.0]))


@pytest.mark.parametrize(
    ("array", "known"),
    [
        (np.arange(6, dtype=np.float32).reshape(2, 3), "ab01ee912979a29814b39b4c343c6c24"),
        (np.array([1 + 2j, -0.0], np.complex64), "18639d8b64692dbfe8819b010225e434"),
        (np.zeros((0, 4), np.int8), "e30e2b5a3e7866a57953033bc210f6aa"),
        (np.array([True, False]), "3bda9b6aadcd4cc90c04a74bc18feac9"),
    ],
    ids=["float32", "complex64", "empty", "bool"],
)
def test_the_digest_of_an_array_stays_what_it_was_when_runs_were_first_written(array: Array, known: str) -> None:
    assert digest(array) == known


def test_bfloat16_crosses_as_itself_and_its_digest_is_not_that_of_its_integers() -> None:
    bits16 = np.array([[0x3F80, 0x8000, 0x7F80], [0x0001, 0x7FC1, 0xFF80]], np.uint16)
    sent = bits16.view(dtypes.BFLOAT16)
    received = crossed({}, {"x": sent})[1]["x"]
    assert received.dtype == dtypes.BFLOAT16
    assert received["bfloat16"].tolist() == bits16.tolist()
    assert digest(sent) == digest(np.asfortranarray(sent)) != digest(bits16)


@unhurried
@given(arrays(), st.data())
def test_one_changed_bit_changes_the_digest(array: Array, data: st.DataObject) -> None:
    assume(array.size and array.dtype != np.bool_)
    raw = bytearray(bits(array))
    place = data.draw(st.integers(0, 8 * len(raw) - 1))
    raw[place // 8] ^= 1 << place % 8
    assert digest(np.frombuffer(raw, plain(array)).reshape(array.shape)) != digest(array)


@pytest.mark.parametrize(
    "array", [np.array(["text"]), np.array([object()]), np.zeros(1, "datetime64[s]")], ids=["text", "object", "time"]
)
def test_a_dtype_that_does_not_cross_is_refused_before_anything_is_sent(array: Array) -> None:
    with pipe() as (channel, _):
        with pytest.raises(ProtocolError, match="does not cross process borders"):
            channel.send({}, {"x": array})
        channel.send({"next": 1})
        assert channel.receive()[0] == {"next": 1}


def test_a_header_over_its_limit_is_refused_before_anything_is_sent() -> None:
    with pipe() as (channel, _):
        with pytest.raises(ProtocolError, match="over the limit"):
            channel.send({"text": "x" * MAX_HEADER})
        channel.send({})
        assert channel.receive()[0] == {}


def raw_frame(header: Any, payload: bytes = b"", claimed: int | None = None) -> bytes:
    body = header if isinstance(header, bytes) else json.dumps(header).encode()
    return PREFIX.pack(MAGIC, len(body), len(payload) if claimed is None else claimed) + body + payload


NOT_FRAMES = {
    "other magic": PREFIX.pack(b"HTTP", 2, 0) + b"{}",
    "header over its limit": PREFIX.pack(MAGIC, MAX_HEADER + 1, 0),
    "header of the largest length": PREFIX.pack(MAGIC, 0xFFFFFFFF, 0),
    "payload over its limit": PREFIX.pack(MAGIC, 2, MAX_PAYLOAD + 1) + b"{}",
    "payload of the largest length": PREFIX.pack(MAGIC, 2, 2**64 - 1) + b"{}",
    "not JSON": raw_frame(b"{nonsense"),
    "not UTF-8": raw_frame(b'{"arrays": "\xff"}'),
    "nested too deep to read": raw_frame(b"[" * 100_000),
    "a list": raw_frame([1, 2]),
    "a number": raw_frame(7),
    "no arrays": raw_frame({"type": "reply"}),
    "arrays that are no list": raw_frame({"arrays": 3}),
    "an array without a shape": raw_frame({"arrays": [["x", "float32"]]}),
    "an unknown dtype": raw_frame({"arrays": [["x", "object", []]]}, bytes(8)),
    "a dtype that is no name": raw_frame({"arrays": [["x", ["<f4"], []]]}, bytes(4)),
    "an extent that is no number": raw_frame({"arrays": [["x", "float32", ["two"]]]}, bytes(8)),
    "an infinite extent": raw_frame(b'{"arrays": [["x", "float32", [Infinity]]]}'),
    "a negative extent": raw_frame({"arrays": [["x", "float32", [-1]]]}, bytes(4)),
    "two negative extents": raw_frame({"arrays": [["x", "float32", [-2, -1]]]}, bytes(8)),
    "a shape larger than its payload": raw_frame({"arrays": [["x", "float32", [2]]]}, bytes(4)),
    "a shape smaller than its payload": raw_frame({"arrays": [["x", "float32", [1]]]}, bytes(8)),
    "a payload without arrays": raw_frame({"arrays": []}, bytes(8)),
    "an enormous shape": raw_frame({"arrays": [["x", "float32", [2**40, 2**40]]]}, bytes(4)),
    "more axes than NumPy has": raw_frame({"arrays": [["x", "uint8", [1] * 100]]}, bytes(1)),
    "an empty shape beyond all memory": raw_frame({"arrays": [["x", "uint8", [0, 2**62, 2**62]]]}),
    "a lie about a huge payload": raw_frame({"arrays": [["x", "float64", [2]]]}, claimed=MAX_PAYLOAD),
}


@pytest.mark.parametrize("what", NOT_FRAMES)
def test_what_is_no_frame_is_a_protocol_error_and_nothing_large_is_allocated(what: str) -> None:
    frame = NOT_FRAMES[what]
    with pipe() as (channel, write):
        sender = threading.Thread(target=os.write, args=(write, frame))
        sender.start()
        tracemalloc.start()
        try:
            with pytest.raises(ProtocolError):
                channel.receive(time.monotonic() + 60)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
            sender.join()
    assert peak < 4 * MAX_HEADER


@unhurried
@given(st.binary(max_size=200))
def test_random_bytes_are_refused_and_never_become_anything_else(noise: bytes) -> None:
    read, write = os.pipe()
    os.write(write, noise)
    os.close(write)
    channel = Channel(read, os.open(os.devnull, os.O_WRONLY))
    try:
        with pytest.raises((ProtocolError, EOFError)):
            channel.receive(time.monotonic() + 60)
    finally:
        channel.close()


def whole_frame() -> bytes:
    with pipe() as (channel, _):
        channel.send({"type": "reply"}, {"x": np.arange(3.0)})
        return os.read(channel._read_fd, 4096)


@pytest.mark.parametrize("length", [0, 1, PREFIX.size - 1, PREFIX.size, PREFIX.size + 5, -24, -1])
def test_a_frame_cut_short_is_the_end_of_the_channel(length: int) -> None:
    read, write = os.pipe()
    os.write(write, whole_frame()[:length])
    os.close(write)
    channel = Channel(read, os.open(os.devnull, os.O_WRONLY))
    try:
        with pytest.raises(EOFError):
            channel.receive(time.monotonic() + 60)
    finally:
        channel.close()


@pytest.mark.parametrize("length", [0, PREFIX.size, -1])
def test_a_frame_that_does_not_come_to_its_end_is_given_up_at_the_deadline(length: int) -> None:
    with pipe() as (channel, write):
        os.write(write, whole_frame()[:length])
        with pytest.raises(TimeoutError):
            channel.receive(time.monotonic() + 0.05)


def test_a_deadline_in_the_past_is_a_timeout_even_when_a_frame_waits() -> None:
    with pipe() as (channel, _):
        channel.send({})
        with pytest.raises(TimeoutError):
            channel.receive(time.monotonic() - 1)


def test_writing_to_one_who_does_not_read_is_given_up_at_the_deadline() -> None:
    with pipe() as (channel, _):
        channel.never_block()
        with pytest.raises(TimeoutError):
            channel.send({}, {"x": np.zeros(1 << 20)}, time.monotonic() + 0.05)


def test_writing_to_one_who_has_gone_is_a_broken_pipe() -> None:
    read, write = os.pipe()
    os.close(read)
    channel = Channel(os.open(os.devnull, os.O_RDONLY), write)
    with pytest.raises(BrokenPipeError):
        channel.send({"type": "call"})
    channel.close()
