"""What came of checking a person's own convolution: the verdicts, the causes, and each failure with its arrays.

How it looks is said by ``crosscorrect_reports.checked``, which is loaded when something is shown.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from crosscorrect import tables
from crosscorrect.model import Direction, Outcome, Reason

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    import pandas as pd

    from crosscorrect.diagnosis import Cause
    from crosscorrect.geometry import Geometry
    from crosscorrect.handmade import Handmade
    from crosscorrect.model import Check
    from crosscorrect.store import Run

    Array = np.ndarray[Any, Any]


NUMBERS = (Reason.SHAPE, Reason.VALUE, Reason.BOUND_A, Reason.BOUND_B, Reason.EXACTNESS)
"""The reasons behind which a cause may be found in the numbers that were returned."""
OPEN = 3
"""A failure that leaves more entries of the catalogue open names none of them."""
UNEXPLAINED = "unexplained"
"""The name of a group of failures that no cause was looked for."""
DTYPE_REMEDY = "make the output like the image, as np.zeros(shape, dtype=x.dtype) does, or ask for other dtypes"


@dataclass(frozen=True, slots=True)
class Failure:
    """One check that did not pass, and what it takes to look into it.

    ``check`` is its row. ``inputs`` are NumPy arrays by their names, as the callable got them: ``x``, ``w``, ``b`` and,
    of a gradient, ``dy``; ``arguments`` the others. ``output`` is what it returned and ``reference`` what is right
    (float64), both laid out like ``x`` or the operand of the gradient; None where there is none. ``where`` is the index
    of the worst element, None where no elements were compared, as those of a wrong shape. ``causes`` explain it, the
    likeliest first; one failure of each case is explained.
    """

    check: Check
    geometry: Geometry
    inputs: Mapping[str, Array]
    arguments: Mapping[str, Any]
    output: Array | None
    reference: Array | None
    where: tuple[int, ...] | None
    causes: Sequence[Cause]
    handmade: Handmade = field(repr=False)

    @property
    def x(self) -> Array:
        """The image."""
        return self.inputs["x"]

    @property
    def w(self) -> Array:
        """The kernel."""
        return self.inputs["w"]

    @property
    def b(self) -> Array | None:
        """The bias, if there is one."""
        return self.inputs.get("b")

    def call(self) -> Any:
        """Call the callable once more with these arguments, in a debugger or after a change; what it returns."""
        return self.handmade.called(self.inputs, self.arguments)

    @property
    def told(self) -> str:
        """The call as a person would write it."""
        return self.handmade.written(self.inputs, self.arguments)


@dataclass(frozen=True, slots=True)
class Group:
    """Failures that look alike. ``name`` is an entry of the catalogue of causes, or what kind of failure it is.

    ``sentence`` says it to a person in the words of ``shown``, the clearest of ``failures``; ``evidence`` how well it
    fits, or what to do about it.
    """

    name: str
    sentence: str
    evidence: str
    shown: Failure
    failures: tuple[Failure, ...]

    @property
    def refusal(self) -> bool:
        """Whether it was refused to answer, and nothing is wrong."""
        return self.shown.check.outcome is Outcome.UNSUPPORTED


@dataclass
class Checked:
    """What came of ``crosscorrect.check``; true where every check passed.

    ``rows`` are the checks in the order in which they were asked. ``unasked`` counts the problems that cannot be told
    to the callable, by what they need; ``left_out`` are the ids of those that would have gone beyond the ``budget``
    in seconds. ``refused`` says of each layout that was tried why it was not taken, where none was and one was assumed.
    ``seconds`` is how long it took. ``run`` is the run, if a folder was asked for.
    """

    handmade: Handmade
    arrays: str
    rows: list[Check] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    unasked: dict[str, int] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    budget: float = 0.0
    seconds: float = 0.0
    run: Run | None = None

    @property
    def name(self) -> str:
        """What the callable is called."""
        return self.handmade.takes.callable

    @cached_property
    def checks(self) -> pd.DataFrame:
        """One row per check, with the columns that a run's have; times are in seconds."""
        return tables.frame("checks", map(tables.check_record, self.rows))

    @property
    def totals(self) -> Counter[Outcome]:
        """How many checks have each outcome."""
        return Counter(row.outcome for row in self.rows)

    @property
    def diagnosis(self) -> str:
        """The cause that most failures have in common, in a sentence; empty where nothing failed."""
        return self.groups[0].sentence if self.groups else ""

    @cached_property
    def groups(self) -> list[Group]:
        """The failures by what they have in common, the likeliest cause first."""
        return grouped(self.failures)

    def __bool__(self) -> bool:
        """Whether there were checks, and all of them passed."""
        return bool(self.rows) and not self.failures

    def __str__(self) -> str:
        """The verdict as text, over some lines."""
        from crosscorrect_reports.checked import text  # noqa: PLC0415  how it looks is not the harness's

        return text(self)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        """For notebooks: the verdict with the arrays of the smallest failure, drawn."""
        from crosscorrect_reports.checked import html  # noqa: PLC0415  as above

        return html(self)

    def __rich__(self) -> Any:
        """For ``rich.print``."""
        from crosscorrect_reports.checked import terminal  # noqa: PLC0415  as above

        return terminal(self)


