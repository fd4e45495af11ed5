"""The worker's loop: load one adapter, say hello, answer calls until the channel closes.

It measures only the framework's own time, judges nothing, and holds NumPy and one framework. Python 3.8 and NumPy 1.17.
"""

from __future__ import annotations

import difflib
import faulthandler
import importlib
import os
import platform
import signal
import sys
import time
import traceback
from typing import Any, Dict, Sequence, Tuple

import numpy as np

from crosscorrect.adapter import Unsupported
from crosscorrect.worker.timer import Timer
from crosscorrect.worker.verbs import VERBS, Named, leaves, to_numpy
from crosscorrect.worker.vitals import Vitals
from crosscorrect.worker.wire import PROTOCOL, Channel, digest

MESSAGE_LIMIT = 4000
TRACEBACK_LIMIT = 8000
DIRTY = 8
"""How many pieces of memory are dirtied: an allocator need not hand out the last one first."""


class Server:
    """Answers calls with one adapter class; keeps one instance per device, mode and arithmetic."""

    def __init__(self, adapter_class: Any) -> None:
        self._class = adapter_class
        self._instances: Dict[Tuple[str, str], Any] = {}
        self._arithmetic: Dict[Tuple[str, str], str] = {}
        self._timer = Timer()

    def _adapter(self, device: str, mode: str, arithmetic: str) -> Any:
        key = (device, mode)
        if key not in self._instances:
            self._instances[key] = self._class(device, mode)
        if self._arithmetic.get(key) != arithmetic:
            self._instances[key].arithmetic(arithmetic)
            # the switch is the whole process's in most frameworks: what the other instances had set is gone
            self._arithmetic = {key: arithmetic}
        return self._instances[key]

    def answer(self, call: Named, arrays: Dict[str, Any]) -> Tuple[Named, Dict[str, Any]]:
        """Carry out one call, or what its ``type`` asks for instead: ``prepare`` one to be timed, or ``time`` it.

        Returns the reply's header and its arrays; no framework exception passes.
        """
        reply: Named = {"type": "reply", "nonce": call["nonce"]}
        results: Dict[str, Any] = {}
        act = {"prepare": self._prepare, "time": self._time}.get(call.get("type", ""), self._compute)
        try:
            said, results = act(call, arrays)
            reply.update(outcome="answer", **said)
        except Unsupported as refusal:
            reply.update(outcome="unsupported", message=_bounded(str(refusal), MESSAGE_LIMIT))
        except BaseException as error:  # noqa: BLE001  whatever a framework raises is its answer
            reply.update(
                outcome="raised",
                exception=_name(type(error)),
                message=_bounded(_said(error), MESSAGE_LIMIT),
                traceback=_bounded(traceback.format_exc(), TRACEBACK_LIMIT),
            )
        # after the call, so that it proves both that the bytes arrived whole and that nobody wrote into them
        reply["inputs"] = {name: digest(array) for name, array in arrays.items()}
        return reply, results

    def _compute(self, call: Named, arrays: Named) -> Tuple[Named, Named]:
        """Compute once."""
        adapter = self._adapter(call["device"], call["mode"], call["arithmetic"])
        start = time.perf_counter()
        if "dirty" in call["settings"]:
            _dirty(adapter, call["settings"]["dirty"], next(iter(arrays.values())).dtype)
        tensors = {name: adapter.put(array) for name, array in arrays.items()}
        adapter.sync()
        begin = time.perf_counter()
        named = VERBS[call["verb"]](adapter, tensors, call["settings"]).named()
        adapter.sync(*leaves(named))
        end = time.perf_counter()
        results = to_numpy(adapter, named)
        transfer = begin - start + time.perf_counter() - end
        return {"seconds": end - begin, "transfer_seconds": transfer}, results

    def _prepare(self, call: Named, arrays: Named) -> Tuple[Named, Named]:
        """Make a call ready to be timed; its result."""
        adapter = self._adapter(call["device"], call["mode"], call["arithmetic"])
        return self._timer.prepare(call["slot"], adapter, call, arrays)

    def _time(self, call: Named, _arrays: Named) -> Tuple[Named, Named]:
        """A sample of the call that was made ready; its last result where the call is to ``show`` it."""
        said = self._timer.sample(call["slot"], call["calls"], call["warm"], call["slope"])
        return said, self._timer.last(call["slot"]) if call["show"] else {}


def _dirty(adapter: Any, shape: Any, dtype: Any) -> None:
    """Leave freed memory of the output's size full of ones: an output that is never written then shows them.

    All bits set are a NaN in every floating format, and -1 or the largest number among integers.
    """
    ones = np.frombuffer(b"\xff" * int(np.prod(shape) * dtype.itemsize), dtype).reshape(shape)
    held = [adapter.put(ones) for _ in range(DIRTY)]
    adapter.sync(*held)


def _name(kind: type) -> str:
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"


def _said(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as defect:  # noqa: BLE001  an exception whose own text raises another
        return f"its message cannot be shown: {_name(type(defect))}"


def _bounded(text: str, limit: int) -> str:
    clean = text.encode("utf-8", "backslashreplace").decode()
    return clean if len(clean) <= limit else clean[: limit // 2] + "\n…\n" + clean[-limit // 2 :]


def _named(module: Any, attribute: str) -> Any:
    """The adapter class of a module. Raises AttributeError, with the nearest name, where there is none."""
    try:
        return getattr(module, attribute)
    except AttributeError as error:
        near = difflib.get_close_matches(attribute, [name for name in vars(module) if name[:1] != "_"], 1)
        raise AttributeError(f"{error}{f'; did you mean {near[0]}?' if near else ''}") from None


def main(config: Named, notes: Sequence[str] = ()) -> None:
    """Serve one adapter over the descriptors that ``boot`` was given."""
    faulthandler.enable()
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    channel = Channel(config["read_fd"], config["write_fd"])
    begin = time.perf_counter()
    try:
        module, _, attribute = config["adapter"].partition(":")
        adapter_class = _named(importlib.import_module(module), attribute)
        identity = adapter_class.identity()
    except BaseException as error:  # noqa: BLE001  a worker that cannot start must say why, whatever it was
        channel.send(
            {"type": "failed", "exception": _name(type(error)), "message": _bounded(_said(error), MESSAGE_LIMIT)}
        )
        traceback.print_exc()
        return
    channel.send(
        {
            "type": "hello",
            "protocol": PROTOCOL,
            "pid": os.getpid(),
            "python": platform.python_version(),
            "executable": sys.executable,
            "numpy": np.__version__,
            "import_seconds": time.perf_counter() - begin,
            "name": identity.name,
            "versions": dict(identity.versions),
            "devices": list(identity.devices),
            "modes": list(identity.modes),
            "dtypes": list(identity.dtypes),
            "spellings": list(identity.spellings),
            "notes": [*identity.notes, *notes],
        }
    )
    server, vitals, own = Server(adapter_class), Vitals(), os.getpid()
    while True:
        try:
            call, arrays = channel.receive()
        except EOFError:
            return
        reply, results = server.answer(call, arrays)
        if os.getpid() != own:
            os._exit(0)  # the call forked, and this is the copy: it must not answer, too
        said = vitals.read()
        if said:
            reply["vitals"] = said
        channel.send(reply, results)
