"""Python's garbage collection in processes that are ours alone: seldom, and of what came after the imports only."""

from __future__ import annotations

import gc

THRESHOLDS = (20_000, 20, 20)
"""A unit makes some hundred objects, and hardly a cycle among them."""


def seldom() -> None:
    """Collect seldom from now on: it takes a twentieth of the time of a run of small problems, and a fifth of sealing.

    For the main function of a process: a program that uses crosscorrect as a library has its own mind about this.
    """
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
