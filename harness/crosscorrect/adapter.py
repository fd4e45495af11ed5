"""The adapter protocol: what one module per framework offers so that the harness can question it.

This module travels to every worker, so it is plain Python 3.8 and imports NumPy for its types only.
An adapter keeps to a fixed layout at this boundary: activations ``(N, C, *space)`` and kernels
``(O, I / groups, *space)``, never flipped. It transposes where it must, and the cost shows there. It holds no policy,
no timing, no comparison.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Optional, Sequence, Tuple

try:  # Python 3.8 has Protocol; the guard only keeps type checkers of older stubs quiet
    from typing import Protocol
except ImportError:  # pragma: no cover
    Protocol = object  # type: ignore[assignment]

if TYPE_CHECKING:
    import numpy as np

    from crosscorrect.geometry import Geometry

    Array = np.ndarray[Any, Any]

MODES = ("eager", "compiled")
ARITHMETICS = ("strict", "tf32", "bf16", "fp16", "winograd", "fft", "default")
"""The numeric contracts that a run may declare (research: numerics)."""
SWITCHES = {
    "strict": "strict",
    "tf32": "tf32",
    "bf16": "bf16",
    "fp16": "default",
    "winograd": "default",
    "fft": "default",
    "default": "default",
}
"""What an adapter is told for each contract: no framework has a switch for the algorithms that it may choose itself."""
SPELLINGS = ("native", "apart", "channels_last", "channels_first", "recorded", "module")
"""Ways to ask a framework for the same computation.

``native``: the adapter's plainest. ``apart``: padding as an operation of its own, then the operator without padding.
``channels_last``, ``channels_first``: the image really lies so in memory. ``recorded``: the forward pass computed while
gradients are recorded. ``module``: by the framework's layer class.
"""
LAYERS = ("builtin", "custom")
LOOPS = ("literal", "idiomatic", "stacked")


class Unsupported(Exception):  # noqa: N818  it is a claim about the framework, not an error
    """The framework has no way to express this request: a claim, listed in the expectations and re-tested.

    The reason is in the framework's own words where it has any. Raise it only after trying the detours that
    users take (pad first and use VALID, stack instead of assigning).
    """


@dataclass(frozen=True)
class Identity:
    """Who an adapter speaks for.

    ``versions`` maps component to version (the framework, then its convolution backends: oneDNN, cuDNN, XLA…);
    ``devices`` lists ``cpu``, ``cuda:0``…; ``modes`` is a subset of ``MODES``; ``dtypes`` are names of
    ``crosscorrect.dtypes``: those that the framework can make tensors of, whatever it can compute with them; ``notes``
    are sentences for a person; one that begins ``mode compiled is not offered:`` says why; ``spellings`` is a subset of
    ``SPELLINGS``, and what is not in it is not asked for.
    """

    name: str
    versions: Dict[str, str]
    devices: Tuple[str, ...] = ("cpu",)
    modes: Tuple[str, ...] = ("eager",)
    dtypes: Tuple[str, ...] = ("float32", "float64")
    notes: Tuple[str, ...] = ()
    spellings: Tuple[str, ...] = ("native",)


@dataclass(frozen=True)
class Grads:
    """Gradients with respect to input, kernel and bias, in the framework's tensors; ``db`` is None without a bias."""

    dx: Any
    dw: Any
    db: Any = None


@dataclass(frozen=True)
class Trained:
    """A training run, in the framework's tensors or scalars.

    ``losses[t]`` is the loss before update ``t``; ``weights[t]`` the kernel before it, so ``weights`` has one
    more entry than ``losses``: the first is the start, the last the result. ``biases`` likewise, or empty.
    """

    losses: List[Any]
    weights: List[Any]
    biases: List[Any] = field(default_factory=list)


