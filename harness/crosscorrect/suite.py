"""Suites: finding a case file, reading it against its schema, and streaming the problems that its cases sweep over."""

from __future__ import annotations

import hashlib
import importlib.resources
import itertools
import json
import math
import os
import re
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema

from crosscorrect import yamlfile
from crosscorrect.errors import CaseError, UsageError
from crosscorrect.registry import adapters
from crosscorrect.specify import specify
from crosscorrect.sweep import Sweep

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from jsonschema.exceptions import ValidationError

    from crosscorrect.problem import Problem

MAX_PROBLEMS = 10**7
"""Ten million problems of a millisecond are three hours, and their rows several GB: more is a key swept by mistake."""
NEAR = 1000
"""How many ids of a case are compared with one that is not there, to suggest the nearest."""
MAX_ERRORS = 50
LINT_PROBLEMS = 1000
"""How many problems of each suite ``lint`` builds the inputs of, where they are small."""
LINT_ELEMENTS = 2**16

_FIRST = ("chapter", "problems", "kernels", "recovery")  # the order in which the chapter is read


@dataclass(frozen=True, slots=True)
class Suite:
    """A case file that fits its schema. ``cases`` are its cases with the defaults filled in, as plain data.

    ``digest`` is the sha256 of the content in canonical JSON, so that a comment does not change it.
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
    return Suite(
        name=value["suite"],
        title=value.get("title", value["suite"]),
        description=value.get("description", ""),
        path=document.path,
        digest=hashlib.sha256(canonical.encode()).hexdigest(),
        cases=tuple({**defaults, **case} for case in value["cases"]),
        document=document,
    )


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
    found += _strangers(document, frameworks)
    for index in range(len(suite.cases)):
        try:
            sweep = suite.sweep(index)
            for place in range(len(sweep)):
                problem = specify(suite.name, sweep.point(place))
                if built < LINT_PROBLEMS and sum(map(math.prod, problem.shapes.values())) <= LINT_ELEMENTS:
                    problem.inputs()
                    built += 1
        except CaseError as error:
            found.append(error)
    return found[:MAX_ERRORS]


def shipped_suites() -> dict[str, Path]:
    """The suites that come with the package, by name, in reading order."""
    folder = Path(str(importlib.resources.files("crosscorrect_cases"))) / "suites"
    paths = {path.stem: path for path in sorted(folder.glob("*.yaml"))}
    names = [name for name in _FIRST if name in paths]
    return {name: paths[name] for name in names + [name for name in paths if name not in names]}


def find_suites(names: Sequence[str | Path]) -> list[Path]:
    """The paths of suites asked for by shipped name or by path, in order and each once; all shipped ones for no names.

    Raises UsageError, with the nearest name, for one that is neither.
    """
    shipped = shipped_suites()
    found = []
    for name in map(str, names or shipped):
        is_path = os.sep in name or name.endswith((".yaml", ".yml")) or Path(name).exists()
        if name not in shipped and not is_path:
            raise _unknown("suite", name, list(shipped), "or the path of a YAML file")
        path = shipped.get(name, Path(name))
        if not path.exists():
            raise UsageError(f"there is no suite file {name}")
        found.append(path)
    return list(dict.fromkeys(found))


@lru_cache(maxsize=1)
def schema() -> dict[str, Any]:
    """The JSON Schema of a case file (Draft 2020-12)."""
    text = importlib.resources.files("crosscorrect_cases").joinpath("suite.schema.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def _defects(document: yamlfile.Document) -> Iterator[CaseError]:
    """What is wrong with a document before any case is expanded, in the order of its lines."""
    validator = jsonschema.Draft202012Validator(schema())
    errors = list(itertools.islice(validator.iter_errors(document.value), MAX_ERRORS))
    told = [_told(document, error) for error in errors]
    yield from sorted(told, key=lambda error: error.line or 0)
    if told:
        return
    value, seen, total = document.value, set(), 0
    for index, case in enumerate(value["cases"]):
        path = ("cases", index, "id")
        if case["id"] in seen:
            yield _error(document, path, "another case has this id", case["id"], "give each case its own id")
        seen.add(case["id"])
        total += math.prod(map(len, case.get("sweep", {}).values()))
        if total > MAX_PROBLEMS:
            at = ("cases", index, "sweep")
            yield _error(document, at, f"the suite has more than {MAX_PROBLEMS} problems", None, "sweep over less")
            return


def _strangers(document: yamlfile.Document, more: Collection[str]) -> Iterator[CaseError]:
    """Each name in an ``only`` that no adapter has: misspelt, it would take its case out of every run, silently."""
    value, names = document.value, [*adapters(), *more]
    paths: list[tuple[str | int, ...]] = [("cases", index) for index in range(len(value["cases"]))]
    for path, keys in [(("defaults",), value.get("defaults", {})), *zip(paths, value["cases"], strict=True)]:
        for place, name in enumerate(keys.get("only", ())):
            if name not in names:
                close = get_close_matches(name, names, 1)
                remedy = f"did you mean {close[0]}?" if close else "the adapters here are " + ", ".join(names)
                yield _error(document, (*path, "only", place), "no adapter has this name", name, remedy)


def _told(document: yamlfile.Document, error: ValidationError) -> CaseError:
    """A schema error in the words of docs/cases.md, at the line of the key it is about."""
    path = tuple(error.absolute_path)
    described = error.schema.get("description", "") if isinstance(error.schema, dict) else ""
    value: Any = error.instance
    if error.validator == "additionalProperties":
        known = list(error.schema.get("properties", {}))
        unknown = next(key for key in value if key not in known and not _patterned(key, error.schema))
        close = get_close_matches(unknown, known, 1)
        remedy = f"did you mean {close[0]}?" if close else described or "the keys are " + ", ".join(known)
        return _error(document, (*path, unknown), "this key has no meaning here", None, remedy)
    if error.validator == "required":
        missing = next(key for key in error.validator_value if key not in value)
        return _error(document, path, f"the key {missing} is missing", None, f"add {missing}")
    if error.validator == "enum":
        close = get_close_matches(str(value), list(map(str, error.validator_value)), 1)
        remedy = f"did you mean {close[0]}?" if close else "write one of " + ", ".join(map(str, error.validator_value))
        return _error(document, path, "this is not one of the words that stand here", value, remedy)
    problems = {
        "type": f"this is not {_types(error.validator_value)}",
        "const": f"this is not {error.validator_value}",
        "pattern": "this is not of the form that stands here",
        "minItems": f"this has fewer than {error.validator_value} elements",
        "maxItems": f"this has more than {error.validator_value} elements",
        "uniqueItems": "this says one thing twice",
        "minProperties": "this is empty",
    }
    return _error(document, path, problems.get(str(error.validator), error.message), value, described)


def _patterned(key: str, part: Mapping[str, Any]) -> bool:
    return any(re.search(pattern, key) for pattern in part.get("patternProperties", {}))


def _types(wanted: Any) -> str:
    words = {
        "object": "a mapping",
        "array": "a list",
        "string": "text",
        "boolean": "true or false",
        "integer": "an integer",
    }
    names = [words.get(name, f"a {name}") for name in (wanted if isinstance(wanted, list) else [wanted])]
    return " or ".join(names)


def _error(document: yamlfile.Document, path: Sequence[str | int], problem: str, value: Any, remedy: str) -> CaseError:
    shown = list(path)
    if len(path) > 1 and path[0] == "cases":  # a person knows a case by its id, not by its number
        case = document.value["cases"][path[1]]
        shown[:2] = [case["id"] if isinstance(case, dict) and isinstance(case.get("id"), str) else f"cases.{path[1]}"]
    key = ".".join(map(str, shown))
    return CaseError(problem, file=document.path, line=document.line(path), key=key, value=value, remedy=remedy)


def _unknown(what: str, name: str, known: list[str], more: str = "") -> UsageError:
    close = get_close_matches(name, known, 1)
    hint = f"did you mean {close[0]}" if close else "the names are " + ", ".join(known[:10])
    return UsageError(f"there is no {what} {name}; {hint}{', ' + more if more else ''}")
