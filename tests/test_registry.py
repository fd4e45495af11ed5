"""Names become adapters, interpreters and workers, and each way that can go wrong is told with what to do instead."""

from __future__ import annotations

import contextlib
import importlib
import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from crosscorrect import registry
from crosscorrect.errors import IncompleteError, UsageError
from crosscorrect.process import Worker, switches
from crosscorrect.registry import GROUP, adapters, available, importable, locate, tox_python


def distribution(site: Path, name: str, points: str) -> None:
    """What an installed distribution leaves: its metadata with entry points."""
    folder = site / f"{name}-1.0.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n", encoding="utf-8")
    (folder / "entry_points.txt").write_text(f"[{GROUP}]\n{points}\n", encoding="utf-8")


def interpreter(path: Path) -> Path:
    path.parent.mkdir(parents=True)
    path.symlink_to(sys.executable)
    return path


def test_the_five_adapters_of_this_repository_are_listed_and_numpy_is_first() -> None:
    assert list(adapters()) == ["numpy", "jax", "mxnet", "tensorflow", "torch"]


def test_another_distribution_s_adapter_is_listed_beside_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    distribution(tmp_path, "acme", "acme = acme_adapter:Acme")
    monkeypatch.syspath_prepend(tmp_path)
    assert adapters()["acme"].value == "acme_adapter:Acme"
    assert "acme" in available()


def test_two_distributions_that_offer_one_name_are_refused_and_both_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    distribution(tmp_path, "acme", "same = acme_adapter:Acme")
    distribution(tmp_path, "rival", "same = rival_adapter:Rival")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UsageError, match=r"an adapter named 'same': (acme and rival|rival and acme); uninstall one"):
        adapters()


def test_one_adapter_found_twice_on_the_path_is_one_adapter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for site in ("a", "b"):
        distribution(tmp_path / site, "acme", "acme = acme_adapter:Acme")
        monkeypatch.syspath_prepend(tmp_path / site)
    assert adapters()["acme"].value == "acme_adapter:Acme"


@pytest.mark.parametrize(("name", "hint"), [("torhc", "did you mean 'torch'?"), ("zzz", "known: numpy, jax, mxnet")])
def test_an_unknown_framework_is_told_with_the_nearest_name_or_with_all(name: str, hint: str) -> None:
    with pytest.raises(UsageError) as told:
        locate(name)
    assert f"unknown framework {name!r}; {hint}" in str(told.value)


def test_an_adapter_of_ours_starts_in_this_interpreter_with_the_packages_it_needs() -> None:
    found = locate("numpy")
    assert (found.python, found.found) == (Path(sys.executable), "current")
    assert sorted(found.packages) == ["crosscorrect", "crosscorrect_adapters"]
    assert all((Path(folder) / "__init__.py").is_file() for folder in found.packages.values())


@pytest.mark.parametrize("written", ["/no/such/python", "no-such-python-at-all", "/tmp", ""])  # noqa: S108  a folder that is there
def test_an_interpreter_that_is_not_there_is_told_with_the_option_that_names_one(written: str) -> None:
    with pytest.raises(IncompleteError, match=r"framework 'torch': there is no interpreter at .*--python torch=PATH"):
        locate("torch", {"torch": Path(written)})


def test_a_given_interpreter_is_taken_as_it_is_written_not_as_what_it_links_to(tmp_path: Path) -> None:
    """A virtual environment's python is a link; following it would leave the environment."""
    python = interpreter(tmp_path / "venv" / "bin" / "python")
    found = locate("torch", {"torch": python})
    assert (found.python, found.found) == (python, "option")


