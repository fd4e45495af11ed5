"""A stand-alone script for one check of a run: only NumPy and the framework, the failure shown against a plain loop.

Each adapter brings, as data, a Jinja template ``repro/NAME.py.jinja`` in its package: how a user of that framework
writes the call. It extends ``templates/frame.py.jinja`` of this package, which holds what is the same for all (the
inputs, the loop straight from the definition, the bound, the comparison, the exit status) and says at its top what a
template may use. Nothing of an adapter is imported, so no framework is.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from crosscorrect import dtypes
from crosscorrect.errors import UsageError, inert
from crosscorrect.evidence import context, record_of
from crosscorrect.model import Direction, Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping

    import jinja2
    import numpy as np

    from crosscorrect.store import Run

    Array = np.ndarray[Any, Any]
    Row = Mapping[str, Any]

OPERATIONS = ("conv2d", "corr2d", "layer", "matrix")
"""What a script can ask for. Training and the loop's derivative have no single number to compare."""
EMBEDDED = 24 * 1024
"""Inputs of up to this many bytes in all stand in the script; more of them go into an ``.npz`` file beside it."""
_INPUTS = {"matrix": ("a", "b"), "corr2d": ("x", "w"), "layer": ("x", "w", "b"), "conv2d": ("x", "w", "b", "dy")}
ANSWERS = ("output", "reference", "weights")


@dataclass(frozen=True, slots=True)
class Script:
    """The text of a script, and the arrays that it reads from ``data``, a file of that name beside it, if any."""

    text: str
    data: str = ""
    arrays: dict[str, Array] = field(default_factory=dict)

    def write(self, path: Path) -> list[Path]:
        """Write the script, and its data beside it; return what was written."""
        import numpy as np  # noqa: PLC0415  only a script with data needs it

        path.write_text(self.text, encoding="utf-8")
        if not self.data:
            return [path]
        np.savez(path.with_name(self.data), **self.arrays)  # type: ignore[arg-type]
        return [path, path.with_name(self.data)]


def script(run: Run, row: Row, *, stem: str = "", target: str = "") -> Script:
    """Write the script of one row of the ``checks`` table.

    ``stem`` names the data file where the inputs are large; without it everything is embedded. ``target`` is the
    ``module:attribute`` of an adapter that is not installed as an entry point. Raises UsageError where there is no
    template, the inputs are not to be had, or there is nothing that a script could show.
    """
    import jinja2  # noqa: PLC0415  the parts of explain that print need none of it

    if row["operation"] not in OPERATIONS or row["outcome"] == Outcome.MISSING:
        raise UsageError(_nothing_to_show(row))
    folder = template_folder(row["framework"], target)
    known = inputs_of(run, row)
    inputs = {name: known[name] for name in _INPUTS[row["operation"]] if name in known}
    apart = bool(stem) and sum(array.nbytes for array in inputs.values()) > EMBEDDED
    try:
        given = context(run, row, inputs) | {"data": f"{stem}.npz" if apart else ""}
        text = _environment(folder).get_template(f"{row['framework']}.py.jinja").render(given)
    except (jinja2.TemplateError, ArithmeticError, LookupError, TypeError) as error:
        raise UsageError(f"the template of {row['framework']} cannot write {row['problem']} down: {error}") from error
    plain = {name: dtypes.widen(array) for name, array in inputs.items()}
    return Script(_tidy(text), given["data"], plain) if apart else Script(_tidy(text))


