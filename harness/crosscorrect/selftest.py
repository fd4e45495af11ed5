"""How good the suites are: every mutant of the catalogue through them, what kills it, and whether it is named rightly.

Everything runs in this process: a mutant has no process to crash. A check counts where the unchanged adapter passes it;
a mutant is killed there by a failure or an error, and a failure is diagnosed once per case and direction, as in a run.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from crosscorrect import diagnosis, mutants, verdicts
from crosscorrect.model import Outcome
from crosscorrect.plan import Preparation
from crosscorrect.worker.verbs import VERBS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    import pandas as pd

    from crosscorrect.ask import Call, Question
    from crosscorrect.diagnosis import Cause
    from crosscorrect.model import Direction, Verdict
    from crosscorrect.oracle import Array
    from crosscorrect.plan import Prepared
    from crosscorrect.problem import Problem

LEAST = 2
"""By how many cases each mutant must be killed."""
PREDICTED = 2e5
"""Multiplications of a problem up to which the failures of semantic mutants are diagnosed: each needs some hundred
predictions, and the small problems tell the same."""
LEFT_OUT = ("train", "differentiate", "matrix")
"""Operations that no entry of the catalogue is about: they would only repeat what the others tell."""
KILLING = (Outcome.FAIL, Outcome.ERROR)
EXPLAINED = ("semantic", "gradient")
LEGITIMATE = ("subnormals-flushed",)
"""What frameworks may do: reported as a property, so that nothing kills it."""


@dataclass(slots=True)
class Score:
    """What the suites did to one mutant.

    ``problems`` maps the id of each problem that killed it to its case. ``diagnosed`` counts the failures that were
    diagnosed, ``named`` those whose best explanation is this mutant or one whose prediction is identical there;
    ``instead`` counts the names of the others.
    """

    name: str
    kind: str
    problems: dict[str, str] = field(default_factory=dict)
    diagnosed: int = 0
    named: int = 0
    instead: Counter[str] = field(default_factory=Counter)

    @property
    def cases(self) -> set[str]:
        """The cases that killed it."""
        return set(self.problems.values())

    @property
    def killed(self) -> bool:
        """Whether enough cases did."""
        return len(self.cases) >= LEAST

    @property
    def recognised(self) -> bool:
        """Whether it was named rightly.

        A wrong meaning predicts its output, so that every failure must be named. An arithmetic or a damage leaves a
        fingerprint, which another may share on one problem: it must be named at least as often as anything else.
        """
        if self.kind in EXPLAINED:
            return self.diagnosed > 0 and self.named == self.diagnosed
        return self.named > 0 and self.named >= max(self.instead.values(), default=0)


def selftest(
    base: type[Any],
    problems: Sequence[Problem],
    names: tuple[str, ...] = (),
    on_problem: Callable[[Problem], None] = lambda _: None,
    seed: int = 0,
) -> list[Score]:
    """Every mutant of an adapter class (or those of these names) through problems; in the order of the catalogue.

    ``on_problem`` hears each problem when it is done; ``seed`` gives every fill other data, as in a run.
    """
    made = {name: kind for name, kind in mutants.mutants(base, names).items() if name not in LEGITIMATE}
    adapters = {name: kind("cpu", "eager") for name, kind in made.items()}
    scores = {name: Score(name, getattr(getattr(kind, "entry", None), "kind", "damage")) for name, kind in made.items()}
    right = base("cpu", "eager")
    for problem in problems:
        if problem.operation not in LEFT_OUT and not problem.invalid:
            _Trial(Preparation(seed).get(problem), right).put(adapters, scores)
        on_problem(problem)
    return list(scores.values())


def frame(scores: Iterable[Score]) -> pd.DataFrame:
    """One row for each mutant: how many problems and cases killed it, how many failures were named rightly."""
    import pandas as pd  # noqa: PLC0415  the command line prints without it

    rows = [
        {
            "mutant": s.name,
            "kind": s.kind,
            "problems": len(s.problems),
            "cases": len(s.cases),
            "diagnosed": s.diagnosed,
            "named": s.named,
            "instead": ", ".join(name for name, _ in s.instead.most_common(3)),
        }
        for s in scores
    ]
    return pd.DataFrame(rows)


def minimal(scores: Iterable[Score], least: int = LEAST) -> list[str]:
    """Problems that kill every mutant by ``least`` cases, or by as many as can: greedily, the one that adds most first.

    V. Chvátal, "A greedy heuristic for the set-covering problem" (1979): at most ln(mutants) times the fewest.
    """
    wanted = {s.name: min(least, len(s.cases)) for s in scores}
    kills: dict[str, set[str]] = {}
    case: dict[str, str] = {}
    for s in scores:
        for problem, name in s.problems.items():
            kills.setdefault(problem, set()).add(s.name)
            case[problem] = name
    met: dict[str, set[str]] = {name: set() for name in wanted}
    chosen: list[str] = []
    while any(len(met[name]) < count for name, count in wanted.items()):
        gains = {
            problem: sum(len(met[n]) < wanted[n] and case[problem] not in met[n] for n in names)
            for problem, names in kills.items()
        }
        best = max(gains, key=lambda p: (gains[p], p))
        chosen.append(best)
        for name in kills.pop(best):
            met[name].add(case[best])
    return chosen


class _Trial:
    """One problem, all mutants: what they answer alike is judged and diagnosed once."""

    def __init__(self, prepared: Prepared, right: Any) -> None:
        self._prepared = prepared
        problem = prepared.problem
        self._problem, self._case = problem, f"{problem.suite}/{problem.case}"
        given = prepared.inputs
        self._diagnostician = diagnosis.Diagnostician(problem.geometry, problem.operation, given, problem.dtype)
        self._work = self._diagnostician.work
        self._judged: dict[tuple[Direction, bytes, bool], tuple[Verdict, list[Cause] | None]] = {}
        self._asked: list[tuple[Question, list[dict[str, str]], dict[Direction, bytes]]] = []
        for question, sent in zip(prepared.questions, prepared.sent, strict=True):
            replies = [_ask(right, call) for call in question.calls]
            found, _ = verdicts.of(prepared, question, sent, replies, "strict")
            passed = {d: _seal(question, replies, d) for d, v in found.items() if v.outcome is Outcome.PASS}
            if passed:
                self._asked.append((question, sent, passed))

    def put(self, adapters: Mapping[str, Any], scores: Mapping[str, Score]) -> None:
        """Ask every mutant and write down what becomes of it."""
        for name, adapter in adapters.items():
            for question, sent, passed in self._asked:
                if not self._alters(adapter, question):
                    continue
                replies = [_ask(adapter, call) for call in question.calls]
                for direction, seal in passed.items():
                    self._score(scores[name], question, sent, replies, direction, seal)

    def _alters(self, adapter: Any, question: Question) -> bool:
        """Whether the mutant has anything to say to a question, judged by the shapes of its calls."""
        alters = getattr(adapter, "alters", None)
        return alters is None or any(alters(call.verb, call.arrays, call.settings) for call in question.calls)

    def _score(
        self,
        score: Score,
        question: Question,
        sent: list[dict[str, str]],
        replies: list[verdicts.Reply],
        direction: Direction,
        right: bytes,
    ) -> None:
        seal = _seal(question, replies, direction)
        if seal == right:
            return
        explain = self._work <= PREDICTED or score.kind in ("arithmetic", "damage")
        key = (direction, seal, explain)
        if key not in self._judged:
            self._judged[key] = self._judge(question, sent, replies, direction, explain=explain)
        verdict, causes = self._judged[key]
        if verdict.outcome not in KILLING:
            return
        score.problems[self._problem.id] = self._case
        if causes is not None:
            score.diagnosed += 1
            if causes and (score.name in causes[0].names or _identical(causes[0])):
                score.named += 1
            else:
                score.instead[causes[0].name if causes else "nothing"] += 1

    def _judge(
        self,
        question: Question,
        sent: list[dict[str, str]],
        replies: list[verdicts.Reply],
        direction: Direction,
        *,
        explain: bool,
    ) -> tuple[Verdict, list[Cause] | None]:
        """The verdict and its causes; None where nothing was to be diagnosed."""
        found, _ = verdicts.of(self._prepared, question, sent, replies, "strict")
        verdict, problem = found[direction], self._problem
        reference = self._prepared.references.get(direction)
        name = next((n for n, d in question.calls[0].answers.items() if d is direction), None)
        known = reference is not None and not problem.verify and problem.operation != "relation"
        if verdict.outcome is not Outcome.FAIL or not known or not explain or name is None or reference is None:
            return verdict, None
        return verdict, self._diagnostician.explain(direction, replies[0][1][name], reference)


def _identical(cause: Cause) -> bool:
    """Whether a prediction equals the output in every element: whatever else the backend is, it is that here too."""
    return cause.complete and cause.ratio == 0.0 and cause.kind in ("semantic", "gradient", "arithmetic")


def _ask(adapter: Any, call: Call) -> verdicts.Reply:
    """One call, as a worker answers it; that the inputs arrived whole needs no proof here."""
    from crosscorrect.adapter import Unsupported  # noqa: PLC0415
    from crosscorrect.worker.wire import digest  # noqa: PLC0415

    reply: dict[str, Any] = {"inputs": {name: digest(array) for name, array in call.arrays.items()}}
    try:
        tensors = {name: adapter.put(array) for name, array in call.arrays.items()}
        named = VERBS[call.verb](adapter, tensors, call.settings).named()
        results: dict[str, Array] = {name: adapter.get(tensor) for name, tensor in named.items()}
    except Unsupported as refusal:
        return {**reply, "outcome": "unsupported", "message": str(refusal)}, {}
    except Exception as error:  # noqa: BLE001  whatever a mutant raises is its answer
        said = {"outcome": "raised", "exception": type(error).__name__, "message": str(error)}
        return {**reply, **said, "traceback": ""}, {}
    return {**reply, "outcome": "answer"}, results


def _seal(question: Question, replies: list[verdicts.Reply], direction: Direction) -> bytes:
    """What tells one answer to a question from another, for a direction."""
    parts: list[bytes] = []
    for call, (reply, results) in zip(question.calls, replies, strict=True):
        parts.append(reply["outcome"].encode() + reply.get("message", "").encode())
        alone = len(question.calls) == 1
        for name, array in _of(call, results, direction if alone else None):
            parts += [name.encode(), str((array.shape, array.dtype)).encode(), np.ascontiguousarray(array).tobytes()]
    return b"|".join(parts)


def _of(call: Call, results: Mapping[str, Array], direction: Direction | None) -> Iterator[tuple[str, Array]]:
    for name, array in results.items():
        if direction is None or call.answers.get(name) is direction:
            yield name, array
