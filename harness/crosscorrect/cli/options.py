"""What options of several commands share."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from crosscorrect.adapter import ARITHMETICS, MODES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Command = TypeVar("Command", bound="Callable[..., Any]")


def pairs(_: click.Context, param: click.Parameter, values: Iterable[str]) -> dict[str, str]:
    """Read repeated ``NAME=VALUE`` options into a mapping."""
    found = {}
    for value in values:
        name, separator, rest = value.partition("=")
        if not (name and separator and rest):
            raise click.BadParameter(f"{value!r} is not NAME=VALUE", param=param)
        found[name] = rest
    return found


def finite(_: click.Context, param: click.Parameter, value: float | None) -> float | None:
    """Refuse a number that is none: NaN passes every range."""
    if value is not None and not math.isfinite(value):
        raise click.BadParameter(f"{value} is not a number of seconds", param=param)
    return value


def part(_: click.Context, __: click.Parameter, value: str | None) -> tuple[int, int] | None:
    """Read ``i/n``, a part of the problems; None is all of them. Raises UsageError."""
    from crosscorrect.spans import Shard

    shard = None if value is None else Shard.read(value)
    return None if shard is None else (shard.number, shard.count)


ASKED = (
    click.option(
        "-f", "--framework", "names", multiple=True, metavar="NAME", help="A framework; repeat. Default: all here."
    ),
    click.option(
        "--python", "pythons", multiple=True, callback=pairs, metavar="NAME=PATH", help="A framework's interpreter."
    ),
    click.option(
        "--adapter",
        "targets",
        multiple=True,
        callback=pairs,
        metavar="NAME=MODULE:CLASS",
        help="An adapter that is not installed as an entry point.",
    ),
    click.option(
        "-m",
        "--mode",
        type=click.Choice([*MODES, "all"]),
        default="eager",
        show_default=True,
        help="How frameworks execute; all: every mode each one offers.",
    ),
    click.option("-d", "--device", "devices", multiple=True, default=("cpu",), show_default=True, metavar="DEVICE"),
    click.option(
        "--arithmetic",
        type=click.Choice(ARITHMETICS),
        default="strict",
        show_default=True,
        help="The numeric contract that results are judged by.",
    ),
)
"""The options that say which frameworks are asked, where they are, and how they compute."""


RESULTS = click.Path(file_okay=False, path_type=Path)
RUN_FOLDER = click.Path(path_type=Path)
"""Where run folders go, and one of them."""
LATEST = Path("results/latest")
"""The run that a command is about unless told otherwise."""

only = click.option(
    "-k", "--problem", "only", multiple=True, metavar="PATTERN", help="Only problems whose id matches; repeat."
)
expectations = click.option(
    "--expectations", type=click.Path(exists=True, file_okay=False, path_type=Path), help="A folder of your own."
)
results = click.option(
    "--results", type=RESULTS, default=Path("results"), show_default=True, help="Where run folders go."
)
resume = click.option(
    "--resume",
    is_flag=False,
    flag_value=LATEST,
    type=RUN_FOLDER,
    metavar="[RUN]",
    help="Finish this unfinished run (default: the latest) of the same command.",
)
as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of tables.")
against = click.option(
    "--against", type=RUN_FOLDER, metavar="RUN", help="An earlier timed run; exit 5 where anything is slower now."
)


def asking(command: Command) -> Command:
    """Give a command the options of ``ASKED``, in this order."""
    for option in reversed(ASKED):
        command = option(command)
    return command
