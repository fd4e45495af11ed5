"""crosscorrect tells, with evidence, whether deep-learning frameworks compute the same cross-correlation.

Importing this package imports no framework, no NumPy and no pandas: it also runs inside every worker, on Python 3.8.
The library is loaded when it is first asked for: ``crosscorrect.run``, ``crosscorrect.check``, ``crosscorrect.bench``,
``crosscorrect.load``.
"""

from __future__ import annotations

import importlib

__version__ = "0.1.0"

_PUBLIC = {
    "run": "crosscorrect.api",
    "bench": "crosscorrect.speed.session",
    "check": "crosscorrect.checking",
    "merge": "crosscorrect.shards",
    "load": "crosscorrect.store",
    "Run": "crosscorrect.store",
    "CrosscorrectError": "crosscorrect.errors",
}

__all__ = ["CrosscorrectError", "Run", "__version__", "bench", "check", "load", "merge", "run"]


def __getattr__(name: str) -> object:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'crosscorrect' has no attribute {name!r}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)