@lru_cache(maxsize=16)
def _environment(folder: Path) -> jinja2.Environment:
    """The templates of a folder and the frame, compiled once."""
    import jinja2  # noqa: PLC0415

    environment = jinja2.Environment(  # noqa: S701  it writes Python, not HTML; every text from a run passes a filter
        loader=jinja2.FileSystemLoader([folder, Path(__file__).parent / "templates"]),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(comment=_comment, quoted=_quoted, totuple=tuple)
    environment.globals["refuse"] = _refuse
    return environment


def template_folder(framework: str, target: str = "") -> Path:
    """The folder with the template of a framework: ``repro`` in its adapter's package. Raises UsageError without one.

    The package is found by the entry point's target and nothing in it is imported.
    """
    from crosscorrect.registry import adapters  # noqa: PLC0415  reading every distribution's metadata takes a moment

    point = adapters().get(framework)
    target = target or (point.value if point is not None else "")
    if not target:
        raise UsageError(
            f"no adapter named {framework!r} is installed here; name it with --adapter {framework}=MODULE:CLASS"
        )
    module = target.partition(":")[0].split(".")
    spec = find_spec(module[0])
    roots = [] if spec is None else [Path(place) for place in spec.submodule_search_locations or ()]
    for root in roots:
        for depth in range(len(module), 0, -1):  # the innermost package first
            folder = root.joinpath(*module[1:depth], "repro")
            if (folder / f"{framework}.py.jinja").is_file():
                return folder
    raise UsageError(
        f"the adapter of {framework} ({target}) ships no template for scripts: there is no "
        f"repro/{framework}.py.jinja in the package {module[0]}"
    )


def inputs_of(run: Run, row: Row) -> dict[str, Array]:
    """The input arrays of a row: those the run kept, else built again if the suite ships and gives the same bits.

    Raises UsageError where they are not to be had.
    """
    kept = {name: run.array(key) for name, key in json.loads(row["arrays"]).items() if name not in ANSWERS}
    found = {name: array for name, array in kept.items() if array is not None}
    if _needed(run, row) <= found.keys():
        return found
    return _built(run, row)


def _needed(run: Run, row: Row) -> set[str]:
    """The names of the arrays that went into the call of this row."""
    if row["operation"] == "matrix":
        return {"a", "b"}
    names = set(json.loads(record_of(run, row["problem"])["arrays"] or "{}"))
    return names - {"dy"} if row["direction"] == Direction.FORWARD else names


def _built(run: Run, row: Row) -> dict[str, Array]:
    from crosscorrect import operations, rows  # noqa: PLC0415  most rows have their inputs with them
    from crosscorrect.shipped import shipped_suites  # noqa: PLC0415
    from crosscorrect.suite import load_shipped  # noqa: PLC0415
    from crosscorrect.worker.wire import digest  # noqa: PLC0415

    what = f"the inputs of {row['problem']} were too large to be kept in the run"
    path = shipped_suites().get(row["suite"])
    if path is None:
        raise UsageError(f"{what}, and its suite {row['suite']} is not one that ships")
    problem = load_shipped(path).problem(row["problem"])
    for question in operations.questions(problem, problem.inputs(int(run.info.get("seed", 0)))):
        sent = [{name: digest(array) for name, array in call.arrays.items()} for call in question.calls]
        sealed = rows.place(problem, row["framework"], row["mode"], row["device"], row["arithmetic"], sent)
        if row["direction"] in question.directions and sealed["input_digest"] == row["input_digest"]:
            return dict(question.calls[0].arrays)
    raise UsageError(f"{what}, and the suite {row['suite']} that ships gives others now")


def _nothing_to_show(row: Row) -> str:
    if row["outcome"] == Outcome.MISSING:
        return f"{row['framework']} gave no answer to {row['problem']} in this run: a script has nothing to show"
    return f"{row['problem']} is a {row['operation']} problem; scripts are written for {', '.join(OPERATIONS)}"


def _refuse(message: str) -> NoReturn:
    """For templates: end with a message for the person."""
    raise UsageError(message)


def _comment(text: str) -> str:
    """A text as one comment line, whatever is in it."""
    return f"# {inert(text)}"


def _quoted(text: str) -> str:
    """A text as a Python string, whatever is in it."""
    return json.dumps(inert(text), ensure_ascii=False)


def _tidy(text: str) -> str:
    """No trailing blanks, never more than two empty lines together, one line end at the end."""
    return re.sub(r"\n{4,}", "\n\n\n", re.sub(r"[ \t]+\n", "\n", text)).strip() + "\n"
