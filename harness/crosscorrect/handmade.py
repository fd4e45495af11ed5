"""A person's own callable as an adapter, asked in this process: what it is given, what it may return, its gradients.

It cannot travel to a worker. So whatever ends this process while it runs ends the caller; an exception is an answer.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from crosscorrect.adapter import SWITCHES, Grads, Unsupported
from crosscorrect.geometry import Geometry
from crosscorrect.model import Direction
from crosscorrect.worker.loop import Server
from crosscorrect.worker.wire import digest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from crosscorrect.ask import Call, Question
    from crosscorrect.layout import Layout
    from crosscorrect.takes import Takes
    from crosscorrect.verdicts import Reply

    Array = np.ndarray[Any, Any]

T = TypeVar("T")

PLAIN = Geometry()
CHANGED = "changed"
"""In the place of the digest of an argument that the callable wrote into."""


class Handmade:
    """An adapter whose every forward pass is the callable, on the tensors of another adapter, ``base``.

    ``backward`` is the person's own backward pass with what it takes, in place of the framework's differentiation.
    ``changed`` are the arguments that it has written into since ``changed`` was emptied.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        takes: Takes,
        layout: Layout,
        base: Any,
        backward: tuple[Callable[..., Any], Takes] | None = None,
    ) -> None:
        self.function, self.takes, self.layout, self._base, self.backward = function, takes, layout, base, backward
        self.changed: set[str] = set()
        self.arithmetic, self.put, self.get, self.sync = base.arithmetic, base.put, base.get, base.sync

    def corr2d(self, x: Any, w: Any) -> Any:
        """The callable on (H, W) and (h, w)."""
        return self.conv2d(x, w, None, PLAIN)

    def layer(self, x: Any, w: Any, b: Any) -> Any:
        """The same with a bias of shape (1,)."""
        return self.conv2d(x, w, b, PLAIN)

    def conv2d(self, x: Any, w: Any, b: Any | None, geometry: Geometry) -> Any:
        """The callable in its layout, with the arguments that it takes; its answer in ours.

        Raises Unsupported for NotImplementedError, TypeError and ValueError for what is no array of this kind; any
        other exception is the callable's.
        """
        arrays = {"x": self.get(x), "w": self.get(w)} | ({} if b is None else {"b": self.get(b)})
        tensors = self._put(self.laid(arrays))
        y = self._watched(self._forward, tensors, self.arguments(arrays, geometry))
        return self.put(self.layout.image_back(self.get(self._accepted(y, tensors["x"])), arrays["x"].ndim))

    def grads(self, x: Any, w: Any, b: Any | None, dy: Any, geometry: Geometry) -> Grads:
        """The person's own backward pass, else what the framework's own differentiation makes of the callable.

        A gradient that is None, because nothing of the operand is in the answer, stays so.
        """
        arrays = {"x": self.get(x), "w": self.get(w)} | ({} if b is None else {"b": self.get(b)})
        tensors = self._put(self.laid({**arrays, "dy": self.get(dy)}))
        arguments, axes = self.arguments(arrays, geometry, backward=True), arrays["x"].ndim
        if self.backward is not None:
            slopes = self._slopes(self._watched(self._backward, tensors, arguments), tensors)
        else:
            slopes = self._differentiated(tensors, arguments)
        dx, dw, db = (*(None if slope is None else self.get(slope) for slope in slopes), None)[:3]
        return Grads(
            None if dx is None else self.put(self.layout.image_back(dx, axes)),
            None if dw is None else self.put(self.layout.kernel_back(dw, axes)),
            None if db is None else self.put(db),
        )

    def arguments(self, arrays: Mapping[str, Array], geometry: Geometry, *, backward: bool = False) -> dict[str, Any]:
        """The keyword arguments for these arrays of ours, without the bias; those of the own backward pass, if any."""
        takes = self.backward[1] if backward and self.backward is not None else self.takes
        rank = self.layout.rank
        return takes.arguments(geometry, arrays["x"].shape[-rank:], arrays["w"].shape[-rank:])

    def way(self, direction: Direction) -> Callable[[Array], Array]:
        """How an answer of ours in a direction comes into the callable's layout."""
        if direction is Direction.GRAD_BIAS:
            return np.asarray
        return self.layout.kernel if direction is Direction.GRAD_WEIGHT else self.layout.image

    def own(self, output: Array, right: Array | None, way: Callable[[Array], Array]) -> Array:
        """An answer of ours in the callable's layout, and one of wrong axes as the callable returned it."""
        if right is not None and output.ndim == right.ndim:
            return way(output)
        lacking = 2 - sum(letter in self.layout.letters for letter in "NC")
        return np.asarray(output[(0,) * lacking]) if output.ndim > lacking else output

    def laid(self, arrays: Mapping[str, Array]) -> dict[str, Array]:
        """Arrays of ours, by their names, as the callable gets them; others are as they are."""
        ways = {"x": self.layout.image, "w": self.layout.kernel, "dy": self.layout.image}
        return {n: np.ascontiguousarray(ways[n](array)) if n in ways else array for n, array in arrays.items()}

    def called(self, arrays: Mapping[str, Array], arguments: Mapping[str, Any]) -> Any:
        """What the callable returns for arrays in its layout, or, where they have ``dy``, its own backward pass."""
        call = self._backward if "dy" in arrays and self.backward is not None else self._forward
        return call(self._put(arrays), arguments)

    def written(self, arrays: Mapping[str, Array], arguments: Mapping[str, Any]) -> str:
        """The same call as a person would write it."""
        back = "dy" in arrays and self.backward is not None
        takes = self.backward[1] if back and self.backward is not None else self.takes
        named = [f"{name}=b" for name in self._bias(takes, arrays)]
        named += [f"{name}={value!r}" for name, value in arguments.items()]
        return f"{takes.callable}({', '.join([*(['dy'] if back else []), 'x', 'w', *named])})"

    def _put(self, arrays: Mapping[str, Array]) -> dict[str, Any]:
        return {name: self.put(array) for name, array in arrays.items()}

    def _watched(self, call: Callable[..., Any], tensors: Mapping[str, Any], arguments: Mapping[str, Any]) -> Any:
        """What a call returns, and which of its tensors it has written into."""
        before = {name: digest(self.get(tensor)) for name, tensor in tensors.items()}
        found = call(tensors, arguments)
        self.changed |= {name for name, tensor in tensors.items() if digest(self.get(tensor)) != before[name]}
        return found

    def _forward(self, tensors: Mapping[str, Any], arguments: Mapping[str, Any]) -> Any:
        with _refusing():
            return self.function(tensors["x"], tensors["w"], **self._bias(self.takes, tensors), **arguments)

    def _backward(self, tensors: Mapping[str, Any], arguments: Mapping[str, Any]) -> Any:
        assert self.backward is not None  # noqa: S101  whoever asks has seen that there is one
        function, takes = self.backward
        with _refusing():
            return function(tensors["dy"], tensors["x"], tensors["w"], **self._bias(takes, tensors), **arguments)

    def _differentiated(self, tensors: dict[str, Any], arguments: Mapping[str, Any]) -> Sequence[Any]:
        """The gradients of the callable by the framework's own differentiation."""
        operands = {name: tensor for name, tensor in tensors.items() if name != "dy"}

        def forward(*given: Any) -> Any:
            return self._forward(dict(zip(operands, given, strict=True)), arguments)

        found: Sequence[Any] = self._base.pull_back(forward, tuple(operands.values()), tensors["dy"])
        return found

    def _slopes(self, found: Any, tensors: Mapping[str, Any]) -> Sequence[Any]:
        """The gradients that a backward pass returned, one of each operand. Raises TypeError for something else."""
        wanted = 3 if "b" in tensors else 2
        if not isinstance(found, (tuple, list)) or not wanted <= len(found) <= 3:
            kind = f"{len(found)} values" if isinstance(found, (tuple, list)) else _kind(found)
            raise TypeError(f"returned {kind}, where {'(dx, dw, db)' if wanted == 3 else '(dx, dw)'} is due")
        return [None if slope is None else self._accepted(slope, tensors["x"]) for slope in found[:wanted]]

    @staticmethod
    def _bias(takes: Takes, arrays: Mapping[str, T]) -> dict[str, T]:
        """The bias as an argument, where there is one and it is taken."""
        parameter = takes.parameters.get("bias")
        return {} if parameter is None or "b" not in arrays else {parameter.name: arrays["b"]}

    def _accepted(self, y: Any, like: Any) -> Any:
        """An answer that is a tensor of the kind of the arguments, on their device."""
        if isinstance(y, type(like)):
            ours, theirs = getattr(like, "device", None), getattr(y, "device", None)
            if ours != theirs:
                raise ValueError(f"returned a tensor on {theirs}, where its arguments are on {ours}")
            return y
        kind = type(like)
        raise TypeError(f"returned {_kind(y)}, where a {kind.__module__}.{kind.__qualname__} is due")


