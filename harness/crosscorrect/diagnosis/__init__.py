"""Name the cause of a wrong output: the entry of the catalogue whose prediction explains it within its bound.

Explanations are looked for from strong to weak: a change of meaning that predicts every element; an arithmetic, by its
own prediction or by the number of bits it leaves (``fingerprints``); damage of some elements, described where it is
(``damage``).
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from crosscorrect.diagnosis.damage import described
from crosscorrect.diagnosis.fingerprints import recognised
from crosscorrect.diagnosis.predictions import Predictions
from crosscorrect.diagnosis.question import Answer, Cause, Given

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from crosscorrect.geometry import Geometry
    from crosscorrect.model import Direction
    from crosscorrect.oracle import Array, Reference

__all__ = ["Cause", "Diagnostician", "diagnose", "phrase", "summary"]


def diagnose(
    geometry: Geometry | None,
    operation: str,
    direction: Direction,
    inputs: Mapping[str, Array],
    output: Array,
    reference: Reference,
    dtype: str,
    arithmetic: str = "strict",
    limit: int = 5,
) -> list[Cause]:
    """Explain a wrong output, the best explanation first; empty where none is found.

    ``inputs`` are those of the problem (``x``, ``w``, ``b``, ``dy``), ``output`` what the framework returned, of any
    shape; ``geometry`` None means the plain one. At most ``limit`` causes.
    """
    return Diagnostician(geometry, operation, inputs, dtype).explain(direction, output, reference, arithmetic, limit)


class Diagnostician:
    """Explains the wrong outputs of one problem: the predictions are computed once for all of them."""

    def __init__(self, geometry: Geometry | None, operation: str, inputs: Mapping[str, Array], dtype: str) -> None:
        self._predictions: Predictions | None = None
        self._memory: dict[tuple[str, Direction], Reference | None] = {}
        if "x" in inputs and "w" in inputs and operation != "train":
            self._predictions = Predictions(Given.of(geometry, operation, inputs, dtype))

    def explain(
        self, direction: Direction, output: Array, reference: Reference, arithmetic: str = "strict", limit: int = 5
    ) -> list[Cause]:
        """Explain one output, as ``diagnose`` does."""
        if self._predictions is None:
            return []
        with np.errstate(all="ignore"):
            answer = Answer.of(self._predictions.given, direction, output, reference, self._memory)
            if (
                answer.slight
            ):  # no change of meaning looks so: an arithmetic that predicts it needs no other explanation
                found = [c for c in recognised(self._looked_at(answer), arithmetic) if c.ratio <= 1]
                if found:
                    return found[:limit]
            found = self._predictions.explain(answer)
            if not any(cause.complete for cause in found):
                some = self._looked_at(answer)
                seen = described(answer)
                if seen and seen[0].name in ("not-written", "not-finite", "element-not-written"):
                    found = [seen[0], *found, *seen[1:]]  # plainer than an entry that predicts zeros there too
                else:
                    rounded = recognised(some, arithmetic)
                    found = [
                        *(c for c in rounded if c.ratio <= 1),
                        *(c for c in seen if c.complete),
                        *found,
                        *(c for c in rounded if c.ratio > 1),
                        *(c for c in seen if not c.complete),
                    ]
        return found[:limit]

    @property
    def work(self) -> float:
        """The multiplications of one prediction, of which there are some hundred; 0 where nothing is predicted."""
        return 0.0 if self._predictions is None else self._predictions.work

    def _looked_at(self, answer: Answer) -> Answer:
        """The answer, or of a large one a sample, where elements can be predicted one by one."""
        known = self._predictions
        sampled = known is not None and not known.small and known.plain(answer.direction) and answer.wrong is not None
        return answer.sample() if sampled else answer


def phrase(causes: Sequence[Cause]) -> str:
    """One line for a verdict: the best explanation and its evidence; empty where there is none."""
    return f"{causes[0].sentence} ({causes[0].evidence})" if causes else ""


def summary(found: Iterable[Sequence[Cause]]) -> list[tuple[str, int]]:
    """Over many failures: each name, and how many failures it is a best explanation of, the most frequent first.

    One case may leave several entries open; the one that is open in most cases is the likeliest.
    """
    counts: Counter[str] = Counter()
    for causes in found:
        if causes:
            counts.update(causes[0].names or (causes[0].name,))
    return counts.most_common()
