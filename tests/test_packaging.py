"""What is built here holds all that a user needs: packages, data files, entry points, tests and docs."""

from __future__ import annotations

import configparser
import email.message
import email.parser
import os
import tarfile
import tomllib
import zipfile
from pathlib import Path, PurePosixPath

import pytest

import crosscorrect

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
SOURCES = {
    "crosscorrect": "harness",
    "crosscorrect_adapters": "adapters",
    "crosscorrect_cases": "cases",
    "crosscorrect_reports": "reports",
}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A wheel and an sdist, built once by the project's own build backend."""
    build = pytest.importorskip("hatchling.build", reason="hatchling, the build backend, is not installed here")
    folder = tmp_path_factory.mktemp("dist")
    here = Path.cwd()
    os.chdir(ROOT)  # the build interface (PEP 517) works in the current folder
    try:
        return folder / build.build_wheel(str(folder)), folder / build.build_sdist(str(folder))
    finally:
        os.chdir(here)


@pytest.fixture(scope="module")
def wheel(built: tuple[Path, Path]) -> zipfile.ZipFile:
    return zipfile.ZipFile(built[0])


@pytest.fixture(scope="module")
def sdist(built: tuple[Path, Path]) -> set[str]:
    with tarfile.open(built[1]) as archive:
        return {PurePosixPath(*PurePosixPath(name).parts[1:]).as_posix() for name in archive.getnames()}


def sources(package: str) -> set[str]:
    """The files of a package in this repository, as paths below its source root."""
    root = ROOT / SOURCES[package]
    found = (path for path in (root / package).rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(root).as_posix() for path in found}


def metadata(wheel: zipfile.ZipFile, name: str) -> str:
    (path,) = [n for n in wheel.namelist() if n.endswith(f".dist-info/{name}")]
    return wheel.read(path).decode()


def test_the_wheel_has_exactly_the_four_packages_at_its_top(wheel: zipfile.ZipFile) -> None:
    tops = {PurePosixPath(name).parts[0] for name in wheel.namelist()}
    assert tops == {*SOURCES, f"crosscorrect-{crosscorrect.__version__}.dist-info"}


@pytest.mark.parametrize("package", SOURCES)
def test_the_wheel_has_every_file_of_a_package(wheel: zipfile.ZipFile, package: str) -> None:
    assert {name for name in wheel.namelist() if name.startswith(f"{package}/")} == sources(package)


@pytest.mark.parametrize(
    "name",
    [
        *(f"{package}/py.typed" for package in SOURCES),
        *(f"crosscorrect_cases/suites/{name}.yaml" for name in ("chapter", "problems", "kernels", "recovery")),
        "crosscorrect_cases/suite.schema.json",
        "crosscorrect_cases/expectations.schema.json",
        "crosscorrect_cases/expectations/numpy.yaml",
        "crosscorrect_reports/templates/page.html",
        "crosscorrect_reports/templates/style.css",
        "crosscorrect_reports/summary.schema.json",
    ],
)
def test_the_wheel_has_the_data_files(wheel: zipfile.ZipFile, name: str) -> None:
    assert name in wheel.namelist()


def test_the_wheel_offers_the_command_the_adapters_and_the_pytest_plugin(wheel: zipfile.ZipFile) -> None:
    points = configparser.ConfigParser()
    points.read_string(metadata(wheel, "entry_points.txt"))
    assert dict(points["console_scripts"]) == {"crosscorrect": "crosscorrect.cli:main"}
    assert dict(points["pytest11"]) == {"crosscorrect": "crosscorrect.pytest_plugin"}
    assert set(points["crosscorrect.adapters"]) == {"numpy", "mxnet", "torch", "tensorflow", "jax"}
    for target in points["crosscorrect.adapters"].values():
        module, _, name = target.partition(":")
        assert f"class {name}" in wheel.read(f"{module.replace('.', '/')}.py").decode()


def test_the_wheel_says_what_the_project_says(wheel: zipfile.ZipFile) -> None:
    said: email.message.Message = email.parser.Parser().parsestr(metadata(wheel, "METADATA"))
    assert (said["Name"], said["Version"]) == ("crosscorrect", crosscorrect.__version__)
    assert said["License-Expression"] == "Apache-2.0"
    assert said["Requires-Python"] == ">=3.11"
    names = {requirement.partition(">")[0].partition("<")[0] for requirement in said.get_all("Requires-Dist", [])}
    assert {"numpy", "pandas", "click"} <= names
    assert not names & {"torch", "tensorflow", "jax", "mxnet"}


@pytest.mark.parametrize("name", ["pyproject.toml", "tox.ini", "Makefile", "README.md", "CHANGELOG.md", "LICENSE"])
def test_the_sdist_has_what_a_checkout_needs(sdist: set[str], name: str) -> None:
    assert name in sdist


def test_the_sdist_has_every_package_every_test_and_the_docs(sdist: set[str]) -> None:
    for package, root in SOURCES.items():
        assert {f"{root}/{path}" for path in sources(package)} <= sdist
    for folder, kind in (("tests", "*.py"), ("docs", "*.md")):
        files = {path.relative_to(ROOT).as_posix() for path in (ROOT / folder).rglob(kind)}
        assert files
        assert files <= sdist


def test_nothing_that_is_made_is_in_the_sdist(sdist: set[str]) -> None:
    made = {"__pycache__", ".tox", ".venv", "results", "dist", "build", ".git"}
    assert not [name for name in sdist if made & set(PurePosixPath(name).parts)]


def test_every_adapter_that_is_offered_is_one_the_project_lists() -> None:
    assert {point.partition(":")[0] for point in PROJECT["entry-points"]["crosscorrect.adapters"].values()} == {
        f"crosscorrect_adapters.{name}" for name in ("numpy", "mxnet", "torch", "tensorflow", "jax")
    }
