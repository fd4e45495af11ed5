"""Writes the reference in frames.md, from the code that writes and checks the tables: ``python docs/frames.py``."""

from __future__ import annotations

import inspect
from pathlib import Path

from crosscorrect import columns

PAGE = Path(__file__).with_suffix(".md")
MARK = "<!-- what follows is written by docs/frames.py -->\n"
KINDS = {
    columns.TEXT: "text",
    columns.NUMBER: "number (float64)",
    columns.WHOLE: "whole number (int64)",
    columns.FLAG: "true or false (bool)",
    columns.BYTES: "bytes",
    columns.NUMBERS: "list of numbers",
    columns.WHOLES: "list of whole numbers",
}


def reference() -> str:
    """A section for each table, with a row for each column."""
    return "\n".join("\n".join(section(table)) for table in columns.ROWS)


def section(table: str) -> list[str]:
    """What a row of a table is, and its columns."""
    about = (inspect.getdoc(columns.ROWS[table]) or "").replace("``", "`")
    lines = [row(column) for column in columns.of(table)]
    head = ["| column | type | meaning |", "|---|---|---|"]
    return [f"### {table}", "", f"A row is {about[:1].lower()}{about[1:]}", "", *head, *lines, ""]


def row(column: columns.Column) -> str:
    """A line of the table."""
    kind = KINDS[column.kind] + (", JSON" if column.json else "") + (", or missing" if column.optional else "")
    words = ", ".join(f"`{word}`" if word else "nothing" for word in column.words)
    said = column.meaning + (f". One of: {words}" if words else "")
    return f"| `{column.name}` | {kind} | {said} |"


def page() -> str:
    """The page with the reference as it is now."""
    return PAGE.read_text(encoding="utf-8").partition(MARK)[0] + MARK + "\n" + reference()


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
