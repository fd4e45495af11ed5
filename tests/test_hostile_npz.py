"""An ``.npz`` file from a stranger is read whole and right, or it is one sentence, with little memory and no wait."""

from __future__ import annotations

import io
import os
import pickle
import struct
import tracemalloc
import zipfile
import zlib
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings, strategies as st

from crosscorrect import npz
from crosscorrect.errors import CaseError
from crosscorrect.inputs import array_of, shape_of
from crosscorrect.suite import load_suite
from crosscorrect.values import ArrayError

if TYPE_CHECKING:
    from collections.abc import Callable

SPEC = {"npz": "data.npz", "key": "x"}
GOOD = np.arange(12, dtype=np.float32).reshape(3, 4)


def header(text: str, version: int = 1, length: int | None = None) -> bytes:
    size = struct.pack("<H" if version == 1 else "<I", len(text) if length is None else length)
    return b"\x93NUMPY" + bytes([version, 0]) + size + text.encode("latin-1")


def saying(shape: object = (3, 4), descr: object = "<f4", order: object = False) -> str:
    return f"{{'descr': {descr!r}, 'fortran_order': {order!r}, 'shape': {shape!r}, }}\n"


def archive(folder: Path, member: bytes, name: str = "x.npy", how: int = zipfile.ZIP_STORED) -> Path:
    path = folder / "data.npz"
    with zipfile.ZipFile(path, "w", how) as made:
        made.writestr(name, member)
    return path


def good(folder: Path) -> Path:
    np.savez(folder / "data.npz", x=GOOD)
    return folder / "data.npz"


def bomb(folder: Path) -> None:
    """Four gigabytes of zeros behind a small header, in some megabytes, of which not all need be written."""
    with zipfile.ZipFile(folder / "data.npz", "w", zipfile.ZIP_DEFLATED) as made, made.open("x.npy", "w") as stream:
        stream.write(header(saying()))
        for _ in range(64):
            stream.write(bytes(2**20))


def header_bomb(folder: Path) -> None:
    archive(folder, header(" " * 2**24, version=2), how=zipfile.ZIP_DEFLATED)


def many_members(folder: Path) -> None:
    with zipfile.ZipFile(folder / "data.npz", "w") as made:
        for number in range(npz.MAX_MEMBERS + 1):
            made.writestr(f"{number}.npy", b"")


def long_list(folder: Path) -> None:
    """A list of members that says of itself that it is as long as the file."""
    size = 2**26
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 9, 9, size, 0, 0)
    with (folder / "data.npz").open("wb") as stream:
        stream.truncate(size)
        stream.seek(size)
        stream.write(end)


def twice(folder: Path) -> None:
    stream = io.BytesIO()
    np.save(stream, GOOD)
    with zipfile.ZipFile(folder / "data.npz", "w") as made:
        made.writestr("x.npy", stream.getvalue())
        with pytest.warns(UserWarning, match="Duplicate name"):
            made.writestr("x.npy", stream.getvalue())


def patched(folder: Path, old: bytes, new: bytes, *, last: bool = False) -> None:
    path = good(folder)
    data = path.read_bytes()
    place = data.rindex(old) if last else data.index(old)
    path.write_bytes(data[:place] + new + data[place + len(old) :])


def encrypted(folder: Path) -> None:
    path = good(folder)
    data = bytearray(path.read_bytes())
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(mark) + offset] |= 1
    path.write_bytes(bytes(data))


def fifo(folder: Path) -> None:
    os.mkfifo(folder / "data.npz")


def link(target: str | Path) -> Callable[[Path], None]:
    return lambda folder: (folder / "data.npz").symlink_to(target)


def linked_folder(folder: Path) -> None:
    outside = folder.parent / "outside"
    outside.mkdir()
    good(outside)
    (folder / "below").symlink_to(outside)


def inside(folder: Path) -> None:
    np.savez(folder / "other.npz", x=GOOD)
    (folder / "data.npz").symlink_to("other.npz")


