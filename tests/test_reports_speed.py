"""The section on speed of a timed run's page: its figures are the run's tables, and it is whole where one is empty."""

from __future__ import annotations

import json
import math
import re
import xml.etree.ElementTree as ET
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("scipy", reason="SciPy is not installed here: pip install 'crosscorrect[bench]'")

from crosscorrect import gate, store, tables
from crosscorrect.speed import cold, ratios, roofline
from crosscorrect.speed.judgement import Facts, Rule, judge
from crosscorrect.speed.model import RANKS, Phase, Role, Sample, Speed, Who
from crosscorrect.speed.sampling import OTHERS, TIMED
from crosscorrect.speed.work import Work
from crosscorrect_reports import (
    compared,
    drawing,
    families,
    forest,
    frames,
    gates,
    page,
    roofs,
    rounds,
    sentinel,
    speed_page,
    speeds,
    starts,
    sweeps,
    timed,
)
from simulated import CALL, COLUMNS, JAX, REFERENCE, TWIN, facts, machine

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

TF, MXNET = Who("tensorflow", "eager", "cpu"), Who("mxnet", "eager", "cpu")
HOSTILE = '<script>alert(1)</script>"><img src=x onerror=alert(2)>]]>\x1b[31m|`a`|$x^2$ \u202e 日本'
PROBLEMS = ("s/size@n=7", "s/size@n=14", "s/size@n=28", "s/size@n=56")
SMALL = (16, 16, 3, 3)
WORK = Work(2_000_000, 2_400_000, 100_000)


def about(problem: str, **more: Any) -> dict[str, Any]:
    suite, _, case = problem.partition("@")[0].partition("/")
    plain = {**dict.fromkeys(tables.COLUMNS["problems"], ""), "show": False, "invalid": False}
    return {**plain, "problem": problem, "suite": suite, "case": case, "title": "A title", "geometry": "null", **more}


def convolution(problem: str, x: Iterable[int], w: Iterable[int], stride: int = 1) -> dict[str, Any]:
    geometry = {"stride": [stride, stride], "padding": [[1, 1], [1, 1]], "dilation": [1, 1], "groups": 1}
    arrays = {"x": {"fill": "normal", "shape": [*x]}, "w": {"fill": "normal", "shape": [*w]}}
    texts = {"geometry": json.dumps(geometry), "arrays": json.dumps(arrays), "settings": "{}", "expect": "null"}
    return about(problem, operation="conv2d", dtype="float32", **texts)


def run_of(
    results: Path,
    samples: pd.DataFrame,
    *,
    problems: Iterable[Mapping[str, Any]] = (),
    events: Iterable[Mapping[str, Any]] = (),
    is_cold: bool = False,
    is_finished: bool = True,
    restarts: int = 5,
    frameworks: Iterable[str] = ("torch", "jax", "tensorflow", "mxnet"),
    known: Facts | None = None,
    machine_says: Mapping[str, str] | None = None,
) -> store.Run:
    """A timed run of these samples, judged as ``known`` says."""
    budget = {"restarts": restarts, "rounds": 120, "seconds": 1.0, "least": 8}
    asked = {"reference": "torch", "mode": "eager", "device": "cpu", "cpus": [1], "threads": 1, "cold": is_cold}
    info = {"frameworks": list(frameworks), "arithmetic": "strict", "bench": {**asked, "budget": budget}}
    folder = store.create(results, "run", info)
    segment = store.Segment(folder)
    named = dict.fromkeys(samples["problem"])
    given = {row["problem"]: row for row in problems}
    for problem in (name for name in named if name):
        segment.write("problems", given.get(problem) or about(problem))
    for key, value in (machine_says or {}).items():
        segment.write("env", {"framework": "", "section": "machine", "key": key, "value": value})
    for event in events:
        segment.write("events", event)
    for row in samples.to_dict("records"):
        segment.write("samples", row)
    if is_finished:
        found = judge(samples, known or facts(restarts=restarts), Rule())
        for table, rows in zip(("measurements", "verdicts"), found, strict=True):
            for row in rows if table == "measurements" or not is_cold else ():
                segment.write(table, tables.row_record(row))
    segment.close()
    if is_finished:
        store.seal(folder)
    return store.load(folder)


def of(run: store.Run) -> timed.Timed:
    found = timed.of(run)
    assert found is not None
    return found


def section_text(run: store.Run) -> str:
    """The section as the page has it."""
    made = speed_page.speed_section(run)
    return page.environment().get_template("speed.html").render(speed=made)


