"""The committed expectations: which checks are known not to pass, why, and how many must be executed."""

from __future__ import annotations

import fnmatch
import os
import re
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import Version

from crosscorrect import schemas, yamlfile
from crosscorrect.errors import CaseError
from crosscorrect.filters import reaches

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    import pandas as pd


MAX_FILES = 100
"""The most files of one folder."""

MAX_PATTERNS = 2000
"""The most patterns of one framework: against each of a million checks they take minutes, not hours."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One expected refusal or failure and the checks it speaks of; ``place`` is its file and line.

    One that ``varies`` depends on the machine: which kernel a framework runs may depend on what the processor has.
    """

    place: str
    problems: str
    outcome: str
    reason: str
    directions: tuple[str, ...] = ()
    modes: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    message: str = ""
    url: str = ""
    varies: bool = False

    def covers(self, problem: str, direction: str, mode: str, device: str) -> bool:
        """Whether this entry speaks of a check."""
        return self.names(problem) and self.holds(direction, mode, device)

    def names(self, problem: str) -> bool:
        """Whether it speaks of checks of a problem."""
        return _matcher(self.problems)(problem) is not None

    def holds(self, direction: str, mode: str, device: str) -> bool:
        """Whether, of a problem that it names, it speaks of this check."""
        return (
            (not self.directions or direction in self.directions)
            and (not self.modes or mode in self.modes)
            and (not self.devices or any(_matcher(pattern)(device) for pattern in self.devices))
        )

    @property
    def suite(self) -> str:
        """The suite whose problems it names."""
        return self.problems.partition("/")[0]


@dataclass(frozen=True, slots=True)
class Expectations:
    """What is expected of one framework in one version. ``executed`` maps suite and mode to a count of checks."""

    framework: str
    entries: tuple[Entry, ...] = ()
    executed: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    _by_case: dict[str, tuple[Entry, ...]] = field(default_factory=dict, init=False, repr=False, compare=False)

    def of(self, problem: str, direction: str, mode: str, device: str) -> Entry | None:
        """The first entry that speaks of a check, if any."""
        entries = self.about(problem.partition("@")[0])
        return next((e for e in entries if e.covers(problem, direction, mode, device)), None)

    def each(self, checks: pd.DataFrame) -> list[Entry | None]:
        """What ``of`` says of each row of a frame with the columns problem, direction, mode and device.

        A problem is held against the patterns once, and of a million checks only those are looked at one by one whose
        problem an entry names.
        """
        codes, problems = checks["problem"].factorize()
        about = [[e for e in self.about(p.partition("@")[0]) if e.names(p)] for p in problems]
        found: list[Entry | None] = [None] * len(checks)
        rows = np.flatnonzero(np.array([bool(entries) for entries in about], bool)[codes])
        places = checks[["direction", "mode", "device"]].iloc[rows].itertuples(index=False, name=None)
        for row, place in zip(rows.tolist(), places, strict=True):
            found[row] = next((e for e in about[codes[row]] if e.holds(*place)), None)
        return found

    def about(self, case: str) -> tuple[Entry, ...]:
        """The entries that may speak of problems of a case, ``suite/case``; a sweep has many, and they are few."""
        if case not in self._by_case:
            self._by_case[case] = tuple(e for e in self.entries if reaches(e.problems, case))
        return self._by_case[case]


def shipped_folder() -> Path:
    """The folder of the expectations that ship with crosscorrect."""
    return Path(str(files("crosscorrect_cases"))) / "expectations"


def load(framework: str, version: str, folder: Path | None = None) -> Expectations:
    """The expectations of a framework in a version, from every file of a folder that speaks of it.

    Raises CaseError for a file that is malformed, with file, line and key.
    """
    entries: list[Entry] = []
    executed: dict[str, Mapping[str, int]] = {}
    for document in _documents(folder):
        if document.value["framework"] != framework or not _applies(document, version):
            continue
        for index, entry in enumerate(document.value["expect"]):
            line = document.line(["expect", index])
            lists: dict[str, Any] = {key: tuple(entry.get(key, ())) for key in ("directions", "modes", "devices")}
            rest = {key: entry[key] for key in ("outcome", "reason", "message", "url", "varies") if key in entry}
            patterns = entry["problems"] if isinstance(entry["problems"], list) else [entry["problems"]]
            entries += [Entry(f"{document.path.name}:{line}", pattern, **rest, **lists) for pattern in patterns]
            if len(entries) > MAX_PATTERNS:
                raise CaseError(
                    f"the folder has more than {MAX_PATTERNS} patterns for {framework}",
                    file=document.path,
                    line=line,
                    remedy="let one pattern speak of many problems",
                )
        executed.update(document.value.get("executed", {}))
    return Expectations(framework, tuple(entries), executed)


def check_folder(folder: Path | None = None) -> None:
    """Read every file of a folder (default: those that ship) for its defects alone. Raises CaseError for the first."""
    for document in _documents(folder):
        _applies(document, "0")


def _documents(folder: Path | None) -> Iterator[yamlfile.Document]:
    """Every file of a folder, checked. One that is a link is read only where it leads to a file of the folder.

    What ships with crosscorrect is read wherever a package manager has put it.
    """
    paths = sorted((folder or shipped_folder()).glob("*.yaml"))
    if len(paths) > MAX_FILES:
        raise CaseError(f"the folder has more than {MAX_FILES} files", file=paths[MAX_FILES], remedy="join some")
    for path in paths:
        # not Path.resolve, which ends in a RuntimeError at a link to itself
        if folder is not None and not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder)):
            raise CaseError("this link leads out of its folder", file=path, remedy="put the file itself there")
        document = yamlfile.load(path)
        for error in schemas.defects(document, "expectations"):
            raise error
        yield document


@lru_cache(maxsize=2 * MAX_PATTERNS)
def _matcher(pattern: str) -> Callable[[str], re.Match[str] | None]:
    """``fnmatch.fnmatchcase`` of one pattern; its own memory holds fewer patterns than a framework may have."""
    return re.compile(fnmatch.translate(pattern)).match


def _applies(document: yamlfile.Document, version: str) -> bool:
    wanted: str = document.value["versions"]
    try:
        return Version(version) in SpecifierSet(wanted, prereleases=True)
    except InvalidSpecifier:
        raise CaseError(
            "this is no version range",
            file=document.path,
            line=document.line(["versions"]),
            key="versions",
            value=wanted,
            remedy="write it as '>=2.0,<3'",
        ) from None
    except ValueError:
        return not wanted  # a framework with a version of its own style: only unlimited expectations speak of it


def versions(env: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """The version of each framework in the rows of an ``env`` table; by convention the component of its own name."""
    rows = [row for row in env if row["section"] == "version"]
    return {row["framework"]: row["value"] for row in rows if row["key"] == row["framework"]}
