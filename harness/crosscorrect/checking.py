"""``crosscorrect.check``: the problems that a person's own convolution can be asked, judged like a framework's."""

from __future__ import annotations

import math
import platform
import traceback
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from crosscorrect import dtypes as kinds, lock, registry, rows, store
from crosscorrect.adapter import ARITHMETICS, SWITCHES, Unsupported
from crosscorrect.checked import Checked
from crosscorrect.errors import IncompleteError, UsageError, inert
from crosscorrect.fitting import Fitting
from crosscorrect.geometry import Geometry
from crosscorrect.handmade import Handmade, Here
from crosscorrect.layout import KNOWN, Layout, assumed
from crosscorrect.model import Direction
from crosscorrect.nearest import each
from crosscorrect.plan import Preparation
from crosscorrect.problem import LEVELS
from crosscorrect.registry import Framework
from crosscorrect.selection import Selection
from crosscorrect.shipped import shipped_suites
from crosscorrect.suite import find_suites, load_shipped, load_suite
from crosscorrect.takes import OPERANDS, SWAPPED, Takes
from crosscorrect.trial import Trial

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence


SUITES = ("chapter", "handmade")
"""What is asked where a person names no suite."""
BUDGET = 10.0
"""Seconds that are spent where a person gives no other number."""
TRIED = ("HW", "NCHW", "CHW", "W", "NCW", "NCDHW")
"""The layouts that are tried where a person names none; the first that is taken is the one."""
FLOATS = ("float32", "float64")
"""The dtypes that are asked where a person names none."""
DTYPED = ("dtypes", "smoke")
"""The suites that have problems of other dtypes."""
DIRECTIONS = tuple(direction.value for direction in Direction if direction is not Direction.TRAIN)
PATIENT = ("numpy", "torch", "jax")
"""Those whose operators answer arrays of wrong axes with an exception; TensorFlow 2.21 ends the process instead."""


