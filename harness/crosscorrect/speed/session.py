"""A timed run from its beginning to its end: conformance first, then restart after restart, then the verdicts."""

from __future__ import annotations

import json
import random
import sys
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from crosscorrect import api, lock, log, store, tables
from crosscorrect.errors import IncompleteError, UsageError
from crosscorrect.execution import Execution
from crosscorrect.ledger import read as read_ledger
from crosscorrect.nearest import meant
from crosscorrect.plan import Preparation, describe
from crosscorrect.registry import Framework, locate
from crosscorrect.speed import readings, standing, work
from crosscorrect.speed.conditions import BUDGETS, Conditions, choose_cpus, machine
from crosscorrect.speed.judgement import Rule, judge
from crosscorrect.speed.model import Comparison, Key, Measurement, Role, Who
from crosscorrect.speed.sampling import TIMED, Sampling
from crosscorrect.speed.subjects import Subject, subjects
from crosscorrect.speed.workers import Arm, Workers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    import pandas as pd

    from crosscorrect.model import Check
    from crosscorrect.plan import Greeting, Plan
    from crosscorrect.speed.work import Work

    Done = dict[tuple[int, str, str], int]

COLD_ROUNDS = 15
"""How often a call is sampled once it is warm, where the start is what is measured."""
COLD = {"TORCHINDUCTOR_FORCE_DISABLE_CACHES": "1"}
"""Keeps what was compiled by an earlier process out of a fresh one."""
PREFERRED = "torch"
"""The reference where it is asked and nobody named another: most people know how fast it is."""


@dataclass(frozen=True, slots=True)
class Timing:
    """How far a timed run is: so many of ``total`` problems in all restarts, 0 for as before; and what happened."""

    done: int = 0
    total: int = 0
    said: str = ""


def bench(
    suites: Iterable[str | Path] | str | Path = ("speed",),
    frameworks: Iterable[str] | None = None,
    *,
    reference: str | None = None,
    budget: str = "standard",
    cpus: int = 1,
    margin: float = 0.03,
    cold: bool = False,
    results: Path | str = "results",
    resume: Path | str | None = None,
    **request: Unpack[api.Request],
) -> store.Run:
    """Judge and time suites in frameworks, and return the finished run; ``request`` is in the words of ``api.run``.

    The rest is as for ``measure``, and so is what is raised.
    """
    request.setdefault("level", "nightly")
    plan = api.planned(suites, frameworks, **request)
    return measure(
        plan,
        reference=reference,
        budget=budget,
        cpus=cpus,
        rule=Rule(margin),
        cold=cold,
        results=results,
        resume=resume,
    )


def measure(
    plan: Plan,
    *,
    reference: str | None = None,
    budget: str = "standard",
    cpus: int = 1,
    rule: Rule = Rule(),  # noqa: B008  an immutable tuple
    cold: bool = False,
    results: Path | str = "results",
    resume: Path | str | None = None,
    on_event: Callable[[Plan, Check | Greeting | Timing | None], None] | None = None,
) -> store.Run:
    """Judge and time the problems of a plan, and return the finished run.

    Its frames are those of every run, and ``samples``, ``measurements``, ``verdicts``. ``reference`` is the framework
    that the others are compared with, in the first mode and on the first device of the plan; ``budget`` a name of
    ``BUDGETS``; ``cpus`` how many processors every worker may use. ``resume`` goes on with an unfinished run of the
    same request at the round after the last. ``cold`` asks each problem in a process of its own, one framework after
    the other, to tell what a start costs; nothing is then ranked.

    Raises UsageError for a request that cannot be meant, IncompleteError where the reference cannot be started, and
    what ``api.run`` raises.
    """
    conditions = Conditions(choose_cpus(cpus), BUDGETS[budget], plan.arithmetic, plan.seed, plan.memory)
    own = Who(_reference(plan, reference).name, (plan.modes or ("eager",))[0], plan.devices[0])
    told = {"reference": own.framework, "mode": own.mode, "device": own.device, **conditions.describe(), "cold": cold}
    said = {**describe(plan), "bench": told}
    folder = store.create(Path(results), store.new_run_id(), said) if resume is None else Path(resume)
    with lock.held(folder):
        if resume is None or api.to_be_resumed(folder, said):

            def say(event: Check | Greeting | Timing | None) -> None:
                if on_event is not None:
                    on_event(plan, event)

            say(None)
            session = Session(plan, conditions, own, folder, say, cold)
            session.run()
            _conclude(folder, session.work, rule)
    return store.load(folder)


