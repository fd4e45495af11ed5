"""MXNet's engine kept in step: each call of the adapter waits for its own work, and a failure stays with its call.

MXNet computes on engine threads. An error shows when a tensor is waited for, and where nobody waits it comes back from
a later, correct call. Waiting, and emptying the engine after a failure, is enough to stop that, so the engine stays the
one that users run and time; ``MXNET_ENGINE_TYPE=NaiveEngine`` would raise at the call, with the same bits.
"""

from __future__ import annotations

import ctypes
import functools
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import mxnet as mx
from mxnet import nd

from crosscorrect.adapter import Grads, Trained, Unsupported

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Method = TypeVar("Method", bound="Callable[..., Any]")

REFUSING = (
    "only support",
    "not supported",
    "not implemented",
    "natively supported",
    "samller than",
    "valid values are",
)
"""What MXNet says where it has no such operation, rather than no such answer."""
LAYOUT = "could not create a descriptor"
"""What oneDNN says of a layout that it does not have, and of much else."""


def settled(method: Method) -> Method:
    """Wait for what the method started, so that its errors, and no others, are raised by this very call."""

    @functools.wraps(method)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            result = method(*args, **kwargs)
            for tensor in _tensors(result):
                tensor.wait_to_read()
            nd.waitall()
        except Exception:
            recover()
            raise
        return result

    return cast("Method", call)


def refusing(method: Method) -> Method:
    """Raise Unsupported, in MXNet's own words, where it says that it has no such operation; goes round ``settled``."""

    @functools.wraps(method)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return method(*args, **kwargs)
        except mx.base.MXNetError as error:
            words = (*REFUSING, LAYOUT) if kwargs.get("spelling") == "channels_last" else REFUSING
            if any(word in str(error).lower() for word in words):
                raise Unsupported(str(error).rpartition("MXNetError: ")[2].strip()) from error
            raise

    return cast("Method", call)


def _tensors(result: Any) -> Iterator[Any]:
    """Yield the tensors in a result of any method."""
    if isinstance(result, nd.NDArray):
        yield result
    elif isinstance(result, (list, tuple)):
        for part in result:
            yield from _tensors(part)
    elif isinstance(result, (Grads, Trained)):
        yield from _tensors(list(vars(result).values()))


def recover() -> None:
    """Empty the engine of errors, and give it new threads if oneDNN is broken in the old ones.

    A primitive that fails to execute stays in its thread's oneDNN stream, and every later operator fails with it. MXNet
    makes new engine threads, each with a new stream, whenever the process forks; the child has nothing to do.
    """
    _drain()
    try:
        nd.Convolution(
            nd.ones((1, 1, 2, 2)), nd.ones((1, 1, 1, 1)), kernel=(1, 1), num_filter=1, no_bias=True
        ).asnumpy()
    except mx.base.MXNetError:
        child = os.fork()
        if child == 0:
            os._exit(0)
        os.waitpid(child, 0)
        _drain()


def _drain() -> None:
    """Collect pending errors: one failed operator may have spoilt several tensors (a bound, so that it ends)."""
    for _ in range(16):
        try:
            nd.waitall()
        except mx.base.MXNetError:
            continue
        return


def versions() -> dict[str, str]:
    """Tell the versions of MXNet, of oneDNN (from the headers shipped with it) and of the OpenBLAS it has loaded."""
    found = {"mxnet": mx.__version__}
    features = mx.runtime.Features()
    library = Path(mx.libinfo.find_lib_path()[0])
    header = library.parent / "include" / "mkldnn" / "oneapi" / "dnnl" / "dnnl_version.h"
    if features.is_enabled("MKLDNN") and header.exists():
        numbers = re.findall(r"define DNNL_VERSION_(?:MAJOR|MINOR|PATCH) +(\d+)", header.read_text(encoding="utf-8"))
        found["oneDNN"] = ".".join(numbers)
    if features.is_enabled("BLAS_OPEN"):
        config = getattr(ctypes.CDLL(str(library)), "openblas_get_config", None)
        if config is not None:
            config.restype = ctypes.c_char_p
            found["OpenBLAS"] = config().decode().split()[1]
    return found
