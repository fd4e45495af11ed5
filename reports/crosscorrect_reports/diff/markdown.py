"""What changed, in Markdown for a comment on a pull request: a headline, counts, and each change once, to unfold.

A comment has a limit of length: what does not fit is counted, and nothing is cut in the middle.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from crosscorrect.changes import VERDICTS, Kind
from crosscorrect.speed.model import Speed, Who
from crosscorrect_reports.diff.words import (
    MARKS,
    differs,
    headline,
    look,
    moved,
    other_bits,
    places,
    steps,
    tally,
    told as said,
)
from crosscorrect_reports.speeds import STYLES as SPEEDS, interval
from crosscorrect_reports.text import code, markdown, measured, plural

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crosscorrect.changes import Changes, Group, Row
    from crosscorrect.speed.against import Change

LIMIT = 65_536 - 1_024
"""How many characters a comment on GitHub may have, less a little for what a bot puts around it."""
MARKER = "<!-- crosscorrect diff -->"
"""The first line: a bot finds its own comment by it, and writes it again instead of another one."""
MOST_ROWS, MOST_AROUND, MOST_SPEEDS = 10, 20, 40
"""How many checks of a group, differences around the checks, and speeds are told one by one."""
MOST_GROUPS = 1000
"""How many groups are looked at: more do not fit."""
LONGEST = 240
"""How many characters of a message are told."""
RESERVE = 300
"""How many characters are kept for the line that counts what did not fit."""


def render(changes: Changes, limit: int = LIMIT) -> str:
    """Return the comment, of at most ``limit`` characters where that is 2,000 or more."""
    runs = " → ".join(code(one.info["run"], 80) for one in (changes.base, changes.run))
    comment = _Comment(limit - RESERVE)
    comment.add([MARKER, f"## {look(changes).glyph} crosscorrect: {headline(changes)}", "", tally(changes), ""])
    comment.add([f"Compared: {runs}", ""])
    comment.add(_around(changes), _around_counted(changes))
    groups = changes.groups(*Kind)
    told = [comment.add(*_blocks(group)) for group in groups[:MOST_GROUPS]]
    untold = sum(len(group) for place, group in enumerate(groups) if place >= len(told) or not told[place])
    untold += sum(not comment.add(block) for block in (_speeds(changes), _bits(changes)))
    rest = f"And {untold} more that do not fit here: `crosscorrect diff A B --html diff.html` shows all of them."
    return "\n".join([*comment.lines, *([rest] if untold else [])]).rstrip() + "\n"


@dataclass(slots=True)
class _Comment:
    """Lines, and room for so many characters more."""

    room: int
    lines: list[str] = field(default_factory=list)

    def add(self, *blocks: list[str]) -> bool:
        """Add the first of some blocks that fits; whether one did."""
        for block in blocks:
            length = sum(map(len, block)) + len(block)
            if length <= self.room:
                self.lines += block
                self.room -= length
                return True
        return False


def _row(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"


def _around(changes: Changes) -> list[str]:
    """What differs around the checks: few things at once, many to unfold."""
    if not changes.around:
        return []
    rows = [_row(*(markdown(text, LONGEST) for text in differs(one))) for one in changes.around]
    table = [_row("what else differs", "then", "now"), _row("---", "---", "---"), *rows[:MOST_AROUND], ""]
    if len(rows) > MOST_AROUND:
        table += [f"and {plural(len(rows) - MOST_AROUND, 'other difference')}", ""]
    return table


def _around_counted(changes: Changes) -> list[str]:
    return [f"{plural(len(changes.around), 'thing')} beside the checks differ, too.", ""]


def _blocks(group: Group) -> Iterator[list[str]]:
    """A group with its first checks, and shorter for where that does not fit."""
    if group.kind in (Kind.ONLY_THEN, Kind.ONLY_NOW):  # nobody's doing: how many there are, and of what, is enough
        yield [f"{_head(group)}.", ""]
        return
    rows = [_check(row) for row in group.table[:MOST_ROWS].to_dict("records")]
    rest = len(group) - len(rows)
    yield [
        f"<details><summary>{_head(group)}</summary>",
        "",
        *([f"Known, {code(group.entry.place)}: {markdown(group.entry.reason, LONGEST)}", ""] if group.entry else []),
        _row("problem", "direction", "mode", "what came"),
        _row("---", "---", "---", "---"),
        *rows,
        "",
        *([f"and {plural(rest, 'check')} more", ""] if rest else []),
        "</details>",
        "",
    ]
    yield [f"{_head(group)}.", ""]


def _check(row: Row) -> str:
    where = row["mode"] if row["device"] == "cpu" else f"{row['mode']} {row['device']}"
    return _row(
        code(row["problem"], LONGEST), markdown(row["direction"]), markdown(where), markdown(said(row), 2 * LONGEST)
    )


def _head(group: Group) -> str:
    """One line about a group, for the inside of a sentence or a summary."""
    where = f" {markdown(places(group))}" if places(group) else ""
    said = group.cause if group.kind in VERDICTS else group.why
    cause = f": {markdown(said, LONGEST)}" if said else ""
    known = " (known)" if group.entry else ""
    counted = f"{plural(len(group), 'check')} {group.kind}{known}"
    return f"{MARKS[group.kind].glyph} <b>{markdown(group.framework)}</b>{where}, {counted}: {steps(group)}{cause}"


def _speeds(changes: Changes) -> list[str]:
    """The speeds that changed, each with its interval; of the others there are the counts above."""
    lines = [f"- {markdown(' '.join(names))}: {markdown(message, LONGEST)}" for names, message in changes.wrong]
    if changes.untold:
        lines += ["", f"No speed is compared: {markdown(changes.untold, LONGEST)}"]
    some = sorted((c for c in changes.speed if c.speed in (Speed.SLOWER, Speed.FASTER)), key=_gravest)
    if some:
        lines += ["", _row("speed", "problem", "framework", "time now over then"), _row("---", "---", "---", "---:")]
        lines += [_speed(change) for change in some[:MOST_SPEEDS]]
    if len(some) > MOST_SPEEDS:
        lines += ["", f"and {plural(len(some) - MOST_SPEEDS, 'other speed')}"]
    return [*lines, ""] if lines else []


def _gravest(change: Change) -> tuple[bool, float]:
    return change.speed is not Speed.SLOWER, -abs((change.change or 1.0) - 1.0)


def _speed(change: Change) -> str:
    names = change.names
    framework = markdown(Who(names.framework, names.mode, names.device).name)
    ratio = interval(change.change, change.low, change.high)
    return _row(
        f"{SPEEDS[change.speed][0]} {change.speed}", code(f"{names.problem} {names.part}", LONGEST), framework, ratio
    )


def _bits(changes: Changes) -> list[str]:
    """What has the same verdict and other bits: no alarm, and therefore last and folded."""
    found = moved(changes.bits)
    if not found:
        return []
    lines = ["<details><summary>Same verdict, other bits</summary>", ""]
    lines += [
        _row("framework", "mode", "", "largest error / bound then", "now"),
        _row("---", "---", "---", "---:", "---:"),
    ]
    for bits in found:
        ratios = (measured(bits.then), measured(bits.now))
        lines.append(_row(markdown(bits.framework), markdown(bits.mode), other_bits(bits), *ratios))
    return [*lines, "", "</details>", ""]
