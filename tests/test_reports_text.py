"""Text, grids and pictures of the reports: hostile input comes out visible and harmless, numbers come out right."""

from __future__ import annotations

import base64
import html
import io
import re
import xml.etree.ElementTree as ET
from importlib.resources import files
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st

from crosscorrect_reports.grids import LEVELS, MOST_PIXELS, draw, picture
from crosscorrect_reports.text import clean, code, encodable, markdown, number, one_line, slug, web_url

ANY_TEXT = st.text(st.characters(), max_size=60)  # with controls, surrogates and noncharacters
IMAGES = st.integers(1, 6).flatmap(
    lambda h: st.integers(1, 7).flatmap(
        lambda w: st.lists(st.integers(-50, 50), min_size=h * w, max_size=h * w).map(
            lambda values: np.array(values, np.float64).reshape(h, w)
        )
    )
)


@given(ANY_TEXT)
def test_clean_text_survives_xml_unchanged(text: str) -> None:
    element = ET.Element("t", a=clean(text).replace("\n", " ").replace("\t", " "))
    element.text = clean(text)
    back = ET.fromstring(ET.tostring(element, encoding="utf-8"))  # noqa: S314  written one line above
    assert (back.text or "") == clean(text)


@given(ANY_TEXT)
def test_clean_text_holds_no_control_character_and_stays_as_it_is(text: str) -> None:
    shown = clean(text)
    assert not [c for c in shown if (ord(c) < 0x20 and c not in "\n\t") or 0x7F <= ord(c) < 0xA0]
    assert clean(shown) == shown


def test_clean_text_shows_escapes_reordering_and_surrogates() -> None:
    assert clean("\x1b[31m\x00 \x9b \u202e \udce9") == "␛[31m␀ \\x9b \\u202e \\udce9"


@given(ANY_TEXT)
def test_markdown_has_no_markup_and_reads_as_the_text_itself(text: str) -> None:
    shown = markdown(text)
    assert not set(shown) & set("<>|`*_[]\n\\$~{}@")
    assert html.unescape(shown).replace("\u2060", "") == one_line(text).replace("\u2060", "")
    inside = code(text).removeprefix("<code>").removesuffix("</code>")
    assert not set(inside) & set("<>|`\n@")
    assert html.unescape(inside) == one_line(text)


@pytest.mark.parametrize(
    "text",
    ["@someone", "#12", "owner/name#12", "GH-12", "gh-12", "www.example.org", "WWW.example.org", "https://e.org"],
)
def test_markdown_calls_nobody_and_links_nowhere(text: str) -> None:
    shown = html.unescape(markdown(text))
    assert not re.search(r"@\w|#\d|gh-\d", shown, re.IGNORECASE)  # what a host looks for in the rendered text
    assert not re.search(r"www\.|://", markdown(text), re.IGNORECASE)  # what the renderer looks for in the source
    assert not re.search(r"www\.|://", code(text), re.IGNORECASE)
    assert shown.replace("\u2060", "") == text


@given(st.lists(ANY_TEXT, unique=True, max_size=20))
def test_slugs_are_ids_without_space_or_quote_and_stay_distinct(texts: list[str]) -> None:
    slugs = [slug(text) for text in texts]
    assert len(set(slugs)) == len(texts)
    assert not set("".join(slugs)) & set(" \"'<>#&%\n\t")


def test_a_slug_of_a_problem_id_is_the_id() -> None:
    assert (
        slug("chapter/worked-example@operation=corr2d,dtype=float32")
        == "chapter/worked-example@operation=corr2d,dtype=float32"
    )


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "data:text/html,x", "//host", "https://a b", "https://a\x00", ""]
)
def test_only_web_addresses_become_links(url: str) -> None:
    assert web_url(url) == ""


def test_a_web_address_becomes_a_link() -> None:
    assert web_url("https://example.org/issues/1?a=b#c") == "https://example.org/issues/1?a=b#c"


@given(st.integers(-(10**14), 10**14))
def test_integers_are_written_whole(value: int) -> None:
    assert int(number(float(value)).replace("−", "-")) == value


@given(IMAGES)
def test_a_small_grid_shows_every_number_with_the_shade_of_its_sign(image: np.ndarray[Any, Any]) -> None:
    (grid,) = draw(image, "x")
    for cells, values in zip(grid.rows, image, strict=True):
        for cell, value in zip(cells, values, strict=True):
            assert float(cell.text.replace("−", "-")) == value
            assert np.sign(cell.level) == np.sign(value)
            assert abs(cell.level) <= LEVELS
            assert (abs(cell.level) == LEVELS) >= (value != 0 and abs(value) == np.abs(image).max())