def check(
    function: Callable[..., Any],
    suites: Iterable[str | Path] | str | Path = SUITES,
    *,
    layout: str | None = None,
    takes: Mapping[str, Any] | None = None,
    always: Mapping[str, Any] | None = None,
    backward: Callable[..., Any] | None = None,
    arrays: str = "numpy",
    device: str = "cpu",
    dtypes: Iterable[str] | str = FLOATS,
    directions: Iterable[str] | str | None = None,
    arithmetic: str = "strict",
    only: Iterable[str] | str = (),
    level: str = "ci",
    seed: int = 0,
    budget: float = BUDGET,
    results: Path | str | None = None,
) -> Checked:
    """Ask a convolution that somebody wrote problems with known answers; the result is true where all passed.

    ``function(x, w)`` takes an image and a kernel and returns their cross-correlation, in the dtype of ``x``. It may
    have parameters for ``bias``, ``stride``, ``padding``, ``dilation`` and ``groups`` (or other usual names of these).
    They are given by their names, in the form of their defaults: where ``stride=1`` it is a number, where
    ``stride=(1, 1)`` one per axis; ``padding`` may be a number, one per axis, ``((0, 0), (0, 0))`` or a word. What it
    has no parameter for is not asked. ``takes`` maps parameters to other examples than their defaults, and names those
    of a function whose signature cannot be read. ``always`` says what it does in any case, as ``{"padding": "same"}``
    or ``{"stride": 2}``: only such problems are asked.

    ``layout`` is the order of the axes of the image: ``HW``, ``CHW``, ``NCHW``, ``NHWC`` … (``layout.KNOWN``); kernels
    are then (kh, kw), (O, I, kh, kw) or, with the channels last, (kh, kw, I, O). Without it the function is tried on
    small arrays of each. ``arrays`` is what it is given: ``numpy``, or the tensors of an adapter (``torch``, ``jax`` …)
    on ``device``. ``directions`` beside ``forward`` (``grad_input``, ``grad_weight``, ``grad_bias``) are taken by that
    framework's differentiation, or are what ``backward(dy, x, w)`` returns, a person's own backward pass, as (dx, dw)
    or (dx, dw, db); it takes bias and geometry like ``function``. Left out: ``forward``, with ``backward`` all of them.
    ``suites``, ``only``, ``level``, ``seed`` and ``arithmetic`` are as for ``run``.

    One problem of each case is asked first, small ones before large ones; what would take longer than ``budget``
    seconds in all is left out, and the result says so. Nothing is written unless ``results`` names the folder for a run
    folder, which ``report`` and ``explain`` read. The function is called in this process: an exception is the verdict
    ``error``, but what ends the process ends the caller, and nothing stops a function that does not return. What it
    prints is printed.

    Raises UsageError for a request that cannot be meant, and where no problem fits; CaseError for a defect of a suite;
    IncompleteError where the framework of ``arrays`` cannot be imported.
    """
    if directions is None:
        directions = ("forward",) if backward is None else DIRECTIONS
    dtypes, directions = each(dtypes), each(directions)
    _wanted(
        [function, *([] if backward is None else [backward])], dtypes, directions, arithmetic=arithmetic, level=level
    )
    if not (isinstance(budget, (int, float)) and 0 < budget < math.inf):
        raise UsageError(f"budget is a number of seconds above 0, not {inert(repr(budget))[:60]}")
    if not isinstance(seed, int) or isinstance(seed, bool):
        raise UsageError(f"seed is a whole number, not {inert(repr(seed))[:60]}")
    if arrays == "numpy" and "bfloat16" in dtypes:
        raise UsageError(
            "dtype 'bfloat16' is none of NumPy's: ask for it with the tensors of a framework, arrays='torch'"
        )
    shipped = shipped_suites().values()
    paths = find_suites([str(suite) for suite in each(suites)])
    loaded = [load_shipped(path) if path in shipped else load_suite(path) for path in paths]
    selection = Selection(loaded, each(only), level)
    selection.check()
    taken = [Takes.of(function, takes, always)]
    taken += [] if backward is None else [Takes.of(backward, takes, always, ("dy", *OPERANDS))]
    base = _base(arrays, device, differentiates=backward is None and set(directions) != {"forward"})
    try:
        base.arithmetic(SWITCHES[arithmetic])
        chosen, refused = (Layout.of(layout), {}) if layout is not None else _tried(function, taken[0], base, arrays)
        handmade = Handmade(function, taken[0], chosen, base, None if backward is None else (backward, taken[1]))
        fitting = Fitting(taken, chosen, dtypes, tuple(map(Direction, directions)))
        problems = list(fitting.of(selection))
        if not problems:
            raise UsageError(_unmet([suite.name for suite in loaded], fitting, level, is_assumed=bool(refused)))
        result = Checked(handmade, arrays, unasked=dict(fitting.unasked), refused=refused, budget=budget)
        trial = Trial(result, Here(handmade, device, arithmetic), Preparation(seed), device, arithmetic)
        if results is None:
            trial.ask(problems)
        else:
            said = {**selection.describe(), "devices": [device], "arithmetic": arithmetic, "seed": seed}
            with _recorded(Path(results), trial, said):
                trial.ask(problems)
    except Unsupported as refusal:
        raise UsageError(f"arrays {arrays!r}: {refusal}") from None
    finally:
        base.arithmetic("default")
    return result


def _wanted(functions: Iterable[object], dtypes: Sequence[str], directions: Sequence[str], **words: str) -> None:
    """Raise UsageError for what is no function, and for a word that is none of those that mean something."""
    for given in functions:
        if not callable(given):
            kind = type(given).__name__
            raise UsageError(f"check takes functions of an image and a kernel, not an object of type {kind}")
    offered: dict[str, Sequence[str]] = {"dtype": kinds.NAMES, "direction": DIRECTIONS}
    offered |= {"arithmetic": ARITHMETICS, "level": LEVELS}
    given = [("dtype", name) for name in dtypes] + [("direction", way) for way in directions] + list(words.items())
    for key, word in given:
        if word not in offered[key]:
            raise UsageError(f"{key} {inert(repr(word))[:60]} is none of {', '.join(offered[key])}")


