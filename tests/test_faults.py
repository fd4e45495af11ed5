"""Whatever a worker does, the run is complete and the problem that did it is marked."""

from __future__ import annotations

import os
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from crosscorrect import api, store
from crosscorrect.errors import CaseError, IncompleteError
from crosscorrect.model import Check
from crosscorrect.plan import Greeting
from crosscorrect.process import Worker, WorkerLost

if TYPE_CHECKING:
    from collections.abc import Callable

    from crosscorrect.registry import Framework

Outcomes = dict[str, set[str]]


def run(small_suite: Path, name: str, tmp_path: Path, **options: object) -> store.Run:
    return api.run([small_suite], [name], adapters={name: f"mutants:{name}"}, results=tmp_path / "results", **options)


def by_case(finished: store.Run) -> Outcomes:
    return {case: set(rows["outcome"]) for case, rows in finished.checks.groupby("case")}


@pytest.mark.parametrize(
    ("name", "outcome", "message"),
    [
        ("Raises", "error", "RuntimeError: could not create a descriptor"),
        ("LeavesQuietly", "crash", "left with exit code 0"),
        ("LeavesByExit", "error", "SystemExit"),
        ("Killed", "crash", "killed by SIGKILL"),
        ("Stopped", "timeout", "no answer within"),
        ("Hangs", "timeout", "no answer within"),
    ],
)
@pytest.mark.usefixtures("impatient")
def test_a_problem_that_fails_its_worker_is_marked_and_the_others_pass(
    small_suite: Path, tmp_path: Path, name: str, outcome: str, message: str
) -> None:
    finished = run(small_suite, name, tmp_path, limit=1.0)
    assert by_case(finished) == {"first": {outcome}, "second": {"pass"}, "third": {outcome}}
    assert len(finished.checks) == 6
    assert finished.checks[finished.checks["case"] == "first"]["message"].str.contains(message, regex=False).all()


def test_a_hang_leaves_the_python_stack_of_the_worker(small_suite: Path, tmp_path: Path) -> None:
    finished = run(small_suite, "Hangs", tmp_path, limit=1.0, only=("small/first",))
    stack = finished.checks["stderr"].iloc[0]
    assert "mutants.py" in stack
    assert "corr2d" in stack


def test_a_worker_killed_from_outside_in_mid_run_costs_one_problem_at_most(small_suite: Path, tmp_path: Path) -> None:
    """SIGKILL to every worker as it is greeted: the run goes on in a new one."""

    def kill(_: object, event: object) -> None:
        if isinstance(event, Greeting):
            for pid in children():
                os.kill(pid, signal.SIGKILL)

    finished = api.run([small_suite], ["numpy"], results=tmp_path / "results", on_event=kill)
    assert len(finished.checks) == 6
    assert set(finished.checks["outcome"]) <= {"pass", "crash"}
    assert finished.checks[finished.checks["outcome"] == "crash"]["problem"].nunique() <= 1


def children() -> list[int]:
    tasks = Path(f"/proc/{os.getpid()}/task").glob("*/children")
    return [int(pid) for task in tasks for pid in task.read_text().split()]


def test_a_worker_stopped_from_outside_is_a_timeout() -> None:
    from crosscorrect.registry import locate

    with Worker(locate("numpy")) as worker:
        os.kill(worker.pid, signal.SIGSTOP)
        with pytest.raises(WorkerLost) as lost:
            worker.ask(
                {"verb": "corr2d", "mode": "eager", "device": "cpu", "arithmetic": "strict", "settings": {}}, {}, 1.0
            )
    assert lost.value.kind == "timeout"
    assert not worker.alive


def test_a_stopped_worker_cannot_block_a_large_message_past_the_limit() -> None:
    import numpy as np

    from crosscorrect.registry import locate

    with Worker(locate("numpy")) as worker:
        os.kill(worker.pid, signal.SIGSTOP)
        begin = time.monotonic()
        with pytest.raises(WorkerLost):
            worker.ask({"verb": "corr2d"}, {"x": np.zeros((512, 512))}, 1.0)
        assert time.monotonic() - begin < 60


def test_what_a_framework_prints_disturbs_nothing_and_is_bounded(small_suite: Path, tmp_path: Path) -> None:
    finished = run(small_suite, "Noisy", tmp_path)
    assert set(finished.checks["outcome"]) == {"pass"}


