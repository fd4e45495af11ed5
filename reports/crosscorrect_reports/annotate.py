"""What is not as expected as GitHub's annotations: workflow commands, each at the line of the case that it is about.

https://docs.github.com/actions/reference/workflow-commands-for-github-actions
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crosscorrect import yamlfile
from crosscorrect.errors import CaseError
from crosscorrect.model import Outcome
from crosscorrect_reports.causes import others, some
from crosscorrect_reports.outcomes import headline, tally
from crosscorrect_reports.summary import alike
from crosscorrect_reports.text import clean, one_line, plural

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pandas as pd

    from crosscorrect.gate import Ruling
    from crosscorrect.store import Run

    Place = tuple[str, int]

MOST = 10
"""How many annotations of each kind GitHub shows of one step."""
LONGEST = 2000
"""How many characters of a message are told."""
MOST_FOLDERS = 5000
"""How many folders are searched for the files of suites."""
ASIDE = {"node_modules", "results", "__pycache__", "site-packages"}
"""Folders, beside hidden ones, in which nobody keeps suites of their own."""
_PLAIN = re.compile(r"[^/\\:\0]+\.ya?ml")
_PLACE = re.compile(r"([^/\\:\0]+\.ya?ml):([0-9]{1,9}): ")


def commands(
    run: Run,
    ruling: Ruling,
    judged: pd.DataFrame,
    root: Path,
    expectations: Path | None = None,
    slower: Sequence[str] = (),
) -> list[str]:
    """Return the commands, one a line: the gravest surprises as errors, and a notice that counts them all.

    Files are looked for below ``root``, the checkout; what lies elsewhere has no place that GitHub could show.
    ``judged`` is ``frames.judged(run, expectations)``, ``slower`` what became slower, in sentences.
    """
    sources = Sources(run, root, expectations)
    errors = [_surprise(rows, sources) for rows in alike(judged)]
    errors += [command("error", text, place=sources.of_entry(text)) for text in others(ruling)]
    errors += [command("error", text, title="slower") for text in slower]
    warnings = [command("warning", text) for text in ruling.notes]
    said = f"{headline(ruling)} {tally(run, ruling)}"
    for what, found in (("error", errors), ("warning", warnings)):
        if len(found) > MOST:
            said += f" {plural(len(found) - MOST, f'{what}')} more are in the report."
    return [*errors[:MOST], *warnings[:MOST], command("notice", said)]


def command(kind: str, message: str, *, title: str = "", place: Place | None = None) -> str:
    """Return one workflow command; nothing in a text can end it, or begin another."""
    about: dict[str, Any] = {} if place is None else {"file": place[0], "line": place[1]}
    about["title"] = f"crosscorrect: {one_line(title, 200)}" if title else "crosscorrect"
    properties = ",".join(f"{name}={_property(value)}" for name, value in about.items())
    return f"::{kind} {properties}::{_data(clean(message)[:LONGEST])}"


def _data(text: str) -> str:
    """Text for the end of a command, as the runner reads it back."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(value: Any) -> str:
    return _data(clean(value)).replace(":", "%3A").replace(",", "%2C")


def _surprise(rows: pd.DataFrame, sources: Sources) -> str:
    """One annotation for checks that came out alike, at the first of them, or at the entry that is to be removed."""
    first = rows.iloc[0]
    reason = f" ({first['reason']})" if first["reason"] else ""
    title = f"{first['framework']} {first['mode']}: {first['outcome']}{reason}"
    lines = [first["surprise"] or first["message"], first["diagnosis"]]
    if len(rows) > 1:
        lines.append(f"{plural(len(rows), 'check')}: {some(list(rows['problem']))}")
    entry = first["entry"]
    fixed = entry is not None and first["outcome"] == Outcome.PASS
    place = sources.of_entry(f"{entry.place}: ") if fixed else sources.of_problem(first["problem"])
    return command("error", "\n".join(filter(None, lines)), title=title, place=place)


@dataclass
class Sources:
    """Where suites and expectations are written, below a checkout.

    A run is data from anyone: suites are looked for by the names of their files, and no path that it says is opened.
    """

    run: Run
    root: Path
    expectations: Path | None = None

    def of_problem(self, problem: str) -> Place | None:
        """The file and line of the case of a problem, where its suite is below the root and has it."""
        suite, _, case = problem.partition("@")[0].partition("/")
        for path, document in self._suites.get(suite, []):
            for place, keys in enumerate(document.value["cases"]):
                if isinstance(keys, dict) and keys.get("id") == case:
                    return path, document.line(["cases", place])
        return None

    def of_entry(self, text: str) -> Place | None:
        """The file and line of an expectation that a text begins with, as ``file.yaml:line: ``."""
        found = _PLACE.match(text)
        if found is None or self.expectations is None:
            return None
        path = self._below(self.expectations / found[1])
        return None if path is None else (path, int(found[2]))

    @cached_property
    def _suites(self) -> dict[str, list[tuple[str, yamlfile.Document]]]:
        """The documents by the suite's name; only those that the run names, and that are suites."""
        names = {suite["file"] for suite in self.run.info.get("suites", ()) if _PLAIN.fullmatch(suite["file"])}
        found: dict[str, list[tuple[str, yamlfile.Document]]] = {}
        for path in _walk(self.root, names):
            shown = self._below(path)
            try:
                document = yamlfile.load(path)
            except CaseError:
                continue
            value = document.value
            if shown is not None and isinstance(value, dict) and isinstance(value.get("cases"), list):
                found.setdefault(str(value.get("suite")), []).append((shown, document))
        return found

    def _below(self, path: Path) -> str | None:
        """A file's path from the root, with slashes; None where it is not below it, or leads out of it."""
        real, root = Path(os.path.realpath(path)), Path(os.path.realpath(self.root))
        return real.relative_to(root).as_posix() if real.is_file() and real.is_relative_to(root) else None


def _walk(root: Path, names: set[str]) -> Iterator[Path]:
    """Every file of these names below a folder, in the order of their paths."""
    for place, (folder, folders, files) in enumerate(os.walk(root)):
        if place >= MOST_FOLDERS:
            return
        folders[:] = sorted(name for name in folders if name not in ASIDE and not name.startswith("."))
        yield from (Path(folder) / name for name in sorted(names.intersection(files)))