def parsed(drawn: str) -> ET.Element:
    return ET.fromstring(drawn.replace("xlink:", ""))  # noqa: S314  our own drawing; a page has that name space


def groups(figure: drawing.Figure) -> dict[str, ET.Element]:
    """What a pointer is told, to the group that it is over."""
    found = {}
    for group in parsed(str(figure.drawing)).iter("g"):
        title = group.find("title")
        if title is not None:
            found[title.text or ""] = group
    return found


def event(what: str, message: str, share: float, restart: int = 0, problem: str = "p") -> dict[str, Any]:
    detail = json.dumps({"part": "forward", "restart": restart, "share": share})
    empty = {"framework": "", "mode": "", "device": ""}
    return {**empty, "what": what, "problem": problem, "message": message, "detail": detail}


def ceilings(restarts: int = 3) -> pd.DataFrame:
    """Samples of products and copies: 100 GFLOP/s and 50 GB/s, a little less in each later restart."""
    rows = []
    for restart in range(restarts):
        slower = 1 + 0.02 * restart
        for role, part, work, rate in (
            (Role.COMPUTE, roofline.part_of(roofline.MULTIPLY, 256), 2 * 256**3, 100e9),
            (Role.STREAMING, roofline.part_of(roofline.COPY, 2**16), 2 * 2**16, 50e9),
            (Role.STREAMING, roofline.part_of(roofline.COPY, 2**25), 2 * 2**25, 20e9),
        ):
            wall = int(work / rate * 1e9 * slower)
            plain = dict.fromkeys(COLUMNS, 0)
            who = {"framework": "numpy", "mode": "eager", "device": "cpu", "role": role, "phase": Phase.STEADY}
            where = {"problem": "", "part": part, "restart": restart, "calls": 1, "wall": wall, "cpu": wall}
            rows += [{**plain, **who, **where, "round": number} for number in range(3)]
    return pd.DataFrame(rows)[COLUMNS]


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> timed.Timed:
    """Four problems that vary the size of the image: JAX slower, then faster; TensorFlow the same; MXNet waits."""
    parts = []
    for number, (problem, ratio) in enumerate(zip(PROBLEMS, (1.5, 1.2, 0.8, 0.6), strict=True)):
        arms = {JAX: ratio, TF: 1.0, MXNET: 1.06}
        waiting = {MXNET: 0.6} if number == 3 else None
        parts.append(machine(arms, seed=number, problems=(problem,), waiting=waiting, process=0.003))
    sizes = (7, 14, 28, 56)
    problems = [convolution(p, (1, 16, n, n), (16, 16, 3, 3)) for p, n in zip(PROBLEMS, sizes, strict=True)]
    known = facts(work={(problem, "forward"): WORK for problem in PROBLEMS})
    samples = pd.concat([*parts, ceilings()], ignore_index=True)
    events = [event(TIMED, "", 0.0, problem=problem) for problem in PROBLEMS]
    return of(run_of(tmp_path_factory.mktemp("sweep"), samples, problems=problems, known=known, events=events))


def test_a_run_that_is_not_timed_says_nothing_of_speed(tmp_path: Path) -> None:
    folder = store.create(tmp_path, "run", {"frameworks": [], "suites": []})
    store.seal(folder)
    assert speed_page.speed_section(store.load(folder)) is None


def test_the_strip_counts_each_comparison_once_and_says_how_many_were_asked(sweep: timed.Timed) -> None:
    made = speed_page.speed_section(sweep.run)
    assert made is not None
    table = sweep.run.verdicts
    for tally in made.tallies:
        own = table[(table["framework"] == tally.name) & (table["role"] == Role.ARM)]["speed"]
        assert tally.counts == {str(speed): int((own == speed).sum()) for speed in Speed}
    assert {tally.name for tally in made.tallies} == {"jax", "tensorflow", "mxnet"}
    ranked = int(table[table["role"] == Role.ARM]["speed"].isin(RANKS).sum()) - len(PROBLEMS)  # its own rows
    assert made.headline == f"12 of 12 comparisons with torch were measured, {ranked} of them are ranked."
    assert ("margin", "±3 %: what differs by less is equivalent") in made.about
    assert "crosscorrect speed results/run --margin 0.05" in made.commands


