"""The figures of docs/numerics.md: their script measures what their data say, and draws from it what is committed."""

from __future__ import annotations

import importlib.util
import re
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

FIGURES = Path(__file__).parent.parent / "docs" / "figures"
PATH = re.compile(r'<g id="[^"]*?((?:terms|layer|bits) [^"]+)">.*?\bd="([^"]*)"', re.DOTALL)


@cache
def script() -> Any:
    spec = importlib.util.spec_from_file_location("errors_figures", FIGURES / "errors.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def curves(svg: str) -> dict[str, np.ndarray]:
    """The points of each series of a drawing, by its name."""
    return {name: np.array(re.findall(r"-?\d+\.?\d*", path), float) for name, path in PATH.findall(svg)}


def test_what_is_measured_now_is_what_the_data_say() -> None:
    measured, committed = script().measure(), script().read()
    assert [point[:3] for point in measured] == [point[:3] for point in committed]
    for now, then in zip(measured, committed, strict=True):
        # sums in a fixed order are the same to the digit; those of BLAS and of the FFT depend a little on the machine
        free = now.series.startswith(("Winograd", "FFT", "float32, pairwise"))
        assert now.value == pytest.approx(then.value, rel=0.3 if free and now.figure == "layer" else 2e-2), now


@pytest.mark.parametrize("name", ["errors-terms", "errors-layer", "errors-bits"])
def test_the_drawing_has_the_curves_that_are_committed(name: str) -> None:
    drawn = curves(drawings()[name])
    committed = curves((FIGURES / f"{name}.svg").read_text(encoding="utf-8"))
    series = {point.series for point in script().read() if point.figure == name.removeprefix("errors-")}
    assert len(drawn) == len(series)
    assert drawn.keys() == committed.keys()
    for key, points in drawn.items():
        np.testing.assert_allclose(points, committed[key], atol=1.0)  # pixels: margins differ with a font


@cache
def drawings() -> dict[str, str]:
    made: dict[str, str] = script().drawn(script().read())
    return made


def test_no_figure_needs_the_network_or_a_script() -> None:
    for path in FIGURES.glob("*.svg"):
        text = path.read_text(encoding="utf-8")
        assert "<script" not in text
        assert not re.search(r'(?:href|src)="(?!#)', text)


def test_every_figure_is_shown_and_every_file_is_drawn() -> None:
    page = (FIGURES.parent / "numerics.md").read_text(encoding="utf-8")
    shown = Counter(re.findall(r"\(figures/([\w-]+)\.svg\)", page))
    assert shown == Counter(list(script().DRAWN)) == Counter(path.stem for path in FIGURES.glob("*.svg"))


def layer() -> dict[str, dict[int, float]]:
    """The largest errors of the layer: series, terms, error over S."""
    points: dict[str, dict[int, float]] = {}
    for figure, series, n, value in script().read():
        if figure == "layer":
            points.setdefault(series, {})[n] = value
    return points


def proved(n: int) -> float:
    """The proved limit of float32."""
    return n * 2.0**-24 / (1 - n * 2.0**-24)


def probable(n: int) -> float:
    """The probable limit of float32."""
    return 6 * n**0.5 * 2.0**-24


def test_sixteen_bits_are_proved_not_to_be_float32_as_the_page_says() -> None:
    for series in ("bfloat16 inputs", "float16 sums"):
        assert all(error > proved(n) for n, error in layer()[series].items())


def test_tf32_leaves_the_proved_limit_and_not_the_probable_one_as_the_page_says() -> None:
    errors = layer()["TF32 inputs"]
    assert errors[576] > proved(576)
    assert errors[2304] < proved(2304)
    assert all(error > probable(n) for n, error in errors.items())


def test_right_sums_stay_below_both_limits() -> None:
    for series in ("float32, pairwise", "float32, one by one"):
        assert all(error < min(proved(n), probable(n)) for n, error in layer()[series].items())
