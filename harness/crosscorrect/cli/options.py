"""What options of several commands share, and what a shell may complete for them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from crosscorrect.adapter import ARITHMETICS, MODES
from crosscorrect.cli import complete
from crosscorrect.nearest import nearest
from crosscorrect.problem import LEVELS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from crosscorrect.store import Run

Command = TypeVar("Command", bound="Callable[..., Any]")


class Choice(click.Choice):  # type: ignore[type-arg]  # generic since click 8.3
    """One of several words; an error about another names the nearest."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The word. Raises BadParameter with click's message and the word that may have been meant."""
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter as error:
            near = nearest(value, map(str, self.choices))
            if not near:
                raise
            raise click.BadParameter(f"{error.message} Did you mean {near}?", ctx=ctx, param=param) from None


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
    if value is None:
        return None
    from crosscorrect.spans import Shard

    shard = Shard.read(value)
    return None if shard is None else (shard.number, shard.count)


def python(told: str) -> Callable[[Command], Command]:
    """The option that says where interpreters are; ``told`` is its help."""
    return click.option(
        "--python",
        "pythons",
        multiple=True,
        callback=pairs,
        metavar="NAME=PATH",
        shell_complete=complete.interpreters,
        help=told,
    )


def suites(metavar: str = "[SUITE]...", **more: Any) -> Callable[[Command], Command]:
    """The argument that names suites."""
    return click.argument("suites", nargs=-1, metavar=metavar, shell_complete=complete.suites, **more)


def run_folder(command: Command) -> Command:
    """The argument that names a run: the latest unless told otherwise."""
    return click.argument("folder", metavar="RUN", type=RUN_FOLDER, default=LATEST, shell_complete=complete.runs)(
        command
    )


ASKED = (
    click.option(
        "-f",
        "--framework",
        "names",
        multiple=True,
        metavar="NAME",
        shell_complete=complete.frameworks,
        help="A framework; repeat. Default: all here.",
    ),
    python("A framework's interpreter."),
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
        type=Choice([*MODES, "all"]),
        default="eager",
        show_default=True,
        help="How frameworks execute; all: every mode each one offers.",
    ),
    click.option(
        "-d",
        "--device",
        "devices",
        multiple=True,
        default=("cpu",),
        show_default=True,
        metavar="DEVICE",
        shell_complete=complete.devices,
        help="A device, such as cpu or cuda:0; repeat.",
    ),
    click.option(
        "--arithmetic",
        type=Choice(ARITHMETICS),
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
STDOUT = "-"
"""What stands for standard output where a file is asked for."""

only = click.option(
    "-k",
    "--problem",
    "only",
    multiple=True,
    metavar="PATTERN",
    shell_complete=complete.problems,
    help="Only problems whose id matches; repeat.",
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
    shell_complete=complete.runs,
    help="Finish this unfinished run (default: the latest) of the same command.",
)
level = Choice(LEVELS)
as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead, for a machine.")
report = click.option(
    "--report/--no-report", "with_report", default=True, show_default=True, help="Write the report too."
)
quiet = click.option("-q", "--quiet", is_flag=True, help="Say nothing unless something is not as expected.")
against = click.option(
    "--against",
    type=RUN_FOLDER,
    metavar="RUN",
    shell_complete=complete.runs,
    help="An earlier timed run; exit 5 where anything is slower now.",
)
require = click.option(
    "--require",
    default="",
    metavar="NAMES",
    shell_complete=complete.several_frameworks,
    help="Frameworks that must be in it, separated by commas.",
)


def written(finished: Run, expectations: Path | None, *, silent: bool) -> list[Path]:
    """Write the report of a run, with its progress unless that is not wanted; return what was written."""
    from crosscorrect.cli.bars import Steps
    from crosscorrect_reports import STEPS, write

    with Steps("report", STEPS, silent=silent) as steps:
        return write(finished, expectations, steps.begin)


def names(said: str) -> list[str]:
    """The names in a list that commas separate."""
    return sorted({name.strip() for name in said.split(",")} - {""})


def asking(command: Command) -> Command:
    """Give a command the options of ``ASKED``, in this order."""
    for option in reversed(ASKED):
        command = option(command)
    return command
