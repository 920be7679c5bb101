"""The pages in a browser: no request, no error, keys and narrow screens. Needs Chromium."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from latentsync.evaluate.page.index import IndexRow, write_index
from latentsync.evaluate.page.write import write_page
from tests.support.browser import DESKTOP, PHONE, SMALLEST, playwright, started_browser
from tests.support.evaluations import (
    made_comparison,
    made_evaluation,
    made_report,
    made_shots,
)


@pytest.fixture(scope="module")
def browser() -> Iterator[playwright.Browser]:
    with started_browser() as running:
        yield running


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with page.html and index.html."""
    folder = tmp_path_factory.mktemp("pages")
    shots = made_shots(6, size=(320, 180))
    evaluation = made_evaluation() | {"comparison": made_comparison()}
    write_page(evaluation, made_report(), shots, folder / "page.html")
    poor = made_evaluation(seconds=9.0) | {"verdict": dict.fromkeys(evaluation["verdict"], "poor")}
    rows = (
        IndexRow("b.mp4", "page.html", shots[0].after, evaluation),
        IndexRow("broken.mp4", error="it is no video"),
        IndexRow("a.mp4", "page.html", shots[1].after, poor),
    )
    write_index(rows, folder / "index.html")
    return folder


class Opened:
    """A page, and what it did that it should not do."""

    def __init__(self, page: playwright.Page, path: Path) -> None:
        self.page, self.wrong = page, list[str]()
        page.on("console", lambda said: self.wrong.append(said.text))
        page.on("pageerror", lambda error: self.wrong.append(str(error)))
        page.on("request", lambda asked: self._asked(asked.url, path))
        page.goto(path.as_uri())

    def _asked(self, url: str, path: Path) -> None:
        if url != path.as_uri() and not url.startswith("data:"):
            self.wrong.append(url)


@pytest.fixture
def desktop(browser: playwright.Browser, pages: Path) -> Iterator[Opened]:
    context = browser.new_context(viewport=DESKTOP)
    yield Opened(context.new_page(), pages / "page.html")
    context.close()


def test_it_shows_all_its_pictures_asks_for_nothing_and_has_no_error(desktop: Opened) -> None:
    widths = "Promise.all([...document.images].map(async i => (await i.decode(), i.naturalWidth)))"
    assert len(found := desktop.page.evaluate(widths)) == 6 * 4 + 6  # and one a shot to choose it
    assert min(found) > 0
    assert desktop.wrong == []


def test_its_policy_forbids_requests_and_foreign_scripts(desktop: Opened) -> None:
    forbidden = desktop.page.evaluate(
        """async () => {
            const refused = new Set();
            addEventListener('securitypolicyviolation', (e) => refused.add(e.effectiveDirective));
            const add = (html) => document.body.insertAdjacentHTML('beforeend', html);
            add('<img src="https://example.invalid/a.png" onerror="window.ran = 1">');
            add('<style>body { color: red }</style>');
            await fetch('https://example.invalid/').catch(() => 0);
            const script = document.createElement('script');
            script.textContent = 'window.ran = 1';
            document.body.append(script);
            await new Promise((done) => setTimeout(done, 100));
            return [[...refused].sort(), window.ran || 'nothing ran'];
        }"""
    )
    kinds = ["connect-src", "img-src", "script-src-attr", "script-src-elem", "style-src-elem"]
    assert forbidden == [kinds, "nothing ran"]


def shown_of_source(page: playwright.Page) -> float:
    """Share of the source's frame that is cut away at its right side, in per cent."""
    style = "getComputedStyle(document.querySelector('.shot.current .before')).clipPath"
    right = page.evaluate(style).removeprefix("inset(").split()[1]  # of: top right bottom left
    return 100 - float(right.removesuffix("%")) if right.endswith("%") else 100.0


