"""What machines take from a run: the summary fits its schema whatever the run is, and the badge says the verdict."""

from __future__ import annotations

import copy
import json
import re
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

import crosscorrect_reports
from commandline import SUITE, invoke
from crosscorrect import gate, store
from crosscorrect.gate import Ruling
from crosscorrect.model import Exit, Outcome, Reason
from crosscorrect_reports import badge, frames, summary
from made_runs import check, finished
from simulated import JAX, finished as timed, machine
from test_reports import HOSTILE, every_outcome
from test_reports_text import luminance

if TYPE_CHECKING:
    from pathlib import Path

FAIL = Outcome.FAIL


def strictly(schema: Any) -> Any:
    """The schema without room for keys that it does not describe: it then tells of each that nobody documented."""
    if isinstance(schema, list):
        return [strictly(inner) for inner in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: strictly(inner) for key, inner in schema.items()}
    return (
        {"additionalProperties": False, **made} if "properties" in schema and schema.get("type") == "object" else made
    )


def told(run: store.Run, folder: Path | None = None) -> dict[str, Any]:
    """The summary of a run, read back from the file as a strict reader would and held to its schema."""
    text = summary.render(run, gate.rule(run, folder), frames.judged(run, folder))
    read: dict[str, Any] = json.loads(text, parse_constant=pytest.fail)
    jsonschema.Draft202012Validator(strictly(summary.schema())).validate(read)
    return read


def test_the_schema_is_one_and_refuses_what_is_none_of_ours(tmp_path: Path) -> None:
    jsonschema.Draft202012Validator.check_schema(summary.schema())
    good = told(store.load(finished(tmp_path / "run", [check()])))
    for key in good:
        bad = copy.deepcopy(good)
        del bad[key]
        assert not jsonschema.Draft202012Validator(summary.schema()).is_valid(bad), key
    assert not jsonschema.Draft202012Validator(summary.schema()).is_valid({**good, "schema": 2})


def test_a_reader_of_this_schema_takes_a_later_file_with_more_keys(tmp_path: Path) -> None:
    later = {**told(store.load(finished(tmp_path / "run", [check()]))), "new": {"of": "a later version"}}
    jsonschema.Draft202012Validator(summary.schema()).validate(later)


def test_a_conformance_run_tells_its_verdict_and_every_count(tmp_path: Path) -> None:
    run = every_outcome(tmp_path, "plain")
    said = told(run)
    assert (said["exit"], said["finished"], said["speed"]) == (Exit.INCOMPLETE, True, None)
    assert [(row["framework"], row["total"]) for row in said["counts"]] == [("alpha", 9), ("beta", 9)]
    assert all(row["outcomes"] == {outcome.value: 1 for outcome in Outcome} for row in said["counts"])
    assert [one["name"] for one in said["frameworks"]] == ["alpha", "beta"]
    assert (said["frameworks"][0]["version"], said["frameworks"][1]["started"]) == ("plain", False)
    assert said["surprises"]["checks"] == sum(one["checks"] for one in said["surprises"]["listed"]) == 16


def test_hostile_text_is_data_in_the_summary(tmp_path: Path) -> None:
    said = told(every_outcome(tmp_path, HOSTILE))
    assert "\x1b" not in json.dumps(said, ensure_ascii=False)
    assert "<script>alert(1)</script>" in said["surprises"]["listed"][0]["message"]


def test_surprises_that_came_out_alike_are_one_and_what_is_not_listed_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(summary, "MOST_SURPRISES", 1)
    alike = [check(f"s/{i}", outcome=FAIL, reason=Reason.VALUE, diagnosis=f"flipped ({i})") for i in range(5)]
    said = told(store.load(finished(tmp_path / "run", [*alike, check("s/x", outcome=Outcome.CRASH)])))["surprises"]
    (group,) = said["listed"]
    assert (group["checks"], group["cause"], group["problems"]) == (5, "flipped", ["s/0", "s/1", "s/2"])
    assert (said["checks"], said["more"]) == (6, 1)


def test_numbers_that_are_none_are_null_and_infinite_ones_are_words(tmp_path: Path) -> None:
    rows = [check("s/1", outcome=FAIL, ratio=float("inf")), check("s/2", outcome=Outcome.ERROR, ratio=None)]
    said = told(store.load(finished(tmp_path / "run", rows)))
    assert {one["ratio"] for one in said["surprises"]["listed"]} == {"Infinity", None}


def test_an_expectation_that_is_contradicted_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "expectations"
    folder.mkdir()
    text = "crosscorrect: 1\nframework: fw\nversions: ''\nexpect:\n- {problems: s/first, outcome: fail, reason: seen}\n"
    (folder / "fw.yaml").write_text(text, encoding="utf-8")
    said = told(store.load(finished(tmp_path / "run", [check()])), folder)
    assert [one["against"] for one in said["surprises"]["listed"]] == ["fw.yaml:5"]


