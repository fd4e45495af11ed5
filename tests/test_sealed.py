"""A finished run shows every byte that changed since it was sealed, and an unfinished one every record."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from commandline import invoke
from crosscorrect import sealed, store
from crosscorrect.errors import CrosscorrectError, DamagedError
from crosscorrect_reports import write
from made_runs import check, finished

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with its report."""
    folder = finished(tmp_path_factory.mktemp("runs") / "run", [check(), check("s/second")])
    write(store.load(folder))
    return folder


def verified(folder: Path) -> str:
    return sealed.verify(folder, finished=store.load(folder).info["finished"])


def test_every_file_of_a_run_and_of_its_report_is_sealed(run: Path) -> None:
    names = {path.name for path in run.iterdir()} - {"seal.json"}
    assert {"run.json", "checks.parquet", "report.html", "junit.xml", "checks.csv"} <= names
    assert verified(run) == f"{run}: {len(names)} files, as they were sealed"


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_byte_that_changes_in_any_file_is_found(run: Path, tmp_path: Path, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(p.name for p in run.iterdir())))
    content = bytearray((run / name).read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    path = copy / name
    path.write_bytes(content)
    try:
        with pytest.raises(CrosscorrectError) as told:
            verified(copy)
    finally:
        shutil.rmtree(copy)
    assert path.name in str(told.value)


@pytest.mark.parametrize("how", ["gone", "longer", "a link"])
def test_a_file_that_is_not_what_was_sealed_is_named(run: Path, tmp_path: Path, how: str) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    path = copy / "training.parquet"
    content = path.read_bytes()
    if how == "gone":
        (copy / "junit.xml").unlink()
        path = copy / "junit.xml"
    elif how == "longer":
        path.write_bytes(content + b"\0")
    else:
        path.rename(tmp_path / "elsewhere")
        path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DamagedError, match=path.name):
        verified(copy)


def test_a_file_that_was_put_beside_a_sealed_run_is_named(run: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    (copy / "notes.txt").write_text("mine")
    assert verified(copy).endswith("; not of the run: notes.txt")


def test_a_seal_from_a_stranger_reads_nothing_outside_the_folder(run: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    (tmp_path / "secret").write_text("secret")
    (copy / "seal.json").write_bytes(sealed._text({"../secret": sealed._describe(tmp_path / "secret")}))
    with pytest.raises(DamagedError, match=r"seal\.json is not as it was written"):
        verified(copy)


def test_the_command_verify_has_an_exit_code_for_each_state(run: Path, tmp_path: Path) -> None:
    assert invoke("verify", run).exit_code == 0
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    (copy / "checks.csv").write_text("")
    spoilt = invoke("verify", copy)
    assert spoilt.exit_code == 65
    assert spoilt.output == f"crosscorrect: {copy / 'checks.csv'} is not as it was sealed\n"
    begun = store.create(tmp_path, "begun", {"frameworks": ["numpy"]})
    store.Segment(begun).close()
    unfinished = invoke("verify", begun)
    assert unfinished.exit_code == 3
    assert "not finished; 0 units in 1 logs, as they were written, and 0 cut short" in unfinished.output


def test_the_gate_refuses_a_run_that_was_changed_after_it_was_sealed(run: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    (copy / "env.parquet").write_bytes((copy / "env.parquet").read_bytes() + b"\0")
    assert invoke("gate", copy).exit_code == 65


def test_what_cannot_be_written_is_told_with_the_name_that_was_asked_for(tmp_path: Path) -> None:
    for path, error in ((tmp_path / "nowhere" / "x.md", FileNotFoundError), (tmp_path, IsADirectoryError)):
        with pytest.raises(error) as raised:
            sealed.replace(path, b"x")
        assert raised.value.filename == str(path)
        assert ".part" not in str(raised.value)
    assert list(tmp_path.parent.glob(".*.part")) == []
