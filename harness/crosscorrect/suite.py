"""Suites: finding a case file, reading it against its schema, and streaming the problems that its cases sweep over."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crosscorrect import npz, schemas, yamlfile
from crosscorrect.errors import CaseError, UsageError
from crosscorrect.nearest import meant, nearest
from crosscorrect.registry import adapters
from crosscorrect.schemas import MAX_ERRORS, defect
from crosscorrect.shipped import shipped_suites
from crosscorrect.specify import specify
from crosscorrect.sweep import Sweep

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from crosscorrect.problem import Problem

MAX_PROBLEMS = 10**7
"""Ten million problems of a millisecond are three hours, and their rows several GB: more is a key swept by mistake."""
NEAR = 1000
"""How many ids of a case are compared with one that is not there, to suggest the nearest."""
NAMED = 20
"""So many names are listed where none is near."""
LINT_PROBLEMS = 1000
"""How many problems of each suite ``lint`` builds the inputs of, where they are small."""
LINT_ELEMENTS = 2**16
LINT_POINTS = 20_000
"""How many points of each case's sweep ``lint`` looks at: it takes seconds, whatever a sweep says."""

ENDS = (".yaml", ".yml")
"""How the name of a suite's file ends."""


@dataclass(frozen=True, slots=True)
class Suite:
    """A case file that fits its schema. ``cases`` are its cases with the defaults filled in, as plain data.

    ``digest`` is the sha256 of the content in canonical JSON, so that a comment does not change it, and of the ``.npz``
    files beside it that it names.
    """

    name: str
    title: str
    description: str
    path: Path
    digest: str
    cases: tuple[Mapping[str, Any], ...]
    document: yamlfile.Document

    def problems(self) -> Iterator[Problem]:
        """Each problem in order, made when it is asked for; the first key of a sweep changes slowest.

        Raises CaseError at a problem that makes no sense.
        """
        for index in range(len(self.cases)):
            sweep = self.sweep(index)
            for place in range(len(sweep)):
                yield specify(self.name, sweep.point(place))

    def problem(self, problem_id: str) -> Problem:
        """The problem of this id. Raises UsageError, with the nearest id, where the suite has none."""
        name, mark, suffix = problem_id.removeprefix(f"{self.name}/").partition("@")
        for index, keys in enumerate(self.cases):
            if keys["id"] == name:
                sweep = self.sweep(index)
                place = sweep.place(mark + suffix)
                if place is not None and problem_id.startswith(f"{self.name}/"):
                    return specify(self.name, sweep.point(place))
                near = range(min(len(sweep), NEAR))
                raise _unknown("problem", problem_id, [f"{self.name}/{name}{sweep.suffix(place)}" for place in near])
        raise _unknown("problem", problem_id, [f"{self.name}/{keys['id']}" for keys in self.cases])

    def check_frameworks(self, more: Collection[str] = ()) -> None:
        """Raise the first CaseError of an ``only`` that names no installed adapter and none of ``more``.

        Reading a suite does not ask this, so that one for somebody else's adapter can be read without it; a run asks.
        """
        for error in _strangers(self.document, more):
            raise error

    def sweep(self, index: int) -> Sweep:
        """The points of one case, by its position in ``cases``. Raises CaseError where they cannot be named."""
        return Sweep.of(self.document, index, self.cases[index])


def load_suite(path: Path | str) -> Suite:
    """Read a case file and check it against the schema; raises the first CaseError."""
    document = yamlfile.load(path)
    for error in _defects(document):
        raise error
    value = document.value
    defaults = value.get("defaults", {})
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    for name in sorted(_archives(value)):
        canonical += f"|{name}={npz.digest(document.path.parent, name)}"
    return Suite(
        name=value["suite"],
        title=value.get("title", value["suite"]),
        description=value.get("description", ""),
        path=document.path,
        digest=hashlib.sha256(canonical.encode()).hexdigest(),
        cases=tuple({**defaults, **case} for case in value["cases"]),
        document=document,
    )


@lru_cache(maxsize=32)
def load_shipped(path: Path) -> Suite:
    """A suite that ships, read once: it does not change while this process runs, and reading takes longer than asking.

    Raises as ``load_suite``.
    """
    return load_suite(path)


