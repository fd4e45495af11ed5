"""Every error about a name says the nearest valid one, quickly, whatever was typed and however many names there are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, strategies as st

import paced
from commandline import SUITE, invoke
from crosscorrect.errors import UsageError
from crosscorrect.model import Exit
from crosscorrect.mutants import DAMAGES, mutants
from crosscorrect.nearest import LONGEST, MOST, meant, nearest
from crosscorrect.worker import loop
from crosscorrect_adapters.numpy import NumpyAdapter
from made_runs import check, finished

if TYPE_CHECKING:
    from pathlib import Path

KNOWN = ["torch", "tensorflow", "jax", "mxnet"]


@pytest.mark.parametrize(
    ("word", "near"),
    [
        ("torhc", "torch"),
        ("TORCH", "torch"),
        ("pytorch", "torch"),
        ("tensor-flow", "tensorflow"),
        ("xyz", ""),
        ("", ""),
    ],
)
def test_the_nearest_name_is_found_whatever_its_case_and_none_where_none_is_near(word: str, near: str) -> None:
    assert nearest(word, KNOWN) == near
    assert meant(word, KNOWN, "so?") == (f"did you mean {near}?" if near else "so?")


@given(st.one_of(st.text(), st.integers(), st.none(), st.lists(st.text())), st.lists(st.text(max_size=20), max_size=8))
def test_whatever_is_asked_the_answer_is_a_known_name_or_none(word: object, known: list[str]) -> None:
    assert nearest(word, known) in {*known, ""}


def test_of_a_million_names_and_of_one_of_any_length_only_so_much_is_looked_at() -> None:
    names = (f"s/many@x.seed={number}" for number in range(10**6))
    assert nearest("s/many@x.seed=1x", names) == "s/many@x.seed=1"
    assert next(names) == f"s/many@x.seed={MOST}"
    assert nearest("x" * 10**7, ["x" * LONGEST]) == "x" * LONGEST


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "tiny.yaml").write_text(SUITE, encoding="utf-8")
    (tmp_path / "myadapter.py").write_text("", encoding="utf-8")
    run = finished(tmp_path / "results" / "20260101-1", [check("s/first@x=1", "one"), check("s/first@x=2", "one")])
    (run.parent / "latest").symlink_to(run.name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("command", "hint"),
    [
        ("runn", "Did you mean 'run'?"),
        ("cases lits", "Did you mean"),
        ("check", "No such command 'check'. crosscorrect.check is a function of the library: docs/check.md"),
        ("load results/latest", "crosscorrect.load is a function of the library: docs/frames.md"),
        ("run numpy", "there is no suite numpy; it is a framework: -f numpy"),
        ("run zzzzzz", "networks, regressions, relations, smoke, special, speed, or the path of a YAML file"),
        ("run tiny.yaml -f numpy,torch", "unknown framework 'numpy,torch'; give each by itself: -f numpy -f torch"),
        ("run --levl ci", "Did you mean"),
        ("run --mode egaer", "Did you mean eager?"),
        ("run --arithmetic strickt", "Did you mean strict?"),
        ("run --level nigthly", "Did you mean nightly?"),
        ("bench --budget standart", "Did you mean standard?"),
        ("hunt --dtype flaot32", "Did you mean float32?"),
        ("explain results/latest s/first --direction grad_imput", "Did you mean grad_input?"),
        ("completion bahs", "Did you mean bash?"),
        ("run chaptr", "did you mean chapter"),
        ("run ./tinny.yaml", "did you mean tiny.yaml?"),
        ("run -f torhc", "did you mean 'torch'?"),
        ("run --python torhc=/usr/bin/python3", "did you mean 'torch'?"),
        ("run tiny.yaml -f mien --adapter mine=myadapter:A", "did you mean 'mine'?"),
        ("run tiny.yaml -f mine --adapter mine=myadaptor:A", "did you mean myadapter?"),
        ("run tiny.yaml -k tiny/oen", "did you mean tiny/one?"),
        ("run chapter -k chapter/edge-detection@operation=cor2d,dtype=float32", "edge-detection@operation=corr2d,"),
        ("bench tiny.yaml -f numpy --reference nunpy", "did you mean numpy?"),
        ("gate results/lastest", "did you mean results/latest?"),
        ("explain results/latest s/frist", "did you mean 's/first'?"),
        ("explain results/latest s/first@x=3", "did you mean 's/first@x="),
        ("explain results/latest s/first@x=1 -f onne", "did you mean one?"),
        ("explain results/latest s/first@x=1 -m egaer", "did you mean eager?"),
        ("cases show chaptr/edge", "did you mean chapter"),
        ("selftest -k fliped-kernel", "did you mean flipped-kernel?"),
    ],
)
def test_an_error_about_a_name_says_the_nearest_on_standard_error(folder: Path, command: str, hint: str) -> None:
    assert folder.is_dir()
    done = invoke(*command.split())
    assert (done.exit_code, done.stdout) == (Exit.USAGE, "")
    assert hint in done.stderr
    assert "Traceback" not in done.stderr


def test_a_framework_that_is_required_and_not_there_is_told_with_the_nearest_that_is(tmp_path: Path) -> None:
    run = finished(tmp_path / "run", [check("s/first", "torch")])
    gated = invoke("gate", run, "--require", "torhc")
    assert gated.exit_code == Exit.INCOMPLETE
    assert "torhc: required, and not in the run; did you mean torch?" in " ".join(gated.stdout.split())
    merged = invoke("merge", run, "--require", "torhc", "--results", tmp_path / "merged")
    assert merged.exit_code == Exit.INCOMPLETE
    assert merged.stderr.endswith("; did you mean torch?\n")


def test_a_device_that_is_not_there_is_told_with_the_nearest_that_is(folder: Path) -> None:
    done = invoke("run", "tiny.yaml", "-f", "numpy", "-d", "cpuu", "--results", folder / "out", "--no-report")
    assert done.exit_code == Exit.INCOMPLETE
    told = "sees no device 'cpuu' here, only cpu; did you mean cpu?"
    assert told in " ".join(done.output.split())


def test_a_class_that_an_adapter_s_module_has_not_is_refused_at_once_with_the_nearest_that_it_has(folder: Path) -> None:
    given = ("-f", "mine", "--adapter", "mine=paced:Saem", "--results", folder / "out", "--no-report")
    done = invoke("run", "tiny.yaml", *given)
    assert (done.exit_code, done.stdout) == (Exit.USAGE, "")
    assert done.stderr.endswith("'paced:Saem' cannot be found: paced.py has no 'Saem'; did you mean Same?\n")
    assert not (folder / "out").exists()


def test_a_worker_that_finds_no_such_class_says_the_nearest_too() -> None:
    with pytest.raises(AttributeError, match="module 'paced' has no attribute 'Saem'; did you mean Same\\?"):
        loop._named(paced, "Saem")


def test_a_mutant_that_is_no_entry_of_the_catalogue_is_near_too() -> None:
    damage = next(iter(DAMAGES))
    with pytest.raises(UsageError, match=f"did you mean {damage}\\?"):
        mutants(NumpyAdapter, (f"{damage}s",))
