"""What the page's script needs to show one problem at a time: checks, problems, arrays and scripts, in little space."""

from __future__ import annotations

import base64
import json
import math
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from crosscorrect import dtypes, repro
from crosscorrect.errors import CrosscorrectError, UsageError
from crosscorrect.model import Outcome
from crosscorrect_reports import frames
from crosscorrect_reports.commands import asked_by, asked_of, shell
from crosscorrect_reports.text import clean, web_url

if TYPE_CHECKING:
    from crosscorrect.store import Run

    Row = dict[str, Any]

MOST_CHECKS = 30_000
"""So many checks a page holds one by one; of a longer run the problems come first in which one is no plain pass."""
MOST_BYTES = 768 * 1024
"""So many bytes of arrays a page holds; those of what did not pass come first."""
LARGEST_ARRAY = 16 * 1024
"""Arrays of more bytes are left to ``crosscorrect explain``: nobody reads that many numbers on a page."""
MOST_SCRIPTS, MOST_KINDS = 60, 120
"""So many stand-alone scripts a page holds, one for each kind of failure, and so many kinds are tried."""
LONGEST_MESSAGE = 1000
LONGEST_SCRIPT = 40_000
"""Scripts of more characters, whose inputs are large, are left to ``crosscorrect explain --script``."""

TEXTS = ("direction", "dtype", "outcome", "reason", "tier", "where", "property", "diagnosis", "arithmetic")
NUMBERS = ("error", "ratio", "expected", "got")


@dataclass(slots=True)
class Payload:
    """Two texts that stand in the page as data: compressed JSON, and the bytes of all arrays, both in base64.

    ``told`` of ``total`` checks are in it.
    """

    text: str
    arrays: str
    told: int
    total: int


@dataclass(slots=True)
class _Arrays:
    """The kept arrays that a page holds, each once: where it begins in the bytes of all."""

    run: Run
    places: dict[str, int | None] = field(default_factory=dict)
    described: list[dict[str, Any]] = field(default_factory=list)
    data: bytearray = field(default_factory=bytearray)

    def add(self, digest: str) -> int | None:
        """Return the number of an array, None for one that is not held."""
        if digest not in self.places:
            self.places[digest] = self._added(digest)
        return self.places[digest]

    def _added(self, digest: str) -> int | None:
        array = self.run.array(digest)
        if array is None or array.nbytes > LARGEST_ARRAY or len(self.data) + array.nbytes > MOST_BYTES:
            return None
        self.data += b"\0" * (-len(self.data) % 8)  # typed arrays of a browser begin at whole elements
        name = dtypes.name_of(array.dtype)
        self.described.append({"dtype": name, "shape": list(array.shape), "at": len(self.data)})
        self.data += array.tobytes()
        return len(self.described) - 1


