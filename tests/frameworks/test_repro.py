"""Scripts of what one framework answered, run by its own interpreter: status 1 exactly where the run saw a failure.

``CROSSCORRECT_ADAPTER`` names the adapter, as in ``test_contract.py``. A framework takes seconds to import, so scripts
of what passes share a process; each that shows a failure has its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from crosscorrect import api, repro
from crosscorrect.errors import UsageError
from crosscorrect.model import FINE, Outcome
from crosscorrect.process import DIRTY_MEMORY

if TYPE_CHECKING:
    from pathlib import Path

    from crosscorrect.store import Run

ADAPTER = os.environ.get("CROSSCORRECT_ADAPTER", "numpy")

SPREAD = """\
crosscorrect: 1
suite: spread
defaults: {show: true, operation: conv2d}
cases:
  - {id: everything, x: {fill: normal, shape: [2, 4, 7, 9]}, w: {fill: normal, shape: [6, 2, 3, 2]},
     b: [1, 2, 3, 4, 5, 6], directions: [forward, grad_input, grad_weight, grad_bias],
     geometry: {stride: [2, 3], padding: [[0, 2], [1, 0]], groups: 2}}
  - {id: dilated, x: {fill: integers, shape: [1, 2, 7, 9]}, w: {fill: integers, shape: [3, 2, 3, 2]},
     geometry: {padding: 1, dilation: [2, 3]}}
  - {id: same, x: {fill: normal, shape: [1, 3, 7, 9]}, w: {fill: normal, shape: [2, 3, 4, 2]},
     sweep: {geometry.padding: [same_upper, same_lower]}}
  - {id: transposed, x: {fill: normal, shape: [2, 4, 4, 5]}, w: {fill: normal, shape: [4, 3, 3, 2]},
     b: [1, 2, 3, 4, 5, 6], directions: [forward, grad_input, grad_weight, grad_bias],
     geometry: {stride: [2, 3], padding: [[0, 2], [1, 0]], output_padding: [1, 1], groups: 2, transposed: true}}
  - {id: line, x: {fill: normal, shape: [2, 3, 11]}, w: {fill: normal, shape: [4, 3, 3]},
     directions: [forward, grad_weight], geometry: {stride: 2, padding: 1}}
  - {id: cube, x: {fill: normal, shape: [1, 2, 4, 5, 3]}, w: {fill: normal, shape: [3, 2, 2, 3, 1]},
     directions: [forward, grad_input], geometry: {padding: [[1, 0], [0, 2], [1, 1]]}}
  - {id: types, x: {fill: normal, shape: [1, 2, 5, 4]}, w: {fill: normal, shape: [3, 2, 3, 2]}, b: {fill: normal},
     sweep: {dtype: [float16, bfloat16, float64, complex64]}, directions: [forward, grad_input, grad_weight]}
  - {id: spelt, x: {fill: normal, shape: [2, 4, 7, 6]}, w: {fill: normal, shape: [4, 4, 3, 3]}, b: {fill: normal},
     sweep: {spelling: [apart, channels_last, channels_first, recorded, module]}, directions: [forward, grad_weight],
     geometry: {padding: same_upper}}
  - {id: wraps, dtype: int32, x: {fill: integers, shape: [1, 2, 5, 4]}, w: {fill: integers, shape: [3, 2, 3, 2]}}
  - {id: loop, x: {fill: normal, shape: [4, 3]}, w: {fill: normal, shape: [2, 2]},
     sweep: {operation: [corr2d, layer, matrix]}}
  - {id: refused, x: {fill: integers, shape: [1, 3, 4, 4]}, w: {fill: integers, shape: [4, 2, 3, 3]}, expect: error}
"""

DEFECTS = """\
crosscorrect: 1
suite: defects
defaults: {operation: conv2d}
cases:
  # apache/mxnet 11203: Deconvolution in float64 with stride and dilation
  - {id: mxnet, dtype: float64, x: {fill: integers, shape: [2, 4, 4, 5]}, w: {fill: integers, shape: [4, 3, 3, 2]},
     geometry: {stride: [2, 3], dilation: [3, 2], padding: 1, transposed: true}}
  # docs/findings.md: a kernel larger than the image, and a strided volume one wide, both by oneDNN
  - {id: larger, x: {fill: integers, shape: [1, 1, 2, 2]}, w: {fill: integers, shape: [1, 1, 3, 3]}, expect: error}
  - {id: volume, x: {fill: normal, shape: [3, 1, 3, 6, 2]}, w: {fill: normal, shape: [1, 1, 1, 2, 2]},
     geometry: {stride: [2, 1, 3]}}
  # pytorch 195394, by oneDNN: windows that see nothing but padding; on some processors the process dies
  - {id: unseen, spelling: channels_last, x: {fill: integers, low: 1, high: 2, shape: [2, 16, 3, 1]},
     w: {fill: integers, low: 1, high: 2, shape: [4, 16, 1, 1]}, b: [1, 2, 3, 4],
     geometry: {stride: [1, 2], padding: [0, 1], dilation: [1, 2]}}