def test_the_data_of_the_forest_plot_are_the_verdicts(sweep: timed.Timed) -> None:
    rows = [dict(zip(figure.columns, row, strict=True)) for figure in forest.forests(sweep) for row in figure.rows]
    told = {(row["problem"], row["framework"]): row for row in rows}
    others = [row for row in sweep.told.values() if not speeds.is_reference(row)]
    for row in others:
        name = f"{row.framework} {row.mode} {row.device}" + (" (twin)" if row.role is Role.TWIN else "")
        shown = told[row.problem, name]
        assert shown["verdict"] == row.speed
        assert shown["reason"] == row.message
        for column in ("ratio", "low", "high"):
            value = getattr(row, column)
            assert shown[column] == ("" if value is None else speeds.interval(value, row.low, row.high).split()[0])
    means = [row for row in rows if row["part"].startswith("geometric mean")]
    assert len(rows) == len(others) + len(means)


def test_a_mark_is_filled_where_it_ranks_hollow_where_nobody_knows_and_a_cross_where_there_is_no_ratio(
    sweep: timed.Timed,
) -> None:
    found = {said: group for figure in forest.forests(sweep) for said, group in groups(figure).items()}
    colours = sweep.looks
    kinds = set()
    for row in sweep.compared:
        (drawn,) = (g for said, g in found.items() if said.startswith(f"{row.problem} {row.part}, {row.framework} "))
        text = ET.tostring(drawn, encoding="unicode")
        marker = re.findall(r'<use [^>]*style="([^"]*)"', text)
        assert len(marker) == 1  # one mark each
        colour = colours[row.framework][0]
        fill = "var(--paper)" if row.speed is Speed.INCONCLUSIVE else colour
        assert f"fill: {fill}" in marker[0]
        assert ("clip-path" in text) == (row.ratio is not None)  # a cross stands in the lane beside the axis
        kinds.add(row.speed)
    assert {Speed.FASTER, Speed.SLOWER, Speed.UNFIT} <= kinds


def test_what_is_inconclusive_is_drawn_hollow(tmp_path: Path) -> None:
    found = of(run_of(tmp_path, machine({JAX: 1.03}, process=0.02)))
    (row,) = found.compared
    assert row.speed is Speed.INCONCLUSIVE
    (figure,) = forest.forests(found)
    (drawn,) = (group for said, group in groups(figure).items() if ", jax " in said)
    assert "fill: var(--paper)" in ET.tostring(drawn, encoding="unicode")
    assert row.message in next(said for said in groups(figure) if ", jax " in said)


@pytest.mark.parametrize("margin", [0.03, 0.2])
def test_the_band_is_the_margin_and_the_axis_is_symmetric_about_1(margin: float) -> None:
    from matplotlib.figure import Figure

    axes = Figure().add_subplot()
    reach = forest.reach_of([0.5, 1.1, math.inf, 0.0, None], margin)
    axes.set_xlim(-reach, reach)
    forest._ground(axes, [], margin, reach)
    (band,) = axes.patches
    box = band.get_extents().transformed(axes.transData.inverted())
    assert (box.x0, box.x1) == pytest.approx((-math.log1p(margin), math.log1p(margin)))
    ticks = sorted(axes.get_xticks())
    assert ticks == pytest.approx([-tick for tick in reversed(ticks)])
    assert 0.0 in ticks
    assert reach > math.log(2)


def test_the_mean_of_a_case_is_over_the_restarts_in_which_all_of_it_counts(sweep: timed.Timed) -> None:
    told = {family.who: family for family in families.families(sweep)["s/size"]}
    assert set(told) == {JAX, TF}  # of MXNet one problem was not fit
    restarts = []
    for restart in range(5):
        logs = []
        for problem in PROBLEMS:
            trial = sweep.trials[problem, "forward"][restart]
            kept = sweep.kept(trial, JAX)
            logs.append(ratios.logs(trial.arms[JAX].times[kept], trial.arms[REFERENCE].times[kept]))
        restarts.append(logs)
    assert told[JAX].ratio == ratios.geometric_mean(restarts)
    product = math.prod(sweep.told[(problem, "forward"), JAX].ratio or 0.0 for problem in PROBLEMS)
    assert told[JAX].ratio.value == pytest.approx(product**0.25, rel=1e-6)


