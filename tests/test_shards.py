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
from crosscorrect.shipped import shipped_suites
from crosscorrect.suite import load_suite
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


def test_one_shard_and_one_required_framework_need_no_brackets(tmp_path: Path) -> None:
    one = shard(tmp_path, "one")
    assert merge(one, "one", tmp_path / "results").info["frameworks"] == ["one"]
    with pytest.raises(IncompleteError, match="no shard of two; run its environment first"):
        merge(one, "two", tmp_path / "results")


def test_the_adapters_of_all_shards_are_kept(tmp_path: Path) -> None:
    shards = [shard(tmp_path, name, adapters={name: f"{name}:Adapter"}) for name in ("one", "two")]
    assert merge(shards, [], tmp_path / "results").info["adapters"] == {"one": "one:Adapter", "two": "two:Adapter"}


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


# ---------------------------------------------------------------- parts of one framework


def part(tmp_path: Path, framework: str, number: int, count: int, held: list[str], **info: Any) -> Path:
    """Part ``number`` of ``count`` of a framework's run of six problems."""
    rows = [check(problem, framework) for problem in held]
    said = {"problems": 6, "share": len(held), "shard": f"{number}/{count}", "frameworks": [framework], **info}
    return finished(tmp_path / "shards" / f"{framework}-{number}", rows, **said)


SIX = [f"s/c{number}" for number in range(6)]


def three(tmp_path: Path, framework: str = "one", **info: Any) -> list[Path]:
    return [part(tmp_path, framework, number, 3, SIX[number - 1 :: 3], **info) for number in (1, 2, 3)]


def test_all_parts_of_a_framework_become_one_whole_run_with_every_row(tmp_path: Path) -> None:
    other = finished(tmp_path / "shards" / "two", [check(p, "two") for p in SIX], problems=6)
    merged = merge([*three(tmp_path)[::-1], other], ["one", "two"], tmp_path / "results")
    assert merged.info["shard"] == ""
    assert merged.info["frameworks"] == ["one", "two"]
    assert merged.info["totals"] == {"pass": 12}
    assert sorted(merged.checks["problem"]) == sorted(SIX * 2)
    assert list(merged.problems["problem"]) == SIX  # in the order of the shard that is whole
    assert len(merged.env[merged.env["framework"] == "one"]) == 1


def test_a_merged_run_is_judged_as_a_whole_one(tmp_path: Path) -> None:
    from crosscorrect import gate

    folder = tmp_path / "expectations"
    folder.mkdir()
    text = 'crosscorrect: 1\nframework: one\nversions: ""\nexecuted: {s: {eager: 7}}\n'
    text += "expect: [{problems: s/gone, outcome: fail, reason: known}]\n"
    (folder / "one.yaml").write_text(text, encoding="utf-8")
    shards = three(tmp_path)
    assert not gate.rule(store.load(shards[0]), folder).findings
    found = gate.rule(merge(shards, [], tmp_path / "results"), folder).findings
    assert [words in finding for words, finding in zip(("stale", "7"), found, strict=True)] == [True, True]


def test_what_the_parts_say_of_themselves_is_kept_where_it_differs(tmp_path: Path) -> None:
    seconds = [[{"framework": "one", "section": "start", "key": "import_seconds", "value": v}] for v in "123"]
    shards = [part(tmp_path, "one", n, 3, SIX[n - 1 :: 3], env=seconds[n - 1]) for n in (1, 2, 3)]
    merged = merge(shards, [], tmp_path / "results")
    assert list(merged.env[merged.env["key"] == "import_seconds"]["value"]) == ["1; 2; 3"]


def test_problems_of_one_case_stay_together_in_whatever_parts_they_were(tmp_path: Path) -> None:
    stream = [f"{suite}/{case}@x={n}" for suite in "ts" for case in "ba" for n in range(6)]
    suites = [{"name": name, "title": name, "file": f"{name}.yaml", "digest": "d"} for name in "ts"]
    shards = [part(tmp_path, "one", n, 2, stream[n - 1 :: 2], problems=24, suites=suites) for n in (1, 2)]
    assert list(merge(shards, [], tmp_path / "results").problems["problem"]) == stream


def test_an_empty_part_is_a_part(tmp_path: Path) -> None:
    shards = [part(tmp_path, "one", 1, 3, SIX), part(tmp_path, "one", 2, 3, []), part(tmp_path, "one", 3, 3, [])]
    assert len(merge(shards, [], tmp_path / "results").checks) == 6


def missing_one(_: Path, shards: list[Path]) -> list[Path]:
    return shards[:1] + shards[2:]


