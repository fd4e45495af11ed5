"""What docs/frames.md says of the tables is so: its reference is the code's, and its recipes run and tell the truth."""

from __future__ import annotations

import re
import runpy
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from hypothesis import given, strategies as st

import crosscorrect
from crosscorrect import columns, intact, store, tables
from crosscorrect.errors import DamagedError
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


def values(kind: pa.DataType, count: int) -> st.SearchStrategy[pa.Array]:
    """Arrays of an Arrow type, in which anything that it can hold may be, or nothing."""
    plain = st.one_of(
        st.none(), st.text(max_size=5), st.integers(-(2**70), 2**70), st.floats(), st.booleans(), st.binary(max_size=3),
        st.lists(st.one_of(st.none(), st.integers(), st.floats(), st.text(max_size=2)), max_size=2),
        st.just({"a": 1}), st.datetimes(), st.decimals(),
    )  # fmt: skip

    def array(found: list[Any]) -> pa.Array:
        try:
            return pa.array(found, kind)
        except (pa.ArrowException, TypeError, ValueError, OverflowError):
            return pa.nulls(count, kind)

    return st.lists(plain, min_size=count, max_size=count).map(array)


TYPES = st.sampled_from(
    [
        *(pa.string(), pa.large_string(), pa.binary(), pa.float64(), pa.float16(), pa.int64(), pa.uint64(), pa.int8()),
        *(pa.bool_(), pa.null(), pa.timestamp("ns"), pa.date32(), pa.decimal128(20, 2), pa.list_(pa.float64())),
        *(pa.list_(pa.string()), pa.large_list(pa.int64()), pa.struct([("a", pa.int64())])),
        pa.dictionary(pa.int8(), pa.string()),
    ]
)


@given(st.data(), st.sampled_from(tables.TABLES), st.integers(0, 2))
def test_whatever_a_column_of_a_strangers_file_holds_is_read_as_documented_or_damage(
    data: st.DataObject, table: str, count: int
) -> None:
    changed = data.draw(st.sampled_from(columns.of(table)))
    known = {
        pa.string(): "", pa.float64(): 0.5, pa.int64(): 1, pa.bool_(): True, pa.binary(): b"",
        pa.list_(pa.float64()): [0.5], pa.list_(pa.int64()): [1],
    }  # fmt: skip
    arrays = {}
    for column, field in zip(columns.of(table), columns.arrow(table), strict=True):
        plain = column.words[0] if column.words else known[field.type]
        arrays[column.name] = pa.array([plain] * count, field.type)
    arrays[changed.name] = data.draw(TYPES.flatmap(lambda kind: values(kind, count)))
    told = ""
    try:
        found = intact.checked(Path("run"), table, pa.table(arrays))
    except DamagedError as error:
        told = str(error)
    if told:
        assert told.startswith(f"the run run is damaged: the table {table}, column {changed.name}: ")
        assert told.isprintable()
        assert len(told) < 400
    else:
        assert found.schema.equals(columns.arrow(table))
        assert len(found.to_pandas()) == count


def test_load_is_what_the_package_offers() -> None:
    assert crosscorrect.load is store.load