def payload(run: Run, judged: pd.DataFrame) -> Payload:
    """Gather what the page's script shows of a run. ``judged`` is ``frames.judged(run)``."""
    chosen = _chosen(judged)
    rows = judged.iloc[chosen].to_dict("records")
    places = frames.places(run)
    number = {place: i for i, place in enumerate(places)}
    order = {problem: i for i, problem in enumerate(dict.fromkeys(row["problem"] for row in rows))}
    arrays = _Arrays(run)
    held = dict(sorted(enumerate(rows), key=lambda item: _is_plain(item[1])))  # failures choose their arrays first
    kept = {i: _arrays(row, arrays) for i, row in held.items()}
    said = {
        "places": places,
        "problems": [_problem(row) for row in _problems(run, order)],
        "checks": [
            _check(row, order[row["problem"]], number[row["framework"], row["mode"], row["device"]], kept[i])
            for i, row in enumerate(rows)
        ],
        "arrays": arrays.described,
        "scripts": _scripts(run, rows),
        "asked": {name: asked_by(run, name) for name in sorted({row["suite"] for row in rows})},
        "named": {name: shell(*asked_of(run, name)) for name in run.info["frameworks"]},
        "templates": [name for name in run.info["frameworks"] if _has_template(name)],
        "told": len(rows),
        "total": len(judged),
        "run": run.info["run"],
        "seed": run.info.get("seed", 0),
    }
    text = json.dumps(said, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return Payload(_packed(text.encode()), _packed(bytes(arrays.data)), len(rows), len(judged))


def _packed(data: bytes) -> str:
    """Compress with the raw deflate that every browser can undo, in letters that cannot end an element."""
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return base64.b64encode(squeeze.compress(data) + squeeze.flush()).decode("ascii")


def _chosen(judged: pd.DataFrame) -> list[int]:
    """Return the numbers of the rows to be told: all, or whole problems, first those in which one is no plain pass."""
    if len(judged) <= MOST_CHECKS:
        return list(range(len(judged)))
    surprise = (judged["surprise"] != "").to_numpy()
    number, problems = pd.factorize(judged["problem"])
    sizes = np.bincount(number)
    weight = np.zeros(len(problems))
    np.maximum.at(weight, number, 2 * surprise + (judged["outcome"] != Outcome.PASS).to_numpy())
    order = np.argsort(-weight, kind="stable")
    told = np.zeros(len(problems), bool)
    told[order[np.cumsum(sizes[order]) <= MOST_CHECKS]] = True
    return [int(row) for row in told[number].nonzero()[0]]


def _is_plain(row: Row) -> bool:
    return row["outcome"] == Outcome.PASS and not row["surprise"]


def _arrays(row: Row, arrays: _Arrays) -> dict[str, int]:
    found = {name: arrays.add(digest) for name, digest in json.loads(row["arrays"] or "{}").items()}
    return {name: place for name, place in found.items() if place is not None}


def _check(row: Row, problem: int, place: int, arrays: dict[str, int]) -> Row:
    """Return a check without what it does not say; NaN and the infinities, which JSON has not, are words."""
    entry = row["entry"]
    said = {
        "p": problem,
        "f": place,
        **{name: clean(row[name]) for name in TEXTS if row[name]},
        **{name: _number(row[name]) for name in NUMBERS if row[name] is not None and row[name] == row[name]},
        "message": clean(row["message"])[:LONGEST_MESSAGE],
        "surprise": clean(row["surprise"])[:LONGEST_MESSAGE],
        "bits": row["output_digest"][:12],
        "arrays": arrays,
        "kept": row["arrays"].count(":"),
        "why": "" if entry is None else clean(entry.reason),
        "entry": "" if entry is None else clean(entry.place),
        "link": "" if entry is None else web_url(entry.url),
    }
    # a value that came and is not a number is the finding itself; of the other numbers NaN says that there is none
    if row["where"]:
        said |= {name: _number(row[name]) for name in ("expected", "got") if row[name] is not None}
    return {name: value for name, value in said.items() if value not in ("", {}, 0) or name in ("p", "f", *NUMBERS)}


def _number(value: float) -> float | str:
    return float(value) if math.isfinite(value) else str(float(value))


def _problems(run: Run, order: dict[str, int]) -> list[Row]:
    table = run.problems[run.problems["problem"].isin(list(order))].to_dict("records")
    known = {row["problem"]: row for row in table}
    return [known.get(name, {"problem": name}) for name in order]


def _problem(row: Row) -> Row:
    said = {
        **{name: clean(row.get(name, "")) for name in ("problem", "suite", "case", "title", "source", "note")},
        **{name: row.get(name, "") for name in ("operation", "dtype", "spelling")},
        "link": web_url(row.get("url", "")),
        **{name: _parsed(row.get(name, "")) for name in ("geometry", "settings", "arrays")},
    }
    return {name: value for name, value in said.items() if value not in ("", None, {})}


def _parsed(text: str) -> Any:
    """Return a JSON column with every text in it clean."""
    return _cleaned(json.loads(text)) if text else None


def _cleaned(value: Any) -> Any:
    if isinstance(value, dict):
        return {clean(key): _cleaned(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_cleaned(item) for item in value]
    return clean(value) if isinstance(value, str) else value


def _has_template(framework: str) -> bool:
    """Return whether ``explain --script`` can write a script for a framework whose adapter is installed here."""
    try:
        repro.template_folder(framework)
    except UsageError:
        return False
    return True


def _scripts(run: Run, rows: list[Row]) -> dict[str, str]:
    """Return a stand-alone script for the first check of each kind of failure, by the number of the check."""
    found: dict[str, str] = {}
    kinds: set[tuple[str, ...]] = set()
    for number, row in enumerate(rows):
        kind = (row["framework"], row["outcome"], row["reason"], row["diagnosis"].partition(" (")[0], row["case"])
        if row["outcome"] not in (Outcome.FAIL, Outcome.ERROR, Outcome.CRASH, Outcome.TIMEOUT) or kind in kinds:
            continue
        if len(found) == MOST_SCRIPTS or len(kinds) == MOST_KINDS:
            break
        kinds.add(kind)
        try:
            text = clean(repro.script(run, row).text)
        except CrosscorrectError:  # this one has none, as ``explain`` says
            continue
        if len(text) <= LONGEST_SCRIPT:
            found[str(number)] = text
    return found