def test_agreement_is_told_both_ways(tmp_path: Path) -> None:
    rows = [check("s/1", name, output_digest=digest) for name, digest in (("fw", "a"), ("gw", "a"), ("hw", "b"))]
    said = told(store.load(finished(tmp_path / "run", rows)))["agreement"]
    same = {(one["left"], one["right"]): one["same"] for one in said}
    assert (same["fw", "gw"], same["gw", "fw"], same["fw", "hw"]) == (1, 1, 0)


def test_an_unfinished_run_and_an_empty_one_have_a_summary(tmp_path: Path) -> None:
    assert told(store.load(finished(tmp_path / "cut", [check()], sealed=False)))["finished"] is False
    assert told(store.load(finished(tmp_path / "none", [])))["exit"] == Exit.NOTHING_RAN


def test_a_timed_run_tells_every_ratio_with_its_interval_and_whether_the_machine_was_fit(tmp_path: Path) -> None:
    said = told(store.load(timed(tmp_path, "run", machine({JAX: 0.8}, process=0.004))))["speed"]
    assert said["reference"] == {"framework": "torch", "mode": "eager", "device": "cpu"}
    assert (said["counts"]["faster"], sum(said["counts"].values())) == (1, 1)
    (jax,) = [row for row in said["verdicts"] if row["framework"] == "jax"]
    assert jax["low"] < 0.8 < jax["high"]
    assert said["fitness"]["twins"]["low"] == pytest.approx(1, abs=0.03)
    assert (said["fitness"]["unfit"], said["fitness"]["complaints"]) == (0, [])


def test_a_machine_that_was_not_fit_says_why_each_reason_once(tmp_path: Path) -> None:
    samples = machine({JAX: 0.8}, waiting={JAX: 0.9})
    fitness = told(store.load(timed(tmp_path, "run", samples)))["speed"]["fitness"]
    assert fitness["unfit"] == sum(one["count"] for one in fitness["complaints"]) > 0
    assert len(fitness["complaints"]) == 1


def test_a_report_writes_summary_and_badges_and_seals_them(tmp_path: Path) -> None:
    path = tmp_path / "tiny.yaml"
    path.write_text(SUITE, encoding="utf-8")
    invoke("run", path, "-f", "numpy", "--results", tmp_path / "results", "-q")
    folder = tmp_path / "results" / "latest"
    sealed = json.loads((folder / "seal.json").read_text(encoding="utf-8"))["files"]
    assert {"summary.json", "badge.svg", "badge.json"} <= set(sealed)
    said = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    assert (said["exit"], said["checks"]["total"]) == (Exit.OK, 2)
    assert said == told(store.load(folder))


RULINGS = {
    "✔ passing: 7 checks": Ruling(passed=7, total=7),
    "✘ failing: 1 surprise": Ruling(findings=["wrong"], total=7),
    "– incomplete": Ruling(missing=["torch"], total=7),
    "– nothing ran": Ruling(),
}


@pytest.mark.parametrize("message", RULINGS)
def test_a_badge_says_the_verdict_with_glyph_word_and_colour_in_both_forms(message: str) -> None:
    ruling = RULINGS[message]
    svg = ET.fromstring(badge.render(ruling))  # noqa: S314  our own document
    name = "{http://www.w3.org/2000/svg}"
    assert (svg.get("role"), svg.get("aria-label")) == ("img", f"crosscorrect: {message}")
    assert [text.text for text in svg.iter(f"{name}text")] == ["crosscorrect", message]
    endpoint = json.loads(badge.endpoint(ruling))
    assert (endpoint["schemaVersion"], endpoint["label"], endpoint["message"]) == (1, "crosscorrect", message)
    fills = [rect.get("fill") for rect in svg.iter(f"{name}rect") if rect.get("fill")]
    assert fills[1] == f"#{endpoint['color']}"
    for fill in fills:
        assert 1.05 / (luminance(str(fill)[1:]) + 0.05) >= 4.5  # white text on it


def test_texts_of_a_badge_lie_in_their_boxes() -> None:
    svg = badge.render(RULINGS["✘ failing: 1 surprise"])
    total = float(re.findall(r'<svg [^>]*width="([\d.]+)"', svg)[0])
    places = [(float(x), float(w)) for x, w in re.findall(r'<text x="([\d.]+)" y="14" textLength="([\d.]+)"', svg)]
    border = float(re.findall(r'<rect x="([\d.]+)"', svg)[0])
    assert 0 < places[0][0] < sum(places[0]) < border < places[1][0] < sum(places[1]) < total


def test_every_printable_character_has_a_width() -> None:
    assert all(badge.width(chr(code)) < 12 for code in range(32, 127))
    assert badge.width("iii") < badge.width("mmm") == pytest.approx(32.16)


def test_the_badges_of_a_run_do_not_change_with_its_folder(tmp_path: Path) -> None:
    written = []
    for name in ("a", "b"):
        run = store.load(finished(tmp_path / name, [check()]))
        crosscorrect_reports.write(run)
        written.append([(run.folder / badge_).read_bytes() for badge_ in ("badge.svg", "badge.json")])
    assert written[0] == written[1]
