"""A run on a Dask cluster comes to the verdicts of a local one, whatever becomes of its nodes and its scheduler."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from crosscorrect import api, store
from crosscorrect.errors import IncompleteError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytest.importorskip("distributed", reason="Dask is not installed here: pip install 'crosscorrect[dask]'")

HERE = Path(__file__).parent
VERDICTS = ["problem", "framework", "mode", "device", "direction", "outcome", "reason", "input_digest", "output_digest"]


def table(run: store.Run) -> list[tuple[Any, ...]]:
    return sorted(run.checks[VERDICTS].itertuples(index=False, name=None))


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A suite whose problems take an adapter that is slow 0.1 s each."""
    path = tmp_path_factory.mktemp("suite") / "many.yaml"
    path.write_text(
        "crosscorrect: 1\nsuite: many\ntitle: Many\ncases:\n"
        "  - {id: a, source: s, title: t, operation: corr2d, x: {fill: integers, shape: [4, 5]},\n"
        "     w: {fill: integers, shape: [2, 2]}, sweep: {x.seed: [" + ", ".join(map(str, range(120))) + "]}}\n",
        encoding="utf-8",
    )
    return path


@pytest.fixture(scope="module")
def quiet(many: Path, tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Any, ...]]:
    """The verdicts of a local run."""
    run = api.run([many], ["Ticking"], adapters={"Ticking": "unsteady:Ticking"}, results=tmp_path_factory.mktemp("q"))
    return table(run)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Nodes:
    """A scheduler and nodes, each of them a process of its own (and its nanny)."""

    def __init__(self, folder: Path) -> None:
        self.address = f"tcp://127.0.0.1:{free_port()}"
        self._folder = folder
        self.scheduler = self.start_scheduler()
        self.nodes: list[subprocess.Popen[bytes]] = []

    def start_scheduler(self) -> subprocess.Popen[bytes]:
        port = self.address.rpartition(":")[2]
        return self._dask("scheduler", "--host", "127.0.0.1", "--port", port, "--no-dashboard")

    def add(self, resources: str) -> None:
        more = ["--nthreads", "1", "--no-dashboard", "--resources", resources, "--death-timeout", "60"]
        self.nodes.append(self._dask("worker", self.address, *more, "--local-directory", str(self._folder)))

    def _dask(self, *arguments: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "dask", *arguments]
        log = (self._folder / f"{arguments[0]}.log").open("ab")
        with log:
            return subprocess.Popen(command, cwd=HERE, stdout=log, stderr=log, start_new_session=True)

    def agents(self) -> list[psutil.Process]:
        return [p for node in self.nodes for p in below(node.pid) if "crosscorrect.agent" in line(p)]

    def places(self) -> list[psutil.Process]:
        """The processes that carry out tasks: each the child of a nanny."""
        return [p for node in self.nodes for p in below(node.pid) if "spawn_main" in line(p)]

    def close(self) -> None:
        for process in (*self.nodes, self.scheduler):
            for child in below(process.pid):
                child.kill()
            process.kill()
            process.wait()


def below(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def line(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return ""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    nodes = Nodes(tmp_path_factory.mktemp("dask"))
    nodes.add("Ticking=1")
    nodes.add("Ticking=1")
    yield nodes
    nodes.close()


def command(cluster: Nodes, many: Path, results: Path, *more: str) -> list[str]:
    arguments = ["run", str(many), "-f", "Ticking", "--adapter", "Ticking=unsteady:Ticking", "--dask", cluster.address]
    short = (
        "import crosscorrect.cluster as k, crosscorrect.crew as c, sys; c.MOST = 10; k.CONNECT_SECONDS = 6; "
        "from crosscorrect.cli import main; main(sys.argv[1:])"
    )
    return [sys.executable, "-c", short, *arguments, "--no-report", "-q", "--results", str(results), *more]


def while_it_runs(run: subprocess.Popen[str], what: Callable[[int], None]) -> None:
    """Do something to the cluster every second while a run goes on."""

    def harass() -> None:
        turn = 0
        while run.poll() is None:
            time.sleep(1.0)
            turn += 1
            what(turn)

    thread = threading.Thread(target=harass)
    thread.start()
    _, said = run.communicate(timeout=240)
    thread.join()
    assert run.returncode == 0, said


def test_a_run_on_a_cluster_whose_agents_and_nodes_are_killed_has_the_verdicts_of_a_local_run(
    cluster: Nodes, many: Path, quiet: list[tuple[Any, ...]], tmp_path: Path
) -> None:
    killed = []

    def kill(_: int) -> None:
        found = [cluster.agents, cluster.places][len(killed)]() if len(killed) < 2 else []
        if found:
            killed.append(line(found[0]))
            found[0].kill()

    run = subprocess.Popen(
        command(cluster, many, tmp_path), cwd=HERE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    while_it_runs(run, kill)
    assert ["crosscorrect.agent" in killed[0], "spawn_main" in killed[1]] == [True, True]
    finished = store.load(tmp_path / "latest")
    assert finished.info["finished"]
    assert table(finished) == quiet


def test_a_run_whose_scheduler_is_lost_ends_with_the_remedy_and_is_resumed_locally(
    many: Path, quiet: list[tuple[Any, ...]], tmp_path: Path
) -> None:
    folder = tmp_path / "dask"
    folder.mkdir()
    nodes = Nodes(folder)
    try:
        nodes.add("Ticking=1")
        run = subprocess.Popen(
            command(nodes, many, tmp_path / "results"),
            cwd=HERE,
            stderr=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        while not list((tmp_path / "results").glob("*/log-*.jsonl")):
            assert run.poll() is None
            time.sleep(0.2)
        nodes.scheduler.kill()
        _, said = run.communicate(timeout=240)
    finally:
        nodes.close()
    assert run.returncode == 3, said
    assert "the same command with --resume goes on" in said
    assert "Traceback" not in said.split("crosscorrect:")[-1]
    resumed = api.run(
        [many], ["Ticking"], adapters={"Ticking": "unsteady:Ticking"}, resume=tmp_path / "results" / "latest"
    )
    assert table(resumed) == quiet


def test_a_framework_that_no_node_offers_is_told_with_the_command_that_offers_it(
    cluster: Nodes, many: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crosscorrect.cluster.NODES_SECONDS", 0)
    said = re.escape(f'offers numpy; start one with dask worker {cluster.address} --resources "numpy=1"')
    with pytest.raises(IncompleteError, match=said):
        api.run([many], ["numpy"], results=tmp_path, cluster=cluster.address)