def with_a_problem_twice(tmp_path: Path, shards: list[Path]) -> list[Path]:
    return [*shards[:2], part(tmp_path / "again", "one", 3, 3, ["s/c2", "s/c1"])]


def with_one_twice(tmp_path: Path, shards: list[Path]) -> list[Path]:
    return [*shards, part(tmp_path / "again", "one", 3, 3, SIX[2::3])]


def with_another_count(tmp_path: Path, shards: list[Path]) -> list[Path]:
    return [*shards[:2], part(tmp_path / "again", "one", 3, 4, SIX[2::3])]


def with_a_whole_one(tmp_path: Path, shards: list[Path]) -> list[Path]:
    return [*shards, finished(tmp_path / "again" / "one", [check(p, "one") for p in SIX], problems=6)]


def with_another_version(tmp_path: Path, shards: list[Path]) -> list[Path]:
    return [*shards[:2], part(tmp_path / "again", "one", 3, 3, SIX[2::3], versions={"one": "9.9"})]


def with_other_modes(tmp_path: Path, shards: list[Path]) -> list[Path]:
    offer = [{"framework": "one", "section": "offer", "key": "modes", "value": "eager"}]
    return [*shards[:2], part(tmp_path / "again", "one", 3, 3, SIX[2::3], env=offer)]


def with_a_problem_less(tmp_path: Path, shards: list[Path]) -> list[Path]:
    return [*shards[:2], part(tmp_path / "again", "one", 3, 3, SIX[2:3])]


def with_another_seed(tmp_path: Path, shards: list[Path]) -> list[Path]:
    return [*shards[:2], part(tmp_path / "again", "one", 3, 3, SIX[2::3], seed=1)]


def with_a_part_that_is_none(tmp_path: Path, shards: list[Path]) -> list[Path]:
    return [*shards[:2], part(tmp_path / "again", "one", 3, 3, SIX[2::3], shard="5/3")]


def with_one_that_never_started(tmp_path: Path, shards: list[Path]) -> list[Path]:
    return [*shards[:2], part(tmp_path / "again", "one", 3, 3, [], share=2)]


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (missing_one, "framework 'one' lacks 2/3 of its shards; run them first"),
        (lambda _, shards: shards[1:2], "framework 'one' lacks 1/3, 3/3 of its shards; run them first"),
        (with_one_twice, "of framework 'one' are both 3/3; give one of them"),
        (with_a_problem_twice, "of framework 'one' both hold s/c1"),
        (with_another_count, "of framework 'one' do not belong together: parts 1/3 and 3/4"),
        (with_a_whole_one, "framework 'one' is in more than one shard; give one shard of it, or all its parts"),
        (with_another_version, "of framework 'one' do not belong together: version one 1.2.3 and 9.9"),
        (with_other_modes, "of framework 'one' do not belong together: offer modes none and eager"),
        (with_a_problem_less, "the shards of framework 'one' hold 5 of 6 problems; run them again"),
        (with_another_seed, "do not belong together: other seed"),
        (with_a_part_that_is_none, "is damaged: run.json: 'shard' is '5/3'; run it again"),
        (with_one_that_never_started, "holds no check of one; run its environment again"),
    ],
)
def test_parts_that_do_not_make_a_whole_are_refused_in_one_sentence_and_nothing_is_written(
    tmp_path: Path, spoil: Callable[[Path, list[Path]], list[Path]], words: str
) -> None:
    shards = spoil(tmp_path, three(tmp_path))
    with pytest.raises(IncompleteError) as told:
        merge(shards, [], tmp_path / "results")
    assert words in str(told.value)
    assert "\n" not in str(told.value)
    assert not (tmp_path / "results").exists()


@pytest.mark.usefixtures("unforked")
def test_a_run_in_parts_is_merged_into_what_a_run_in_one_gives(tmp_path: Path, small_suite: Path) -> None:
    from crosscorrect import api

    whole = api.run([small_suite], ["numpy"], results=tmp_path / "whole")
    parts = [api.run([small_suite], ["numpy"], results=tmp_path / "parts", shard=(n, 4)).folder for n in (4, 2, 1, 3)]
    assert [store.read_info(part)["shard"] for part in parts] == ["4/4", "2/4", "1/4", "3/4"]
    assert sum(store.read_info(part)["share"] for part in parts) == 3
    merged = merge(parts, ["numpy"], tmp_path / "results")
    columns = ["problem", "direction", "outcome", "input_digest", "output_digest"]
    assert sorted(map(tuple, merged.checks[columns].to_numpy())) == sorted(map(tuple, whole.checks[columns].to_numpy()))
    assert {**merged.info, "run": ""} == {**whole.info, "run": ""}
