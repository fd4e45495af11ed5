"""A run folder loses nothing it was given, is read as far as it came, and what is no run is told in one sentence."""

from __future__ import annotations

import csv
import json
import os
import shutil
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as hnp

from crosscorrect import __version__, columns, dtypes, log, store, tables
from crosscorrect.errors import CrosscorrectError, DamagedError, UsageError
from crosscorrect.model import JSON, SCHEMA_VERSION, Check, Direction, Event, Outcome, TrainingStep
from crosscorrect.speed.model import Comparison, Role, Speed
from made_runs import problem_row

INFO = {"frameworks": ["numpy"]}


def check(case: str = "first", **changed: Any) -> Check:
    fields: dict[str, Any] = {
        "suite": "s", "case": case, "problem": f"s/{case}", "source": "In [1]", "title": "3×3", "operation": "corr2d",
        "direction": Direction.FORWARD, "dtype": "float32", "framework": "numpy", "mode": "eager", "device": "cpu",
        "arithmetic": "strict", "outcome": Outcome.PASS, "ratio": 0.25, "where": "1,1", "arrays": {"x": "abc"},
    }  # fmt: skip
    return Check(**{**fields, **changed})


def begun(results: Path) -> tuple[Path, store.Segment]:
    folder = store.create(results, "run", INFO)
    return folder, store.Segment(folder)


def write(segment: store.Segment, *checks: Check) -> None:
    for row in checks:
        segment.write("checks", tables.check_record(row))


def names(run: store.Run) -> list[str]:
    return list(run.checks["case"])


def test_an_unfinished_run_is_read_as_far_as_it_came(tmp_path: Path) -> None:
    folder, segment = begun(tmp_path)
    write(segment, check("first"))
    assert names(store.load(folder)) == ["first"]
    write(segment, check("second", outcome=Outcome.FAIL))
    run = store.load(folder)
    assert names(run) == ["first", "second"]
    assert not run.info["finished"]
    assert list(run.checks["outcome"]) == ["pass", "fail"]
    segment.close()


def test_a_run_that_has_just_begun_is_read_and_is_empty(tmp_path: Path) -> None:
    run = store.load(store.create(tmp_path, "run", INFO))
    for table in tables.TABLES:
        frame = getattr(run, table)
        assert len(frame) == 0
        assert list(frame.columns) == tables.COLUMNS[table]


@pytest.mark.parametrize("sealed", [False, True])
def test_a_last_line_torn_at_any_byte_is_dropped_and_what_came_before_is_kept(tmp_path: Path, sealed: bool) -> None:
    folder, segment = begun(tmp_path / "whole")
    write(segment, check("first"), check("second"), check("third", title="sum × ∑ 𝒙"))
    segment.close()
    written = log.logs(folder)[0]
    content = written.read_bytes()
    last = content[:-1].rindex(b"\n") + 1
    cuts = [last, last + 1, content.index("×".encode(), last) + 1, content.rindex("𝒙".encode()) + 2, len(content) - 2]
    for cut in cuts:
        copy = tmp_path / str(cut)
        shutil.copytree(folder, copy)
        (copy / written.name).write_bytes(content[:cut])
        if sealed:
            store.seal(copy)
        assert names(store.load(copy)) == ["first", "second"]


@pytest.mark.parametrize(
    "text", ["\u2028", "\u2029", "\x85", "\x0b\x0c\x1c\x1d\x1e", "\r\n", "\x00", "×∑𝒙", '"\\', "\ufeff"]
)
def test_no_character_of_a_message_breaks_its_record(tmp_path: Path, text: str) -> None:
    folder, segment = begun(tmp_path)
    said = f"before{text}after"
    write(segment, check(message=said), check("second"))
    segment.close()
    assert list(store.load(folder).checks["message"]) == [said, ""]
    store.seal(folder)
    assert list(store.load(folder).checks["message"]) == [said, ""]


