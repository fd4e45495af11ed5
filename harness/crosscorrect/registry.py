"""Which adapters there are and where their frameworks live: names to targets and interpreters; none is imported."""

from __future__ import annotations

import importlib.util
import shutil
import symtable
import sys
from dataclasses import dataclass, field
from importlib.machinery import PathFinder
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING

from crosscorrect.errors import IncompleteError, UsageError
from crosscorrect.nearest import meant, nearest

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

GROUP = "crosscorrect.adapters"
OWN_PACKAGE = "crosscorrect_adapters"
DYNAMIC = (b"import *", b"__getattr__", b"global", b"setattr", b"exec", b"vars(", b"sys.modules")
"""Of a module whose source has one of these words nobody can say, without importing it, which names it has."""


@dataclass(frozen=True, slots=True)
class Framework:
    """One framework to be questioned: its adapter, the interpreter it runs in, and the packages that travel there.

    ``found`` says how the interpreter was chosen: ``option``, ``tox`` or ``current``.
    """

    name: str
    target: str
    python: Path
    found: str
    packages: dict[str, str] = field(default_factory=dict)


def adapters() -> dict[str, EntryPoint]:
    """Every installed adapter by name, numpy first. Two providers of one name: UsageError naming both."""
    found: dict[str, EntryPoint] = {}
    for point in entry_points(group=GROUP):
        if point.name in found and found[point.name].value != point.value:
            both = f"{_provider(found[point.name])} and {_provider(point)}"
            raise UsageError(
                f"two installed distributions offer an adapter named {point.name!r}: {both}; uninstall one"
            )
        found[point.name] = point
    return dict(sorted(found.items(), key=lambda item: (item[0] != "numpy", item[0])))


def tox_python(name: str, root: Path | None = None) -> Path | None:
    """The interpreter of ``.tox/<name>`` in this folder or one above it, if there is one."""
    here = (root or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        python = folder / ".tox" / name / "bin" / "python"
        if python.exists():
            return python
    return None


def locate(name: str, pythons: dict[str, Path] | None = None, targets: dict[str, str] | None = None) -> Framework:
    """The framework of this name, ready to start: ``--python`` first, then tox's environment, then this interpreter.

    ``targets`` maps names to ``module:attribute`` of adapters that are not installed as entry points; their modules
    are looked for in the current folder too. Raises UsageError for an unknown name or a target that cannot be found,
    IncompleteError for an absent interpreter.
    """
    given = (targets or {}).get(name)
    target = given or known(name, targets or ()).value
    packages = _packages(target, [str(Path.cwd())] if given else [])
    if given:
        _check_attribute(target, packages)
    chosen = (pythons or {}).get(name)
    if chosen is not None:
        found = shutil.which(chosen)
        if found is None:
            raise IncompleteError(
                f"framework {name!r}: there is no interpreter at {chosen}; give one with --python {name}=PATH"
            )
        # not resolved: a virtual environment's python is a link, and following it leaves the environment
        return Framework(name, target, Path(found).absolute(), "option", packages)
    if not importable(name) and (python := tox_python(name)) is not None:
        return Framework(name, target, python, "tox", packages)
    return Framework(name, target, Path(sys.executable), "current", packages)


def importable(name: str) -> bool:
    """Whether this interpreter can import the framework of an adapter of ours, judged without importing it.

    A third party's adapter does not say what it imports: being installed here is its claim.
    """
    point = adapters().get(name)
    if point is not None and not point.value.startswith(OWN_PACKAGE):
        return True
    return name.isidentifier() and importlib.util.find_spec(name) is not None


def available(pythons: dict[str, Path] | None = None) -> list[str]:
    """The frameworks that a plain ``run`` takes: those given an interpreter, in tox, or importable here."""
    return [n for n in adapters() if n in (pythons or {}) or importable(n) or tox_python(n) is not None]


def known(name: str, more: Iterable[str] = ()) -> EntryPoint:
    """The adapter of this name; UsageError, with the nearest of these names and of ``more``, where there is none."""
    offered = adapters()
    if name not in offered:
        names, several = [*offered, *more], name.split(",")
        near = nearest(name, names)
        hint = f"did you mean {near!r}?" if near else f"known: {', '.join(names)}"
        if len(several) > 1 and set(several) <= set(names):
            hint = f"give each by itself: {' '.join(f'-f {own}' for own in several)}"
        raise UsageError(f"unknown framework {name!r}; {hint} (adapters are listed by 'crosscorrect frameworks')")
    return offered[name]


def uninstalled(frameworks: Iterable[Framework]) -> dict[str, str]:
    """The targets of those frameworks that no entry point leads to: who asks for them again must name them, too."""
    offered = adapters()
    return {f.name: f.target for f in frameworks if f.name not in offered or offered[f.name].value != f.target}


def _packages(target: str, more: Sequence[str] = ()) -> dict[str, str]:
    """The top-level packages a worker needs from here: the harness's own and the adapter's.

    ``more`` are folders to look into where the path has no such module: a console script's lacks the current folder.
    """
    module, _, attribute = target.partition(":")
    if not all(part.isidentifier() for part in (*module.split("."), attribute)):
        raise UsageError(f"the adapter {target!r} cannot be found: write it as MODULE:CLASS")
    locations = {}
    for top in ("crosscorrect", module.partition(".")[0]):
        spec = importlib.util.find_spec(top) or PathFinder.find_spec(top, more)
        if spec is None or (spec.origin is None and not spec.submodule_search_locations):
            own = [path.stem for folder in more for path in Path(folder).glob("[!.]*") if _is_module(path)]
            hint = meant(top, own)
            raise UsageError(
                f"the adapter {target!r} cannot be found: no module named {top!r} here{f'; {hint}' if hint else ''}"
            )
        locations[top] = (
            str(next(iter(spec.submodule_search_locations))) if spec.submodule_search_locations else str(spec.origin)
        )
    return locations


def _check_attribute(target: str, packages: dict[str, str]) -> None:
    """Refuse a class that its module does not have, as far as its source says. Raises UsageError with the nearest."""
    module, _, attribute = target.partition(":")
    top, *inner = module.split(".")
    place = Path(packages[top]).joinpath(*inner)
    path = next((p for p in (place, place.with_suffix(".py"), place / "__init__.py") if p.is_file()), None)
    if path is None or path.suffix != ".py":
        return
    source = path.read_bytes()
    if any(word in source for word in DYNAMIC):
        return
    try:
        # as bytes it says its own encoding
        table = symtable.symtable(source, target, "exec")  # type: ignore[arg-type]
    except (SyntaxError, ValueError):  # written for another Python: the worker tells what it makes of it
        return
    names = [s.get_name() for s in table.get_symbols() if s.is_assigned() or s.is_imported() or s.is_namespace()]
    if attribute not in names:
        hint = meant(attribute, [name for name in names if name[:1] != "_"])
        raise UsageError(
            f"the adapter {target!r} cannot be found: {path.name} has no {attribute!r}{f'; {hint}' if hint else ''}"
        )


def _is_module(path: Path) -> bool:
    return path.suffix == ".py" or (path / "__init__.py").exists()


def _provider(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else "(unknown)"
