"""The keys of case files and expectations, as Markdown made from the JSON Schemas that they are checked with.

``<!-- keys: suite.schema.json -->`` in a page becomes a table for each mapping of that schema.
"""

from __future__ import annotations

import json
import re
from importlib.resources import files
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    Node = Mapping[str, Any]

SOURCE = re.compile(r"<!-- keys: ([\w.]+) -->")
HERE = "the file itself"
"""How the mapping at the top of a schema is called."""


def filled(text: str) -> str:
    """A page with its comments replaced by what they ask for."""
    return SOURCE.sub(lambda found: keys_of(found[1]), text)


def keys_of(name: str) -> str:
    """Every mapping of a schema of ``crosscorrect_cases``, as Markdown: a heading and a table of its keys."""
    schema = json.loads((files("crosscorrect_cases") / name).read_text(encoding="utf-8"))
    return "\n\n".join(_Page(schema).sections())


class _Page:
    """The mappings of one schema, each by the name of its definition or, without one, by its key."""

    def __init__(self, schema: Node) -> None:
        self.schema = schema
        self.found: list[tuple[str, Node]] = []
        self.names: dict[int, str] = {}
        self._collect(HERE, schema)

    def sections(self) -> Iterator[str]:
        """A mapping under its heading; one whose keys are all of another's, and mean the same, refers to that one."""
        for name, node in self.found:
            yield f"## {HERE[0].upper()}{HERE[1:]}" if name == HERE else f"## `{name}`"
            if "description" in node:
                yield node["description"]
            own = {key: self.resolved(value) for key, value in node["properties"].items()}
            for other, wider in self.found:
                rest = {key: self.resolved(value) for key, value in wider["properties"].items()}
                if len(rest) > len(own) and all(rest.get(key) == value for key, value in own.items()):
                    left = ", ".join(f"`{key}`" for key in rest if key not in own)
                    yield f"The keys of [`{other}`](#{other}) but {left}."
                    break
            else:
                yield self._table(node)

    def resolved(self, node: Node) -> dict[str, Any]:
        """A node with its references followed; what it says itself stands above what they say."""
        while "$ref" in node:
            node = self._followed(node)
        return dict(node)

    def _followed(self, node: Node) -> Node:
        """A node with one reference followed."""
        target: Any = self.schema
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        return {**target, **{key: value for key, value in node.items() if key != "$ref"}}

    def _collect(self, name: str, node: Node) -> None:
        waiting = [(name, node)]
        while waiting:
            called, mapping = self._mapping(*waiting.pop(0))
            if mapping is None or id(mapping["properties"]) in self.names:
                continue
            self.names[id(mapping["properties"])] = called
            self.found.append((called, mapping))
            if called != "sweep":  # its lists hold what the keys themselves hold
                waiting += mapping["properties"].items()

    def _mapping(self, name: str, node: Node) -> tuple[str, Node | None]:
        """The mapping with keys of its own that a node is, or holds in a list or in one of its forms, and its name."""
        while "$ref" in node:
            name, node = node["$ref"].rpartition("/")[2], self._followed(node)
        if "properties" in node:
            return name, node
        for inner in (node.get("items"), node.get("then"), node.get("else")):
            if isinstance(inner, dict) and (found := self._mapping(name, inner))[1] is not None:
                return found
        return name, None

    def _table(self, node: Node) -> str:
        rows = []
        for key, value in [*node["properties"].items(), *node.get("patternProperties", {}).items()]:
            said = self.resolved(value)
            star = " (required)" if key in node.get("required", ()) else ""
            rows.append((f"`{key}`{star}", self._values(value), said.get("description", "")))
        return _rows(("key", "values", "meaning"), rows)

    def _values(self, node: Node) -> str:
        """What a key may have, in a few words; a mapping leads to its section."""
        said = self.resolved(node)
        if "const" in said:
            return f"`{said['const']}`"
        if "enum" in said:
            return ", ".join(f"`{value}`" for value in said["enum"])
        mapping = self._mapping("", said)[1]
        name = self.names.get(id(mapping["properties"]), "") if mapping is not None else ""
        words = {
            "object": f"[mapping](#{name})" if name else "mapping",
            "array": "list",
            "string": "text",
            "boolean": "`true`, `false`",
        }
        kinds = said.get("type", ("array", "object", "string") if "if" in said else ())
        kinds = [kinds] if isinstance(kinds, str) else kinds
        items = said.get("items")
        if list(kinds) == ["array"] and isinstance(items, dict) and (inner := self._values(items)):
            return f"list of {inner}"
        return " or ".join(words.get(kind, kind) for kind in kinds) + _limits(said)


def _limits(node: Node) -> str:
    """The bounds of a number, but for those that only say that it is one of 64 bits."""
    low, high = node.get("minimum"), node.get("maximum")
    if "exclusiveMinimum" in node:
        return f" above {node['exclusiveMinimum']}" + (f", at most {high}" if high is not None else "")
    if low is not None and abs(low) < 2**62:
        return f" from {low}" + (f" to {high}" if high is not None else "")
    return ""


def _rows(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    def line(cells: tuple[str, ...]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

    return "\n".join([line(head), "|" + "---|" * len(head), *map(line, rows)])
