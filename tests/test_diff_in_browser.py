"""The page of what changed in a real browser: what strangers wrote does nothing, links lead into the reports, an
accessibility checker finds nothing.

Needs what ``test_page_in_browser.py`` needs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import crosscorrect_reports
from crosscorrect import beside, store
from crosscorrect.model import Outcome, Reason
from crosscorrect_reports.diff import page
from made_runs import check, finished
from simulated import JAX, finished as timed, machine
from test_page_in_browser import BROWSER, HOSTILE, chromium
from test_reports_diff import each_kind

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["chromium"]  # a fixture, which pytest looks for here

pytestmark = [
    pytest.mark.skipif(not BROWSER, reason="no Chromium here: install the package chromium to test the page in it"),
    pytest.mark.filterwarnings("default::DeprecationWarning"),  # the browser's driver has some of its own
]


def written(folder: Path, text: str) -> str:
    place = folder / "diff.html"
    place.write_text(text, encoding="utf-8")
    return place.as_uri()


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of a page with every kind of change, in which strangers wrote all that they can."""
    folder = tmp_path_factory.mktemp("diff")
    return written(folder, page.render(each_kind(folder, HOSTILE), folder))


@pytest.fixture(scope="module")
def speeds(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of a page with speeds."""
    folder = tmp_path_factory.mktemp("speeds")
    runs = (timed(folder, n, machine({JAX: r}, seed=s, process=0.004)) for n, r, s in (("a", 0.8, 1), ("b", 1.0, 2)))
    base, run = map(store.load, runs)
    return written(folder, page.render(beside.compare(run, base), folder))


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("which", ["everything", "speeds"])
def test_an_accessibility_checker_finds_nothing(
    chromium: Any, theme: str, which: str, request: pytest.FixtureRequest
) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed here")
    tab = chromium.new_page(color_scheme=theme, viewport={"width": 1200, "height": 900})
    tab.goto(request.getfixturevalue(which))
    tab.evaluate("() => document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    found = axe.Axe().run(tab).response["violations"]
    assert [(one["id"], one["nodes"][0]["html"], one["nodes"][0]["failureSummary"]) for one in found] == []
    tab.close()


def test_nothing_that_a_stranger_wrote_runs_or_loads(chromium: Any, everything: str) -> None:
    tab = chromium.new_page()
    asked: list[str] = []
    tab.on("request", lambda request: asked.append(request.url))
    tab.goto(everything)
    assert tab.title() not in ("1", "2")
    assert asked == [everything]
    assert tab.locator("img, script").count() == 0
    tab.close()


@pytest.mark.parametrize("width", [400, 1200])
def test_the_page_never_scrolls_sideways(chromium: Any, everything: str, width: int) -> None:
    tab = chromium.new_page(viewport={"width": width, "height": 900})
    tab.goto(everything)
    tab.evaluate("() => document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    assert tab.evaluate("() => document.documentElement.scrollWidth") <= width
    tab.close()


def test_a_link_of_a_changed_check_opens_that_check_in_the_report(chromium: Any, tmp_path: Path) -> None:
    then = finished(tmp_path / "then", [check("s/a&b=c@x=1,y=%2C"), check("s/two")])
    now = [check("s/a&b=c@x=1,y=%2C", outcome=Outcome.FAIL, reason=Reason.VALUE, message="25 is right"), check("s/two")]
    base, run = store.load(then), store.load(finished(tmp_path / "now", now))
    crosscorrect_reports.write(run)
    tab = chromium.new_page()
    tab.goto(written(tmp_path, page.render(beside.compare(run, base), tmp_path)))
    tab.locator("details.card summary").first.click()
    tab.locator("details.card a", has_text="now").click()
    tab.locator("#problem[open]").wait_for()
    assert tab.locator("#problem-name").inner_text() == "s/a&b=c@x=1,y=%2C"
    assert "25 is right" in tab.locator("#problem-told").inner_text()
    tab.close()
