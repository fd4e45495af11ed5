"""A case file written from plain cases, laid out as a person would: a line for each key, values in flow style."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_.+]*")
_WORDS = ("null", "true", "false", "nan", "inf")  # what YAML would not read as text


def case_file(suite: str, title: str, cases: Iterable[Mapping[str, Any]]) -> str:
    """The text of a suite with these cases, in order; it reads back as what was given."""
    head = f"crosscorrect: 1\nsuite: {suite}\ntitle: {_flow(title)}\n"
    written = "".join(case_text(case) for case in cases)
    return head + (f"cases:\n{written}" if written else "cases: []\n")


def case_text(case: Mapping[str, Any]) -> str:
    """One case as an entry of ``cases``."""
    lines = [f"{key}: {_flow(value)}\n" for key, value in case.items()]
    return "  - " + "    ".join(lines)


def _flow(value: Any) -> str:
    """A value in YAML's flow style. Text that is not one plain word is quoted as in JSON, which YAML reads too."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_flow(key)}: {_flow(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_flow, value)) + "]"
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _WORDS:
        return value
    # what does not show, such as marks that turn the direction of text, is written as an escape
    return json.dumps(value, ensure_ascii=not (isinstance(value, str) and value.isprintable()))
