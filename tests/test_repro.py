"""Stand-alone scripts: every bit embedded, readable Python, exit status 1 exactly where the failure shows."""

from __future__ import annotations

import ast
import base64
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra import numpy as arrays

from commandline import invoke
from crosscorrect import api, dtypes, literals, repro, store
from crosscorrect.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

FRAMEWORKS = ("numpy", "torch", "tensorflow", "jax", "mxnet")
IMPORTS = {"numpy": set(), "torch": {"torch"}, "tensorflow": {"tensorflow"}, "jax": {"jax"}, "mxnet": {"mxnet"}}
STANDARD = {"base64", "os", "pathlib", "platform", "sys", "numpy"}
WIDEST = 160
"""No line of a script is longer: a few calls are, than black would have them."""

CASES = """\
crosscorrect: 1
suite: spread
defaults: {show: true, operation: conv2d}
cases:
  - {id: plain, x: {fill: integers, shape: [2, 3, 7, 6]}, w: {fill: integers, shape: [4, 3, 3, 2]}, b: [1, 2, 3, 4],
     directions: [forward, grad_input, grad_weight, grad_bias]}
  - {id: grouped, x: {fill: normal, shape: [2, 4, 7, 9]}, w: {fill: normal, shape: [6, 2, 3, 2]},
     directions: [forward, grad_input, grad_weight],
     geometry: {stride: [2, 3], padding: [[0, 2], [1, 0]], dilation: [2, 1], groups: 2}}
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
     sweep: {dtype: [float16, float64, complex64, complex128]}, directions: [forward, grad_input, grad_weight]}
  - {id: integers, x: {fill: integers, low: 0, high: 4, shape: [1, 2, 5, 4]},
     w: {fill: integers, low: 0, high: 2, shape: [3, 2, 3, 2]},
     sweep: {dtype: [int8, uint8, int32, int64]}}
  - {id: wraps, dtype: int8, x: {fill: integers, low: -100, high: 100, shape: [1, 2, 5, 4]},
     w: {fill: integers, shape: [3, 2, 3, 2]}}
  - {id: loop, x: {fill: normal, shape: [5, 6]}, w: {fill: normal, shape: [2, 3]},
     sweep: {operation: [corr2d, layer, matrix]}}
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> store.Run:
    """A run of NumPy, in which everything is as it should be."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "spread.yaml").write_text(CASES, encoding="utf-8")
    return api.run([folder / "spread.yaml"], ["numpy"], results=folder / "results")


def records(run: store.Run) -> list[dict[str, Any]]:
    return [{str(key): value for key, value in row.items()} for row in run.checks.to_dict("records")]


def executed(path: Path) -> subprocess.CompletedProcess[str]:
    """A script run as a stranger would: in its folder, without this project on the path."""
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(path.parent / "site")}
    command = [sys.executable, "-W", "error", path.name]
    return subprocess.run(command, cwd=path.parent, env=environment, capture_output=True, text=True, check=False)


def evaluated(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    found = eval(literals.expression(array), {"np": np, "base64": base64})  # noqa: S307  our own output
    return np.asarray(found)


@given(
    st.sampled_from(sorted(set(dtypes.NAMES) - {"bfloat16"})).flatmap(
        lambda name: arrays.arrays(name, arrays.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=5))
    )
)
def test_an_array_as_source_gives_back_every_bit(array: np.ndarray[Any, Any]) -> None:
    found = evaluated(array)
    assert (found.shape, found.dtype) == (array.shape, array.dtype)
    assert found.tobytes() == array.tobytes()


@given(arrays.arrays(np.uint16, st.integers(0, 300)))
def test_bfloat16_is_written_as_the_float32_that_it_is(bits: np.ndarray[Any, Any]) -> None:
    array = bits.view(dtypes.BFLOAT16)
    assert evaluated(array).tobytes() == dtypes.widen(array).tobytes()


def with_problems(run: store.Run, problems: Any) -> store.Run:
    """The run with another table of problems."""
    changed = store.Run(run.folder, run.info)
    vars(changed).update(checks=run.checks, problems=problems, env=run.env, arrays=run.arrays)
    return changed