def _kind(value: Any) -> str:
    """What a value is, in words."""
    if value is None:
        return "None"
    return f"an object of type {type(value).__module__}.{type(value).__qualname__}".replace("builtins.", "")


@contextmanager
def _refusing() -> Iterator[None]:
    """Raise Unsupported where a callable says that it does not do this."""
    try:
        yield
    except NotImplementedError as refusal:
        raise Unsupported(str(refusal) or "NotImplementedError") from refusal


class Here:
    """Asks a callable as a worker is asked, in this process."""

    def __init__(self, handmade: Handmade, device: str, arithmetic: str) -> None:
        self.handmade = handmade
        self._server = Server(lambda _device, _mode: handmade)
        self._header = {"nonce": 0, "device": device, "mode": "eager", "arithmetic": SWITCHES[arithmetic]}

    def ask(self, question: Question) -> list[Reply]:
        """The replies to the calls of a question, up to the first that is no answer."""
        replies: list[Reply] = []
        for call in question.calls:
            replies.append(self._ask(call))
            if replies[-1][0]["outcome"] != "answer":
                break
        return replies

    def _ask(self, call: Call) -> Reply:
        self.handmade.changed.clear()
        reply, results = self._server.answer(
            {**self._header, "verb": call.verb, "settings": call.settings}, call.arrays
        )
        if reply.get("exception") == "KeyboardInterrupt":  # a person's, and no answer
            raise KeyboardInterrupt
        reply["inputs"].update(dict.fromkeys(self.handmade.changed, CHANGED))
        return reply, results
