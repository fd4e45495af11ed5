"""The documentation site: these pages as HTML that needs no network, built by Sphinx (``tox run -e docs``).

The pages stay Markdown that a code host shows as it is. What only the site has (the reference that is made from the
code) stands behind directives, or in the place of a comment ``<!-- keys: … -->`` or ``<!-- columns: … -->``.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import crosscorrect

sys.path.insert(0, str(Path(__file__).parent))

import keys

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "crosscorrect"
author = "the authors of crosscorrect"
version = release = crosscorrect.__version__
html_title = f"crosscorrect {release}"

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx_click"]
exclude_patterns = ["findings/*", "measure/*", "figures/*"]
suppress_warnings = ["toc.empty_glob"]  # a page of the navigation may be absent

myst_heading_anchors = 3  # links to a heading of another page, as a code host has them
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_use_type_comments = False

html_theme = "furo"
html_static_path = ["site.css"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
html_show_copyright = False
pygments_style, pygments_dark_style = "friendly", "native"


def made(_: Sphinx, __: str, source: list[str]) -> None:
    """Put in what is made from schemas and tables; lead links to files above this folder to their pages here."""
    text = keys.filled(source[0])
    for name in ("CONTRIBUTING", "CHANGELOG"):
        text = text.replace(f"](../{name}.md", f"]({name.lower()}.md")
    source[0] = text


def setup(app: Sphinx) -> None:
    """Hook ``made`` into Sphinx."""
    app.connect("source-read", made)
