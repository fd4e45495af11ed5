"""Imports point one way, and what must be quick or framework-free imports nothing heavy."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import crosscorrect

ROOT = Path(__file__).parent.parent
PACKAGES = {
    "crosscorrect": ROOT / "harness" / "crosscorrect",
    "crosscorrect_adapters": ROOT / "adapters" / "crosscorrect_adapters",
    "crosscorrect_cases": ROOT / "cases" / "crosscorrect_cases",
    "crosscorrect_reports": ROOT / "reports" / "crosscorrect_reports",
}
FRAMEWORKS = {"mxnet", "torch", "tensorflow", "keras", "jax", "jaxlib"}
TRAVELLING = {"crosscorrect.adapter", "crosscorrect.dtypes", "crosscorrect.geometry", "crosscorrect.worker"}
STANDARD = set(sys.stdlib_module_names)


def modules(package: str) -> list[Path]:
    found = sorted(PACKAGES[package].rglob("*.py"))
    assert found, f"no modules in {package}"
    return found


def imports(path: Path) -> list[str]:
    """Every absolute module name a file imports, wherever in the file; type-checking imports included."""
    names = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            names += [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
    return names


def tops(path: Path) -> set[str]:
    return {name.partition(".")[0] for name in imports(path)}


@pytest.mark.parametrize("path", modules("crosscorrect"), ids=str)
def test_the_harness_imports_no_framework_and_no_adapter(path: Path) -> None:
    assert not tops(path) & (FRAMEWORKS | {"crosscorrect_adapters"})


@pytest.mark.parametrize("path", modules("crosscorrect"), ids=str)
def test_only_the_command_line_and_what_is_shown_in_notebooks_know_of_reports(path: Path) -> None:
    if "cli" not in path.relative_to(PACKAGES["crosscorrect"]).parts and path.name != "checked.py":
        assert "crosscorrect_reports" not in tops(path)


def test_a_result_that_shows_itself_loads_reports_only_then() -> None:
    code = """
import crosscorrect
result = crosscorrect.check(lambda x, w: x.dtype.type(1) * x[:1, :1] * w[:1, :1], only=["handmade/loop"])
assert not result
"""
    assert "crosscorrect_reports" not in imported_by(code)
    assert "crosscorrect_reports" in imported_by(f"{code}str(result)")


@pytest.mark.parametrize("path", modules("crosscorrect_adapters"), ids=str)
def test_an_adapter_imports_the_protocol_numpy_and_its_own_framework_only(path: Path) -> None:
    framework = path.stem.strip("_").partition("_")[0]
    own = {"tensorflow": {"tensorflow", "keras"}, "jax": {"jax", "jaxlib"}}.get(framework, {framework})
    allowed = STANDARD | {"numpy", "crosscorrect", "crosscorrect_adapters"} | own
    assert tops(path) <= allowed
    harness = {name for name in imports(path) if name.startswith("crosscorrect.")}
    assert all(
        name.startswith(("crosscorrect.adapter", "crosscorrect.dtypes", "crosscorrect.geometry")) for name in harness
    )


@pytest.mark.parametrize("path", modules("crosscorrect_cases"), ids=str)
def test_cases_are_data_and_import_nothing(path: Path) -> None:
    assert not imports(path)


@pytest.mark.parametrize("path", modules("crosscorrect_reports"), ids=str)
def test_reports_import_no_framework_no_adapter_and_nothing_that_runs(path: Path) -> None:
    assert not tops(path) & (FRAMEWORKS | {"crosscorrect_adapters"})
    runs = [f"crosscorrect.{name}" for name in ("lane", "execution", "process", "api", "cli")]
    assert all(find_spec(name) for name in runs)  # names of modules that are there
    assert not set(runs) & set(imports(path))


def travelling_modules() -> list[Path]:
    base = PACKAGES["crosscorrect"]
    plain = ("__init__.py", "adapter.py", "dtypes.py", "geometry.py")
    return [*(base / name for name in plain), *sorted((base / "worker").glob("*.py"))]


@pytest.mark.parametrize("path", travelling_modules(), ids=str)
def test_what_travels_to_a_worker_needs_numpy_and_the_standard_library_only(path: Path) -> None:
    assert tops(path) <= STANDARD | {"numpy", "crosscorrect"}
    harness = {name for name in imports(path) if name.startswith("crosscorrect.")}
    assert all(name.startswith(tuple(TRAVELLING)) for name in harness)


@pytest.mark.parametrize("path", [*travelling_modules(), *modules("crosscorrect_adapters")], ids=str)
def test_what_runs_in_a_framework_environment_parses_as_python_3_8(path: Path) -> None:
    ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 8))


def imported_by(code: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"import sys\n{code}\nprint(*sorted(sys.modules))"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return {name.partition(".")[0] for name in done.stdout.splitlines()[-1].split()}


def test_importing_crosscorrect_imports_no_framework_no_numpy_and_no_pandas() -> None:
    assert not imported_by("import crosscorrect") & (FRAMEWORKS | {"numpy", "pandas", "click"})


HELP = """
from click.testing import CliRunner
from crosscorrect.cli import main
r = CliRunner().invoke(main, {!r})
assert r.exit_code == 0, r.output
"""


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["cases", "--help"]])
def test_help_imports_no_framework_no_numpy_and_no_pandas(arguments: list[str]) -> None:
    assert not imported_by(HELP.format(arguments)) & (FRAMEWORKS | {"numpy", "pandas", "matplotlib"})


def test_listing_adapters_imports_no_framework_and_no_adapter() -> None:
    assert not imported_by(HELP.format(["frameworks"])) & (FRAMEWORKS | {"crosscorrect_adapters"})


def test_the_package_runs_from_where_it_was_installed() -> None:
    assert Path(crosscorrect.__file__).name == "__init__.py"
