"""Python's garbage collection in processes that are ours alone: seldom, and of what came after the imports only."""

from __future__ import annotations

import gc

THRESHOLDS = (20_000, 20, 20)
"""Instead of Python's 700, 10 and 10: containers made before the first look, and looks before the next deeper ones."""


def seldom() -> None:
    """Collect seldom from now on: a run makes millions of objects and hardly a cycle, and each look finds that anew.

    For the main function of a process: a program that uses crosscorrect as a library has its own mind about this.
    """
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
