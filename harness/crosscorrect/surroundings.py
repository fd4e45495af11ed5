"""What differs between two runs beside their checks: versions, code, suites, what was asked, the machines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from crosscorrect.store import Run


ASKED = ("frameworks", "modes", "devices", "arithmetic", "level", "filter", "seed", "shard")
TIMED = ("reference", "mode", "device", "cpus", "threads", "budget")
"""The keys of ``run.json``, and of its ``bench``, that say what was asked."""
SECTIONS = ("version", "interpreter", "switch", "machine", "offer", "note")
"""The sections of ``env`` that are told, in this order; how long a start took is different each time."""
ORDER = ("version", "crosscorrect", "code", "suite", "asked", "timed")
"""What is told first."""


class Difference(NamedTuple):
    """Something around the checks that is not the same; ``then`` or ``now`` is empty where nothing was said.

    ``framework`` is empty where it is about the run as a whole.
    """

    what: str
    framework: str
    key: str
    then: str
    now: str


def around(run: Run, base: Run) -> list[Difference]:
    """What differs around the checks: versions first, then code, suites and what was asked, then the machines."""
    found = _asked(run, base)
    said = [_environment(one) for one in (base, run)]
    for section in SECTIONS:
        found += [
            Difference(section, framework, key, said[0].get(name, ""), said[1].get(name, ""))
            for name in dict.fromkeys([*said[1], *said[0]])
            for kind, framework, key in [name]
            if kind == section and said[0].get(name) != said[1].get(name) and _in_both(framework, run, base)
        ]
    return sorted(found, key=lambda one: ORDER.index(one.what) if one.what in ORDER else len(ORDER))


def suites(run: Run) -> dict[str, str]:
    """The suites of a run by name, each with the digest of what it says."""
    return {suite["name"]: suite["digest"] for suite in run.info.get("suites", ())}


def _in_both(framework: str, run: Run, base: Run) -> bool:
    return not framework or all(framework in one.info["frameworks"] for one in (run, base))


def _asked(run: Run, base: Run) -> list[Difference]:
    """What ``run.json`` says of one run and not of the other."""
    now, then = run.info, base.info
    found = [Difference("crosscorrect", "", "version", then["crosscorrect"], now["crosscorrect"])]
    for framework in now["frameworks"]:
        codes = [one.get("sources", {}).get(framework, "")[:12] for one in (then, now)]
        if framework in then["frameworks"] and all(codes):
            found.append(Difference("code", framework, "of harness and adapter", *codes))
    digests = [suites(one) for one in (base, run)]
    named = dict.fromkeys([*digests[1], *digests[0]])
    found += [Difference("suite", "", suite, *(one.get(suite, "")[:12] for one in digests)) for suite in named]
    found += [Difference("asked", "", key, *(_text(one.get(key)) for one in (then, now))) for key in ASKED]
    benches = [one.get("bench", {}) for one in (then, now)]
    found += [Difference("timed", "", key, *(_text(one.get(key)) for one in benches)) for key in TIMED]
    return [one for one in found if one.then != one.now]


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if isinstance(value, dict):
        return ", ".join(f"{key} {inner}" for key, inner in value.items())
    return "" if value is None else str(value)


def _environment(run: Run) -> dict[tuple[str, str, str], str]:
    """The ``env`` table by section, framework and key; notes are numbered, so that all of a framework are one text."""
    found: dict[tuple[str, str, str], str] = {}
    for row in run.env.to_dict("records"):
        if row["section"] == "note":
            name = ("note", row["framework"], "")
            found[name] = "; ".join(filter(None, [found.get(name, ""), row["value"]]))
        else:
            found[row["section"], row["framework"], row["key"]] = row["value"]
    return found
