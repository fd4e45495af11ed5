"""What the documents list is there, and what is there they list: modules in architecture.md, scripts in findings.md."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
HARNESS = ROOT / "harness" / "crosscorrect"
SCRIPTS = sorted((DOCS / "findings").glob("*.py"))
FRAMEWORKS = {"torch", "tensorflow", "jax", "mxnet"}
STANDARD = {"numpy", "os", "sys"}  # what a script may import beside its framework


def rows() -> list[str]:
    """The rows of the module table, without head and rule."""
    text = (DOCS / "architecture.md").read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line.startswith("| ")][1:]


def named(row: str) -> set[str]:
    """The modules that a row of the table names, those of a package as ``package.module``."""
    cell = row.split("|")[2]
    inner = {
        f"{package}.{name}"
        for package, names in re.findall(r"`(\w+)` \(([^)]*)\)", cell)
        for name in names.strip("`").split("`, `")
    }
    return inner | set(re.findall(r"`(\w+)`", re.sub(r"\([^)]*\)", "", cell)))


def present() -> set[str]:
    """The modules of the harness and its packages, without the package itself."""
    found = set()
    for path in HARNESS.rglob("*.py"):
        parts = path.relative_to(HARNESS).with_suffix("").parts
        found.add(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    return found - {""}


def test_the_map_names_every_module_of_the_harness_and_no_other() -> None:
    assert set().union(*map(named, rows())) == present()


def test_no_module_is_in_two_rows_of_the_map() -> None:
    assert sum(len(named(row)) for row in rows()) == len(present())


def test_findings_link_every_script_and_no_other() -> None:
    text = (DOCS / "findings.md").read_text(encoding="utf-8")
    assert {path.name for path in SCRIPTS} == set(re.findall(r"\(findings/([\w.-]+)\)", text))


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_a_finding_compiles_and_needs_only_numpy_and_its_framework(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    compile(source, str(path), "exec")
    framework = path.name.partition("-")[0]
    assert framework in FRAMEWORKS
    tops = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            tops |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            tops.add((node.module or "").partition(".")[0])
    assert framework in tops
    assert tops <= {framework, *STANDARD}


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_a_finding_says_which_version_is_wrong_and_where_it_was_reported(path: Path) -> None:
    words = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    assert re.match(r"(PyTorch|TensorFlow|JAX|MXNet) \d+\.\d+\.\d+, ", words)
    assert "https://github.com/" in words or "o report found" in words


def test_every_fault_in_its_table_has_a_test_that_exists() -> None:
    text = (ROOT / "docs" / "faults.md").read_text(encoding="utf-8")
    named = re.findall(r"`(test_\w+\.py)::(test_\w+)`", text)
    assert len(named) >= 60
    for file, name in named:
        assert f"def {name}(" in (ROOT / "tests" / file).read_text(encoding="utf-8"), (file, name)
