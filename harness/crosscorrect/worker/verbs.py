"""What a call asks of an adapter: each verb, bound to its tensors and settings, ready to be computed once or often.

This module travels to every worker: Python 3.8 and NumPy 1.17.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Callable, Dict, List, NamedTuple

import numpy as np

from crosscorrect import dtypes
from crosscorrect.geometry import Geometry
from crosscorrect.worker.wire import DTYPES

if TYPE_CHECKING:
    from crosscorrect.adapter import Grads

Named = Dict[str, Any]
Result = Any
"""What an adapter returns: a tensor, gradients, a training."""


class Bound(NamedTuple):
    """A call that is ready: ``run`` computes once, ``name`` gives its result's tensors their names."""

    run: Callable[[], Result]
    name: Callable[[Result], Named]

    def named(self) -> Named:
        """The tensors of one computation, by their names."""
        return self.name(self.run())


def _output(tensor: Any) -> Named:
    return {"output": tensor}


def _gradients(grads: Grads) -> Named:
    named = {"dx": grads.dx, "dw": grads.dw, "db": grads.db}
    return {name: tensor for name, tensor in named.items() if tensor is not None}


def _training(trained: Any) -> Named:
    return {"losses": trained.losses, "weights": trained.weights, "biases": trained.biases}


def _pair(gradient: Any) -> Named:
    return {} if gradient is None else {"dx": gradient[0], "dw": gradient[1]}


def _corr2d(adapter: Any, t: Named, _settings: Named) -> Bound:
    return Bound(partial(adapter.corr2d, t["x"], t["w"]), _output)


def _layer(adapter: Any, t: Named, _settings: Named) -> Bound:
    return Bound(partial(adapter.layer, t["x"], t["w"], t["b"]), _output)


def _matmul(adapter: Any, t: Named, _settings: Named) -> Bound:
    return Bound(partial(adapter.matmul, t["a"], t["b"]), _output)


def _conv2d(adapter: Any, t: Named, settings: Named) -> Bound:
    geometry = Geometry.from_json(settings["geometry"])
    return Bound(partial(adapter.conv2d, t["x"], t["w"], t.get("b"), geometry, **_spelt(settings)), _output)


def _grads(adapter: Any, t: Named, settings: Named) -> Bound:
    geometry = Geometry.from_json(settings["geometry"])
    return Bound(partial(adapter.grads, t["x"], t["w"], t.get("b"), t["dy"], geometry, **_spelt(settings)), _gradients)


def _spelt(settings: Named) -> Named:
    """The spelling as an argument, where it is not the adapter's own: an adapter without spellings takes none."""
    return {"spelling": settings["spelling"]} if "spelling" in settings else {}


def _train(adapter: Any, t: Named, settings: Named) -> Bound:
    given = (t["x"], t["y"], t.get("w0"), t.get("b0"), settings["lr"], settings["steps"], settings["layer"])
    return Bound(partial(adapter.train, *given, tuple(settings["kernel_size"])), _training)


def _differentiate(adapter: Any, t: Named, settings: Named) -> Bound:
    return Bound(partial(adapter.differentiate_corr2d, t["x"], t["w"], t["dy"], settings["loop"]), _pair)


def _copy(_adapter: Any, t: Named, _settings: Named) -> Bound:
    """No question to a framework: memory read and written, which the sentinel measures. Arrays of NumPy."""
    target = np.empty_like(t["x"])
    return Bound(partial(np.copyto, target, t["x"]), lambda _: _output(target))


VERBS: Dict[str, Callable[[Any, Named, Named], Bound]] = {
    "corr2d": _corr2d,
    "layer": _layer,
    "matmul": _matmul,
    "conv2d": _conv2d,
    "grads": _grads,
    "train": _train,
    "differentiate": _differentiate,
    "copy": _copy,
}


def leaves(named: Named) -> List[Any]:
    """Every tensor of a result."""
    return [leaf for value in named.values() for leaf in (value if isinstance(value, list) else [value])]


def to_numpy(adapter: Any, named: Named) -> Named:
    """A result on the host, each of its tensors or histories as one array. Raises TypeError for a foreign dtype."""
    return {name: _crossing(name, _array(adapter, value, name)) for name, value in named.items()}


def _array(adapter: Any, value: Any, name: str) -> Any:
    if not isinstance(value, list):
        return np.asarray(adapter.get(value))
    if not value:
        return np.zeros((0,), np.float64)
    history = np.stack([np.asarray(adapter.get(entry)) for entry in value])  # one entry per step
    # a loss is one number; some frameworks have no scalar tensors and give one element
    return history.reshape(len(value)) if name == "losses" else history


def _crossing(name: str, array: Any) -> Any:
    if dtypes.name_of(array.dtype) not in DTYPES:
        raise TypeError(f"{name} came back from the adapter with dtype {array.dtype}, which no verdict is made for")
    return array