"""
KNOWN = {"mxnet": {"mxnet"}, "tensorflow": {"larger", "volume"}}
"""The defects of the versions that tox pins, on every processor that we have met."""

BATCH = """\
import contextlib, io, runpy, sys
for path in sys.argv[1:]:
    out = io.StringIO()
    try:
        with contextlib.redirect_stdout(out):
            runpy.run_path(path, run_name="__main__")
    except SystemExit as end:
        print(path, end.code, (out.getvalue().splitlines() or [""])[-1], sep="|", flush=True)
"""

pytestmark = pytest.mark.filterwarnings("default")


def ran(folder: Path, text: str, modes: tuple[str, ...]) -> Run:
    """A run of these cases in this very interpreter."""
    path = folder / "cases.yaml"
    path.write_text(text, encoding="utf-8")
    return api.run([path], [ADAPTER], modes=modes, pythons={ADAPTER: sys.executable}, results=folder / "results")


def written(run: Run, folder: Path) -> dict[Path, dict[str, Any]]:
    """The scripts of a run, each with its row; what the framework has no words for has none."""
    made, refused = {}, []
    for number, row in enumerate(run.checks.to_dict("records")):
        path = folder / f"script{number}.py"
        try:
            repro.script(run, row, stem=path.stem).write(path)
        except UsageError as refusal:
            if row["outcome"] != Outcome.UNSUPPORTED:
                refused.append(f"{row['problem']}: {refusal}")
            continue
        made[path] = row
    assert not refused or ADAPTER == "numpy"  # which lacks what no script can do without: a bfloat16, an operator
    return made


def python(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """This interpreter, in a folder, without this project's own sources on its path."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    environment["GLIBC_TUNABLES"] = DIRTY_MEMORY  # a script that shows a failure would start itself again for it
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("mode", ["eager", "compiled"])
def test_the_script_of_every_kind_of_problem_ends_as_the_run_judged(mode: str, tmp_path: Path) -> None:
    if mode == "compiled" and ADAPTER in ("numpy", "torch"):
        pytest.skip("NumPy has no compiler; torch.compile builds C++ for a minute or more, and one problem is enough")
    made = written(ran(tmp_path, SPREAD, (mode,)), tmp_path)
    assert len(made) >= 20
    done = python("-c", BATCH, *map(str, made), folder=tmp_path)
    ended = {line.partition("|")[0]: line for line in done.stdout.splitlines() if line.count("|") >= 2}
    assert len(ended) == len(made), done.stderr
    for path, row in made.items():
        _, code, said = ended[str(path)].split("|", 2)
        assert int(code) == (row["outcome"] not in FINE), (row["problem"], row["direction"], row["message"], said)
        assert said.startswith("No failure" if code == "0" else "FAILURE")


@pytest.mark.skipif(ADAPTER != "torch", reason="the other compilers take the whole spread")
def test_a_script_compiles_where_the_run_did(tmp_path: Path) -> None:
    cases = "\n".join(line for line in SPREAD.splitlines() if "id:" not in line and not line.startswith("     "))
    case = (
        "  - {id: one, x: {fill: normal, shape: [2, 3, 7, 6]}, w: {fill: normal, shape: [4, 3, 3, 2]}, b: [1, 2, 3, 4]}"
    )
    run = ran(tmp_path, f"{cases}\n{case}\n", ("compiled",))
    ((path, row),) = written(run, tmp_path).items()
    if row["outcome"] == Outcome.UNSUPPORTED:
        pytest.skip(row["message"])
    assert "torch.compile(convolve" in path.read_text(encoding="utf-8")
    done = python(path.name, folder=tmp_path)
    assert done.returncode == (row["outcome"] not in FINE), done.stdout + done.stderr


@pytest.mark.skipif(ADAPTER == "numpy", reason="NumPy has no convolution of its own to be wrong")
def test_a_real_defect_shows_by_itself(tmp_path: Path) -> None:
    made = written(ran(tmp_path, DEFECTS, ("eager",)), tmp_path)
    failed = {row["case"] for row in made.values() if row["outcome"] in (Outcome.FAIL, Outcome.CRASH)}
    assert failed >= KNOWN.get(ADAPTER, set())
    for path, row in made.items():
        done = python(path.name, folder=tmp_path)
        if row["outcome"] == Outcome.CRASH:
            assert done.returncode < 0, done.stdout + done.stderr
            assert done.stdout.splitlines()[-1].startswith("What comes now ended the process in the run")
        else:
            assert done.returncode == (row["outcome"] not in FINE), (row, done.stdout + done.stderr)
        if row["case"] in KNOWN.get(ADAPTER, set()):
            assert done.stdout.splitlines()[-1].startswith("FAILURE: ")
