"""One worker process: start it, ask it, stop it, and tell what became of it when it does not answer."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import tempfile
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from crosscorrect import deaths, guard, stacks
from crosscorrect.child import Child
from crosscorrect.errors import IncompleteError
from crosscorrect.memory import MEMORY_LIMIT, oom_kills
from crosscorrect.suspicion import Suspicion
from crosscorrect.worker import boot
from crosscorrect.worker.wire import PROTOCOL, Channel, ProtocolError, frame

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    import numpy as np

    from crosscorrect.registry import Framework

    Arrays = Mapping[str, np.ndarray[Any, Any]]
    Reply = tuple[dict[str, Any], dict[str, np.ndarray[Any, Any]]]
    Asked = tuple[Mapping[str, Any], Arrays, float]
    """A call's header, its arrays, and its limit in seconds."""

ABSENT = ("ImportError", "ModuleNotFoundError")
"""What a worker's adapter fails with where its framework is not installed."""

BOOT_LIMIT = 180.0
"""Seconds a worker may take to import its framework and say hello."""

STACK_GRACE = 0.5
"""Seconds a hung worker gets to print its stacks before it is killed."""

LEAVE_LIMIT = 5.0
"""Seconds a worker that closed its channel gets to leave by itself, so that its exit code can be told."""

KILL_LIMIT = 5.0
"""Seconds to wait for the end of a process after SIGKILL: one that waits for a dead disk cannot be killed at all."""

PASSED_ON = ("PATH", "HOME", "TMPDIR", "TZ", "PYTHONPATH", "LD_LIBRARY_PATH", "VIRTUAL_ENV")
SWITCHES = (
    "OMP_",
    "MKL_",
    "KMP_",
    "OPENBLAS_",
    "DNNL_",
    "ONEDNN_",
    "MXNET_",
    "TORCH",
    "PYTORCH_",
    "TF_",
    "XLA_",
    "JAX_",
    "KERAS_",
    "CUDA_",
    "CUDNN_",
    "NVIDIA_",
)
DIRTY_MEMORY = "glibc.malloc.perturb=129:glibc.malloc.tcache_count=0:glibc.malloc.mmap_threshold=1073741824"
"""Makes the C library fill memory that it hands out with 0x7e, so that what a framework never writes shows; elsewhere
than on Linux with glibc nobody reads it. 8e37 in float32 and bfloat16, far from any answer."""
COMPILERS = ("CC", "CXX")
"""Which compiler a framework builds its kernels with: torch.compile asks these."""


class _Sent(NamedTuple):
    """A call on its way: the parts of its frame, and how many bytes they are."""

    nonce: int
    limit: float
    parts: list[memoryview]
    size: int


class WorkerLost(Exception):  # noqa: N818  it names a state of the worker, not a mistake of the caller
    """The worker did not answer: ``crash`` (it died) or ``timeout`` (it was killed at its limit).

    ``outside``: it died of a signal that a framework does not send itself, and that we did not send either; so it says
    nothing about the problem. ``stderr`` is what it printed last.
    """

    def __init__(self, kind: str, message: str, stderr: str, *, outside: bool = False) -> None:
        super().__init__(message)
        self.kind, self.message, self.stderr, self.outside = kind, message, stderr, outside


class NeverGreeted(IncompleteError):  # noqa: N818  it names a state of the worker, as above
    """A worker died before its hello; ``outside`` as for ``WorkerLost``. Another start may go better."""

    def __init__(self, message: str, *, outside: bool) -> None:
        super().__init__(message)
        self.outside = outside


def switches() -> dict[str, str]:
    """The thread, math and compiler switches of this environment that a worker inherits; recorded with the run."""
    return {k: v for k, v in sorted(os.environ.items()) if k.startswith(SWITCHES) or k in COMPILERS}