@pytest.mark.parametrize("shape", [(1, 1, 3, 4), (3, 4), (4,)])
def test_one_image_is_one_grid_whatever_its_rank(shape: tuple[int, ...]) -> None:
    assert len(draw(np.zeros(shape), "x")) == 1


def test_a_batch_is_drawn_image_by_image_and_says_what_it_leaves_out() -> None:
    labels = [grid.label for grid in draw(np.zeros((2, 3, 5, 6)), "y")]
    assert labels == ["y, image 0", "y, image 1", "y, image 2", "y, image 3", "and 2 more images"]


@pytest.mark.parametrize(("shape", "size"), [((20, 30), (30, 20)), ((700, 40), (18, 320)), ((500, 999), (320, 160))])
def test_a_large_image_is_a_picture_of_at_most_320_pixels_with_its_own_proportions(
    shape: tuple[int, int], size: tuple[int, int]
) -> None:
    from PIL import Image

    (grid,) = draw(np.arange(np.prod(shape), dtype=np.float64).reshape(shape), "x")
    assert not grid.rows
    shown = Image.open(io.BytesIO(base64.b64decode(grid.uri.partition(",")[2])))
    assert shown.size == size
    assert max(size) <= MOST_PIXELS


def test_zero_is_white_in_a_picture_with_both_signs() -> None:
    from PIL import Image

    uri = picture(np.array([[-1.0, 0.0, 1.0], [0.5, -0.5, np.nan]]))
    shown = Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))).convert("RGB")
    assert shown.getpixel((1, 0)) == (255, 255, 255)
    assert shown.getpixel((2, 1)) == (255, 255, 255)
    left, right = shown.getpixel((0, 0)), shown.getpixel((2, 0))
    assert isinstance(left, tuple)
    assert isinstance(right, tuple)
    assert left[2] > left[0]
    assert right[0] > right[2]


@given(IMAGES)
def test_a_grey_grid_is_black_at_its_smallest_and_white_at_its_largest_value_and_never_falls(
    image: np.ndarray[Any, Any],
) -> None:
    (grid,) = draw(image, "x", grey=True)
    pairs = sorted(zip(image.ravel().tolist(), (c.level for row in grid.rows for c in row), strict=True))
    levels = [level for _, level in pairs]
    assert levels == sorted(levels)
    if pairs[0][0] < pairs[-1][0]:
        assert (levels[0], levels[-1]) == (0, LEVELS)
    else:
        assert set(levels) == {LEVELS if pairs[0][0] > 0 else 0}


@pytest.mark.parametrize("extreme", [np.finfo(np.float64).max, np.inf, np.nan])
def test_a_grey_grid_takes_any_double(extreme: float) -> None:
    (grid,) = draw(np.array([[-extreme, 0.0, 1.0, extreme]]), "x", grey=True)
    assert all(0 <= cell.level <= LEVELS for cell in grid.rows[0])
    assert grid.rows[0][1].level <= grid.rows[0][2].level


def test_a_grey_picture_is_black_at_its_smallest_and_white_at_its_largest_value() -> None:
    from PIL import Image

    uri = picture(np.array([[-3.0, 5.0, 1.0]]), grey=True)
    shown = Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))).convert("RGB")
    assert [shown.getpixel((i, 0)) for i in range(3)] == [(0, 0, 0), (255, 255, 255), (128, 128, 128)]


def luminance(colour: str) -> float:
    """Relative luminance as WCAG 2 defines it."""
    digits = "".join(c * 2 for c in colour) if len(colour) == 3 else colour
    parts = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_the_numbers_of_every_grey_are_legible() -> None:
    style = (files("crosscorrect_reports") / "templates" / "style.css").read_text(encoding="utf-8")
    found = re.findall(r"\.grid \.g(\d) \{ background: #(\w+); color: #(\w+); \}", style)
    assert [int(level) for level, _, _ in found] == list(range(LEVELS + 1))
    grounds = [luminance(ground) for _, ground, _ in found]
    assert grounds == sorted(grounds)
    for level, ground, ink in found:
        light, dark = sorted((luminance(ground), luminance(ink)), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5, level


@given(ANY_TEXT, st.sampled_from(["ascii", "latin-1", "cp1252", "utf-8"]))
def test_text_made_for_an_encoding_can_be_written_in_it_and_is_left_alone_where_it_could(
    text: str, encoding: str
) -> None:
    shown = encodable(text, encoding)
    shown.encode(encoding)
    assert encodable(shown, encoding) == shown
