"""Text that others wrote, made safe for a page, a Markdown file, XML or a terminal, with nothing hidden or lost."""

from __future__ import annotations

import hashlib
import math
import re
from typing import Any

_BIDI = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
_ESCAPED = re.compile(f"[\x80-\x9f\u2028\u2029{_BIDI}\ufeff\ufffe\uffff]|[\U0001fffe\U0001ffff]")
_MARKDOWN = re.compile(r"[\\`*_{}\[\]#!|~$<>&@]|:(?=\S)|(?<=www)\.", re.IGNORECASE)
_REFERENCE = re.compile(r"(&#64;|&#35;(?=[0-9])|\bGH-(?=[0-9]))", re.IGNORECASE)
_SLUG = re.compile(r"[^A-Za-z0-9_.=,/@+-]")


def clean(value: Any) -> str:
    """Text in which every character can be seen, and written to any of the formats.

    Control characters become their pictures (ESC is ␛), except for newline and tab; C1 controls, characters that
    reorder text, and lone surrogates become backslash escapes. All that is left is allowed in XML 1.0.
    """
    if (text := str(value)).isascii() and text.isprintable():
        return text  # nearly all that is said
    text = text.encode("utf-8", "backslashreplace").decode("utf-8").replace("\r\n", "\n")
    shown = "".join(_picture(character) for character in text)
    return _ESCAPED.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), shown)


def _picture(character: str) -> str:
    code = ord(character)
    if (code >= 0x20 and code != 0x7F) or character in "\n\t":
        return character
    return "␡" if code == 0x7F else chr(0x2400 + code)


def one_line(value: Any, limit: int = 0) -> str:
    """``clean`` text on one line, cut with an ellipsis where it is longer than ``limit`` characters (0: never)."""
    text = " ".join(clean(value).split())
    return text if not limit or len(text) <= limit else text[: limit - 1] + "…"


def encodable(text: str, encoding: str) -> str:
    """Return a text with what an encoding cannot write as backslash escapes, and an ellipsis as three dots."""
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return text.replace("…", "...").encode(encoding, "backslashreplace").decode(encoding)
    return text


def markdown(value: Any, limit: int = 0) -> str:
    """Text for the inside of a Markdown sentence or table cell, shown as it is: no markup, HTML, mention or link.

    Character references, because they can never be markup, and a backslash in front of ``<`` stops only some renderers.
    """
    inert = _MARKDOWN.sub(lambda match: f"&#{ord(match[0])};", one_line(value, limit))
    return _REFERENCE.sub("\\1\u2060", inert)  # the joiner keeps @name from calling someone, #12 from linking there


def code(value: Any, limit: int = 0) -> str:
    """``markdown`` text as code, by tags, so that no run of backticks and no pipe in it can end it."""
    return "<code>" + _MARKDOWN.sub(lambda match: f"&#{ord(match[0])};", one_line(value, limit)) + "</code>"


def slug(value: Any) -> str:
    """Return an HTML id and URL fragment for a text: the text itself where it is safe, else made so and kept unique."""
    text = str(value)
    safe = _SLUG.sub("-", text)
    if safe == text:
        return safe
    return f"{safe}-{hashlib.sha256(text.encode('utf-8', 'backslashreplace')).hexdigest()[:8]}"


def web_url(value: Any) -> str:
    """Return the value where it is a web address that may become a link (https only), else nothing."""
    text = str(value)
    safe = text.lower().startswith("https://") and clean(text) == text and not re.search(r"\s", text)
    return text if safe else ""


def number(value: Any, digits: int = 7) -> str:
    """Return a number for a person: integers whole, others to so many significant digits; nothing for None."""
    if value is None:
        return ""
    real = float(value)
    if math.isnan(real):
        return "NaN"
    if math.isinf(real):
        return "∞" if real > 0 else "−∞"
    if real == int(real) and abs(real) < 1e15:
        return str(int(real)).replace("-", "−")
    return f"{real:.{digits}g}".replace("-", "−")


def measured(value: Any, digits: int = 2) -> str:
    """Return a number of a table column, where pandas writes NaN for none."""
    return "" if value is None or (isinstance(value, float) and math.isnan(value)) else number(value, digits)


def plural(count: int, noun: str) -> str:
    """``1 check``, ``2 checks``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
