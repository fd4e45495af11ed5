"""What a run has done already, read from its logs: the units that have their verdicts, and those that were cut short.

A unit is one problem in one mode on one device of one framework; its verdicts are one record, so that it is done or
it is not.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from crosscorrect import log
from crosscorrect.errors import DamagedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

UNIT = ("problem", "framework", "mode", "device")


def unit_of(record: Mapping[str, Any]) -> dict[str, str]:
    """The columns that name a unit, out of a row or record that has them. Raises KeyError."""
    return {name: record[name] for name in UNIT}


def unit_key(unit: Mapping[str, Any]) -> bytes:
    """A short name of a unit, the same everywhere: 96 bits of a hash, so that 10^7 of them take little memory."""
    return hashlib.blake2b("|".join(str(unit[n]) for n in UNIT).encode("utf-8", "replace"), digest_size=12).digest()


def verdicts_key(record: Mapping[str, Any]) -> bytes:
    """The same for what a unit's record says of it, so that two records can be told apart."""
    said = [(row["direction"], row["outcome"], row.get("reason", "")) for row in record["checks"]]
    return hashlib.blake2b(repr(said).encode("utf-8", "replace"), digest_size=8).digest()


@dataclass(slots=True)
class Ledger:
    """The units of a run that are done; ``begun`` are those that were started and have no verdict.

    ``versions`` has, for each framework, the versions of its parts that answered until now, ``checks`` how many checks
    of it have their verdicts.
    """

    done: set[bytes] = field(default_factory=set)
    begun: dict[bytes, dict[str, str]] = field(default_factory=dict)
    versions: dict[str, dict[str, str]] = field(default_factory=dict)
    checks: Counter[str] = field(default_factory=Counter)

    def has(self, problem: str, framework: str, mode: str, device: str) -> bool:
        """Whether this unit has its verdicts."""
        if not self.done:
            return False
        unit = {"problem": problem, "framework": framework, "mode": mode, "device": device}
        return unit_key(unit) in self.done


def read(paths: Iterable[Path]) -> Ledger:
    """The ledger of a run's logs. Raises DamagedError for a record that crosscorrect did not write."""
    ledger = Ledger()
    for path in paths:
        for record in log.read(path):
            try:
                _take(ledger, record)
            except (KeyError, TypeError) as error:
                raise DamagedError(
                    f"{path} holds a {record['kind']} record that crosscorrect did not write ({error!r}); run it again"
                ) from None
        for key in ledger.done & ledger.begun.keys():
            del ledger.begun[key]
    return ledger


def _take(ledger: Ledger, record: Mapping[str, Any]) -> None:
    if record["kind"] == "unit":
        key = unit_key(record)
        if key not in ledger.done:
            ledger.checks[record["framework"]] += len(record["checks"])
        ledger.done.add(key)
    elif record["kind"] == "start":
        for unit in map(unit_of, record["units"]):
            ledger.begun[unit_key(unit)] = unit
    elif record["kind"] == "env" and record["section"] == "version":
        ledger.versions.setdefault(record["framework"], {})[record["key"]] = record["value"]