def rejudge(run: store.Run, rule: Rule) -> tuple[list[Measurement], list[Comparison]]:
    """The measurements and comparisons of a finished run under another rule, from its raw samples.

    Raises UsageError for a run that timed nothing.
    """
    if "bench" not in run.info:
        raise UsageError(f"{run.folder} is no timed run; 'crosscorrect bench' makes one")
    facts = standing.facts(run.info, run.checks, run.events, run.samples, standing.work_of(run.verdicts))
    return judge(run.samples, facts, rule)


def comparisons(run: store.Run) -> list[Comparison]:
    """The verdicts of a finished run as rows."""
    return readings.comparisons(run.verdicts)


def _conclude(folder: Path, amounts: Mapping[Key, Work], rule: Rule) -> None:
    """Judge what is in the logs, write that there too, and seal the folder."""
    found = {name: table.to_pandas() for name, table in tables.frames(log.logs(folder)).items()}
    facts = standing.facts(store.read_info(folder), found["checks"], found["events"], found["samples"], amounts)
    measurements, comparisons = judge(found["samples"], facts, rule)
    if store.read_info(folder)["bench"]["cold"]:  # one after the other: no two of them can be compared
        comparisons = []
    with closing(store.Segment(folder)) as segment:
        for name, rows in (("measurements", measurements), ("verdicts", comparisons)):
            for row in rows:
                segment.write(name, tables.row_record(row))
    store.seal(folder)


def _reference(plan: Plan, name: str | None) -> Framework:
    by_name = {framework.name: framework for framework in plan.frameworks}
    chosen = name or (PREFERRED if PREFERRED in by_name else next(iter(by_name)))
    if chosen not in by_name:
        otherwise = meant(chosen, by_name, f"it is one of {', '.join(by_name)}")
        raise UsageError(f"--reference {chosen}: it is not asked; {otherwise}")
    return by_name[chosen]


