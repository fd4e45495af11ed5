"""A timed run as its figures need it: who was compared on what, and the restarts and samples behind each number."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from crosscorrect.speed import fitness, readings
from crosscorrect.speed.cold import Range
from crosscorrect.speed.model import Comparison, Key, Role, Who
from crosscorrect.speed.subjects import PARTS
from crosscorrect_reports import frames
from crosscorrect_reports.outcomes import looks

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np

    from crosscorrect.speed.readings import Trial
    from crosscorrect.store import Run

    Array = np.ndarray[Any, Any]

_TURN = list(dict.fromkeys(PARTS.values()))


@dataclass(frozen=True, slots=True)
class Subject:
    """One part of one problem. ``case`` is its suite and case, ``label`` what tells it from the others of its case.

    ``about`` is its row of ``frames.problems``; empty where the run has none.
    """

    key: Key
    case: str
    title: str
    label: str
    about: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Problem and part."""
        return " ".join(self.key)


@dataclass
class Timed:
    """What the figures of a timed run are drawn from. ``bench`` is what ``run.json`` says of how it was timed."""

    run: Run
    bench: Mapping[str, Any]

    @cached_property
    def reference(self) -> Who:
        """Whom the others are compared with."""
        return Who(self.bench["reference"], self.bench["mode"], self.bench["device"])

    @cached_property
    def told(self) -> dict[tuple[Key, Who], Comparison]:
        """Every row of ``verdicts`` by subject and arm; empty of an unfinished run and of cold starts."""
        rows = readings.comparisons(self.run.verdicts)
        return {((row.problem, row.part), who_of(row)): row for row in rows}

    @cached_property
    def compared(self) -> list[Comparison]:
        """The comparisons with the reference, in the order of the subjects and arms."""
        places = [(s.key, who) for s in self.subjects for who in self.arms if who != self.reference]
        return [self.told[place] for place in places if place in self.told]

    @cached_property
    def arms(self) -> list[Who]:
        """Every arm that was asked, frameworks in the order that the run names them."""
        order = {name: index for index, name in enumerate(self.run.info["frameworks"])}
        found = set(self.run.checks[frames.PLACE].drop_duplicates().itertuples(index=False, name=None))
        found |= {who[:3] for _, who in self.told if who.role is Role.ARM}
        arms = (Who(*names) for names in found)
        return sorted(arms, key=lambda a: (order.get(a[0], len(order)), a[0], a.device, a.mode != "eager", a.mode))

    @property
    def twin(self) -> Who:
        """The reference's second worker."""
        return self.reference._replace(role=Role.TWIN)

    @cached_property
    def looks(self) -> dict[str, tuple[str, str]]:
        """Colour and marker of each framework."""
        return looks([who.framework for who in self.arms])

    @cached_property
    def subjects(self) -> list[Subject]:
        """What was timed, in the order of the suites."""
        known = frames.problems(self.run)
        samples = self.run.samples
        keys = {key for key, _ in self.told}
        timed = samples[samples["problem"] != ""][["problem", "part"]].drop_duplicates()
        keys |= set(timed.itertuples(index=False, name=None))
        rank = {problem: index for index, problem in enumerate(known)}
        turn = {part: index for index, part in enumerate(_TURN)}
        ordered = sorted(keys, key=lambda key: (rank.get(key[0], len(rank)), key[0], turn.get(key[1], 9), key[1]))
        parts: dict[str, set[str]] = {}
        for problem, part in ordered:
            parts.setdefault(_case(problem, known), set()).add(part)
        return [_subject(key, known, several=len(parts[_case(key[0], known)]) > 1) for key in ordered]

    def cases(self) -> dict[str, list[Subject]]:
        """The subjects by suite and case."""
        found: dict[str, list[Subject]] = {}
        for subject in self.subjects:
            found.setdefault(subject.case, []).append(subject)
        return found

    @cached_property
    def sequence(self) -> list[Trial]:
        """The steady samples, a trial per subject and restart, in the order in which they were taken."""
        return list(readings.trials(self.run.samples))

    @cached_property
    def trials(self) -> dict[Key, list[Trial]]:
        """The same by subject."""
        found: dict[Key, list[Trial]] = {}
        for trial in self.sequence:
            found.setdefault(trial.subject, []).append(trial)
        return {key: sorted(own, key=lambda trial: trial.restart) for key, own in found.items()}

    @cached_property
    def measured(self) -> dict[tuple[Key, Who], list[Any]]:
        """The rows of ``measurements``, a named tuple per restart, by subject and arm."""
        found: dict[tuple[Key, Who], list[Any]] = {}
        for row in self.run.measurements.sort_values("restart").itertuples(index=False):
            found.setdefault(((row.problem, row.part), who_of(row)), []).append(row)
        return found

    def seconds(self, key: Key, who: Who) -> Range | None:
        """A call's time: the median over restarts, the least and the most; None where none may be told."""
        row = self.told.get((key, who))
        if row is None or row.seconds is None:
            return None
        own = [found.seconds for found in self.measured.get((key, who), ()) if not math.isnan(found.seconds)]
        return Range(row.seconds, min([*own, row.seconds]), max([*own, row.seconds]))

    def threads_of(self, who: Who) -> int:
        """How many threads an arm was asked to use, 0 where a device beside the processor computes."""
        return int(self.bench["threads"]) if who.device == self.reference.device == "cpu" else 0

    def kept(self, trial: Trial, who: Who) -> Array:
        """Which rounds of a restart count for this arm: those in which neither it nor the reference waited."""
        return fitness.kept(trial.pair(who, self.reference), self.threads_of(who))

    def fit(self, key: Key, who: Who) -> list[int]:
        """The restarts that count for this arm."""
        return [row.restart for row in self.measured.get((key, who), ()) if not row.complaint]


def of(run: Run) -> Timed | None:
    """What a run timed; None where it is no timed run."""
    return Timed(run, run.info["bench"]) if "bench" in run.info else None


def who_of(row: Any) -> Who:
    """Whom a row is about."""
    return Who(row.framework, row.mode, row.device, Role(row.role))


def _case(problem: str, known: Mapping[str, Mapping[str, Any]]) -> str:
    about = known.get(problem)
    return f"{about['suite']}/{about['case']}" if about else problem.partition("@")[0]


def _subject(key: Key, known: Mapping[str, Mapping[str, Any]], *, several: bool) -> Subject:
    problem, part = key
    about = known.get(problem, {})
    label = " ".join(_value(word, about) for word in problem.partition("@")[2].split(",") if word)
    words = [label] if label else []
    if several or not words:
        words.append(part)
    return Subject(key, _case(problem, known), about.get("title", ""), " ".join(words), about)


def _value(word: str, about: Mapping[str, Any]) -> str:
    """The value of one key of a sweep: what an id only numbers is looked up."""
    name, _, value = word.rpartition("=")
    group, _, key = name.partition(".")
    if value.startswith("#") and isinstance(about.get(group), dict) and key in about[group]:
        return f"{key} {'×'.join(map(str, _flat(about[group][key])))}"
    return value


def _flat(value: Any) -> Sequence[Any]:
    if not isinstance(value, list):
        return [value]
    return [json.dumps(item) if isinstance(item, (list, dict)) else item for item in value]
