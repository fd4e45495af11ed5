"""The words of a result: outcomes, reasons, directions, the check row and the exit codes. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum, StrEnum

SCHEMA_VERSION = 3
"""Version of the run folder's tables and of ``run.json``."""


class Outcome(StrEnum):
    """What became of one check. Only ``PASS`` is a pass."""

    PASS = "pass"  # noqa: S105  the outcome of a check, no password
    FAIL = "fail"
    UNSUPPORTED = "unsupported"
    ERROR = "error"
    CRASH = "crash"
    TIMEOUT = "timeout"
    MISTRUSTED = "mistrusted"
    UNBOUNDED = "unbounded"
    MISSING = "missing"

    @property
    def executed(self) -> bool:
        """Whether the framework gave an answer, right or wrong, that was judged."""
        return self in (Outcome.PASS, Outcome.FAIL, Outcome.MISTRUSTED, Outcome.UNBOUNDED)


class Reason(StrEnum):
    """Why a check failed; ``NONE`` for every other outcome."""

    NONE = ""
    SHAPE = "shape"
    DTYPE = "dtype"
    VALUE = "value"
    NONFINITE = "nonfinite"
    BOUND_A = "bound A"
    BOUND_B = "bound B"
    EXACTNESS = "exactness"
    RELATION = "relation"
    DETERMINISM = "determinism"
    ORDER = "order-dependent"
    TRAJECTORY = "trajectory"


class Direction(StrEnum):
    """Which result of a problem is judged."""

    FORWARD = "forward"
    GRAD_INPUT = "grad_input"
    GRAD_WEIGHT = "grad_weight"
    GRAD_BIAS = "grad_bias"
    TRAIN = "train"


class Exit(IntEnum):
    """Exit codes of every command (DESIGN 6); the last three are those that sysexits.h has for them."""

    OK = 0
    NOT_CONFORMANT = 1
    USAGE = 2
    INCOMPLETE = 3
    NOTHING_RAN = 4
    SLOWER = 5
    UNFIT = 6
    DAMAGED = 65
    LOG = 74
    LOCKED = 75


@dataclass(frozen=True, slots=True)
class Verdict:
    """The judgement on one output, without the words that place it in a run.

    ``error`` is the largest absolute error and ``ratio`` the largest error over its bound (above 1: outside;
    infinite where the bound is zero); both are None where nothing could be compared. ``where`` is the index of
    the worst element, ``expected`` and ``got`` its two values, ``tier`` the bounds that judged: ``A``, ``C``,
    ``literal``… ``property`` tells which of several legitimate answers this is (``integer overflow wraps``), and
    ``diagnosis`` names the cause of a failure where one explains it.
    """

    outcome: Outcome
    reason: Reason = Reason.NONE
    message: str = ""
    tier: str = ""
    error: float | None = None
    ratio: float | None = None
    where: tuple[int, ...] | None = None
    expected: float | None = None
    got: float | None = None
    property: str = ""
    diagnosis: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """One row of the ``checks`` table: problem × direction × framework × mode × device and its verdict.

    ``seconds`` is the framework's own time for the call that gave this output, ``transfer_seconds`` its time for
    moving the arrays in and out, ``total_seconds`` the time from sending the call to its verdict; a call that answers
    several directions carries its times on each. ``arrays`` maps names (``x``, ``w``, ``output``, ``reference``…) to
    the digests of arrays kept in the run. ``stderr`` is the tail of what the worker printed, kept for an error, crash
    or timeout.
    """

    suite: str
    case: str
    problem: str
    source: str
    title: str
    operation: str
    direction: Direction
    dtype: str
    framework: str
    mode: str
    device: str
    arithmetic: str
    outcome: Outcome
    reason: Reason = Reason.NONE
    message: str = ""
    tier: str = ""
    error: float | None = None
    ratio: float | None = None
    where: str = ""
    expected: float | None = None
    got: float | None = None
    property: str = ""
    diagnosis: str = ""
    input_digest: str = ""
    output_digest: str = ""
    seconds: float | None = None
    transfer_seconds: float | None = None
    total_seconds: float | None = None
    arrays: dict[str, str] = field(default_factory=dict)
    stderr: str = ""


@dataclass(frozen=True, slots=True)
class TrainingStep:
    """One row of the ``training`` table: one step of one training run beside its reference.

    Step 0 is the start (its weight, and the loss it gives); ``loss`` at step t is the loss computed in step t + 1,
    i.e. before its update, so the last step has a weight and no loss. ``loss_bound`` and ``weight_bound`` are the
    half-widths of the rounding envelope around the float64 references. ``printed`` is the chapter's printed loss.
    """

    problem: str
    framework: str
    mode: str
    device: str
    step: int
    loss: float | None
    loss_reference: float | None
    loss_bound: float | None
    weight: list[float]
    weight_reference: list[float]
    weight_bound: list[float]
    printed: str = ""


@dataclass(frozen=True, slots=True)
class Event:
    """One row of the ``events`` table: what happened beside the verdicts, so that nothing of it is silent.

    ``what`` is ``lost`` (a worker died or was killed at its limit), ``asked again`` (alone, in a fresh process),
    ``recycled`` (a worker was ended on suspicion), ``strays`` (processes that a worker left behind were ended),
    ``resumed`` or ``interrupted``. ``problem``, ``mode`` and ``device`` are empty where it is not about one.
    ``detail`` is JSON: for what depends on the order, the problems asked before in the same worker.
    """

    what: str
    framework: str = ""
    problem: str = ""
    mode: str = ""
    device: str = ""
    message: str = ""
    detail: str = ""


def cause_of(diagnosis: str) -> str:
    """The cause that a diagnosis names, without the evidence behind it, which differs from check to check.

    >>> cause_of("consistent with TF32 inputs (11.7 effective bits)")
    'consistent with TF32 inputs'
    """
    return diagnosis.partition(" (")[0]
