"""What the shell completes, by the shells' own protocols and by bash itself: names, paths, and never an error."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from click.shell_completion import ShellComplete, get_completion_class

from commandline import SUITE, invoke
from crosscorrect.adapter import ARITHMETICS
from crosscorrect.cli import main
from crosscorrect.cli.completion import INSTALL, VARIABLE
from crosscorrect.model import Outcome
from crosscorrect.shipped import shipped_suites
from made_runs import check, finished

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

BREAKS = " \t\n\"'@><=;|&(:"
"""What bash breaks words at, as it comes."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a case file, a run in which one of three problems failed, and an earlier run."""
    (tmp_path / "tiny.yaml").write_text(SUITE, encoding="utf-8")
    rows = [check("s/a@x=1"), check("s/a@x=2", outcome=Outcome.FAIL), check("s/b")]
    run = finished(tmp_path / "results" / "20260102-1", rows)
    finished(tmp_path / "results" / "20260101-1", rows[:1])
    (tmp_path / "results" / "latest").symlink_to(run.name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def completed(line: str, monkeypatch: pytest.MonkeyPatch, shell: str = "zsh") -> list[tuple[str, str]]:
    """The kind and the value of each offer at the end of a command line, by a shell's own protocol."""
    words = shlex.split(line)
    *_, last = words if not line.endswith(" ") else [*words, ""]
    said: Mapping[str, str] = {
        "zsh": {"COMP_WORDS": line, "COMP_CWORD": str(len(words) - (not line.endswith(" ")))},
        "fish": {"COMP_WORDS": line, "COMP_CWORD": last},
        "bash": {"COMP_LINE": line, "COMP_POINT": str(len(line.encode())), "COMP_BREAKS": BREAKS},
    }[shell]
    for name, value in said.items():
        monkeypatch.setenv(name, value)
    complete = get_completion_class(shell)
    assert complete is not None
    made: ShellComplete = complete(main, {}, "crosscorrect", VARIABLE)
    text = made.complete()
    if shell == "zsh":
        lines = text.splitlines()
        return [(kind, value.replace("\\:", ":")) for kind, value in zip(lines[::3], lines[1::3], strict=True)]
    return [(kind, value) for kind, _, value in (offer.partition(",") for offer in text.splitlines())]


def names(line: str, monkeypatch: pytest.MonkeyPatch, shell: str = "zsh") -> list[str]:
    found = completed(line, monkeypatch, shell)
    assert {kind for kind, _ in found} <= {"plain"}
    return [value for _, value in found]


@pytest.mark.parametrize(
    ("line", "offers"),
    [
        ("crosscorrect ga", ["gate"]),
        ("crosscorrect run --arithm", ["--arithmetic"]),
        ("crosscorrect run --arithmetic ", list(ARITHMETICS)),
        ("crosscorrect run --mode c", ["compiled"]),
        ("crosscorrect run --level ni", ["nightly"]),
        ("crosscorrect bench --budget q", ["quick"]),
        ("crosscorrect hunt --dtype complex", ["complex64", "complex128"]),
        ("crosscorrect explain R P --direction grad_w", ["grad_weight"]),
        ("crosscorrect explain R P -m e", ["eager"]),
        ("crosscorrect run chap", ["chapter"]),
        ("crosscorrect run chapter pro", ["problems"]),
        ("crosscorrect run ti", ["tiny.yaml"]),
        ("crosscorrect bench netw", ["networks"]),
        ("crosscorrect selftest smo", ["smoke"]),
        ("crosscorrect cases list reg", ["regressions"]),
        ("crosscorrect cases lint ti", ["tiny.yaml"]),
        ("crosscorrect run -f tensor", ["tensorflow"]),
        ("crosscorrect bench --reference tor", ["torch"]),
        ("crosscorrect run --adapter mine=a:B -f mi", ["mine"]),
        ("crosscorrect run --python tor", ["torch="]),
        ("crosscorrect gate --require num", ["numpy"]),
        ("crosscorrect gate --require jax,ten", ["jax,tensorflow"]),
        ("crosscorrect run -d c", ["cpu"]),
        ("crosscorrect run tiny.yaml -k ", ["tiny/one", "tiny/two"]),
        ("crosscorrect cases show tiny/o --suite tiny.yaml", ["tiny.yaml"]),
        ("crosscorrect cases show --suite tiny.yaml tiny/o", ["tiny/one"]),
        ("crosscorrect selftest -k flipped-k", ["flipped-kernel"]),
        ("crosscorrect gate ", ["results/latest", "results/20260102-1", "results/20260101-1"]),
        ("crosscorrect report results/20260101", ["results/20260101-1"]),
        ("crosscorrect merge results/latest results/202601", ["results/20260102-1", "results/20260101-1"]),
        ("crosscorrect explain results/latest ", ["s/a@x=2"]),
        ("crosscorrect explain results/latest s/", ["s/a@x=2", "s/a@x=1", "s/b"]),
        ("crosscorrect completion f", ["fish"]),
    ],
)
def test_each_kind_of_name_is_completed(
    folder: Path, monkeypatch: pytest.MonkeyPatch, line: str, offers: list[str]
) -> None:
    assert folder.is_dir()
    assert names(line, monkeypatch) == offers


def test_without_a_suite_every_case_that_ships_is_offered_and_after_an_at_its_problems(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert folder.is_dir()
    listed = [line.split()[0] for line in invoke("cases", "list", "chapter").stdout.splitlines()[1:]]
    assert names("crosscorrect run -k chapter/", monkeypatch) == [f"chapter/{case}" for case in listed]
    problems = [line.strip() for line in invoke("cases", "list", "chapter", "--problems").stdout.splitlines()[1:]]
    some = [name for name in problems if name.startswith("chapter/edge-detection@")]
    assert len(some) > 1
    assert names("crosscorrect run -k chapter/edge-detection@", monkeypatch) == some
    assert names("crosscorrect run", monkeypatch) == ["run"]
    assert names("crosscorrect run ", monkeypatch) == list(shipped_suites())


@pytest.mark.parametrize(
    "line",
    [
        "crosscorrect run ./ti",
        "crosscorrect run --python torch=/us",
        "crosscorrect gate ./res",
        "crosscorrect report x",
    ],
)
def test_what_is_no_name_is_left_to_the_shell_as_a_path(
    folder: Path, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    assert folder.is_dir()
    assert completed(line, monkeypatch) == [("file", line.rsplit(maxsplit=1)[-1])]


@pytest.mark.parametrize(
    "line",
    [
        "crosscorrect explain results/none ",
        "crosscorrect explain results/latest zzz",
        "crosscorrect run bad.yaml -k bad/one@",
        "crosscorrect run binary.yaml -k ",
        "crosscorrect run -k 'unfinished quote",
        "crosscorrect run --limit ",
    ],
)
def test_where_there_is_nothing_to_offer_there_is_no_error_either(folder: Path, line: str) -> None:
    (folder / "bad.yaml").write_text("suite: bad\ncases: [\n  - id: one\n", encoding="utf-8")
    (folder / "binary.yaml").write_bytes(bytes(range(256)))
    said = {**os.environ, VARIABLE: "bash_complete", "COMP_LINE": line, "COMP_POINT": str(len(line))}
    done = subprocess.run(
        [sys.executable, "-m", "crosscorrect"], env=said, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout.strip(), done.stderr, done.returncode) == ("", "", 0)


def test_what_a_shell_does_not_say_is_no_error() -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COMP_")}
    for shell in (*INSTALL, "elvish"):
        said = {**environment, VARIABLE: f"{shell}_complete"}
        command = [sys.executable, "-m", "crosscorrect"]
        done = subprocess.run(command, env=said, capture_output=True, text=True, check=False)
        assert (done.stdout.strip(), done.stderr) == ("", "")


def test_bash_gets_what_follows_the_last_character_that_it_breaks_words_at(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert folder.is_dir()
    assert names("crosscorrect explain results/latest s/a@x=", monkeypatch, "bash") == ["2", "1"]
    assert names("crosscorrect explain results/latest s/a", monkeypatch, "bash") == ["s/a@x=2", "s/a@x=1"]
    assert names("crosscorrect run --mode=comp", monkeypatch, "bash") == ["compiled"]


def test_fish_gets_whole_names_with_the_commas_in_them(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert folder.is_dir()
    offered = names("crosscorrect run -k chapter/edge-detection@", monkeypatch, "fish")
    assert "chapter/edge-detection@operation=corr2d,dtype=float32" in offered
    assert "split -m 1" in invoke("completion", "fish").stdout


@pytest.mark.parametrize("shell", INSTALL)
def test_the_script_begins_with_the_line_that_installs_it(shell: str) -> None:
    done = invoke("completion", shell)
    assert done.exit_code == 0
    assert f"# {INSTALL[shell]}\n" in done.stdout
    assert VARIABLE in done.stdout
    assert done.stdout.startswith("#compdef crosscorrect\n") is (shell == "zsh")


def test_the_shell_is_the_one_that_is_used_unless_another_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHELL", "/usr/bin/fish")
    assert invoke("completion").stdout == invoke("completion", "fish").stdout
    monkeypatch.setenv("SHELL", "/bin/csh")
    refused = invoke("completion")
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert refused.stderr == "crosscorrect: there is no completion for the shell csh; name one: bash, zsh, fish\n"


@pytest.mark.parametrize("name", ["$(touch owned)", "a;touch owned", "two words", "\x1b[31mred", "a\nplain,b", "`x`"])
def test_a_name_that_a_shell_would_obey_is_not_offered(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    finished(folder / "others" / name, [check()])
    finished(folder / "others" / "plain-1", [check(f"s/{name}"), check("s/good")])
    for shell in INSTALL:
        assert names("crosscorrect gate others/", monkeypatch, shell) == ["others/plain-1"]
        assert names("crosscorrect explain others/plain-1 s/", monkeypatch, shell) == ["s/good"]


BASH = r"""
eval "$(crosscorrect completion bash)"
complete -p crosscorrect
COMP_LINE=$1 COMP_POINT=${#1}
_crosscorrect_completion crosscorrect
printf '%s\n' "${COMPREPLY[@]}"
"""


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed here")
@pytest.mark.parametrize(
    ("line", "offers"),
    [
        ("crosscorrect veri", ["verify"]),
        ("crosscorrect explain results/latest s/a@x", ["x=2", "x=1"]),
        ("crosscorrect run tiny.yaml -k tiny/t", ["tiny/two"]),
        ("crosscorrect run --nothing-like-it", [""]),
    ],
)
def test_bash_itself_runs_the_script_and_gets_the_names(folder: Path, line: str, offers: list[str]) -> None:
    program = folder / "bin" / "crosscorrect"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m crosscorrect "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    path = os.pathsep.join([str(program.parent), os.environ["PATH"]])
    command = ["bash", "--norc", "--noprofile", "-c", BASH, "bash", line]
    done = subprocess.run(command, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    installed, *offered = done.stdout.splitlines()
    assert installed.endswith("-F _crosscorrect_completion crosscorrect")
    assert offered == offers
