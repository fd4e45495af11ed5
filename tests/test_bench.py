"""A timed run from end to end, with real workers: what is in the folder, what is caught, and how it goes on."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from crosscorrect import api, log, sealed, store
from crosscorrect.errors import IncompleteError, UsageError
from crosscorrect.model import Exit
from crosscorrect.speed import conditions, sampling, session
from crosscorrect.speed.conditions import Budget
from crosscorrect.speed.model import Phase, Role, Speed

if TYPE_CHECKING:
    from crosscorrect.speed.model import Comparison

SUITE = """\
crosscorrect: 1
suite: pace
cases:
  - {id: small, operation: conv2d, x: {fill: normal, shape: [1, 2, 8, 9]}, w: {fill: normal, shape: [3, 2, 3, 2]},
     directions: [forward, grad_input, grad_weight]}
  - {id: loop, operation: corr2d, x: {fill: normal, shape: [6, 7]}, w: {fill: normal, shape: [2, 3]}}
"""
FEW = Budget(2, 6, 10.0, least=6)
"""Enough to see that it works; what the numbers are is not looked at, and nobody knows what a test machine is doing."""


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(conditions.BUDGETS, "quick", FEW)
    monkeypatch.setattr(sampling, "CEILING_ROUNDS", 2)
    monkeypatch.setattr(sampling, "SIDES", (64,))
    monkeypatch.setattr(sampling, "SIZES", (2**13, 2**19))


def planned(folder: Path, *adapters: str, only: tuple[str, ...] = ()) -> Any:
    path = folder / "pace.yaml"
    path.write_text(SUITE, encoding="utf-8")
    targets = {name.lower(): f"paced:{name}" for name in adapters}
    return api.planned([path], ["numpy", *targets], adapters=targets, only=only)


def measured(folder: Path, *adapters: str, only: tuple[str, ...] = (), **options: Any) -> store.Run:
    plan = planned(folder, *adapters, only=only)
    return session.measure(plan, budget="quick", reference="numpy", results=folder / "results", **options)


def told(run: store.Run, framework: str) -> Comparison:
    return next(row for row in session.comparisons(run) if row.framework == framework and row.part == "forward")


def test_every_part_of_every_problem_is_sampled_in_every_arm_round_by_round(tmp_path: Path) -> None:
    run = measured(tmp_path, "Same")
    samples = run.samples[(run.samples["phase"] == Phase.STEADY) & (run.samples["problem"] != "")]
    subjects = {("pace/small", "forward"), ("pace/small", "gradients"), ("pace/loop", "forward")}
    assert set(zip(samples["problem"], samples["part"], strict=True)) == subjects
    each = samples.groupby(["problem", "part", "restart", "round"])
    # two arms, the twin, and two parts of the sentinel, in an order that is a permutation
    assert {tuple(sorted(group["place"])) for _, group in each} == {(0, 1, 2, 3, 4)}
    assert len(each) == len(subjects) * FEW.restarts * FEW.rounds
    assert len({tuple(group.sort_values("place")["role"] + group["framework"]) for _, group in each}) > 1
    assert (samples["wall"] > 0).all()
    calls = samples.groupby(["problem", "part", "framework", "role", "restart"])["calls"].nunique()
    assert (calls == 1).all()  # frozen within a restart


def test_what_is_measured_is_told_in_measurements_and_verdicts_and_the_folder_is_sealed(tmp_path: Path) -> None:
    run = measured(tmp_path, "Same", only=("pace/small",))
    assert set(run.measurements["role"]) == {Role.ARM, Role.TWIN}
    assert len(run.measurements) == 3 * 2 * FEW.restarts
    rows = {(row.part, row.framework, row.role): row for row in session.comparisons(run)}
    assert set(rows) == {(p, f, r) for p in ("forward", "gradients") for f, r in
                         (("numpy", Role.ARM), ("numpy", Role.TWIN), ("same", Role.ARM))}  # fmt: skip
    assert rows["forward", "same", Role.ARM].flops == 2 * 3 * 2 * 6 * 6 * 8
    assert "as they were sealed" in sealed.verify(run.folder, finished=run.info["finished"])
    phases = run.samples[run.samples["phase"] != Phase.STEADY]
    assert set(phases["phase"]) == {Phase.IMPORT, Phase.PUT, Phase.FIRST, Phase.SECOND}
    assert run.info["bench"]["cpus"]


def test_the_ceilings_of_the_processors_are_measured_in_every_restart(tmp_path: Path) -> None:
    run = measured(tmp_path, "Same", only=("pace/loop",))
    own = run.samples[run.samples["problem"] == ""]
    parts = {str(part) for part in own[own["phase"] == Phase.STEADY]["part"]}
    assert {part.split()[0] for part in parts} == {"multiply", "copy"}
    assert set(own["restart"]) == set(range(FEW.restarts))


def test_an_adapter_that_does_not_wait_is_not_compared(tmp_path: Path) -> None:
    row = told(measured(tmp_path, "Late", only=("pace/small",)), "late")
    assert (row.speed, row.ratio, row.seconds) == (Speed.NOT_COMPARABLE, None, None)
    assert "does not wait" in row.message


@pytest.mark.parametrize("adapter", ["WrongLater", "WrongInBulk"])
def test_who_is_right_when_judged_and_wrong_when_timed_has_no_speed(tmp_path: Path, adapter: str) -> None:
    run = measured(tmp_path, adapter, only=("pace/small",))
    assert (run.checks["outcome"] == "pass").all()
    row = told(run, adapter.lower())
    assert (row.speed, row.ratio, row.seconds) == (Speed.WRONG, None, None)
    assert "wrong when timed" in row.message


@pytest.mark.parametrize(("adapter", "why"), [("DiesLater", "SIGKILL"), ("RaisesLater", "no room for more")])
def test_who_is_lost_while_it_is_timed_takes_nobody_with_it(tmp_path: Path, adapter: str, why: str) -> None:
    run = measured(tmp_path, adapter, "Same", only=("pace/small",))
    events = run.events[run.events["what"] == "not timed"]
    assert set(events["framework"]) == {adapter.lower()}
    assert all(why in message for message in events["message"])
    row = told(run, adapter.lower())
    assert (row.speed, row.ratio) == (Speed.NOT_COMPARABLE, None)
    assert why in row.message
    forward = run.samples[(run.samples["part"] == "forward") & (run.samples["phase"] == Phase.STEADY)]
    counts = forward[forward["problem"] != ""].groupby(["framework", "role"]).size()
    assert counts["same", Role.ARM] >= FEW.restarts * (FEW.rounds - 1)


def test_what_is_not_right_is_not_timed(tmp_path: Path) -> None:
    path = tmp_path / "pace.yaml"
    path.write_text(SUITE, encoding="utf-8")
    plan = api.planned(
        [path], ["numpy", "flipped"], adapters={"flipped": "mutants:FlippedKernel"}, only=("pace/small",)
    )
    run = session.measure(plan, budget="quick", reference="numpy", results=tmp_path / "results")
    row = told(run, "flipped")
    assert (row.speed, row.ratio, row.seconds) == (Speed.WRONG, None, None)
    assert row.message.startswith("fail")
    assert not ((run.samples["framework"] == "flipped") & (run.samples["part"] == "forward")).any()


class Enough(KeyboardInterrupt):
    """What a person's Ctrl-C does to the thread that samples."""


