"""What is fuzzed: each target reads bytes as a stranger's file and lets nothing out but what is documented.

A target returns whether the input was accepted. Whatever else it raises is a finding, a warning too. What it builds is
small: that a large problem is refused is what it is there to see.
"""

from __future__ import annotations

import os
import tempfile
from functools import lru_cache
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING
from unittest import mock

import numpy as np

from crosscorrect import dtypes, estimate, expectations as expected, judge, operations, plan
from crosscorrect.descriptor import DescriptorError, label, parse, write
from crosscorrect.errors import CaseError
from crosscorrect.inputs import array_of, shape_of
from crosscorrect.model import Outcome
from crosscorrect.specify import specify
from crosscorrect.suite import load_suite
from crosscorrect.values import ArrayError
from crosscorrect.worker import wire
from crosscorrect.worker.wire import Channel, ProtocolError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from crosscorrect.problem import Problem

SMALL = 2**10
"""Problems of up to this many elements are built, and their references made."""

POINTS = 20
"""So many points of each case's sweep are looked at."""


@lru_cache(maxsize=1)
def folder() -> Path:
    """A scratch folder of this process, with a file beside the suite."""
    place = Path(tempfile.mkdtemp(prefix="fuzz-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None))  # noqa: S108
    np.savez(place / "x.npz", x=np.arange(12.0).reshape(3, 4), c=np.array([1 + 2j]))
    return place


def suite(data: bytes) -> bool:
    """A case file, the problems of its first points, and, of small ones, their inputs, references and standards."""
    path = folder() / "s.yaml"
    path.write_bytes(data)
    try:
        read = load_suite(path)
        for index in range(len(read.cases)):
            sweep = read.sweep(index)
            for point in map(sweep.point, range(min(len(sweep), POINTS))):
                problem = specify(read.name, point)
                if sum(map(prod, problem.shapes.values())) <= SMALL and problem.settings.get("steps", 0) <= POINTS:
                    _judged(problem)
    except CaseError as error:
        return _told(error)
    return True


def _judged(problem: Problem) -> None:
    """All that the controller makes of a problem before a framework answers, and its judgement on the right answer."""
    prepared = plan._prepare(problem, 0)
    given = prepared.inputs
    if problem.operation == "train" and "start" in given:
        operations.training_reference(problem, given, given["start"], given.get("bias"))
    for direction, reference in prepared.references.items():
        standards = prepared.standards(direction, "strict")
        # of 64-bit integers the value alone is rounded, and what a case expects may be wrong
        plain = problem.operation != "relation" and not problem.verify and problem.expect is None
        if plain and problem.dtype not in ("int64", "uint64"):
            with np.errstate(all="ignore"):
                right = dtypes.narrow(reference.value, problem.dtype)
            found = judge.hold(problem, direction, right, standards)
            assert found.outcome is not Outcome.FAIL, found


def expectations(data: bytes) -> bool:
    """An expectations file, and what its entries say of some checks."""
    place = folder() / "expectations"
    place.mkdir(exist_ok=True)
    (place / "fw.yaml").write_bytes(data)
    try:
        expected.check_folder(place)
        for version in ("1.2", "", "2.0.dev1+x"):
            found = expected.load("fw", version, place)
            for problem in ("s/a", "s/a@dtype=float32", "t/b"):
                found.of(problem, "forward", "eager", "cpu")
    except CaseError as error:
        return _told(error)
    return True


def npz(data: bytes) -> bool:
    """An archive, and an array of it: its shape as told is its shape as built."""
    (folder() / "a.npz").write_bytes(data)
    spec = {"npz": "a.npz", "key": "x"}
    try:
        shape = shape_of(spec, folder())
        assert estimate.excess(shape) == ""
        if prod(shape) <= 2**16:
            assert array_of(spec, "complex128", "s/c", "x", folder()).shape == shape
    except ArrayError as error:
        return _told(error)
    return True


def descriptor(data: bytes) -> bool:
    """A descriptor: what is read is written as one that reads the same."""
    text = data.decode("utf-8", "replace")
    try:
        found = parse(text)
        assert 1 <= len(label(text)) <= len(text)
    except DescriptorError as error:
        return _told(error)
    again = parse(write(found.x_shape, found.w_shape, found.geometry))
    assert (again.x_shape, again.w_shape) == (found.x_shape, found.w_shape)
    return True


def frames(data: bytes) -> bool:
    """What a worker that lies writes to its channel: frames, or the one error of the protocol, or their end."""
    read, other = os.pipe()
    keep, write_end = os.pipe()
    count = 0
    try:
        os.write(other, data[: 2**16])
        os.close(other)
        channel = Channel(read, write_end)
        # less than a frame may have: what it says of itself is taken from memory before it comes
        with mock.patch.object(wire, "MAX_PAYLOAD", 2**20):
            while True:
                header, arrays = channel.receive()
                assert isinstance(header, dict)
                assert sum(array.nbytes for array in arrays.values()) <= 2**20
                count += 1
    except (ProtocolError, EOFError):
        return count > 0
    finally:
        for end in (read, keep, write_end):
            os.close(end)


def _told(error: Exception) -> bool:
    """False, for the input was refused; a refusal is one short line, and what a person sees is printable."""
    assert len(str(error)) < 2000
    if isinstance(error, CaseError):
        assert str(error).isprintable()
        assert str(error).startswith(str(error.file))
    return False


TARGETS: Mapping[str, Callable[[bytes], bool]] = {
    "suite": suite,
    "expectations": expectations,
    "npz": npz,
    "descriptor": descriptor,
    "frames": frames,
}
