"""One YAML 1.2 file as plain data with line marks, read so that a hostile file is one clear error and nothing else.

The caps act on the parser's events, before anything is built from them.
"""

from __future__ import annotations

import os
import re
import stat
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)
from ruamel.yaml.scanner import Scanner

from crosscorrect.errors import CaseError
from crosscorrect.scalars import flaw_of, join_surrogates, numeric, resolve, special

MAX_BYTES = 2 * 2**20
"""The largest file: 70 times the largest suite that ships."""
MAX_NODES = 200_000
"""The most values, each alias written out: they take about 10 seconds to read and 80 MB to hold."""
MAX_DEPTH = 32
MAX_ALIASES = 100
MAX_SCALAR = 64 * 2**10
MAX_DIGITS = 400
MAX_KEY = 1024

KeyPath = Sequence[str | int]
"""Where a value stands: mapping keys and list positions, from the root."""

_BEYOND = re.compile(r"\\U(?!000|0010)[0-9a-fA-F]{8}")


@dataclass(frozen=True, slots=True)
class _Mark:
    """The line of a value, and the marks of what it holds (by key or position)."""

    line: int
    children: dict[str | int, _Mark] = field(default_factory=dict)


class _Node(NamedTuple):
    """A finished value, its mark, and its size and height with every alias written out."""

    value: Any
    mark: _Mark
    size: int
    height: int


@dataclass(slots=True)
class _Open:
    """A list or mapping whose end has not been met; ``key`` is a mapping's key that waits for its value."""

    value: Any
    mark: _Mark
    anchor: str | None
    key: str | None = None
    size: int = 1
    height: int = 1


@dataclass(frozen=True, slots=True)
class Document:
    """What a file says: ``value`` in plain dicts (keys are always text), lists and scalars, and where it says it."""

    path: Path
    value: Any
    _mark: _Mark

    def line(self, keys: KeyPath = ()) -> int:
        """The line, from 1, of the value at a key path, or of the nearest enclosing value that is in the file."""
        mark = self._mark
        for key in keys:
            if key not in mark.children:
                break
            mark = mark.children[key]
        return mark.line


def load(path: Path | str) -> Document:
    """Read one YAML file.

    Every failure is a CaseError with file, line and remedy: not a regular file, not UTF-8, not YAML, more than one
    document, a tag, a duplicate key, a cap exceeded.
    """
    path = Path(path)
    return parse(_read(path), path)


def parse(text: str, path: Path | str = "<text>") -> Document:
    """Read YAML from text; ``path`` names it in errors. Raises CaseError as ``load`` does."""
    return _Builder(Path(path)).build(text)


def _read(path: Path) -> str:
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
    try:
        # asked before opening too, because opening a device can act on it
        if not stat.S_ISREG(path.stat().st_mode):
            raise CaseError("this is not a regular file", file=path, remedy="name a YAML file")
        with os.fdopen(os.open(path, flags), "rb") as stream:
            if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                raise CaseError("this is not a regular file", file=path, remedy="name a YAML file")
            data = stream.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise CaseError(f"the file cannot be read: {reason}", file=path) from error
    if len(data) > MAX_BYTES:
        raise CaseError(
            f"the file is larger than {MAX_BYTES} bytes",
            file=path,
            remedy="put large arrays into an .npz file beside it",
        )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise CaseError("the file is not UTF-8", file=path, line=line, remedy="save it as UTF-8") from error


class _Unread(Exception):  # noqa: N818  what the scanner meets, not what a person sees
    """Part of YAML that is never read, met by the scanner: what it is, and its line."""

    def __init__(self, what: str, line: int) -> None:
        super().__init__(what)
        self.line = line


class _Scanner(Scanner):
    """Stops at the first tag or directive of its own: nothing of them is decoded, which would take quadratic time."""

    def scan_tag(self) -> Any:
        raise _Unread("tag", self.reader.line + 1)

    def scan_tag_directive_value(self, start_mark: Any) -> Any:
        raise _Unread("tag", start_mark.line + 1)


def _parser() -> YAML:
    parser = YAML(typ="safe", pure=True)
    parser.Scanner = _Scanner
    return parser


