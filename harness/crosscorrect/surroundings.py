"""What differs between two runs beside their checks: versions, code, suites, what was asked, the machines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from crosscorrect.store import Run


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
    for section in ("version", "interpreter", "switch", "machine", "offer", "note"):
        found += [
            Difference(section, framework, key, said[0].get(name, ""), said[1].get(name, ""))
            for name in dict.fromkeys([*said[1], *said[0]])
            for kind, framework, key in [name]
            if kind == section and said[0].get(name) != said[1].get(name) and _in_both(framework, run, base)
        ]
    order = ("version", "crosscorrect", "code", "suite", "asked", "timed")
    return sorted(found, key=lambda one: order.index(one.what) if one.what in order else len(order))


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
            found.append(Difference("code", framework, "harness and adapter", *codes))
    digests = [suites(one) for one in (base, run)]
    for suite in dict.fromkeys([*digests[1], *digests[0]]):
        found.append(Difference("suite", "", suite, *(one.get(suite, "")[:12] for one in digests)))
    for key in ("frameworks", "modes", "devices", "arithmetic", "level", "filter", "seed", "shard"):
        found.append(Difference("asked", "", key, *(_text(one.get(key)) for one in (then, now))))
    for key in ("reference", "mode", "device", "cpus", "threads", "budget"):
        found.append(Difference("timed", "", key, *(_text(one.get("bench", {}).get(key)) for one in (then, now))))
    return [one for one in found if one.then != one.now]


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if isinstance(value, dict):
        return ", ".join(f"{key} {inner}" for key, inner in value.items())
    return "" if value is None else str(value)


def _environment(run: Run) -> dict[tuple[str, str, str], str]:
    """The ``env`` table by section, framework and key; how long a start took is different each time and left out.

    Notes are named by their place, so that all of a framework are one text.
    """
    found: dict[tuple[str, str, str], str] = {}
    for row in run.env.to_dict("records"):
        if row["section"] == "note":
            name = ("note", row["framework"], "")
            found[name] = "; ".join(filter(None, [found.get(name, ""), row["value"]]))
        elif row["section"] != "start":
            found[row["section"], row["framework"], row["key"]] = row["value"]
    return found
