"""The search for defects: which problems it draws, what it finds, how small that gets, and what is kept."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from hypothesis import given, settings, strategies as st

from commandline import invoke
from crosscorrect import store, yamlfile
from crosscorrect.casefile import case_file
from crosscorrect.drafts import MACS, Axis, Draft, draw, spelt
from crosscorrect.errors import UsageError
from crosscorrect.hunt import Find, Hunted, Kind, Name, Problems, chosen, hunt
from crosscorrect.model import Check, Exit, Outcome
from crosscorrect.problem import DTYPES
from crosscorrect.shrink import TRIALS, shrink
from crosscorrect.suite import lint, load_suite, schema
from hostile import TEXT

if TYPE_CHECKING:
    from pathlib import Path

BOTH = ("float32", "float64")
names = st.builds(Name, st.integers(0, 10**9), st.sampled_from(DTYPES))


@settings(max_examples=60)
@given(st.integers(0, 10**6), names)
def test_every_problem_is_one_that_a_case_file_can_say_with_inputs_and_within_the_budget(seed: int, name: Name) -> None:
    problem = Problems(seed, 1).problem(name)
    assert problem.id == f"hunt/{seed}-{name.index}@dtype={name.dtype}"
    draft = name.draft(seed)
    case = draft.case(problem.case)
    text = case_file("hunt", "A title: with a colon", [case])
    document = yamlfile.parse(text)
    assert document.value["cases"] == [case]
    jsonschema.validate(document.value, schema())
    inputs = problem.inputs()
    assert {key: array.shape for key, array in inputs.items() if key in "xw"} == {k: draft.shapes[k] for k in "xw"}
    assert problem.shapes["output"] == draft.shapes["output"]
    assert draft.macs <= MACS


@given(st.integers(0, 10**6), names)
def test_a_problem_is_the_same_each_time(seed: int, name: Name) -> None:
    assert name.draft(seed) == name.draft(seed)
    assert Problems(seed, 1).problem(name) == Problems(seed, 9).problem(name)


def test_a_draw_stays_what_it_was_on_every_machine() -> None:
    assert draw(7, 123, "float32").case("a") == {
        "id": "a",
        "operation": "conv2d",
        "dtype": "float32",
        "directions": ["forward", "grad_input", "grad_weight", "grad_bias"],
        "x": {"fill": "wide", "powers": 20, "shape": [4, 2, 3, 5, 5]},
        "w": {"fill": "wide", "powers": 20, "shape": [4, 2, 3, 4, 2]},
        "b": {"fill": "wide", "powers": 20},
        "dy": {"fill": "wide", "powers": 20},
        "geometry": {"stride": [2, 3, 2], "padding": "same_upper", "dilation": [3, 3, 2]},
    }


def test_a_thousand_problems_have_everything_that_a_problem_can_have() -> None:
    drafts = [draw(3, index, BOTH[index % 2]) for index in range(1000)]
    features = Counter(feature for draft in drafts for feature in draft.features)
    for feature in (
        *("1 axes", "3 axes", "same_upper", "same_lower", "transposed", "stride", "dilation", "padding"),
        *("uneven padding", "output padding", "groups", "depthwise", "several examples", "several input channels"),
        *("several output channels", "bias"),
    ):
        assert features[feature] >= 30, feature
    plain = [draft for draft in drafts if not draft.features & {"stride", "dilation", "transposed"}]
    assert len(plain) >= 150
    channels = {draft.groups * draft.inner for draft in drafts}
    assert {15, 16, 17, 31, 32, 33} <= channels
    fills = {spec["fill"] for draft in drafts for spec in draft.data.values()}
    assert fills == {"integers", "normal", "uniform", "wide", "impulse"}
    assert 250 <= sum("grad_weight" in draft.directions for draft in drafts) <= 450
    assert {spelt(3, index, "float32") for index in range(100)} == {
        *("", "apart", "channels_last", "channels_first", "recorded", "module")
    }


def test_a_sequence_of_problems_goes_on_where_another_ended_and_takes_its_dtypes_in_turn() -> None:
    whole, rest = Problems(5, 6), Problems(5, 3, first=3)
    assert (len(whole), len(rest)) == (6, 3)
    assert [p.id for p in whole][3:] == [p.id for p in rest] == [p.id for p in whole[3:]]
    assert [p.dtype for p in whole] == [*BOTH, *BOTH, *BOTH]
    with pytest.raises(IndexError):
        whole.name(6)
    assert Problems(5, 10**7)[10**7 - 1].id == "hunt/5-9999999@dtype=float64"


def test_a_problem_is_asked_for_by_its_id_or_its_case() -> None:
    problems = Problems(5, 200)
    place = next(place for place in range(200) if problems.also(place) is not None)
    also = problems.also(place)
    assert also is not None
    for name in (problems.name(place), also):
        seed, found = chosen([problems.problem(name).id], None, BOTH)
        assert (seed, found) == (5, [name])
    assert chosen([f"hunt/5-{place}", f"5-{place}"], 5, BOTH) == (5, [problems.name(place)] * 2)
    assert Problems(5, 1000, chosen=[also])[0] == problems.problem(also)
    assert Problems(5, 1000, chosen=[also]).also(0) is None
    assert chosen([], None, BOTH) == (0, [])


@pytest.mark.parametrize(
    ("ids", "seed", "words"),
    [
        (["chapter/edge"], None, "is no problem of a hunt; write it as hunt/SEED-INDEX"),
        (["hunt/1-2@dtype=float31"], None, "is no problem"),
        (["hunt/1-2@dtype=float32,spelling=nativ"], None, "is no problem"),
        (["hunt/1-2"], 3, "is of seed 1, and seed 3 was asked for"),
        (["hunt/1-2", "hunt/2-2"], None, "is of seed 2, and seed 1 was asked for"),
    ],
)
def test_what_is_no_problem_of_one_search_is_refused(ids: list[str], seed: int | None, words: str) -> None:
    with pytest.raises(UsageError, match=words.replace("(", r"\(")):
        chosen(ids, seed, BOTH)


keys = st.text("abz_", min_size=1, max_size=6)
numbers = st.integers(-(10**20), 10**20) | st.floats(allow_nan=False, allow_infinity=False)
scalars = st.none() | st.booleans() | numbers | TEXT | st.sampled_from(["null", "True", "nan", "1e5", "- a", "#"])
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4))


@given(st.dictionaries(keys, values, min_size=1, max_size=5), TEXT)
def test_a_case_file_reads_back_as_what_was_written(case: dict[str, Any], title: str) -> None:
    written = yamlfile.parse(case_file("s", title, [case])).value
    assert written == {"crosscorrect": 1, "suite": "s", "title": title, "cases": [case]}


BIG = Draft(
    axes=(Axis(9, 3, 2, 2, 1, 2), Axis(12, 4, 3, 1, 0, 1), Axis(5, 2)),
    batch=5,
    groups=4,
    inner=3,
    outer=8,
    dtype="float32",
    directions=("forward", "grad_input"),
    spelling="apart",
    data={"x": {"fill": "normal"}, "w": {"fill": "impulse", "at": [2, 1, 1, 1]}, "b": {"fill": "wide", "powers": 5},
          "dy": {"fill": "uniform"}},
)  # fmt: skip


def test_what_always_fails_shrinks_to_one_number_times_one() -> None:
    small = shrink(BIG, lambda _: True)
    one = {"fill": "codes"}
    assert small == Draft((Axis(1, 1),), directions=("forward",), data={"x": one, "w": one})
    assert small.macs == 1


@pytest.mark.parametrize(
    ("feature", "expected"),
    [
        ("stride", {"stride"}),
        ("dilation", {"dilation"}),
        ("padding", {"padding", "uneven padding"}),
        ("groups", {"groups", "depthwise", "several input channels", "several output channels"}),
        ("several examples", {"several examples"}),
        ("bias", {"bias"}),
        ("3 axes", {"3 axes"}),
        ("apart", {"apart"}),
    ],
)
def test_what_fails_for_one_reason_shrinks_to_that_reason_alone(feature: str, expected: set[str]) -> None:
    small = shrink(BIG, lambda draft: feature in draft.features)
    assert small.features - {"1 axes"} == expected - {"1 axes"}
    assert small.possible
    assert small.macs <= 4


def test_shrinking_tries_only_problems_that_exist_none_twice_and_not_for_ever() -> None:
    seen: list[Draft] = []

    def fails(draft: Draft) -> bool:
        assert draft.possible
        seen.append(draft)
        Problems(0, 1)  # drafts are what problems are made of: the case can be said
        assert draft.case("a")["operation"] == "conv2d"
        return draft.batch >= 2 and draft.outer >= 5

    small = shrink(BIG, fails)
    assert (small.batch, small.outer) == (2, 5)
    assert len(set(map(repr, seen))) == len(seen) <= TRIALS
    assert shrink(BIG, lambda _: False) == BIG
    assert shrink(BIG, lambda _: True, trials=3).macs > 1
    assert shrink(BIG, lambda _: True, seconds=0) == BIG


@settings(max_examples=25)
@given(st.integers(0, 10**6), st.sampled_from(["stride", "same_lower", "transposed", "depthwise", "output padding"]))
def test_what_is_shrunk_still_fails_and_is_a_problem(index: int, feature: str) -> None:
    draft = draw(1, index, "float32")
    if feature not in draft.features:
        return
    small = shrink(draft, lambda other: feature in other.features)
    assert feature in small.features
    assert small.macs <= draft.macs
    assert small.features <= draft.features | {"depthwise", "1 axes", "padding", "uneven padding"}


def test_wrong_values_are_one_kind_whatever_bound_shows_them_and_refusals_differ_by_their_words() -> None:
    def kind(outcome: Outcome, reason: str = "", message: str = "", direction: str = "forward") -> Kind:
        return Kind.of(_check(outcome=outcome, reason=reason, message=message, direction=direction))

    assert kind(Outcome.FAIL, "bound A") == kind(Outcome.FAIL, "exactness")
    assert kind(Outcome.FAIL, "bound A") != kind(Outcome.FAIL, "bound B")
    assert kind(Outcome.FAIL, "bound A") != kind(Outcome.FAIL, "bound A", direction="grad_input")
    assert kind(Outcome.ERROR, "", "ValueError: size 5") == kind(Outcome.ERROR, "", "ValueError: size 17")
    assert kind(Outcome.ERROR, "", "ValueError: size") != kind(Outcome.ERROR, "", "TypeError: size")
    both = [kind(Outcome.CRASH, "", "killed", direction) for direction in ("grad_input", "grad_weight")]
    assert both[0] == both[1]


def _check(**more: Any) -> Check:
    keys = ("suite", "case", "problem", "source", "title", "operation")
    rest = {"direction": "forward", "dtype": "float32", "framework": "f", "mode": "eager", "device": "cpu"}
    return Check(**dict.fromkeys(keys, ""), **{**rest, "arithmetic": "strict", **more})


def hunted(adapter: str, results: Path, *more: object, problems: int = 40) -> dict[str, Any]:
    """What a hunt of an adapter of this folder says as JSON, with its exit code checked."""
    module = "mutants" if adapter in ("DroppedBias", "BrokenInstall", "OnlyDouble") else "quarry"
    arguments = ("-f", adapter, "--adapter", f"{adapter}={module}:{adapter}", "--results", results, "--json")
    result = invoke("hunt", *arguments, "--problems", problems, *more)
    said: dict[str, Any] = json.loads(result.stdout)
    assert result.exit_code == said["exit"], result.stderr
    return said


def test_a_hunt_that_finds_nothing_ends_with_zero_and_leaves_an_ordinary_run(tmp_path: Path) -> None:
    result = invoke("hunt", "-f", "numpy", "--problems", 60, "--seed", 4, "--results", tmp_path)
    assert result.exit_code == Exit.OK, result.stdout
    assert "numpy: 60 of 60 problems, " in result.stdout
    assert "found: 0; run folder: " in result.stdout
    run = store.load(tmp_path / "latest")
    assert (run.info["finished"], run.info["hunt"]) == (True, {"seed": 4, "first": 0, "dtypes": list(BOTH)})
    assert len(set(run.checks["problem"])) == run.info["asked"]["numpy"] == 60
    assert set(run.checks["outcome"]) <= {"pass", "mistrusted"}
    assert run.info["totals"]["pass"] >= 0.9 * len(run.checks)
    kept = {digest for arrays in run.checks["arrays"] for digest in json.loads(arrays).values()}
    assert set(run.arrays["digest"]) == kept
    assert set(run.checks[run.checks["arrays"] != "{}"]["outcome"]) <= {"mistrusted"}
    assert not (run.folder / "found.yaml").exists()
    assert invoke("report", run.folder).exit_code == Exit.OK


def test_a_defect_is_found_shrunk_and_kept_as_a_case_that_fails_by_itself(tmp_path: Path) -> None:
    said = hunted("ForgetsStride", tmp_path)
    assert said["exit"] == Exit.NOT_CONFORMANT
    assert {find["direction"] for find in said["found"]} == {"forward"}
    assert {find["dtype"] for find in said["found"]} == set(BOTH)
    for find in said["found"]:
        case = find["case"]
        assert (find["shrunk"], find["failed"], find["outcome"]) == (True, 3, "fail")
        assert case["geometry"] == {"stride": 2}
        assert case["x"]["shape"] == [2, 1, 1]
        assert case["w"]["shape"] == [1, 1, 1]
        assert len(find["problems"]) >= 3
    file = tmp_path / "latest" / "found.yaml"
    assert lint(file) == []
    assert [dict(case) for case in load_suite(file).cases] == [find["case"] for find in said["found"]]
    target = ("--adapter", "ForgetsStride=quarry:ForgetsStride", "--results", tmp_path / "again", "--no-report")
    again = invoke("run", file, "-f", "numpy", "-f", "ForgetsStride", *target, "--json")
    assert again.exit_code == Exit.NOT_CONFORMANT
    assert (json.loads(again.stdout)["total"], json.loads(again.stdout)["passed"]) == (4, 2)
    shown = invoke("explain", tmp_path / "latest", said["found"][0]["problem"])
    assert shown.exit_code == Exit.OK
    assert "fail (exactness)" in shown.stdout
    assert f"again: crosscorrect run found.yaml -k '{said['found'][0]['problem']}'" in shown.stdout
    first = said["found"][0]["problems"][0]
    shown = invoke("explain", tmp_path / "latest", first)
    assert f"again: crosscorrect hunt -k '{first}' -f ForgetsStride" in shown.stdout
    once = hunted("ForgetsStride", tmp_path / "once", "-k", first, "--no-shrink")
    assert once["outcomes"] == {"ForgetsStride": {"fail": once["outcomes"]["ForgetsStride"]["fail"], **_rest(once)}}
    assert [find["problems"] for find in once["found"]] == [[first]]
    assert not once["found"][0]["shrunk"]


def _rest(said: dict[str, Any]) -> dict[str, int]:
    return {name: count for name, count in said["outcomes"]["ForgetsStride"].items() if name != "fail"}


def test_a_person_sees_each_find_with_its_case_and_what_to_do_next(tmp_path: Path) -> None:
    target = ("-f", "DroppedBias", "--adapter", "DroppedBias=mutants:DroppedBias")
    result = invoke("hunt", *target, "--problems", 30, "--dtype", "float64", "--results", tmp_path)
    assert result.exit_code == Exit.NOT_CONFORMANT
    shown = result.stdout
    assert "1. DroppedBias eager forward float64: fail (exactness), hunt/0-" in shown
    assert "cause: " in shown
    assert "bias" in shown.partition("cause: ")[2].partition("\n")[0]
    assert "    b: {fill: codes}\n" in shown
    assert "\nDroppedBias: 30 of 30 problems, " in shown
    assert "again: crosscorrect run " in shown
    assert "DroppedBias: eager forward float64: fail" in result.stderr


def test_a_refusal_is_counted_and_no_find(tmp_path: Path) -> None:
    said = hunted("RefusesGroups", tmp_path)
    assert (said["exit"], said["found"]) == (Exit.OK, [])
    assert said["outcomes"]["RefusesGroups"]["unsupported"] >= 5
    said = hunted("OnlyDouble", tmp_path, problems=4)
    assert said["outcomes"]["OnlyDouble"]["unsupported"] >= 2


def test_a_hunt_in_which_all_is_refused_ran_nothing(tmp_path: Path) -> None:
    assert hunted("OnlyDouble", tmp_path, "--dtype", "float32", problems=3)["exit"] == Exit.NOTHING_RAN


def test_a_framework_that_does_not_start_makes_the_hunt_incomplete(tmp_path: Path) -> None:
    said = hunted("BrokenInstall", tmp_path)
    assert said["exit"] == Exit.INCOMPLETE
    assert "libbroken.so.1" in said["missing"]["BrokenInstall"]


def test_what_the_expectations_list_is_no_find(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(
        "crosscorrect: 1\nframework: ForgetsStride\nversions: ''\n"
        "expect:\n- {problems: 'hunt/*', outcome: fail, reason: It forgets.}\n",
        encoding="utf-8",
    )
    said = hunted("ForgetsStride", tmp_path / "results", "--expectations", tmp_path)
    assert (said["exit"], said["found"]) == (Exit.OK, [])
    assert said["outcomes"]["ForgetsStride"]["fail"] >= 3


def test_a_failure_that_needs_its_very_numbers_keeps_them_in_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    problem = Problems(0, 1, ("float64",))[0]
    name = next(n for n in range(50) if "normal" in str(Problems(0, 50, ("float64",))[n].arrays))
    problem = Problems(0, 50, ("float64",))[name]
    monkeypatch.setenv("TORCH_PICKY", repr(float(problem.inputs()["x"].flat[0])))  # workers are given names like this
    said = hunted("Picky", tmp_path, "--dtype", "float64", "-k", problem.id)
    (find,) = said["found"]
    assert (find["shrunk"], find["failed"]) == (False, 3)
    assert "its very numbers" in find["note"]
    file = tmp_path / "latest" / "found.yaml"
    assert lint(file) == []
    (kept,) = load_suite(file).problems()
    for key, array in problem.inputs().items():
        assert (kept.inputs()[key] == array).all()


def test_a_failure_that_does_not_come_again_is_kept_and_called_so(tmp_path: Path) -> None:
    said = hunted("Moody", tmp_path, problems=20)
    (find,) = said["found"]
    assert (find["shrunk"], find["failed"]) == (False, 0)
    assert "run again it does not fail" in find["note"]


@pytest.mark.usefixtures("impatient")
def test_a_worker_that_dies_is_a_find_and_the_hunt_goes_on(tmp_path: Path) -> None:
    said = hunted("DiesOfDilation", tmp_path, "--dtype", "float32", problems=8)
    (find,) = said["found"]
    assert (find["outcome"], find["shrunk"], find["case"]["geometry"]) == ("crash", True, {"dilation": 2})
    assert said["asked"] == {"DiesOfDilation": 8}
    assert said["outcomes"]["DiesOfDilation"]["pass"] > 3


def test_no_problem_begins_after_the_time_is_over(tmp_path: Path) -> None:
    said = hunted("ForgetsStride", tmp_path, "--time", 1e-6)
    assert (said["asked"], said["exit"]) == ({}, Exit.NOTHING_RAN)


def test_what_was_found_until_an_interruption_stays(tmp_path: Path) -> None:
    def interrupt(_plan: Any, hunted: Hunted, event: Any) -> None:
        if isinstance(event, Find):
            heard.append(hunted)
            raise KeyboardInterrupt

    heard: list[Hunted] = []
    with pytest.raises(KeyboardInterrupt):
        hunt(
            Problems(0, 500),
            ["ForgetsStride"],
            adapters={"ForgetsStride": "quarry:ForgetsStride"},
            results=tmp_path,
            on_event=interrupt,
        )
    (known,) = heard
    assert 1 <= known.asked["ForgetsStride"] < 100
    file = tmp_path / "latest" / "found.yaml"
    assert lint(file) == []
    assert len(load_suite(file).cases) >= 1
    assert not store.load(tmp_path / "latest").info["finished"]


def test_two_hunts_of_one_seed_are_one_hunt_and_another_seed_is_another(tmp_path: Path) -> None:
    said = [hunted("ForgetsStride", tmp_path / str(n), "--seed", seed, problems=12) for n, seed in enumerate((3, 3, 5))]
    runs = [store.load(tmp_path / str(place) / "latest") for place in range(3)]
    digests = [list(run.checks["output_digest"]) for run in runs]
    assert digests[0] == digests[1] != digests[2]
    assert [find["case"] for find in said[0]["found"]] == [find["case"] for find in said[1]["found"]]


def test_drafts_differ_where_they_say_so() -> None:
    assert replace(BIG, spelling="native").features == BIG.features - {"apart"}
