"""The command line: thin commands over the library. Commands load what they need when they run, so help is quick."""

from __future__ import annotations

import sys

import click

from crosscorrect import __version__
from crosscorrect.cli.inspect import cases, explain, frameworks
from crosscorrect.cli.judge import gate, merge, report, run
from crosscorrect.errors import CrosscorrectError


class _Commands(click.Group):
    """Turns the exceptions meant for a person into one message and their exit code; no traceback."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except CrosscorrectError as error:
            click.echo(f"crosscorrect: {error}", err=True)
            ctx.exit(error.exit_code)


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 as expected, 1 not conformant, 2 usage or bad case file, 3 incomplete, 4 nothing ran.",
)
@click.version_option(__version__, prog_name="crosscorrect")
def main() -> None:
    """Tell, with evidence, whether deep-learning frameworks compute the same cross-correlation."""


for command in (run, report, gate, merge, explain, cases, frameworks):
    main.add_command(command)

if __name__ == "__main__":
    sys.exit(main())