def _environment() -> dict[str, str]:
    passed = {k: os.environ[k] for k in PASSED_ON if k in os.environ}
    own = {"LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "0", "PYTHONUNBUFFERED": "1", "GLIBC_TUNABLES": DIRTY_MEMORY}
    return {**passed, **switches(), **own}


class Worker:
    """A live worker of one framework. ``hello`` holds what it said of itself. Close it, or use it as a context."""

    def __init__(
        self,
        framework: Framework,
        *,
        greet: bool = True,
        more: Mapping[str, str] | None = None,
        memory: int | None = MEMORY_LIMIT,
        cpus: Sequence[int] | None = None,
    ) -> None:
        """Start the framework's interpreter and, unless told not to, ``greet`` it.

        Without the greeting this returns at once, so that another thread may ``kill`` a worker that is still booting.
        ``more`` are environment variables beside, and before, those that every worker gets; ``memory`` is how many
        bytes of data it may hold, None for as many as there are, and ``cpus`` the processors it may run on, None for
        all. Raises IncompleteError when the interpreter cannot be started.
        """
        self.framework = framework
        self.memory = memory
        self._cpus = cpus
        self._more = dict(more or {})
        self.hello: dict[str, Any] = {}
        self._folder = tempfile.TemporaryDirectory(prefix="crosscorrect-")
        self._nonce = 0
        self._killed = False
        self._mark = guard.mark()
        guard.tell(self._folder.name)
        self._suspicion = Suspicion(memory)
        self.strays: list[str] = []
        self._oom_kills = oom_kills()
        self._start()
        if greet:
            self.greet()

    def greet(self) -> None:
        """Wait for the worker's hello. Raises IncompleteError where none comes; the worker is then closed."""
        try:
            self.hello = self._receive_hello()
        except BaseException:
            self.close()
            raise

    def _start(self) -> None:
        ends: list[int] = []
        try:
            for _ in range(2):
                ends += os.pipe()
            to_worker, from_controller, from_worker, to_controller = ends
            config = {
                "read_fd": to_worker,
                "write_fd": to_controller,
                "adapter": self.framework.target,
                "packages": self.framework.packages,
                "parent": os.getpid(),
                "memory": self.memory,
                "cpus": self._cpus,
            }
            command = [str(self.framework.python), str(Path(boot.__file__)), json.dumps(config)]
            environment = {**_environment(), **self._more, **self._mark}
            self._child = Child(command, environment, self._folder.name, (to_worker, to_controller))
        except OSError as error:
            for fd in ends:
                os.close(fd)
            self._folder.cleanup()
            raise IncompleteError(
                f"framework {self.framework.name!r}: cannot start its interpreter {self.framework.python} "
                f"({error.strerror}); give one with --python {self.framework.name}=PATH"
            ) from None
        os.close(to_worker)
        os.close(to_controller)
        self._channel = Channel(from_worker, from_controller)
        self._channel.never_block()

    def _receive_hello(self) -> dict[str, Any]:
        name, python = self.framework.name, self.framework.python
        try:
            hello, _ = self._channel.receive(time.monotonic() + BOOT_LIMIT)
        except (EOFError, TimeoutError, ProtocolError) as error:
            left = self._child.wait(0.5 if isinstance(error, EOFError) else 0)
            self.kill()
            printed = self.printed()[-500:]
            raise NeverGreeted(
                f"framework {name!r}: {python} ended without a word ({error}); it printed: {printed}",
                outside=left and deaths.outside(self._child.code),
            ) from None
        if hello.get("type") == "failed":
            said = f"framework {name!r} cannot be used from {python}: {hello['exception']}: {hello['message']}"
            if hello["exception"] in ABSENT:
                said += "; install the framework there, or name the interpreter that it lives in with "
                said += f"--python {name}=PATH"
            raise IncompleteError(said)
        if hello.get("protocol") != PROTOCOL:
            raise IncompleteError(f"framework {name!r}: {python} speaks another protocol than this controller")
        return hello

    @property
    def pid(self) -> int:
        """The process id of the worker."""
        return self._child.pid

    @property
    def alive(self) -> bool:
        """Whether the process is still there."""
        return not self._child.poll()

    def ask(
        self,
        call: Mapping[str, Any],
        arrays: Arrays,
        limit: float,
        meanwhile: Callable[[], object] | None = None,
    ) -> Reply:
        """Send one call, do ``meanwhile``, wait for the reply at most ``limit`` seconds in all.

        Raises WorkerLost; the worker is then gone.
        """
        return next(self.ask_all([(call, arrays, limit)], meanwhile))

    def ask_all(self, asked: Iterable[Asked], meanwhile: Callable[[], object] | None = None) -> Iterator[Reply]:
        """Send calls in one go, do ``meanwhile``, and give the replies, in order, as they come.

        Each may take its limit from when the one before it was given. As many calls are sent at once as are sure to
        find room; the others follow when those are answered. Raises WorkerLost; the worker is then gone.
        """
        waiting: deque[_Sent] = deque()
        with self._loss(0):
            for call, arrays, limit in asked:
                self._nonce += 1
                parts = frame({"type": "call", **call, "nonce": self._nonce}, arrays)
                waiting.append(_Sent(self._nonce, limit, parts, sum(part.nbytes for part in parts)))
        self._child.forget()
        while waiting:
            going = [waiting.popleft()]
            left = self._channel.room - going[0].size
            while waiting and waiting[0].size <= left:
                left -= waiting[0].size
                going.append(waiting.popleft())
            deadline = time.monotonic() + going[0].limit
            with self._loss(going[0].limit):
                self._channel.send_all([sent.parts for sent in going], deadline)
            if meanwhile is not None:
                begin = time.monotonic()
                meanwhile()
                deadline += time.monotonic() - begin  # time the controller took is not held against the worker
                meanwhile = None
            for place, sent in enumerate(going):
                until = deadline if place == 0 else time.monotonic() + sent.limit
                yield self._receive(sent.nonce, sent.limit, until)

    def _receive(self, nonce: int, limit: float, deadline: float) -> Reply:
        """The reply to a call, which has its ``limit`` in seconds until the deadline."""
        with self._loss(limit):
            reply, results = self._channel.receive(deadline)
        if reply.get("type") != "reply" or reply.get("nonce") != nonce:
            raise self._broke_protocol(f"a reply to nonce {reply.get('nonce')} where {nonce} was asked")
        self._suspicion.hear(reply)
        return reply, results

    @contextlib.contextmanager
    def _loss(self, limit: float) -> Iterator[None]:
        """Turn what goes wrong on the channel into WorkerLost."""
        try:
            yield
        except TimeoutError:
            raise self._timed_out(limit) from None
        except (EOFError, BrokenPipeError):
            raise self._crashed() from None
        except ProtocolError as error:
            raise self._broke_protocol(str(error)) from None

    def suspicion(self) -> str:
        """Why this worker may not be what it was; empty where nothing speaks against it."""
        return self._suspicion.reason

    def printed(self) -> str:
        """The tail of what the worker printed since the last call began."""
        return self._child.printed()

    def _broke_protocol(self, how: str) -> WorkerLost:
        self.kill()
        return WorkerLost("crash", f"the worker broke the protocol: {how}", self.printed())

    def _timed_out(self, limit: float) -> WorkerLost:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGUSR1)  # faulthandler prints every thread's Python stack
        time.sleep(STACK_GRACE)
        where = stacks.native(self.pid)
        self.kill()
        message = f"no answer within {limit:g} s; the worker was killed"
        return WorkerLost("timeout", message, f"{self.printed()}\n{where}".lstrip("\n"))

    def _crashed(self) -> WorkerLost:
        left = self._child.wait(LEAVE_LIMIT)
        killed = self._killed
        self.kill()
        if killed:
            return WorkerLost("crash", "the worker was ended by this program", self.printed())
        if not left:
            return WorkerLost("crash", "the worker closed its channel and went on running", self.printed())
        return WorkerLost("crash", self._death(), self.printed(), outside=deaths.outside(self._child.code))

    def _death(self) -> str:
        code, held = self._child.code, self._child.peak or 0
        by_kernel = deaths.by_kernel(code, self._oom_kills, oom_kills())
        return f"the worker {deaths.how(code)}{by_kernel}" + deaths.about_memory(held, self.memory, self.printed())

    def rest(self) -> None:
        """Stop the process and all it started where they are, until ``wake``: one that rests takes no processor."""
        self._child.signal(signal.SIGSTOP)

    def wake(self) -> None:
        """Let it go on."""
        self._child.signal(signal.SIGCONT)

    def kill(self) -> None:
        """End the process and its whole group at once; whoever waits for an answer then learns of its death."""
        self._killed = True
        self._child.signal(signal.SIGKILL)
        self._child.wait(KILL_LIMIT)

    def close(self) -> None:
        """End the worker and everything it started."""
        if not hasattr(self, "_channel"):
            return
        with contextlib.suppress(OSError):
            self._channel.close()
        self.wake()
        self._child.wait(0.2)  # it leaves by itself when its channel ends
        self.kill()
        self.strays += guard.sweep(self._mark)
        self._folder.cleanup()

    def __enter__(self) -> Self:
        if not self.hello:
            self.greet()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
