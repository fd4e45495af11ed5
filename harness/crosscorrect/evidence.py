"""What a script must know of one check of a run: its geometry in plain numbers, its data, and where it comes from.

``templates/frame.py.jinja`` says what the names mean that ``context`` gives to templates.
"""

from __future__ import annotations

import json
import math
import re
import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np

from crosscorrect import dtypes, literals
from crosscorrect.adapter import ARITHMETICS, MODES
from crosscorrect.errors import UsageError, inert
from crosscorrect.geometry import PADDING_WORDS, Geometry
from crosscorrect.model import Direction, Outcome
from crosscorrect.problem import SPELLINGS
from crosscorrect.process import DIRTY_MEMORY

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from crosscorrect.store import Run

    Array = np.ndarray[Any, Any]
    Row = Mapping[str, Any]

_FAILURES = (Outcome.FAIL, Outcome.ERROR, Outcome.CRASH, Outcome.TIMEOUT)
"""What may come from memory that was never written: there a script runs on memory like a worker's."""
_WORDS = {
    "dtype": "|".join(dtypes.NAMES),
    "mode": "|".join(MODES),
    "device": "[a-z]{1,20}(:[0-9]{1,4})?",
    "arithmetic": "|".join(ARITHMETICS),
    "direction": "|".join(direction.value for direction in Direction),
    "spelling": "|".join(("", *SPELLINGS)),
    "tier": "[A-Za-z+]{0,30}",
}
_SIGNIFICANDS = {"float16": (11, -14), "bfloat16": (8, -126), "float32": (24, -126), "float64": (53, -1022)}


def context(run: Run, row: Row, inputs: Mapping[str, Array]) -> dict[str, Any]:
    """What a template may use: see ``frame.py.jinja`` for the names and what they hold."""
    dtype, record = str(row["dtype"]), record_of(run, row["problem"])
    _check_words(row, record)
    part = {"complex64": "float32", "complex128": "float64"}.get(dtype, dtype)
    shapes = {name: tuple(array.shape) for name, array in inputs.items()}
    written = {name: literals.expression(array) for name, array in inputs.items()}
    found: dict[str, Any] = {
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
        "tunables": DIRTY_MEMORY if row["outcome"] in _FAILURES else "",
        **_data(inputs, dtype),
    }
    if row["operation"] == "conv2d":
        geometry = Geometry.from_json(json.loads(record["geometry"]))
        if isinstance(geometry.padding, str) and geometry.padding not in PADDING_WORDS:
            raise UsageError(inert(f"{row['problem']} has padding {geometry.padding[:60]!r}, which means nothing"))
        found |= _geometry(geometry, shapes)
        forward = row["direction"] == Direction.FORWARD
        # of invalid arguments only the forward formula may have a meaning, as the verdict has it
        found["meaning"] = not found["invalid"] or (found["meaning"] and forward and dtype in dtypes.REAL)
        reaches = not found["transposed"] and row["direction"] in (Direction.FORWARD, Direction.GRAD_WEIGHT)
        found["padded"] = not found["finite"] and reaches and any(map(any, found["outer"]))
        if not forward:
            target = {"grad_input": "x", "grad_weight": "w", "grad_bias": "b"}[row["direction"]]
            found["right"] = shapes[target]
    else:
        found |= {"meaning": True, "padded": False, "right": _plain_output(shapes)}
    return found


def _check_words(row: Row, record: Mapping[str, Any]) -> None:
    """Raise UsageError for a word of a run that no run of ours has: templates write these into code as they are."""
    for key, form in _WORDS.items():
        word = str(row.get(key) or record.get(key) or "")
        if not re.fullmatch(form, word):
            raise UsageError(inert(f"{row['problem']} has {key} {word[:60]!r}, which no script is written for"))


def _data(inputs: Mapping[str, Array], dtype: str) -> dict[str, bool]:
    """What the comparison must know of the numbers: integers, subnormal or not finite."""
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

    ``outer`` are the pads as far as they add zeros, ``inner`` where the image then begins; ``meaning`` tells whether
    the formulas make an output of it, ``nothing`` whether they make an empty one.
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
    output = plain.output_shape(x, w) if sensible else (x[0], w[0], *(0,) * rank)
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
        "inner": tuple(min(int(begin), 0) for begin, _ in pads),
        "meaning": sensible and min(output[2:]) > 0,
        "nothing": sensible and min(output) <= 0,
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
    base = f"NumPy {here.get('numpy', '?')}, Python {here.get('python', '?')}"
    place = f"{row['mode']}, {row['device']}, arithmetic {row['arithmetic']}"
    lines = [
        f"Seen with {', '.join(versions)}; {base}: {place}.",
        f"Verdict: {said}{': ' + row['message'] if row['message'] else ''}",
    ]
    lines += [f"Cause: {row['diagnosis']}"] if row.get("diagnosis") else []
    url = record_of(run, row["problem"]).get("url")
    lines += [f"Known as {url}"] if url else []
    lines += [f"Environment: {' '.join(switches)}"] if switches else []
    lines += [f"Written by crosscorrect {run.info['crosscorrect']} for the problem {row['problem']}"]
    return [line for text in lines for line in textwrap.wrap(inert(text), literals.WIDTH - 2)]


def record_of(run: Run, problem: str) -> dict[str, Any]:
    """The row of the ``problems`` table of a problem."""
    found = run.problems[run.problems["problem"] == problem]
    return {str(key): value for key, value in found.iloc[0].items()}


def _ints(values: Iterable[Any]) -> tuple[int, ...]:
    return tuple(int(value) for value in values)
