"""The documents as a reader uses them: what a page shows is written, run and compared, from its top to its end.

A fenced block whose first line is ``# NAME.EXT`` is a file of that name. In a block of ``sh`` each line is a command,
and a comment ``exit code N`` says how it ends where that is not 0. A block of ``text`` is what the commands or the
Python before it print: ``…`` stands for anything there, and run folders and times may be others.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.testing import CliRunner
from markdown_it import MarkdownIt

from crosscorrect.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parent.parent
PAGES = sorted(
    [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")], key=lambda path: path.as_posix()
)
FOLLOWED = [page for page in PAGES if page.name in ("tutorial.md", "check.md") or page.parent.name == "howto"]
"""The pages that a reader follows line by line, the others are looked up."""
LEFT_OUT = {
    r"^(pip|make|git|tox) ": "it installs, or builds environments",
    r"^old/bin/python |^crosscorrect frameworks --probe": "it needs an environment of the reader's",
    r"\s(-f|--crosscorrect) (torch|jax|tensorflow|mxnet)\b": "tests/frameworks/test_docs.py has the framework",
    r"^crosscorrect (bench|speed) ": "it measures for minutes; tests/test_cli_bench.py measures in seconds",
}
"""The commands of followed pages that are not run here, and why."""
IMPORTS = re.compile(r"^(?:import|from) (torch|jax|tensorflow|mxnet)\b", re.MULTILINE)
"""The frameworks that a block of Python needs; where one of them is not at hand the block is only compiled."""
COLUMNS = "100"
"""How wide the terminal of a reader is."""

NAMED = re.compile(r"# ([\w./-]+\.(?:yaml|yml|py|toml|ini))\n")
EXIT = re.compile(r"#.*\bexit code (\d+)")
VARIES = {
    re.compile(r"\b\d{8}T\d{6}\.\d{3}-\d+"): "RUN",
    re.compile(r"\b\d+(\.\d+)?(?= ?(ms|s|µs)\b)"): "0",
}
"""What differs from run to run, and what stands for it in a comparison."""


@dataclass(frozen=True)
class Command:
    """One line of a block of ``sh``: its words, the text they come from, and how it ends."""

    place: str
    text: str
    exit: int

    @property
    def words(self) -> list[str]:
        return shlex.split(self.text, comments=True)


@dataclass(frozen=True)
class Block:
    """One fenced block of a page."""

    page: Path
    line: int
    language: str
    text: str

    @property
    def place(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def needs(self) -> set[str]:
        """The frameworks that a block of Python imports."""
        return set(IMPORTS.findall(self.text))

    @property
    def file(self) -> str | None:
        """The name of the file that the block shows, if it is one."""
        named = NAMED.match(self.text)
        return named[1] if named else None

    def commands(self) -> Iterator[Command]:
        if self.language != "sh":
            return
        for line in self.text.replace("\\\n", " ").splitlines():
            told = EXIT.search(line)
            if shlex.split(line, comments=True):
                yield Command(self.place, line.strip(), int(told[1]) if told else 0)


@cache
def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page, in order."""
    tokens = MarkdownIt("commonmark").parse(page.read_text(encoding="utf-8"))
    fences = [token for token in tokens if token.type == "fence" and token.map]
    return [Block(page, t.map[0] + 1, (t.info.split() or [""])[0], t.content) for t in fences if t.map]


def commands(page: Path) -> list[Command]:
    return [command for block in blocks(page) for command in block.commands()]


def parse(command: Command) -> click.Context:
    """The context of a ``crosscorrect …`` command. Raises click's UsageError for one that the parser does not know."""
    group: click.Command = main
    words = command.words[1:]
    while isinstance(group, click.Group) and words and not words[0].startswith("-"):
        found = group.commands.get(words[0])
        if found is None:
            raise click.NoSuchOption(words[0], "no such command")
        group, words = found, words[1:]
    try:
        return group.make_context(group.name, words)
    except click.exceptions.Exit:  # of --help and --version
        return click.Context(group)