def long_name(folder: Path) -> None:
    """One name in the list of members, another of two thousand letters where the member is: zipfile tells both."""
    path = archive(folder, header(saying()) + GOOD.tobytes(), name="y" * 2000)
    raw = bytearray(path.read_bytes())
    place = raw.index(b"PK\x01\x02")
    raw[place + 46 : place + 2046] = b"x.npy"
    struct.pack_into("<H", raw, place + 28, 5)
    end = raw.index(b"PK\x05\x06")
    struct.pack_into("<L", raw, end + 12, end - place)
    path.write_bytes(bytes(raw))


def pickled(folder: Path) -> None:
    archive(folder, header(saying((1,), "|O")) + pickle.dumps([os.system]))


def sparse(folder: Path) -> None:
    with (folder / "data.npz").open("wb") as stream:
        stream.truncate(2**31 + 1)


def cut(folder: Path) -> None:
    path = good(folder)
    path.write_bytes(path.read_bytes()[:-90])


def wrong_sum(folder: Path) -> None:
    patched(folder, GOOD.tobytes(), (GOOD + 1).tobytes())


def of(text: str, data: bytes = GOOD.tobytes(), version: int = 1, length: int | None = None) -> Callable[[Path], Any]:
    return lambda folder: archive(folder, header(text, version, length) + data)