def _unmet(names: Sequence[str], fitting: Fitting, level: str, *, is_assumed: bool) -> str:
    """Why no problem of the suites of these names can be asked, and what to say instead."""
    said = [f"no problem of {', '.join(names)} can be asked: {fitting.why()}"]
    said += [SWAPPED] if fitting.takes[0].swapped else []
    said += [assumed(fitting.layout)] if is_assumed else []
    if not {*fitting.dtypes} & {*FLOATS}:
        paths = {name: path for name, path in shipped_suites().items() if name in DTYPED}
        having = [name for name, path in paths.items() if any(fitting.of(Selection([load_shipped(path)], (), level)))]
        said += [f"such problems are in {' and '.join(having)}: say suites={having}"] if having else []
    return "; ".join(said)


def _base(arrays: str, device: str, *, differentiates: bool) -> Any:
    """The adapter whose tensors the callable is given. Raises UsageError, IncompleteError."""
    try:
        kind = registry.known(arrays).load()
    except ImportError as error:
        raise IncompleteError(
            f"arrays {arrays!r}: this Python cannot import what its adapter needs ({inert(error)}); install it here, "
            "or check where it is"
        ) from None
    if differentiates and not hasattr(kind, "pull_back"):
        raise UsageError(
            f"arrays {arrays!r} have no automatic differentiation; ask for directions=('forward',), or hand "
            "in a backward pass, or a function of arrays='torch' or 'jax'"
        )
    devices = kind.identity().devices
    if device not in devices:
        raise UsageError(f"{arrays} sees no device {device!r} here, only {', '.join(devices)}")
    return kind(device, "eager")


def _tried(function: Callable[..., Any], takes: Takes, base: Any, arrays: str) -> tuple[Layout, dict[str, str]]:
    """The first layout whose small arrays are taken: without an exception, and with as many axes in the answer.

    Where none is, that of the chapter, or for a function with groups that of a batch, and what became of each, by its
    letters. Raises UsageError where trying is not safe.
    """
    if arrays not in PATIENT:
        raise UsageError(
            f"say with layout=… in which order the arrays have their axes ({', '.join(KNOWN)}): to try it out might "
            f"end this process, because {arrays} need not answer other arrays with an exception"
        )
    bias = takes.parameters.get("bias")
    refused = {}
    for letters in TRIED:
        layout = Layout.of(letters)
        rank = layout.rank
        x = np.arange(3.0**rank, dtype=np.float32).reshape(1, 1, *[3] * rank)
        w = np.arange(2.0**rank, dtype=np.float32).reshape(1, 1, *[2] * rank)
        given = {"x": x, "w": w} | ({"b": np.ones(1, np.float32)} if bias is not None and bias.needed else {})
        handmade = Handmade(function, takes, layout, base)
        one = (1,) * rank
        try:
            y = handmade.called(handmade.laid(given), handmade.arguments(given, Geometry(one, "valid", one)))
        except Exception as error:  # noqa: BLE001  whatever it raises, it does not take these
            cause = error.__cause__ if isinstance(error, Unsupported) and error.__cause__ else error
            refused[letters] = traceback.format_exception_only(type(cause), cause)[-1].strip()
            continue
        axes = getattr(y, "ndim", None)
        if axes is None or axes == len(letters):
            return layout, {}
        refused[letters] = f"{axes} axes returned"
    return Layout.of("NCHW" if "groups" in takes.parameters else "HW"), refused


@contextmanager
def _recorded(results: Path, trial: Trial, said: Mapping[str, Any]) -> Iterator[None]:
    """Write down in a new run folder what a trial comes to; its result then has the finished run."""
    name, base = trial.result.name, registry.known(trial.result.arrays).load().identity()
    folder = store.create(results, store.new_run_id(), {"frameworks": [name], "modes": ["eager"], **said})
    with lock.held(folder):
        trial.segment = store.Segment(folder)
        try:
            for record in rows.environment(Framework(name, "", Path(), "current"), _hello(base)):
                trial.segment.write("env", record)
            yield
        finally:
            trial.segment.close()
        store.seal(folder)
    trial.result.run = store.load(folder)


def _hello(identity: Any) -> dict[str, Any]:
    """What a worker says of itself, of this process."""
    return {
        "versions": dict(identity.versions),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "devices": list(identity.devices),
        "modes": ["eager"],
        "dtypes": list(identity.dtypes),
        "spellings": ["native"],
        "notes": [],
        "import_seconds": 0.0,
    }