def test_the_keyboard_moves_the_comparison(desktop: Opened) -> None:
    page = desktop.page
    page.locator(".shot.current .divider").first.focus()
    for key, expected in (
        *(("ArrowLeft", 45), ("ArrowRight", 50), ("ArrowRight", 55)),
        *(("Home", 0), ("End", 100)),
    ):
        page.keyboard.press(key)
        assert page.locator(".shot.current .divider").first.input_value() == str(expected)
        both = page.locator(".shot.current .divider").evaluate_all("all => all.map(o => o.value)")
        assert set(both) == {str(expected)}  # mouth and whole frame together
        assert shown_of_source(page) == expected


def click(page: playwright.Page, what: playwright.Locator, share: float) -> None:
    """Where a share of its width lies to the left."""
    what.scroll_into_view_if_needed()
    box = what.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] * share, box["y"] + box["height"] / 2)


def test_a_click_compares_as_well(desktop: Opened) -> None:
    page = desktop.page
    click(page, page.locator(".shot.current .pair").first, 0.25)
    value = float(page.locator(".shot.current .divider").first.input_value())
    assert value == pytest.approx(25, abs=2)
    page.get_by_role("button", name="Result").first.click()
    assert page.locator(".shot.current .divider").first.input_value() == "0"


def current(page: playwright.Page) -> str | None:
    assert page.locator(".shot:visible").count() == 1
    return page.locator(".shot.current").get_attribute("id")


def test_enter_and_a_click_on_the_timeline_jump_to_the_nearest_pictures(desktop: Opened) -> None:
    page = desktop.page
    timeline = page.get_by_role("slider", name="Moment on the timeline")
    timeline.focus()
    page.keyboard.press("End")
    assert (timeline.get_attribute("aria-valuetext") or "").startswith("0:42.0, Confidence of")
    page.keyboard.press("Enter")
    assert current(page) == "shot-5"
    assert page.evaluate("document.activeElement.className") == "divider"
    click(page, timeline, 0.42)
    assert current(page) == "shot-2"


def test_the_time_of_a_figure_s_worst_moment_leads_to_its_pictures(desktop: Opened) -> None:
    page, worst = desktop.page, made_evaluation()["figures"]["flicker"]["worst"][0][0]
    row = page.locator(".figures tr", has_text="Flicker inside").last
    row.get_by_role("link").click()
    assert current(page) == f"shot-{int(worst / 7)}"  # six shots, one in the middle of each 7 s


def test_the_value_under_the_pointer_is_the_curve_s(desktop: Opened) -> None:
    page, figure = desktop.page, made_evaluation()["figures"]["outside"]
    page.get_by_role("slider", name="Moment on the timeline").focus()
    for _ in range(10):
        page.keyboard.press("ArrowRight")
    shown = page.locator(".lane", has_text="Frame outside").locator(".detail").inner_text()
    expected = dict(zip(figure["seconds"], figure["curve"], strict=True))
    nearest = min(expected, key=lambda second: abs(second - 4.2))
    assert float(shown.split()[0]) == pytest.approx(expected[nearest], abs=1.5)


def test_the_moments_are_tabs_that_arrow_keys_walk_through(desktop: Opened) -> None:
    page = desktop.page
    page.locator("[role=tab][aria-selected=true]").focus()
    for key, expected in (("ArrowRight", 1), ("End", 5), ("ArrowLeft", 4), ("Home", 0)):
        page.keyboard.press(key)
        assert current(page) == f"shot-{expected}"
        assert page.evaluate("document.activeElement.id") == f"tab-{expected}"


def test_tab_reaches_all_that_can_be_used_and_shows_where_it_is(desktop: Opened) -> None:
    page, reached = desktop.page, list[tuple[str, ...]]()
    about = """() => {
        const one = document.activeElement;
        const drawn = one.matches('.divider') ? one.parentElement : one;
        const kind = one.getAttribute('role') || one.className || one.tagName;
        return [kind, getComputedStyle(drawn).outlineStyle];
    }"""
    for _ in range(9):
        page.keyboard.press("Tab")
        reached.append(tuple(page.evaluate(about)))
    kinds = ["A", "slider", "tab", *["BUTTON"] * 3, *["divider"] * 2, "SUMMARY"]
    assert reached == [(kind, "solid") for kind in kinds]