def test_a_timed_run_that_was_cut_short_goes_on_at_the_round_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = 0
    plain = store.Segment.write

    def write(self: store.Segment, kind: str, record: Any) -> None:
        nonlocal written
        written += kind == "round" and record["problem"] != ""
        if written == 10:
            raise Enough
        plain(self, kind, record)

    with monkeypatch.context() as patched:
        patched.setattr(store.Segment, "write", write)
        with pytest.raises(Enough):
            measured(tmp_path, "Same")
    folder = (tmp_path / "results" / "latest").resolve()
    records = [r for path in log.logs(folder) for r in log.read(path) if r["kind"] == "round" and r["problem"]]
    before = {(r["restart"], r["problem"], r["part"], r["round"]): json.dumps(r["samples"]) for r in records}
    assert len(before) == 9
    run = measured(tmp_path, "Same", resume=folder)
    samples = run.samples[(run.samples["phase"] == Phase.STEADY) & (run.samples["problem"] != "")]
    rounds = samples.groupby(["restart", "problem", "part", "round"]).size()
    assert (rounds == 5).all()  # nothing twice
    assert len(rounds) == 3 * FEW.restarts * FEW.rounds  # and nothing left out
    kept = samples.set_index(["restart", "problem", "part", "round"])["wall"]
    for key, text in before.items():
        assert sorted(kept.loc[key]) == sorted(sample["wall"] for sample in json.loads(text))


def test_a_finished_timed_run_is_not_measured_again(tmp_path: Path) -> None:
    run = measured(tmp_path, "Same", only=("pace/loop",))
    again = measured(tmp_path, "Same", only=("pace/loop",), resume=run.folder)
    assert again.samples.equals(run.samples)


def test_another_request_is_not_taken_for_the_same_measurement(tmp_path: Path) -> None:
    run = measured(tmp_path, "Same", only=("pace/loop",))
    with pytest.raises(UsageError, match="is another run"):
        session.measure(
            planned(tmp_path, "Same", only=("pace/loop",)), reference="same", budget="quick", resume=run.folder
        )


def test_a_reference_that_is_not_asked_is_refused_with_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="one of numpy, same"):
        session.measure(planned(tmp_path, "Same"), reference="torch", budget="quick", results=tmp_path)


def test_more_processors_than_there_are_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="ask for 1 to"):
        session.measure(planned(tmp_path, "Same"), cpus=100_000, budget="quick", results=tmp_path)


def state_of(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]


