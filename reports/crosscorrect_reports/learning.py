"""The training runs of a run: curves beside the float64 trajectory, printed digits, rates that theory predicts."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from crosscorrect.trajectory import contractions, gram
from crosscorrect_reports import frames
from crosscorrect_reports.text import number, slug

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

    from crosscorrect.store import Run

    Array = np.ndarray[Any, Any]
    Row = dict[str, Any]


@dataclass(slots=True)
class Curve:
    """One training run: losses with their references and bounds by step from 1, weights by step from 0."""

    problem: str
    framework: str
    mode: str
    variant: str
    outcome: str
    losses: Array
    references: Array
    bounds: Array
    weights: Array
    weight_references: Array
    weight_bounds: Array


@dataclass(slots=True)
class Printed:
    """A framework's digits beside the source's: a cell lists the distinct texts, and whether all are the source's."""

    framework: str
    runs: int
    cells: list[tuple[list[str], bool]]


@dataclass(slots=True)
class Lesson:
    """One training case from one start, in every layer, dtype, mode and framework."""

    anchor: str
    case: str
    label: str
    source: str
    title: str
    note: str
    show: bool
    problems: list[tuple[str, str]]
    curves: list[Curve]
    gram: str
    rates: list[float]
    observed: float | None
    steps: list[int]
    wanted: list[str]
    printed: list[Printed]
    learned: str
    remaining: float | None
    worst: float
    passed: int
    total: int


def lessons(run: Run) -> list[Lesson]:
    """Every training case and start of a run, in the order of the suites."""
    checks = run.checks[run.checks["direction"] == "train"]
    curves = _curves(run, checks)
    groups: dict[str, list[Row]] = {}
    for problem in frames.problems(run).values():
        if problem["operation"] == "train":
            settings = {name: value for name, value in problem["settings"].items() if name != "layer"}
            likeness = [problem["suite"], problem["case"], problem["arrays"], settings]
            groups.setdefault(json.dumps(likeness, sort_keys=True, default=str), []).append(problem)
    return [_lesson(run, problems, checks, curves) for problems in groups.values()]


def _curves(run: Run, checks: pd.DataFrame) -> dict[str, list[Curve]]:
    outcomes = {(r["problem"], r["framework"], r["mode"], r["device"]): r for r in checks.to_dict("records")}
    known = frames.problems(run)
    found: dict[str, list[Curve]] = {}
    for place, steps in run.training.groupby(["problem", *frames.PLACE], sort=False):
        problem, framework, mode, _ = place
        ordered = steps.sort_values("step")
        timed = ordered[ordered["loss"].notna() | ordered["loss_reference"].notna()]
        layer = known.get(problem, {}).get("settings", {}).get("layer", "")
        row = outcomes.get(place, {})
        curve = Curve(
            problem,
            framework,
            mode,
            f"{layer} {row.get('dtype', '')}".strip(),
            row.get("outcome", "missing"),
            *(timed[name].to_numpy(np.float64) for name in ("loss", "loss_reference", "loss_bound")),
            *(_stack(ordered[name]) for name in ("weight", "weight_reference", "weight_bound")),
        )
        found.setdefault(problem, []).append(curve)
    order = {name: index for index, name in enumerate(run.info["frameworks"])}
    return {
        p: sorted(cs, key=lambda c: (order.get(c.framework, 99), c.mode != "eager", c.mode)) for p, cs in found.items()
    }


def _stack(cells: Iterable[Any]) -> Array:
    rows = [np.asarray(cell, np.float64).ravel() for cell in cells]
    return np.stack(rows) if rows and len({len(row) for row in rows}) == 1 else np.zeros((0, 0))


