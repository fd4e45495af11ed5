"""The fingerprint of the code that gave a result changes with the code and with nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crosscorrect.sources import fingerprint

if TYPE_CHECKING:
    from pathlib import Path


def package(folder: Path, text: str = "x = 1\n") -> dict[str, str]:
    (folder / "inner").mkdir(parents=True)
    (folder / "__init__.py").write_text("", encoding="utf-8")
    (folder / "inner" / "code.py").write_text(text, encoding="utf-8")
    return {"package": str(folder)}


def test_it_does_not_depend_on_where_the_package_lies_or_on_files_that_are_not_code(tmp_path: Path) -> None:
    one, two = package(tmp_path / "one"), package(tmp_path / "two")
    (tmp_path / "two" / "notes.txt").write_text("anything", encoding="utf-8")
    assert fingerprint(one) == fingerprint(two)


def test_a_changed_byte_a_renamed_file_and_another_package_name_change_it(tmp_path: Path) -> None:
    packages = package(tmp_path / "one")
    seen = {fingerprint(packages), fingerprint({"other": packages["package"]})}
    seen.add(fingerprint(package(tmp_path / "two", "x = 2\n")))
    (tmp_path / "one" / "inner" / "code.py").rename(tmp_path / "one" / "inner" / "more.py")
    seen.add(fingerprint(packages))
    assert len(seen) == 4


def test_an_adapter_that_is_a_single_module_has_one_too(tmp_path: Path) -> None:
    module = tmp_path / "mine.py"
    module.write_text("class Mine: ...\n", encoding="utf-8")
    before = fingerprint({"mine": str(module)})
    module.write_text("class Mine: pass\n", encoding="utf-8")
    assert fingerprint({"mine": str(module)}) != before
