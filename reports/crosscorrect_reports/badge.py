"""A badge for a README: as SVG, and as the JSON that shields.io and its likes draw one from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from crosscorrect.model import Exit
from crosscorrect_reports.page import environment
from crosscorrect_reports.strict import dump
from crosscorrect_reports.text import plural

if TYPE_CHECKING:
    from crosscorrect.gate import Ruling

LABEL = "crosscorrect"
GOOD, BAD, UNKNOWN = "#00664b", "#a63c00", "#55606c"
"""White text on each has a contrast of more than 6; the words and the glyph tell the same as the colour."""
PADDING = 6.0
# advance widths at 11 px in hundredths of a pixel, and the characters that have them: of DejaVu Sans, and within a few
# of Verdana; a reader that has neither is told the width, and stretches its own font to it
_WIDTHS = {
    302: "'",
    306: "ijl",
    324: "IJ",
    350: " ,.",
    371: "/:;\\|",
    387: "f",
    397: "-",
    429: "()[]",
    431: "t",
    441: "!",
    452: "r",
    506: '"',
    550: "*_`",
    573: "s",
    577: "z",
    584: "?",
    605: "c",
    613: "L",
    633: "F",
    637: "k",
    651: "vxy",
    663: "P",
    672: "TY",
    673: "o",
    674: "a",
    677: "e",
    695: "E",
    697: "hnu",
    698: "Sbdgpq",
    700: "$0123456789{}",
    721: "K",
    752: "AV",
    754: "XZ",
    755: "B",
    764: "R",
    768: "C",
    805: "U",
    823: "N",
    827: "H",
    847: "D",
    852: "G",
    858: "&",
    866: "OQ",
    900: "w",
    922: "#+<=>^~",
    949: "M",
    1045: "%",
    1072: "m",
    1088: "W",
    1100: "@",
}
_WIDTH = {character: hundredths / 100 for hundredths, characters in _WIDTHS.items() for character in characters}
_OTHER = 9.22
"""The width of the glyphs that stand for an outcome."""


@dataclass(frozen=True, slots=True)
class Badge:
    """What a badge says: a word with its glyph and number, and the colour behind it."""

    message: str
    colour: str


def badge(ruling: Ruling) -> Badge:
    """Return what the badge of a run says."""
    if ruling.exit is Exit.OK:
        return Badge(f"✔ passing: {plural(ruling.total, 'check')}", GOOD)
    if ruling.exit is Exit.NOT_CONFORMANT:
        return Badge(f"✘ failing: {plural(len(ruling.findings), 'surprise')}", BAD)
    return Badge("– nothing ran" if ruling.exit is Exit.NOTHING_RAN else "– incomplete", UNKNOWN)


def render(ruling: Ruling) -> str:
    """Return the SVG as text."""
    said = badge(ruling)
    widths = [round(width(text), 1) for text in (LABEL, said.message)]
    boxes = [round(each + 2 * PADDING, 1) for each in widths]
    return (
        environment()
        .get_template("badge.svg")
        .render(label=LABEL, badge=said, widths=widths, boxes=boxes, padding=PADDING, total=round(sum(boxes), 1))
    )


def endpoint(ruling: Ruling) -> str:
    """Return the JSON that https://shields.io/badges/endpoint-badge asks for."""
    said = badge(ruling)
    return dump({"schemaVersion": 1, "label": LABEL, "message": said.message, "color": said.colour.removeprefix("#")})


def width(text: str) -> float:
    """How wide a text is at 11 px, in pixels."""
    return sum(_WIDTH.get(character, _OTHER) for character in text)
