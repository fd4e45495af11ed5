"""Speaks JAX for the harness: XLA's convolution with its gradients, and the chapter's loop, layer and training."""

from __future__ import annotations

from collections import Counter
from functools import lru_cache
from importlib import metadata
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from crosscorrect import dtypes
from crosscorrect.adapter import LAYERS, MODES, Grads, Identity, Trained, Unsupported
from crosscorrect.geometry import Geometry
from crosscorrect_adapters import _jax_conv as conv, _jax_loops as loops

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from crosscorrect.adapter import Array

# Without this switch float64 and int64 arrays become float32 and int32 without a word. One process holds one framework.
jax.config.update("jax_enable_x64", True)

_USERS_PRECISION = jax.config.jax_default_matmul_precision
_BACKENDS = ("jaxlib", "jax-cuda12-plugin", "jax-cuda13-plugin", "nvidia-cudnn-cu12", "nvidia-cudnn-cu13")
_SPELLINGS = ("native", "apart", "channels_last", "recorded")

# JAX keeps every compiled program, eager operations included: about 1.5 MB and five memory maps each on a CPU, so that
# some thousand problems in one process meet the kernel's limit of maps. ``put``, never timed, lets go of them.
_PROGRAMS_KEPT = 600
_COMPILED = "/jax/core/compile/backend_compile_duration"
_STAGES = {
    "/jax/core/compile/jaxpr_trace_duration": "trace",
    "/jax/core/compile/jaxpr_to_mlir_module_duration": "trace",
    _COMPILED: "compile",
}
_events: Counter[str] = Counter()
_spent = {"trace": 0.0, "compile": 0.0}


def _listen(event: str, seconds: float, **_: Any) -> None:
    _events[event] += 1
    if event in _STAGES:
        _spent[_STAGES[event]] += seconds


jax.monitoring.register_event_duration_secs_listener(_listen)

_jit = lru_cache(maxsize=None)(jax.jit)  # one wrapper per function; what it compiles, JAX caches by shape


def _builtin(x: Any, w: Any) -> Any:
    return conv.correlate(x, w, None, Geometry(), "native")


def _gpus() -> list[Any]:
    try:
        return list(jax.devices("cuda"))
    except RuntimeError:  # how JAX says that it has no such backend
        return []


