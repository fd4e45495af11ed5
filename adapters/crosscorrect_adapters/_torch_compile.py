"""Running a function as written or through torch.compile, compiled once per static shape."""

from __future__ import annotations

import os
import shutil
import sysconfig
from pathlib import Path
from types import FunctionType
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

KEEP = 256  # compiled functions kept alive; beyond that all are dropped, and compiled again when they are met


def obstacle() -> str:
    """Say what torch.compile lacks on this machine to build its C++ kernels; empty if nothing."""
    compiler = os.environ.get("CXX", "g++")
    if shutil.which(compiler) is None:
        return f"torch.compile needs a C++ compiler, and {compiler} is not on the PATH (CXX names another)"
    if not Path(sysconfig.get_path("include"), "Python.h").is_file():
        return "torch.compile needs the headers of Python, and Python.h is not there"
    return ""


class Compiler:
    """Runs functions of tensors, modules and hashable settings; compiles them first where asked to."""

    def __init__(self, *, compiles: bool) -> None:
        self.compiles = compiles
        self._compiled: dict[Hashable, Any] = {}

    def run(self, function: Callable[..., Any], *args: Any) -> Any:
        """Call ``function(*args)``, in compiled mode by a graph made for the shapes and dtypes of these arguments."""
        if not self.compiles:
            return function(*args)
        key = (function, *map(_signature, args))
        if key not in self._compiled:
            if len(self._compiled) >= KEEP:
                self.forget()
            self._compiled[key] = torch.compile(_fresh(function), dynamic=False, fullgraph=True)
        return self._compiled[key](*args)

    def forget(self) -> None:
        """Drop every compiled function, for example because the arithmetic they were compiled under has changed."""
        if self.compiles:
            self._compiled.clear()
            torch.compiler.reset()


def _fresh(function: Any) -> FunctionType:
    # Dynamo counts recompilations per code object and after eight shapes refuses; a copy of the code counts for itself
    return FunctionType(
        function.__code__.replace(), function.__globals__, function.__name__, None, function.__closure__
    )


def _signature(value: Any) -> Hashable:
    if isinstance(value, torch.Tensor):
        return value.shape, value.stride(), value.dtype, value.requires_grad
    if isinstance(value, torch.nn.Module):
        return (type(value), *((name, _signature(p)) for name, p in value.named_parameters()))
    hash(value)
    key: Hashable = value
    return key
