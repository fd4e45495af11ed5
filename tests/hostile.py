"""What strangers may send, shared by the tests of untrusted input."""

from __future__ import annotations

from hypothesis import strategies as st

REFUSED_CHARACTERS = [
    *("\u202a", "\u202e", "\u2066", "\u2069", "\u2028", "\u2029", "\ufffe", "\uffff", "\ufdd0", "\ufdef"),
    *(chr(code) for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\t\n"),
]
"""Characters that no text of a case file may hold, however they are written: a sample of each kind."""

TEXT = st.text(
    st.characters(
        exclude_categories=["Cs", "Cc", "Zl", "Zp"],
        exclude_characters=[
            *map(chr, (*range(0x202A, 0x202F), *range(0x2066, 0x206A), *range(0xFDD0, 0xFDF0), 0xFFFE, 0xFFFF))
        ],
        include_characters="\t\n",
    ),
    max_size=60,
)
"""Any text that a case file may hold."""
