"""The first file a worker runs: lets the controller's packages travel into this interpreter, then serves.

Run as ``PYTHON boot.py CONFIG`` by the controller. CONFIG is JSON: the two pipe descriptors, the adapter as
``module:attribute``, the packages that travel as ``{name: folder or file}``, the controller's process id, the
memory in bytes that this process may hold, and the processors it may run on. Only those names are taken from the
controller's installation, so a user's own environment is tested as it is, with nothing installed into it.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import sys
from typing import Any


class TravellingFinder(importlib.abc.MetaPathFinder):
    """Finds the packages that came with the controller; everything else is this interpreter's own."""

    def __init__(self, packages: Any) -> None:
        self._packages = packages

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:  # noqa: ARG002  the protocol's own
        location = self._packages.get(name)
        if location is None:
            return None
        if os.path.isdir(location):
            init = os.path.join(location, "__init__.py")
            if not os.path.exists(init):  # a namespace package: nothing to execute, only a place to look in
                spec = importlib.machinery.ModuleSpec(name, None, is_package=True)
                spec.submodule_search_locations = [location]
                return spec
            return importlib.util.spec_from_file_location(name, init, submodule_search_locations=[location])
        return importlib.util.spec_from_file_location(name, location)


def main() -> None:
    """Read the configuration, let the packages in, serve."""
    config = json.loads(sys.argv[1])
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [entry for entry in sys.path if entry and os.path.abspath(entry) != here]
    sys.dont_write_bytecode = True
    sys.meta_path.insert(0, TravellingFinder(config["packages"]))
    from crosscorrect.worker import limits  # noqa: PLC0415  it can be found only now

    notes = limits.apply(config["parent"], config["memory"], config["cpus"])
    from crosscorrect.worker import loop  # noqa: PLC0415  it imports NumPy, which the limits are to hold for

    loop.main(config, notes)


if __name__ == "__main__":
    main()
