"""What commands print where: colour and bars on terminals only, one JSON document, and nothing without need."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from rich.progress import Progress

from commandline import SUITE, invoke
from crosscorrect.cli import bars as module
from crosscorrect.cli.bars import Bars, Steps, _columns
from crosscorrect.cli.terminal import console, hushed, moves, say_json
from crosscorrect.model import Exit, Outcome
from made_runs import check, finished

ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
COLOUR = re.compile(r"\x1b\[[0-9;]*3[0-9][0-9;]*m")
SAID = ("NO_COLOR", "FORCE_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "TTY_COMPATIBLE", "TTY_INTERACTIVE")


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in SAID:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    (tmp_path / "tiny.yaml").write_text(SUITE, encoding="utf-8")
    return tmp_path / "tiny.yaml"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run folder with a pass and a failure whose numbers are no numbers of JSON."""
    wrong = {"error": float("nan"), "ratio": float("inf"), "expected": 1.0, "got": float("-inf"), "where": "0"}
    rows = [check("s/a"), check("s/b", outcome=Outcome.FAIL, message="it is wrong", **wrong)]
    return finished(tmp_path / "results" / "run", rows)


def on_terminal(arguments: list[str], *, columns: int = 100, both: bool = True, **environment: str) -> tuple[str, str]:
    """What a command writes on a terminal of so many columns, and on standard output where that is a pipe."""
    mine, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 30, columns, 0, 0))
    command = [sys.executable, "-m", "crosscorrect", *arguments]
    said = {**{k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES")}, **environment}
    output = its if both else subprocess.PIPE
    with subprocess.Popen(command, stdin=its, stdout=output, stderr=its, env=said) as process:
        os.close(its)
        shown = b""
        while True:
            try:
                part = os.read(mine, 2**16)
            except OSError:  # the other end has gone
                break
            if not part:
                break
            shown += part
        piped = process.stdout.read() if process.stdout is not None else b""
    os.close(mine)
    return shown.decode("utf-8", "replace"), piped.decode()


@pytest.mark.parametrize(
    ("said", "terminal", "coloured", "moving"),
    [
        ({}, False, False, False),
        ({"TTY_COMPATIBLE": "1"}, True, True, True),
        ({"TTY_COMPATIBLE": "1", "NO_COLOR": "1"}, True, False, True),
        ({"TTY_COMPATIBLE": "1", "CLICOLOR": "0"}, True, False, True),
        ({"TTY_COMPATIBLE": "1", "TERM": "dumb"}, True, False, False),
        ({"FORCE_COLOR": "1"}, False, True, False),
        ({"CLICOLOR_FORCE": "1"}, False, True, False),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False, False, False),
        ({"CLICOLOR": "0", "CLICOLOR_FORCE": "1"}, False, True, False),
        ({"FORCE_COLOR": "", "CLICOLOR_FORCE": "0", "NO_COLOR": ""}, False, False, False),
    ],
)
def test_colour_is_for_terminals_and_for_who_asks_for_it_and_only_terminals_have_what_moves(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    said: dict[str, str],
    terminal: bool,
    coloured: bool,
    moving: bool,
) -> None:
    for name, value in said.items():
        monkeypatch.setenv(name, value)
    shown = console()
    shown.print("[red]word[/red]")
    assert shown.is_terminal is terminal
    assert (COLOUR.search(capsys.readouterr().out) is not None) is coloured
    assert moves(shown) is moving


def test_a_document_has_no_numbers_that_json_does_not_know(capsys: pytest.CaptureFixture[str]) -> None:
    say_json({"a": [float("nan"), {"b": (float("inf"), -float("inf"), 1.5)}], "c": Exit.OK, 1: None, "d": "\x1b é"})

    def refuse(name: str) -> None:
        raise ValueError(name)

    told = json.loads(capsys.readouterr().out, parse_constant=refuse)
    assert told == {"a": [None, {"b": ["Infinity", "-Infinity", 1.5]}], "c": 0, "1": None, "d": "␛ é"}


def test_a_run_on_a_terminal_has_a_bar_with_the_time_left_and_the_document_alone_on_standard_output(
    suite: Path, tmp_path: Path
) -> None:
    arguments = ["run", str(suite), "-f", "numpy", "--results", str(tmp_path / "out"), "--no-report", "--json"]
    shown, piped = on_terminal(arguments, both=False)
    assert json.loads(piped)["total"] == 2
    assert "━" in shown
    last = [line for line in ESCAPE.sub("", shown).replace("\r", "\n").splitlines() if line.startswith("numpy")][-1]
    assert re.fullmatch(r"numpy +━+ 2/2 .*in \d+:\d\d 2 pass *", last)


@pytest.mark.parametrize("columns", [40, 80])
def test_a_bar_and_a_summary_fit_a_narrow_terminal(suite: Path, tmp_path: Path, columns: int) -> None:
    arguments = ["run", str(suite), "-f", "numpy", "--results", str(tmp_path / "o"), "--no-report"]
    shown, _ = on_terminal(arguments, columns=columns)
    lines = ESCAPE.sub("", shown).replace("\r", "\n").splitlines()
    bars = [line for line in lines if line.startswith("numpy ")]
    assert any("2/2" in line for line in bars)
    assert max(len(line) for line in bars) <= columns
    folder = str(tmp_path / "o")  # a path is not broken where no blank is, rich folds it
    assert all(len(line) <= columns for line in lines if folder[:10] not in line)


def test_on_a_dumb_terminal_and_in_a_pipe_there_are_lines_instead_of_bars(suite: Path, tmp_path: Path) -> None:
    arguments = ["run", str(suite), "-f", "numpy", "--results", str(tmp_path / "out"), "--no-report"]
    dumb, _ = on_terminal(arguments, TERM="dumb")
    piped = invoke(*arguments).stderr
    for told in (dumb.replace("\r", ""), piped):
        assert "\x1b" not in told
        lines = told.splitlines()
        assert lines[0].startswith("numpy: started, 2 checks: ")
        assert lines[1].startswith("numpy: first verdict: pass (")
        assert re.match(r"numpy: 2/2, .*in \d+:\d\d: 2 pass$", lines[2])


def test_long_work_says_once_a_minute_in_a_log_how_far_it_is_and_how_long_it_still_takes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    with Bars() as bars:
        bars.add("work", 100)
        for _ in range(40):
            now[0] += 10
            bars.update("work", advance=1)
    lines = capsys.readouterr().err.splitlines()
    assert lines[:2] == ["work: 6/100, 0.1/s, 15:40 left", "work: 12/100, 0.1/s, 14:40 left"]
    assert len(lines) == 7


def test_work_that_has_a_time_limit_takes_no_longer_than_that(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    with Bars() as bars:
        bars.add("work", 1000, ends=1030.0)
        assert module._left(bars._task("work")) == "0:30 left"
        for _ in range(5):
            now[0] += 1
            bars.update("work", advance=1)
        assert module._left(bars._task("work")) == "0:25 left"
        bars.update("work", advance=994)
        now[0] += 1
        bars.update("work", advance=0)
        assert module._left(bars._task("work")) == "0:01 left"


def test_what_is_resumed_begins_where_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    with Bars() as bars:
        bars.add("work", 100)
        bars.update("work", completed=90)
        time.sleep(0.01)
        bars.update("work", advance=1)
        task = bars._task("work")
        assert task.completed == 91
        assert task.speed is not None
        assert task.speed < 1 / 0.005, "the ninety before are nobody's speed"


@pytest.mark.parametrize("width", [30, 40, 59, 60, 80, 99, 100, 200])
def test_a_bar_is_one_line_however_wide_the_terminal_is(width: int) -> None:
    shown = Console(width=width, force_terminal=True)
    progress = Progress(*_columns(shown), console=shown)
    progress.add_task("tensorflow", total=1234567, completed=1000, said="999 pass, 1 unsupported " * 4, ends=None)
    with shown.capture() as captured:
        shown.print(progress.get_renderable())
    (line,) = ESCAPE.sub("", captured.get()).rstrip("\n").splitlines()
    assert len(line) <= width
    assert "1000/1234567" in line


def test_steps_show_themselves_only_when_they_take_long_and_reckon_from_what_they_cost(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("COLUMNS", "120")
    costs = {"reading": 1.0, "drawing": 9.0}
    with Steps("report", costs) as steps:
        steps.begin("reading")
        steps.begin("drawing")
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(module, "PATIENCE", 0.01)
    with Steps("report", costs) as steps:
        steps.begin("reading")
        time.sleep(0.3)
        steps.begin("drawing")
        state = steps._state()
        assert state["completed"] == 1.0
        assert state["ends"] - time.monotonic() > 1.5, "nine times what the first tenth took"
        time.sleep(0.3)
    shown = ESCAPE.sub("", capsys.readouterr().err)
    assert "report" in shown
    assert "10 %" in shown
    assert " left" in shown
    monkeypatch.setenv("TTY_COMPATIBLE", "0")
    with Steps("report", costs) as steps:
        steps.begin("reading")
        time.sleep(0.1)
    assert capsys.readouterr().err == "", "where nothing can move they say nothing"


def test_beside_a_document_a_log_has_no_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    assert hushed(quiet=False, as_json=True)
    assert hushed(quiet=True, as_json=False)
    assert not hushed(quiet=False, as_json=False)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert not hushed(quiet=False, as_json=True)


def documents(run: Path, suite: Path, tmp_path: Path) -> dict[str, list[Any]]:
    """A call of every command that has ``--json`` and needs no minutes."""
    mine = ["-f", "numpy", "--results", tmp_path / "made"]
    return {
        "run": ["run", suite, *mine, "--no-report"],
        "report": ["report", run],
        "gate": ["gate", run, "--require", "fw"],
        "explain": ["explain", run, "s/b"],
        "merge": ["merge", run, "--results", tmp_path / "merged"],
        "verify": ["verify", run],
        "hunt": ["hunt", *mine, "--problems", "3"],
        "cases list": ["cases", "list", suite],
        "cases lint": ["cases", "lint", suite],
        "cases show": ["cases", "show", "tiny/one", "--suite", suite],
        "frameworks": ["frameworks"],
        "selftest": ["selftest", suite, "-k", "flipped-kernel", "--level", "nightly"],
    }


@pytest.mark.parametrize("command", documents(Path(), Path(), Path()))
def test_json_is_one_document_on_standard_output_and_nothing_else_anywhere(
    run: Path, suite: Path, tmp_path: Path, command: str
) -> None:
    done = invoke(*documents(run, suite, tmp_path)[command], "--json")
    told = json.loads(done.stdout, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert told
    assert done.stderr == ""
    if isinstance(told, dict) and "exit" in told:
        assert done.exit_code == told["exit"]


def test_the_document_of_explain_has_values_causes_and_how_to_ask_again(run: Path) -> None:
    told = json.loads(invoke("explain", run, "s/b", "--json").stdout)
    (only,) = told["checks"]
    assert (only["outcome"], only["error"], only["ratio"], only["got"]) == ("fail", None, "Infinity", "-Infinity")
    assert told["problem"] == "s/b"
    assert told["again"] == "crosscorrect run s.yaml -k 's/b' -f fw"
    refused = invoke("explain", run, "s/b", "--json", "--script", "-")
    assert refused.exit_code == Exit.USAGE
    assert "--json" in refused.stderr


def test_the_document_of_a_defect_has_its_place_and_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text("crosscorrect: 1\nsuite: bad\ncases:\n  - {id: one, opration: corr2d}\n", encoding="utf-8")
    done = invoke("cases", "lint", path, "--json")
    assert done.exit_code == Exit.USAGE
    defects = json.loads(done.stdout)["defects"]
    assert (defects[0]["file"], defects[0]["line"], defects[0]["remedy"]) == (str(path), 4, "did you mean operation?")


def test_the_document_of_frameworks_says_where_each_is_and_probed_also_what_it_offers() -> None:
    plain = {row["framework"]: row for row in json.loads(invoke("frameworks", "--json").stdout)}
    assert plain["numpy"]["found"] == "current"
    assert "versions" not in plain["numpy"]
    given = ["--python", f"numpy={sys.executable}"]
    probed = {row["framework"]: row for row in json.loads(invoke("frameworks", "--json", "--probe", *given).stdout)}
    assert probed["numpy"]["found"] == "option"
    assert "numpy" in probed["numpy"]["versions"]
    assert "eager" in probed["numpy"]["modes"]


@pytest.mark.parametrize("command", ["report", "merge", "verify", "cases lint"])
def test_a_quiet_command_says_nothing_where_all_is_as_expected(
    run: Path, suite: Path, tmp_path: Path, command: str
) -> None:
    done = invoke(*documents(run, suite, tmp_path)[command], "-q")
    assert (done.exit_code, done.stdout, done.stderr) == (Exit.OK, "", "")


def test_marks_are_ascii_where_the_encoding_has_no_others(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "crosscorrect", "selftest", "smoke", "-k", "flipped-kernel"]
    said = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command, env=said, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.stdout.startswith("+ flipped-kernel "), done.stderr
    assert "\\u" not in done.stdout
