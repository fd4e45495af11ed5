"""The page in a real browser: search, addresses, keys, the problem view, both themes, an accessibility checker.

Needs Chromium (Debian's package chromium, or its path in CROSSCORRECT_CHROMIUM); skipped, with a reason, without.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import struct
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np
import pytest

import crosscorrect
import crosscorrect_reports
from crosscorrect import dtypes, gate, store
from crosscorrect.model import Direction, Outcome, Reason
from crosscorrect.worker.wire import digest
from crosscorrect_reports import frames, page
from made_runs import check, finished

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BROWSER = os.environ.get("CROSSCORRECT_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser") or ""
pytestmark = [
    pytest.mark.skipif(not BROWSER, reason="no Chromium here: install the package chromium to test the page in it"),
    pytest.mark.filterwarnings("default::DeprecationWarning"),  # the browser's driver has some of its own
]
# a browser in a container has no sandbox to build, and it is to ask nobody for updates
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--disable-quic"]  # fmt: skip
HOSTILE = '<img src=x onerror="document.title=1">\'"]]></script><script>document.title=2</script>&amp;\u202e<b>'
X, W = np.arange(16, dtype=np.float32).reshape(4, 4), np.ones((3, 3), np.float32)
CAME, RIGHT = np.float32([[1.5, 2.0], [3.0, 0.1]]), np.float64([[1.5, 2.0], [3.0, 4.0]])
FAILED = "s/wrong@dtype=float32"


def made(folder: Path) -> store.Run:
    """A run with a pass, a failure whose arrays are kept, a refusal, and hostile text wherever a user writes."""
    kept = {"x": X, "w": W, "output": CAME, "reference": RIGHT}
    rows = [
        check("s/right", "torch", ratio=0.25, error=1e-7, tier="A"),
        check("s/right", "jax", ratio=0.0, error=0.0, tier="C"),
        check(FAILED, "torch", Outcome.FAIL, reason=Reason.VALUE, message=f"wrong {HOSTILE}", where="1,1",
              mode="compiled", arithmetic="tf32", expected=4.0, got=float(np.float32(0.1)), ratio=3e6, error=3.9,
              tier="A", diagnosis=f"a kernel {HOSTILE}", arrays={name: digest(array) for name, array in kept.items()}),
        check(FAILED, "jax", ratio=0.5, error=1e-7, tier="A"),
        check("s/refused", "jax", Outcome.UNSUPPORTED, message=HOSTILE, direction=Direction.GRAD_INPUT),
        check("t/hostile", "jax", title=HOSTILE, source=HOSTILE),
    ]  # fmt: skip
    about = {
        FAILED: {
            "title": HOSTILE,
            "note": HOSTILE,
            "url": "javascript:alert(1)",
            "arrays": json.dumps({"x": HOSTILE, "w": 1}),
        }
    }
    return store.load(finished(folder / "run", rows, arrays=kept.values(), about=about))


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    run = made(tmp_path_factory.mktemp("browser"))
    place = run.folder / "report.html"
    place.write_text(page.render(run, gate.rule(run), frames.judged(run)), encoding="utf-8")
    return place.as_uri()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed here")
    with sync_api.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=BROWSER, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def tab(chromium: Any, address: str) -> Iterator[Any]:
    """The page, freshly opened; whatever the browser complains of fails the test at its end."""
    complaints: list[str] = []
    tab = chromium.new_page(viewport={"width": 1200, "height": 900})
    tab.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.on("request", lambda asked: complaints.append(asked.url) if not asked.url.startswith(("file:", "blob:")) else 0)
    tab.goto(address)
    yield tab
    assert not complaints
    assert tab.title() not in ("1", "2")  # no hostile text ran
    tab.close()


def shown(tab: Any) -> str:
    return str(tab.locator("#problem").inner_text())


def test_an_address_opens_a_problem_with_both_values_in_decimal_and_hex(tab: Any, address: str) -> None:
    tab.goto(f"{address}#problem={quote(FAILED, safe='')}&framework=torch")
    tab.locator("#problem[open]").wait_for()
    text = shown(tab)
    assert (4.0).hex().replace(".0000000000000", "") in text.replace("−", "-")
    assert float(np.float32(0.1)).hex().rstrip("0") in text.replace("−", "-") or "0x1.99999ap-4" in text.replace(
        "−", "-"
    )
    assert "0x40800000" in text  # 4 as float32
    assert "0x3dcccccd" in text  # 0.1 as float32
    assert f"{0x40800000 - 0x3DCCCCCD} steps of float32 apart" in text
    assert f"wrong {HOSTILE}".replace("\u202e", "\\u202e") in text
    assert "crosscorrect run s.yaml -f torch -k s/wrong@dtype=float32 -m compiled --arithmetic tf32" in text
    assert "explain results/run s/wrong@dtype=float32 -f torch -m compiled --direction forward" in text


def test_what_asks_again_names_an_adapter_that_is_not_installed_and_no_script_without_a_template(
    chromium: Any, tmp_path: Path
) -> None:
    rows = [check("s/wrong", name, Outcome.UNSUPPORTED, message="no") for name in ("mine", "torch")]
    run = store.load(finished(tmp_path / "run", rows, adapters={"mine": "my own:Mine"}))
    place = run.folder / "report.html"
    place.write_text(page.render(run, gate.rule(run), frames.judged(run)), encoding="utf-8")
    tab = chromium.new_page()
    for framework, words, script in (
        ("mine", "run s.yaml -f mine --adapter 'mine=my own:Mine' -k s/wrong", False),
        ("torch", "run s.yaml -f torch -k s/wrong", True),
    ):
        tab.goto("about:blank")
        tab.goto(f"{place.as_uri()}#problem=s%2Fwrong&framework={framework}")
        tab.locator("#problem[open]").wait_for()
        text = shown(tab)
        assert words in text
        assert ("--script bug.py" in text) == script
    tab.close()


def test_the_worst_element_is_framed_and_what_differs_is_tinted(tab: Any, address: str) -> None:
    tab.goto(f"{address}#problem={quote(FAILED, safe='')}&framework=torch")
    tab.locator("#problem[open]").wait_for()
    assert tab.locator("#problem .wrong").all_inner_texts() == ["0.1", "4"]
    assert tab.locator("#problem .differs").all_inner_texts() == ["0.1"]
    assert tab.locator("#problem table[aria-label=x] td").all_inner_texts() == [str(n) for n in range(16)]


def test_escape_closes_the_problem_and_the_arrows_go_to_its_neighbours(tab: Any, address: str) -> None:
    tab.goto(f"{address}#problem=s%2Fright")
    tab.locator("#problem[open]").wait_for()
    tab.keyboard.press("ArrowRight")
    tab.wait_for_url(f"**{quote(FAILED, safe='')}")
    tab.locator("#problem-name", has_text=FAILED).wait_for()
    tab.keyboard.press("Escape")
    tab.wait_for_function("() => !location.hash")
    assert not tab.locator("#problem").is_visible()


def test_a_problem_that_the_page_does_not_hold_is_said_so(tab: Any, address: str) -> None:
    tab.goto(f"{address}#problem=no%2Fsuch")
    tab.locator("#problem[open]").wait_for()
    assert "explain" in shown(tab)
    assert "no/such" in shown(tab)


@pytest.mark.parametrize(
    ("words", "cases"),
    [
        ("", 4),
        ("torch:fail", 1),
        ("jax:fail", 0),
        ("jax:unsupported", 1),
        ("unsupported", 1),
        ("tier", 0),  # a word of every table's head says nothing of a case
        ("kernel onerror", 1),  # the cause of a failure
        ("grad_input", 1),
        ("float32", 4),
        ("float16", 0),
        ("s right", 1),
        ("hostile", 1),
        ("nothing like it", 0),
    ],
)
def test_search_narrows_cases_and_heat_map_as_one_types_and_is_an_address(tab: Any, words: str, cases: int) -> None:
    tab.keyboard.press("/")
    tab.keyboard.type(words)
    tab.wait_for_function("() => document.getElementById('found').textContent.includes(' cases')")
    tab.wait_for_timeout(200)
    assert tab.locator("details.case:not([hidden])").count() == cases
    assert tab.locator(".heat tbody tr:not([hidden])").count() == cases
    there = tab.url
    tab.goto("about:blank")
    tab.goto(there)
    assert tab.locator("details.case:not([hidden])").count() == cases


def test_only_what_is_not_as_expected_can_be_shown(tab: Any) -> None:
    tab.locator("#find-show").select_option("odd")
    assert {one.split("\n")[0] for one in tab.locator("details.case:not([hidden]) > summary").all_inner_texts()} == {
        "3×3"
    }
    assert tab.locator("details.case:not([hidden])").count() == 2  # the failure and the refusal


def test_an_address_inside_a_folded_case_unfolds_it(tab: Any, address: str) -> None:
    tab.goto(f"{address}#{FAILED}")
    tab.locator(f"[id='{FAILED}']").wait_for(state="visible")
    assert tab.locator("details.case[open]").count() == 1


def test_the_heat_map_is_walked_by_keys_and_says_where_it_is(tab: Any) -> None:
    tab.locator(".heat td[tabindex='0']").focus()
    tab.keyboard.press("ArrowDown")
    said = tab.locator("#heat-said")
    tab.wait_for_function("() => document.getElementById('heat-said').textContent.includes('s/wrong')")
    assert "torch float32 forward: 1 check, fail (value), error over bound 3000000" in said.inner_text()
    tab.keyboard.press("Enter")
    tab.locator("#problem[open]").wait_for()
    assert FAILED in shown(tab)


def test_the_heat_map_sorts_by_what_there_is_to_look_at_and_back(tab: Any) -> None:
    rows = tab.locator(".heat tbody th")
    before = rows.all_inner_texts()
    tab.locator("#heat-sort").click()
    assert rows.all_inner_texts()[0] == "s/wrong"
    tab.locator("#heat-sort").click()
    assert rows.all_inner_texts() == before


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page of a real run with everything that NumPy alone can show: examples, training, Problem 2, properties."""
    folder = tmp_path_factory.mktemp("real")
    run = crosscorrect.run(["chapter", "problems", "special"], ["numpy"], results=folder)
    return crosscorrect_reports.write(run)[0].as_uri()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("part", ["page", "problem", "real"])