def _lesson(run: Run, problems: list[Row], checks: pd.DataFrame, curves: dict[str, list[Curve]]) -> Lesson:
    ids = [problem["problem"] for problem in problems]
    first, own = problems[0], [curve for name in ids for curve in curves.get(name, [])]
    rows = checks[checks["problem"].isin(ids)]
    expect = first["expect"] or {}
    losses = {int(step): digits for step, digits in expect.get("losses", {}).items()}
    weight = [str(digits) for digits in expect.get("weight", ())]
    matrix, rates = _theory(run, first, rows)
    final = next((c.weights[-1] for c in own if len(c.weights)), None)
    reference = next((c.references for c in own if len(c.references) > 1), np.zeros(0))
    started = first["arrays"].get("start", {})
    label = started.get("label", "") if isinstance(started, dict) else ""
    ratios = rows["ratio"].astype(float).dropna()
    return Lesson(
        anchor="learning-" + slug(ids[0]),
        case=f"{first['suite']}/{first['case']}",
        label=str(label) or _difference(first),
        source=first["source"],
        title=first["title"],
        note=first["note"],
        show=bool(first["show"]),
        problems=[(name, slug(name)) for name in ids],
        curves=own,
        gram=matrix,
        rates=rates,
        observed=_observed(reference),
        steps=sorted(losses),
        wanted=[losses[s] for s in sorted(losses)] + weight,
        printed=[
            _printed(name, own, sorted(losses), losses, weight) for name in dict.fromkeys(c.framework for c in own)
        ]
        if losses or weight
        else [],
        learned="" if final is None else "[" + ", ".join(number(v, 7) for v in final) + "]",
        remaining=float(reference[-1]) if len(reference) else None,
        worst=float(ratios.max()) if len(ratios) else math.nan,
        passed=int((rows["outcome"] == "pass").sum()),
        total=len(rows),
    )


def _difference(problem: Row) -> str:
    """Return the sweep's own words, as the problem id has them, without those that only choose a layer or a dtype."""
    parts = problem["problem"].partition("@")[2].split(",")
    return ", ".join(p for p in parts if p and not p.startswith(("train.layer=", "dtype=")))


def _theory(run: Run, problem: Row, rows: pd.DataFrame) -> tuple[str, list[float]]:
    """Return the Gram matrix of the run's own image and the factor of each step along its eigenvectors.

    Empty where a bias is learned too (its column is not in the matrix), or no image was kept.
    """
    if "bias" in problem["arrays"] or "lr" not in problem["settings"]:
        return "", []
    for row in rows.to_dict("records"):
        kept = frames.arrays(run, row)
        if "x" in kept and "weights" in kept:
            kernel = kept["weights"].shape[-2:]
            text = ""
            if math.prod(kernel) <= 4:
                text = (
                    "["
                    + ", ".join("[" + ", ".join(number(v) for v in line) + "]" for line in gram(kept["x"], kernel))
                    + "]"
                )
            return text, [float(v) for v in contractions(kept["x"], kernel, problem["settings"]["lr"])]
    return "", []


def _observed(losses: Array) -> float | None:
    """Return the factor by which the last step shrank the error: the root of the ratio of its losses."""
    return math.sqrt(losses[-1] / losses[-2]) if len(losses) > 1 and losses[-2] > 0 and losses[-1] > 0 else None


def _printed(
    framework: str, curves: list[Curve], steps: list[int], losses: dict[int, str], weight: list[str]
) -> Printed:
    own = [curve for curve in curves if curve.framework == framework]
    cells = [
        _cell(losses[step], [curve.losses[step - 1] for curve in own if len(curve.losses) >= step]) for step in steps
    ]
    cells += [_cell(digits, [c.weights[-1][i] for c in own if c.weights.size]) for i, digits in enumerate(weight)]
    return Printed(framework, len(own), cells)


def _cell(wanted: str, values: list[float]) -> tuple[list[str], bool]:
    decimals = len(wanted.strip().partition(".")[2])
    texts = list(dict.fromkeys(f"{value:.{decimals}f}" for value in values))
    return texts, texts == [wanted.strip()]
