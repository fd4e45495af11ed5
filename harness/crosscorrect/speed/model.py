"""The words of a timed result: speed verdicts, roles, and the rows of samples, measurements and verdicts.

Standard library only.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class Speed(StrEnum):
    """A speed verdict. Only ``FASTER``, ``SLOWER`` and ``EQUIVALENT`` rank."""

    FASTER = "faster"
    SLOWER = "slower"
    EQUIVALENT = "equivalent"
    INCONCLUSIVE = "inconclusive"
    UNFIT = "unfit"
    WRONG = "wrong"
    NOT_COMPARABLE = "not comparable"


WRONG = "wrong when timed"
"""The event, and how the message of a verdict begins, where a right answer became a wrong one."""
REFERENCE = "the reference"
"""The message of the reference's own row."""
RANKS = (Speed.FASTER, Speed.SLOWER, Speed.EQUIVALENT)


Key = tuple[str, str]
"""What names a subject: a problem's id and the part of it that is timed."""


class Role(StrEnum):
    """What a sample is for: a framework's own, the reference's second worker, or a part of the sentinel."""

    ARM = "arm"
    TWIN = "twin"
    COMPUTE = "compute"
    STREAMING = "streaming"


class Who(NamedTuple):
    """An arm by its columns."""

    framework: str
    mode: str
    device: str
    role: Role = Role.ARM

    @property
    def name(self) -> str:
        """For a person: ``torch compiled``; what is as usual is left out."""
        unusual = [text for text, usual in ((self.mode, "eager"), (self.device, "cpu")) if text != usual]
        return " ".join([self.framework, *unusual]) + ("" if self.role is Role.ARM else f" ({self.role})")


class Phase(StrEnum):
    """When in its life a call was timed. All but ``STEADY`` are once per restart.

    ``IMPORT`` is the framework's, the same for every problem; ``TRACE`` and ``COMPILE`` are told by frameworks that say
    so, and are then part of ``FIRST``.
    """

    IMPORT = "import"
    PUT = "put"
    TRACE = "trace"
    COMPILE = "compile"
    FIRST = "first"
    SECOND = "second"
    STEADY = "steady"


@dataclass(frozen=True, slots=True)
class Sample:
    """One row of the ``samples`` table: one timed region, ``calls`` calls long.

    ``part`` is what of the problem was timed (``forward``, ``gradients``, ``train``), ``place`` where in the order of
    its ``round`` (-1 outside rounds). ``wall`` and ``cpu`` (of the whole process) are nanoseconds of the whole region,
    ``switches`` involuntary ones of its process, ``faults`` page faults without a disk, ``residual`` the nanoseconds
    that the last result was waited for after the region.
    """

    problem: str
    part: str
    framework: str
    mode: str
    device: str
    role: Role
    phase: Phase
    restart: int
    round: int
    place: int
    calls: int
    wall: int
    cpu: int
    switches: int
    faults: int
    residual: int


@dataclass(frozen=True, slots=True)
class Measurement:
    """One row of the ``measurements`` table: the steady samples of one arm for one problem in one restart.

    ``kept`` of ``rounds`` were not disturbed, in this arm and the reference; ``seconds`` is the median of a call over
    them, ``fast`` its 5 % quantile over all, ``waiting`` the 90 % quantile of wall over processor time, ``threads`` the
    median of processor over wall time, ``residual`` the median share of the wall time that the result was waited for
    afterwards. ``complaint`` says why the restart is not fit to compare this arm; empty where it is.
    """

    problem: str
    part: str
    framework: str
    mode: str
    device: str
    role: Role
    restart: int
    calls: int
    rounds: int
    kept: int
    seconds: float
    fast: float
    waiting: float
    threads: float
    switches: int
    faults: int
    residual: float
    complaint: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """One row of the ``verdicts`` table: one framework beside the ``reference`` on one part of one problem.

    ``ratio`` is its time over the reference's, with its interval from ``low`` to ``high`` and the same by resampling;
    all None where none may be told. ``resolution`` is the smallest difference that the machine told then.
    ``seconds`` is the median over restarts of a call. ``flops`` are the floating-point operations that touch no
    padding, ``padded`` all of them, ``bytes`` what must move at least, None where it is no fixed amount;
    ``attainable`` is the share of the measured ceiling that was reached.
    """

    problem: str
    part: str
    framework: str
    mode: str
    device: str
    role: Role
    reference: str
    speed: Speed
    margin: float
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    resampled_low: float | None = None
    resampled_high: float | None = None
    restarts: int = 0
    resolution: float | None = None
    seconds: float | None = None
    flops: int | None = None
    padded: int | None = None
    bytes: int | None = None
    attainable: float | None = None
    suspect: str = ""
    message: str = ""
