"""The words of a result: outcomes, reasons, directions, the rows of a run and the exit codes. Standard library only.

The classes of rows are the one place that says what the tables of a run hold: a field is a column, its annotation says
its type, its closed set of words if it has one, and what it means. ``columns`` reads them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Annotated

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

    @property
    def rank(self) -> int:
        """Where it is told among the others: 0 is what is not there, then the gravest.

        A wrong answer, a death, an error, a refusal, what proves nothing, and at last a pass, which may surprise, too.
        """
        return next(rank for rank, some in enumerate(_RANKS) if self in some)


_RANKS = (
    (Outcome.MISSING,),
    (Outcome.FAIL,),
    (Outcome.CRASH, Outcome.TIMEOUT),
    (Outcome.ERROR,),
    (Outcome.UNSUPPORTED,),
    (Outcome.MISTRUSTED, Outcome.UNBOUNDED),
    (Outcome.PASS,),
)


FINE = (Outcome.PASS, Outcome.MISTRUSTED, Outcome.UNBOUNDED)
"""The outcomes of an answer that nothing speaks against."""


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


JSON = "JSON"
"""Marks a column of text that holds a JSON object, null, or nothing."""

Suite = Annotated[str, "name of the suite"]
Case = Annotated[str, "id of the case in its suite"]
Source = Annotated[str, "where the case comes from"]
Title = Annotated[str, "what the case is about, for a person"]
ProblemId = Annotated[str, "id of the problem, suite/case@key=value,…: enough to run it again"]
Operation = Annotated[str, "what is asked: corr2d, layer, conv2d, relation, matrix, train, differentiate"]
Dtype = Annotated[str, "dtype of the tensors"]
Framework = Annotated[str, "the framework that was asked"]
Mode = Annotated[str, "how it executed: eager, compiled"]
Device = Annotated[str, "where: cpu, cuda:0"]
"""Columns that several tables have."""


@dataclass(frozen=True, slots=True)
class Check:
    """A check: problem × direction × framework × mode × device, and its verdict.

    A call that answers several directions carries its times on each.
    """

    suite: Suite
    case: Case
    problem: ProblemId
    source: Source
    title: Title
    operation: Operation
    direction: Annotated[Direction, "which result of the problem is judged"]
    dtype: Dtype
    framework: Framework
    mode: Mode
    device: Device
    arithmetic: Annotated[str, "numeric contract of the run: strict, tf32, bf16, default"]
    outcome: Annotated[Outcome, "what became of it; only pass is a pass"]
    reason: Annotated[Reason, "why it failed; empty for every other outcome"] = Reason.NONE
    message: Annotated[str, "what happened, in a sentence or in the framework's words"] = ""
    tier: Annotated[str, "bounds that judged: A sound, B probable, C exact, D one product copied; literal…"] = ""
    error: Annotated[float | None, "largest absolute error, where something could be compared"] = None
    ratio: Annotated[float | None, "largest error over its bound: above 1 is a wrong answer; inf over a bound of 0"] = (
        None
    )
    where: Annotated[str, "index of the worst element, as 0,1,2"] = ""
    expected: Annotated[float | None, "the reference there"] = None
    got: Annotated[float | None, "what the framework returned there"] = None
    property: Annotated[str, "which of several legitimate answers this is, several separated by '; '"] = ""
    diagnosis: Annotated[str, "the cause of a failure, where one explains it"] = ""
    input_digest: Annotated[str, "digest of all inputs: alike where the same bits were asked"] = ""
    output_digest: Annotated[str, "digest of the output: alike where the same bits came; empty where none did"] = ""
    seconds: Annotated[float | None, "seconds the framework took for the call"] = None
    transfer_seconds: Annotated[float | None, "seconds it took to move the arrays in and out"] = None
    total_seconds: Annotated[float | None, "seconds from sending the call to its verdict"] = None
    arrays: Annotated[dict[str, str], JSON, "digests of kept arrays by name (x, w, output, reference…)"] = field(
        default_factory=dict
    )
    stderr: Annotated[str, "the last that the worker printed, of an error, a crash or a timeout"] = ""


@dataclass(frozen=True, slots=True)
class ProblemRow:
    """A problem: what was asked, whoever answered."""

    problem: ProblemId
    suite: Suite
    case: Case
    source: Source
    title: Title
    note: Annotated[str, "what the case shows, in a few sentences"]
    operation: Operation
    dtype: Dtype
    show: Annotated[bool, "whether the report draws it"]
    level: Annotated[str, "how often it is run: smoke, ci, nightly"]
    spelling: Annotated[str, "the way in which frameworks are asked: native, channels_last…"]
    url: Annotated[str, "https link to where the case comes from"]
    invalid: Annotated[bool, "whether it has to be refused"]
    geometry: Annotated[str, JSON, "how the kernel moves: stride, padding, dilation, groups…"]
    settings: Annotated[str, JSON, "what belongs to the operation: of train lr, steps and layer"]
    arrays: Annotated[str, JSON, "specification of each tensor by name"]
    expect: Annotated[str, JSON, "what the case says the answer is"]


@dataclass(frozen=True, slots=True)
class TrainingStep:
    """A step of a training run beside its reference.

    Step 0 is the start (its weight, and the loss it gives); ``loss`` at step t is the loss computed in step t + 1,
    i.e. before its update, so the last step has a weight and no loss.
    """

    problem: ProblemId
    framework: Framework
    mode: Mode
    device: Device
    step: Annotated[int, "number of the step, 0 the start"]
    loss: Annotated[float | None, "loss that the framework computed"]
    loss_reference: Annotated[float | None, "the same in float64"]
    loss_bound: Annotated[float | None, "half-width of the rounding envelope around it"]
    weight: Annotated[list[float], "kernel after the step, row by row"]
    weight_reference: Annotated[list[float], "the same in float64"]
    weight_bound: Annotated[list[float], "half-widths of the rounding envelope around it"]
    printed: Annotated[str, "loss as the chapter prints it"] = ""


@dataclass(frozen=True, slots=True)
class Fact:
    """A fact about a framework where it ran, as it or its adapter says, or about the machine of a timed run."""

    framework: Annotated[str, "the framework, empty for the machine"]
    section: Annotated[str, "kind of fact: version, interpreter, offer, start, note, switch, machine"]
    key: Annotated[str, "what it is about"]
    value: Annotated[str, "what is said"]


@dataclass(frozen=True, slots=True)
class Event:
    """What happened beside the verdicts, so that nothing of it is silent.

    ``lost`` is a worker that died or was killed at its limit, ``asked again`` a question, alone in a fresh process,
    ``recycled`` a worker that was ended on suspicion; ``strays`` are processes that a worker left behind.
    """

    what: Annotated[str, "lost, asked again, recycled, strays, resumed, interrupted; others, disturbed, timed…"]
    framework: Annotated[str, "the framework that it is about, if any"] = ""
    problem: Annotated[str, "the problem, if any"] = ""
    mode: Annotated[str, "the mode, if any"] = ""
    device: Annotated[str, "the device, if any"] = ""
    message: Annotated[str, "what happened, in a sentence"] = ""
    detail: Annotated[str, JSON, "more of it: of what depends on the order, the problems asked before"] = ""


@dataclass(frozen=True, slots=True)
class KeptArray:
    """An array that the run keeps; ``Run.array`` gives it by its digest."""

    digest: Annotated[str, "digest of dtype, shape and bytes"]
    dtype: Dtype
    shape: Annotated[list[int], "length of each axis"]
    data: Annotated[bytes, "its elements in C order, little-endian"]


def cause_of(diagnosis: str) -> str:
    """The cause that a diagnosis names, without the evidence behind it, which differs from check to check.

    >>> cause_of("consistent with TF32 inputs (11.7 effective bits)")
    'consistent with TF32 inputs'
    """
    return diagnosis.partition(" (")[0]


_NUMBER = re.compile(r"(?<![A-Za-z0-9])(?:0x[0-9a-fA-F]+|[0-9]+(?:[.,:e+-]*[0-9]+)*)(?![A-Za-z0-9])")
_LONGEST = 300


def explanation(outcome: str, message: str, diagnosis: str) -> str:
    """What explains a check: its diagnosis without the evidence, else its message.

    The message of a wrong answer without a diagnosis explains nothing: it says where, and by how much.
    """
    said = cause_of(diagnosis)
    return said if said or outcome in (Outcome.PASS, Outcome.FAIL) else message[:_LONGEST]


def unnumbered(text: str) -> str:
    """A text with an ellipsis for each number, so that what differs in them alone is the same.

    >>> unnumbered("no operator for 25 channels at 0x7f12")
    'no operator for … channels at …'
    """
    return _NUMBER.sub("…", text)