def test_a_sealed_run_has_every_table_its_totals_its_seal_and_no_log(tmp_path: Path) -> None:
    folder, segment = begun(tmp_path)
    write(segment, check(), check("second", error=None, ratio=None))
    step = TrainingStep("s/t", "numpy", "eager", "cpu", 0, 1.5, 1.25, 0.5, [1.0, 2.0], [1.0, 2.0], [0.0, 0.0], "1.5")
    segment.write("training", {name: getattr(step, name) for name in tables.COLUMNS["training"]})
    segment.write("env", {"framework": "numpy", "section": "version", "key": "numpy", "value": "2.0"})
    segment.close()
    before = store.load(folder)
    unsealed = {
        table: getattr(before, table).astype(object).fillna("").to_dict("records") for table in ("checks", "env")
    }
    store.seal(folder)
    after = store.load(folder)
    assert after.info["finished"] is True
    assert after.info["totals"] == {"pass": 2}
    assert after.info["schema"] == SCHEMA_VERSION
    assert after.info["crosscorrect"] == __version__
    for table, records in unsealed.items():
        assert getattr(after, table).astype(object).fillna("").to_dict("records") == records
    assert list(after.training["weight"].iloc[0]) == [1.0, 2.0]
    assert sorted(p.name for p in folder.iterdir()) == sorted(
        [*(f"{t}.parquet" for t in tables.TABLES), "run.json", "seal.json"]
    )


def test_a_check_keeps_every_field_through_the_segment_and_the_parquet(tmp_path: Path) -> None:
    folder, segment = begun(tmp_path)
    row = check(error=2.0**-30, expected=0.1, got=-0.0, seconds=1e-9, stderr="tail", input_digest="d")
    write(segment, row)
    segment.close()
    store.seal(folder)
    record = store.load(folder).checks.to_dict("records")[0]
    for name, value in tables.check_record(row).items():
        assert record[name] == value or (value is None and record[name] != record[name]) or record[name] is value, name
    assert json.loads(record["arrays"]) == {"x": "abc"}


@settings(deadline=None, max_examples=15)
@given(
    st.lists(
        hnp.arrays(
            st.sampled_from(["bool", *dtypes.NAMES]).map(dtypes.of),
            hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4),
        ),
        max_size=5,
    )
)
def test_kept_arrays_come_back_bit_for_bit_before_and_after_the_seal(
    tmp_path_factory: pytest.TempPathFactory, arrays: list[Any]
) -> None:
    folder, segment = begun(tmp_path_factory.mktemp("run"))
    keys = [segment.keep(array) for array in arrays]
    segment.close()
    for sealed in (False, True):
        if sealed:
            store.seal(folder)
        run = store.load(folder)
        for key, array in zip(keys, arrays, strict=True):
            kept = run.array(key)
            assert kept is not None
            assert (kept.dtype, kept.shape) == (array.dtype, array.shape)
            assert kept.tobytes() == array.tobytes()


def test_an_array_is_kept_once_however_often_and_from_wherever_it_is_given(tmp_path: Path) -> None:
    folder, segment = begun(tmp_path)
    array = np.arange(6.0).reshape(2, 3)
    first = segment.keep(array)
    assert segment.keep(np.asfortranarray(array)) == first
    segment.keep(array.reshape(3, 2))
    segment.close()
    another = store.Segment(folder)  # another process that kept the same
    another.keep(array)
    another.close()
    store.seal(folder)
    run = store.load(folder)
    assert len(run.arrays) == 2
    assert run.array(first) is not None
    assert run.array("0" * 32) is None


def test_problems_and_environments_written_by_several_are_in_their_tables_once(tmp_path: Path) -> None:
    folder, segment = begun(tmp_path)
    row = {"framework": "numpy", "section": "version", "key": "numpy", "value": "2.0"}
    for _ in range(3):
        segment.write("env", row)
    write(segment, check(), check())  # two checks alike are two checks
    segment.close()
    run = store.load(folder)
    assert (len(run.env), len(run.checks)) == (1, 2)


def damage(folder: Path, how: str) -> None:
    info = json.loads((folder / "run.json").read_text())
    if how == "no run.json":
        (folder / "run.json").unlink()
    elif how == "not JSON":
        (folder / "run.json").write_text("{")
    elif how == "not UTF-8":
        (folder / "run.json").write_bytes(b"\xff\xfe")
    elif how == "a list":
        (folder / "run.json").write_text("[]")
    elif how == "no state":
        del info["finished"]
        (folder / "run.json").write_text(json.dumps(info))
    elif how == "newer schema":
        (folder / "run.json").write_text(json.dumps({**info, "schema": SCHEMA_VERSION + 1}))
    elif how == "no table":
        (folder / "checks.parquet").unlink()
    elif how == "table cut short":
        (folder / "checks.parquet").write_bytes((folder / "checks.parquet").read_bytes()[:-100])
    elif how == "table overwritten":
        (folder / "arrays.parquet").write_bytes(b"nothing of the kind")


