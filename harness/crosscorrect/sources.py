"""A fingerprint of the code that gave a result: the harness and the adapter, so that a shard of other code is told."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


def fingerprint(packages: Mapping[str, str]) -> str:
    """SHA-256, in hex, of every Python file of these packages by relative path and content.

    ``packages`` maps a name to a folder, or to the file of a single module, as ``Framework.packages`` does.
    """
    seal = hashlib.sha256()
    for name, location in sorted(packages.items()):
        root = Path(location)
        for path in [root] if root.is_file() else sorted(root.rglob("*.py")):
            seal.update(f"{name}/{path.name if root.is_file() else path.relative_to(root).as_posix()}|".encode())
            seal.update(hashlib.sha256(path.read_bytes()).digest())
    return seal.hexdigest()
