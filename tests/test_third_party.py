"""An adapter in another distribution has the same rights: found, started, run and judged without touching this one."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import numpy as np
import pytest

from crosscorrect import api, store
from crosscorrect.registry import adapters

ADAPTER = '''\
"""An adapter of somebody else's: a loop in Python's own floats, and nothing more."""

import numpy as np

from acme_adapter.loop import correlate
from crosscorrect.adapter import Identity, Unsupported


class AcmeAdapter:
    def __init__(self, device, mode):
        self.place = (device, mode)

    @classmethod
    def identity(cls):
        return Identity("acme", {"acme": "4.2"})

    def arithmetic(self, kind):
        pass

    def put(self, array):
        return array.tolist(), array.dtype

    def get(self, tensor):
        return np.array(tensor[0], tensor[1])

    def sync(self, *tensors):
        pass

    def corr2d(self, x, k):
        return correlate(x[0], k[0]), x[1]

    def conv2d(self, x, w, b, geometry):
        raise Unsupported("acme has no operator")
'''
LOOP = """\
def correlate(x, k):
    rows, columns = range(len(x) - len(k) + 1), range(len(x[0]) - len(k[0]) + 1)
    taps = [(a, b) for a in range(len(k)) for b in range(len(k[0]))]
    return [[sum(x[i + a][j + b] * k[a][b] for a, b in taps) for j in columns] for i in rows]
"""
SUITE = """\
crosscorrect: 1
suite: small
cases:
  - {id: loop, operation: corr2d, x: [[0, 1, 2], [3, 4, 5], [6, 7, 8]], w: [[0, 1], [2, 3]],
     expect: [[19, 25], [37, 43]]}
  - {id: operator, operation: conv2d, x: [[1, 2, 4]], w: [[1, -1]]}
"""


def wheel(folder: Path, loop: str = LOOP) -> Path:
    """A wheel of a package ``acme_adapter`` that offers the adapter ``acme``: what any build tool would make."""
    info = "acme_crosscorrect-4.2.dist-info"
    files = {
        "acme_adapter/__init__.py": ADAPTER,
        "acme_adapter/loop.py": loop,
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: acme-crosscorrect\nVersion: 4.2\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: by hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": "[crosscorrect.adapters]\nacme = acme_adapter:AcmeAdapter\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{name},,\n" for name in [*files, f"{info}/RECORD"])
    path = folder / "acme_crosscorrect-4.2-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def install(path: Path, site: Path) -> Path:
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input"]
    if subprocess.run([*pip, "--version"], capture_output=True, check=False).returncode == 0:
        subprocess.run([*pip, "install", "-q", "--no-deps", "--no-index", "--target", str(site), str(path)], check=True)
    else:  # an environment without pip: a wheel of pure Python is installed by unpacking it
        zipfile.ZipFile(path).extractall(site)
    return site


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the other distribution installed in it."""
    folder = tmp_path_factory.mktemp("other")
    return install(wheel(folder), folder / "site")


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(SUITE, encoding="utf-8")
    return path


def outcomes(run: store.Run) -> dict[tuple[str, str], tuple[str, str]]:
    rows = run.checks.to_dict("records")
    return {(row["framework"], row["case"]): (row["outcome"], row["message"]) for row in rows}


EXPECTED = {("acme", "loop"): ("pass", ""), ("acme", "operator"): ("unsupported", "acme has no operator")}


def test_it_is_listed_run_and_judged_from_the_command_line(site: Path, suite: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(site)}

    def crosscorrect(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "crosscorrect", *map(str, arguments)]
        return subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)

    listed = crosscorrect("frameworks")
    assert "acme_adapter:AcmeAdapter" in listed.stdout, listed.stderr
    done = crosscorrect("run", suite, "-f", "acme", "-f", "numpy", "--no-report")
    assert done.returncode == 1, done.stderr  # a refusal that no expectations list
    run = store.load(tmp_path / "results" / "latest")
    assert outcomes(run) == {**EXPECTED, ("numpy", "loop"): ("pass", ""), ("numpy", "operator"): ("pass", "")}
    assert run.env[run.env["key"] == "acme"]["value"].tolist() == ["4.2"]


def test_it_travels_to_an_interpreter_that_has_neither_it_nor_crosscorrect(
    site: Path, suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bare virtual environment with NumPy in reach; nothing is installed into it."""
    other = tmp_path / "venv"
    venv.create(other, with_pip=False, symlinks=True)
    packages = next((other / "lib").glob("python*")) / "site-packages"
    packages.joinpath("numpy").symlink_to(Path(np.__file__).parent)
    shared = Path(np.__file__).parent.with_name("numpy.libs")
    if shared.is_dir():
        packages.joinpath("numpy.libs").symlink_to(shared)
    before = sorted(packages.iterdir())
    monkeypatch.syspath_prepend(site)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    python = other / "bin" / "python"
    bare = subprocess.run([python, "-c", "import crosscorrect"], capture_output=True, text=True, check=False)
    assert "No module named 'crosscorrect'" in bare.stderr
    assert adapters()["acme"].value == "acme_adapter:AcmeAdapter"
    run = api.run([suite], ["acme"], pythons={"acme": python}, results=tmp_path / "results")
    assert outcomes(run) == EXPECTED
    found = run.env[run.env["section"] == "interpreter"].set_index("key")["value"]
    assert found["found"] == "option"
    assert sorted(packages.iterdir()) == before


def test_it_is_judged_as_strictly_as_ours(suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flipped = LOOP.replace("k[a][b]", "k[-1 - a][-1 - b]")
    folder = tmp_path / "flipped"
    folder.mkdir()
    with zipfile.ZipFile(wheel(folder, flipped)) as archive:
        archive.extractall(folder / "site")
    monkeypatch.syspath_prepend(folder / "site")
    run = api.run([suite], ["acme"], only=["small/loop"], results=tmp_path / "results")
    (row,) = run.checks.to_dict("records")
    assert (row["outcome"], row["reason"], row["tier"]) == ("fail", "value", "literal")
    assert (row["where"], row["expected"], row["got"]) == ("0,0", 19.0, 5.0)
