"""One fully specified computation: a case at one point of its sweep, with an id that is enough to run it again."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

    from crosscorrect.geometry import Geometry
    from crosscorrect.model import Direction

OPERATIONS = ("corr2d", "layer", "conv2d", "relation", "matrix", "train", "differentiate")
"""What a case can ask for, in the words of a case file."""

DTYPES = (
    *("float16", "bfloat16", "float32", "float64", "complex64", "complex128"),
    *("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
)
"""``dtypes.NAMES``, written out because the command line reads this module and must start without NumPy."""

LEVELS = ("smoke", "ci", "nightly")
"""How often a problem is run; a run takes a level and everything before it."""

SPELLINGS = ("native", "apart", "channels_last", "channels_first", "recorded", "module")
"""The ways in which a framework may be asked for one computation."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A computation with nothing left open, made by ``Suite.problems`` and never changed.

    ``arrays`` maps a tensor's name (``x``, ``w``, ``b``, ``dy``; for training ``start``, ``bias``, ``y``) to its
    specification in plain JSON, and ``shapes`` the same names, and ``output``, to their shapes as ``inputs()`` gives
    them. ``geometry`` is set for ``conv2d`` and ``relation`` only. ``settings`` holds, for ``train``: ``lr`` (float),
    ``steps`` (int), ``layer`` (``builtin``, ``custom``) and ``start_own`` (bool: the framework's own initialisation
    starts, and there is no ``start``); for ``matrix``: ``form``; for ``differentiate``: ``loop``; for ``relation``:
    ``relation``, a name of ``needs.RELATIONS``. ``expect`` is None or maps ``output``
    (nested lists of numbers of the output's rank), ``shape`` (list), ``losses`` (step, from 1, to printed digits) or
    ``weight`` (printed digits in row order). ``only`` and ``modes`` are empty where nothing is excluded; ``limit`` is
    in seconds; ``file`` and ``line`` say where the case is written.

    ``level`` is one of ``LEVELS``, ``spelling`` one of ``SPELLINGS``, ``url`` an https link to where the case comes
    from, or empty. An ``invalid`` problem (``expect: error``) has arguments that a framework must refuse: its output
    shape is what the formula gives, at least 0 on each axis, or ``()`` where there is no formula, and its ``geometry``
    may hold numbers that mean nothing. ``verify`` is ``checksum`` where the answer is verified by its sum over output
    channels instead of the oracle, else empty. A ``dirty`` problem is asked on memory that holds garbage.
    """

    id: str
    suite: str
    case: str
    source: str
    title: str
    note: str
    operation: str
    dtype: str
    directions: tuple[Direction, ...]
    arrays: Mapping[str, Any]
    shapes: Mapping[str, tuple[int, ...]]
    geometry: Geometry | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    expect: Mapping[str, Any] | None = None
    only: tuple[str, ...] = ()
    modes: tuple[str, ...] = ()
    isolate: bool = False
    limit: float = 120.0
    show: bool = False
    file: Path = Path()
    line: int | None = None
    level: str = "ci"
    spelling: str = "native"
    url: str = ""
    invalid: bool = False
    verify: str = ""
    dirty: bool = False

    @property
    def folder(self) -> Path:
        """The folder of the suite file, which ``npz`` arrays are relative to."""
        return self.file.parent

    def inputs(self, salt: int = 0) -> dict[str, np.ndarray[Any, Any]]:
        """Every input array by name, C-contiguous, in the problem's dtype, the same bits on every machine.

        A ``salt`` other than 0 gives other data by the same fills, which a whole run may ask for.

        ``corr2d``, ``layer``, ``matrix``, ``differentiate``: ``x`` (H, W) and ``w`` (h, w); ``layer`` also ``b`` (1,);
        ``differentiate`` also ``dy`` (H-h+1, W-w+1). ``conv2d``, ``relation``: ``x`` (N, C, *space), ``w`` OIHW,
        ``b`` (O,) if there is a bias, ``dy`` of the output's shape if a gradient is asked for. ``train``: ``x``, ``w``
        (the true kernel), ``start`` unless the framework starts, ``b`` (1,) of the target if given, ``bias`` (1,) if
        one is trained, ``y`` if the target is given; 4-D for the builtin layer, 2-D for the custom one. Raises
        CaseError where a value does not fit the dtype or an ``.npz`` file cannot be read.
        """
        from crosscorrect.inputs import build  # noqa: PLC0415  a suite is listed without building a single array

        return build(self, salt)
