"""What the documents show of one framework, run where that framework is.

``CROSSCORRECT_ADAPTER`` names it, as in ``test_contract.py``. A command of several is asked of this one alone.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import pytest

from pages import FOLLOWED, Block, Command, Reader, blocks

if TYPE_CHECKING:
    from pathlib import Path

ADAPTER = os.environ.get("CROSSCORRECT_ADAPTER", "numpy")
OPTION = re.compile(r"\s(?:-f|--python|--crosscorrect) ([a-z]+)\S*")
LEFT_OUT = {
    r"--device cuda": "it needs a GPU",
    r"^crosscorrect bench ": "it measures for minutes",
    r"^crosscorrect run smoke ": "the suites themselves are run here, as pytest items",
    **({} if ADAPTER == "mxnet" else {r" model\.yaml ": "its weights are exported by MXNet"}),
}
"""The commands that are not run, and why."""

pytestmark = [
    pytest.mark.skipif(ADAPTER == "numpy", reason="tests/test_docs.py follows the pages with NumPy"),
    pytest.mark.filterwarnings("default"),
]


def asked(block: Block) -> list[Command]:
    """The commands of a block that are about this framework, without the options of others and of where they live."""
    found = []
    for command in block.commands():
        if ADAPTER not in OPTION.findall(command.text) or any(re.search(p, command.text) for p in LEFT_OUT):
            continue
        text = OPTION.sub(lambda m: m[0] if m[1] == ADAPTER and "--python" not in m[0] else "", command.text)
        found.append(Command(command.place, text, command.exit))
    return found


@pytest.mark.parametrize("page", FOLLOWED, ids=lambda page: page.name)
def test_what_a_page_shows_of_this_framework_is_so(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    reader = Reader(tmp_path, lambda _: None, frozenset({ADAPTER}))
    for block in blocks(page):
        if block.file is not None:
            reader.write(block)
            if ADAPTER in block.needs:  # what makes the files that later commands read
                reader.run(Command(block.place, f"python {block.file}", 0))
        elif block.language == "python" and ADAPTER in block.needs:
            reader.execute(block)
        for command in asked(block):
            reader.run(command)
    if not reader.ran:
        pytest.skip(f"nothing of {ADAPTER}")