def test_an_accessibility_checker_finds_nothing(chromium: Any, address: str, real: str, theme: str, part: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed here")
    tab = chromium.new_page(color_scheme=theme, viewport={"width": 1200, "height": 900})
    opened = f"{address}#problem={quote(FAILED, safe='')}&framework=torch"
    tab.goto({"page": address, "problem": opened, "real": real}[part])
    if part == "problem":
        tab.locator("#problem[open]").wait_for()
    else:
        tab.evaluate("() => document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    found = axe.Axe().run(tab).response["violations"]
    assert [(one["id"], one["nodes"][0]["html"], one["nodes"][0]["failureSummary"]) for one in found] == []
    tab.close()


def test_every_section_of_a_real_run_is_there_and_every_problem_opens(chromium: Any, real: str) -> None:
    complaints: list[str] = []
    tab = chromium.new_page()
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.goto(real)
    there = {"verdict", "frameworks", "heat", "cases", "errors", "support", "properties", "examples", "learning"}
    assert there | {"problem-2", "failures", "again"} <= set(
        tab.evaluate("() => [...document.querySelectorAll('[id]')].map((one) => one.id)")
    )
    shown = tab.evaluate("""async () => {
      const known = await data();
      for (const problem of known.problems) await showProblem(new URLSearchParams({ problem: problem.problem }));
      const name = document.getElementById('problem-name').textContent;
      return [known.problems.length, name === known.problems.at(-1).problem];
    }""")
    assert shown[0] > 50
    assert shown[1]
    assert complaints == []
    tab.close()


def test_a_reader_chooses_the_theme(tab: Any) -> None:
    def paper() -> str:
        return str(tab.evaluate("() => getComputedStyle(document.body).backgroundColor"))

    light = paper()
    tab.locator("#theme").click()
    assert paper() != light
    assert tab.locator("#theme").get_attribute("aria-pressed") == "true"
    tab.locator("#theme").click()
    assert paper() == light


def test_without_its_script_the_page_still_tells_everything_and_offers_nothing_that_does_not_work(
    chromium: Any, address: str
) -> None:
    tab = chromium.new_context(java_script_enabled=False).new_page()
    tab.goto(address)
    assert tab.locator(".js:visible").count() == 0
    assert tab.locator("details.suite").count() == 2
    assert tab.locator(".card.surprise").first.is_visible()
    tab.close()


def test_no_other_script_runs_on_the_page(chromium: Any, address: str) -> None:
    tab = chromium.new_page()
    tab.goto(address)
    told = tab.evaluate(
        """() => new Promise((done) => {
          document.addEventListener('securitypolicyviolation', (event) => done(event.effectiveDirective));
          const own = document.createElement('div');
          own.innerHTML = '<button onclick="document.title=1">x</button>';
          document.body.append(own);
          own.firstChild.click();
        })"""
    )
    assert told == "script-src-attr"
    assert tab.title() != "1"


@pytest.mark.parametrize("width", [400, 1200])
def test_the_page_never_scrolls_sideways(chromium: Any, address: str, width: int) -> None:
    tab = chromium.new_page(viewport={"width": width, "height": 900})
    tab.goto(address)
    assert tab.evaluate("() => document.documentElement.scrollWidth") <= width
    tab.close()


def test_it_prints_with_its_cases_and_without_its_controls(tab: Any, tmp_path: Path) -> None:
    tab.emulate_media(media="print")
    assert not tab.locator("#finder").is_visible()
    tab.pdf(path=str(tmp_path / "page.pdf"))
    assert (tmp_path / "page.pdf").read_bytes().startswith(b"%PDF")


def values(dtype: str) -> list[float]:
    """Numbers of every kind for a format: zeros, subnormal ones, halfway cases, the largest, what overflows, NaN."""
    rng = np.random.default_rng(7)
    kind = dtypes.of(dtype)
    bits = rng.integers(0, 2 ** (8 * kind.itemsize), 400, dtype=np.uint64)
    own = dtypes.widen(bits.astype(f"u{kind.itemsize}").view(kind)).astype(np.float64)
    own = own[np.isfinite(own)]
    with np.errstate(over="ignore"):
        between = np.concatenate([own * (1 + 2.0**-p) for p in (4, 8, 9, 11, 12, 24, 25)])
    halfway = [1 + 2.0**-p for p in (8, 9, 11, 12, 24, 25, 53)] + [1 + 3 * 2.0**-p for p in (8, 9, 11, 12, 24, 25)]
    edges = [0.0, -0.0, 5e-324, 65504.0, 65519.9, 65520.0, 3.4e38, 3.5e38, 1.7e308, math.inf, -math.inf]
    found = np.concatenate([own, between, halfway, edges])
    return [float(v) for v in found]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_the_bits_that_the_page_shows_are_those_of_the_format(tab: Any, dtype: str) -> None:
    given = values(dtype)
    packed = [struct.pack("<d", v).hex() for v in given]  # infinities and -0 do not survive JSON
    ask = """([packed, dtype]) => packed.map((hex) => {
      const view = new DataView(new Uint8Array(hex.match(/../g).map((b) => parseInt(b, 16))).buffer);
      const value = view.getFloat64(0, true);
      return [bitsText(value, dtype), hexfloat(value).replaceAll('−', '-')];
    })"""
    answers = tab.evaluate(ask, [packed, dtype])
    kind = dtypes.of(dtype)
    with np.errstate(over="ignore", under="ignore"):
        wanted = dtypes.narrow(np.array(given), dtype).view(f"u{kind.itemsize}")
    for value, bits, (said, hexadecimal) in zip(given, wanted, answers, strict=True):
        assert int(said, 16) == int(bits), (value, said)
        if math.isfinite(value):
            assert float.fromhex(hexadecimal) == value


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_the_steps_between_two_values_are_those_of_the_format(tab: Any, dtype: str) -> None:
    tiny = {"float16": 2.0**-24, "bfloat16": 2.0**-133, "float32": 2.0**-149, "float64": 5e-324}[dtype]
    one_up = 1 + {"float16": 2.0**-10, "bfloat16": 2.0**-7, "float32": 2.0**-23, "float64": 2.0**-52}[dtype]
    below = 1 - (one_up - 1) / 2
    pairs = [(1.0, 1.0), (0.0, -0.0), (tiny, 0.0), (tiny, -tiny), (one_up, 1.0), (1.0, below), (one_up, below)]
    told = tab.evaluate("([pairs, dtype]) => pairs.map(([a, b]) => String(apart(a, b, dtype)))", [pairs, dtype])
    assert told == ["0", "0", "1", "2", "1", "1", "2"]
    assert tab.evaluate("(dtype) => [apart(NaN, 1, dtype), apart(1, Infinity, dtype)]", dtype) == [None, None]


def test_what_a_format_cannot_tell_apart_is_not_tinted(tab: Any) -> None:
    pairs = [(float(np.float32(0.1)), 0.1, "float32"), (0.5, 0.25, "float32"), (0.0, -0.0, "float32"), (3, 3, "int32")]
    told = tab.evaluate("(pairs) => pairs.map(([came, right, dtype]) => alike(came, right, dtype))", pairs)
    assert told == [True, False, True, True]


def test_the_heat_map_stays_within_reach_of_the_keyboard_when_rows_are_hidden(tab: Any) -> None:
    tab.locator("#find").fill("hostile")
    tab.wait_for_timeout(200)
    assert tab.locator(".heat td[tabindex='0']:visible").count() == 1


def test_keys_with_a_modifier_are_left_to_the_browser(tab: Any, address: str) -> None:
    tab.goto(f"{address}#problem=s%2Fright")
    tab.locator("#problem[open]").wait_for()
    tab.keyboard.press("Control+ArrowRight")
    tab.keyboard.press("/")
    tab.wait_for_timeout(100)
    assert tab.url.endswith("#problem=s%2Fright")
    assert tab.locator("#problem-name").inner_text() == "s/right"
