"""What a problem costs, estimated in seconds from its shapes: enough to share work out, before anything is run.

The constants are means over the four frameworks on one core, fitted to measured runs by ``docs/measure/cost.py``; what
a framework's own kernels take differs by more than the estimate is off. Only sums and products are used, so that all
machines come to the same number.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from crosscorrect import dtypes
from crosscorrect.model import Direction

if TYPE_CHECKING:
    from crosscorrect.problem import Problem

CALL = 1.5e-3
"""A question to a worker and its verdict, whatever it is about."""

START = 1.5
"""A worker process with a framework in it."""

ELEMENT, OUTPUT, REAL = 4e-8, 5e-8, 2e-7
"""A number of an input: made, sealed and moved; one of an answer: moved and judged; and judged by what chance allows,
where the data are no whole numbers."""

PLAIN, EXACT, WHOLE = 5.5e-11, 4e-9, 4e-9
"""A multiplication, by framework and oracle together: up to float32, in float64, in integers and complex numbers."""

UNROLLED, UNROLLED_EXACT = 2.5e-9, 1.4e-8
"""A number that the oracle copies to bring windows side by side."""

LOOP = 4e-5
"""One pass of the double loop in Python over the framework's tensors, which makes one element."""

STEP = 1.5e-3
"""One step of a training by the built-in layer."""


def seconds(problem: Problem) -> float:
    """About how long a problem takes in one mode of one framework, all of it: inputs, calls, reference, verdicts."""
    sizes = {name: math.prod(shape) for name, shape in problem.shapes.items()}
    output = sizes.pop("output", 1)
    found: float = CALL + ELEMENT * sum(sizes.values()) + _WORK[problem.operation](problem, output)
    return found + START if problem.isolate else found


def microseconds(problem: Problem) -> int:
    """The same as a whole number, at least 1."""
    return max(1, round(seconds(problem) * 1e6))


def _loop(_: Problem, output: int) -> float:
    return (LOOP + OUTPUT) * output


def _differentiate(problem: Problem, output: int) -> float:
    return CALL + 3 * _loop(problem, output)  # the loop, and back through it


def _matrix(problem: Problem, output: int) -> float:
    return ELEMENT * output * math.prod(problem.shapes["w" if problem.settings["form"] == "unrolled" else "x"])


def _train(problem: Problem, output: int) -> float:
    custom = problem.settings["layer"] == "custom"
    steps: int = problem.settings["steps"]
    return (STEP + (_differentiate(problem, output) if custom else 0.0)) * steps


def _judged(problem: Problem) -> float:
    fills = [spec.get("fill") for spec in problem.arrays.values() if isinstance(spec, dict)]
    return OUTPUT + (REAL if set(fills) & {"normal", "uniform", "wide"} else 0.0)


def _conv2d(problem: Problem, output: int) -> float:
    gradients = sum(d is not Direction.FORWARD for d in problem.directions)
    forward = Direction.FORWARD in problem.directions
    # the oracle takes both gradients when one is asked for
    taken = forward + 2 * (gradients > 0)
    judged = _judged(problem) * (output * forward + gradients * math.prod(problem.shapes["x"]))
    return CALL * (forward + gradients) + judged + taken * _pass(problem)


def _relation(problem: Problem, output: int) -> float:
    fresh = START if problem.settings["relation"] in ("process", "threads") else 0.0
    return fresh + CALL + 2 * OUTPUT * output + 2 * _pass(problem)


def _pass(problem: Problem) -> float:
    """The multiplications of one direction, and the windows that the oracle brings side by side for them."""
    x, w, output, geometry = problem.shapes["x"], problem.shapes["w"], problem.shapes["output"], problem.geometry
    if problem.invalid or geometry is None or not output:
        return 0.0
    slid = x if geometry.transposed else output
    taps = math.prod(w[2:])
    products = math.prod(slid) * w[1] * taps
    if problem.verify:  # a sum over the channels of each group instead of each channel
        products = products * geometry.groups // max(1, w[0])
    windows = slid[0] * math.prod(slid[2:]) * taps * (w[1] if geometry.transposed else w[1] * geometry.groups)
    if problem.dtype in ("float64", "complex128"):
        return EXACT * products + UNROLLED_EXACT * windows
    if problem.dtype in (*dtypes.INTEGER, *dtypes.COMPLEX):
        return WHOLE * products + UNROLLED * windows
    return PLAIN * products + UNROLLED * windows


_WORK = {
    "corr2d": _loop,
    "layer": _loop,
    "matrix": _matrix,
    "train": _train,
    "differentiate": _differentiate,
    "conv2d": _conv2d,
    "relation": _relation,
}
