"""The documentation site: these pages as HTML that needs no network, built by Sphinx (``tox run -e docs``).

The pages stay Markdown that a code host shows as it is. What only the site has (the reference that is made from the
code) stands behind directives, or in the place of a comment ``<!-- keys: … -->``.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from sphinx.errors import SphinxError

import crosscorrect

sys.path.insert(0, str(Path(__file__).parent))

import keys

if TYPE_CHECKING:
    import click
    from sphinx.application import Sphinx

project = "crosscorrect"
author = "the authors of crosscorrect"
version = release = crosscorrect.__version__
html_title = f"crosscorrect {release}"

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx_click"]
exclude_patterns = ["findings/*", "measure/*", "figures/*"]

myst_heading_anchors = 3  # links to a heading of another page, as a code host has them
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_use_type_comments = False
autodoc_mock_imports = ["ruptures", "scipy"]  # the extra `bench`: only its signatures are shown

smartquotes = False  # -- is part of an option

html_theme = "furo"
html_static_path = ["site.css"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
html_show_copyright = False
pygments_style, pygments_dark_style = "friendly", "github-dark"


ABOVE = re.compile(r"\]\((?:\.\./)+(CONTRIBUTING|CHANGELOG)\.md")
"""A link to a file above this folder that has a page here."""


def made(_: Sphinx, page: str, source: list[str]) -> None:
    """Put in what is made from schemas; lead links to files above this folder to their pages here."""
    up = "../" * page.count("/")
    source[0] = ABOVE.sub(lambda found: f"]({up}{found[1].lower()}.md", keys.filled(source[0]))


def examples(_: Sphinx, __: click.Context, lines: list[str]) -> None:
    """Show the commands in the text of a command as what they are."""
    block = [i for i, line in enumerate(lines) if line.startswith("| crosscorrect ")]
    if block:
        shown = [f"   {lines[i].removeprefix('| ')}" for i in block]
        lines[block[0] : block[-1] + 1] = [".. code-block:: text", "", *shown, ""]


FETCHED = re.compile(
    r"""<(?:script|img|iframe|source|video)\b[^>]*\bsrc=["']?(?:https?:)?//[^>]*>"""
    r"""|<link\b(?=[^>]*\brel=["']?(?:stylesheet|preload|preconnect|icon))[^>]*\bhref=["']?(?:https?:)?//[^>]*>"""
    r"""|(?:url\(|@import )["']?(?:https?:)?//[^)]*""",
    re.IGNORECASE,
)
"""What a browser would fetch from the network to show a page; a link that a person follows is none of it."""


def offline(app: Sphinx, failed: Exception | None) -> None:
    """Refuse a site that needs the network. Raises SphinxError."""
    if failed is not None or app.builder.format != "html":
        return
    for path in sorted(Path(app.outdir).rglob("*")):
        if path.suffix in (".html", ".css", ".svg"):
            found = FETCHED.search(path.read_text(encoding="utf-8"))
            if found is not None:
                raise SphinxError(f"{path} would fetch from the network: {found[0]}")


def setup(app: Sphinx) -> None:
    """Hook what is above into Sphinx."""
    app.connect("source-read", made)
    app.connect("sphinx-click-process-description", examples)
    app.connect("build-finished", offline)
