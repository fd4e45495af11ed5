"""What docs/frames.md says of the tables is so: its reference is the code's, and its recipes run and tell the truth."""

from __future__ import annotations

import re
import runpy
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import crosscorrect
from crosscorrect import columns, store, tables
from crosscorrect.model import Outcome, Reason
from made_runs import check, finished

if TYPE_CHECKING:
    import pandas as pd

DOCS = Path(__file__).parent.parent / "docs"
PAGE = (DOCS / "frames.md").read_text(encoding="utf-8")
SECONDS = {("numpy", "arm"): (3.0, 1.0, 2.0), ("torch", "arm"): (0.5, 0.25, 8.0), ("torch", "twin"): (7.0, 7.0, 7.0)}


def test_the_reference_is_as_the_code_has_it() -> None:
    assert runpy.run_path(str(DOCS / "frames.py"))["page"]() == PAGE, "write it anew: python docs/frames.py"


def test_the_reference_has_every_column_of_every_table_once() -> None:
    for table in tables.TABLES:
        section = PAGE.partition(f"### {table}\n")[2].partition("\n### ")[0]
        assert re.findall(r"(?m)^\| `(\w+)` \|", section) == [column.name for column in columns.of(table)]


@pytest.mark.parametrize("table", tables.TABLES)
def test_a_run_has_every_table_as_a_frame_that_says_what_it_is(table: str) -> None:
    assert getattr(store.Run, table).__doc__
    assert f"`run.{table}`" in PAGE


@pytest.fixture
def recipes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the Python of the page leaves behind, in a folder with a run of which the answers are known."""
    rows = [
        check("s/a", "numpy", ratio=0.5, output_digest="one"),
        check("s/a", "torch", ratio=0.25, output_digest="one"),
        check("s/b", "numpy", ratio=0.75, output_digest="two"),
        check("s/b", "torch", Outcome.FAIL, reason=Reason.BOUND_A, ratio=9.0, output_digest="three"),
        check("s/c", "torch", Outcome.UNSUPPORTED),
    ]
    rows += [replace(row, mode="compiled", output_digest="other") for row in rows]
    folder = finished(tmp_path / "results" / "run", rows, sealed=False)
    segment = store.Segment(folder)
    for (framework, role), seconds in SECONDS.items():
        for restart, taken in enumerate(seconds):
            segment.write("measurements", measurement(framework, role, restart, taken, ""))
        segment.write("measurements", measurement(framework, role, 9, 1e-9, "disturbed"))
    segment.close()
    store.seal(folder)
    (tmp_path / "results" / "latest").symlink_to("run")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for text in re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL):
        exec(compile(text, "docs/frames.md", "exec"), names)  # noqa: S102  it is our own page
    return names


def measurement(framework: str, role: str, restart: int, seconds: float, complaint: str) -> dict[str, Any]:
    whole = dict.fromkeys(("calls", "rounds", "kept", "switches", "faults"), 1)
    numbers = dict.fromkeys(("fast", "waiting", "threads", "residual"), 1.0)
    subject = {"problem": "s/a", "part": "forward", "framework": framework, "mode": "eager", "device": "cpu"}
    said = {"role": role, "restart": restart, "seconds": seconds, "complaint": complaint}
    return {**subject, **whole, **numbers, **said}


def test_the_recipes_of_the_page_run_and_find_what_is_there(recipes: dict[str, Any]) -> None:
    worst: pd.DataFrame = recipes["worst"]
    assert dict(zip(worst["framework"], worst["ratio"], strict=True)) == {"numpy": 0.75, "torch": 9.0}
    alike: pd.DataFrame = recipes["alike"]
    assert alike.to_dict() == {"numpy": {"numpy": 2, "torch": 1}, "torch": {"numpy": 1, "torch": 2}}
    times: pd.DataFrame = recipes["times"].reset_index().set_index("framework")
    assert times.loc["numpy", ["median", "low", "high", "restarts"]].tolist() == [2.0, 1.0, 3.0, 3]
    assert times.loc["torch", ["median", "low", "high", "confidence"]].tolist() == [0.5, 0.25, 8.0, 0.75]


def test_load_is_what_the_package_offers() -> None:
    assert crosscorrect.load is store.load
