"""A stand-alone script for one check of a run: only NumPy and the framework, the failure shown against a plain loop.

Each adapter brings, as data, a Jinja template ``repro/NAME.py.jinja`` in its package: how a user of that framework
writes the call. It extends ``templates/frame.py.jinja`` of this package, which holds what is the same for all (the
inputs, the loop straight from the definition, the bound, the comparison, the exit status) and says at its top what a
template may use. Nothing of an adapter is imported, so no framework is.
"""

from __future__ import annotations

import json
import math
import re
import textwrap
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from crosscorrect import dtypes, literals
from crosscorrect.errors import UsageError
from crosscorrect.geometry import Geometry
from crosscorrect.model import Direction, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import numpy as np

    from crosscorrect.store import Run

    Array = np.ndarray[Any, Any]
    Row = Mapping[str, Any]

OPERATIONS = ("conv2d", "corr2d", "layer", "matrix")
"""What a script can ask for. Training and the loop's derivative have no single number to compare."""
EMBEDDED = 24 * 1024
"""Inputs of up to this many bytes in all stand in the script; more of them go into an ``.npz`` file beside it."""
_INPUTS = {"matrix": ("a", "b"), "corr2d": ("x", "w"), "layer": ("x", "w", "b"), "conv2d": ("x", "w", "b", "dy")}
_ANSWERS = ("output", "reference", "weights")
_SIGNIFICANDS = {"float16": (11, -14), "bfloat16": (8, -126), "float32": (24, -126), "float64": (53, -1022)}


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
    context = _context(run, row, inputs) | {"data": f"{stem}.npz" if apart else ""}
    environment = jinja2.Environment(  # noqa: S701  it writes Python, not HTML; every text from a run passes a filter
        loader=jinja2.FileSystemLoader([folder, Path(__file__).parent / "templates"]),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(comment=_comment, quoted=_quoted, totuple=tuple)
    environment.globals["refuse"] = _refuse
    text = environment.get_template(f"{row['framework']}.py.jinja").render(context)
    plain = {name: dtypes.widen(array) for name, array in inputs.items()}
    return Script(_tidy(text), context["data"], plain) if apart else Script(_tidy(text))


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
    kept = {name: run.array(key) for name, key in json.loads(row["arrays"]).items() if name not in _ANSWERS}
    found = {name: array for name, array in kept.items() if array is not None}
    if _needed(run, row) <= found.keys():
        return found
    return _built(run, row)


def _needed(run: Run, row: Row) -> set[str]:
    """The names of the arrays that went into the call of this row."""
    if row["operation"] == "matrix":
        return {"a", "b"}
    names = set(json.loads(record_of(run, row["problem"])["arrays"]))
    return names - {"dy"} if row["direction"] == Direction.FORWARD else names


def _built(run: Run, row: Row) -> dict[str, Array]:
    from crosscorrect import operations, rows  # noqa: PLC0415  most rows have their inputs with them
    from crosscorrect.suite import load_suite, shipped_suites  # noqa: PLC0415
    from crosscorrect.worker.wire import digest  # noqa: PLC0415

    what = f"the inputs of {row['problem']} were too large to be kept in the run"
    path = shipped_suites().get(row["suite"])
    if path is None:
        raise UsageError(f"{what}, and its suite {row['suite']} is not one that ships")
    problem = load_suite(path).problem(row["problem"])
    for question in operations.questions(problem, problem.inputs(int(run.info.get("seed", 0)))):
        sent = [{name: digest(array) for name, array in call.arrays.items()} for call in question.calls]
        sealed = rows.place(problem, row["framework"], row["mode"], row["device"], row["arithmetic"], sent)
        if row["direction"] in question.directions and sealed["input_digest"] == row["input_digest"]:
            return dict(question.calls[0].arrays)
    raise UsageError(f"{what}, and the suite {row['suite']} that ships gives others now")


def record_of(run: Run, problem: str) -> dict[str, Any]:
    """The row of the ``problems`` table of a problem."""
    found = run.problems[run.problems["problem"] == problem]
    return {str(key): value for key, value in found.iloc[0].items()}


def _context(run: Run, row: Row, inputs: Mapping[str, Array]) -> dict[str, Any]:
    """What a template may use: see ``frame.py.jinja`` for the names and what they hold."""
    dtype, record = str(row["dtype"]), record_of(run, row["problem"])
    if dtype not in dtypes.NAMES:
        raise UsageError(f"{row['problem']} has dtype {dtype!r}, which no script is written for")
    part = {"complex64": "float32", "complex128": "float64"}.get(dtype, dtype)
    shapes = {name: tuple(array.shape) for name, array in inputs.items()}
    written = {name: literals.expression(array) for name, array in inputs.items()}
    context: dict[str, Any] = {
        "op": row["operation"],
        "direction": str(row["direction"]),
        "dtype": dtype,
        "kind": "complex" if dtype in dtypes.COMPLEX else "integer" if dtype in dtypes.INTEGER else "real",
        "digits": _SIGNIFICANDS.get(part, (0, 0))[0],
        "lowest": _SIGNIFICANDS.get(part, (0, 0))[1],
        "mode": row["mode"],
        "device": row["device"],
        "arithmetic": row["arithmetic"],
        "spelling": record.get("spelling") or "native",
        "invalid": bool(record.get("invalid")),
        "headline": _headline(row),
        "outcome": str(row["outcome"]),
        "message": row["message"],
        "inputs": written,
        "base64": any("base64" in text for text in written.values()),
        "shapes": shapes,
        "bias": "b" in inputs and row["operation"] != "matrix",
        "about": _about(run, row),
        "recorded": _recorded(row),
        **_data(inputs, dtype),
    }
    if row["operation"] == "conv2d":
        context |= _geometry(Geometry.from_json(json.loads(record["geometry"])), shapes)
        context["meaning"] = context["meaning"] or not context["invalid"]
        reaches = not context["transposed"] and row["direction"] in (Direction.FORWARD, Direction.GRAD_WEIGHT)
        context["padded"] = not context["finite"] and reaches and any(map(any, context["outer"]))
        if row["direction"] != Direction.FORWARD:
            target = {"grad_input": "x", "grad_weight": "w", "grad_bias": "b"}[row["direction"]]
            context["right"] = shapes[target]
    else:
        context |= {"meaning": True, "padded": False, "right": _plain_output(shapes)}
    return context


def _data(inputs: Mapping[str, Array], dtype: str) -> dict[str, bool]:
    """What the comparison must know of the numbers: integers, subnormal or not finite."""
    import numpy as np  # noqa: PLC0415

    arrays = [np.asarray(dtypes.widen(array)) for array in inputs.values()]
    parts = [part for a in arrays for part in ((a.real, a.imag) if a.dtype.kind == "c" else (a,))]
    tiny = 2.0 ** _SIGNIFICANDS.get({"complex64": "float32", "complex128": "float64"}.get(dtype, dtype), (0, -1074))[1]
    return {
        "whole": all(bool(np.all(np.isfinite(p)) and np.all(p == np.rint(p))) for p in parts),
        "finite": all(bool(np.isfinite(p).all()) for p in parts),
        "subnormal": any(bool(((p != 0) & (np.abs(p) < tiny)).any()) for p in parts if p.dtype.kind == "f"),
    }


def _plain_output(shapes: Mapping[str, tuple[int, ...]]) -> tuple[int, ...]:
    if "a" in shapes:
        return (shapes["a"][0], shapes["b"][1])
    return tuple(n - k + 1 for n, k in zip(shapes["x"], shapes["w"], strict=True))


def _geometry(geometry: Geometry, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
    """The geometry in plain numbers, every one an int, for wherever it has a meaning; see ``frame.py.jinja``.

    ``outer`` are the pads as far as they add zeros, ``inner`` where the image then begins.
    """
    rank, x, w = geometry.rank, shapes["x"], shapes["w"]
    plain = Geometry(
        _ints(geometry.stride), geometry.padding, _ints(geometry.dilation), int(geometry.groups),
        bool(geometry.transposed), _ints(geometry.output_padding),
    )  # fmt: skip
    sensible = (
        len(x) == len(w) == rank + 2
        and min((*plain.stride, *plain.dilation, plain.groups)) > 0
        and w[0] % max(plain.groups, 1) == 0
        and x[1] == (w[0] if plain.transposed else w[1] * plain.groups)
    )
    pads = plain.pads(x[2:], w[2:]) if sensible or not isinstance(plain.padding, str) else ((0, 0),) * rank
    output = plain.output_shape(x, w) if sensible else ()
    return {
        "rank": rank,
        "stride": plain.stride,
        "dilation": plain.dilation,
        "groups": plain.groups,
        "transposed": plain.transposed,
        "output_padding": plain.output_padding,
        "padding": plain.padding if isinstance(plain.padding, str) else "",
        "pads": tuple((int(begin), int(end)) for begin, end in pads),
        "even": _ints(begin for begin, _ in pads) if all(b == e for b, e in pads) else None,
        "spans": plain.spans(w[2:]),
        "output": tuple(max(n, 0) for n in output),
        "right": tuple(max(n, 0) for n in output),
        "outer": tuple((max(int(begin), 0), max(int(end), 0)) for begin, end in pads),
        "inner": tuple(min(int(begin), 0) and -int(begin) for begin, _ in pads),
        "meaning": sensible and min(output[2:]) > 0,
    }


def _recorded(row: Row) -> dict[str, Any] | None:
    """The worst element with its bound as the run has them, where a bound is no formula of n, S and u alone.

    That is so for the statistical and the bit-copying tier, and for Winograd and FFT.
    """
    formula = row["tier"] in ("A", "C", "literal", "checksum", "invalid", "") and row["arithmetic"] not in (
        "winograd",
        "fft",
    )
    if formula or not row["where"] or row["outcome"] != Outcome.FAIL:
        return None
    over = row["ratio"]
    bound = abs(row["got"] - row["expected"]) / over if over and math.isfinite(over) else 0.0
    return {"where": tuple(int(i) for i in row["where"].split(",")), "bound": bound, "tier": row["tier"]}


def _headline(row: Row) -> str:
    what = {"conv2d": "a convolution", "matrix": "a matrix product"}.get(row["operation"], "the double loop")
    seen = {
        Outcome.FAIL: {"shape": "a wrong shape", "dtype": "a wrong dtype"}.get(str(row["reason"]), "wrong values"),
        Outcome.ERROR: "an error",
        Outcome.CRASH: "the process dies",
        Outcome.TIMEOUT: "no answer",
        Outcome.UNSUPPORTED: "refused",
    }
    said = seen.get(row["outcome"], "as it should be")
    return f"{said} from {what} ({row['direction']}, {row['dtype']}, {row['mode']})"


def _about(run: Run, row: Row) -> list[str]:
    """The lines that say where this comes from; each is written as a comment."""
    own = run.env[run.env["framework"] == row["framework"]]
    versions = [f"{r['key']} {r['value']}" for r in own[own["section"] == "version"].to_dict("records")]
    here = {r["key"]: r["value"] for r in own[own["section"] == "interpreter"].to_dict("records")}
    switches = [f"{r['key']}={r['value']}" for r in own[own["section"] == "switch"].to_dict("records")]
    switches = [switch for switch in switches if "/" not in switch]  # a path of this machine means nothing elsewhere
    said = f"{row['outcome']} ({row['reason']})" if row["reason"] else row["outcome"]
    lines = [
        f"Seen with {', '.join(versions)}; NumPy {here.get('numpy', '?')}, Python {here.get('python', '?')}: "
        f"{row['mode']}, {row['device']}, arithmetic {row['arithmetic']}.",
        f"Verdict: {said}{': ' + row['message'] if row['message'] else ''}",
    ]
    lines += [f"Cause: {row['diagnosis']}"] if row.get("diagnosis") else []
    url = record_of(run, row["problem"]).get("url")
    lines += [f"Known as {url}"] if url else []
    lines += [f"Environment: {' '.join(switches)}"] if switches else []
    lines += [f"Written by crosscorrect {run.info['crosscorrect']} for the problem {row['problem']}"]
    return [line for text in lines for line in textwrap.wrap(_inert(text), literals.WIDTH - 2)]


def _nothing_to_show(row: Row) -> str:
    if row["outcome"] == Outcome.MISSING:
        return f"{row['framework']} gave no answer to {row['problem']} in this run: a script has nothing to show"
    return f"{row['problem']} is a {row['operation']} problem; scripts are written for {', '.join(OPERATIONS)}"


def _refuse(message: str) -> NoReturn:
    """For templates: end with a message for the person."""
    raise UsageError(message)


def _comment(text: str) -> str:
    """A text as one comment line, whatever is in it."""
    return f"# {_inert(text)}"


def _quoted(text: str) -> str:
    """A text as a Python string, whatever is in it."""
    return json.dumps(_inert(text), ensure_ascii=False)


def _inert(text: str) -> str:
    """One line of printable characters, so that nothing in a run can become code."""
    return "".join(c if c.isprintable() else " " if c.isspace() else repr(c)[1:-1] for c in str(text))


def _ints(values: Iterable[Any]) -> tuple[int, ...]:
    return tuple(int(value) for value in values)


def _tidy(text: str) -> str:
    """No trailing blanks, never more than two empty lines together, one line end at the end."""
    return re.sub(r"\n{4,}", "\n\n\n", re.sub(r"[ \t]+\n", "\n", text)).strip() + "\n"
