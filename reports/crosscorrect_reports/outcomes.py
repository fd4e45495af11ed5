"""How each outcome and each framework looks: a glyph, a word and a colour, the same in every report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from crosscorrect.gate import UNFINISHED
from crosscorrect.model import Exit, Outcome
from crosscorrect_reports.text import plural

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crosscorrect.gate import Ruling
    from crosscorrect.store import Run


@dataclass(frozen=True, slots=True)
class Style:
    """The look of one outcome. ``meaning`` is its line in a legend; ``rich`` its style in a terminal.

    ``ascii`` stands for the glyph where a terminal's encoding has none.
    """

    glyph: str
    meaning: str
    rich: str
    ascii: str


STYLES = {
    Outcome.PASS: Style("✔", "right, within a sound bound", "green", "+"),
    Outcome.FAIL: Style("✘", "a wrong answer", "bold red", "X"),
    Outcome.UNSUPPORTED: Style("∅", "the framework refuses", "dim", "0"),
    Outcome.ERROR: Style("‼", "an exception", "red", "!!"),
    Outcome.CRASH: Style("↯", "the worker died", "red", "#"),
    Outcome.TIMEOUT: Style("◷", "no answer in time", "red", "T"),
    Outcome.MISTRUSTED: Style("?", "right, on data that prove nothing", "yellow", "?"),
    Outcome.UNBOUNDED: Style("∞", "no sound bound exists", "yellow", "~"),
    Outcome.MISSING: Style("–", "was not run", "yellow", "-"),
}

EXITS = {
    Exit.OK: "Every check came out as expected.",
    Exit.NOT_CONFORMANT: "Something came out otherwise than expected.",
    Exit.USAGE: "The request could not be carried out.",
    Exit.INCOMPLETE: "The run is incomplete: something that was asked for is missing.",
    Exit.NOTHING_RAN: "Nothing ran.",
    Exit.SLOWER: "Slower than the baseline.",
    Exit.UNFIT: "The host is not fit to judge speed.",
}

# Okabe and Ito's palette; a framework keeps its colour and its marker whatever else is in the run
_FIXED = {
    "mxnet": ("#0072b2", "s"),
    "torch": ("#d55e00", "o"),
    "tensorflow": ("#e69f00", "^"),
    "jax": ("#009e73", "D"),
    "numpy": ("#767676", "P"),
}
_SPARE = (("#cc79a7", "v"), ("#56b4e9", "X"), ("#8a7d00", "<"), ("#767676", ">"))


ALWAYS = (Outcome.PASS, Outcome.FAIL, Outcome.UNSUPPORTED, Outcome.ERROR)
"""The outcomes that a report has a column for even where none is of them; the others have one where there are some."""


def headline(ruling: Ruling) -> str:
    """Return what came of a run in one sentence."""
    return EXITS[ruling.exit] if ruling.finished else "The run was not finished."


def tally(run: Run, ruling: Ruling) -> str:
    """Return the counts behind a ruling as a sentence, which says where they are not of all that there is to check."""
    some = " of a selection of problems" if run.info.get("filter") else ""
    missing = len(ruling.missing) - (UNFINISHED in ruling.missing)
    said = (
        f"{plural(ruling.total, 'check')}{some}{'' if ruling.finished else ' so far'}: {ruling.passed} passed as "
        f"expected, {ruling.expected} refused or failed as expected, {plural(len(ruling.findings), 'surprise')}, "
        f"{missing} missing."
    )
    if not ruling.finished:
        said += " What had not been judged by then is not in it; run it again to the end."
    if ruling.notes:
        said += (
            f" {plural(len(ruling.notes), 'suite')} could not be asked in some mode here: see the frameworks' notes."
        )
    return said


def looks(frameworks: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Return a colour and a matplotlib marker for each framework."""
    strangers = [name for name in sorted(frameworks) if name not in _FIXED]
    return {**_FIXED, **{name: _SPARE[i % len(_SPARE)] for i, name in enumerate(strangers)}}
