"""A run that was cut short at any byte is finished by the same command: nothing lost, nothing twice, same verdicts."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from crosscorrect import api, lock, log, store
from crosscorrect.errors import DamagedError, LockedError, LogError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

VERDICTS = ["problem", "framework", "mode", "device", "direction", "outcome", "reason", "input_digest", "output_digest"]
Table = list[tuple[Any, ...]]


def table(run: store.Run) -> Table:
    return sorted(run.checks[VERDICTS].itertuples(index=False, name=None))


@pytest.fixture
def cut_short(
    request: pytest.FixtureRequest, small_suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Path, Table, Callable[[Path], store.Run]]:
    """A run folder as it is just before it is sealed, the verdicts of the finished run, and how to resume one."""
    request.getfixturevalue("unforked")
    kept = tmp_path / "kept"
    seal = store.seal

    def keep(folder: Path) -> None:
        if not kept.exists():
            shutil.copytree(folder, kept)
        seal(folder)

    monkeypatch.setattr(store, "seal", keep)
    whole = table(api.run([small_suite], ["numpy"], results=tmp_path / "results"))
    assert len(whole) == 6
    return kept, whole, lambda folder: api.run([small_suite], ["numpy"], resume=folder)


def log_of(folder: Path) -> Path:
    return log.logs(folder)[0]


def copies(kept: Path) -> Iterator[Path]:
    for number in range(10**6):
        copy = kept.parent / f"copy-{number}"
        if not copy.exists():
            shutil.copytree(kept, copy)
            yield copy


def test_a_log_that_ends_at_or_around_any_record_is_resumed_to_the_same_verdicts(
    cut_short: tuple[Path, Table, Callable[[Path], store.Run]],
) -> None:
    kept, whole, resume = cut_short
    content = log_of(kept).read_bytes()
    borders = [i + 1 for i, byte in enumerate(content) if byte == ord("\n")]
    assert len(borders) > 10
    cuts = sorted({max(0, min(len(content), b + d)) for b in [0, *borders] for d in (-1, 0, 1, 10)})
    for cut, copy in zip(cuts, copies(kept), strict=False):
        log_of(copy).write_bytes(content[:cut])
        resumed = resume(copy)
        assert table(resumed) == whole, cut
        assert len(resumed.problems) == 3
        shutil.rmtree(copy)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_log_that_ends_at_any_byte_is_resumed_to_the_same_verdicts(
    cut_short: tuple[Path, Table, Callable[[Path], store.Run]], data: st.DataObject
) -> None:
    kept, whole, resume = cut_short
    content = log_of(kept).read_bytes()
    cut = data.draw(st.integers(0, len(content)))
    copy = next(copies(kept))
    log_of(copy).write_bytes(content[:cut])
    assert table(resume(copy)) == whole
    shutil.rmtree(copy)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_bit_that_flips_in_a_log_is_told_or_changes_nothing(
    cut_short: tuple[Path, Table, Callable[[Path], store.Run]], data: st.DataObject
) -> None:
    kept, whole, resume = cut_short
    content = bytearray(log_of(kept).read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    copy = next(copies(kept))
    log_of(copy).write_bytes(content)
    name = log_of(kept).name
    try:
        resumed = table(resume(copy))
    except DamagedError as told:
        resumed = whole if name in str(told) else []
    assert resumed == whole
    shutil.rmtree(copy)


@pytest.mark.parametrize("how", ["without", "twice", "swapped"])
def test_a_record_that_was_taken_out_or_put_in_or_moved_is_told(
    cut_short: tuple[Path, Table, Callable[[Path], store.Run]], how: str
) -> None:
    kept, _, resume = cut_short
    lines = log_of(kept).read_bytes().splitlines(keepends=True)
    changed = {
        "without": [*lines[:4], *lines[5:]],
        "twice": [*lines[:5], *lines[4:]],
        "swapped": [*lines[:4], lines[5], lines[4], *lines[6:]],
    }[how]
    log_of(kept).write_bytes(b"".join(changed))
    with pytest.raises(DamagedError, match=r"line [56], is not as it was written"):
        resume(kept)


def test_a_run_that_ended_while_it_was_sealed_is_sealed_again(
    cut_short: tuple[Path, Table, Callable[[Path], store.Run]],
) -> None:
    kept, whole, resume = cut_short
    paths = {path: path.read_bytes() for path in log.logs(kept)}
    store.seal(kept)
    for path, content in paths.items():
        path.write_bytes(content)
    (kept / "seal.json").unlink()
    assert table(resume(kept)) == whole
    assert (kept / "seal.json").exists()
    assert log.logs(kept) == []


def test_a_finished_run_is_resumed_to_itself(
    cut_short: tuple[Path, Table, Callable[[Path], store.Run]],
) -> None:
    kept, whole, resume = cut_short
    assert table(resume(kept)) == whole
    before = {path: path.read_bytes() for path in kept.iterdir() if path.name != "lock"}
    assert table(resume(kept)) == whole
    assert {path: path.read_bytes() for path in kept.iterdir() if path.name != "lock"} == before


def test_what_has_a_verdict_is_not_asked_again(
    cut_short: tuple[Path, Table, Callable[[Path], store.Run]], monkeypatch: pytest.MonkeyPatch
) -> None:
    from crosscorrect.supply import Worker

    kept, whole, resume = cut_short
    asked = []
    ask = Worker.ask

    def counted(self: Any, call: dict[str, Any], *rest: Any) -> Any:
        asked.append(call["problem"])
        return ask(self, call, *rest)

    monkeypatch.setattr(Worker, "ask", counted)
    content = log_of(kept).read_bytes()
    second = content.index(b'"kind":"unit","problem":"small/second"')
    log_of(kept).write_bytes(content[: content.index(b"\n", second) + 1])
    assert table(resume(kept)) == whole
    assert asked == ["small/third"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"frameworks": ["numpy"], "modes": ("eager", "compiled")}, "its modes was"),
        ({"frameworks": ["numpy"], "seed": 3}, "its seed was 0, and here it is 3"),
        ({"frameworks": ["numpy"], "only": ["first"]}, "its problems was 3, and here it is 1"),
        ({"frameworks": ["numpy"], "arithmetic": "tf32"}, "its arithmetic was 'strict'"),
    ],
)
def test_another_request_is_not_mixed_into_a_run(
    cut_short: tuple[Path, Table, Callable[[Path], store.Run]], small_suite: Path, change: dict[str, Any], words: str
) -> None:
    kept, _, _ = cut_short
    with pytest.raises(UsageError, match=words):
        api.run([small_suite], resume=kept, **change)


def test_a_run_that_was_begun_before_adapters_were_kept_is_resumed(
    cut_short: tuple[Path, Table, Callable[[Path], store.Run]],
) -> None:
    kept, whole, resume = cut_short
    info = store.read_info(kept)
    assert info.pop("adapters") == {}
    store.write_info(kept, info)
    assert table(resume(kept)) == whole


def test_another_adapter_under_the_same_name_is_not_mixed_into_a_run(
    cut_short: tuple[Path, Table, Callable[[Path], store.Run]], small_suite: Path
) -> None:
    kept, _, _ = cut_short
    with pytest.raises(UsageError, match=r"its adapters was \{\}, and here it is \{'numpy': 'mutants:Unwritten'\}"):
        api.run([small_suite], ["numpy"], adapters={"numpy": "mutants:Unwritten"}, resume=kept)


def test_another_suite_under_the_same_name_is_not_mixed_into_a_run(
    cut_short: tuple[Path, Table, Callable[[Path], store.Run]], small_suite: Path
) -> None:
    kept, _, resume = cut_short
    small_suite.write_text(small_suite.read_text().replace("[1, -1]", "[1, -2]").replace("[-1, -2]", "[-3, -6]"))
    with pytest.raises(UsageError, match="its suites was"):
        resume(kept)


def test_another_version_of_the_framework_is_not_mixed_into_a_run(
    cut_short: tuple[Path, Table, Callable[[Path], store.Run]], monkeypatch: pytest.MonkeyPatch
) -> None:
    from crosscorrect_adapters import numpy as adapter

    kept, _, resume = cut_short
    content = log_of(kept).read_bytes()
    log_of(kept).write_bytes(content[: content.index(b'"kind":"start"') - 10])
    monkeypatch.setattr(adapter.np, "__version__", "99.0.0")
    with pytest.raises(UsageError, match=r"began with numpy .* and here it is 99\.0\.0"):
        resume(kept)


def test_a_run_folder_is_refused_to_a_second_controller(
    cut_short: tuple[Path, Table, Callable[[Path], store.Run]],
) -> None:
    kept, whole, resume = cut_short
    with lock.held(kept), pytest.raises(LockedError, match=rf"in use by process {os.getpid()} on "):
        resume(kept)
    assert table(resume(kept)) == whole


@pytest.mark.parametrize("sticky", [False, True])
@pytest.mark.parametrize("fault", ["no space", "short write", "sync"])
def test_a_log_that_cannot_be_written_ends_the_run_with_its_own_error_and_is_resumed(
    cut_short: tuple[Path, Table, Callable[[Path], store.Run]],
    small_suite: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fault: str,
    sticky: bool,
) -> None:
    _, whole, resume = cut_short
    folders = set((tmp_path / "results").iterdir())
    write = os.write
    for after in range(1, 12):
        seen = 0

        def failing(fd: int, data: bytes, after: int = after) -> int:
            nonlocal seen
            if b'"kind"' not in data[:30]:
                return write(fd, data)
            seen += 1
            if seen == after or (sticky and seen > after):
                if fault == "short write":
                    return write(fd, data[: len(data) // 2])
                raise OSError(28, "No space left on device")
            return write(fd, data)

        def unsynced(_: int) -> None:
            raise OSError(5, "Input/output error")

        with monkeypatch.context() as patch:
            if fault == "sync":
                patch.setattr(log.os, "fdatasync", unsynced)
            else:
                patch.setattr(log.os, "write", failing)
            with pytest.raises(LogError) as told:
                api.run([small_suite], ["numpy"], results=tmp_path / "results")
        assert told.value.exit_code == 74
        assert "log" in str(told.value)
        (folder,) = set((tmp_path / "results").iterdir()) - folders - {tmp_path / "results" / "latest"}
        assert table(resume(folder)) == whole
        folders.add(folder)


def test_a_run_whose_controller_is_killed_again_and_again_comes_to_the_same_verdicts(tmp_path: Path) -> None:
    """SIGKILL to the controller at random moments, then the same command with --resume, until it is done."""
    suite = tmp_path / "many.yaml"
    suite.write_text(
        "crosscorrect: 1\nsuite: many\ntitle: Many\ncases:\n"
        "  - {id: a, source: s, title: t, operation: conv2d, x: {fill: integers, shape: [1, 2, 6, 5]},\n"
        "     w: {fill: integers, shape: [2, 2, 3, 2]}, sweep: {x.seed: [" + ", ".join(map(str, range(400))) + "]}}\n",
        encoding="utf-8",
    )
    whole = table(api.run([suite], ["numpy"], results=tmp_path / "quiet"))
    assert len(whole) == 400
    command = [sys.executable, "-m", "crosscorrect", "run", str(suite), "-f", "numpy", "-q", "--no-report"]
    chance, kills = random.Random(4), 0  # noqa: S311  moments, not secrets
    for turn in range(60):
        more = ["--resume", str(tmp_path / "results" / "latest")] if (tmp_path / "results" / "latest").exists() else []
        controller = subprocess.Popen([*command, "--results", str(tmp_path / "results"), *more])
        try:
            assert controller.wait(chance.uniform(0.4, 1.2) if turn < 8 else None) == 0
            break
        except subprocess.TimeoutExpired:
            controller.kill()
            controller.wait()
            kills += 1
    finished = store.load(tmp_path / "results" / "latest")
    assert finished.info["finished"]
    assert table(finished) == whole
    assert kills >= 1


def test_a_disk_that_is_full_ends_the_run_with_74_and_the_remedy_and_the_run_goes_on_when_there_is_room(
    small_suite: Path, tmp_path: Path
) -> None:
    """The limit on the size of a file stands for the disk: the system refuses the same write in the same way."""
    results = tmp_path / "results"
    command = [sys.executable, "-m", "crosscorrect", "run", str(small_suite), "-f", "numpy", "-q", "--no-report"]
    full = subprocess.run(
        ["/bin/sh", "-c", 'ulimit -f 8; exec "$@"', "sh", *command, "--results", str(results)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert full.returncode == 74, full.stderr
    assert "make room and go on with 'crosscorrect run --resume'" in full.stderr
    assert "Traceback" not in full.stderr
    before = store.load(results / "latest")
    assert not before.info["finished"]
    resumed = subprocess.run([*command, "--resume", str(results / "latest")], capture_output=True, check=False)
    assert resumed.returncode == 0
    assert len(store.load(results / "latest").checks) == 6
