"""How changes are told, the same in terminal, Markdown and page: glyphs, a headline, counts, what else differs."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from crosscorrect.changes import VERDICTS, Kind
from crosscorrect.model import Exit, Outcome
from crosscorrect_reports.outcomes import STYLES
from crosscorrect_reports.text import plural

if TYPE_CHECKING:
    from collections.abc import Iterable

    from crosscorrect.changes import Bits, Changes, Group, Row
    from crosscorrect.surroundings import Difference


@dataclass(frozen=True, slots=True)
class Mark:
    """How a kind of change looks: a glyph, ``rich`` its style in a terminal, ``look`` its class in a page.

    ``ascii`` stands for the glyph where a terminal's encoding has none.
    """

    glyph: str
    rich: str
    look: str
    ascii: str


MARKS = {
    Kind.REGRESSED: Mark("✘", "bold red", "fail", "X"),
    Kind.VANISHED: Mark("−", "yellow", "missing", "-"),
    Kind.CHANGED: Mark("≠", "magenta", "error", "#"),
    Kind.FIXED: Mark("✔", "green", "pass", "+"),
    Kind.APPEARED: Mark("+", "cyan", "unsupported", "+"),
    Kind.ONLY_THEN: Mark("◂", "dim", "unsupported", "<"),
    Kind.ONLY_NOW: Mark("▸", "dim", "unsupported", ">"),
    Kind.UNCHANGED: Mark("=", "dim", "unsupported", "="),
}

APART = (Kind.VANISHED, Kind.APPEARED, Kind.ONLY_THEN, Kind.ONLY_NOW)
"""The kinds of checks that one run has."""

AROUND = {
    "version": "version",
    "crosscorrect": "crosscorrect",
    "code": "code",
    "suite": "suite",
    "asked": "asked for",
    "timed": "timed with",
    "interpreter": "interpreter",
    "switch": "switch",
    "machine": "machine",
    "offer": "offers",
    "note": "notes",
}
"""What differs around the checks, in words."""
DIGITS = 8
"""How much of a digest is told."""


NEWCOMERS = Mark("!", "bold yellow", "missing", "!")
"""How a comparison looks in which nothing got worse, and new checks do not pass."""


def look(changes: Changes) -> Mark:
    """Return how a comparison looks: regressed where something got worse, and fixed only where new checks pass, too."""
    if changes.exit is not Exit.OK:
        return MARKS[Kind.REGRESSED]
    return NEWCOMERS if changes.newcomers else MARKS[Kind.FIXED]


def headline(changes: Changes) -> str:
    """Return what came of a comparison in one sentence, which is silent about no new check that does not pass."""
    said, count = _verdict(changes), changes.newcomers
    if not count:
        return f"{said}."
    return f"{said}; {plural(count, 'new check')} {'does' if count == 1 else 'do'} not pass."


def _verdict(changes: Changes) -> str:
    regressed = changes.counts[Kind.REGRESSED] - changes.known
    told = {
        Exit.NOT_CONFORMANT: f"{plural(regressed, 'check')} regressed"
        if regressed
        else f"{plural(len(changes.wrong), 'answer')} became wrong while timed",
        Exit.INCOMPLETE: f"{plural(changes.lost, 'check')} vanished",
        Exit.SLOWER: f"{plural(changes.slower, 'speed')} became slower",
        Exit.NOTHING_RAN: "The two runs have no check in common",
    }
    if changes.exit in told:
        return told[changes.exit]
    return "Nothing got worse" if changes.any else "No change"


def messages(row: Row) -> str:
    """Return what a check said where it did not pass, before and after if both say something."""
    return " → ".join(dict.fromkeys(filter(None, (row["message_then"], row["message_now"]))))


def told(row: Row) -> str:
    """Return its messages with the diagnosis of each."""
    said = ["; ".join(filter(None, (row[f"message_{when}"], row[f"diagnosis_{when}"]))) for when in ("then", "now")]
    return " → ".join(dict.fromkeys(filter(None, said)))


def tally(changes: Changes) -> str:
    """Return the counts behind a headline as sentences; what there is none of is not told."""
    counts = changes.counts
    known = f" ({changes.known} as the expectations say)" if changes.known else ""
    said = [f"{counts[kind]} {kind}{known if kind is Kind.REGRESSED else ''}" for kind in VERDICTS if counts[kind]]
    said.append(f"{changes.unchanged} unchanged")
    rest = [f"{counts[kind]} {kind}" for kind in APART if counts[kind]]
    other = sum(bits.other for bits in changes.bits)
    sentences = [f"Of {plural(changes.compared, 'check')} in both: {', '.join(said)}."] if changes.compared else []
    sentences += [f"In one of them: {', '.join(rest)}."] if rest else []
    sentences += [f"Of the unchanged, {other} {'has' if other == 1 else 'have'} other bits."] if other else []
    if changes.speed:
        speeds = Counter(change.speed for change in changes.speed)
        told = ", ".join(f"{count} {speed}" for speed, count in speeds.most_common())
        sentences.append(f"Of {plural(len(changes.speed), 'speed')}: {told}.")
    return " ".join(sentences)


def verdict(said: tuple[str, str]) -> str:
    """Return an outcome with its glyph and reason; nothing where there is none."""
    outcome, reason = said
    return f"{STYLES[Outcome(outcome)].glyph} {outcome}" + (f" ({reason})" if reason else "") if outcome else ""


def steps(group: Group) -> str:
    """Return what the checks of a group were and are: ``✔ pass → ✘ fail (bound A)``."""
    return " → ".join(filter(None, (verdict(group.then), verdict(group.now))))


def places(group: Group) -> str:
    """Return the modes and devices of a group, those that are as usual left out."""
    modes = [str(mode) for mode in group.table["mode"].unique()]
    devices = [str(device) for device in group.table["device"].unique() if device != "cpu"]
    return ", ".join([*(modes if modes != ["eager"] else []), *devices])


def differs(one: Difference) -> tuple[str, str, str]:
    """Return what a difference is about, what was said then, and what is said now; of a digest its beginning."""
    own = one.what == "version" and one.key == one.framework  # torch version, not torch version torch
    about = " ".join(filter(None, (one.framework, AROUND[one.what], "" if own else one.key)))
    if one.what in ("code", "suite"):
        return about, one.then[:DIGITS], one.now[:DIGITS]
    return about, one.then, one.now


def moved(found: Iterable[Bits]) -> list[Bits]:
    """Return those of which some answers have other bits."""
    return [bits for bits in found if bits.other]


def other_bits(bits: Bits) -> str:
    """Return what a row of bits says: how many, and how the error moved."""
    told = (
        f"{bits.other} of {plural(bits.compared, 'unchanged check')} {'has' if bits.other == 1 else 'have'} other bits"
    )
    return f"{told}; the error grew in {bits.larger} and shrank in {bits.smaller}"
