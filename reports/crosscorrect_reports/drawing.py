"""Drawings as inline SVG: they take the page's colours in light and dark, and their ids do not collide.

Every figure of a page but those of the training runs is a ``Figure``: a drawing, what it shows in a sentence, and the
numbers that it is drawn from.
"""

from __future__ import annotations

import io
import re
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from crosscorrect_reports.text import clean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# colours that stand for the page's own: replaced by CSS variables in the SVG
INK, FAINT, BAND, PAPER = "#010203", "#040506", "#070809", "#0a0b0c"
CSS = {INK: "var(--ink)", FAINT: "var(--faint)", BAND: "var(--band)", PAPER: "var(--paper)"}


@dataclass(slots=True)
class Figure:
    """What ``templates/macros.html`` shows as one figure: heading, sentence, drawing, and its data behind a toggle.

    ``lead`` says what is drawn and how to read it. ``rows`` are the
    texts under ``columns``; ``numeric`` are the columns set flush right. ``cut`` says what is left out of them.
    """

    anchor: str
    title: str
    lead: str
    drawing: Markup
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    numeric: frozenset[str] = field(default_factory=frozenset)
    cut: str = ""


def look() -> Any:
    """Return the settings of all figures: texts stay texts, and colours stand in for the page's own."""
    import matplotlib as mpl  # noqa: PLC0415  half a second that only a page with figures needs

    return mpl.rc_context(
        {
            "svg.fonttype": "none",
            "svg.hashsalt": "crosscorrect",
            "font.family": "sans-serif",
            "font.size": 10,
            "text.color": INK,
            "axes.labelcolor": INK,
            "axes.edgecolor": FAINT,
            "axes.titlecolor": INK,
            "xtick.color": INK,
            "ytick.color": INK,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.facecolor": "none",
            "text.parse_math": False,
        }
    )


def svg(figure: Any, name: str, title: str, marks: Mapping[str, str] | None = None) -> Markup:
    """Return a matplotlib figure as inline SVG, its ids begun with ``name``, called ``title`` for a screen reader.

    ``marks`` gives the group that an artist's ``set_gid`` names a text that a pointer over it is shown.
    """
    buffer = io.StringIO()
    with warnings.catch_warnings():
        # a reader's font draws the texts, so that what matplotlib's own lacks does not matter
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = buffer.getvalue()
    text = re.sub(r"<metadata>.*?</metadata>|<style[^>]*>.*?</style>", "", text[text.index("<svg") :], flags=re.DOTALL)
    text = re.sub(r"<path [^>]*>", _shorter, text)
    for gid, said in (marks or {}).items():
        label = Markup("<title>{}</title>").format(clean(said))
        text = text.replace(f'<g id="{gid}">', f'<g id="{gid}">{label}', 1)
    prefix = re.sub(r"[^A-Za-z0-9_-]", "-", name)
    text = re.sub(r'\bid="', f'id="{prefix}-', text)
    text = re.sub(r'(href="|url\()#', rf"\1#{prefix}-", text)
    for colour, variable in CSS.items():
        text = text.replace(colour, variable)
    text = re.sub(r'<svg [^>]*?viewBox="([^"]*)"[^>]*>', r'<svg class="figure" viewBox="\1" role="img">', text, count=1)
    label = Markup("<title>{}</title>").format(clean(title))
    return Markup(re.sub(r"(<svg [^>]*>)", lambda m: m[1] + str(label), text, count=1))  # noqa: S704  matplotlib escapes its texts


def _shorter(path: re.Match[str]) -> str:
    """A path to a hundredth of a point, on one line: nobody sees less, and it halves a figure of many samples."""
    return " ".join(re.sub(r"\d+\.\d{3,}", lambda number: f"{float(number[0]):.2f}", path[0]).split())
