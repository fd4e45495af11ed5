"""What ships, changed at random where a person or a fuzzer would change it, and what fuzzing has kept: no surprise."""

from __future__ import annotations

import copy
import json
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from crosscorrect import expectations, yamlfile
from crosscorrect.shipped import shipped_suites
from crosscorrect.suite import load_suite
from crosscorrect.worker import wire
from fuzz.mutate import mutated
from fuzz.targets import TARGETS

CORPUS = Path(__file__).parent / "fuzz" / "corpus"
RANDOMS = st.integers(0, 2**32).map(Random)


@pytest.mark.parametrize("name", TARGETS)
def test_every_input_that_fuzzing_kept_is_accepted_or_is_the_documented_error(name: str) -> None:
    kept = sorted((CORPUS / name).iterdir())
    accepted = sum(TARGETS[name](path.read_bytes()) for path in kept)
    assert 10 <= len(kept) <= 300
    assert 0 < accepted < len(kept)


def test_the_corpus_is_small() -> None:
    assert sum(path.stat().st_size for path in CORPUS.rglob("*")) < 300_000


@lru_cache(maxsize=1)
def shipped() -> list[dict[str, Any]]:
    """Every case that ships as a suite of its own, with the defaults written into it."""
    cases = [dict(case) for path in shipped_suites().values() for case in load_suite(path).cases]
    return [{"crosscorrect": 1, "suite": "s", "cases": [case]} for case in cases]


def spelt(document: Any) -> bytes:
    return json.dumps(document).replace("Infinity", ".inf").replace("NaN", ".nan").encode()


@settings(max_examples=150)
@given(st.data(), RANDOMS)
def test_a_shipped_case_that_is_changed_is_a_problem_or_a_case_error(data: st.DataObject, random: Random) -> None:
    document = data.draw(st.sampled_from(shipped()))
    TARGETS["suite"](spelt(mutated(document, random)))


@given(st.data(), RANDOMS)
def test_two_cases_of_shipped_suites_may_be_mixed_key_by_key(data: st.DataObject, random: Random) -> None:
    first, second = (copy.deepcopy(data.draw(st.sampled_from(shipped()))) for _ in range(2))
    mine, other = first["cases"][0], second["cases"][0]
    for key in other:
        if random.random() < 0.5 and key != "id":
            mine[key] = other[key]
    TARGETS["suite"](spelt(first))


@lru_cache(maxsize=1)
def expected() -> list[Any]:
    """Every entry of the expectations that ship as a file of its own."""
    read = [yamlfile.load(path).value for path in sorted(expectations.shipped_folder().glob("*.yaml"))]
    return [{**whole, "expect": [entry]} for whole in read for entry in whole["expect"]]


@given(st.data(), RANDOMS)
def test_a_shipped_expectation_that_is_changed_is_read_or_is_a_case_error(data: st.DataObject, random: Random) -> None:
    TARGETS["expectations"](spelt(mutated(data.draw(st.sampled_from(expected())), random)))


DESCRIPTORS = [
    'mb1ic64ih56oc64oh56kh3ph1n"resnet_50:res2a"',
    "g2mb3ic4ih9oc4kh3sh2dh1",
    "mb1ic1id5ih6iw7oc2kd2kh2kw2sd2dh1ph0",
    "ic3iw9oc2kw2dw1_mb2",
]


@settings(max_examples=300)
@given(st.sampled_from(DESCRIPTORS), st.data())
def test_a_descriptor_with_pieces_changed_is_read_or_is_its_error(text: str, data: st.DataObject) -> None:
    pieces = st.sampled_from(
        ["ic", "oc", "mb", "g", "ih", "kh", "oh", "sh", "ph", "dh", "iw", "kd", "n", "*", "_", '"']
    )
    numbers = st.integers(0, 10**10).map(str) | st.sampled_from(["0", "1", "2", "00", "٣"])
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(text)))
        text = (
            text[:place]
            + data.draw(pieces | numbers | st.text(max_size=2))
            + text[data.draw(st.integers(place, len(text))) :]
        )
    TARGETS["descriptor"](text.encode("utf-8", "replace"))


@given(st.lists(st.binary(max_size=40), max_size=4), st.integers(0, 2**33), st.integers(0, 2**33))
def test_frames_that_lie_about_their_lengths_are_errors_of_the_protocol(
    parts: list[bytes], header: int, payload: int
) -> None:
    said = b"".join(b"XCF1" + (header % 2**32).to_bytes(4, "little") + payload.to_bytes(8, "little") + p for p in parts)
    assert not TARGETS["frames"](said)


def test_the_targets_leave_the_limits_of_the_channel_as_they_are() -> None:
    """They run in one process with other tests, which once found a smaller limit than there is."""
    before = wire.MAX_PAYLOAD
    TARGETS["frames"](b"XCF1")
    assert wire.MAX_PAYLOAD == before > 2**20