def test_a_framework_that_cannot_be_imported_is_missing_and_the_others_run(small_suite: Path, tmp_path: Path) -> None:
    finished = api.run(
        [small_suite], ["BrokenInstall", "numpy"], adapters={"BrokenInstall": "mutants:BrokenInstall"}, results=tmp_path
    )
    outcomes = finished.checks.groupby("framework")["outcome"].agg(set).to_dict()
    assert outcomes == {"BrokenInstall": {"missing"}, "numpy": {"pass"}}
    assert finished.checks[finished.checks["framework"] == "BrokenInstall"]["message"].str.contains("libbroken").all()


def test_an_adapter_that_does_not_exist_is_told_in_one_sentence(mutant: Callable[[str], Framework]) -> None:
    with pytest.raises(IncompleteError, match="NoSuchClass"):
        Worker(replace(mutant("Raises"), target="mutants:NoSuchClass"))


def test_closing_a_run_early_ends_its_workers(small_suite: Path, tmp_path: Path) -> None:
    class Enough(Exception):  # noqa: N818  nothing is wrong: the listener has heard enough
        pass

    def stop(_: object, event: object) -> None:
        if isinstance(event, Check):
            raise Enough

    before = threading.active_count()
    with pytest.raises(Enough):
        api.run([small_suite], ["numpy"], results=tmp_path / "results", on_event=stop)
    assert children() == []
    assert threading.active_count() == before
    left = store.load(tmp_path / "results" / "latest")
    assert not left.info["finished"]
    assert len(left.checks) >= 1


def test_no_worker_outlives_a_killed_controller(tmp_path: Path, small_suite: Path) -> None:
    import subprocess
    import sys

    code = (
        "import sys; sys.path.insert(0, sys.argv[2])\n"
        "from crosscorrect import api\n"
        "def say(_, e):\n"
        "    if hasattr(e, 'hello'): print(e.hello['pid'], flush=True)\n"
        "api.run([sys.argv[1]], ['Hangs'], adapters={'Hangs': 'mutants:Hangs'}, results=sys.argv[3], on_event=say)\n"
    )
    command = [sys.executable, "-c", code, str(small_suite), str(Path(__file__).parent), str(tmp_path / "results")]
    controller = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert controller.stdout is not None
    with controller.stdout:
        pid = int(controller.stdout.readline())
        controller.kill()
        controller.wait()
    for _ in range(100):
        if not Path(f"/proc/{pid}").exists() or ") Z " in Path(f"/proc/{pid}/stat").read_text():
            return
        time.sleep(0.05)
    pytest.fail(f"worker {pid} outlived its controller")


def test_a_run_that_is_given_up_blames_no_problem_for_it(small_suite: Path, tmp_path: Path) -> None:
    class EnoughError(Exception):
        pass

    def stop(_: object, event: object) -> None:
        if isinstance(event, Greeting):
            time.sleep(1.0)  # the worker hangs in its first problem by now
            raise EnoughError

    with pytest.raises(EnoughError):
        api.run(
            [small_suite], ["Hangs"], adapters={"Hangs": "mutants:Hangs"}, results=tmp_path / "results", on_event=stop
        )
    assert store.load(tmp_path / "results" / "latest").checks.empty


def test_one_absent_device_leaves_the_others_to_run(small_suite: Path, tmp_path: Path) -> None:
    finished = api.run([small_suite], ["numpy"], devices=("cpu", "cuda:7"), results=tmp_path / "results")
    outcomes = finished.checks.groupby("device")["outcome"].agg(set).to_dict()
    assert outcomes == {"cpu": {"pass"}, "cuda:7": {"missing"}}


def test_a_dtype_that_an_adapter_does_not_offer_is_unsupported(small_suite: Path, tmp_path: Path) -> None:
    finished = run(small_suite, "OnlyDouble", tmp_path)
    assert set(finished.checks["outcome"]) == {"unsupported"}
    assert finished.checks["message"].str.contains("float32 is not among the dtypes").all()


def test_a_value_that_its_dtype_cannot_hold_is_told_before_anything_is_written(tmp_path: Path) -> None:
    suite = tmp_path / "late.yaml"
    suite.write_text(
        "crosscorrect: 1\nsuite: late\ntitle: Late\ncases:\n"
        "  - {id: a, source: s, title: t, operation: corr2d, x: [[1, 2]], w: [[1]]}\n"
        "  - {id: b, source: s, title: t, operation: corr2d, x: [[300, 2]], w: [[1]], dtype: int8}\n",
        encoding="utf-8",
    )
    with pytest.raises(CaseError, match=r"late\.yaml:6"):
        api.run([suite], ["numpy"], results=tmp_path / "results")
    assert not (tmp_path / "results").exists()
