"""Finished runs made row by row, without any worker, for the tests of what reads runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crosscorrect import store, tables
from crosscorrect.model import Check, Direction, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    import numpy as np


def check(problem: str = "s/first", framework: str = "fw", outcome: Outcome = Outcome.PASS, **changed: Any) -> Check:
    """A check row; what is not given is plausible."""
    fields: dict[str, Any] = {
        "suite": problem.partition("/")[0], "case": problem.partition("/")[2].partition("@")[0], "problem": problem,
        "source": "In [1]", "title": "3×3", "operation": "corr2d", "direction": Direction.FORWARD, "dtype": "float32",
        "framework": framework, "mode": "eager", "device": "cpu", "arithmetic": "strict", "outcome": outcome,
        "input_digest": f"inputs of {problem}",
    }  # fmt: skip
    return Check(**{**fields, **changed})


def problem_row(problem: str) -> dict[str, Any]:
    suite, _, case = problem.partition("@")[0].partition("/")
    plain = dict.fromkeys(tables.COLUMNS["problems"], "")
    return {**plain, "problem": problem, "suite": suite, "case": case, "show": False, "invalid": False}


def finished(
    folder: Path,
    checks: Iterable[Check],
    versions: Mapping[str, str] | None = None,
    arrays: Iterable[np.ndarray[Any, Any]] = (),
    env: Iterable[Mapping[str, str]] = (),
    about: Mapping[str, Mapping[str, Any]] | None = None,
    *,
    sealed: bool = True,
    **info: Any,
) -> Path:
    """A finished run folder of these checks, arrays and rows of ``env``; ``info`` changes what ``run.json`` says.

    ``versions`` maps frameworks to theirs, and ``about`` problems to what the table ``problems`` says of them. One that
    is not ``sealed`` was broken off.
    """
    rows = list(checks)
    frameworks = list(dict.fromkeys(row.framework for row in rows))
    said: dict[str, Any] = {
        "frameworks": frameworks, "suites": [{"name": "s", "title": "S", "file": "s.yaml", "digest": "d"}],
        "problems": len({row.problem for row in rows}), "modes": ["eager"], "devices": ["cpu"], "arithmetic": "strict",
        "filter": [], "level": "ci", "seed": 0,
    }  # fmt: skip
    made = store.create(folder.parent, folder.name, {**said, **info}, latest=False)
    segment = store.Segment(made)
    for framework in frameworks:
        version = (versions or {}).get(framework, "1.2.3")
        segment.write("env", {"framework": framework, "section": "version", "key": framework, "value": version})
    for record in env:
        segment.write("env", record)
    for problem in dict.fromkeys(row.problem for row in rows):
        segment.write("problems", {**problem_row(problem), **(about or {}).get(problem, {})})
    for row in rows:
        segment.write("checks", tables.check_record(row))
    for array in arrays:
        segment.keep(array)
    segment.close()
    if sealed:
        store.seal(made, {"totals": {}})
    return made