@pytest.mark.parametrize(
    ("how", "kind", "words"),
    [
        ("no run.json", UsageError, "is not a run folder"),
        ("not JSON", UsageError, "cannot be read"),
        ("not UTF-8", UsageError, "cannot be read"),
        ("a list", UsageError, "is not what 'crosscorrect run' writes"),
        ("no state", UsageError, "is not what 'crosscorrect run' writes"),
        ("newer schema", UsageError, f"has schema {SCHEMA_VERSION + 1}; this crosscorrect reads {SCHEMA_VERSION}"),
        ("no table", DamagedError, "missing or damaged"),
        ("table cut short", DamagedError, "missing or damaged"),
        ("table overwritten", DamagedError, "missing or damaged"),
    ],
)
def test_a_folder_that_is_no_whole_run_is_refused_by_its_name(
    tmp_path: Path, how: str, kind: type[CrosscorrectError], words: str
) -> None:
    folder, segment = begun(tmp_path)
    write(segment, check())
    segment.close()
    store.seal(folder)
    damage(folder, how)
    with pytest.raises(kind) as told:
        store.load(folder)
    assert words in str(told.value)
    assert str(folder) in str(told.value)


def test_a_folder_that_is_not_there_or_is_a_file_is_no_run(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for name in ("absent", "file"):
        with pytest.raises(UsageError, match=name):
            store.load(tmp_path / name)


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", "\r=1", "=cmd|' /C calc'!A0"])
def test_a_csv_cell_that_a_spreadsheet_would_run_is_made_inert(tmp_path: Path, cell: str) -> None:
    folder, segment = begun(tmp_path)
    write(segment, check(message=cell, title="plain = 1", got=-1.5))
    segment.close()
    written = store.write_csv(store.load(folder))
    assert [path.name for path in written] == ["checks.csv", "problems.csv", "training.csv", "env.csv", "events.csv"]
    with written[0].open(newline="", encoding="utf-8") as stream:
        row = next(csv.DictReader(stream))
    assert row["message"] == f"'{cell}"
    assert row["title"] == "plain = 1"
    assert row["got"] == "-1.5"


def test_latest_points_at_the_newest_run_and_a_shard_leaves_it_alone(tmp_path: Path) -> None:
    store.create(tmp_path, "one", INFO)
    store.create(tmp_path, "two", INFO)
    store.create(tmp_path, "shard", INFO, latest=False)
    assert (tmp_path / "latest").readlink() == Path("two")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["latest", "one", "shard", "two"]


@pytest.mark.parametrize("blocked", ["results", "latest", "run"])
def test_a_results_folder_that_cannot_be_written_is_told_and_nothing_half_written_stays(
    tmp_path: Path, blocked: str
) -> None:
    results = tmp_path / "results"
    if blocked == "results":
        results.write_text("a file")
    elif blocked == "latest":
        (results / "latest" / "mine").mkdir(parents=True)
    else:
        (results / "run" / "mine").mkdir(parents=True)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UsageError, match=r"cannot be written .*--results FOLDER"):
        store.create(results, "run", INFO)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_something_of_a_persons_own_called_latest_is_named_with_the_remedy_and_left_alone(
    tmp_path: Path, kind: str
) -> None:
    latest = tmp_path / "latest"
    if kind == "folder":
        latest.mkdir()
    else:
        latest.write_text("mine")
    with pytest.raises(UsageError) as told:
        store.create(tmp_path, "run", INFO)
    assert str(told.value).startswith(f"{latest} cannot be written (it is a {kind} of its own")
    assert "move it away" in str(told.value)
    assert list(tmp_path.iterdir()) == [latest]
    assert kind == "folder" or latest.read_text() == "mine"
    store.create(tmp_path, "shard", INFO, latest=False)


def test_a_link_called_latest_that_leads_nowhere_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "latest").symlink_to("gone")
    store.create(tmp_path, "run", INFO)
    assert (tmp_path / "latest").readlink() == Path("run")


def tampered(folder: Path, table: str, column: str, value: Any) -> None:
    """Put one value into every row of a column of a finished run, or remove the column (value: Ellipsis)."""
    import pandas as pd

    path = folder / f"{table}.parquet"
    frame = pd.read_parquet(path)
    changed = frame.drop(columns=column) if value is ... else frame.assign(**{column: [value] * len(frame)})
    changed.to_parquet(path, index=False)


