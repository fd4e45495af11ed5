"""Whatever a framework does in one problem, that problem is marked for it, the others pass, and nothing is left."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from crosscorrect import api, guard

if TYPE_CHECKING:
    from crosscorrect import store

AROUND = 40
SUITE = """\
crosscorrect: 1
suite: small
cases:
  - {id: before, operation: conv2d, x: {fill: normal, shape: [1, 1, 3, 3]}, w: [[1, 2]],
     sweep: {x.seed: SEEDS}}
  - {id: bad, operation: corr2d, x: [[0, 1, 2], [3, 4, 5], [6, 7, 8]], w: [[0, 1], [2, 3]]}
  - {id: after, operation: conv2d, x: {fill: normal, shape: [1, 1, 3, 3]}, w: [[1, 2]],
     sweep: {x.seed: SEEDS}}
""".replace("SEEDS", str(list(range(AROUND))))
"""The problem in the middle is asked in one go with others of those around it."""


def run(name: str, tmp_path: Path, **options: object) -> store.Run:
    suite = tmp_path / "small.yaml"
    suite.write_text(SUITE, encoding="utf-8")
    adapters = {name: f"misbehaving:{name}"}
    return api.run([suite], [name], adapters=adapters, results=tmp_path / "results", **options)  # type: ignore[arg-type]


def bad(finished: store.Run) -> tuple[str, str]:
    """The outcome and message of the problem in the middle; the others pass, and each is there once."""
    rows = finished.checks.set_index("case")
    assert rows["problem"].is_unique
    assert rows.index.value_counts().to_dict() == {"before": AROUND, "bad": 1, "after": AROUND}
    assert set(rows.loc[["before", "after"], "outcome"]) == {"pass"}
    return rows.loc["bad", "outcome"], rows.loc["bad", "message"]


@pytest.mark.parametrize("name", ["Forks", "ClosesStreams", "Floods", "Masks", "Moves", "Threads", "Descriptors"])
def test_what_a_call_does_to_its_process_changes_no_verdict(name: str, tmp_path: Path) -> None:
    assert bad(run(name, tmp_path)) == ("pass", "")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("Moves", "its working directory changed"),
        ("Threads", "its threads grew from "),
        ("Descriptors", "its descriptors grew from "),
    ],
)
def test_a_worker_that_is_no_longer_what_it_was_is_recycled_with_the_reason(
    name: str, reason: str, tmp_path: Path
) -> None:
    events = run(name, tmp_path).events
    assert list(events["what"]) == ["recycled"]
    assert events["message"].iloc[0].startswith(reason)


@pytest.mark.parametrize(("name", "seconds"), [("LeavesADaemon", "4242"), ("LeavesAChild", "4243")])
def test_processes_that_a_worker_left_behind_are_ended_and_told(name: str, seconds: str, tmp_path: Path) -> None:
    finished = run(name, tmp_path)
    assert bad(finished) == ("pass", "")
    assert sleeping(seconds) == []
    if name == "LeavesADaemon":  # the other went with its group
        strays = finished.events[finished.events["what"] == "strays"]
        assert list(strays["message"]) == ["it left behind: sleep"]


def sleeping(seconds: str) -> list[int]:
    """The processes that still sleep so many seconds, which only one test lets them."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.cmdline()[1:] == [seconds] and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
        except psutil.Error:
            continue
    return found


@pytest.mark.parametrize(
    ("name", "stack"),
    [("HangsInC", "leave"), ("HangsMasked", "leave"), ("Deadlocks", "leave")],
)
def test_a_hang_is_a_timeout_with_the_python_stack_and_the_native_one_or_the_reason_why_not(
    name: str, stack: str, tmp_path: Path
) -> None:
    finished = run(name, tmp_path, limit=1.5)
    assert bad(finished) == ("timeout", "no answer within 1.5 s; the worker was killed")
    printed = finished.checks.set_index("case").loc["bad", "stderr"]
    assert "misbehaving.py" in printed
    assert stack in printed
    assert "--- stacks, native frames included (py-spy) ---" in printed or "(no native stacks: " in printed