@pytest.mark.parametrize("name", ["page.html", "index.html"])
@pytest.mark.parametrize("width", [360, 390])
def test_a_phone_shows_it_without_scrolling_sideways_in_letters_large_enough(
    browser: playwright.Browser, pages: Path, name: str, width: int
) -> None:
    context = browser.new_context(viewport=PHONE | {"width": width}, is_mobile=True)
    page = Opened(context.new_page(), pages / name).page
    page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") == width
    sizes = page.evaluate(
        """() => {
            const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
            const found = [];
            while (texts.nextNode()) {
                const one = texts.currentNode.parentElement, text = texts.currentNode.data;
                if (!/^(SCRIPT|TITLE)$/i.test(one.tagName) && text.trim())
                    found.push([parseFloat(getComputedStyle(one).fontSize), text]);
            }
            return found.sort((a, b) => a[0] - b[0]);
        }"""
    )
    assert sizes[0][0] >= SMALLEST, sizes[0]
    context.close()


def test_no_column_is_so_narrow_that_a_unit_is_torn(
    browser: playwright.Browser, pages: Path
) -> None:
    """No number is broken but at a space; 790 pixels: as narrow as the table is one."""
    context = browser.new_context(viewport=DESKTOP | {"width": 790})
    page = Opened(context.new_page(), pages / "page.html").page
    cells = page.locator(".compared .number")
    how = cells.evaluate_all("all => all.map(one => getComputedStyle(one).overflowWrap)")
    assert how and set(how) == {"normal"}
    lines = page.locator(".compared td:nth-child(4)").evaluate_all(
        "all => all.map(one => { const range = document.createRange(); "
        "range.selectNodeContents(one); return range.getClientRects().length })"
    )
    assert max(lines) == 1
    assert page.evaluate("document.documentElement.scrollWidth") == 790
    context.close()


def test_without_a_script_all_pictures_are_there_side_by_side(
    browser: playwright.Browser, pages: Path
) -> None:
    context = browser.new_context(viewport=DESKTOP, java_script_enabled=False)
    page = Opened(context.new_page(), pages / "page.html").page
    assert page.locator(".shot:visible").count() == 6
    before, after = (page.locator(f".mouth .{side} img").first for side in ("before", "after"))
    left, right = before.bounding_box(), after.bounding_box()
    assert left is not None and right is not None
    assert left["x"] + left["width"] <= right["x"]
    assert page.locator(".mark").nth(3).get_attribute("href") == "#shot-3"
    context.close()


def test_the_index_sorts_by_any_column_and_back(browser: playwright.Browser, pages: Path) -> None:
    context = browser.new_context(viewport=DESKTOP)
    opened = Opened(context.new_page(), pages / "index.html")
    page = opened.page

    def names() -> list[str]:
        return page.locator("tbody th").all_inner_texts()

    assert names() == ["b.mp4", "broken.mp4", "a.mp4"]
    for button, expected in (
        ("Video", ["a.mp4", "b.mp4", "broken.mp4"]),
        ("Video", ["broken.mp4", "b.mp4", "a.mp4"]),
        ("Sync", ["b.mp4", "a.mp4", "broken.mp4"]),
        ("Length", ["a.mp4", "b.mp4", "broken.mp4"]),
    ):
        page.get_by_role("button", name=button).press("Enter")
        assert names() == expected
    assert page.locator("[aria-sort=ascending]").all_inner_texts() == ["Length"]
    assert "Sorted by Length" in page.get_by_role("status").inner_text()
    assert opened.wrong == []
    context.close()