@pytest.mark.parametrize(
    ("table", "column", "value", "words"),
    [
        ("checks", "outcome", ..., "has no column outcome"),
        ("arrays", "data", ..., "has no column data"),
        ("checks", "outcome", "passed", "'passed' is no outcome"),
        ("checks", "reason", "because", "'because' is no reason"),
        ("checks", "direction", "sideways", "'sideways' is no direction"),
        ("checks", "arrays", "{", "'{' is not JSON"),
        ("checks", "arrays", "[" * 100_000, "[[[… is not JSON"),
        ("checks", "arrays", "[1]", "'[1]' is not a JSON object"),
        ("checks", "arrays", '{"x": 3}', """'{"x": 3}' holds a digest that is not text"""),
        ("checks", "message", None, "a value is missing, and each is text"),
        ("checks", "problem", 3, "3 is not text"),
        ("checks", "ratio", "large", "'large' is not a number"),
        ("checks", "ratio", True, "True is not a number"),
        ("problems", "settings", "3", "'3' is not a JSON object"),
        ("problems", "show", "yes", "'yes' is not true or false"),
        ("env", "value", 2.5, "2.5 is not text"),
        ("env", "value", b"\x1b[2J", r"b'\x1b[2J' is not text"),
        ("samples", "wall", None, "a value is missing, and each is a whole number"),
        ("samples", "wall", 1.5, "1.5"),
        ("samples", "role", "sentry", "'sentry' is no role"),
        ("training", "weight", 3.0, "3.0 is not a list of numbers"),
        ("training", "weight", ["one"], "['one'] is not a list of numbers"),
        ("arrays", "shape", "3", "'3' is not a list of whole numbers"),
        ("arrays", "data", "abc", "'abc' is not bytes"),
    ],
)
def test_a_table_that_was_tampered_with_is_told_by_its_name_and_column(
    tmp_path: Path, table: str, column: str, value: Any, words: str
) -> None:
    folder = sealed_run(tmp_path)
    assert store.load(folder).info["finished"]
    tampered(folder, table, column, value)
    with pytest.raises(DamagedError) as told:
        read_all(folder)
    said = str(told.value)
    assert str(folder) in said
    assert f"table {table}" in said
    assert column in said
    assert words in said
    assert "\n" not in said


@pytest.mark.parametrize(
    ("column", "value"), [("dtype", "object"), ("dtype", "no dtype"), ("shape", [7, 7]), ("data", b"abc")]
)
def test_a_kept_array_that_is_none_is_told_by_its_table_when_it_is_asked_for(
    tmp_path: Path, column: str, value: Any
) -> None:
    folder = sealed_run(tmp_path)
    tampered(folder, "arrays", column, value)
    run = store.load(folder)
    with pytest.raises(DamagedError, match=r"damaged: the table arrays, digest"):
        run.array(run.arrays["digest"].iloc[0])


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("frameworks", ...),
        ("frameworks", "numpy"),
        ("frameworks", [1]),
        ("run", 3),
        ("finished", "yes"),
        ("suites", ["chapter"]),
        ("suites", [{"name": "chapter"}]),
        ("modes", {"eager": 1}),
        ("filter", [None]),
        ("problems", True),
    ],
)
def test_a_wrong_type_in_run_json_is_told_by_its_key(tmp_path: Path, key: str, value: Any) -> None:
    folder = sealed_run(tmp_path)
    info = json.loads((folder / "run.json").read_text())
    info = {k: v for k, v in info.items() if k != key} if value is ... else {**info, key: value}
    (folder / "run.json").write_text(json.dumps(info))
    with pytest.raises(DamagedError, match=rf"damaged: run\.json: .*{key.removesuffix('s')}") as told:
        store.load(folder)
    assert str(folder) in str(told.value)


@pytest.mark.parametrize("line", ["[]", "3", '{"no": "kind"}', '{"kind": "arrays"}', '{"kind": ["env"]}', "{"])
def test_a_line_of_an_unfinished_run_that_is_no_record_is_told_by_its_file(tmp_path: Path, line: str) -> None:
    folder, segment = begun(tmp_path)
    segment.close()
    path = log.logs(folder)[0]
    head = path.read_bytes()
    chain = zlib.crc32(line.encode(), int(head[:8], 16))
    path.write_bytes(head + b"%08x %b\n" % (chain, line.encode()))
    with pytest.raises(DamagedError, match=path.name):
        read_all(folder)


