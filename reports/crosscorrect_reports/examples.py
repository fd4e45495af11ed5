"""The worked examples of a run: image, kernel and output as a person would draw them, and what frameworks returned."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from crosscorrect.model import Direction, Outcome
from crosscorrect_reports import frames
from crosscorrect_reports.grids import Grid, draw
from crosscorrect_reports.text import number, plural, slug

if TYPE_CHECKING:
    import pandas as pd

    from crosscorrect.store import Run

    Array = np.ndarray[Any, Any]
    Row = dict[str, Any]

DRAWN = ("corr2d", "layer", "conv2d", "matrix")
_PLAIN = {
    "stride": (1,),
    "dilation": (1,),
    "padding": (0,),
    "groups": (1,),
    "transposed": (False,),
    "output_padding": (0,),
}


@dataclass(slots=True)
class Answer:
    """One distinct answer: who gave it (a text for each framework), what to say of it, its grids if it differs."""

    who: list[str]
    says: str
    right: bool
    grids: list[Grid] = field(default_factory=list)


@dataclass(slots=True)
class Panel:
    """One computation: ``image`` ⋆ ``kernel`` = ``output``; the image is left out where the panel before shows it."""

    problems: list[tuple[str, str]]
    operations: str
    setting: str
    image: list[Grid]
    kernel: list[Grid]
    output: list[Grid]
    bias: str
    formula: str
    answers: list[Answer]
    matrices: bool


@dataclass(slots=True)
class Example:
    """One case that asks to be drawn."""

    anchor: str
    suite: str
    source: str
    title: str
    note: str
    panels: list[Panel]


def examples(run: Run, judged: pd.DataFrame) -> list[Example]:
    """Every case that asks to be drawn, in the order of the suites, with the answers of all frameworks."""
    drawn = {
        name: problem
        for name, problem in frames.problems(run).items()
        if problem["show"] and problem["operation"] in DRAWN
    }
    forward = judged[(judged["direction"] == Direction.FORWARD) & judged["problem"].isin(list(drawn))]
    by_problem: dict[str, list[Row]] = {}
    for row in forward.to_dict("records"):
        by_problem.setdefault(row["problem"], []).append(row)
    cases: dict[tuple[str, str], list[Row]] = {}
    for name, problem in drawn.items():
        if name in by_problem:
            cases.setdefault((problem["suite"], problem["case"]), []).append(problem)
    made = [_example(run, problems, by_problem) for problems in cases.values()]
    return [example for example in made if example.panels]


def _example(run: Run, problems: list[Row], by_problem: dict[str, list[Row]]) -> Example:
    groups: dict[tuple[Any, ...], list[tuple[Row, dict[str, Array]]]] = {}
    for problem in problems:
        tensors = _tensors(run, by_problem[problem["problem"]])
        if tensors:
            groups.setdefault(_likeness(problem, tensors), []).append((problem, tensors))
    panels: list[Panel] = []
    before: bytes | None = None
    for group in groups.values():
        panel, image = _panel(run, group, by_problem)
        if image == before:
            panel.image = []
        before = image
        panels.append(panel)
    first = problems[0]
    anchor = "example-" + slug(f"{first['suite']}/{first['case']}")
    return Example(anchor, first["suite"], first["source"], first["title"], first["note"], panels)


def _tensors(run: Run, rows: list[Row]) -> dict[str, Array]:
    """Return the inputs and the reference of a problem, from whichever row has kept them."""
    for row in rows:
        kept = frames.arrays(run, row)
        if "reference" in kept and ("x" in kept or "a" in kept):
            return {name: array for name, array in kept.items() if name != "output"}
    return {}


def _likeness(problem: Row, tensors: dict[str, Array]) -> tuple[Any, ...]:
    """Equal for problems that are the same computation in another dtype, rank or operation."""
    names = [n for n in ("x", "w", "b", "a", "reference") if n in tensors]
    values = tuple(_squeezed(tensors[n]).tobytes() for n in names if n != "b" or np.any(tensors[n]))
    shapes = tuple(_squeezed(tensors[n]).shape for n in names if n != "b")
    return (problem["settings"].get("form", ""), shapes, values)


def _squeezed(array: Array) -> Array:
    wide = np.asarray(array, np.float64)
    while wide.ndim > 2 and wide.shape[0] == 1:
        wide = wide[0]
    return wide + 0.0  # -0 and 0 are the same number to a reader


def _panel(
    run: Run, group: list[tuple[Row, dict[str, Array]]], by_problem: dict[str, list[Row]]
) -> tuple[Panel, bytes]:
    problem, tensors = group[0]
    matrices = problem["operation"] == "matrix"
    x, w = tensors["a" if matrices else "x"], tensors["b" if matrices else "w"]
    b = None if matrices else tensors.get("b")
    reference = tensors["reference"]
    setting = next((text for p, _ in group if (text := _setting(p["geometry"]))), "")
    formula, window, at = ("", [], []) if matrices or setting else _formula(x, w, b, reference)
    rows = [row for p, _ in group for row in by_problem[p["problem"]]]
    form = problem["settings"].get("form", "")
    panel = Panel(
        problems=[(p["problem"], slug(p["problem"])) for p, _ in group],
        operations=", ".join(dict.fromkeys(f"{form} matrix" if form else p["operation"] for p, _ in group)),
        setting=setting,
        image=draw(x, "matrix A" if matrices else "image X", window, grey=not matrices),
        kernel=draw(w, "column b" if matrices else "kernel K"),
        output=draw(reference, "A · b" if matrices else "output Y", at),
        bias="" if b is None or not np.any(b) else ", ".join(number(v) for v in np.ravel(b)),
        formula=formula,
        answers=_answers(run, rows),
        matrices=matrices,
    )
    return panel, np.asarray(x, np.float64).tobytes()


def _setting(geometry: dict[str, Any] | None) -> str:
    """Return what of a geometry is not the default, in words."""
    said = []
    for name, value in (geometry or {}).items():
        flat = list(np.ravel(value)) if isinstance(value, list) else [value]
        if name in _PLAIN and not all(v in _PLAIN[name] for v in flat) and value != "valid":
            sides = [_side(v) for v in value] if isinstance(value, list) else [value]
            text = " × ".join(map(str, sides))
            said.append(name.replace("_", " ") if value is True else f"{name.replace('_', ' ')} {text}")
    return ", ".join(said)


def _side(value: Any) -> str:
    """Return a number, or the two of a padding: ``1`` on both sides, or ``0 before, 1 after``."""
    if not isinstance(value, list):
        return str(value)
    begin, end = value
    return str(begin) if begin == end else f"({begin} before, {end} after)"


def _formula(
    x: Array, w: Array, b: Array | None, reference: Array
) -> tuple[str, list[tuple[int, int]], list[tuple[int, int]]]:
    """Return the sum behind an output, its window's cells and its own: of the first output that is not zero, if any."""
    image, kernel, output = _squeezed(x), _squeezed(w), _squeezed(reference)
    if image.ndim != 2 or kernel.ndim != 2 or output.ndim != 2:
        return "", [], []
    h, width = kernel.shape
    if kernel.size > 9 or output.shape != (image.shape[0] - h + 1, image.shape[1] - width + 1):
        return "", [], []
    hits = np.argwhere(output != 0)
    i, j = (int(v) for v in (hits[0] if len(hits) else (0, 0)))
    patch = image[i : i + h, j : j + width]
    terms = [f"{number(p)}·{_bracketed(float(k))}" for p, k in zip(patch.ravel(), kernel.ravel(), strict=True)]
    if b is not None and np.any(b):
        terms.append(_bracketed(float(np.ravel(b)[0])))
    window = [(i + di, j + dj) for di in range(h) for dj in range(width)]
    return f"Y[{i}, {j}] = {' + '.join(terms)} = {number(output[i, j])}", window, [(i, j)]


