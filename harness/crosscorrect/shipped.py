"""The suites that come with the package, found by name without reading one: completion must be quick."""

from __future__ import annotations

import importlib.resources
from pathlib import Path

_FIRST = ("chapter", "problems", "kernels", "recovery")  # the order in which the chapter is read


def shipped_suites() -> dict[str, Path]:
    """The suites that come with the package, by name, in reading order."""
    folder = Path(str(importlib.resources.files("crosscorrect_cases"))) / "suites"
    paths = {path.stem: path for path in sorted(folder.glob("*.yaml"))}
    names = [name for name in _FIRST if name in paths]
    return {name: paths[name] for name in names + [name for name in paths if name not in names]}