def lint(path: Path | str, frameworks: Collection[str] = ()) -> list[CaseError]:
    """Every defect of a case file that can be found, up to 50: of the file, of its schema, or the first of each case.

    The arrays of the first problems are built too where they are small, so that values which the dtype cannot hold
    show. ``frameworks`` are those that ``only`` may name although no adapter of theirs is installed.
    """
    try:
        document = yamlfile.load(path)
    except CaseError as error:
        return [error]
    found = list(itertools.islice(_defects(document), MAX_ERRORS))
    if found:
        return found
    suite, built = load_suite(path), 0
    found += itertools.islice(_strangers(document, frameworks), MAX_ERRORS)
    for index in range(len(suite.cases)):
        try:
            sweep = suite.sweep(index)
            for place in range(min(len(sweep), LINT_POINTS)):
                problem = specify(suite.name, sweep.point(place))
                if built < LINT_PROBLEMS and sum(map(math.prod, problem.shapes.values())) <= LINT_ELEMENTS:
                    problem.inputs()
                    built += 1
        except CaseError as error:
            found.append(error)
    return found[:MAX_ERRORS]


def find_suites(names: Sequence[str | Path]) -> list[Path]:
    """The paths of suites asked for by shipped name or by path, in order and each once; all shipped ones for no names.

    Raises UsageError, with the nearest name, for one that is neither.
    """
    shipped = shipped_suites()
    found = []
    for name in map(str, names or shipped):
        is_path = os.sep in name or name.endswith(ENDS) or Path(name).exists()
        if name not in shipped and not is_path:
            if name in adapters():
                raise UsageError(f"there is no suite {name}; it is a framework: -f {name}")
            raise _unknown("suite", name, list(shipped), "or the path of a YAML file")
        path = shipped.get(name, Path(name))
        if not path.exists():
            beside = sorted(str(near) for end in ENDS for near in path.parent.glob(f"*{end}"))
            hint = meant(name, beside)
            raise UsageError(f"there is no suite file {name}{f'; {hint}' if hint else ''}")
        found.append(path)
    return list(dict.fromkeys(found))


def schema() -> dict[str, Any]:
    """The JSON Schema of a case file (Draft 2020-12)."""
    return schemas.schema("suite")


def _defects(document: yamlfile.Document) -> Iterator[CaseError]:
    """What is wrong with a document before any case is expanded, in the order of its lines."""
    told = schemas.defects(document, "suite")
    yield from told
    if told:
        return
    value, seen, total = document.value, set(), 0
    for index, case in enumerate(value["cases"]):
        path = ("cases", index, "id")
        if case["id"] in seen:
            yield defect(document, path, "another case has this id", case["id"], "give each case its own id")
        seen.add(case["id"])
        total += math.prod(map(len, case.get("sweep", {}).values()))
        if total > MAX_PROBLEMS:
            at = ("cases", index, "sweep")
            yield defect(document, at, f"the suite has more than {MAX_PROBLEMS} problems", None, "sweep over less")
            return


def _archives(value: Any) -> set[str]:
    """The names of all ``.npz`` files in a case file: of an array, or of the values that one is swept over."""
    if isinstance(value, list):
        return set().union(*map(_archives, value))
    if not isinstance(value, dict):
        return set()
    found: set[str] = set().union(*map(_archives, value.values()))
    for key, named in value.items():
        if key == "npz" or key.endswith(".npz"):
            found |= {name for name in (named if isinstance(named, list) else [named]) if isinstance(name, str)}
    return found


def _strangers(document: yamlfile.Document, more: Collection[str]) -> Iterator[CaseError]:
    """Each name in an ``only`` that no adapter has: misspelt, it would take its case out of every run, silently."""
    value, names = document.value, [*adapters(), *more]
    paths: list[tuple[str | int, ...]] = [("cases", index) for index in range(len(value["cases"]))]
    for path, keys in [(("defaults",), value.get("defaults", {})), *zip(paths, value["cases"], strict=True)]:
        for place, name in enumerate(keys.get("only", ())):
            if name not in names:
                remedy = meant(name, names, "the adapters here are " + ", ".join(names))
                yield defect(document, (*path, "only", place), "no adapter has this name", name, remedy)


def _unknown(what: str, name: str, known: list[str], more: str = "") -> UsageError:
    near = nearest(name, known)
    names = ", ".join(known[:NAMED]) + (" …" if len(known) > NAMED else "")
    hint = f"did you mean {near}" if near else f"the names are {names}"
    return UsageError(f"there is no {what} {name}; {hint}{', ' + more if more else ''}")
