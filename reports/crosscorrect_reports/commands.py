"""The commands that repeat a run, judge it again, or look into one problem of it."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from crosscorrect.drafts import SUITE as HUNT
from crosscorrect.shipped import shipped_suites
from crosscorrect.speed.conditions import BUDGETS
from crosscorrect_reports.text import one_line

if TYPE_CHECKING:
    from crosscorrect.store import Run


def asked_by(run: Run, suite: str) -> str:
    """Return the command that asks for a suite of this run again, with its name if it ships, else with its file.

    What no file holds was drawn by a hunt, which draws it again from its id.
    """
    if suite == HUNT:
        return "hunt"
    files = [known["file"] for known in run.info.get("suites", []) if known["name"] == suite]
    shipped = shipped_suites().get(suite)
    ships = shipped is not None and (not files or shipped.name in files)
    return f"run {shlex.quote(one_line(suite if ships else (files or ['SUITE'])[0]))}"


def asked_of(run: Run, framework: str) -> list[str]:
    """Return the options that name a framework as this run did: with its adapter, where no entry point leads to it."""
    target = run.info.get("adapters", {}).get(framework)
    return ["-f", framework, *(["--adapter", f"{framework}={target}"] if target else [])]


def again(run: Run, problem: str = "") -> list[str]:
    """Command lines for a person to copy; names are quoted for the shell."""
    info = run.info
    timed = info.get("bench")
    suites = [asked_by(run, suite["name"]).partition(" ")[2] for suite in info.get("suites", [])]
    words = ["crosscorrect", "bench" if timed else "hunt" if info.get("hunt") else "run", *filter(None, suites)]
    for name in info["frameworks"]:
        words += asked_of(run, name)
    modes = info.get("modes", [])
    if modes != ["eager"]:
        words += ["-m", modes[0] if len(modes) == 1 else "all"]
    for device in info.get("devices", []):
        words += ["-d", device] if device != "cpu" else []
    if info.get("arithmetic", "strict") != "strict":
        words += ["--arithmetic", info["arithmetic"]]
    usual = "nightly" if timed else "ci"
    if info.get("level", usual) != usual:
        words += ["--level", info["level"]]
    if info.get("seed", 0):
        words += ["--seed", str(info["seed"])]
    for pattern in info.get("filter", []) if not info.get("hunt") else []:
        words += ["-k", pattern]
    if timed:
        words += ["--reference", timed["reference"], "--cpus", str(len(timed["cpus"]))]
        words += ["--cold"] if timed["cold"] else []
        budget = [name for name, told in BUDGETS.items() if told._asdict() == timed["budget"]]
        words += ["--budget", *budget] if budget and budget != ["standard"] else []
    folder = f"results/{run.info['run']}"  # where runs go unless told otherwise
    lines = [words, ["crosscorrect", "speed" if timed and not timed["cold"] else "gate", folder]]
    if problem:
        lines.append(["crosscorrect", "explain", folder, problem])
    return [shell(*line) for line in lines]


def shell(*words: str) -> str:
    """A command line for a person to copy, each word quoted for the shell."""
    return " ".join(shlex.quote(one_line(word)) for word in words)
