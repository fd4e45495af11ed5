"""What stops a run leaves one that can be resumed: the first signal politely, the second at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from crosscorrect import ledger, log, store
from crosscorrect.cli.signals import Ears, Stopped

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent


@pytest.fixture
def begun(small_suite: Path, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A run through an adapter that hangs, in its first problem."""
    arguments = ["run", str(small_suite), "-f", "Hangs", "--adapter", "Hangs=mutants:Hangs"]
    command = [sys.executable, "-m", "crosscorrect", *arguments, "--results", str(tmp_path / "results")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=HERE, start_new_session=True) as run:
        assert run.stderr is not None
        while not run.stderr.readline().startswith("Hangs: started"):
            assert run.poll() is None
        yield run
        if run.poll() is None:
            run.kill()


def test_a_second_signal_ends_what_cannot_print_because_nobody_reads() -> None:
    def prints(ears: Ears) -> None:
        with ears.closed():
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGINT)
            pytest.fail("not reached")

    with Ears("stopping") as ears, pytest.raises(Stopped) as stopped:
        prints(ears)
    assert stopped.value.code == 130


@pytest.fixture
def slow_suite(tmp_path: Path) -> Path:
    """Eight problems that ``Slow`` takes 0.7 s for, each."""
    suite = tmp_path / "slow.yaml"
    cases = "".join(
        f"  - {{id: c{i}, source: s, title: t, operation: corr2d, x: [[1, 2]], w: [[{i}]]}}\n" for i in range(1, 9)
    )
    suite.write_text(f"crosscorrect: 1\nsuite: slow\ntitle: Slow\ncases:\n{cases}", encoding="utf-8")
    return suite


def family(run: subprocess.Popen[str]) -> list[psutil.Process]:
    return psutil.Process(run.pid).children(recursive=True)


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)], ids=str
)
def test_a_second_signal_ends_a_run_at_once_with_its_code_and_leaves_no_process(
    begun: subprocess.Popen[str], number: int, code: int
) -> None:
    assert begun.stderr is not None
    workers = family(begun)
    assert workers
    begun.send_signal(number)
    assert begun.stderr.readline() == "\n"
    assert "finished first" in begun.stderr.readline()
    begun.send_signal(number)
    rest = begun.stderr.read()
    assert begun.wait() == code
    assert "the same command with --resume goes on" in rest
    assert "Traceback" not in rest
    _, alive = psutil.wait_procs(workers, timeout=10)
    assert alive == []


def test_a_signal_waits_while_something_is_being_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """It came once while the line that the test had waited for was still on its way out, and that was printed twice."""
    seen = []

    def prints(ears: Ears) -> None:
        with ears.closed():
            signal.raise_signal(signal.SIGTERM)
            seen.append(capsys.readouterr().err)
        seen.append("not reached")

    with Ears("stopping") as ears, pytest.raises(Stopped) as stopped:
        prints(ears)
    assert seen == [""]
    assert stopped.value.code == 143
    assert capsys.readouterr().err == "\nstopping\n"


def test_the_first_signal_lets_the_problem_at_hand_finish_and_begins_no_other(tmp_path: Path, slow_suite: Path) -> None:
    arguments = ["run", str(slow_suite), "-f", "Slow", "--adapter", "Slow=unsteady:Slow", "--no-report"]
    command = [sys.executable, "-m", "crosscorrect", *arguments, "--results", str(tmp_path / "results")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=HERE, start_new_session=True) as run:
        assert run.stderr is not None
        while not run.stderr.readline().startswith("Slow: first verdict"):
            assert run.poll() is None
        run.send_signal(signal.SIGTERM)
        assert run.wait() == 143
        run.stderr.read()
    folder = (tmp_path / "results" / "latest").resolve()
    seen = ledger.read(log.logs(folder))
    assert 1 <= len(seen.done) < 8
    assert seen.begun == {}  # the one at hand has its verdict
    done = subprocess.run([*command, "--resume", str(folder)], cwd=HERE, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    finished = store.load(folder)
    assert finished.info["finished"]
    assert sorted(finished.checks["case"]) == [f"c{i}" for i in range(1, 9)]
    assert list(finished.checks["outcome"].unique()) == ["pass"]


def test_a_run_that_is_stopped_and_continued_blames_nobody(tmp_path: Path, slow_suite: Path) -> None:
    """SIGSTOP for longer than the limit of a call, then SIGCONT, as of a machine that was asleep."""
    named = ["-f", "Slow", "--adapter", "Slow=unsteady:Slow"]
    arguments = ["run", str(slow_suite), *named, "--no-report", "--limit", "4"]
    command = [sys.executable, "-m", "crosscorrect", *arguments, "--results", str(tmp_path / "results")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=HERE, start_new_session=True) as run:
        assert run.stderr is not None
        while not run.stderr.readline().startswith("Slow: first verdict"):
            assert run.poll() is None
        stopped = [psutil.Process(run.pid), *family(run)]
        for process in stopped:
            process.suspend()
        time.sleep(6)
        for process in stopped:
            process.resume()
        assert run.wait() == 0
        run.stderr.read()
    assert set(store.load(tmp_path / "results" / "latest").checks["outcome"]) == {"pass"}


def test_a_run_folder_in_use_is_refused_with_its_own_exit_code(begun: subprocess.Popen[str], tmp_path: Path) -> None:
    folder = (tmp_path / "results" / "latest").resolve()
    second = subprocess.run(
        [*begun.args, "--resume", str(folder)], cwd=HERE, capture_output=True, text=True, check=False
    )  # type: ignore[misc, list-item]
    assert second.returncode == 75
    assert second.stderr == (
        f"crosscorrect: the run folder {folder} is in use by process {begun.pid} on {os.uname().nodename}; "
        "wait for it, or stop it\n"
    )


def test_a_stop_that_a_signal_interrupts_can_be_set_again(tmp_path: Path) -> None:
    """Once in some thousand runs the second signal came while the first one's stop was being set, and nothing ended."""
    script = tmp_path / "interrupted.py"
    script.write_text(
        "import signal, time\n"
        "from crosscorrect.team import Stop\n"
        "def strike(*_):\n"
        "    raise KeyboardInterrupt\n"
        "signal.signal(signal.SIGALRM, strike)\n"
        "stops, until = 0, time.monotonic() + 1\n"
        "while time.monotonic() < until:\n"
        "    stop = Stop()\n"
        "    try:\n"
        "        signal.setitimer(signal.ITIMER_REAL, 1e-5)\n"
        "        while True: stop.set()\n"
        "    except KeyboardInterrupt:\n"
        "        stops += 1\n"
        "    stop.set()\n"
        "print(stops)\n",
        encoding="utf-8",
    )
    said = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=60, check=False)
    assert (said.returncode, said.stderr) == (0, "")
    assert int(said.stdout) > 0
