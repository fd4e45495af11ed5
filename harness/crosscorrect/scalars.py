"""What a scalar of a case file means, and the characters that none may hold.

The meaning is that of the YAML 1.2 core schema (https://yaml.org/spec/1.2.2/#103-core-schema): ``1e-5`` is a float,
``no`` a string, ``010`` ten, and there are no dates.
"""

from __future__ import annotations

import re
from typing import Any

_NULL = re.compile(r"null|Null|NULL|~|")
_TRUE, _FALSE = ("true", "True", "TRUE"), ("false", "False", "FALSE")
_INT = re.compile(r"[-+]?[0-9]+")
_BASED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_SPECIAL = re.compile(r"([-+]?)\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_SIGNS = (
    # characters that make text look other than it is: https://trojansource.codes
    (re.compile("[\u202a-\u202e\u2066-\u2069]"), "a character that reverses the direction of text"),
    # all but tab and line feed: a terminal obeys them, and XML cannot hold them
    (re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]"), "a control character"),
    (re.compile("[\ufdd0-\ufdef\ufffe\uffff]"), "a code point that is no character"),
)
"""What text may not hold, written as it is or as an escape."""


def numeric(text: str) -> bool:
    """Whether a plain scalar is a number by its digits."""
    return bool(_INT.fullmatch(text) or _BASED.fullmatch(text) or _FLOAT.fullmatch(text))


def special(text: str) -> bool:
    """Whether a plain scalar is an infinity or NaN by name."""
    return _SPECIAL.fullmatch(text) is not None


def resolve(text: str) -> Any:
    """The value of a plain scalar by the YAML 1.2 core schema."""
    value: Any = text
    if _NULL.fullmatch(text):
        value = None
    elif text in _TRUE or text in _FALSE:
        value = text in _TRUE
    elif _INT.fullmatch(text):
        value = int(text)
    elif _BASED.fullmatch(text):
        value = int(text, 0)
    elif _FLOAT.fullmatch(text):
        value = float(text)
    elif _SPECIAL.fullmatch(text):
        value = float(text.replace(".", "").lower())
    return value


def flaw_of(text: str) -> tuple[str, int]:
    """What a text holds that it may not, and where; empty where it is as it should be."""
    if text.isascii() and text.isprintable():
        return "", 0  # nearly all text
    found = ((name, pattern.search(text)) for pattern, name in _SIGNS)
    return next(((name, match.start()) for name, match in found if match), ("", 0))


def join_surrogates(text: str) -> str | None:
    r"""Join the pairs that JSON's ``\ud83d\ude00`` leaves behind; None where half a pair is left."""
    try:
        return text.encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError:
        return None