def test_few_numbers_are_written_in_decimal_and_many_in_base64() -> None:
    assert literals.expression(np.array([[0.1, 2]], np.float32)) == 'np.array([[0.1, 2]], dtype="float32")'
    assert "base64" in literals.expression(np.random.default_rng(0).standard_normal(300))


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_every_adapter_of_ours_has_a_template_and_finding_it_imports_nothing(framework: str) -> None:
    code = (
        f"import sys; from crosscorrect import repro; print(repro.template_folder({framework!r}));"
        "print(sorted({'crosscorrect_adapters', 'torch', 'jax', 'mxnet', 'tensorflow'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    folder, imported = done.stdout.splitlines()
    assert (Path(folder) / f"{framework}.py.jinja").is_file()
    assert imported == "[]"


def variants(run: store.Run, framework: str) -> Iterator[tuple[store.Run, dict[str, Any]]]:
    """Every row of the run as if the framework had given it, compiled too, and in every spelling."""
    spellings = {"torch": "channels_last", "jax": "channels_last", "mxnet": "channels_last"}
    last = spellings.get(framework, "channels_first")
    for spelling in ("native", "apart", "recorded", "module", last):
        problems = run.problems.assign(spelling=spelling)
        changed = with_problems(run, problems)
        for row in records(run):
            for mode in ("eager", "compiled") if spelling in ("native", "module") else ("eager",):
                yield changed, {**row, "framework": framework, "mode": mode}


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_scripts_are_python_that_needs_numpy_and_the_framework_only(run: store.Run, framework: str) -> None:
    written, refusals = 0, []
    for changed, row in variants(run, framework):
        try:
            text = repro.script(changed, row).text
        except UsageError as refusal:
            refusals.append(str(refusal))
            continue
        written += 1
        imported = {
            name.partition(".")[0]
            for node in ast.walk(ast.parse(text))
            if isinstance(node, (ast.Import, ast.ImportFrom))
            for name in ([a.name for a in node.names] if isinstance(node, ast.Import) else [node.module or ""])
        }
        assert imported <= STANDARD | IMPORTS[framework]
        assert max(map(len, text.splitlines())) <= WIDEST
        assert "\n\n\n\n" not in text
        assert "\t" not in text
    assert written >= len(run.checks)
    # what a framework has no words for is told in the template's own; a defect of the template would be told otherwise
    assert not [refusal for refusal in refusals if "cannot write" in refusal]


def test_scripts_of_what_passes_end_with_zero_and_agree_with_the_run(run: store.Run, tmp_path: Path) -> None:
    """Each in this process but for the first, which is run as a stranger would."""
    for number, row in enumerate(records(run)):
        assert row["outcome"] == "pass", row["problem"]
        path = tmp_path / f"script{number}.py"
        repro.script(run, row, stem=path.stem).write(path)
        if number == 0:
            done = executed(path)
            assert done.returncode == 0, done.stdout + done.stderr
            assert "worst element" in done.stdout
            assert done.stdout.splitlines()[-1] == "No failure: every element is right"
            continue
        names: dict[str, Any] = {"__name__": "script", "__file__": str(path)}
        exec(compile(path.read_text(encoding="utf-8"), path.name, "exec"), names)  # noqa: S102  what is tested
        assert names["main"]() == 0, row["problem"]


ACME = """\
import os

import numpy as np


def right(x, w):
    y = np.zeros((len(x), len(w), x.shape[2] - w.shape[2] + 1, x.shape[3] - w.shape[3] + 1), x.dtype)
    for i, j in np.ndindex(y.shape[2:]):
        y[:, :, i, j] = np.einsum("ncij,ocij->no", x[:, :, i : i + w.shape[2], j : j + w.shape[3]], w)
    return y


def flipped(x, w):
    return right(x, w[:, :, ::-1, ::-1])


def narrowed(x, w):
    return right(x, w).astype(np.float16)


def longer(x, w):
    return np.concatenate([right(x, w)] * 2)


def lost(x, w):
    y = right(x, w)
    y[0, 0, 0, 0] = np.nan
    return y


def raising(x, w):
    raise RuntimeError("no\\nkernel")


def unwritten(x, w):
    y = right(x, w)
    y[-1] = np.empty(y.shape[1:], y.dtype)
    return y


def nothing(x, w):
    return np.zeros_like(x)


def dying(x, w):
    os._exit(9)
"""
TEMPLATE = """\
{% extends "frame.py.jinja" %}
{% block name %}Acme{% endblock %}
{% block versions %}"Acme 1"{% endblock %}
{% block imports %}
from acme import ops
{% endblock %}
{% block framework %}
def framework():
    y = ops.NAME(x, w)
    return y, y.dtype.name
{% endblock %}
"""
ADAPTER = """\
from acme import ops
from crosscorrect.adapter import Grads
from crosscorrect_adapters.numpy import NumpyAdapter


class NAME(NumpyAdapter):
    def conv2d(self, x, w, b, geometry):
        return ops.NAME(x, w)

    def grads(self, x, w, b, dy, geometry):
        return Grads(ops.NAME(x, w), None)
"""
SMALL = """\
crosscorrect: 1
suite: small
cases:
  - {id: one, operation: conv2d, x: {fill: normal, shape: [2, 2, 5, 4]}, w: {fill: normal, shape: [3, 2, 3, 2]}}
  - {id: whole, operation: conv2d, x: {fill: integers, shape: [2, 2, 5, 4]}, w: {fill: integers, shape: [3, 2, 3, 2]}}
  - {id: refused, operation: conv2d, x: {fill: integers, shape: [1, 1, 2, 2]}, w: {fill: integers, shape: [1, 1, 3, 3]},
     expect: error}
  - {id: slope, operation: conv2d, x: {fill: integers, shape: [1, 1, 2, 2]}, w: {fill: integers, shape: [1, 1, 3, 3]},
     directions: [grad_input], expect: error}
"""


@pytest.fixture
def acme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A third party's package with an operator per defect, an adapter for each, and their templates."""
    package = tmp_path / "site" / "acme"
    (package / "repro").mkdir(parents=True)
    (package / "__init__.py").write_text("", encoding="utf-8")
    (package / "ops.py").write_text(ACME, encoding="utf-8")
    for node in ast.parse(ACME).body:
        if isinstance(node, ast.FunctionDef):
            (package / f"{node.name}.py").write_text(ADAPTER.replace("NAME", node.name), encoding="utf-8")
            (package / "repro" / f"{node.name}.py.jinja").write_text(
                TEMPLATE.replace("NAME", node.name), encoding="utf-8"
            )
    monkeypatch.syspath_prepend(package.parent)
    (tmp_path / "small.yaml").write_text(SMALL, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("name", "case", "outcome", "code", "words"),
    [
        ("right", "one", "pass", 0, "No failure: every element is right"),
        ("right", "whole", "pass", 0, "No failure: every element is right"),
        ("flipped", "one", "fail", 1, "elements are wrong"),
        ("flipped", "whole", "fail", 1, "elements are wrong"),
        ("lost", "whole", "fail", 1, "FAILURE: 1 of 54 elements are wrong"),
        ("narrowed", "one", "fail", 1, "FAILURE: dtype float16 where float32 was asked for"),
        ("longer", "one", "fail", 1, "FAILURE: shape (4, 3, 3, 3) where (2, 3, 3, 3) is right"),
        ("raising", "one", "error", 1, "FAILURE: RuntimeError: no"),
        ("raising", "refused", "pass", 0, "they are refused: RuntimeError: no"),
        ("longer", "refused", "fail", 1, "no error, where these arguments make no sense"),
        ("unwritten", "one", "fail", 1, "elements are wrong"),
        ("nothing", "slope", "pass", 0, "there is no output, and its gradient is zero"),
        ("longer", "slope", "fail", 1, "no error, where these arguments make no sense"),
        ("dying", "one", "crash", 9, "What comes now ended the process in the run"),
    ],
)
def test_a_failure_shows_by_itself_with_status_one_and_one_line(
    acme: Path, name: str, case: str, outcome: str, code: int, words: str
) -> None:
    target = f"acme.{name}:{name}"
    found = api.run(
        [acme / "small.yaml"], [name], adapters={name: target}, only=[f"small/{case}"], results=acme / "results"
    )
    (row,) = records(found)
    assert row["outcome"] == outcome
    path = acme / "script.py"
    repro.script(found, row, stem="script", target=target).write(path)
    done = executed(path)
    assert done.returncode == code, done.stdout + done.stderr
    assert words in done.stdout.splitlines()[-1]
    if row["where"] and row["reason"] != "nonfinite":
        assert f"worst element ({row['where'].replace(',', ', ')})" in done.stdout
        assert f"returned {row['got']!r} = {float(row['got']).hex()}" in done.stdout


def test_the_command_writes_the_script_beside_its_data_and_says_so(acme: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(acme)
    big = SMALL.replace("[2, 2, 5, 4]", "[2, 2, 50, 50]")
    (acme / "small.yaml").write_text(big, encoding="utf-8")
    target = {"flipped": "acme.flipped:flipped"}
    found = api.run([acme / "small.yaml"], ["flipped"], adapters=target, only=["small/one"], results=acme / "results")
    given = ("--adapter", "flipped=acme.flipped:flipped")
    done = invoke("explain", found.folder, "one", *given, "--script", "shown.py")
    assert done.exit_code == 0, done.stderr
    assert "script: shown.py and shown.npz (flipped eager forward)" in done.stdout
    assert executed(acme / "shown.py").returncode == 1
    with np.load(acme / "shown.npz", allow_pickle=False) as kept:
        assert set(kept) == {"x", "w"}
    alone = invoke("explain", found.folder, "small/on", *given, "--script", "-")
    assert alone.stdout.startswith("# Acme: wrong values from a convolution (forward, float32, eager)\n")
    (acme / "alone.py").write_text(alone.stdout, encoding="utf-8")
    assert executed(acme / "alone.py").returncode == 1
    default = invoke("explain", found.folder, "one", *given, "--script")
    assert "script: repro-flipped-small-one-forward.py and " in default.stdout
    assert (acme / "repro-flipped-small-one-forward.py").is_file()


def test_the_likeliest_cause_is_told_after_the_values(acme: Path) -> None:
    target = {"flipped": "acme.flipped:flipped"}
    found = api.run([acme / "small.yaml"], ["flipped"], adapters=target, only=["small/one"], results=acme / "results")
    shown = invoke("explain", found.folder, "one").stdout
    assert shown.index("output: float32") < shown.index("cause 1: flipped-kernel")


def test_without_a_template_or_an_adapter_the_message_says_what_is_missing(
    run: store.Run, acme: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(acme)
    with pytest.raises(UsageError, match="no adapter named 'flipped' is installed here; name it with --adapter"):
        repro.template_folder("flipped")
    with pytest.raises(UsageError, match=r"ships no template .* repro/Acme.py.jinja in the package acme"):
        repro.template_folder("Acme", "acme.flipped:flipped")
    row = {**records(run)[0], "operation": "train"}
    with pytest.raises(UsageError, match="is a train problem; scripts are written for conv2d"):
        repro.script(run, row)


def test_inputs_that_were_not_kept_are_built_again_from_a_suite_that_ships_or_their_absence_is_told(
    run: store.Run, tmp_path: Path
) -> None:
    row = records(run)[0]
    bare = {**row, "arrays": json.dumps({})}
    with pytest.raises(UsageError, match="its suite spread is not one that ships"):
        repro.inputs_of(run, bare)
    shipped = api.run(["chapter"], ["numpy"], only=["edge-detection"], results=tmp_path)
    row = next(r for r in records(shipped) if r["operation"] == "conv2d")
    kept = repro.inputs_of(shipped, row)
    built = repro.inputs_of(shipped, {**row, "arrays": json.dumps({})})
    assert {name: array.tobytes() for name, array in kept.items()} == {n: a.tobytes() for n, a in built.items()}
    with pytest.raises(UsageError, match="gives others now"):
        repro.inputs_of(shipped, {**row, "arrays": json.dumps({}), "input_digest": "0" * 32})


HOSTILE = 'x"""\nimport os\nos._exit(7)\u2028os._exit(7)\r\'\\'


@pytest.mark.parametrize("column", ["message", "diagnosis", "stderr", "problem"])
def test_no_text_of_a_run_becomes_code(run: store.Run, tmp_path: Path, column: str) -> None:
    row = {**records(run)[0], "outcome": "crash", column: HOSTILE}
    problems = run.problems
    if column == "problem":
        problems = problems.replace({"problem": {problems["problem"].iloc[0]: HOSTILE}})
    changed = with_problems(run, problems)
    path = tmp_path / "hostile.py"
    repro.script(changed, row, stem="hostile").write(path)
    assert executed(path).returncode == 0


@pytest.mark.parametrize("column", ["mode", "device", "arithmetic", "dtype", "tier", "spelling", "padding"])
@pytest.mark.parametrize("word", ['cpu"); import os; os._exit(7) #', "x\nimport os\nos._exit(7)", "coding: utf-7"])
def test_a_word_that_no_run_has_is_refused_because_templates_write_it_into_code(
    run: store.Run, column: str, word: str
) -> None:
    row = next(r for r in records(run) if r["operation"] == "conv2d")
    problems = run.problems
    if column == "spelling":
        problems = problems.assign(spelling=word)
    elif column == "padding":
        spelt = [json.dumps({**(json.loads(text) or {}), "padding": word}) for text in problems["geometry"]]
        problems = problems.assign(geometry=spelt)
    else:
        row = {**row, column: word}
    changed = with_problems(run, problems)
    with pytest.raises(UsageError, match=rf"has {column} ") as told:
        repro.script(changed, row)
    assert str(told.value).isprintable()


def test_a_script_names_the_public_report_that_its_problem_replays(run: store.Run) -> None:
    problems = run.problems.assign(url="https://example.org/issues/1")
    changed = with_problems(run, problems)
    assert "# Known as https://example.org/issues/1\n" in repro.script(changed, records(run)[0]).text
