"""Samples of machines that do not exist, with the spreads that real ones have (research/timing.md 2)."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from crosscorrect import store
from crosscorrect.speed.judgement import Facts, Rule, judge
from crosscorrect.speed.model import Phase, Role, Sample, Who
from crosscorrect.tables import row_record

if TYPE_CHECKING:
    from pathlib import Path

PROCESS, ROUND = 0.007, 0.03
"""Standard deviations of the logarithm of a time: between processes, and from round to round."""
REFERENCE, TWIN = Who("torch", "eager", "cpu"), Who("torch", "eager", "cpu", Role.TWIN)
JAX = Who("jax", "eager", "cpu")
CALL = 50e-6
COLUMNS = [f.name for f in fields(Sample)]


def machine(
    ratios: dict[Who, float],
    *,
    seed: int = 0,
    restarts: int = 5,
    rounds: int = 120,
    problems: tuple[str, ...] = ("p",),
    waiting: Any = None,
    drift: float = 0.0,
    residual: float = 0.0,
    process: float = PROCESS,
) -> pd.DataFrame:
    """The table of samples: each arm's time is so many times that of the reference, which has a twin.

    ``waiting`` maps an arm to the share of its rounds that wait, which then take three times as long; ``drift`` is by
    how much the sentinel becomes slower within a restart, ``residual`` the share of a sample that is waited for after
    it in every arm but the reference.
    """
    draw = np.random.default_rng(seed)
    arms = {REFERENCE: 1.0, TWIN: 1.0, **ratios}
    parts = {Who("numpy", "eager", "cpu", role): 1.0 for role in (Role.COMPUTE, Role.STREAMING)}
    frames = []
    for problem in problems:
        for restart in range(restarts):
            for place, (who, ratio) in enumerate({**arms, **parts}.items()):
                sentinel = who in parts
                own = draw.normal(0, 0 if sentinel else process)
                cpu = CALL * ratio * np.exp(own + draw.normal(0, ROUND, rounds)) * 10
                if sentinel:
                    cpu *= np.linspace(1, 1 + drift, rounds)
                late = draw.random(rounds) < (waiting or {}).get(who, 0.0)
                frames.append(
                    pd.DataFrame(
                        {
                            "problem": problem,
                            "part": "forward",
                            **who._asdict(),
                            "phase": Phase.STEADY,
                            "restart": restart,
                            "round": np.arange(rounds),
                            "place": place,
                            "calls": 10,
                            "wall": (cpu * np.where(late, 3.0, 1.005) * 1e9).astype(np.int64),
                            "cpu": (cpu * 1e9).astype(np.int64),
                            "switches": 0,
                            "faults": 0,
                            "residual": int(residual * CALL * 10 * 1e9) if who in ratios else 0,
                        }
                    )
                )
    return pd.concat(frames, ignore_index=True)[COLUMNS]


def facts(**more: Any) -> Facts:
    """The facts of such a run."""
    return Facts(**{"reference": REFERENCE, "restarts": 5, "threads": 1, **more})


def finished(results: Path, name: str, samples: pd.DataFrame) -> Path:
    """A finished timed run, sealed in a folder of this name, that has these samples; five restarts of 120 rounds."""
    budget = {"restarts": 5, "rounds": 120, "seconds": 1.0, "least": 8}
    asked = {"reference": "torch", "mode": "eager", "device": "cpu", "cpus": [0], "threads": 1, "cold": False}
    info = {"frameworks": [], "arithmetic": "strict", "bench": {**asked, "budget": budget}}
    folder = store.create(results, name, info)
    segment = store.Segment(folder)
    for row in samples.to_dict("records"):
        segment.write("samples", row)
    for table, rows in zip(("measurements", "verdicts"), judge(samples, facts(), Rule()), strict=True):
        for found in rows:
            segment.write(table, row_record(found))
    segment.close()
    store.seal(folder)
    return folder