def test_tox_s_interpreter_is_found_from_a_folder_below(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    python = interpreter(tmp_path / ".tox" / "mxnet" / "bin" / "python")
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    monkeypatch.setattr(registry, "importable", lambda _: False)
    found = locate("mxnet")
    assert (found.python, found.found) == (python, "tox")
    assert available() == ["mxnet"]
    assert tox_python("torch", below) is None


def test_a_framework_that_can_be_imported_here_is_not_looked_for_in_tox(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interpreter(tmp_path / ".tox" / "numpy" / "bin" / "python")
    monkeypatch.chdir(tmp_path)
    assert locate("numpy").found == "current"


def test_a_given_interpreter_comes_before_tox_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interpreter(tmp_path / ".tox" / "mxnet" / "bin" / "python")
    monkeypatch.chdir(tmp_path)
    assert locate("mxnet", {"mxnet": Path(sys.executable)}).found == "option"


def test_whether_a_framework_is_here_is_found_without_importing_it() -> None:
    assert importable("numpy")
    assert not importable("no_such_framework")
    assert not importable("no.such.framework")


def test_an_adapter_given_by_its_target_needs_no_entry_point() -> None:
    found = locate("mine", targets={"mine": "mutants:FlippedKernel"})
    assert found.target == "mutants:FlippedKernel"
    assert found.packages["mutants"].endswith("mutants.py")


NUMPY_AGAIN = """\
from dataclasses import replace
from os import environ

from crosscorrect_adapters.numpy import NumpyAdapter


class MyAdapter(NumpyAdapter):
    @classmethod
    def identity(cls):
        return replace(super().identity(), notes=("CXX is " + environ.get("CXX", "not set"),))
"""


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, which is not on the path: an adapter lies in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_own_adapter.py").write_text(NUMPY_AGAIN, encoding="utf-8")
    return tmp_path


def test_a_target_given_by_hand_is_found_in_the_current_folder_and_the_path_stays_as_it_was(mine: Path) -> None:
    before = list(sys.path)
    found = locate("mine", targets={"mine": "my_own_adapter:MyAdapter"})
    assert found.packages["my_own_adapter"] == str(mine / "my_own_adapter.py")
    assert sys.path == before


def test_an_installed_adapter_is_not_looked_for_in_the_current_folder(
    mine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    distribution(mine / "site", "acme", "acme = my_own_adapter:MyAdapter")
    monkeypatch.syspath_prepend(mine / "site")
    with pytest.raises(UsageError, match="no module named 'my_own_adapter' here"):
        locate("acme")


def test_the_console_script_runs_an_adapter_that_lies_in_the_current_folder(mine: Path) -> None:
    script = mine / "bin" / "crosscorrect"  # as pip writes it: Python puts its folder on the path, not the current one
    script.parent.mkdir()
    script.write_text("from crosscorrect.cli import main\nmain()\n", encoding="utf-8")
    suite = "crosscorrect: 1\nsuite: s\ncases:\n- {id: c, operation: corr2d, x: [[1, 2]], w: [[3]], only: [mine]}\n"
    (mine / "s.yaml").write_text(suite, encoding="utf-8")
    adapter = ["-f", "mine", "--adapter", "mine=my_own_adapter:MyAdapter"]
    command = [sys.executable, str(script), "run", "s.yaml", *adapter, "--json", "--no-report"]
    done = subprocess.run(command, cwd=mine, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["passed"] == 1


@pytest.mark.usefixtures("mine")
def test_a_worker_is_told_the_compilers_of_this_environment_and_they_are_recorded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CXX", "/opt/my-c++")
    monkeypatch.setenv("CXXFLAGS", "-O9")
    assert switches()["CXX"] == "/opt/my-c++"
    assert "CXXFLAGS" not in switches()
    with Worker(locate("mine", targets={"mine": "my_own_adapter:MyAdapter"})) as worker:
        assert worker.hello["notes"] == ["CXX is /opt/my-c++"]


def test_a_worker_can_be_started_first_and_greeted_later() -> None:
    worker = Worker(locate("numpy"), greet=False)
    assert worker.hello == {}
    with contextlib.closing(worker):
        worker.greet()
        assert worker.hello["type"] == "hello"
    with Worker(locate("numpy"), greet=False) as entered:
        assert entered.hello["type"] == "hello"


def test_a_worker_that_is_still_booting_can_be_killed_from_another_thread(tmp_path: Path) -> None:
    slow = interpreter(tmp_path / "bin" / "python")
    slow.unlink()
    slow.write_text("#!/bin/sh\nexec sleep 1000\n", encoding="utf-8")
    slow.chmod(0o755)
    worker = Worker(locate("numpy", {"numpy": slow}), greet=False)
    assert (worker.hello, worker.alive) == ({}, True)
    killer = threading.Timer(0.1, worker.kill)
    killer.start()
    with pytest.raises(IncompleteError, match="ended without a word"):
        worker.greet()
    killer.join()
    assert not worker.alive


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("no_such_module:Adapter", "no module named 'no_such_module' here"),
        ("no_such_module.inner:Adapter", "no module named 'no_such_module' here"),
        ("mutants", "write it as MODULE:CLASS"),
        (":Adapter", "write it as MODULE:CLASS"),
        ("mutants:", "write it as MODULE:CLASS"),
        ("./mutants.py:FlippedKernel", "write it as MODULE:CLASS"),
    ],
)
def test_a_target_that_cannot_be_found_is_told(target: str, words: str) -> None:
    with pytest.raises(UsageError) as told:
        locate("mine", targets={"mine": target})
    assert f"the adapter {target!r} cannot be found" in str(told.value)
    assert words in str(told.value)


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("class Thing: pass", True),
        ("if True:\n    Thing = 1", True),
        ("from elsewhere import Thing", True),
        ("try:\n    import x as Thing\nexcept ImportError:\n    pass", True),
        ("from elsewhere import *", True),
        ("def __getattr__(name): ...", True),
        ("globals()['Thing'] = 1", True),
        ("this is of another Python", True),
        ("Thing", False),
        ("def other():\n    Thing = 1", False),
        ("", False),
    ],
)
@pytest.mark.parametrize("place", ["acme.py", "acme/__init__.py", "acme/deep.py"])
def test_a_class_is_refused_only_where_the_source_of_its_module_says_that_it_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, found: bool, place: str
) -> None:
    path = tmp_path / place
    path.parent.mkdir(exist_ok=True)
    path.write_text(source, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "acme", raising=False)
    importlib.invalidate_caches()
    target = "acme.deep:Thing" if place.endswith("deep.py") else "acme:Thing"
    with contextlib.nullcontext() if found else pytest.raises(UsageError, match=f"{path.name} has no 'Thing'"):
        assert locate("mine", targets={"mine": target}).target == target
