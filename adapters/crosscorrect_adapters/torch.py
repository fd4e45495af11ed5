"""PyTorch, eager and through torch.compile."""

from __future__ import annotations

import re
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from crosscorrect import dtypes
from crosscorrect.adapter import Grads, Identity, Trained, Unsupported
from crosscorrect_adapters import _torch_modules as modules
from crosscorrect_adapters._torch_compile import Compiler, obstacle
from crosscorrect_adapters._torch_conv import channels_last, correlate, spell, transpose
from crosscorrect_adapters._torch_loops import LOOPS, Conv2D, compilable, corr2d, stacked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from crosscorrect.geometry import Geometry

    Array = np.ndarray[Any, Any]

SEED = 0
ONEDNN = getattr(torch.backends.mkldnn, "conv", None)  # its precision of float32 convolutions, since PyTorch 2.9
OWN = (  # the framework's defaults, as imported
    torch.get_float32_matmul_precision(),
    torch.backends.cudnn.allow_tf32,
    getattr(ONEDNN, "fp32_precision", ""),
)
SPELLINGS = ("native", "apart", "channels_last", "recorded", "module")


class TorchAdapter:
    """PyTorch on one device. Compiled mode compiles the forward call; autograd then compiles its backward."""

    def __init__(self, device: str, mode: str) -> None:
        if mode == "compiled" and obstacle():
            raise Unsupported(obstacle())
        self._device = torch.device(device)
        if self._device.type == "cuda" and (self._device.index or 0) >= torch.cuda.device_count():
            raise Unsupported(f"PyTorch {torch.__version__} sees no {device} here")
        self._compiler = Compiler(compiles=mode == "compiled")

    @classmethod
    def identity(cls) -> Identity:
        """PyTorch, and the libraries that its build names: oneDNN and MKL on the CPU, CUDA and cuDNN."""
        config = torch.__config__.show()
        versions = {"torch": torch.__version__}
        for name, pattern in (("oneDNN", r"MKL-DNN v([\d.]+)"), ("MKL", r"Math Kernel Library Version ([\d.]+)")):
            found = re.search(pattern, config)
            if found:
                versions[name] = found[1]
        devices = ["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
        if len(devices) > 1:
            versions.update({"CUDA": str(torch.version.cuda), "cuDNN": str(torch.backends.cudnn.version())})
        lack = obstacle()
        modes = ("eager",) if lack else ("eager", "compiled")
        notes = (f"mode compiled is not offered: {lack}",) if lack else ()
        known = tuple(name for name in dtypes.NAMES if hasattr(torch, name))  # some unsigned ones came with 2.3
        return Identity("torch", versions, tuple(devices), modes, known, notes, SPELLINGS)

    def arithmetic(self, kind: str) -> None:
        """Allow or forbid TF32, bfloat16 and reduced-precision sums; ``default`` is as PyTorch was imported."""
        if kind == "tf32" and self._device.type != "cuda":
            raise Unsupported(f"PyTorch has TF32 on CUDA devices only, not on {self._device}")
        if kind == "bf16" and self._device.type == "cpu" and not _rounds_to_bfloat16():
            raise Unsupported("PyTorch rounds float32 to bfloat16 on a CPU only by oneDNN, on CPUs that have bfloat16")
        precision, tf32, onednn = {
            "strict": ("highest", False, "ieee"),
            "tf32": ("high", True, "ieee"),
            "bf16": ("medium", True, "bf16"),
            "default": OWN,
        }[kind]
        torch.set_float32_matmul_precision(precision)
        torch.backends.cudnn.allow_tf32 = tf32
        if ONEDNN is not None:
            ONEDNN.fp32_precision = onednn
        torch.backends.cuda.matmul.allow_fp16_reduced_precision_reduction = kind != "strict"
        torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction = kind != "strict"
        self._compiler.forget()

    def put(self, array: Array) -> Any:
        """Copy an array; ``from_numpy`` alone would share its memory, and refuses negative strides and bfloat16."""
        own = np.array(array, dtype=array.dtype.newbyteorder("="), order="C")
        if own.dtype == dtypes.BFLOAT16:
            return torch.from_numpy(own["bfloat16"].view(np.int16)).view(torch.bfloat16).to(self._device)
        return torch.from_numpy(own).to(self._device)

    def get(self, tensor: Any) -> Array:
        """Copy a tensor; ``numpy`` alone would be a writable view of it, and refuses bfloat16."""
        own = tensor.detach().cpu().resolve_conj().resolve_neg()
        if own.dtype == torch.bfloat16:
            return np.array(own.view(torch.int16).numpy(), order="C").view(dtypes.BFLOAT16)
        return np.array(own.numpy(), order="C")

    def sync(self, *tensors: Any) -> None:  # noqa: ARG002  PyTorch waits for a device, not for a tensor
        """Wait for the device; the CPU has finished when a call returns."""
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)

    def corr2d(self, x: Any, k: Any) -> Any:
        """Run the chapter's double loop; compiled, it is unrolled into one graph."""
        with _refusing():
            return self._compiler.run(compilable(x, k) if self._compiler.compiles else corr2d, x, k)

    def Conv2D(self, kernel_size: tuple[int, int]) -> Any:  # noqa: N802  the chapter's own name
        """Make the chapter's custom layer."""
        return Conv2D(kernel_size).to(self._device)

    def layer(self, x: Any, w: Any, b: Any) -> Any:
        """Apply the custom layer with its parameters set."""
        layer = Conv2D(tuple(w.shape), compilable(x, w) if self._compiler.compiles else corr2d)
        layer.weight, layer.bias = modules.parameter(w, trains=False), modules.parameter(b, trains=False)
        with _refusing():
            return self._compiler.run(_apply, layer, x)

    def matmul(self, a: Any, b: Any) -> Any:
        """Multiply, ``a @ b``."""
        with _refusing():
            return self._compiler.run(_matmul, a, b)

    def conv2d(self, x: Any, w: Any, b: Any | None, geometry: Geometry, spelling: str = "native") -> Any:
        """Correlate by ``conv1d``… ``conv_transpose3d``, padding spelt as PyTorch's own where it has the words.

        ``module`` is ``torch.nn.Conv1d``… ``ConvTranspose3d``; ``channels_last`` the memory format of that name.
        """
        if spelling == "module":
            layer = modules.layer(x, w, b, geometry)
            with _refusing():
                return self._compiler.run(modules.apply, layer, x, geometry)
        return self._operator(_laid((x, w, b), spelling), geometry, spelling)

    def _operator(self, tensors: Sequence[Any], geometry: Geometry, spelling: str) -> Any:
        x, w, b = tensors
        call = spell(geometry, tuple(x.shape[2:]), tuple(w.shape[2:]), apart=spelling == "apart")
        with _refusing():
            return self._compiler.run(transpose if geometry.transposed else correlate, x, w, b, call)

    def grads(self, x: Any, w: Any, b: Any | None, dy: Any, geometry: Geometry, spelling: str = "native") -> Grads:
        """Differentiate by autograd; as ``module``, in the parameters of the layer."""
        if spelling == "module":
            layer, image = modules.layer(x, w, b, geometry), modules.leaf(x)
            leaves = [image, layer.weight, layer.bias]
            with _refusing():
                y = self._compiler.run(modules.apply, layer, image, geometry)
        else:
            laid = _laid((x, w, b, dy), spelling)
            leaves, dy = [None if t is None else modules.leaf(t) for t in laid[:3]], laid[3]
            y = self._operator(leaves, geometry, spelling)
        with _refusing():
            return Grads(*torch.autograd.grad(y, [t for t in leaves if t is not None], dy))

    def pull_back(self, function: Callable[..., Any], operands: Sequence[Any], dy: Any) -> Sequence[Any]:
        """Differentiate a person's function by autograd; None for an operand that its answer does not depend on."""
        leaves = [modules.leaf(t) for t in operands]
        y = function(*leaves)
        if isinstance(y, torch.Tensor) and not y.requires_grad:
            return [None] * len(leaves)
        return torch.autograd.grad(y, leaves, dy, allow_unused=True)

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
        """Run the chapter's loop on ``torch.nn.Conv2d`` or on the custom layer, by autograd's ``backward``."""
        torch.manual_seed(SEED)  # so that an own start is the same whatever ran before in this process
        if layer == "custom":
            # the literal loop compiles too, but the backward of twelve nested assignments takes 17 s already
            loop = stacked if self._compiler.compiles else corr2d
            model: Any = Conv2D((kernel_size[0], kernel_size[1]), loop)
        else:
            model = torch.nn.Conv2d(1, 1, tuple(kernel_size), bias=b0 is not None)
        model.to(x.device, x.dtype)
        if w0 is not None:
            model.weight = modules.parameter(w0)
        if model.bias is not None:
            model.bias = modules.parameter(model.bias if b0 is None else b0, trains=b0 is not None)
        losses, weights, biases = [], [_snapshot(model.weight)], [] if b0 is None else [_snapshot(model.bias)]
        for _ in range(steps):
            loss = self._compiler.run(_loss, model, x, y)
            model.zero_grad()
            loss.backward()
            with torch.no_grad():
                for parameter in model.parameters():
                    if parameter.requires_grad:
                        parameter -= lr * parameter.grad  # noqa: PLW2901  in place, as the chapter's ``[:] -=``
            losses.append(loss.detach())
            weights.append(_snapshot(model.weight))
            if b0 is not None:
                biases.append(_snapshot(model.bias))
        return Trained(losses, weights, biases)

    def differentiate_corr2d(self, x: Any, k: Any, dy: Any, loop: str) -> tuple[Any, Any] | None:
        """Differentiate a form of the double loop by autograd."""
        x, k = x.detach().clone().requires_grad_(), k.detach().clone().requires_grad_()
        dx, dk = torch.autograd.grad(self._compiler.run(LOOPS[loop], x, k), (x, k), dy)
        return dx, dk

    def stages(self) -> dict[str, float]:
        """What Dynamo's counters tell: to make a graph of the code, and what the backend takes to compile that."""
        dynamo = sys.modules.get("torch._dynamo.utils")  # it takes a second to be imported: only who compiles has it
        spent = {name: sum(each) for name, each in getattr(dynamo, "compilation_time_metrics", {}).items()}
        compiled = spent.get("OutputGraph.call_user_compiler", 0.0)
        return {"trace": max(0.0, spent.get("_compile.compile_inner", 0.0) - compiled), "compile": compiled}


def _matmul(a: Any, b: Any) -> Any:
    """Multiply two matrices: a Python function, because those are what torch.compile takes."""
    return a @ b


def _apply(layer: Any, x: Any) -> Any:
    return layer(x)


def _loss(layer: Any, x: Any, y: Any) -> Any:
    return ((layer(x) - y) ** 2).sum()


@contextmanager
def _refusing() -> Iterator[None]:
    """Raise Unsupported, in PyTorch's words, where it has no kernel for a dtype."""
    try:
        yield
    except NotImplementedError as error:
        raise Unsupported(str(error)) from error


def _laid(tensors: Sequence[Any], spelling: str) -> list[Any]:
    """The tensors of a call as the spelling wants them in memory, or recorded."""
    if spelling == "channels_last":
        return [channels_last(t) for t in tensors]
    if spelling == "recorded":
        return [None if t is None else modules.leaf(t) for t in tensors]
    return list(tensors)


def _rounds_to_bfloat16() -> bool:
    asked = torch.ops.mkldnn._is_mkldnn_bf16_supported  # noqa: SLF001  how PyTorch's own modules ask
    return ONEDNN is not None and bool(asked())


def _snapshot(parameter: Any) -> Any:
    return parameter.detach().clone()
