"""A plan at work on a Dask cluster: a task is a lease, carried out by an agent on its node; the result is the log.

A node offers a framework as a resource of that name and finds its interpreter as any run there would. A lease is done
only when its log is on the disk of the run folder: neither a worker nor the scheduler holds what cannot be lost.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import queue
import socket
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crosscorrect import log, sealed, tables
from crosscorrect.crew import Leases
from crosscorrect.errors import IncompleteError, UsageError
from crosscorrect.hired import Hired, News, check_of, events_of
from crosscorrect.lease import Brief, Lease

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crosscorrect.ledger import Ledger
    from crosscorrect.model import Check
    from crosscorrect.plan import Greeting
    from crosscorrect.selection import Selection

AHEAD = 2
"""How many leases are on the cluster for each place of a framework: none stands still while the next is cut."""
LOSSES = 5
"""How often the node that has a lease may be lost before the run ends."""
NODES_SECONDS = 30
"""How long the first node that offers a framework may take to come."""
CONNECT_SECONDS, LOOK_SECONDS = 30, 1
"""How long a scheduler may take to answer, first and after it was lost; how often that is looked at."""


class Cluster:
    """A run at work on the cluster of a scheduler; iterating gives its events, as an ``Execution`` does.

    Raises UsageError without ``distributed``, IncompleteError where the scheduler does not answer or no node offers a
    framework.
    """

    def __init__(self, address: str, brief: Brief, selection: Selection, folder: Path, done: Ledger) -> None:
        self._address, self._brief, self._folder = address, brief, folder
        self._leases = Leases(brief, selection, done, log.next_number(folder))
        self._client = _connect(address)
        try:
            self._places = _places(self._client, address, brief.frameworks)
        except BaseException:
            self._client.close()
            raise
        self._finished: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._news = News()
        self._losses: dict[tuple[int, int, str], int] = {}

    def __iter__(self) -> Iterator[Check | Greeting]:
        """Every greeting (the first of each framework) and check. Raises what went wrong on a node."""
        out: dict[Any, Lease] = {}
        while self._fill(out):
            try:
                future = self._finished.get(timeout=LOOK_SECONDS)
            except queue.Empty:
                if self._client.status == "closed":  # it tried to reach the scheduler again for CONNECT_SECONDS
                    raise self._gone("the client is closed") from None
                continue
            yield from self._take(out.pop(future), future)
            future.release()

    def drain(self, seconds: float) -> None:
        """Nothing waits: what a node has not sent is asked again when the run is resumed."""

    def close(self) -> None:
        """Take back what was not carried out, and leave the cluster as it was."""
        with contextlib.suppress(Exception):  # the scheduler may be gone, which is no reason not to end
            self._client.close(timeout=5)

    def _fill(self, out: dict[Any, Lease]) -> bool:
        """Keep so many leases on the cluster that no place stands still; whether there are any."""
        while len(out) < AHEAD * sum(self._places.values()):
            lease = self._leases.take()
            if lease is None:
                break
            where = {lease.framework: 1}
            try:
                future = self._client.submit(carry_out, self._brief.text(), lease.text(), resources=where, pure=False)
            except Exception as error:  # noqa: BLE001  Dask has several, of no common kind, for a scheduler that is gone
                raise self._gone(error) from None
            out[future] = lease
            future.add_done_callback(self._finished.put)
        return bool(out)

    def _gone(self, why: object) -> IncompleteError:
        return IncompleteError(
            f"the Dask scheduler {self._address} is gone ({why}); the same command with --resume goes on"
        )

    def _take(self, lease: Lease, future: Any) -> Iterator[Check | Greeting]:
        result = future.result() if future.status == "finished" else None
        for said in map(json.loads, result["said"] if result else ()):
            if result and said["what"] == "failed":
                said["message"] = f"node {result['node']}: {said['message']}"
            yield from filter(self._news, events_of(said))
        if result is None or hashlib.sha256(result["log"]).hexdigest() != result["sha256"]:
            self._lost(lease, future)
            return
        path = self._folder / log.name(lease.number)
        sealed.replace(path, result["log"])
        for table, row in tables.rows([path]):
            if table == "checks":
                yield check_of(row)

    def _lost(self, lease: Lease, future: Any) -> None:
        """A lease whose node was lost, or whose log did not arrive whole, is carried out again."""
        key = (lease.start, lease.stop, lease.framework)
        self._losses[key] = self._losses.get(key, 0) + 1
        if self._losses[key] == LOSSES:
            raise IncompleteError(
                f"problems {lease.start} to {lease.stop} of {lease.framework} were lost with their node {LOSSES} times "
                f"({future.exception() or 'a log arrived damaged'}); the same command with --resume goes on"
            )
        self._leases.give_back(lease, self._folder / log.name(lease.number))


def _connect(address: str) -> Any:
    try:
        from distributed import Client  # noqa: PLC0415  an optional dependency
    except ImportError:
        raise UsageError("a run on a cluster needs Dask: pip install 'crosscorrect[dask]'") from None
    try:
        return Client(address, timeout=CONNECT_SECONDS)
    except (OSError, TimeoutError, ValueError) as error:
        raise IncompleteError(f"the Dask scheduler {address} does not answer: {error}") from None


def _places(client: Any, address: str, frameworks: tuple[str, ...]) -> dict[str, int]:
    """How many leases of each framework the nodes can carry out at a time."""
    until = time.monotonic() + NODES_SECONDS
    while True:
        nodes = client.scheduler_info(n_workers=-1)["workers"].values()
        places = {name: int(sum(node["resources"].get(name, 0) for node in nodes)) for name in frameworks}
        absent = [name for name, count in places.items() if not count]
        if not absent or time.monotonic() > until:
            break
        time.sleep(0.2)
    if absent:
        raise IncompleteError(
            f"no node of the cluster {address} offers {', '.join(absent)}; start one with "
            f'dask worker {address} --resources "{absent[0]}=1"'
        )
    return places


class _Idle:
    """The idle agents of a node's process: the next lease of a run and framework goes on with the worker of one.

    They end with this process: their input then does.
    """

    def __init__(self) -> None:
        self._agents: dict[tuple[str, str], list[Hired]] = {}
        self._lock = threading.Lock()

    def take(self, brief: str, framework: str) -> Hired:
        """An agent that knows the brief, a new one if none is idle; those of other runs end."""
        with self._lock:
            strangers = [agent for key in self._agents if key[0] != brief for agent in self._agents[key]]
            self._agents = {key: agents for key, agents in self._agents.items() if key[0] == brief}
            idle = self._agents.get((brief, framework), [])
            agent = idle.pop() if idle else None
        for stranger in strangers:
            stranger.end()
        if agent is not None and agent.alive:
            return agent
        return Hired(Path(tempfile.mkdtemp(prefix="crosscorrect-")), Brief.read(brief))

    def give(self, brief: str, framework: str, agent: Hired) -> None:
        """Keep an agent for the next lease."""
        with self._lock:
            self._agents.setdefault((brief, framework), []).append(agent)


_IDLE = _Idle()


def carry_out(brief: str, text: str) -> dict[str, Any]:
    """The task: carry out a lease on this node. Gives the log, its digest, and what the agent said beside the checks.

    Raises RuntimeError where the agent died; whoever sent the lease sends it again.
    """
    lease = Lease.read(text)
    agent = _IDLE.take(brief, lease.framework)
    said, last = [], ""
    for line in agent.carry_out(lease):
        last = line["what"]
        if last not in ("checks", "done"):
            said.append(json.dumps(line))
    path = agent.folder / log.name(lease.number)
    content = path.read_bytes() if path.exists() else b""
    path.unlink(missing_ok=True)
    if last == "done":
        _IDLE.give(brief, lease.framework, agent)
    else:
        agent.end()
    if last not in ("done", "failed"):
        raise RuntimeError(f"the agent of {lease.framework} died")
    digest = hashlib.sha256(content).hexdigest()
    return {"log": content, "sha256": digest, "said": said, "node": socket.gethostname()}
