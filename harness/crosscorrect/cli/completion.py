"""Completion by the shell: click's own mechanism, with scripts for bash and fish that know what a problem's id holds.

bash breaks words at ``=``, ``:`` and ``@``, of which ids and ``NAME=PATH`` are full. So its script hands over the line
as it was typed, and what bash holds for words already is cut off what is offered. click's script for fish ends a name
at its first comma.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import (
    BashComplete,
    FishComplete,
    add_completion_class,
    get_completion_class,
    split_arg_string,
)

from crosscorrect.cli.options import Choice
from crosscorrect.errors import UsageError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

PROGRAM, VARIABLE = "crosscorrect", "_CROSSCORRECT_COMPLETE"
INSTALL = {
    "bash": """eval "$(crosscorrect completion bash)"  # in ~/.bashrc""",
    "zsh": """eval "$(crosscorrect completion zsh)"  # in ~/.zshrc, after compinit""",
    "fish": "crosscorrect completion fish > ~/.config/fish/completions/crosscorrect.fish",
}
"""What installs the script of each shell."""

FISH = r"""
function %(complete_func)s
    for offer in (env %(complete_var)s=fish_complete COMP_WORDS=(commandline -cp) COMP_CWORD=(commandline -t) \
            %(prog_name)s 2>/dev/null)
        set -l found (string split -m 1 "," -- $offer)
        switch $found[1]
            case dir
                __fish_complete_directories $found[2]
            case file
                __fish_complete_path $found[2]
            case plain
                echo $found[2]
        end
    end
end
complete --no-files --command %(prog_name)s --arguments "(%(complete_func)s)"
"""

BASH = r"""
%(complete_func)s() {
    local response type value
    COMPREPLY=()
    response=$(env COMP_LINE="$COMP_LINE" COMP_POINT="$COMP_POINT" COMP_BREAKS="$COMP_WORDBREAKS" \
        %(complete_var)s=bash_complete "$1" 2>/dev/null)
    while IFS=, read -r type value; do
        case $type in
            dir) compopt -o dirnames 2>/dev/null ;;
            file) compopt -o default 2>/dev/null ;;
            plain)
                COMPREPLY+=("$value")
                [[ $value == *[=/] ]] && compopt -o nospace 2>/dev/null ;;
        esac
    done <<< "$response"
    return 0
}
complete -o nosort -F %(complete_func)s %(prog_name)s 2>/dev/null || complete -F %(complete_func)s %(prog_name)s
"""


@add_completion_class
class Bash(BashComplete):
    """bash, by the line that was typed instead of the words that bash makes of it."""

    source_template = BASH.lstrip()
    _held = ""

    @staticmethod
    def _check_version() -> None:
        """The script does without what bash before 4.4 has not."""

    def get_completion_args(self) -> tuple[list[str], str]:
        """What was typed before the word at the cursor, and that word as far as the cursor."""
        typed = os.environ["COMP_LINE"].encode()[: int(os.environ["COMP_POINT"])].decode(errors="replace")
        words = split_arg_string(typed)
        incomplete = "" if not words or typed[-1:].isspace() else words.pop()
        breaks = set(os.environ.get("COMP_BREAKS", "")) - set("\"' \t\n")
        self._held = incomplete[: 1 + max((incomplete.rfind(character) for character in breaks), default=-1)]
        return words[1:], incomplete

    def format_completion(self, item: CompletionItem[Any]) -> str:
        """``type,value`` without what bash takes for words of its own."""
        return f"{item.type},{str(item.value).removeprefix(self._held)}"


@add_completion_class
class Fish(FishComplete):
    """fish, with commas in names."""

    source_template = FISH.lstrip()


@click.command(short_help="Print what makes the shell complete all of this.")
@click.argument("shell", type=Choice(tuple(INSTALL)), required=False)
def completion(shell: str | None) -> None:
    """Print the script that makes a shell complete commands, options, suites, frameworks, problems and run folders.

    SHELL is the one you use unless you name another. The script begins with the line that installs it.

    \b
    crosscorrect completion bash                        for bash; also: zsh, fish
    """  # noqa: D301  click looks for the backspace character itself, which a raw string would not hold
    name = shell or Path(os.environ.get("SHELL", "")).name
    complete = get_completion_class(name) if name in INSTALL else None
    if complete is None:
        raise UsageError(f"there is no completion for the shell {name or '(none)'}; name one: {', '.join(INSTALL)}")
    source = complete(click.get_current_context().find_root().command, {}, PROGRAM, VARIABLE).source().strip()
    first, _, rest = source.partition("\n")
    said = f"# {INSTALL[name]}"
    # zsh wants its own mark in the very first line
    click.echo("\n".join([first, said, rest] if first.startswith("#compdef") else [said, source]))