BUILT = "told when the data are read"
HOSTILE: dict[str, tuple[Callable[[Path], Any], str, dict[str, str]]] = {
    "a bomb behind a small header": (bomb, "longer or shorter than its header says", {}),
    "a bomb in the header": (header_bomb, "header of the array is longer than 10000", {}),
    "more members than anyone needs": (many_members, "more than 1000 members", {}),
    "a list of members as long as the file": (long_list, "list of its members is too long", {}),
    "two arrays of one name": (twice, "two arrays of this name", {}),
    "no such array": (good, "no array of this name", {"key": "y"}),
    "a key that is a path": (good, "no array of this name", {"key": "../x"}),
    "a name of thousands of letters": (long_name, "and header b", {}),
    "an encrypted member": (encrypted, "encrypted", {}),
    "bzip2": (lambda f: archive(f, b"", how=zipfile.ZIP_BZIP2), "none that NumPy writes", {}),
    "LZMA, which asks for memory": (lambda f: archive(f, b"", how=zipfile.ZIP_LZMA), "none that NumPy writes", {}),
    "a pickle": (pickled, "real or complex numbers", {}),
    "text": (of(saying(descr="<U9")), "real or complex numbers", {}),
    "raw bytes": (of(saying(descr="|V2147483647")), "real or complex numbers", {}),
    "truth values": (of(saying(descr="|b1")), "real or complex numbers", {}),
    "times": (of(saying(descr="<M8[ns]")), "real or complex numbers", {}),
    "a structure": (of(saying(descr=[("a", "<f4")])), "real or complex numbers", {}),
    "a structure in one word": (of(saying(descr="f4,f4")), "real or complex numbers", {}),
    "a float that only some machines have": (of(saying(descr="<f16")), "on every machine", {}),
    "code for a shape": (of(saying().replace("(3, 4)", "__import__('os').system('x')")), "real or complex", {}),
    "a shape of products": (of(saying().replace("(3, 4)", "(9**9**9,)")), "real or complex", {}),
    "a shape of nested brackets": (of(saying().replace("(3, 4)", "(" * 5000 + ")" * 5000), length=None), "10000", {}),
    "a negative shape": (of(saying((-3, -4))), "real or complex", {}),
    "a huge shape": (of(saying((2**40,))), "would take 8 TiB; a problem may take 2 GiB", {}),
    "a shape beyond 64 bits": (of(saying((2**62, 2**62))), "more than any machine has", {}),
    "a shape of many digits": (of(saying().replace("(3, 4)", "(" + "9" * 5000 + ",)")), "real or complex", {}),
    "no axis": (of(saying(())), "1 to 5 axes", {}),
    "too many axes": (of(saying((1,) * 6)), "1 to 5 axes", {}),
    "no element": (of(saying((0, 4)), b""), "at least one element", {}),
    "too few data": (of(saying((3, 5))), "longer or shorter than its header says", {}),
    "too many data": (of(saying((3, 3))), "longer or shorter than its header says", {}),
    "data cut off": (cut, "cannot be read", {}),
    "a wrong checksum": (wrong_sum, BUILT, {}),
    "another version of the format": (of(saying(), version=3), "no array", {}),
    "no array at all": (lambda f: archive(f, b"hello"), "no array", {}),
    "an empty member": (lambda f: archive(f, b""), "no array", {}),
    "a header that is cut": (of(saying(), b"", length=9000), "longer or shorter", {}),
    "no archive": (lambda f: (f / "data.npz").write_bytes(b"hello"), "not a zip file", {}),
    "an empty file": (lambda f: (f / "data.npz").write_bytes(b""), "not a zip file", {}),
    "a file larger than the cap": (sparse, "larger than 2 GiB", {}),
    "a folder": (lambda f: (f / "data.npz").mkdir(), "not a regular file", {}),
    "a pipe that nobody writes to": (fifo, "not a regular file", {}),
    "a device": (link("/dev/zero"), "a link leads there", {}),
    "a link to itself": (link("data.npz"), "a link leads there", {}),
    "a link to another file beside it": (inside, "a link leads there", {}),
    "a link out of the folder": (link("/etc/passwd"), "a link leads there", {}),
    "a folder that is a link": (linked_folder, "a link leads there", {"npz": "below/data.npz"}),
    "a file as a folder": (good, "a link leads there, or a part is no folder", {"npz": "data.npz/data.npz"}),
    "the way up": (good, "not in the suite's folder", {"npz": "../data.npz"}),
    "the way down and up": (good, "not in the suite's folder", {"npz": "a/../../data.npz"}),
    "an absolute path": (good, "not in the suite's folder", {"npz": "/etc/passwd"}),
    "the folder itself": (good, "not in the suite's folder", {"npz": "."}),
    "no name": (good, "not in the suite's folder", {"npz": ""}),
    "a name with NUL": (good, "not in the suite's folder", {"npz": "data.npz\0.txt"}),
    "a name too long for a disk": (good, "cannot be read", {"npz": "n" * 300}),
    "another file": (good, "no such file", {"npz": "other.npz"}),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_one_error_and_takes_little_memory(tmp_path: Path, name: str) -> None:
    make, words, changed = HOSTILE[name]
    folder, spec = tmp_path / "suite", {**SPEC, **changed}
    folder.mkdir()
    make(folder)
    read = partial(array_of, spec, "float32", "s/c", "x", folder) if words == BUILT else partial(shape_of, spec, folder)
    tracemalloc.start()
    with pytest.raises(ArrayError) as told:
        read()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    if words != BUILT:
        assert words in str(told.value)
    assert told.value.key[0] in ("npz", "key")
    assert len(str(told.value)) < 300
    assert peak < 8 * 2**20


def test_nothing_of_a_pickle_is_called(tmp_path: Path) -> None:
    class Bad:
        def __reduce__(self) -> Any:
            return Path.touch, (tmp_path / "called",)

    np.savez(tmp_path / "data.npz", x=np.array([Bad()], dtype=object), allow_pickle=True)
    with pytest.raises(ArrayError):
        shape_of(SPEC, tmp_path)
    assert not (tmp_path / "called").exists()


DTYPES = ["int8", "uint16", ">i4", "<i8", "uint64", "float16", ">f4", "<f8", "complex64", ">c16"]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_what_numpy_writes_is_read_with_every_number_in_its_place(
    tmp_path: Path, dtype: str, order: Any, save: Any
) -> None:
    values = np.arange(24).reshape(2, 3, 4).astype(dtype, order=order)
    (tmp_path / "below").mkdir()
    save(tmp_path / "below" / "data.npz", x=values, other=np.zeros(3))
    spec = {"npz": "below/data.npz", "key": "x"}
    assert shape_of(spec, tmp_path) == (2, 3, 4)
    assert np.array_equal(array_of(spec, "complex128" if "c" in dtype else "float64", "s/c", "x", tmp_path), values)


def test_a_constant_array_may_be_a_thousand_times_smaller_in_its_file(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "data.npz", x=np.ones((1000, 1000), np.float32))
    assert (tmp_path / "data.npz").stat().st_size < 10_000
    assert array_of(SPEC, "float32", "s/c", "x", tmp_path).sum() == 10**6


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
def test_numbers_that_the_dtype_cannot_hold_are_refused_and_warn_of_nothing(tmp_path: Path, value: float) -> None:
    np.savez(tmp_path / "data.npz", x=np.array([1.0, value]))
    for dtype in ("float32", "int8", "bfloat16"):
        with pytest.raises(ArrayError, match=f"{dtype} cannot hold this value"):
            array_of(SPEC, dtype, "s/c", "x", tmp_path)


SUITE = """\
crosscorrect: 1
suite: s
cases:
  - {id: c, operation: corr2d, x: {npz: data.npz, key: x}, w: [[1]]}
  - {id: d, operation: corr2d, x: {npz: other.npz, key: x}, w: [[1]], sweep: {x.npz: [data.npz]}}
"""


def test_a_file_that_changes_between_reading_and_running_is_told(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(SUITE, encoding="utf-8")
    good(tmp_path)
    first, second = load_suite(tmp_path / "s.yaml").problems()
    assert np.array_equal(first.inputs()["x"], GOOD)
    np.savez(tmp_path / "data.npz", x=-GOOD)
    for problem in (first, second):
        with pytest.raises(CaseError, match="the file has changed since the suite was read") as told:
            problem.inputs()
        assert told.value.line in (4, 5)


def test_the_digest_of_a_suite_is_that_of_its_files_too(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(SUITE, encoding="utf-8")
    digests = set()
    for values in (GOOD, -GOOD, GOOD):
        np.savez(tmp_path / "data.npz", x=values)
        digests.add(load_suite(tmp_path / "s.yaml").digest)
    assert len(digests) == 2


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(st.data())
def test_a_damaged_file_is_read_or_is_one_error(tmp_path: Path, data: st.DataObject) -> None:
    """Bytes changed, cut out and doubled, in the archive and inside the member, with sums that are right again."""
    member = bytearray(header(saying(), version=data.draw(st.sampled_from([1, 2]))) + GOOD.tobytes())
    damage(data, member)
    how = data.draw(st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]))
    path = archive(tmp_path, bytes(member), how=how)
    whole = bytearray(path.read_bytes())
    if data.draw(st.booleans()):
        damage(data, whole)
        path.write_bytes(bytes(whole))
    read_or_told(tmp_path)


def damage(data: st.DataObject, raw: bytearray) -> None:
    for _ in range(data.draw(st.integers(0, 3))):
        place = data.draw(st.integers(0, max(len(raw) - 1, 0)))
        length = data.draw(st.integers(0, 8))
        raw[place : place + length] = data.draw(st.binary(max_size=8) | st.just(bytes(raw[:length])))


def read_or_told(folder: Path) -> None:
    try:
        shape = shape_of(SPEC, folder)
        array = array_of(SPEC, "float64", "s/c", "x", folder)
    except ArrayError as error:
        assert error.key == () or error.key[0] in ("npz", "key")  # noqa: PT017  either way is right
    else:
        assert array.shape == shape


@given(st.binary(max_size=300))
@example(b"PK\x05\x06" + bytes(18))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_are_an_array_or_one_error(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "data.npz").write_bytes(raw)
    read_or_told(tmp_path)


def test_a_deflated_member_that_never_ends_is_left_after_what_its_header_says(tmp_path: Path) -> None:
    """Its size and sum in the list of members are as they should be, and the data go on behind them."""
    right = header(saying()) + GOOD.tobytes()
    path = archive(tmp_path, right + bytes(2**22), how=zipfile.ZIP_DEFLATED)
    raw = bytearray(path.read_bytes())
    place = raw.index(b"PK\x01\x02")
    struct.pack_into("<L", raw, place + 16, zlib.crc32(right))
    struct.pack_into("<L", raw, place + 24, len(right))
    path.write_bytes(bytes(raw))
    assert np.array_equal(array_of(SPEC, "float32", "s/c", "x", tmp_path), GOOD)
