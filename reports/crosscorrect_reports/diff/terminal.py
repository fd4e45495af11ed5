"""What the command line prints of two runs: what else differs, the counts, and every change once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from crosscorrect.changes import Kind
from crosscorrect_reports.causes import some
from crosscorrect_reports.diff.words import MARKS, differs, headline, look, moved, other_bits, places, steps, tally
from crosscorrect_reports.speeds import changes_table
from crosscorrect_reports.text import encodable, measured, one_line, plural

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
    from rich.text import Text

    from crosscorrect.changes import Changes, Group

MOST_GROUPS, MOST_AROUND = 12, 12
"""How many groups of each kind, and how many differences around the checks, a terminal shows."""
LONGEST = 170
"""How many characters of a sentence a terminal shows."""


def summary(changes: Changes) -> RenderableType:
    """What changed, for ``rich.console.Console.print``; text of strangers is printed as it is and obeyed by nobody."""
    return _Summary(changes)


@dataclass(frozen=True, slots=True)
class _Summary:
    """The summary before it is known where it is printed."""

    changes: Changes

    def __rich_console__(self, console: Console, _: ConsoleOptions) -> RenderResult:
        changes, encoding = self.changes, console.encoding
        for line, style in (*_head(changes, encoding), *_kinds(changes, encoding), *_rest(changes)):
            yield _text(line, encoding, style)
        if changes.speed:
            yield changes_table(changes.speed)
        if changes.untold:
            yield _text(f"no speed is compared: {one_line(changes.untold, LONGEST)}", encoding, "dim")


Lines = Iterator[tuple[str, str]]
"""Lines, each with its style."""


def _text(line: str, encoding: str, style: str) -> Text:
    from rich.text import Text  # noqa: PLC0415  rich is loaded when something is printed

    return Text(encodable(line, encoding), style=style)


def _head(changes: Changes, encoding: str) -> Lines:
    """The two runs, what differs around the checks, and the verdict."""
    yield f"{one_line(changes.base.folder)} → {one_line(changes.run.folder)}", "dim"
    for one in changes.around[:MOST_AROUND]:
        about, then, now = (one_line(text, LONGEST // 3) for text in differs(one))
        yield f"  {about}: {then or '–'} → {now or '–'}", "default"
    if len(changes.around) > MOST_AROUND:
        yield f"  and {plural(len(changes.around) - MOST_AROUND, 'other difference')}", "default"
    mark = look(changes)
    yield f"{_seen(mark.glyph, mark.ascii, encoding)} {headline(changes)}", mark.rich
    yield tally(changes), "default"


def _kinds(changes: Changes, encoding: str) -> Lines:
    """Each kind of change with its groups."""
    for kind, mark in MARKS.items():
        groups = changes.groups(kind)
        if groups:
            yield (
                f"{_seen(mark.glyph, mark.ascii, encoding)} {kind}: {plural(changes.counts[kind], 'check')}",
                mark.rich,
            )
        for group in groups[:MOST_GROUPS]:
            yield from ((line, "default") for line in _group(group))
        if len(groups) > MOST_GROUPS:
            yield f"  and {plural(sum(map(len, groups[MOST_GROUPS:])), 'check')} more", "default"


def _rest(changes: Changes) -> Lines:
    """What has other bits, which is no alarm, and who became wrong while it was timed, which is one."""
    for bits in moved(changes.bits):
        told = f"  {one_line(bits.framework)} {one_line(bits.mode)}: {other_bits(bits)}"
        if bits.then is not None and bits.now is not None:
            told += f"; at most {measured(bits.then)} of the bound then, {measured(bits.now)} now"
        yield told, "dim"
    for names, message in changes.wrong:
        yield one_line(f"{' '.join(names)}: {message}", LONGEST), "bold red"


def _seen(glyph: str, plain: str, encoding: str) -> str:
    return glyph if encodable(glyph, encoding) == glyph else plain


def _group(group: Group) -> Iterator[str]:
    where = f" {places(group)}" if places(group) else ""
    said = group.why if group.kind in (Kind.ONLY_THEN, Kind.ONLY_NOW, Kind.VANISHED, Kind.APPEARED) else group.cause
    told = f"{group.framework}{where}, {plural(len(group), 'check')}: {steps(group)}" + (f": {said}" if said else "")
    yield f"  {one_line(told, LONGEST)}"
    yield f"    {one_line(some(group.problems), LONGEST)}"
    if group.entry is not None:
        yield f"    {one_line(f'known, {group.entry.place}: {group.entry.reason}', LONGEST)}"