def test_workers_run_on_the_processors_that_were_chosen_and_rest_between_their_samples(tmp_path: Path) -> None:
    from crosscorrect.speed.conditions import Conditions, choose_cpus
    from crosscorrect.speed.workers import Arm, Workers

    chosen = choose_cpus(1)
    plan = planned(tmp_path, "Same")
    arms = [Arm(framework, "eager", "cpu") for framework in plan.frameworks]
    with Workers(arms, Conditions(chosen, FEW, "strict"), 0) as workers:
        assert len(workers.pids) == 2
        for pid in workers.pids:
            assert os.sched_getaffinity(pid) == set(chosen)
            until = time.monotonic() + 60
            while state_of(pid) != "T":  # a signal takes effect when its process has its turn
                assert time.monotonic() < until
            os.kill(pid, signal.SIGCONT)


def test_what_others_use_of_the_processors_is_what_we_did_not() -> None:
    before = conditions.Look([], ours=10.0, busy=100.0, stolen=0.0)
    assert conditions.occupied(before, before._replace(ours=12.0, busy=105.0), seconds=4.0, cpus=1) == 0.75
    assert conditions.occupied(before, before._replace(ours=12.0, busy=101.5), seconds=4.0, cpus=1) == 0.0


def test_a_look_tells_ours_from_others() -> None:
    found = conditions.look({os.getpid()}, (0,))
    assert found.ours > 0
    assert os.getpid() not in [pid for pid, _, _ in found.used]
    assert found.busy > 0


def test_the_environment_of_a_restart_is_its_own_and_the_same_for_all() -> None:
    one = conditions.Conditions((0,), FEW, "strict")
    assert one.environment(0) == one.environment(0)
    assert one.environment(0) != one.environment(1)
    assert one.environment(0)["GLIBC_TUNABLES"] == ""
    assert one.environment(0)["OMP_NUM_THREADS"] == "1"


def test_a_run_that_timed_nothing_cannot_be_judged_by_its_speed(tmp_path: Path) -> None:
    path = tmp_path / "pace.yaml"
    path.write_text(SUITE, encoding="utf-8")
    run = api.run([path], ["numpy"], results=tmp_path / "results")
    with pytest.raises(UsageError, match="is no timed run"):
        session.rejudge(run, session.Rule())


def test_the_same_samples_under_the_same_rule_are_the_same_verdicts(tmp_path: Path) -> None:
    run = measured(tmp_path, "Same")
    measurements, comparisons = session.rejudge(run, session.Rule())
    assert comparisons == session.comparisons(run)
    assert len(measurements) == len(run.measurements)


def test_an_empty_timed_run_has_an_exit_code_of_its_own(tmp_path: Path) -> None:
    from crosscorrect.speed import against

    run = measured(tmp_path, only=("pace/loop",))
    assert against.exit_code(session.comparisons(run)) is Exit.NOTHING_RAN


def test_the_library_measures_in_one_call(tmp_path: Path) -> None:
    import crosscorrect

    path = tmp_path / "pace.yaml"
    path.write_text(SUITE, encoding="utf-8")
    run = crosscorrect.bench([path], ["numpy"], budget="quick", only=("pace/loop",), results=tmp_path / "results")
    assert set(run.verdicts["role"]) == {Role.ARM, Role.TWIN}


def test_a_timed_run_is_not_merged(tmp_path: Path) -> None:
    from crosscorrect.shards import merge

    run = measured(tmp_path, "Same", only=("pace/loop",))
    with pytest.raises(IncompleteError, match="measure together"):
        merge([run.folder], [], tmp_path / "merged")


def test_cold_starts_that_were_cut_short_go_on_at_the_next_framework(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = 0
    plain = sampling.Sampling.timed

    def timed(self: sampling.Sampling, *subject: Any) -> None:
        nonlocal done
        plain(self, *subject)
        done += 1
        if done == 2:  # the first framework of the second problem is not finished
            raise Enough

    with monkeypatch.context() as patched:
        patched.setattr(sampling.Sampling, "timed", timed)
        with pytest.raises(Enough):
            measured(tmp_path, "Same", cold=True)
    run = measured(tmp_path, "Same", cold=True, resume=(tmp_path / "results" / "latest").resolve())
    first = run.samples[(run.samples["phase"] == Phase.FIRST)]
    assert (first.groupby(["problem", "part", "framework", "restart"]).size() == 1).all()
    assert len(first) == 3 * 2 * FEW.restarts
    assert run.verdicts.empty


def test_a_mode_that_dies_while_it_is_made_ready_leaves_the_other_modes_to_be_timed(tmp_path: Path) -> None:
    path = tmp_path / "pace.yaml"
    path.write_text(SUITE, encoding="utf-8")
    adapters = {"dies": "paced:DiesCompiled"}
    plan = api.planned([path], ["dies"], adapters=adapters, only=("pace/small",), modes=())
    run = session.measure(plan, budget="quick", reference="dies", results=tmp_path / "results")
    steady = run.samples[(run.samples["phase"] == Phase.STEADY) & (run.samples["framework"] == "dies")]
    forward = steady[(steady["part"] == "forward") & (steady["role"] == Role.ARM)]
    assert set(forward["mode"]) == {"eager"}
    assert len(forward) == FEW.restarts * FEW.rounds