def read_all(folder: Path) -> None:
    run = store.load(folder)
    for table in tables.TABLES:
        getattr(run, table)


@pytest.mark.parametrize("table", [name for name in tables.TABLES if name != "arrays"])
def test_a_table_as_another_tool_writes_it_is_read_in_the_types_that_are_documented(tmp_path: Path, table: str) -> None:
    import pandas as pd
    import pyarrow as pa
    from pyarrow import parquet

    folder = sealed_run(tmp_path)
    path = folder / f"{table}.parquet"
    before = getattr(store.load(folder), table)
    wide = {pa.string(): pa.large_string(), pa.float64(): pa.float32(), pa.int64(): pa.int32()}
    fields = [(field.name, wide.get(field.type, field.type)) for field in columns.arrow(table)]
    parquet.write_table(parquet.read_table(path).cast(pa.schema(fields)), path)
    after = getattr(store.load(folder), table)
    pd.testing.assert_frame_equal(before, after, check_exact=False)


def test_a_column_that_is_there_twice_and_text_that_is_none_are_told(tmp_path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    folder = sealed_run(tmp_path)
    path = folder / "env.parquet"
    table = parquet.read_table(path)
    parquet.write_table(table.append_column("key", table.column("key")), path)
    with pytest.raises(DamagedError, match="the table env has several columns key"):
        read_all(folder)
    binary = pa.array([b"\xff\xfe"], pa.binary()).cast(pa.string(), safe=False)
    parquet.write_table(table.set_column(3, "value", binary), path)
    with pytest.raises(DamagedError, match=r"the table env, column value: .*UTF"):
        read_all(folder)


def test_every_column_has_a_meaning_that_its_file_carries(tmp_path: Path) -> None:
    from pyarrow import parquet

    folder = sealed_run(tmp_path)
    for table in tables.TABLES:
        fields = {field.name: field for field in parquet.read_schema(folder / f"{table}.parquet")}
        for column in columns.of(table):
            assert column.meaning not in ("", JSON)
            assert fields[column.name].metadata[b"meaning"].decode() == column.meaning
            assert len(set(column.words)) == len(column.words)


def test_a_null_in_a_record_of_a_log_is_damage_before_and_after_the_seal(tmp_path: Path) -> None:
    folder, segment = begun(tmp_path)
    segment.write("checks", {**tables.check_record(check()), "message": None})
    segment.close()
    for read in (read_all, store.seal):
        with pytest.raises(DamagedError, match=r"table checks .*message"):
            read(folder)


def sealed_run(results: Path) -> Path:
    """A finished run with a row in every table."""
    folder, segment = begun(results)
    write(segment, check(ratio=0.5))
    subject = {"problem": "s/first", "part": "forward", "framework": "numpy", "mode": "eager", "device": "cpu"}
    timed: dict[str, Any] = {**subject, "role": "arm", "restart": 0, "calls": 2, "switches": 0, "faults": 0}
    segment.write("samples", {**timed, "phase": "steady", "round": 1, "place": 0, "wall": 9, "cpu": 9, "residual": 0})
    numbers = {"rounds": 1, "kept": 1, "seconds": 0.5, "fast": 0.25, "waiting": 1.0, "threads": 1.0, "residual": 0.0}
    segment.write("measurements", {**timed, **numbers, "complaint": ""})
    verdict = Comparison(**subject, role=Role.ARM, reference="numpy", speed=Speed.EQUIVALENT, margin=0.03)
    segment.write("verdicts", tables.row_record(verdict))
    segment.write("events", tables.row_record(Event("lost")))
    step = TrainingStep("s/first", "numpy", "eager", "cpu", 0, 1.5, 1.25, 0.5, [1.0], [1.0], [0.0])
    segment.write("training", tables.row_record(step))
    segment.keep(np.arange(3.0))
    segment.write("problems", problem_row("s/first"))
    segment.write("env", {"framework": "numpy", "section": "version", "key": "numpy", "value": "2.0"})
    segment.close()
    store.seal(folder)
    return folder


def test_run_ids_sort_by_time_and_differ() -> None:
    first, second = store.new_run_id(), store.new_run_id()
    assert first <= second
    assert first.endswith(f"-{os.getpid()}")
    assert "/" not in first