def test_a_restart_in_which_one_problem_is_not_fit_is_in_no_mean(tmp_path: Path) -> None:
    samples = machine({JAX: 0.8}, problems=("s/c@n=1", "s/c@n=2"))
    slow = (samples["problem"] == "s/c@n=2") & (samples["restart"] == 3) & (samples["framework"] == "jax")
    samples.loc[slow & (samples["round"] % 3 > 0), ["wall", "cpu"]] *= 2  # a second speed, and nobody waits
    found = of(run_of(tmp_path, samples))
    (family,) = families.families(found)["s/c"]
    assert [len(found.fit((problem, "forward"), JAX)) for problem in ("s/c@n=1", "s/c@n=2")] == [5, 4]
    assert family.ratio.restarts == 4
    assert family.ratio.value == pytest.approx(0.8, rel=0.03)


def test_a_case_of_one_problem_has_no_mean(tmp_path: Path) -> None:
    assert not families.families(of(run_of(tmp_path, machine({JAX: 0.8}))))


def test_without_scipy_the_figures_are_there_and_the_means_are_not(
    sweep: timed.Timed, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "crosscorrect.speed.ratios", None)
    monkeypatch.delattr("crosscorrect.speed.ratios")
    assert not families.families(sweep)
    assert forest.forests(sweep)
    text = section_text(sweep.run)
    assert "SciPy is not installed here" in text
    assert "geometric mean of 4" not in text


def test_a_long_run_is_cut_between_cases_and_every_comparison_is_drawn_once(tmp_path: Path) -> None:
    names = tuple(f"s/case{n // 6}@k={n}" for n in range(48))
    found = of(run_of(tmp_path, machine({JAX: 0.8, TF: 1.5}, problems=names, restarts=2, rounds=10), restarts=2))
    figures = forest.forests(found)
    assert len(figures) > 1
    drawn = [said for figure in figures for said in groups(figure) if not said.startswith("geometric")]
    assert len(drawn) == len(set(drawn)) == 48 * 3  # two arms and the twin
    cases = [{row[0].partition("@")[0] for row in figure.rows if "@" in row[0]} for figure in figures]
    assert sum(map(len, cases)) == len(set().union(*cases)) == 8


def test_every_figure_says_its_finding_in_its_name(sweep: timed.Timed) -> None:
    figure = forest.forests(sweep)[0]
    title = parsed(str(figure.drawing)).find("title")
    assert title is not None
    assert title.text is not None
    counts = [row.speed for row in sweep.compared if row.framework == "jax"]
    assert f"jax {counts.count(Speed.FASTER)} faster, {counts.count(Speed.SLOWER)} slower" in title.text


def test_times_grow_along_the_one_thing_that_is_varied(sweep: timed.Timed) -> None:
    (found,) = sweeps.sweeps(sweep)
    assert (found.axis, [value for value, _ in found.points]) == ("image", [7, 14, 28, 56])
    (figure,) = sweeps.scaling(sweep)
    assert "jax is slower than torch up to 14 and faster from 28 side of the image on" in figure.lead
    for row in figure.rows:
        shown = dict(zip(figure.columns, row, strict=True))
        problem = PROBLEMS[[7, 14, 28, 56].index(int(shown["value"]))]
        own = sweep.run.measurements
        own = own[(own["problem"] == problem) & (own["framework"] == shown["framework"]) & (own["role"] == Role.ARM)]
        factor = {"ns": 1e9, "µs": 1e6, "ms": 1e3}[shown["unit"]]
        assert float(shown["least"]) == pytest.approx(own["seconds"].min() * factor, rel=0.01)
        assert float(shown["most"]) == pytest.approx(own["seconds"].max() * factor, rel=0.01)
        assert float(shown["time"]) == pytest.approx(own["seconds"].median() * factor, rel=0.01)
    assert len(figure.rows) == 4 * 4


@pytest.mark.parametrize(
    "shapes",
    [
        [
            ((1, 16, 7, 7), (16, 16, 3, 3), 1),
            ((2, 16, 14, 14), (16, 16, 3, 3), 1),
            ((4, 16, 28, 28), (16, 16, 3, 3), 1),
        ],
        [
            ((1, 16, 7, 7), (16, 16, 3, 3), 1),
            ((1, 16, 14, 14), (16, 16, 3, 3), 2),
            ((1, 16, 28, 28), (16, 16, 3, 3), 1),
        ],
        [((1, 16, 7, 7), (16, 16, 3, 3), 1), ((1, 16, 7, 7), (16, 16, 3, 3), 2), ((1, 16, 7, 7), (16, 16, 3, 3), 3)],
        [((1, 16, 7, 7), (16, 16, 3, 3), 1), ((1, 16, 7), (16, 16, 3), 1), ((1, 16, 9, 9), (16, 16, 3, 3), 1)],
    ],
)
def test_where_two_things_vary_or_none_that_is_a_size_there_is_no_line(tmp_path: Path, shapes: Any) -> None:
    names = [f"s/c@k={n}" for n in range(len(shapes))]
    problems = [convolution(name, *shape) for name, shape in zip(names, shapes, strict=True)]
    samples = machine({JAX: 0.8}, problems=tuple(names), restarts=2, rounds=10)
    assert not sweeps.scaling(of(run_of(tmp_path, samples, problems=problems, restarts=2)))