def _bracketed(value: float) -> str:
    return f"({number(value)})" if value < 0 else number(value)


def _answers(run: Run, rows: list[Row]) -> list[Answer]:
    """Return the distinct answers of a panel, the most frequent first."""
    groups: dict[tuple[str, bytes], list[Row]] = {}
    outputs: dict[tuple[str, bytes], Array] = {}
    for row in rows:
        output = frames.arrays(run, row).get("output")
        # a right answer counts as the same in every shape and dtype; a wrong one stays apart by outcome
        bits = row["output_digest"].encode() if output is None else _squeezed(output).tobytes()
        key = (row["outcome"], bits or row["message"].encode("utf-8", "replace"))
        groups.setdefault(key, []).append(row)
        if output is not None:
            outputs[key] = output
    ranked = sorted(groups, key=lambda key: (key[0] != Outcome.PASS, -len(groups[key])))
    return [_answer(groups[key], outputs.get(key), len(rows)) for key in ranked]


def _answer(rows: list[Row], output: Array | None, total: int) -> Answer:
    outcome = rows[0]["outcome"]
    who = []
    for framework in dict.fromkeys(row["framework"] for row in rows):
        own = [row for row in rows if row["framework"] == framework]
        modes = dict.fromkeys(row["mode"] for row in own)
        who.append(f"{framework} ({', '.join(modes)}; {', '.join(dict.fromkeys(row['operation'] for row in own))})")
    if outcome != Outcome.PASS:
        return Answer(
            who,
            f"{outcome}: {rows[0]['message']}",
            right=False,
            grids=[] if output is None else draw(output, "returned", _wrong(rows[0]), "wrong"),
        )
    error = max(float(row["error"] or 0.0) for row in rows)
    share = f"{plural(total, 'check')}" if len(rows) == total else f"{len(rows)} of {plural(total, 'check')}"
    if error == 0:
        return Answer(who, f"{share}, all exactly these numbers" if total > 1 else "exactly these numbers", right=True)
    over = max(float(row["ratio"] or 0.0) for row in rows)
    return Answer(
        who,
        f"{share}: the same numbers, at most {number(error, 2)} from the reference, {number(over, 2)} of the bound",
        right=True,
    )


def _wrong(row: Row) -> list[tuple[int, int]]:
    where = [int(part) for part in row["where"].split(",") if part] if row["where"] else []
    return [(where[-2], where[-1])] if len(where) >= 2 else []
