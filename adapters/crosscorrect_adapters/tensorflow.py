"""The TensorFlow adapter: tensors, modes and training here, the operators themselves in ``_tensorflow_ops``."""

from __future__ import annotations

import functools
import os
import re
from typing import TYPE_CHECKING, Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # TensorFlow reads it once, while it is imported
import keras
import numpy as np
import tensorflow as tf

from crosscorrect import dtypes
from crosscorrect.adapter import Grads, Identity, Trained, Unsupported
from crosscorrect_adapters import _tensorflow_modules as modules, _tensorflow_ops as ops

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from crosscorrect.geometry import Geometry

    Array = np.ndarray[Any, Any]

LOOPS = {"literal": ops.corr2d_literal, "idiomatic": ops.corr2d_assigned, "stacked": ops.corr2d_stacked}
REFUSALS = (tf.errors.InvalidArgumentError, tf.errors.UnimplementedError, tf.errors.NotFoundError, TypeError)
REFUSING = ("allowed values", "support", "Could not find device for node")
GAPS = (*REFUSING, "same depth", "must match last dimension", "same number of channels", "have enough elements")
"""What TensorFlow says where a kernel does not do what another way does; all else is its answer to the request."""
SPELLINGS = ("native", "apart", "channels_first", "recorded", "module")
REMEMBERED = 64  # traced functions kept at a time; each holds a graph
OWN_TF32 = tf.config.experimental.tensor_float_32_execution_enabled()