class _Builder:
    """Turns parser events into values, refusing what the caps forbid as soon as it is met."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.anchors: dict[str, _Node | None] = {}  # None while the anchored value is still open
        self.stack: list[_Open] = []
        self.root: _Node | None = None
        self.nodes = self.aliases = self.documents = 0
        self.line = 1  # of the last event

    def fail(self, problem: str, line: int | None, *, value: object = None, remedy: str = "") -> CaseError:
        keys = [str(parent.key) for parent in self.stack if parent.key is not None]
        return CaseError(problem, file=self.path, line=line, key=".".join(keys), value=value, remedy=remedy)

    def build(self, text: str) -> Document:
        flaw, position = flaw_of(text.replace("\r", "\n"))
        if flaw:
            raise self.fail(f"the file holds {flaw}", text.count("\n", 0, position) + 1, remedy="remove it")
        for event in self.events(text):
            self.take(event, event.start_mark.line + 1)
        if self.root is None:
            raise self.fail("the file is empty", 1, remedy="write a suite: docs/cases.md shows one")
        return Document(self.path, self.root.value, self.root.mark)

    def events(self, text: str) -> Iterator[Any]:
        try:
            yield from _parser().parse(text)
        except CaseError:
            raise
        except _Unread as error:
            raise self.fail(f"{error}s are not read", error.line, remedy=f"remove the {error}") from None
        except MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line = mark.line + 1 if mark else None
            hint = "indent with spaces" if "'\\t'" in str(error.problem) else ""
            raise self.fail(f"this is not YAML: {error.problem or error.context}", line, remedy=hint) from error
        except Exception as error:  # the parser's own slips on hostile text must end as the one error promised
            beyond = _BEYOND.search(text)  # the one slip known by its cause: chr() of a number that is no character
            position = beyond.start() if beyond else getattr(error, "position", None)
            line = text.count("\n", 0, position) + 1 if isinstance(position, int) else self.line
            reason = getattr(error, "reason", None) or str(error)
            raise self.fail(f"this is not YAML: {reason}", line) from error

    def take(self, event: Any, line: int) -> None:
        self.line = line
        if isinstance(event, DocumentStartEvent):
            self.begin(event, line)
        elif isinstance(event, AliasEvent):
            self.alias(event, line)
        elif isinstance(event, (ScalarEvent, SequenceStartEvent, MappingStartEvent)):
            self.count(1, 0, line)
            if event.anchor is not None:
                self.anchors[event.anchor] = None
            if isinstance(event, ScalarEvent):
                node = _Node(self.scalar(event, line), _Mark(line), 1, 0)
                self.place(node, event.anchor, line, str(event.value))
            else:
                self.open(event, line)
        elif isinstance(event, (SequenceEndEvent, MappingEndEvent)):
            done = self.stack.pop()
            self.place(_Node(done.value, done.mark, done.size, done.height), done.anchor, line, None)

    def begin(self, event: Any, line: int) -> None:
        self.documents += 1
        if self.documents > 1:
            raise self.fail("a second document begins", line, remedy="one file holds one suite")
        if event.version and tuple(event.version) != (1, 2):
            raise self.fail("only YAML 1.2 is read", line, remedy="remove the lines that begin with %")

    def open(self, event: Any, line: int) -> None:
        if len(self.stack) >= MAX_DEPTH:
            raise self.fail(f"lists and mappings are nested more than {MAX_DEPTH} deep", line)
        if self.stack and isinstance(self.stack[-1].value, dict) and self.stack[-1].key is None:
            raise self.fail("a key must be text", line, remedy="write a plain word before the colon")
        value: Any = [] if isinstance(event, SequenceStartEvent) else {}
        self.stack.append(_Open(value, _Mark(line), event.anchor))

    def alias(self, event: Any, line: int) -> None:
        self.aliases += 1
        if self.aliases > MAX_ALIASES:
            raise self.fail(f"the file has more than {MAX_ALIASES} aliases", line, remedy="write the values out")
        name = str(event.anchor)
        if name not in self.anchors:
            raise self.fail("this alias has no anchor before it", line, value=f"*{name}")
        node = self.anchors[name]
        if node is None:
            raise self.fail(
                "this alias stands inside its own anchor", line, value=f"*{name}", remedy="a value cannot hold itself"
            )
        self.count(node.size, node.height, line)
        # the alias has its own line; what it stands for keeps the lines where it is written
        key = node.value if isinstance(node.value, str) else None
        self.place(_Node(node.value, _Mark(line, node.mark.children), node.size, node.height), None, line, key)

    def count(self, size: int, height: int, line: int) -> None:
        self.nodes += size
        if self.nodes > MAX_NODES:
            raise self.fail(
                f"the file says more than {MAX_NODES} values", line, remedy="put large arrays into an .npz file"
            )
        if len(self.stack) + height > MAX_DEPTH:
            raise self.fail(f"lists and mappings are nested more than {MAX_DEPTH} deep", line)

    def place(self, node: _Node, anchor: str | None, line: int, text: str | None) -> None:
        """Put a finished value where it belongs; ``text`` is what it reads as where a key is due."""
        if anchor is not None:
            self.anchors[anchor] = node
        if not self.stack:
            self.root = node
            return
        parent = self.stack[-1]
        parent.size += node.size
        if isinstance(parent.value, list):
            parent.mark.children[len(parent.value)] = node.mark
            parent.value.append(node.value)
        elif parent.key is None:
            if text is None:
                raise self.fail("a key must be text", line, remedy="write a plain word before the colon")
            key = join_surrogates(text)
            if key is None or len(key) > MAX_KEY:
                raise self.fail(f"a key must be readable text of at most {MAX_KEY} characters", line)
            if key in parent.value:
                raise self.fail("this key stands twice in one mapping", line, value=key, remedy="remove one of them")
            parent.key = key
            return
        else:
            parent.mark.children[parent.key] = node.mark
            parent.value[parent.key] = node.value
            parent.key = None
        parent.height = max(parent.height, node.height + 1)

    def scalar(self, event: Any, line: int) -> Any:
        text = str(event.value)
        if len(text) > MAX_SCALAR:
            raise self.fail(f"one value is longer than {MAX_SCALAR} characters", line)
        if not event.implicit[0]:  # quoted, or a block: text, whatever it looks like
            whole = join_surrogates(text)
            if whole is None:
                raise self.fail("half a surrogate pair is not text", line, remedy="write the character itself")
            flaw, _ = flaw_of(whole)
            if flaw:
                raise self.fail(f"this text holds {flaw}", line, value=whole, remedy="remove it")
            return whole
        if len(text) > MAX_DIGITS and numeric(text):
            raise self.fail(f"a number has more than {MAX_DIGITS} characters", line, value=text)
        value = resolve(text)
        # an integer is compared as one: to make a float of it would fail
        if isinstance(value, (int, float)) and abs(value) > sys.float_info.max and not special(text):
            raise self.fail(
                "this number is beyond a double", line, value=text, remedy="write .inf if infinity is meant"
            )
        return value
