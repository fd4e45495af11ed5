"""Measure the oracle: ``python docs/measure/oracle.py [ROUNDS]``, beside PyTorch's float64 conv2d if it is installed.

Sets of layer shapes (batch 1) are solved one shape after the other, every way of solving it in turn, so that what else
runs on the machine meets all of them. Of the rounds the fastest counts, for each shape and way: by the clock, and below
it in processor time of all threads, which says more on a machine that is busy otherwise. An oracle time is that
of value, scale S and terms; PyTorch's that of the values alone. Unset OPENBLAS_CORETYPE and OPENBLAS_L2_SIZE, where
they are set: they can choose kernels that are slow on this machine.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from crosscorrect import oracle
from crosscorrect.geometry import Geometry

if TYPE_CHECKING:
    from collections.abc import Callable

Layer = tuple[int, int, int, int, int, int, int]
"""Input channels, input size, output channels, kernel, stride, padding, groups."""

Times = np.ndarray[Any, Any]
"""Seconds by the clock, and of processor time."""

RESNET_50: list[Layer] = [
    (3, 224, 64, 7, 2, 3, 1),
    (64, 56, 64, 1, 1, 0, 1),
    (64, 56, 64, 3, 1, 1, 1),
    (64, 56, 256, 1, 1, 0, 1),
    (256, 56, 64, 1, 1, 0, 1),
    (256, 56, 128, 1, 2, 0, 1),
    (128, 28, 128, 3, 1, 1, 1),
    (128, 28, 512, 1, 1, 0, 1),
    (256, 56, 512, 1, 2, 0, 1),
    (512, 28, 128, 1, 1, 0, 1),
    (512, 28, 256, 1, 2, 0, 1),
    (256, 14, 256, 3, 1, 1, 1),
    (256, 14, 1024, 1, 1, 0, 1),
    (512, 28, 1024, 1, 2, 0, 1),
    (1024, 14, 256, 1, 1, 0, 1),
    (1024, 14, 512, 1, 2, 0, 1),
    (512, 7, 512, 3, 1, 1, 1),
    (512, 7, 2048, 1, 1, 0, 1),
    (1024, 14, 2048, 1, 2, 0, 1),
    (2048, 7, 512, 1, 1, 0, 1),
]
MOBILENET: list[Layer] = [
    (3, 224, 32, 3, 2, 1, 1),
    (32, 112, 64, 1, 1, 0, 1),
    (64, 56, 128, 1, 1, 0, 1),
    (128, 56, 128, 1, 1, 0, 1),
    (128, 28, 256, 1, 1, 0, 1),
    (256, 28, 256, 1, 1, 0, 1),
    (256, 14, 512, 1, 1, 0, 1),
    (512, 14, 512, 1, 1, 0, 1),
    (512, 7, 1024, 1, 1, 0, 1),
    (1024, 7, 1024, 1, 1, 0, 1),
    (1024, 1, 1000, 1, 1, 0, 1),
]
MOBILENET_DEPTHWISE: list[Layer] = [
    (32, 112, 32, 3, 1, 1, 32),
    (64, 112, 64, 3, 2, 1, 64),
    (128, 56, 128, 3, 1, 1, 128),
    (128, 56, 128, 3, 2, 1, 128),
    (256, 28, 256, 3, 1, 1, 256),
    (256, 28, 256, 3, 2, 1, 256),
    (512, 14, 512, 3, 1, 1, 512),
    (512, 14, 512, 3, 2, 1, 512),
    (1024, 7, 1024, 3, 1, 1, 1024),
]
VGG_19: list[Layer] = [
    (3, 224, 64, 3, 1, 1, 1),
    (64, 224, 64, 3, 1, 1, 1),
    (64, 112, 128, 3, 1, 1, 1),
    (128, 112, 128, 3, 1, 1, 1),
    (128, 56, 256, 3, 1, 1, 1),
    (256, 56, 256, 3, 1, 1, 1),
    (256, 28, 512, 3, 1, 1, 1),
    (512, 28, 512, 3, 1, 1, 1),
    (512, 14, 512, 3, 1, 1, 1),
]
SETS = {
    "20 ResNet-50": RESNET_50,
    "11 MobileNet": MOBILENET,
    "9 MobileNet depthwise": MOBILENET_DEPTHWISE,
    "9 VGG-19": VGG_19,
}
WAYS = ("small integers", "normals", "error-free float64", "PyTorch float64")


def main(rounds: str = "5") -> None:
    """Print seconds per set and way, and the ratio to PyTorch."""
    torch_conv = _torch()
    print(f"{'seconds, fastest of ' + rounds:<24}" + "".join(f"{way:>22}" for way in WAYS))
    for name, layers in SETS.items():
        totals = {way: np.zeros(2) for way in WAYS}
        for layer in layers:
            for way, seconds in _measured(layer, torch_conv, int(rounds)).items():
                totals[way] = totals[way] + seconds
        for row, clock in ((name, 0), ("  processor time", 1)):
            base = totals[WAYS[-1]][clock]
            cells = (f"{t[clock]:10.3f}" + (f" ({t[clock] / base:7.2f} x)" if base else "") for t in totals.values())
            print(f"{row:<24}" + "".join(f"{cell:>22}" for cell in cells), flush=True)
    _small(int(rounds))


def _measured(layer: Layer, torch_conv: Callable[..., Any] | None, rounds: int) -> dict[str, Times]:
    """The fastest of the rounds, per way, in seconds by the clock and of processor time."""
    channels, size, out, kernel, stride, pad, groups = layer
    rng = np.random.default_rng(0)
    shapes = (1, channels, size, size), (out, channels // groups, kernel, kernel)
    whole = [rng.integers(-4, 5, shape).astype(np.float32) for shape in shapes]
    normal = [rng.standard_normal(shape, np.float32) for shape in shapes]
    wide = [rng.standard_normal(shape) for shape in shapes]
    geometry = Geometry((stride, stride), ((pad, pad), (pad, pad)), groups=groups)
    runs: dict[str, Callable[[], Any]] = {
        WAYS[0]: lambda: oracle.forward(whole[0], whole[1], None, geometry),
        WAYS[1]: lambda: oracle.forward(normal[0], normal[1], None, geometry),
        WAYS[2]: lambda: oracle.forward(wide[0], wide[1], None, geometry),
    }
    if torch_conv is not None:
        runs[WAYS[3]] = torch_conv(wide[0], wide[1], stride, pad, groups)
    best = {way: np.full(2, np.inf) for way in runs}
    for _ in range(rounds):
        for way, run in runs.items():
            best[way] = np.minimum(best[way], _seconds(run))
    return best


def _small(rounds: int) -> None:
    """Small problems per second, 200 at a time."""
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((2, 3, 9, 8), np.float32), rng.standard_normal((4, 3, 3, 2), np.float32)
    geometry = Geometry((2, 1), ((1, 0), (1, 2)))
    dy = rng.standard_normal(geometry.output_shape(x.shape, w.shape), np.float32)
    for name, run in {
        "forward": lambda: oracle.forward(x, w, None, geometry),
        "both gradients": lambda: oracle.gradients(x, w, None, dy, geometry),
        "forward, error-free": lambda: oracle.forward(x, w, None, geometry, "float64"),
    }.items():
        taken = [_seconds(lambda run=run: [run() for _ in range(200)]) for _ in range(2 * rounds)]
        best, own = np.min(taken, axis=0) / 200
        print(f"small {name}: {1e3 * best:.3f} ms, {1 / best:.0f} per second; processor time {1e3 * own:.3f} ms")


def _seconds(run: Callable[[], Any]) -> Times:
    begin = np.array([time.perf_counter(), time.process_time()])
    run()
    return np.array([time.perf_counter(), time.process_time()]) - begin


def _torch() -> Callable[..., Any] | None:
    """What makes a call of PyTorch's conv2d from arrays; None where it is not installed."""
    try:
        import torch  # noqa: PLC0415
    except ImportError:
        return None
    print(f"numpy {np.__version__}, torch {torch.__version__}, {torch.get_num_threads()} threads")

    def made(x: np.ndarray[Any, Any], w: np.ndarray[Any, Any], stride: int, pad: int, groups: int) -> Callable[[], Any]:
        image, kernel = torch.from_numpy(x), torch.from_numpy(w)

        def run() -> Any:
            with torch.no_grad():
                return torch.nn.functional.conv2d(image, kernel, stride=stride, padding=pad, groups=groups)

        return run

    return made


if __name__ == "__main__":
    main(*sys.argv[1:])
