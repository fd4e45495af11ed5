"""The command line invoked in this process, and what a folder holds before and after."""

from __future__ import annotations

from typing import TYPE_CHECKING

from click.testing import CliRunner, Result

from crosscorrect.cli import main

if TYPE_CHECKING:
    from pathlib import Path

SUITE = """\
crosscorrect: 1
suite: tiny
cases:
  - {id: one, source: "In [1]", title: First, note: Look here., operation: corr2d,
     x: [[0.1, 1, 2], [3, 4, 5], [6, 7, 8]], w: [[0, 1], [2, 3]]}
  - {id: two, operation: conv2d, x: [[1, 2, 4]], w: [[1, -1]], expect: [[-1, -2]]}
"""


def invoke(*arguments: object) -> Result:
    """The result of ``crosscorrect ARGUMENTS``; any exception but the exit of a command is raised again."""
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def tree(folder: Path) -> list[tuple[str, str]]:
    """Every path below a folder, and where the links point."""
    return [
        (str(p.relative_to(folder)), str(p.readlink()) if p.is_symlink() else "") for p in sorted(folder.rglob("*"))
    ]