class Adapter(Protocol):
    """One framework on one device in one mode. All tensors are the framework's own, made by ``put``.

    The worker makes one instance per (device, mode) with ``SomeAdapter(device, mode)``; the module imports its
    framework at its top. Every method may raise ``Unsupported``; any other exception is the framework's and is
    recorded as ``error`` with its type and message.
    """

    def __init__(self, device: str, mode: str) -> None: ...

    @classmethod
    def identity(cls) -> Identity:
        """Name, versions, devices, modes and dtypes on this machine."""

    def arithmetic(self, kind: str) -> None:
        """Set the numeric contract, a value of ``SWITCHES``; ``strict`` is IEEE at the dtype of the tensors."""

    def put(self, array: Array) -> Any:
        """Copy a NumPy array to the device with its dtype kept, sharing no memory with it.

        A bfloat16 array is the structured one of ``crosscorrect.dtypes``, here and in ``get``.
        """

    def get(self, tensor: Any) -> Array:
        """Wait for a tensor and copy it to NumPy with its dtype kept."""

    def sync(self, *tensors: Any) -> None:
        """Wait until these tensors, or without arguments all pending work, are computed; raise late errors."""

    def corr2d(self, x: Any, k: Any) -> Any:
        """The chapter's double loop (In [1]) in the framework's own tensors: ``(H, W), (h, w) -> (H-h+1, W-w+1)``."""

    def Conv2D(self, kernel_size: Tuple[int, int]) -> Any:  # noqa: N802  the chapter's own name
        """The chapter's custom layer (In [3]) as a real layer of the framework, its forward built on ``corr2d``.

        Trainable parameters ``weight`` of shape ``kernel_size`` and scalar ``bias`` of shape ``(1,)``.
        """

    def layer(self, x: Any, w: Any, b: Any) -> Any:
        """``Conv2D(w.shape)`` with its parameters set to ``w`` and ``b`` of shape ``(1,)``, applied to ``(H, W)``."""

    def matmul(self, a: Any, b: Any) -> Any:
        """The framework's matrix product ``(m, k), (k, n) -> (m, n)`` (Problem 3)."""

    def conv2d(self, x: Any, w: Any, b: Optional[Any], geometry: Geometry, spelling: str = "native") -> Any:
        """The built-in operator: ``(N, C, *space), (O, C / groups, *kernel), (O,) or None -> (N, O, *output)``.

        Any geometry: 1, 2 or 3 axes, every padding, dilation, groups, transposed (kernel ``(C, O / groups, *kernel)``).
        What makes no sense reaches the framework as it is, so that the framework answers it. An adapter that lists no
        spelling but ``native`` may leave the last parameter out: it is passed, by its name, only where it is another.
        """

    def grads(self, x: Any, w: Any, b: Optional[Any], dy: Any, geometry: Geometry, spelling: str = "native") -> Grads:
        """Gradients of ``sum(conv2d(x, w, b) * dy)`` by the framework's own automatic differentiation.

        Of complex numbers, the framework's convention stays: most conjugate, JAX does not.
        """

    def train(
        self,
        x: Any,
        y: Any,
        w0: Optional[Any],
        b0: Optional[Any],
        lr: float,
        steps: int,
        layer: str,
        kernel_size: Sequence[int],
    ) -> Trained:
        """The chapter's loop (In [8]): loss ``sum((layer(x) - y) ** 2)``, then ``w -= lr * grad``, and so the bias.

        ``layer`` is ``builtin`` (the framework's own convolution layer; x, y, w0 are 4-D, one channel, b0 ``(1,)``) or
        ``custom`` (``Conv2D`` above; x, y, w0 are 2-D, b0 ``(1,)``). Without ``w0`` the layer's own default
        initialisation starts. Without ``b0`` a builtin layer has no bias that takes part, and a custom layer's
        bias stays zero and is not updated.
        """

    def differentiate_corr2d(self, x: Any, k: Any, dy: Any, loop: str) -> Optional[Tuple[Any, Any]]:
        """What automatic differentiation makes of the double loop (Problem 2): gradients of ``sum(corr2d * dy)``.

        ``loop`` is ``literal`` (``Y[i, j] = …`` as the chapter writes it), ``idiomatic`` (the framework's own way to
        update an element, as its users write it) or ``stacked`` (elements collected and stacked). Returns
        ``(dx, dk)``, or None where the framework answers, without any error, that there is no gradient. The
        framework's exception passes through unchanged: it is the answer.
        """

    def pull_back(self, function: Callable[..., Any], operands: Sequence[Any], dy: Any) -> Sequence[Any]:
        """Gradients of ``sum(function(*operands) * dy)``, one for each operand, by automatic differentiation.

        For functions that a person wrote in the framework; an adapter without such differentiation leaves this out.
        """

    def stages(self) -> Dict[str, float]:
        """Seconds that this process has spent until now to ``trace`` and to ``compile``, as the framework tells.

        An adapter whose framework does not tell leaves this out.
        """
