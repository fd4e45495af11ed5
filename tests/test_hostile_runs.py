"""A run folder from a stranger is data: it is read or refused, and neither hangs, fills memory nor leads elsewhere."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from commandline import invoke
from crosscorrect import log, store, tables
from crosscorrect.errors import CrosscorrectError, DamagedError, UsageError
from made_runs import check, finished

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return finished(tmp_path / "run", [check(), check("s/second")])


def test_what_is_no_file_is_not_waited_for(run: Path) -> None:
    (run / "env.parquet").unlink()
    os.mkfifo(run / "env.parquet")
    with pytest.raises(DamagedError, match=r"env\.parquet is no file"):
        store.load(run)
    (run / "run.json").unlink()
    os.mkfifo(run / "run.json")
    with pytest.raises(UsageError, match=r"run\.json is no file"):
        store.load(run)


def test_a_log_that_is_a_pipe_or_leads_elsewhere_is_none(tmp_path: Path) -> None:
    folder = store.create(tmp_path, "run", {"frameworks": ["numpy"]})
    os.mkfifo(folder / "log-0001.jsonl")
    (tmp_path / "elsewhere").write_text("not mine\n")
    (folder / "log-0002.jsonl").symlink_to(tmp_path / "elsewhere")
    assert log.logs(folder) == []
    assert store.load(folder).checks.empty


def test_a_table_that_claims_more_than_any_run_holds_is_refused_unread(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crosscorrect.intact.MOST_ROWS", 1)
    with pytest.raises(DamagedError, match=r"checks\.parquet says that it is of 2 rows"):
        store.load(run)


def test_a_record_longer_than_any_is_refused_without_being_read_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "LONGEST_LINE", 1000)
    folder = store.create(tmp_path, "run", {"frameworks": ["numpy"]})
    segment = store.Segment(folder)
    segment.write("env", {"framework": "f", "section": "note", "key": "k", "value": "x" * 5000})
    segment.write("env", {"framework": "f", "section": "note", "key": "l", "value": "y"})
    segment.close()
    assert store.load(folder).env.empty  # what follows a line without an end was never written by crosscorrect


@pytest.mark.parametrize("content", ["[" * 10**6, '{"finished": true, "schema": 3}', "null", '{"a": ' * 10**5])
def test_a_hostile_run_json_is_one_sentence(run: Path, content: str) -> None:
    (run / "run.json").write_text(content)
    for command in ("report", "gate", "verify", "merge"):
        done = invoke(command, run)
        assert done.exit_code in (2, 3, 65)
        assert done.stderr.count("\n") == 1
        assert done.stderr.startswith("crosscorrect: ")


@pytest.mark.parametrize("where", ["checks", "problems", "env", "events"])
def test_a_row_of_a_log_that_is_none_of_ours_is_damage(tmp_path: Path, where: str) -> None:
    folder = store.create(tmp_path, "run", {"frameworks": ["numpy"]})
    segment = store.Segment(folder)
    segment.write(where, {"problem": ["a", {"b": "c"}], "framework": 3})
    segment.close()
    with pytest.raises(DamagedError):
        getattr(store.load(folder), where)


def test_a_unit_with_hostile_arrays_is_damage_or_no_array(tmp_path: Path) -> None:
    for data, shape in (("!!!!", [1]), ("AAAA", [2**62, 2**62]), ("AAAA", [-1])):
        folder = store.create(tmp_path, f"run-{len(list(tmp_path.iterdir()))}", {"frameworks": ["numpy"]}, latest=False)
        segment = store.Segment(folder)
        segment.write("arrays", {"digest": "d", "dtype": "float64", "shape": shape, "data": data})
        segment.close()
        with pytest.raises(CrosscorrectError):
            store.load(folder).array("d")


def test_no_path_of_a_run_is_opened_that_the_folder_names(run: Path) -> None:
    info = json.loads((run / "run.json").read_text())
    suites = [{"name": "s", "title": "t", "file": "../../../../etc/passwd", "digest": "d"}]
    (run / "run.json").write_text(json.dumps({**info, "suites": suites}))
    assert store.load(run).info["suites"] == suites  # data, and nothing more
    assert set(tables.TABLES) == {path.stem for path in run.glob("*.parquet")}
