"""The two JSON Schemas, of case files and of expectations: what a document has wrong by them, in a person's words.

The checks are those of JSON Schema (Draft 2020-12) as its own regular expressions and integers mean them: ``$`` is the
very end of a text, not the place before a last line feed, and ``3.0`` is a number but no count. Each takes a time that
grows with the document and no faster, and no more than 50 defects are looked for.
"""

from __future__ import annotations

import importlib.resources
import itertools
import json
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import jsonschema
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend

from crosscorrect.errors import CaseError
from crosscorrect.nearest import meant, nearest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from crosscorrect.yamlfile import Document

MAX_ERRORS = 50
LONGEST_NUMBERS = 40
"""So many characters of numbers are shown as they should be written."""


@lru_cache(maxsize=2)
def schema(name: str) -> dict[str, Any]:
    """A schema as it ships: ``suite`` or ``expectations``."""
    text = importlib.resources.files("crosscorrect_cases").joinpath(f"{name}.schema.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def defects(document: Document, name: str) -> list[CaseError]:
    """What is wrong with a document by the schema of this name, up to 50 defects, in the order of their lines."""
    errors = itertools.islice(_validator(name).iter_errors(document.value), MAX_ERRORS)
    return sorted((_told(document, error) for error in errors), key=lambda error: error.line or 0)


def defect(document: Document, path: Sequence[str | int], problem: str, value: Any, remedy: str) -> CaseError:
    """The CaseError of a defect at a key path; a case is called by its id, where it has one."""
    shown = list(path)
    if len(path) > 1 and path[0] == "cases":  # a person knows a case by its id, not by its number
        case = document.value["cases"][path[1]]
        shown[:2] = [case["id"] if isinstance(case, dict) and isinstance(case.get("id"), str) else f"cases.{path[1]}"]
    key = ".".join(map(str, shown))
    return CaseError(problem, file=document.path, line=document.line(path), key=key, value=value, remedy=remedy)


def _told(document: Document, error: ValidationError) -> CaseError:
    """A schema's error in the words of docs/cases.md, at the line of the key that it is about."""
    path = tuple(error.absolute_path)
    described = error.schema.get("description", "") if isinstance(error.schema, dict) else ""
    value: Any = error.instance
    if error.validator == "additionalProperties":
        known = list(error.schema.get("properties", {}))
        unknown = next(key for key in value if key not in known and not _patterned(key, error.schema))
        remedy = _numbers(path, value, error.schema) or meant(unknown, known, _standing(described, known))
        return defect(document, (*path, unknown), "this key has no meaning here", None, remedy)
    if error.validator == "required":
        missing = next(key for key in error.validator_value if key not in value)
        return defect(document, path, f"the key {missing} is missing", None, f"add {missing}")
    limit: Any = error.validator_value
    if error.validator == "enum":
        remedy = meant(value, list(map(str, limit)), "write one of " + ", ".join(map(str, limit)))
        return defect(document, path, "this is not one of the words that stand here", value, remedy)
    problems = {
        "type": f"this is not {_types(limit)}",
        "const": f"this is not {limit}",
        "pattern": "this is not of the form that stands here",
        "minItems": f"this has fewer than {limit} elements",
        "maxItems": f"this has more than {limit} elements",
        "uniqueItems": "this says one thing twice",
        "minProperties": "this is empty",
        "minLength": "this is empty",
        "maxLength": f"this has more than {limit} characters",
        "minimum": f"this is below {limit}",
        "exclusiveMinimum": f"this is not above {limit}",
        "maximum": f"this is above {limit}",
    }
    return defect(document, path, problems[str(error.validator)], value, described)


def _standing(described: str, known: Sequence[str]) -> str:
    """What may stand where a key has no meaning, as a part of a sentence."""
    if not described:
        return "the keys are " + ", ".join(known)
    return f"what may stand here: {described[0].lower()}{described[1:].removesuffix('.')}"


def _numbers(path: Sequence[str | int], value: Mapping[str, Any], part: Mapping[str, Any]) -> str:
    """The remedy for numbers under a key of their own, ``x: {data: [[1]]}``; empty where that is not what is wrong."""
    ((unknown, held),) = list(value.items())[:1]
    if "array" not in part.get("type", ()) or len(value) > 1 or not (isinstance(held, list) and held):
        return ""
    if not isinstance(held[0], list) and nearest(unknown, part.get("properties", {}), 0.75):
        return ""
    shown = json.dumps(held)
    key = next((name for name in reversed(path) if isinstance(name, str)), "")
    return "write the numbers themselves" + (f": {key}: {shown}" if len(shown) <= LONGEST_NUMBERS else "")


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


def _patterned(key: str, part: Mapping[str, Any]) -> bool:
    return any(re.search(pattern, key) for pattern in part.get("patternProperties", {}))


def _unique(_: Any, wanted: bool, value: Any, _schema: Any) -> Iterator[ValidationError]:
    """``uniqueItems`` by a set: comparing each with each takes minutes where a stranger wrote thousands."""
    if wanted and isinstance(value, list):
        seen = {json.dumps(item, sort_keys=True) for item in value}
        if len(seen) < len(value):
            yield ValidationError("an element stands twice")


def _is_integer(_: Any, value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


_Checked = extend(
    jsonschema.Draft202012Validator,
    {"uniqueItems": _unique},
    type_checker=jsonschema.Draft202012Validator.TYPE_CHECKER.redefine("integer", _is_integer),
)


@lru_cache(maxsize=2)
def _validator(name: str) -> Any:
    return _Checked(_pythonic(schema(name)))


def _pythonic(part: Any) -> Any:
    """A schema whose patterns mean to Python what they mean in JSON Schema, where ``$`` is the very end."""
    if isinstance(part, list):
        return [_pythonic(inner) for inner in part]
    if not isinstance(part, dict):
        return part
    made = {key: _pythonic(inner) for key, inner in part.items()}
    if isinstance(made.get("pattern"), str):
        made["pattern"] = _ended(made["pattern"])
    if isinstance(made.get("patternProperties"), dict):
        made["patternProperties"] = {_ended(key): inner for key, inner in made["patternProperties"].items()}
    return made


def _ended(pattern: str) -> str:
    return f"{pattern[:-1]}\\Z" if pattern.endswith("$") else pattern
