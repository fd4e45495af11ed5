"""The command line: thin commands over the library. Commands load what they need when they run, so help is quick."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from typing import Any

import click

from crosscorrect import __version__
from crosscorrect.cli.bench import bench, speed
from crosscorrect.cli.completion import VARIABLE, completion
from crosscorrect.cli.diff import diff
from crosscorrect.cli.explain import explain
from crosscorrect.cli.hunt import hunt
from crosscorrect.cli.inspect import cases, frameworks
from crosscorrect.cli.judge import gate, merge, report, run, verify
from crosscorrect.cli.selftest import selftest
from crosscorrect.cli.signals import Stopped
from crosscorrect.errors import CrosscorrectError
from crosscorrect.model import Exit

INTERRUPTED, BROKEN_PIPE = 130, 141
"""The exit codes after Ctrl-C and a closed pipe, as shells have them: 128 and the number of the signal."""

LIBRARY = {"check": "docs/check.md", "load": "docs/frames.md"}
"""What a person may look for among the commands, and where it is described."""


class _Commands(click.Group):
    """Turns the exceptions meant for a person into one message and their exit code; no traceback."""

    def main(self, *args: Any, **more: Any) -> Any:
        """The whole program. To a shell that asks what to complete it says that and nothing else, whatever happens."""
        if VARIABLE not in os.environ:
            return super().main(*args, **more)
        with contextlib.suppress(Exception):
            return super().main(*args, **more)
        sys.exit(0)

    def list_commands(self, _: click.Context) -> list[str]:
        """The commands in the order in which a person meets them."""
        return list(self.commands)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            if args[0] not in LIBRARY:
                raise
            told = f"crosscorrect.{args[0]} is a function of the library: {LIBRARY[args[0]]}"
            raise click.UsageError(f"{error.format_message()} {told}", ctx) from None

    def invoke(self, ctx: click.Context) -> object:
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):  # an encoding without × and ✔ must not end in a traceback
                stream.reconfigure(errors="backslashreplace")
        try:
            return super().invoke(ctx)
        except CrosscorrectError as error:
            click.echo(f"crosscorrect: {error}", err=True)
            ctx.exit(error.exit_code)
        except KeyboardInterrupt as interrupt:
            click.echo(f"\ncrosscorrect: {str(interrupt) or 'interrupted'}", err=True)
            ctx.exit(interrupt.code if isinstance(interrupt, Stopped) else INTERRUPTED)
        except BrokenPipeError:
            # the reader of the output has gone, as with head: nothing is left to say, and it is no verdict
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            ctx.exit(BROKEN_PIPE)
        except OSError as error:
            place = error.filename2 or error.filename
            click.echo(f"crosscorrect: {f'{place}: ' if place else ''}{error.strerror or error}", err=True)
            ctx.exit(Exit.USAGE)


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 as expected, 1 not conformant, 2 usage or bad case file, 3 incomplete, 4 nothing ran, "
    "5 slower, 6 unfit, 65 damaged, 74 the log cannot be written, 75 in use by another process, 130 interrupted.",
)
@click.version_option(__version__, prog_name="crosscorrect")
def main() -> None:
    """Tell, with evidence, whether deep-learning frameworks compute the same cross-correlation.

    \b
    crosscorrect run                                    everything, in every framework there is here
    crosscorrect run chapter -f torch                   one suite, one framework
    crosscorrect gate                                   the verdict of the latest run as an exit code
    crosscorrect bench -f torch -f jax                  who is faster
    """  # noqa: D301  click looks for the backspace character itself, which a raw string would not hold


for command in (run, report, gate, diff, explain, merge, verify, bench, speed, hunt):
    main.add_command(command)
for command in (cases, frameworks, selftest, completion):
    main.add_command(command)

if __name__ == "__main__":
    sys.exit(main())
