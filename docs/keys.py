"""The reference that is made from what the program itself obeys: keys of the JSON Schemas, columns of the tables.

``<!-- keys: suite.schema.json -->`` in a page becomes a table for each mapping of that schema, ``<!-- columns: checks -->`` the
columns of that table of a run.
"""

from __future__ import annotations

import json
import re
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from crosscorrect import tables

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    Node = Mapping[str, Any]

SOURCES = re.compile(r"<!-- (keys|columns): ([\w.]+) -->")
HERE = "the file itself"
"""How the mapping at the top of a schema is called."""


def filled(text: str) -> str:
    """A page with its comments replaced by what they ask for."""
    makers: dict[str, Callable[[str], str]] = {"keys": keys_of, "columns": columns_of}
    return SOURCES.sub(lambda found: makers[found[1]](found[2]), text)


def keys_of(name: str) -> str:
    """Every mapping of a schema of ``crosscorrect_cases``, as Markdown: a heading and a table of its keys."""
    schema = json.loads((files("crosscorrect_cases") / name).read_text(encoding="utf-8"))
    return "\n\n".join(_table(title, node, schema) for title, node in mappings(schema))


def columns_of(name: str) -> str:
    """The columns of a table of a run and their types, as a Markdown table."""
    rows = [(f"`{field.name}`", f"`{field.type}`") for field in tables.schema(name)]
    return _rows(("column", "type"), rows)


def mappings(schema: Node) -> Iterator[tuple[str, Node]]:
    """Every mapping with keys of its own in a schema, with the key that it is the value of, each once."""
    seen: set[int] = set()
    waiting: list[tuple[str, Node]] = [(HERE, schema)]
    while waiting:
        title, node = waiting.pop(0)
        own = _mapping(node, schema)
        if own is None or id(own["properties"]) in seen:
            continue
        seen.add(id(own["properties"]))
        yield title, own
        waiting += [(key, value) for key, value in own["properties"].items() if title != "sweep"]


def _mapping(node: Node, schema: Node) -> Node | None:
    """The mapping that a node is, or is a list of."""
    node = resolved(node, schema)
    if "properties" in node:
        return node
    for inner in (node.get("items"), node.get("else"), node.get("then")):
        if isinstance(inner, dict) and (found := _mapping(inner, schema)) is not None:
            return found
    return None


def resolved(node: Node, schema: Node) -> dict[str, Any]:
    """A node with its references followed; what it says itself stands above what they say."""
    said = dict(node)
    while "$ref" in said:
        found: Any = schema
        for part in said.pop("$ref").removeprefix("#/").split("/"):
            found = found[part]
        said = {**found, **said}
    return said


def _table(title: str, node: Node, schema: Node) -> str:
    required = node.get("required", ())
    rows = []
    for key, value in node["properties"].items():
        said = resolved(value, schema)
        star = " (required)" if key in required else ""
        rows.append((f"`{key}`{star}", _values(said, schema), said.get("description", "")))
    for pattern, value in node.get("patternProperties", {}).items():
        rows.append((f"`{pattern}`", _values(resolved(value, schema), schema), resolved(value, schema)["description"]))
    head = f"## `{title}`" if title != HERE else f"## {HERE[0].upper()}{HERE[1:]}"
    return f"{head}\n\n{node.get('description', '')}\n\n{_rows(('key', 'values', 'meaning'), rows)}"


def _values(node: Node, schema: Node) -> str:
    """What a key may have, in a few words."""
    if "const" in node:
        return f"`{node['const']}`"
    if "enum" in node:
        return ", ".join(f"`{value}`" for value in node["enum"])
    kinds = node.get("type", "array or mapping" if "if" in node else "")
    kinds = [kinds] if isinstance(kinds, str) else kinds
    words = {"object": "mapping", "array": "list", "string": "text", "boolean": "`true`, `false`"}
    said = " or ".join(words.get(kind, kind) for kind in kinds)
    item = node.get("items")
    if kinds == ["array"] and isinstance(item, dict):
        inner = _values(resolved(item, schema), schema)
        said = f"list of {inner}" if inner else said
    return said + _limits(node)


def _limits(node: Node) -> str:
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
