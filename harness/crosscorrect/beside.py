"""Two runs beside each other: which checks changed, and how.

The base is the earlier run, ``then``; the other is ``now``. What only one of them was asked for is told apart from
what was asked for in both and is in one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crosscorrect import expectations, gate
from crosscorrect.changes import UNFINISHED, VERDICTS, Bits, Changes, Kind
from crosscorrect.errors import UsageError
from crosscorrect.model import Outcome, explanation, unnumbered
from crosscorrect.speed.model import WRONG, Role, Speed
from crosscorrect.surroundings import around, suites

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import pandas as pd

    from crosscorrect.changes import Row
    from crosscorrect.expectations import Entry, Expectations
    from crosscorrect.speed.against import Change
    from crosscorrect.store import Run

KEY = ["problem", "direction", "framework", "mode", "device"]
"""The columns that name a check."""
SAID = ("outcome", "reason", "message", "diagnosis", "tier", "ratio", "where", "expected", "got")
DIGESTS = ("input_digest", "output_digest")
PLACE = ["framework", "mode", "device"]

_RANK = {Outcome.PASS: 0, Outcome.UNSUPPORTED: 1, Outcome.MISTRUSTED: 1, Outcome.UNBOUNDED: 1}
_WORST = 2


def compare(run: Run, base: Run, folder: Path | None = None, margin: float | None = None) -> Changes:
    """What changed from ``base`` to ``run``. A run that was not finished is compared as far as it came.

    ``folder`` holds the expectations that say which failures are known (default: those that ship), ``margin`` is that
    of ``speed.against.compare``, which is asked of timed runs. Raises DamagedError for a table that is damaged.
    """
    merged = _merged(run, base)
    both = merged[merged["in"] == "both"]
    verdicts = _verdicts(both)
    apart = _apart(merged[merged["in"] != "both"], run, base)
    table = _joined(verdicts, apart, run, base, folder)
    still = both.drop(index=verdicts.index)
    speed, untold = _speed(run, base, margin)
    return Changes(run, base, around(run, base), table, len(still), _bits(still), speed, untold, _wrong(run, base))


def _merged(run: Run, base: Run) -> pd.DataFrame:
    """Every check of either run, the columns of what was said twice, and ``in``: which run has it."""
    columns = [*KEY, "suite", *SAID, *DIGESTS]
    tables = [one.columns("checks", columns).drop_duplicates(KEY, keep="last") for one in (base, run)]
    then, now = (table.astype(dict.fromkeys(KEY, object)) for table in tables)  # pandas cannot merge empty Arrow text
    merged = then.merge(now, on=KEY, how="outer", suffixes=("_then", "_now"), indicator="in")
    merged["suite"] = merged.pop("suite_now").fillna(merged.pop("suite_then"))
    return merged


def _verdicts(both: pd.DataFrame) -> pd.DataFrame:
    """The checks of both runs whose verdict changed, with their ``kind``."""
    # of a million checks nearly all pass in both: only the others are looked at one by one
    some = both[(both["outcome_then"] != Outcome.PASS) | (both["outcome_now"] != Outcome.PASS)]
    kinds = [_kind(row) for row in some.to_dict("records")]
    return some.assign(kind=kinds, why="").loc[[kind is not Kind.UNCHANGED for kind in kinds]]


def _kind(row: Row) -> Kind:
    ranks = [_RANK.get(Outcome(row[f"outcome_{when}"]), _WORST) for when in ("then", "now")]
    if ranks[1] > ranks[0]:
        return Kind.REGRESSED
    if row["outcome_now"] == Outcome.PASS and row["outcome_then"] != Outcome.PASS:
        return Kind.FIXED
    then, now = ((row[f"outcome_{w}"], row[f"reason_{w}"], cause(row, w)) for w in ("then", "now"))
    return Kind.UNCHANGED if then == now else Kind.CHANGED


def cause(row: Mapping[str, Any], when: str) -> str:
    """``explained`` with an ellipsis for each number, so that what differs in them alone is the same."""
    return unnumbered(explained(row, when))


def explained(row: Mapping[str, Any], when: str) -> str:
    """What explains a check ``then`` or ``now``."""
    return explanation(*(row[f"{name}_{when}"] for name in ("outcome", "message", "diagnosis")))


def _apart(rows: pd.DataFrame, run: Run, base: Run) -> pd.DataFrame:
    """The checks that one run has, with their ``kind`` and ``why`` the other has not."""
    asked: dict[tuple[str, ...], tuple[Kind, str]] = {}
    found = []
    for names in rows[["in", "suite", *PLACE]].itertuples(index=False, name=None):
        if names not in asked:
            asked[names] = _absence(names, run, base)
        found.append(asked[names])
    return rows.assign(kind=[kind for kind, _ in found], why=[why for _, why in found])


def _absence(names: tuple[str, ...], run: Run, base: Run) -> tuple[Kind, str]:
    side, suite, framework, mode, device = names
    before = side == "left_only"
    without, with_ = (run, base) if before else (base, run)
    why = _unasked(without.info, suite, framework, mode, device) or _selection(without.info, with_.info)
    if why:
        return (Kind.ONLY_THEN if before else Kind.ONLY_NOW), why
    if not without.info["finished"]:
        why = UNFINISHED if before else "the base is not finished"
    elif suites(run).get(suite) != suites(base).get(suite):
        why = f"the suite {suite} was changed"
    return (Kind.VANISHED if before else Kind.APPEARED), why


def _unasked(info: Mapping[str, Any], suite: str, framework: str, mode: str, device: str) -> str:
    """What a run was not asked for that such a check needs, in words; empty if it was asked for all of it."""
    if framework not in info["frameworks"]:
        return f"framework {framework} was not asked for"
    # of an unfinished run, and of every mode there is, nothing is said
    for what, name, said in (("mode", mode, info.get("modes")), ("device", device, info.get("devices"))):
        if said and name not in said:
            return f"{what} {name} was not asked for"
    names = [one["name"] for one in info.get("suites", ())]
    return f"suite {suite} was not asked for" if names and suite not in names else ""


def _selection(info: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    for key in ("level", "filter", "shard"):
        if (info.get(key) or "") != (other.get(key) or ""):
            return f"another {key}"
    return ""


def _joined(verdicts: pd.DataFrame, apart: pd.DataFrame, run: Run, base: Run, folder: Path | None) -> pd.DataFrame:
    """All changed checks in the order of the suites, each with what explains it and the expectation that it meets."""
    import pandas as pd  # noqa: PLC0415  half a second that only those who read a run need

    table = pd.concat([verdicts, apart]).drop(columns=["in"]).astype(object)
    rank = {problem: place for one in (base, run) for place, problem in enumerate(one.problems["problem"])}
    order = table["problem"].map(rank).fillna(len(rank)) if len(table) else table["problem"]
    table = table.assign(order=order).sort_values(["order", *KEY], kind="stable", ignore_index=True)
    rows = table.to_dict("records")
    known = _Known(run, folder)
    entries = [known.of(row) if row["kind"] in (*VERDICTS, Kind.APPEARED) else None for row in rows]
    table["entry"] = pd.Series(entries, index=table.index, dtype=object)
    table["place"] = ["" if entry is None else entry.place for entry in entries]
    table["cause"] = [_both(row, cause) for row in rows]
    table["explained"] = [_both(row, explained) for row in rows]
    # a check that one run has is told of by that run alone
    words = [f"{name}_{when}" for name in ("outcome", "reason", "message", "diagnosis") for when in ("then", "now")]
    table[words] = table[words].fillna("")
    return table.drop(columns=["order"])


def _both(row: Row, tell: Callable[[Row, str], str]) -> str:
    """What is told of a check whose verdict changed, before and after; nothing of one that only one run has."""
    if row["kind"] not in VERDICTS:
        return ""
    return " → ".join(dict.fromkeys(filter(None, (tell(row, when) for when in ("then", "now")))))


class _Known:
    """The expectations that checks of a run meet."""

    def __init__(self, run: Run, folder: Path | None) -> None:
        self._versions = expectations.versions(run.env.to_dict("records"))
        self._folder = folder
        self._loaded: dict[str, Expectations] = {}

    def of(self, row: Row) -> Entry | None:
        """The entry that a check which does not pass now is as, or None."""
        if row["outcome_now"] == Outcome.PASS:
            return None
        name = row["framework"]
        if name not in self._loaded:
            self._loaded[name] = expectations.load(name, self._versions.get(name, ""), self._folder)
        entry = self._loaded[name].of(row["problem"], row["direction"], row["mode"], row["device"])
        now = {**row, **{column: row[f"{column}_now"] for column in ("outcome", "reason", "message")}}
        return None if entry is None or gate.as_expected(now, entry) else entry


def _bits(still: pd.DataFrame) -> list[Bits]:
    """What of the checks with the same verdict has other bits; only where the inputs are the same."""
    same = still[(still["input_digest_then"] == still["input_digest_now"]) & (still["output_digest_then"] != "")]
    same = same[same["output_digest_now"] != ""]
    found = []
    for place, rows in same.groupby(PLACE, sort=False, observed=True):
        other = rows[rows["output_digest_then"] != rows["output_digest_now"]]
        grown = other["ratio_now"] - other["ratio_then"]
        most = [float(other[name].max()) for name in ("ratio_then", "ratio_now")]
        then, now = (None if value != value else value for value in most)  # noqa: PLR0124  NaN is none
        problem = str(other.loc[grown.idxmax(), "problem"]) if (grown > 0).any() else ""
        larger, smaller = int((grown > 0).sum()), int((grown < 0).sum())
        framework, mode, device = map(str, place)
        found.append(Bits(framework, mode, device, len(rows), len(other), larger, smaller, then, now, problem))
    return found


def _speed(run: Run, base: Run, margin: float | None) -> tuple[list[Change], str]:
    """The changes of speed, or why there are none; nothing of two runs that timed nothing."""
    if "bench" not in run.info and "bench" not in base.info:
        return [], ""
    try:
        from crosscorrect.speed import against  # noqa: PLC0415  SciPy is for those who timed something

        found = against.compare(run, base, against.MARGIN if margin is None else margin)
    except UsageError as error:
        return [], str(error)
    except ImportError as error:
        return [], f"{error.name or error} is not installed: pip install 'crosscorrect[bench]'"
    return found, "" if found else "neither run tells a speed; 'crosscorrect speed RUN' says why"


def _wrong(run: Run, base: Run) -> list[tuple[tuple[str, ...], str]]:
    """The arms that gave a wrong answer while they were timed, and did not before."""
    found = []
    for one in (base, run):
        rows = one.verdicts
        rows = rows[(rows["speed"] == Speed.WRONG) & (rows["role"] == Role.ARM) & rows["message"].str.startswith(WRONG)]
        names = rows[["problem", "part", *PLACE]].itertuples(index=False, name=None)
        found.append(dict(zip(names, rows["message"], strict=True)))
    return [(names, message) for names, message in found[1].items() if names not in found[0]]