def grouped(failures: Sequence[Failure]) -> list[Group]:
    """Failures by their causes, the one that explains most first, then others by what they are, refusals last.

    One problem may leave several entries of the catalogue open, that give the same numbers there: each failure votes
    for all of them. A failure that nothing was looked for in goes with one of its case.
    """
    named: dict[str, list[Failure]] = {}
    left = [failure for failure in failures if failure.causes]
    while left:
        votes = Counter(name for failure in left for name in _names(failure))
        best = max(votes, key=lambda name: votes[name])  # of equal ones the first: that of the smallest problem
        named[best] = [failure for failure in left if best in _names(failure)]
        left = [failure for failure in left if best not in _names(failure)]
    owners = {_case(failure): name for name, found in reversed(named.items()) for failure in found}
    kinds: dict[str, list[Failure]] = {}
    for failure in failures:
        if not failure.causes:
            owner, kind = None, _kind(failure)
            if named and failure.check.reason in NUMBERS:
                relation = failure.check.operation == "relation"  # what fails elsewhere fails it, and explains it
                owner, kind = owners.get(_case(failure), next(iter(named)) if relation else None), UNEXPLAINED
            (kinds.setdefault(kind, []) if owner is None else named[owner]).append(failure)
    explained = [_explained(name, found) for name, found in named.items()]
    unexplained = [_unexplained(kind, found) for kind, found in kinds.items()]
    return explained + sorted(unexplained, key=lambda group: group.refusal)


def _explained(name: str, failures: list[Failure]) -> Group:
    """The group of a cause, in the words of the failure that leaves the fewest others open and says what most say."""
    diagnosed = [failure for failure in failures if failure.causes]
    said = Counter(map(_wording, diagnosed))

    def order(failure: Failure) -> tuple[bool, int, int]:
        return not failure.causes[0].complete, len(_names(failure)), -said[_wording(failure)]

    clearest = min(diagnosed, key=order)
    cause, sentence = clearest.causes[0], clearest.causes[0].sentence
    if name == "wrong-shape" and clearest.output is not None and clearest.reference is not None:
        sentence = f"the output has the shape {clearest.output.shape} instead of {clearest.reference.shape}"
    if len(_names(clearest)) > OPEN:
        sentence = f"several causes fit, among them: {sentence}"
    return Group(name, sentence, cause.evidence, clearest, tuple(failures))


def _wording(failure: Failure) -> str:
    """The sentence of a failure's cause without its numbers."""
    return re.sub(r"\d+", "#", failure.causes[0].sentence)


def _unexplained(kind: str, failures: list[Failure]) -> Group:
    """The group of what no cause of the catalogue is told of: an exception, a dtype, another reason."""
    check = failures[0].check
    sentence = check.message or f"{check.outcome} {check.reason}".strip()
    if kind == UNEXPLAINED:
        sentence = f"wrong too, and the budget ended before a cause was looked for: {sentence}"
    if check.reason is Reason.DTYPE:
        return Group(kind, f"it returns {kind}", DTYPE_REMEDY, failures[0], tuple(failures))
    return Group(kind, sentence, "", failures[0], tuple(failures))


def _names(failure: Failure) -> tuple[str, ...]:
    return failure.causes[0].names or (failure.causes[0].name,)


def _case(failure: Failure) -> tuple[str, Direction]:
    return f"{failure.check.suite}/{failure.check.case}", failure.check.direction


def _kind(failure: Failure) -> str:
    """What failures without a cause have in common."""
    check = failure.check
    if check.outcome is Outcome.ERROR:
        return check.message.partition(":")[0]
    if check.reason is Reason.DTYPE:
        return check.message.removeprefix("output of ")
    return str(check.reason or check.outcome)