def test_the_roofline_has_each_rate_with_its_bar_and_its_ceilings_own_interval(sweep: timed.Timed) -> None:
    (figure,) = roofs.rooflines(sweep)
    assert len(figure.rows) == 4 * 4
    for row in figure.rows:
        shown = dict(zip(figure.columns, row, strict=True))
        own = sweep.run.verdicts
        own = own[(own["problem"] == shown["problem"]) & (own["framework"] == shown["framework"])]
        (verdict,) = own[own["role"] == Role.ARM].itertuples()
        assert float(shown["GFLOP/s"]) == pytest.approx(WORK.flops / verdict.seconds / 1e9, rel=0.01)
        assert float(shown["least"]) <= float(shown["GFLOP/s"]) <= float(shown["most"])
        assert float(shown["FLOP a byte"]) == WORK.flops / WORK.bytes
        assert float(shown["share"].split()[0]) == pytest.approx(100 * verdict.attainable, rel=0.01)
        assert float(shown["attainable GFLOP/s"]) == pytest.approx(100, rel=0.01)
    assert "The peak was 100.0 [96.2, 100.0] GFLOP/s." in figure.lead
    assert "No speed is doubted." in figure.lead


def test_a_speed_above_the_roofline_is_ringed_and_said(tmp_path: Path) -> None:
    samples = pd.concat([machine({JAX: 0.8}), ceilings()], ignore_index=True)
    known = facts(work={("p", "forward"): Work(50_000_000, 50_000_000, 100_000)})
    found = of(run_of(tmp_path, samples, known=known))
    (figure,) = roofs.rooflines(found)
    assert "2 speeds doubted." in figure.lead
    assert sum("either not all is computed" in said for said in groups(figure)) == 2
    assert [why for _, why in rounds.interesting(found)] == ["the speed of torch, jax is doubted"]


def test_sample_by_sample_the_unfit_come_first_and_the_data_are_the_measurements(sweep: timed.Timed) -> None:
    shown = rounds.interesting(sweep)
    assert shown[0][0].key == (PROBLEMS[3], "forward")
    assert "not fit to compare mxnet" in shown[0][1]
    figure = rounds.strips(sweep)[0]
    table = sweep.run.measurements
    own = table[table["problem"] == PROBLEMS[3]]
    assert len(figure.rows) == len(own)
    for row in figure.rows:
        told = dict(zip(figure.columns, row, strict=True))
        role = Role.TWIN if "(twin)" in told["framework"] else Role.ARM
        (measured,) = own[
            (own["framework"] == told["framework"].split()[0])
            & (own["role"] == role)
            & (own["restart"] == int(told["restart"]) - 1)
        ].itertuples()
        assert (told["rounds"], told["kept"]) == (str(measured.rounds), str(measured.kept))
        assert told["complaint"] == measured.complaint
        assert told["5 % quantile"] == speeds.duration(measured.fast)
    assert any(told.startswith("mxnet: mxnet waited") for told in groups(figure))


def test_every_sample_is_drawn_and_every_round_that_waited_is_marked(tmp_path: Path) -> None:
    found = of(run_of(tmp_path, machine({JAX: 0.8}, waiting={JAX: 0.2}, restarts=2, rounds=40), restarts=2))
    (figure,) = rounds.strips(found)
    drawn = str(figure.drawing)
    points = [path for path in re.findall(r'<path d="([^"]*)"[^>]*stroke-linecap: round', drawn) if "Z" not in path]
    assert sum(path.count("M") for path in points) == 3 * 2 * 40  # torch, its twin, jax
    samples = found.run.samples
    waited = samples[(samples["wall"] > 1.15 * samples["cpu"]) & (samples["framework"] == "jax")]
    colour = found.looks["jax"][0]
    strokes = re.findall(rf'<path d="M [\d.]+ [\d.]+ L [\d.]+ [\d.]+ "[^>]*stroke: {colour}; stroke-width: 0.8', drawn)
    assert len(waited) > 5
    assert len(strokes) == len(waited)