def alike(shown: str, printed: str) -> bool:
    """Whether what a page shows is what is printed, but for what it leaves out and what differs from run to run."""
    pattern = "\n".join(_lines(shown))
    for text in ("…", "..."):
        pattern = pattern.replace(text, "\0")
    pattern = ".*?".join(map(re.escape, pattern.split("\0")))
    return re.fullmatch(pattern, "\n".join(_lines(printed)), flags=re.DOTALL) is not None


def _lines(text: str) -> list[str]:
    for varying, instead in VARIES.items():
        text = varying.sub(instead, text)
    return [line.rstrip() for line in text.strip("\n").splitlines()]


def why_left_out(command: Command) -> str | None:
    return next((reason for pattern, reason in LEFT_OUT.items() if re.search(pattern, command.text)), None)


class Reader:
    """Somebody who follows a page in an empty folder, which is the current one, with some frameworks at hand.

    ``left_out`` says why a command is not run, and None of one that is.
    """

    def __init__(
        self,
        folder: Path,
        left_out: Callable[[Command], str | None] = why_left_out,
        at_hand: frozenset[str] = frozenset(),
    ) -> None:
        self.folder, self.left_out, self.at_hand = folder, left_out, at_hand
        self.names: dict[str, object] = {"__name__": "__main__"}
        self.ran = 0

    def follow(self, page: Path) -> None:
        """Do all that a page shows; AssertionError where something is not as it says."""
        printed: str | None = None
        for block in blocks(page):
            if block.file is not None:
                self.write(block)
            elif block.language == "sh":
                told = [self.run(command) for command in block.commands()]
                printed = None if None in told else "".join(map(str, told))
            elif block.language == "python":
                printed = self.execute(block)
            elif block.language == "text" and printed is not None:
                self.compare(block, printed)
                printed = None

    def compare(self, block: Block, printed: str) -> None:
        assert alike(block.text, printed), f"{block.place}: printed was\n{printed}"

    def write(self, block: Block) -> None:
        assert block.file is not None
        path = self.folder / block.file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.text, encoding="utf-8")

    def run(self, command: Command) -> str | None:
        """What a command prints, None for one that is left out; in this process if it is one of ours."""
        if self.left_out(command) is not None:
            return None
        self.ran += 1
        program, *words = command.words
        if program == "crosscorrect":
            done = CliRunner().invoke(main, words, env={"COLUMNS": COLUMNS})
            if done.exception is not None and not isinstance(done.exception, SystemExit):
                raise AssertionError(f"{command.place}: {command.text}") from done.exception
            code, printed = done.exit_code, done.stdout or done.stderr  # beside an answer stderr has the progress
        else:
            assert program in ("python", "pytest"), f"{command.place}: nobody knows how to run {command.text!r}"
            own = [sys.executable, *(["-m", "pytest"] if program == "pytest" else []), *words]
            environment = {**os.environ, "COLUMNS": COLUMNS}
            ended = subprocess.run(
                own, cwd=self.folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                check=False,
            )  # fmt: skip
            code, printed = ended.returncode, ended.stdout
        assert code == command.exit, f"{command.place}: {command.text}: exit code {code}\n{printed}"
        return printed

    def execute(self, block: Block) -> str | None:
        """What a block of Python prints; the blocks of a page share their names."""
        code = compile(block.text, block.place, "exec")
        if block.needs - self.at_hand:
            return None
        self.ran += 1
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(code, self.names)  # noqa: S102  it is our own page
        return out.getvalue()


class Writer(Reader):
    """A reader who corrects what a page shows: ``python tests/pages.py PAGE…`` after what is printed has changed."""

    def compare(self, block: Block, printed: str) -> None:
        if not alike(block.text, printed):
            before = block.page.read_text(encoding="utf-8")
            assert before.count(block.text) == 1, block.place
            block.page.write_text(before.replace(block.text, printed.strip("\n") + "\n"), encoding="utf-8")


def corrected(pages: list[str]) -> None:
    for page in pages:
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
            Writer(Path(folder)).follow(page=(ROOT / page).resolve())


if __name__ == "__main__":
    corrected(sys.argv[1:])