class JaxAdapter:
    """JAX on one device: ``eager`` is plain calls, ``compiled`` is ``jax.jit``."""

    def __init__(self, device: str, mode: str) -> None:
        if mode not in MODES:
            raise ValueError(f"mode {mode!r} is none of {MODES}")
        platform, _, index = device.partition(":")
        self._device = jax.devices(platform)[int(index or 0)]
        self._compiled = mode == "compiled"
        self._loops: dict[str, Callable[[Any, Any], Any]] = {
            "literal": loops.literal,
            "idiomatic": loops.rolled if self._compiled else loops.idiomatic,
            "stacked": loops.stacked,
        }

    def _call(self, function: Callable[..., Any], *operands: Any, static: tuple[int, ...] = ()) -> Any:
        """Call, and do not wait, as JAX does not; ``static`` operands are no arrays."""
        staged = _jit(function, static_argnums=static) if self._compiled else function
        return staged(*operands)

    @classmethod
    def identity(cls) -> Identity:
        """Name JAX, jaxlib (the XLA that compiles the convolution) and, where there are any, CUDA and cuDNN."""
        versions = {"jax": jax.__version__}
        for name in _BACKENDS:
            try:
                versions[name] = metadata.version(name)
            except metadata.PackageNotFoundError:
                continue
        devices = ("cpu", *(f"cuda:{index}" for index in range(len(_gpus()))))
        return Identity("jax", versions, devices, MODES, dtypes.NAMES, (), _SPELLINGS)

    def arithmetic(self, kind: str) -> None:
        """Set ``jax_default_matmul_precision``, which convolutions follow too; it is part of the key of jit's cache."""
        precisions = {"strict": "highest", "tf32": "tensorfloat32", "bf16": "bfloat16", "default": _USERS_PRECISION}
        if kind in ("tf32", "bf16") and self._device.platform == "cpu":
            raise Unsupported(f"jax_default_matmul_precision={precisions[kind]!r} has no effect on XLA's CPU backend")
        jax.config.update("jax_default_matmul_precision", precisions[kind])

    def put(self, array: Array) -> Any:
        """Copy first: ``device_put`` shares a 64-byte aligned NumPy buffer. Bits of bfloat16 become JAX's own dtype."""
        if _events[_COMPILED] > _PROGRAMS_KEPT:
            jax.clear_caches()
            _events.clear()
        own = np.array(array, array.dtype.newbyteorder("="), order="C")
        if own.dtype == dtypes.BFLOAT16:
            own = own.view(jnp.bfloat16)
        return jax.block_until_ready(jax.device_put(own, self._device))

    def get(self, tensor: Any) -> Array:
        """Return a writable copy; ``np.asarray`` would be a read-only view."""
        own = np.array(tensor)
        return own.view(dtypes.BFLOAT16) if own.dtype == jnp.bfloat16 else own

    def sync(self, *tensors: Any) -> None:
        """Wait for these tensors, or for every array of the process."""
        jax.block_until_ready(tensors or jax.live_arrays())

    def corr2d(self, x: Any, k: Any) -> Any:
        """Run the double loop with ``.at[i, j].set``; compiled, it is rolled up in ``lax.fori_loop``."""
        return self._call(self._loops["idiomatic"], x, k)

    def Conv2D(self, kernel_size: tuple[int, int], dtype: Any = "float32") -> loops.Conv2D:  # noqa: N802  chapter's name
        """Make the chapter's layer; JAX has no hidden generator, so its start is always that of key 0."""
        weight = jax.nn.initializers.uniform()(jax.random.PRNGKey(0), tuple(kernel_size), dtype)
        bias = jnp.zeros((1,), dtype)
        return loops.Conv2D(self._own(weight), self._own(bias), self._loops["idiomatic"])

    def _own(self, tensor: Any) -> Any:
        return jax.device_put(tensor, self._device)

    def layer(self, x: Any, w: Any, b: Any) -> Any:
        """Apply the layer that has these parameters: a pytree is made of its leaves."""
        return self._call(loops.apply, loops.Conv2D(w, b, self._loops["idiomatic"]), x)

    def matmul(self, a: Any, b: Any) -> Any:
        """Multiply with ``jnp.matmul``."""
        return self._call(jnp.matmul, a, b)

    def conv2d(self, x: Any, w: Any, b: Any | None, geometry: Geometry, spelling: str = "native") -> Any:
        """Call ``lax.conv_general_dilated``, whose default layouts are the harness's, as are its words for padding.

        ``channels_last`` moves the channels before the call and after it, so that the operator gets, and a compiled
        program takes, arrays that lie so; ``recorded`` is the primal result of ``jax.vjp``.
        """
        function = conv.recorded if spelling == "recorded" else conv.correlate
        laid = conv.laid(x, w, None, geometry, spelling)[:2]
        return conv.unlaid(self._call(function, *laid, b, geometry, spelling, static=(3, 4)), spelling)

    def grads(self, x: Any, w: Any, b: Any | None, dy: Any, geometry: Geometry, spelling: str = "native") -> Grads:
        """Differentiate with ``jax.vjp``, which answers float0, a dtype without values, for integers.

        Of complex numbers it does not conjugate.
        """
        x, w, dy = conv.laid(x, w, dy, geometry, spelling)
        dx, dw, db = self._call(conv.pull_back, x, w, b, dy, geometry, spelling, static=(4, 5))
        if dx.dtype == jax.dtypes.float0:
            raise Unsupported(f"the gradient of a function of {x.dtype} has dtype float0: JAX gives it no values")
        return Grads(conv.unlaid(dx, spelling), conv.unlaid_kernel(dw, geometry, spelling), db)

    def pull_back(self, function: Callable[..., Any], operands: Sequence[Any], dy: Any) -> Sequence[Any]:
        """Differentiate a person's function with ``jax.vjp``."""
        return jax.vjp(function, *operands)[1](dy)

    def train(
        self,
        x: Any,
        y: Any,
        w0: Any | None,
        b0: Any | None,
        lr: float,
        steps: int,
        layer: str,
        kernel_size: Sequence[int],
    ) -> Trained:
        """Train a layer, which is a pytree, by ``jax.value_and_grad`` and ``tree_map``; a compiled unit is one step."""
        if layer not in LAYERS:
            raise ValueError(f"layer {layer!r} is none of {LAYERS}")
        if layer == "custom":
            model = self.Conv2D((kernel_size[0], kernel_size[1]), x.dtype)
        else:
            start = jax.nn.initializers.glorot_uniform(in_axis=1, out_axis=0)
            weight = start(jax.random.PRNGKey(0), (1, 1, *kernel_size), x.dtype)
            model = loops.Conv2D(self._own(weight), None, _builtin)
        model.weight = model.weight if w0 is None else w0
        model.bias = model.bias if b0 is None else b0
        losses, models = [], [model]
        for _ in range(steps):
            loss, model = self._call(loops.step, model, x, y, lr, b0 is not None, static=(4,))
            losses.append(loss)
            models.append(model)
        return Trained(losses, [m.weight for m in models], [] if b0 is None else [m.bias for m in models])

    def differentiate_corr2d(self, x: Any, k: Any, dy: Any, loop: str) -> tuple[Any, Any] | None:
        """Differentiate the loop with ``jax.vjp``; the literal one raises its TypeError already when it runs."""
        dx, dk = self._call(loops.pull_back, x, k, dy, self._loops[loop], static=(3,))
        return None if dx.dtype == jax.dtypes.float0 else (dx, dk)

    def stages(self) -> dict[str, float]:
        """What JAX's monitoring tells: to make a jaxpr and a module of it, and what XLA takes to compile that."""
        return dict(_spent)