class TensorflowAdapter:
    """TensorFlow on one device, eager or under ``tf.function`` (see ``crosscorrect.adapter.Adapter``)."""

    def __init__(self, device: str, mode: str) -> None:
        if device not in _devices():  # soft placement would run it on the CPU without a word
            raise Unsupported(f"no device {device!r}: TensorFlow sees {', '.join(_devices())}")
        self._device = tf.device(device.replace("cuda", "GPU"))
        self._waits = device == "cpu"
        self._compiled = mode == "compiled"
        self._ready: dict[Any, Callable[..., Any]] = {}
        self._layers: dict[Any, ops.Corr2DLayer] = {}
        self._modules: dict[Any, Any] = {}

    @classmethod
    def identity(cls) -> Identity:
        """Versions and devices; whether oneDNN is on is found by asking a CPU kernel that only oneDNN has."""
        try:
            with tf.device("CPU"):
                tf.nn.conv2d(tf.ones((1, 1, 2, 2)), tf.ones((1, 1, 1, 1)), 1, "VALID", data_format="NCHW")
        except REFUSALS:
            onednn = "oneDNN is off: Eigen computes convolutions on the CPU"
        else:
            onednn = "oneDNN is on: it computes float32 and bfloat16 convolutions on the CPU, Eigen the others"
        build = tf.sysconfig.get_build_info()
        versions = {"tensorflow": tf.__version__, "keras": keras.__version__}
        versions.update({part: build[f"{part}_version"] for part in ("cuda", "cudnn") if f"{part}_version" in build})
        notes = (
            onednn,
            "compiled is tf.function without XLA",
            "grouped or dilated convolutions that native kernels refuse go through XLA in both modes, as in Keras",
        )
        return Identity("tensorflow", versions, _devices(), ("eager", "compiled"), dtypes.NAMES, notes, SPELLINGS)

    def arithmetic(self, kind: str) -> None:
        """Switch TensorFloat-32, which only GPUs have; ``default`` restores what TensorFlow was imported with."""
        if kind == "bf16":
            raise Unsupported("TensorFlow has no switch that rounds float32 operands to bfloat16")
        if kind == "tf32" and not tf.config.list_physical_devices("GPU"):
            raise Unsupported("TensorFloat-32 is only used by GPUs; TensorFlow sees none")
        self._ready.clear()  # XLA bakes the switch into what it compiles
        tf.config.experimental.enable_tensor_float_32_execution(OWN_TF32 if kind == "default" else kind == "tf32")

    def put(self, array: Array) -> Any:
        """Copy to the device; ``tf.constant`` never shares NumPy's memory. Bits of bfloat16 are cast to it."""
        with self._device:
            if array.dtype == dtypes.BFLOAT16:
                return tf.bitcast(tf.constant(np.ascontiguousarray(array["bfloat16"])), tf.bfloat16)
            return tf.constant(array)

    def get(self, tensor: Any) -> Array:
        """Wait and copy; NumPy knows every dtype but bfloat16 by the same name."""
        own: Array = tensor.numpy()
        return own.view(dtypes.BFLOAT16) if tensor.dtype == tf.bfloat16 else own

    def sync(self, *_tensors: Any) -> None:
        """Wait for every device, where it is needed: operations on the CPU are done when they return.

        To ask takes time, which would count as TensorFlow's own in every call that is timed.
        """
        if not self._waits:
            tf.test.experimental.sync_devices()

    def corr2d(self, x: Any, k: Any) -> Any:
        """Run the loop with assignment; compiled, its elements are stacked, for tf.function may not make variables."""
        return self._run("corr2d", [(ops.corr2d_stacked if self._compiled else ops.corr2d_assigned, False)], x, k)

    def Conv2D(self, kernel_size: tuple[int, int]) -> ops.Corr2DLayer:  # noqa: N802  the chapter's own name
        """Make a float32 ``Corr2DLayer``, a ``keras.layers.Layer``."""
        with self._device:
            return ops.Corr2DLayer(kernel_size)

    def layer(self, x: Any, w: Any, b: Any) -> Any:
        """One ``Corr2DLayer`` per kernel size and dtype is kept, so that what was traced with it can be used again."""
        key = (tuple(w.shape), x.dtype.name)
        with self._device:
            if key not in self._layers:
                self._layers[key] = ops.Corr2DLayer(*key)
            layer = self._layers[key]
            layer.weight.assign(w)
            layer.bias.assign(b)
        return self._run(("layer", key), [(layer, False)], x)

    def matmul(self, a: Any, b: Any) -> Any:
        """``tf.matmul``."""
        return self._run("matmul", [(tf.matmul, False)], a, b)

    def conv2d(self, x: Any, w: Any, b: Any | None, geometry: Geometry, spelling: str = "native") -> Any:
        """``tf.nn.conv{1,2,3}d`` or ``tf.nn.conv_transpose``, by the first of ``ways`` that TensorFlow takes.

        ``module`` is ``keras.layers.Conv1D``… ``Conv3DTranspose``; ``recorded`` is under a tape.
        """
        if spelling == "module":
            key, layer = self._module(x, w, b, geometry)
            return self._run(("apply", key), [(functools.partial(modules.apply, layer=layer), False)], x)
        if spelling == "recorded":
            _watchable(x)
        function = ops.recorded if spelling == "recorded" else ops.correlate
        return self._run(("conv2d", geometry, spelling), ops.ways(function, geometry, spelling), x, w, b)

    def grads(self, x: Any, w: Any, b: Any | None, dy: Any, geometry: Geometry, spelling: str = "native") -> Grads:
        """``tf.GradientTape`` over ``conv2d``; for integers the tape would say None, which is a refusal.

        As ``module``, with respect to the variables of the layer.
        """
        _watchable(x)
        if spelling == "module":
            key, layer = self._module(x, w, b, geometry)
            way = functools.partial(modules.gradients, layer=layer)
            return Grads(*self._run(("slopes", key), [(way, False)], x, dy))
        return Grads(
            *self._run(("grads", geometry, spelling), ops.ways(ops.gradients, geometry, spelling), x, w, b, dy)
        )

    def _module(self, x: Any, w: Any, b: Any | None, geometry: Geometry) -> tuple[Any, Any]:
        """Give the Keras layer of these shapes, which is kept with what was traced with it, and its key."""
        key = (geometry, tuple(x.shape), tuple(w.shape), b is None, x.dtype.name)
        with self._device:
            if key not in self._modules:
                if len(self._modules) >= REMEMBERED:
                    self._modules.clear()
                    self._ready.clear()
                self._modules[key] = modules.make(x, w, b, geometry)
            modules.fill(self._modules[key], w, b)
        return key, self._modules[key]

    def pull_back(self, function: Callable[..., Any], operands: Sequence[Any], dy: Any) -> Sequence[Any]:
        """Differentiate a person's function by ``tf.GradientTape``."""
        with tf.GradientTape() as tape:
            tape.watch(list(operands))
            y = function(*operands)
        return tape.gradient(y, list(operands), dy)

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
        """Train ``keras.layers.Conv2D`` or ``Corr2DLayer``; compiled, a step is a tf.function."""
        if w0 is None:  # Keras draws the seed of its initialisers from Python's generator: a run again starts the same
            keras.utils.set_random_seed(0)
        builtin = layer == "builtin"
        with self._device:
            if builtin:  # Keras' CPU convolution wants channels last; its kernel is (h, w, in, out)
                x, y = (tf.transpose(t, (0, 2, 3, 1)) for t in (x, y))
                model = keras.layers.Conv2D(1, tuple(kernel_size), use_bias=b0 is not None, dtype=x.dtype.name)
                model.build(x.shape)
                weight, start = model.kernel, None if w0 is None else tf.transpose(w0, (2, 3, 1, 0))
            else:
                model = ops.Corr2DLayer(kernel_size, x.dtype.name)
                weight, start = model.weight, w0
            if start is not None:
                weight.assign(start)
            if b0 is not None:
                model.bias.assign(b0)
            trained = [weight] if b0 is None else [weight, model.bias]

            def step() -> Any:
                with tf.GradientTape() as tape:
                    loss = tf.reduce_sum((model(x, training=True) - y) ** 2)
                for variable, gradient in zip(trained, tape.gradient(loss, trained)):
                    variable.assign_sub(lr * gradient)
                return loss

            take, order = self._trace(step), (3, 2, 0, 1) if builtin else (0, 1)
            losses, history = [], [[tf.identity(v) for v in trained]]
            for _ in range(steps):
                losses.append(take())
                history.append([tf.identity(v) for v in trained])
            weights = [tf.transpose(state[0], order) for state in history]
        return Trained(losses, weights, [state[1] for state in history] if b0 is not None else [])

    def differentiate_corr2d(self, x: Any, k: Any, dy: Any, loop: str) -> tuple[Any, Any] | None:
        """Tape a loop; assigned elements leave no trace on it, and its answer is a silent None."""

        def differentiate(x: Any, k: Any, dy: Any) -> Any:
            with tf.GradientTape() as tape:
                tape.watch([x, k])
                y = LOOPS[loop](x, k)
            return tape.gradient(y, [x, k], output_gradients=dy)

        with self._device:
            dx, dk = self._trace(differentiate)(x, k, dy)
        return None if dx is None or dk is None else (dx, dk)

    def _trace(self, function: Callable[..., Any], xla: bool = False) -> Callable[..., Any]:
        if not (self._compiled or xla):
            return function
        # a partial of its own per trace: tf.function counts retracing per code object and would warn
        return tf.function(functools.partial(function), autograph=False, jit_compile=xla or None)

    def _run(self, name: Any, ways: Sequence[ops.Way], *tensors: Any) -> Any:
        """Call the first way that TensorFlow takes and remember it for these shapes: one trace each, no retracing."""
        key = (name, *(None if t is None else (tuple(t.shape), t.dtype.name) for t in tensors))
        with self._device:
            if key in self._ready:
                return self._ready[key](*tensors)
            first: Exception | None = None
            for function, xla in ways:
                call = self._trace(function, xla)
                try:
                    result = call(*tensors)
                except REFUSALS as error:
                    first = first or error
                    if any(words in str(error) for words in GAPS):
                        continue
                    break  # another way is no answer to a request that makes no sense
                if len(self._ready) >= REMEMBERED:
                    self._ready.pop(next(iter(self._ready)))
                self._ready[key] = call
                return result
        raise _refused(first or AssertionError("there is always a way"))


def _watchable(x: Any) -> None:
    if not (x.dtype.is_floating or x.dtype.is_complex):
        raise Unsupported(f"The dtype of the watched tensor must be floating (e.g. tf.float32), got {x.dtype!r}")


def _refused(error: Exception) -> Exception:
    """Return ``Unsupported`` in TensorFlow's own words where that is what it says, else the error itself."""
    for line in str(error).splitlines():
        if any(words in line for words in REFUSING):
            plain = re.sub(r"\x1b\[\d*m|\{\{function_node [^}]*\}\}", "", line)
            return Unsupported(plain.split(" [Op:")[0].split("\t")[0].strip(" ;"))
    return error


def _devices() -> tuple[str, ...]:
    return ("cpu", *(f"cuda:{i}" for i, _ in enumerate(tf.config.list_physical_devices("GPU"))))
