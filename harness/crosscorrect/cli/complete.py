"""What a shell may offer for each kind of argument. Nothing heavy is imported, and what goes wrong offers nothing."""

from __future__ import annotations

import os
import re
from functools import wraps
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import click
    from click.shell_completion import CompletionItem

    Offer = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]

MOST = 500
"""So many names are offered: nobody reads more, and a sweep may have millions."""
LARGEST = 2**22
"""How many bytes of a case file are looked at for its cases."""
_PLAIN = re.compile(r"[\w./@=,:+#-]+")
_CASE = re.compile(r"^\s*-\s*\{?\s*id:\s*['\"]?([A-Za-z0-9_.+-]+)", re.MULTILINE)
_SUITE = re.compile(r"^suite:\s*['\"]?([A-Za-z0-9_.+-]+)", re.MULTILINE)


def offered(find: Callable[[click.Context, str], Iterable[str]]) -> Offer:
    """A function for ``shell_complete=`` that offers those of the names found that begin as what was typed.

    Only names that mean nothing else to a shell: what it puts on the command line is carried out, and a folder may come
    from anyone. A name that ends in ``/`` or ``=`` goes on.
    """

    @wraps(find)
    def complete(ctx: click.Context, _: click.Parameter, typed: str) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        try:
            names = [name for name in find(ctx, typed) if name.startswith(typed) and _PLAIN.fullmatch(name)]
        except Exception:  # noqa: BLE001  a person who presses TAB wants no error
            return []
        found: list[CompletionItem] = [CompletionItem(name) for name in islice(dict.fromkeys(names), MOST)]
        return found

    return complete


def paths(complete: Offer) -> Offer:
    """The same where a path may stand as well: the shell completes it where nothing else is offered."""

    @wraps(complete)
    def both(ctx: click.Context, param: click.Parameter, typed: str) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        return complete(ctx, param, typed) or [CompletionItem(typed, type="file")]

    return both


@paths
@offered
def suites(_: click.Context, typed: str) -> Iterator[str]:
    """The suites that ship, and the case files of the current folder."""
    from crosscorrect.shipped import shipped_suites

    yield from shipped_suites()
    if typed and os.sep not in typed:
        yield from (path.name for path in sorted(Path().glob("*.y*ml")))


@paths
@offered
def case_files(_: click.Context, __: str) -> Iterator[str]:
    """The case files of the current folder."""
    yield from (path.name for path in sorted(Path().glob("*.y*ml")))


@offered
def frameworks(ctx: click.Context, _: str) -> Iterator[str]:
    """Every adapter's name, as its entry point says it."""
    from crosscorrect.registry import adapters

    yield from adapters()
    yield from _named(ctx, "targets")


@paths
@offered
def interpreters(ctx: click.Context, typed: str) -> Iterator[str]:
    """``NAME=`` for each framework; the path is the shell's."""
    from crosscorrect.registry import adapters

    if "=" in typed:
        return
    yield from (f"{name}=" for name in [*adapters(), *_named(ctx, "targets")])


@offered
def several_frameworks(_: click.Context, typed: str) -> Iterator[str]:
    """The last of several names, separated by commas."""
    from crosscorrect.registry import adapters

    before = typed.rpartition(",")[0]
    yield from (f"{before},{name}" if before else name for name in adapters() if name not in before.split(","))


@offered
def modes(_: click.Context, __: str) -> Iterator[str]:
    """The modes of the protocol."""
    from crosscorrect.adapter import MODES

    yield from MODES


@offered
def devices(_: click.Context, __: str) -> Iterator[str]:
    """The processor, and as many GPUs as this machine has."""
    yield "cpu"
    gpus = [path for path in Path("/dev").glob("nvidia*") if path.name.removeprefix("nvidia").isdigit()]
    yield from (f"cuda:{number}" for number in range(len(gpus)))


@offered
def problems(ctx: click.Context, typed: str) -> Iterator[str]:
    """The cases of the suites that are asked for; after ``@`` the problems of one case."""
    for path in _asked(ctx):
        with path.open(encoding="utf-8", errors="replace") as stream:
            text = stream.read(LARGEST)
        match = _SUITE.search(text)
        if match is None or not (match[1].startswith(typed) or typed.startswith(f"{match[1]}/")):
            continue
        if "@" in typed:
            yield from _swept(path, typed.partition("@")[0])
        else:
            yield from (f"{match[1]}/{case}" for case in _CASE.findall(text))


def _asked(ctx: click.Context) -> list[Path]:
    """The files of the suites on the command line; of all that ship where there are none."""
    from crosscorrect.shipped import shipped_suites

    shipped, own = shipped_suites(), ctx.params.get("suite")
    # behind an option that has no value yet, click leaves the arguments where they are
    names = ctx.params.get("suites") or ctx.args or ((own,) if own else shipped)
    return [path for path in (shipped.get(name, Path(name)) for name in names) if path.is_file()]


def _swept(path: Path, case: str) -> Iterator[str]:
    """The ids of the problems of a case, which the suite is read for; whether it fits its schema, a run will tell."""
    from crosscorrect import yamlfile
    from crosscorrect.sweep import Sweep

    document = yamlfile.load(path)
    for place, keys in enumerate(document.value["cases"]):
        if f"{document.value['suite']}/{keys['id']}" == case:
            sweep = Sweep.of(document, place, {**document.value.get("defaults", {}), **keys})
            yield from (case + sweep.suffix(point) for point in range(min(len(sweep), 100 * MOST)))


@paths
@offered
def runs(_: click.Context, typed: str) -> Iterator[str]:
    """The run folders in ``results``, or in the folder that was typed, the latest first."""
    folder = typed[: typed.rfind(os.sep) + 1] or f"results{os.sep}"
    found = sorted((path.parent.name for path in Path(folder).glob("*/run.json")), reverse=True)
    yield from (f"{folder}{name}" for name in sorted(found, key=lambda name: name != "latest"))


@offered
def ran(ctx: click.Context, typed: str) -> Iterator[str]:
    """The problems of the run on the command line: those that failed, where nothing was typed and there are any."""
    from crosscorrect import store
    from crosscorrect.model import FINE, Outcome

    checks = store.load(ctx.params["folder"]).columns("checks", ["problem", "outcome"])
    fine = (*FINE, Outcome.UNSUPPORTED)
    failed = checks["problem"][~checks["outcome"].isin(fine)].unique()
    yield from failed
    if typed or not len(failed):
        yield from checks["problem"].unique()


@offered
def mutants(_: click.Context, __: str) -> Iterator[str]:
    """The entries of the catalogue."""
    from crosscorrect import catalogue

    yield from (entry.name for entry in catalogue.entries())


def _named(ctx: click.Context, option: str) -> list[str]:
    """The names that were given with ``NAME=VALUE`` options before."""
    given: Any = ctx.params.get(option) or {}
    return list(given)