@dataclass(slots=True)
class Session:
    """The work on a run folder. ``own`` is the reference; ``started`` are the cold starts that are finished."""

    plan: Plan
    conditions: Conditions
    own: Who
    folder: Path
    say: Callable[[Any], None]
    cold: bool = False
    started: set[tuple[int | str, ...]] = field(default_factory=set)
    subjects: list[Subject] = field(default_factory=list)
    work: dict[Key, Work] = field(default_factory=dict)
    arms: list[Arm] = field(default_factory=list)

    def run(self) -> None:
        """Everything that is still to be done. Raises IncompleteError where the reference is not to be had."""
        with closing(store.Segment(self.folder)) as segment:
            self._conform(segment)
        checks = tables.frames(log.logs(self.folder))["checks"].to_pandas()
        done, finished = self._progress()
        self._choose(checks)
        allowed = self._allowed(checks)
        digests: dict[tuple[str, ...], str] = {
            (row.problem, row.framework, row.mode, row.device, row.direction): row.output_digest
            for row in checks.itertuples()
        }
        with closing(store.Segment(self.folder)) as segment:
            for restart in range(self.conditions.budget.restarts):
                left = [s for s in self.subjects if (restart, *s.key) not in finished]
                random.Random(f"{self.plan.seed} {restart}").shuffle(left)  # noqa: S311  an order, no secret
                if left and self.cold:
                    self._cold(segment, restart, left, allowed, digests)
                elif left:
                    self._restart(segment, restart, left, allowed, digests, done)

    def _conform(self, segment: store.Segment) -> None:
        """Judge every problem in every arm, as any run does: what does not pass is not timed."""
        ledger = read_ledger(log.logs(self.folder))
        execution = Execution(self.plan, segment, ledger)
        try:
            for event in execution:
                self.say(event)
        except KeyboardInterrupt:
            execution.drain(api.DRAIN)
            raise
        finally:
            execution.close()
        for key, value in machine().items():
            segment.write("env", {"framework": "", "section": "machine", "key": key, "value": value})

    def _choose(self, checks: pd.DataFrame) -> None:
        """What is timed, and who: the arms that were judged, the reference's twin, the sentinel."""
        preparation = Preparation(self.plan.seed)
        self.subjects = [s for problem in self.plan.problems for s in subjects(preparation.get(problem))]
        amounts = {s.key: work.of(s.call) for s in self.subjects}
        self.work = {key: amount for key, amount in amounts.items() if amount is not None}
        by_name = {framework.name: framework for framework in self.plan.frameworks}
        rows = checks[["framework", "mode", "device"]].drop_duplicates().itertuples(index=False, name=None)
        self.arms = [Arm(by_name[framework], mode, device) for framework, mode, device in rows]
        reference = by_name[self.own.framework]
        self.arms.append(Arm(reference, self.own.mode, self.own.device, Role.TWIN))
        sentinel = locate("numpy")
        sentinel = Framework("numpy", sentinel.target, Path(sys.executable), "current", sentinel.packages)
        self.arms += [Arm(sentinel, "eager", "cpu", role) for role in (Role.COMPUTE, Role.STREAMING)]

    def _allowed(self, checks: pd.DataFrame) -> dict[Key, list[Arm]]:
        """Who may be timed on each subject: whoever was judged and stands under no other verdict."""
        refused = standing.of_checks(checks, {s.key for s in self.subjects})
        judged = set(checks[["problem", "framework", "mode", "device"]].itertuples(index=False, name=None))
        allowed = {}
        for subject in self.subjects:
            fit = [
                arm
                for arm in self.arms
                if arm.role in (Role.COMPUTE, Role.STREAMING)
                or (
                    (subject.key[0], *arm.who[:3]) in judged
                    and (subject.key, arm.who._replace(role=Role.ARM)) not in refused
                )
            ]
            twin = any(arm.role is Role.TWIN for arm in fit)
            # without its reference nothing can be compared; a start is no comparison
            allowed[subject.key] = fit if twin or self.cold else []
        return allowed

    def _restart(
        self,
        segment: store.Segment,
        restart: int,
        left: list[Subject],
        allowed: Mapping[Key, list[Arm]],
        digests: Mapping[tuple[str, ...], str],
        done: Done,
    ) -> None:
        total = self.conditions.budget.restarts * len(self.subjects)
        before = (restart + 1) * len(self.subjects) - len(left)
        self.say(Timing(before, total, f"restart {restart + 1}: starting the workers"))
        with Workers(self.arms, self.conditions, restart) as workers:
            if (self.own.framework, Role.ARM) in workers.missing:
                raise IncompleteError(workers.missing[self.own.framework, Role.ARM])
            sampling = self._sampling(workers, segment, restart, digests)
            sampling.imports(workers.hellos())
            sampling.ceilings([arm for arm in self.arms if arm.role in (Role.COMPUTE, Role.STREAMING)])
            for place, subject in enumerate(left, 1):
                sampling.measure(subject, allowed[subject.key], done.get((restart, *subject.key), 0))
                sampling.timed(subject)
                self.say(Timing(before + place, total))

    def _cold(
        self,
        segment: store.Segment,
        restart: int,
        left: list[Subject],
        allowed: Mapping[Key, list[Arm]],
        digests: Mapping[tuple[str, ...], str],
    ) -> None:
        """Each problem in a fresh process of each arm, in an order that is drawn anew."""
        total = self.conditions.budget.restarts * len(self.subjects)
        done = (restart + 1) * len(self.subjects) - len(left)
        chance = random.Random(f"cold {self.plan.seed} {restart}")  # noqa: S311  an order, no secret
        for place, subject in enumerate(left):
            self.say(Timing(done + place, total))
            arms = [arm for arm in allowed[subject.key] if arm.role is Role.ARM]
            chance.shuffle(arms)
            sampling: Sampling | None = None
            for arm in arms:
                if (restart, *subject.key, *arm.who[:3]) in self.started:
                    continue
                with Workers([arm], self.conditions, restart, COLD) as workers:
                    sampling = self._sampling(workers, segment, restart, digests)
                    sampling.imports(workers.hellos(), subject.key, arm)
                    sampling.measure(subject, [arm], 0)
                    sampling.timed(subject, arm)
            if sampling is not None:
                sampling.timed(subject)
        self.say(Timing(done + len(left), total))

    def _sampling(
        self, workers: Workers, segment: store.Segment, restart: int, digests: Mapping[tuple[str, ...], str]
    ) -> Sampling:
        budget = self.conditions.budget._replace(rounds=COLD_ROUNDS) if self.cold else self.conditions.budget
        arithmetic, seed = self.plan.arithmetic, self.plan.seed
        return Sampling(
            workers, segment, restart, budget, arithmetic, seed, digests, lambda text: self.say(Timing(said=text))
        )

    def _progress(self) -> tuple[Done, set[tuple[int, str, str]]]:
        """How many rounds of each restart and subject are in the logs, and which of them are finished."""
        done: Done = {}
        finished = set()
        for table, row in tables.rows(log.logs(self.folder)):
            if table == "samples" and row["round"] >= 0:
                key = (row["restart"], row["problem"], row["part"])
                done[key] = max(done.get(key, 0), row["round"] + 1)
            elif table == "events" and row["what"] == TIMED:
                detail = json.loads(row["detail"])
                key = (detail["restart"], row["problem"], detail["part"])
                if row["framework"]:
                    self.started.add((*key, row["framework"], row["mode"], row["device"]))
                else:
                    finished.add(key)
        return done, finished