@pytest.mark.parametrize("name", ["SendsHalf", "ClosesChannel"])
def test_a_worker_that_stops_in_the_middle_of_an_answer_is_ended(name: str, tmp_path: Path) -> None:
    outcome, message = bad(run(name, tmp_path, limit=1.5))
    assert (outcome, message.partition(";")[0]) in [
        ("timeout", "no answer within 1.5 s"),
        ("crash", "the worker closed its channel and went on running"),
    ]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("SendsGarbage", "the worker broke the protocol: not a frame"),
        ("SendsHuge", "the worker broke the protocol: not a frame"),
        ("Overflows", "the worker was killed by SIGSEGV"),
    ],
)
def test_a_worker_that_dies_or_lies_is_a_crash_with_the_reason(name: str, words: str, tmp_path: Path) -> None:
    outcome, message = bad(run(name, tmp_path))
    assert outcome == "crash"
    assert message.startswith(words)


def test_an_answer_to_no_question_is_not_taken_for_that_of_the_next(tmp_path: Path) -> None:
    finished = run("AnswersTwice", tmp_path)
    outcome, _ = bad(finished)
    assert outcome in ("crash", "error")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("RaisesUnshowable", "misbehaving.BadString"),
        ("RaisesLong", "ValueError"),
        ("HangsAtExit", "SystemExit"),
        ("RaisesKeyboardInterrupt", "KeyboardInterrupt"),
        ("RaisesBase", "BaseException: nobody catches this"),
    ],
)
def test_whatever_is_raised_is_an_error_with_its_type_and_a_message_of_bounded_length(
    name: str, words: str, tmp_path: Path
) -> None:
    finished = run(name, tmp_path)
    outcome, message = bad(finished)
    assert outcome == "error"
    assert message.startswith(words)
    assert len(message) < 10_000
    assert finished.checks["stderr"].str.len().max() < 40_000


def test_a_worker_may_take_no_more_memory_than_it_was_given_and_is_then_replaced(tmp_path: Path) -> None:
    finished = run("Greedy", tmp_path, memory=3 * 2**30)
    outcome, message = bad(finished)
    assert outcome == "error"
    assert "allocate" in message
    assert "an allocation failed" in set(finished.events["message"])


def test_the_guardian_ends_what_carries_the_mark_of_a_controller_that_was_killed(tmp_path: Path) -> None:
    """A controller is killed while its worker hangs and has left a daemon: both are gone, and the worker's folder."""
    import subprocess
    import sys
    import time

    suite = tmp_path / "small.yaml"
    suite.write_text(SUITE, encoding="utf-8")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    arguments = ["run", str(suite), "-f", "LeavesAndHangs", "--adapter", "LeavesAndHangs=misbehaving:LeavesAndHangs"]
    command = [sys.executable, "-m", "crosscorrect", *arguments, "--results", str(tmp_path / "results")]
    environment = {**os.environ, "TMPDIR": str(scratch)}
    with subprocess.Popen(command, cwd=Path(__file__).parent, env=environment, stderr=subprocess.PIPE) as controller:
        while not (scratch / "hangs").exists():
            assert controller.poll() is None
            time.sleep(0.05)
        workers = psutil.Process(controller.pid).children(recursive=True)
        assert workers
        controller.kill()
    (scratch / "hangs").unlink()
    for _ in range(200):
        if not sleeping("4244") and not list(scratch.iterdir()) and not any(p.is_running() for p in workers):
            return
        time.sleep(0.05)
    pytest.fail(f"left: {sleeping('4244')}, {list(scratch.iterdir())}")


def test_a_mark_is_new_for_each_worker_and_found_in_whatever_it_starts() -> None:
    import subprocess

    first, second = guard.mark(), guard.mark()
    assert first != second
    with subprocess.Popen(["/bin/sleep", "60"], env={**os.environ, **first}) as started:
        assert guard.sweep(second) == []
        assert guard.sweep(first) == ["sleep"]
        assert started.wait() == -9