def test_cold_starts_are_told_phase_by_phase_and_where_one_has_paid_off(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = []
    for restart in range(3):
        for who, once, steady in (
            (REFERENCE, {Phase.IMPORT: 1.0, Phase.PUT: 0.001, Phase.FIRST: 0.01}, 1e-3),
            (
                Who("jax", "compiled", "cpu"),
                {Phase.IMPORT: 1.0, Phase.PUT: 0.001, Phase.TRACE: 0.1, Phase.COMPILE: 0.5, Phase.FIRST: 0.7},
                1e-4 * (1 + restart),
            ),
        ):
            plain = {**dict.fromkeys((f.name for f in fields(Sample)), 0), **who._asdict(), "restart": restart}
            plain |= {"problem": "p", "part": "forward"}
            rows += [{**plain, "phase": p, "round": -1, "calls": 1, "wall": int(t * 1e9)} for p, t in once.items()]
            rows += [
                {**plain, "phase": Phase.STEADY, "round": n, "calls": 10, "wall": int(steady * 1e10), "cpu": 10**6}
                for n in range(3)
            ]
    run = run_of(tmp_path, pd.DataFrame(rows)[COLUMNS], is_cold=True, restarts=3)
    found = of(run)
    (figure,) = starts.cold_starts(found)
    told = {(row[0], row[1]): row[2:] for row in figure.rows}
    for start in cold.starts(run.samples):
        for phase, times in start.phases.items():
            assert told[start.who.name, str(phase)] == [speeds.duration(value) for value in times]
        assert told[start.who.name, "steady"] == [speeds.duration(value) for value in start.steady]
        assert told[start.who.name, "until the first answer"][0] == speeds.duration(start.total(1))
    # 0.69 seconds later, saved at 0.9, 0.8 and 0.7 ms a call
    assert "jax compiled overtakes torch after about 860 calls [770, 990]." in figure.lead
    assert told["jax compiled overtakes torch", "calls"] == ["860", "770", "990"]
    assert "860 calls" in str(figure.drawing)
    text = section_text(run)
    assert "Nothing is ranked" in text
    assert "speed-comparisons" not in text


def test_who_never_pays_off_is_said_so() -> None:
    crossing = starts.Crossing(REFERENCE, JAX, None, [None, None])
    assert starts._crossing_row(crossing) == ["jax overtakes torch", "calls", "never", "", ""]
    assert starts._crossing_row(crossing._replace(calls=120, restarts=[100, None]))[2:] == ["120", "100", "never"]


def test_a_fit_machine_is_said_to_be_fit_and_a_gate_that_did_not_hold_has_a_remedy(tmp_path: Path) -> None:
    good = gates.panel(of(run_of(tmp_path / "a", machine({JAX: 0.8}))))
    assert (good.state, [gate.meaning for gate in good.gates if gate.over]) == ("good", [])
    assert good.counted == "15 of 15 measurements count"
    bad = gates.panel(of(run_of(tmp_path / "b", machine({JAX: 0.8}, waiting={JAX: 0.4}))))
    assert bad.state == "bad"
    waited = bad.gates[0]
    assert (waited.over, waited.total) == (5, 15)
    assert "stop it" in waited.remedy
    text = section_text(of(run_of(tmp_path / "c", machine({JAX: 0.8}, waiting={JAX: 0.4}))).run)
    assert waited.remedy in text
    assert "5 of 15 measurements over the limit" in text


def test_workers_are_told_with_what_their_samples_have(sweep: timed.Timed) -> None:
    told = {worker.name: worker for worker in gates.panel(sweep).workers}
    assert set(told) == {
        "torch",
        "jax",
        "tensorflow",
        "mxnet",
        "torch (twin)",
        "sentinel, compute",
        "sentinel, streaming",
    }
    assert told["jax"].observed.startswith("1.00 [")
    assert (told["jax"].asked, told["jax"].restarts, told["jax"].state) == ("1", 20, "good")
    waiting = sweep.run.measurements
    worst = waiting[(waiting["framework"] == "mxnet")]["waiting"].max()
    assert told["mxnet"].late.endswith(f"{worst:.2f}]")
    assert (told["mxnet"].left_out, told["mxnet"].state) == (5, "bad")


def test_others_at_work_are_named_with_how_often_and_how_much_whatever_their_names(tmp_path: Path) -> None:
    said = "a, b (7) (12) used 99% of a core, make (13) used 20% of a core, the host took 4% of a processor"
    events = [event(OTHERS, said, 0.2), event(OTHERS, "make (14) used 60% of a core", 0.02, restart=1)]
    found = gates.panel(of(run_of(tmp_path, machine({JAX: 0.8}), events=events)))
    assert found.users == [("make", 2, 60), ("a, b (7)", 1, 99)]
    assert found.stolen == "1 of 5 restarts, up to 4 % of a processor"
    (occupied,) = (gate for gate in found.gates if "others used" in gate.name)
    assert (occupied.over, occupied.total) == (1, 5)


def test_the_sentinel_is_drawn_restart_after_restart_in_the_order_of_its_samples(tmp_path: Path) -> None:
    found = of(run_of(tmp_path, machine({JAX: 0.8}, problems=("b", "a"), drift=0.3)))
    (figure,) = sentinel.timeline(found)
    assert [row[:2] for row in figure.rows][::2] == [[str(n), p] for n in range(1, 6) for p in ("b", "a")]
    assert len(figure.rows) == 2 * 5 * 2
    step = float(figure.rows[0][list(figure.columns).index("step")].split()[0])
    assert 5 < step < 40


def test_the_table_has_every_comparison_with_times_in_one_unit_a_case(sweep: timed.Timed) -> None:
    (table,) = compared.compared(sweep)
    assert len(table.rows) == len(sweep.told)
    assert {row.time.rpartition(" ")[2] for row in table.rows} == {table.unit}
    rows = {(row.problem, row.who): row for row in table.rows}
    for (key, who), verdict in sweep.told.items():
        row = rows[" ".join(key), who.name]
        assert row.ratio == speeds.interval(verdict.ratio, verdict.low, verdict.high)
        assert row.speed in ("", str(verdict.speed))
        factor = {"µs": 1e6, "ms": 1e3}[table.unit]
        assert float(row.time.split()[0]) == pytest.approx((verdict.seconds or 0.0) * factor, rel=0.01)
        if verdict.speed in (Speed.UNFIT, Speed.INCONCLUSIVE) and who.role is Role.ARM:
            assert row.reason == verdict.message
    assert rows[f"{PROBLEMS[0]} forward", "torch"].reason == "the reference"
    counts = pd.Series([str(row.speed) for row in sweep.compared]).value_counts()
    assert table.counts == ", ".join(f"{counts[speed]} {speed}" for speed in Speed if speed in counts)
    text = section_text(sweep.run)
    for row in table.rows:
        assert f'<td class="n">{row.time}</td>' in text


@pytest.mark.parametrize(
    ("value", "low", "high", "said"),
    [
        (1.507, 1.491, 1.523, "1.507 [1.491, 1.523]"),
        (120.4, 104.2, 139.1, "120 [104, 139]"),
        (0.000512, 0.000497, 0.000531, "0.000512 [0.000497, 0.000531]"),
        (1.02, 0.0, math.inf, "1.02 [0, ∞]"),
        (None, None, None, ""),
    ],
)
def test_a_number_has_the_digits_that_its_interval_supports(value: Any, low: Any, high: Any, said: str) -> None:
    assert speeds.interval(value, low, high) == said


def variants() -> dict[str, dict[str, Any]]:
    plain = machine({JAX: 0.8})
    wrong = {(("p", "forward"), JAX): (Speed.WRONG, "fail (value): off")}
    refused = {(("p", "forward"), JAX): (Speed.NOT_COMPARABLE, "unsupported")}
    return {
        "one restart": {"samples": machine({JAX: 0.8}, restarts=1), "restarts": 1},
        "all unfit": {"samples": machine({JAX: 0.8}, waiting={REFERENCE: 0.9})},
        "wrong": {"samples": plain, "known": facts(standing=wrong)},
        "refused": {"samples": plain[plain["framework"] != "jax"], "known": facts(standing=refused)},
        "no sentinel": {"samples": plain[plain["framework"] != "numpy"]},
        "no twin": {"samples": plain[plain["role"] != Role.TWIN]},
        "the reference alone": {"samples": plain[plain["framework"] != "jax"]},
        "no samples": {"samples": plain[:0]},
        "unfinished": {"samples": plain, "is_finished": False},
        "cold without samples": {"samples": plain[:0], "is_cold": True},
        "eight rounds": {"samples": machine({JAX: 0.8}, rounds=8)},
    }


@pytest.mark.parametrize("name", list(variants()))
def test_a_run_that_lacks_something_has_a_section_all_the_same(tmp_path: Path, name: str) -> None:
    run = run_of(tmp_path, **variants()[name])
    text = section_text(run)
    assert '<h2 id="speed">' in text
    for drawn in re.findall(r"<svg.*?</svg>", text, re.DOTALL):
        parsed(drawn)
    rows = of(run).compared
    for row in rows:
        assert row.speed in text
    if name == "wrong":
        assert "✘ wrong" in text
        assert "fail (value): off" in text
    if name == "unfinished":
        assert "not finished" in text


def test_hostile_text_stays_text(tmp_path: Path) -> None:
    stranger, quiet = Who(HOSTILE, "eager", "cpu"), Who("_under", "compiled", "cpu")
    samples = machine({stranger: 0.8, quiet: 1.5}, problems=(f"s/{HOSTILE}@k={HOSTILE}",), waiting={stranger: 0.9})
    problem = f"s/{HOSTILE}@k={HOSTILE}"
    known = facts(work={(problem, "forward"): WORK})
    events = [event(OTHERS, f"{HOSTILE} (1) used 99% of a core", 0.5)]
    about_it = about(problem, suite="s", case=HOSTILE, title=HOSTILE)
    run = run_of(
        tmp_path,
        pd.concat([samples, ceilings()], ignore_index=True),
        known=known,
        events=events,
        problems=[about_it],
        frameworks=["torch", HOSTILE, "_under"],
        machine_says={"model name": HOSTILE},
    )
    text = section_text(run)
    assert "<script" not in text
    assert "<img" not in text
    assert not set(text) & {"\x1b", "\u202e"}
    assert "&lt;script&gt;" in text
    assert "_under" in text
    for drawn in re.findall(r"<svg.*?</svg>", text, re.DOTALL):
        tags = {element.tag for element in parsed(drawn).iter()}
        assert tags <= {"svg", "title", "defs", "g", "path", "use", "text", "clipPath", "rect", "tspan"}


def test_two_renderings_are_the_same_bytes(sweep: timed.Timed) -> None:
    assert section_text(sweep.run) == section_text(store.load(sweep.run.folder))


def test_the_page_of_a_timed_run_has_the_section_and_unique_ids(tmp_path: Path) -> None:
    run = run_of(tmp_path, machine({JAX: 0.8, TF: 1.2}, problems=("s/a", "s/b")))
    text = page.render(run, gate.rule(run), frames.judged(run))
    assert '<h2 id="speed">' in text
    assert '<a href="#speed">' in text
    ids = re.findall(r'\bid="([^"]*)"', text)
    assert len(ids) == len(set(ids))


def test_a_large_run_stays_below_five_megabytes(tmp_path: Path) -> None:
    arms = {JAX: 0.8, TF: 2.0, MXNET: 1.02}
    names = tuple(f"s/case{n // 4}@k={n}" for n in range(40))
    samples = machine(arms, problems=names, waiting={MXNET: 0.05})
    assert len(samples) > 100_000
    run = run_of(tmp_path, pd.concat([samples, ceilings()]), known=facts(work={(n, "forward"): WORK for n in names}))
    assert len(section_text(run).encode()) < 4_000_000


def test_a_problem_that_an_id_only_numbers_is_called_by_its_value() -> None:
    known = {"s/c@geometry.stride=#1": {"suite": "s", "case": "c", "geometry": {"stride": [2, 2]}, "title": ""}}
    subject = timed._subject(("s/c@geometry.stride=#1", "forward"), known, several=True)
    assert (subject.case, subject.label) == ("s/c", "stride 2×2 forward")


def test_seconds_of_what_is_wrong_are_not_told(tmp_path: Path) -> None:
    wrong = {(("p", "forward"), JAX): (Speed.WRONG, "fail")}
    found = of(run_of(tmp_path, machine({JAX: 0.8}), known=facts(standing=wrong)))
    assert found.seconds(("p", "forward"), JAX) is None
    own = found.seconds(("p", "forward"), REFERENCE)
    assert own is not None
    assert own.median == pytest.approx(CALL, rel=0.05)
    assert own.least <= own.median <= own.most
    assert np.isfinite(own).all()
    assert found.twin == TWIN
