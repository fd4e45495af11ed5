"""The words of a timed result: speed verdicts, roles, and the rows of samples, measurements and verdicts.

Standard library only. The classes of rows say what the tables hold, as those of ``crosscorrect.model`` do.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, NamedTuple

from crosscorrect.model import Device, Framework, Mode, ProblemId  # noqa: TC001  columns reads the annotations


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


Part = Annotated[str, "what of the problem was timed: forward, gradients, train"]
AnyRole = Annotated[
    Role, "arm, a framework's own; twin, the reference's second worker; compute, streaming, the sentinel"
]
Restart = Annotated[int, "number of the restart: new processes each"]


@dataclass(frozen=True, slots=True)
class Sample:
    """A timed region, ``calls`` calls long."""

    problem: ProblemId
    part: Part
    framework: Framework
    mode: Mode
    device: Device
    role: AnyRole
    phase: Annotated[Phase, "when in its life the call was timed; all but steady are once per restart"]
    restart: Restart
    round: Annotated[int, "number of the round: every arm has a sample in it; -1 outside rounds"]
    place: Annotated[int, "place in the order of its round, -1 outside rounds"]
    calls: Annotated[int, "calls in the region"]
    wall: Annotated[int, "nanoseconds of the region"]
    cpu: Annotated[int, "nanoseconds of processor time of the whole process"]
    switches: Annotated[int, "involuntary switches of its process"]
    faults: Annotated[int, "page faults without a disk"]
    residual: Annotated[int, "nanoseconds that the last result was waited for after the region"]


@dataclass(frozen=True, slots=True)
class Measurement:
    """The steady samples of one arm for one problem in one restart."""

    problem: ProblemId
    part: Part
    framework: Framework
    mode: Mode
    device: Device
    role: AnyRole
    restart: Restart
    calls: Annotated[int, "calls in each region"]
    rounds: Annotated[int, "rounds that were sampled"]
    kept: Annotated[int, "those that were not disturbed, in this arm and the reference"]
    seconds: Annotated[float, "median seconds of a call over the kept rounds; NaN where there is none"]
    fast: Annotated[float, "5 % quantile of the seconds of a call over all rounds"]
    waiting: Annotated[float, "90 % quantile of wall over processor time"]
    threads: Annotated[float, "median of processor over wall time"]
    switches: Annotated[int, "involuntary switches of its process"]
    faults: Annotated[int, "page faults without a disk"]
    residual: Annotated[float, "median share of the wall time that the result was waited for afterwards"]
    complaint: Annotated[str, "why the restart is not fit to compare this arm; empty where it is"]


@dataclass(frozen=True, slots=True)
class Comparison:
    """One framework beside the reference on one part of one problem."""

    problem: ProblemId
    part: Part
    framework: Framework
    mode: Mode
    device: Device
    role: AnyRole
    reference: Annotated[str, "the arm that all are compared with"]
    speed: Annotated[Speed, "the verdict; only faster, slower and equivalent rank"]
    margin: Annotated[float, "ratios nearer to 1 than by this share are equivalent"]
    ratio: Annotated[float | None, "its time over the reference's, where one may be told"] = None
    low: Annotated[float | None, "lower end of the ratio's 95 % interval"] = None
    high: Annotated[float | None, "upper end"] = None
    resampled_low: Annotated[float | None, "the same by resampling"] = None
    resampled_high: Annotated[float | None, "the same by resampling"] = None
    restarts: Annotated[int, "restarts that were fit"] = 0
    resolution: Annotated[float | None, "smallest difference that the machine told then"] = None
    seconds: Annotated[float | None, "median over restarts of the seconds of a call"] = None
    flops: Annotated[int | None, "floating-point operations that touch no padding, where that is a fixed amount"] = None
    padded: Annotated[int | None, "all of them"] = None
    bytes: Annotated[int | None, "bytes that must move at least"] = None
    attainable: Annotated[float | None, "share of the measured ceiling that was reached"] = None
    suspect: Annotated[str, "why the speed is doubted, if it is"] = ""
    message: Annotated[str, "why there is no ranking, or what else is to be said"] = ""
