"""Shards that belong together become one run with every row; every other set of shards is refused by name."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from crosscorrect import __version__, store, tables
from crosscorrect.errors import CrosscorrectError, DamagedError, IncompleteError, UsageError
from crosscorrect.model import Outcome
from crosscorrect.shards import merge
from crosscorrect.suite import load_suite, shipped_suites
from crosscorrect.worker.wire import digest
from made_runs import check, finished

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PROBLEMS = ("s/first", "s/second")
SPOILED = ["unfinished", "version", "suite", "arithmetic", "filter", "problems", "modes", "devices", "inputs", "twice"]
SPOILED += ["table", "run.json", "schema"]


def shard(tmp_path: Path, framework: str, **info: Any) -> Path:
    return finished(tmp_path / "shards" / framework, [check(p, framework) for p in PROBLEMS], **info)


def tell(folder: Path, **changed: Any) -> None:
    """Change what ``run.json`` says of a shard that is already there."""
    store.write_info(folder, {**store.read_info(folder), **changed})


def test_two_shards_that_belong_together_become_one_finished_run(tmp_path: Path) -> None:
    shards = [shard(tmp_path, "one"), shard(tmp_path, "two")]
    merged = merge(shards, ["one", "two"], tmp_path / "results")
    assert merged.info["finished"]
    assert merged.info["frameworks"] == ["one", "two"]
    assert merged.info["totals"] == {"pass": 4}
    assert {key: merged.info[key] for key in ("suites", "problems", "modes", "devices", "arithmetic", "filter")} == {
        key: store.read_info(shards[0])[key]
        for key in ("suites", "problems", "modes", "devices", "arithmetic", "filter")
    }
    assert sorted(zip(merged.checks["framework"], merged.checks["problem"], strict=True)) == [
        (name, problem) for name in ("one", "two") for problem in PROBLEMS
    ]
    assert list(merged.problems["problem"]) == list(PROBLEMS)
    assert list(merged.env["framework"]) == ["one", "two"]
    assert (tmp_path / "results" / "latest").resolve() == merged.folder.resolve()


def test_the_arrays_of_every_shard_are_in_the_merged_run_once(tmp_path: Path) -> None:
    shared, own = np.zeros(3), {"one": np.ones(2), "two": np.full(2, 2.0)}
    shards = [
        finished(tmp_path / "shards" / name, [check(framework=name)], arrays=[shared, array])
        for name, array in own.items()
    ]
    merged = merge(shards, [], tmp_path / "results")
    assert len(merged.arrays) == 3
    for array in (shared, *own.values()):
        kept = merged.array(digest(array))
        assert kept is not None
        assert kept.tolist() == array.tolist()


def unfinished(two: Path) -> None:
    tell(two, finished=False)


def of_another_version(two: Path) -> None:
    tell(two, crosscorrect="0.0.1")


def with_another_suite(two: Path) -> None:
    tell(two, suites=[{"name": "s", "title": "S", "file": "s.yaml", "digest": "other"}])


def with_other_inputs(two: Path) -> None:
    frames = {name: getattr(store.load(two), name) for name in tables.TABLES}
    frames["checks"].loc[frames["checks"]["problem"] == "s/second", "input_digest"] = "others"
    store.write_tables(two, frames, {})


def without_a_table(two: Path) -> None:
    (two / "training.parquet").unlink()


def without_run_json(two: Path) -> None:
    (two / "run.json").unlink()


def of_a_newer_schema(two: Path) -> None:
    tell(two, schema=99)


@pytest.mark.parametrize(
    ("spoil", "kind", "words"),
    [
        (unfinished, IncompleteError, "is not finished; run its environment again"),
        (of_another_version, IncompleteError, f"is stale: made by crosscorrect 0.0.1, this is {__version__}"),
        (with_another_suite, IncompleteError, "do not belong together: other suites"),
        (lambda two: tell(two, arithmetic="tf32"), IncompleteError, "do not belong together: other arithmetic"),
        (lambda two: tell(two, filter=["s/first"]), IncompleteError, "do not belong together: other filter"),
        (lambda two: tell(two, problems=3), IncompleteError, "do not belong together: other problems"),
        (lambda two: tell(two, modes=[]), IncompleteError, "do not belong together: other modes"),
        (lambda two: tell(two, devices=["cuda:0"]), IncompleteError, "do not belong together: other devices"),
        (with_other_inputs, IncompleteError, "do not belong together: other inputs for s/second"),
        (lambda two: tell(two, frameworks=["one"]), IncompleteError, "framework 'one' is in more than one shard"),
        (without_a_table, DamagedError, "missing or damaged"),
        (without_run_json, UsageError, "is not a run folder"),
        (of_a_newer_schema, UsageError, "has schema 99"),
    ],
    ids=SPOILED,
)
def test_a_shard_that_does_not_belong_is_refused_by_name_and_nothing_is_written(
    tmp_path: Path, spoil: Callable[[Path], None], kind: type[CrosscorrectError], words: str
) -> None:
    one, two = shard(tmp_path, "one"), shard(tmp_path, "two")
    spoil(two)
    with pytest.raises(kind) as told:
        merge([one, two], [], tmp_path / "results")
    assert words in str(told.value)
    assert str(two) in str(told.value) or "more than one" in words
    assert not (tmp_path / "results").exists()


def test_a_required_framework_without_a_shard_is_refused(tmp_path: Path) -> None:
    with pytest.raises(IncompleteError, match="no shard of three, two; run its environment first"):
        merge([shard(tmp_path, "one")], ["one", "two", "three"], tmp_path / "results")
    assert not (tmp_path / "results").exists()


def test_the_same_shard_twice_is_refused(tmp_path: Path) -> None:
    one = shard(tmp_path, "one")
    with pytest.raises(IncompleteError, match="framework 'one' is in more than one shard"):
        merge([one, one], [], tmp_path / "results")


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="absent is not a run folder"):
        merge([shard(tmp_path, "one"), tmp_path / "absent"], [], tmp_path / "results")


@pytest.mark.parametrize("current", [True, False])
def test_a_shard_of_a_shipped_suite_that_has_changed_since_is_stale(tmp_path: Path, current: bool) -> None:
    digest = load_suite(shipped_suites()["chapter"]).digest if current else "of yesterday"
    one = shard(tmp_path, "one", suites=[{"name": "chapter", "title": "C", "file": "chapter.yaml", "digest": digest}])
    if current:
        assert merge([one], ["one"], tmp_path / "results").info["finished"]
        return
    with pytest.raises(IncompleteError, match="is stale: suite 'chapter' has changed since; run its environment again"):
        merge([one], ["one"], tmp_path / "results")


def test_checks_that_did_not_pass_stay_what_they_were(tmp_path: Path) -> None:
    rows = [check("s/first", "two", Outcome.FAIL, message="why"), check("s/second", "two", Outcome.UNSUPPORTED)]
    shards = [shard(tmp_path, "one"), finished(tmp_path / "shards" / "two", rows)]
    merged = merge(shards, [], tmp_path / "results")
    assert merged.info["totals"] == {"pass": 2, "fail": 1, "unsupported": 1}
    failed = merged.checks[merged.checks["outcome"] == "fail"].to_dict("records")
    assert [(r["framework"], r["problem"], r["message"]) for r in failed] == [("two", "s/first", "why")]
    assert json.loads(failed[0]["arrays"]) == {}


def test_a_shard_whose_framework_never_started_is_refused_by_name(tmp_path: Path) -> None:
    empty = finished(tmp_path / "shards" / "two", [], frameworks=["two"])
    with pytest.raises(IncompleteError, match=r"holds no check of two; run its environment again"):
        merge([shard(tmp_path, "one"), empty], [], tmp_path / "results")
    assert not (tmp_path / "results").exists()


def test_a_shard_of_another_harness_or_adapter_is_stale(tmp_path: Path) -> None:
    from crosscorrect.registry import locate
    from crosscorrect.sources import fingerprint

    good = shard(tmp_path, "numpy", sources={"numpy": fingerprint(locate("numpy").packages)})
    assert merge([good], ["numpy"], tmp_path / "results").info["sources"] == store.read_info(good)["sources"]
    tell(good, sources={"numpy": "0" * 64})
    with pytest.raises(IncompleteError, match=r"stale: the harness or the adapter of 'numpy' has changed"):
        merge([good], ["numpy"], tmp_path / "results")
