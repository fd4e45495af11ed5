"""A person's own callable as an adapter, asked in this process: what it is given, what it may return, its gradients.

It cannot travel to a worker. So whatever ends this process while it runs ends the caller; an exception is an answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from crosscorrect.adapter import SWITCHES, Grads, Unsupported
from crosscorrect.geometry import Geometry
from crosscorrect.model import Direction
from crosscorrect.worker.loop import Server
from crosscorrect.worker.wire import digest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from crosscorrect.ask import Call, Question
    from crosscorrect.layout import Layout
    from crosscorrect.takes import Takes
    from crosscorrect.verdicts import Reply

    Array = np.ndarray[Any, Any]

PLAIN = Geometry()
CHANGED = "changed"
"""In the place of the digest of an argument that the callable wrote into."""


class Handmade:
    """An adapter whose every forward pass is the callable, on the tensors of another adapter, ``base``.

    ``changed`` are the arguments that it has written into since ``changed`` was emptied.
    """

    def __init__(self, function: Callable[..., Any], takes: Takes, layout: Layout, base: Any) -> None:
        self.function, self.takes, self.layout, self._base = function, takes, layout, base
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
        before = {name: digest(self.get(tensor)) for name, tensor in tensors.items()}
        y = self._called(tensors, self.arguments(arrays, geometry))
        self.changed |= {name for name, tensor in tensors.items() if digest(self.get(tensor)) != before[name]}
        output = self.layout.image_back(self.get(self._accepted(y, tensors["x"])), arrays["x"].ndim)
        return self.put(output)

    def grads(self, x: Any, w: Any, b: Any | None, dy: Any, geometry: Geometry) -> Grads:
        """What the framework's own differentiation makes of the callable."""
        arrays = {"x": self.get(x), "w": self.get(w)} | ({} if b is None else {"b": self.get(b)})
        tensors, arguments = self._put(self.laid(arrays)), self.arguments(arrays, geometry)

        def forward(*operands: Any) -> Any:
            return self._called(dict(zip(tensors, operands, strict=True)), arguments)

        slope = self.put(np.ascontiguousarray(self.layout.image(self.get(dy))))
        found = self._base.pull_back(forward, tuple(tensors.values()), slope)
        axes = arrays["x"].ndim
        dx, dw, db = (*(self.get(g) for g in found), None)[:3]
        return Grads(
            self.put(self.layout.image_back(dx, axes)),
            self.put(self.layout.kernel_back(dw, axes)),
            None if db is None else self.put(db),
        )

    def arguments(self, arrays: Mapping[str, Array], geometry: Geometry) -> dict[str, Any]:
        """The keyword arguments for these arrays of ours, without the bias."""
        rank = self.layout.rank
        return self.takes.arguments(geometry, arrays["x"].shape[-rank:], arrays["w"].shape[-rank:])

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
        """What the callable itself returns for arrays in its layout."""
        return self._called(self._put(arrays), arguments)

    def _put(self, arrays: Mapping[str, Array]) -> dict[str, Any]:
        return {name: self.put(array) for name, array in arrays.items()}

    def _called(self, tensors: Mapping[str, Any], arguments: Mapping[str, Any]) -> Any:
        bias = {self.takes.parameters["bias"].name: tensors["b"]} if "b" in tensors else {}
        try:
            return self.function(tensors["x"], tensors["w"], **bias, **arguments)
        except NotImplementedError as refusal:
            raise Unsupported(str(refusal) or "NotImplementedError") from refusal

    def _accepted(self, y: Any, like: Any) -> Any:
        """An answer that is a tensor of the kind of the arguments, on their device."""
        if isinstance(y, type(like)):
            ours, theirs = getattr(like, "device", None), getattr(y, "device", None)
            if ours != theirs:
                raise ValueError(f"returned a tensor on {theirs}, where its arguments are on {ours}")
            return y
        kind = type(like)
        what = "None" if y is None else f"an object of type {type(y).__module__}.{type(y).__qualname__}"
        raise TypeError(
            f"returned {what.replace('builtins.', '')}, where a {kind.__module__}.{kind.__qualname__} is due"
        )


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
