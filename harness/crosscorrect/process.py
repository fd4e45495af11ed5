"""One worker process: start it, ask it, stop it, and tell what became of it when it does not answer."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import tempfile
import threading
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from crosscorrect.errors import IncompleteError
from crosscorrect.worker import boot
from crosscorrect.worker.wire import PROTOCOL, Channel, ProtocolError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np

    from crosscorrect.registry import Framework

BOOT_LIMIT = 180.0
"""Seconds a worker may take to import its framework and say hello."""

STACK_GRACE = 0.5
"""Seconds a hung worker gets to print its stacks before it is killed."""

STDERR_TAIL = 16 * 1024
MEMORY_LIMIT: int | None = None

OUTSIDE = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
"""The signals by which others end a process: a person, a batch system, the kernel that is short of memory."""

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


class WorkerLost(Exception):  # noqa: N818  it names a state of the worker, not a mistake of the caller
    """The worker did not answer: ``crash`` (it died) or ``timeout`` (it was killed at its limit)."""

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


class _Tail:
    """The last kilobytes of what a process printed, drained by a thread so that nothing ever blocks on it."""

    def __init__(self, fd: int) -> None:
        self._chunks: deque[bytes] = deque()
        self._size = 0
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._drain, args=(fd,), daemon=True)
        self._thread.start()

    def _drain(self, fd: int) -> None:
        with open(fd, "rb", buffering=0) as stream:
            while chunk := stream.read(65536):
                with self._lock:
                    self._chunks.append(chunk[-STDERR_TAIL:])
                    self._size += len(self._chunks[-1])
                    while self._size - len(self._chunks[0]) >= STDERR_TAIL:
                        self._size -= len(self._chunks.popleft())

    def text(self, *, wait: float = 0.0) -> str:
        """What was printed last; ``wait`` seconds for the end of the stream when the process is known to be dead."""
        if wait:
            self._thread.join(wait)
        with self._lock:
            return b"".join(self._chunks)[-STDERR_TAIL:].decode("utf-8", "backslashreplace")

    def clear(self) -> None:
        with self._lock:
            self._chunks.clear()
            self._size = 0


class Worker:
    """A live worker of one framework. ``hello`` holds what it said of itself. Close it, or use it as a context."""

    def __init__(
        self,
        framework: Framework,
        *,
        greet: bool = True,
        more: Mapping[str, str] | None = None,
        memory: int | None = None,
    ) -> None:
        """Start the framework's interpreter and, unless told not to, ``greet`` it.

        Without the greeting this returns at once, so that another thread may ``kill`` a worker that is still booting.
        ``more`` are environment variables beside, and before, those that every worker gets.
        Raises IncompleteError when the interpreter cannot be started.
        """
        self.framework = framework
        self._more = dict(more or {})
        self.hello: dict[str, Any] = {}
        self._folder = tempfile.TemporaryDirectory(prefix="crosscorrect-")
        self._nonce = 0
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
        to_worker, from_controller = os.pipe(), os.pipe()
        printed_read, printed_write = os.pipe()
        config = {
            "read_fd": to_worker[0],
            "write_fd": from_controller[1],
            "adapter": self.framework.target,
            "packages": self.framework.packages,
            "parent": os.getpid(),
        }
        command = [str(self.framework.python), str(Path(boot.__file__)), json.dumps(config)]
        try:
            self._process = subprocess.Popen(  # noqa: S603  the interpreter is the user's own choice
                command,
                stdin=subprocess.DEVNULL,
                stdout=printed_write,
                stderr=printed_write,
                pass_fds=(to_worker[0], from_controller[1]),
                env={**_environment(), **self._more},
                cwd=self._folder.name,
                start_new_session=True,
            )
        except OSError as error:
            for fd in (*to_worker, *from_controller, printed_read, printed_write):
                os.close(fd)
            self._folder.cleanup()
            raise IncompleteError(
                f"framework {self.framework.name!r}: cannot start its interpreter {self.framework.python} "
                f"({error.strerror}); give one with --python {self.framework.name}=PATH"
            ) from None
        for fd in (to_worker[0], from_controller[1], printed_write):
            os.close(fd)
        self._tail = _Tail(printed_read)
        self._channel = Channel(from_controller[0], to_worker[1])
        self._channel.never_block()

    def _receive_hello(self) -> dict[str, Any]:
        name, python = self.framework.name, self.framework.python
        try:
            hello, _ = self._channel.receive(time.monotonic() + BOOT_LIMIT)
        except (EOFError, TimeoutError, ProtocolError) as error:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(0.5 if isinstance(error, EOFError) else 0)
            died = self._process.poll()
            self.kill()
            printed = self._tail.text(wait=1)[-500:]
            raise NeverGreeted(
                f"framework {name!r}: {python} ended without a word ({error}); it printed: {printed}",
                outside=died is not None and -died in OUTSIDE,
            ) from None
        if hello.get("type") == "failed":
            raise IncompleteError(
                f"framework {name!r} cannot be used from {python}: {hello['exception']}: {hello['message']}"
            )
        if hello.get("protocol") != PROTOCOL:
            raise IncompleteError(f"framework {name!r}: {python} speaks another protocol than this controller")
        return hello

    @property
    def pid(self) -> int:
        """The process id of the worker."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process is still there."""
        return self._process.poll() is None

    def ask(
        self,
        call: Mapping[str, Any],
        arrays: Mapping[str, np.ndarray[Any, Any]],
        limit: float,
        meanwhile: Callable[[], object] | None = None,
    ) -> tuple[dict[str, Any], dict[str, np.ndarray[Any, Any]]]:
        """Send one call, do ``meanwhile``, wait for the reply at most ``limit`` seconds in all.

        Raises WorkerLost; the worker is then gone.
        """
        self._nonce += 1
        self._tail.clear()
        deadline = time.monotonic() + limit
        try:
            self._channel.send({**call, "type": "call", "nonce": self._nonce}, arrays, deadline)
            if meanwhile is not None:
                begin = time.monotonic()
                meanwhile()
                deadline += time.monotonic() - begin  # time the controller took is not held against the worker
            reply, results = self._channel.receive(deadline)
        except TimeoutError:
            raise self._timed_out(limit) from None
        except (EOFError, BrokenPipeError):
            raise self._crashed() from None
        except ProtocolError as error:
            raise self._broke_protocol(str(error)) from None
        if reply.get("type") != "reply" or reply.get("nonce") != self._nonce:
            raise self._broke_protocol(f"a reply to nonce {reply.get('nonce')} where {self._nonce} was asked")
        return reply, results

    def suspicion(self) -> str:
        """Why this worker may not be what it was; empty where nothing speaks against it."""
        return ""

    def printed(self) -> str:
        """The tail of what the worker printed since the last call began."""
        return self._tail.text()

    def _broke_protocol(self, how: str) -> WorkerLost:
        self.kill()
        return WorkerLost("crash", f"the worker broke the protocol: {how}", self._tail.text(wait=1))

    def _timed_out(self, limit: float) -> WorkerLost:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGUSR1)  # faulthandler prints every thread's Python stack
        time.sleep(STACK_GRACE)
        self.kill()
        return WorkerLost("timeout", f"no answer within {limit:g} s; the worker was killed", self._tail.text(wait=1))

    def _crashed(self) -> WorkerLost:
        try:
            code = self._process.wait(5)
        except subprocess.TimeoutExpired:
            self.kill()
            return WorkerLost("crash", "the worker closed its channel and went on running", self._tail.text(wait=1))
        self.kill()
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"left with exit code {code}"
        return WorkerLost("crash", f"the worker {how}", self._tail.text(wait=1), outside=-code in OUTSIDE)

    def kill(self) -> None:
        """End the process and its whole group at once; whoever waits for an answer then learns of its death."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()

    def close(self) -> None:
        """End the worker and everything it started."""
        if not hasattr(self, "_channel"):
            return
        with contextlib.suppress(OSError):
            self._channel.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(0.2)  # it leaves by itself when its channel ends
        self.kill()
        self._folder.cleanup()

    def __enter__(self) -> Self:
        if not self.hello:
            self.greet()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
