"""Before and after on the page play in step, and answer to pointer and keys. Needs Chromium."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from latentsync.server.page.moving import (
    mouth_share,
    moving_comparison,
    still_comparison,
)
from latentsync.types import Box
from tests.support.browser import PHONE, SMALLEST, playwright, started_browser
from tests.support.compared import RATE, Compared, add_pairs, counted_video
from tests.support.loopback import Loopback, Served

SMALL = {"width": 640, "height": 480}  # drawing a larger page takes most of the time
MOUTH = (0.4, 0.6, 0.2, 0.1)
EVIL = '<img src="/evil.png" onerror="window.ran = 1">'


@pytest.fixture(scope="module")
def browser() -> Iterator[playwright.Browser]:
    with started_browser() as running:
        yield running


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loopback]:
    with Loopback() as server:
        add_pairs(server, tmp_path_factory.mktemp("video"))
        yield server


@pytest.fixture(scope="module")
def shared(browser: playwright.Browser) -> playwright.BrowserContext:
    return browser.new_context(viewport=SMALL)


@pytest.fixture
def context(shared: playwright.BrowserContext) -> Iterator[playwright.BrowserContext]:
    """For pages, which are closed afterwards."""
    yield shared
    for page in shared.pages[1:]:  # the first one is that of `opened`
        page.close()


@pytest.fixture(scope="module")
def opened(shared: playwright.BrowserContext, site: Loopback) -> Compared:
    body = moving_comparison("/before.mp4", "/after.mp4", mouth=MOUTH, fps=RATE)
    made = Compared(shared.new_page(), site, body)
    made.wait("steps.lead.readyState >= 2 && steps.other.readyState >= 2")
    return made


@pytest.fixture
def moving(opened: Compared, context: playwright.BrowserContext) -> Compared:
    """As it is when it has just been opened; opening one for each test would take ten times as
    long."""
    opened.get("steps.pause(), steps.seek(0), steps.setRate(1), steps.loop = false")
    opened.get("one.split(50), one.show('slider'), one.zoom(null)")
    opened.wait("!steps.lead.seeking && !steps.other.seeking")
    return opened


def test_both_play_in_step(moving: Compared) -> None:
    moving.get("steps.setRate(0.5)")  # else a busy machine comes to the end before it has looked
    moving.button("Play").click()
    moving.wait("steps.moment > 0.5")
    pairs, drifts = [], list[float]()
    while len(pairs) < 12:
        pairs.append(moving.frames())
        drifts.append(abs(float(str(moving.get("steps.drift")))))
        moving.page.wait_for_timeout(60)
    assert max(drifts) < 1 / RATE and pairs[-1][1] > pairs[0][1] + 5
    in_step = [abs(before - after) <= 1 for before, after in pairs]
    assert in_step.count(True) >= 10  # a busy machine drops frames of either
    assert moving.wrong == []


def test_one_that_is_behind_catches_up(moving: Compared) -> None:
    moving.button("Play").click()
    moving.wait("steps.moment > 0.2")
    moving.get("steps.other.currentTime -= 0.2")
    moving.wait(f"Math.abs(steps.drift) < {0.5 / RATE} && !steps.other.seeking")
    moving.button("Pause").click()
    moving.wait("steps.lead.paused && steps.other.paused && !steps.other.seeking")
    before, after = moving.frames()
    assert abs(before - after) <= 1


def test_single_frames_are_stepped_in_both(moving: Compared) -> None:
    for _ in range(3):
        moving.button("One frame on").click()
        moving.wait("!steps.lead.seeking && !steps.other.seeking")
    assert moving.frames() == (3, 3)
    moving.button("One frame back").click()
    moving.wait("!steps.lead.seeking && !steps.other.seeking")
    assert moving.frames() == (2, 2)
    assert moving.page.locator(".time").inner_text() == "0:00.1 / 0:02.4"


def test_the_slider_of_moments_moves_both(moving: Compared) -> None:
    moving.page.get_by_label("Moment").fill("1")
    moving.wait("!steps.lead.seeking && !steps.other.seeking")
    assert moving.frames() == (25, 25)


def test_the_result_waits_for_the_source_to_be_loaded(
    context: playwright.BrowserContext, site: Loopback
) -> None:
    page, held = context.new_page(), list[playwright.Route]()
    page.route("**/before.mp4", lambda route: held.append(route))
    made = Compared(page, site, moving_comparison("/before.mp4", "/after.mp4", fps=RATE))
    made.wait("steps.lead.readyState >= 2")
    made.button("Play").click()
    made.wait("steps.waits")
    assert made.get("steps.lead.currentTime") == 0
    for route in held:
        route.continue_()
    page.unroute("**/before.mp4")
    made.wait("!steps.waits && steps.moment > 0.2")
    assert abs(float(str(made.get("steps.drift")))) < 1 / RATE


def test_a_video_that_stalls_is_loaded_again(
    context: playwright.BrowserContext, site: Loopback, tmp_path: Path
) -> None:
    counted = counted_video(tmp_path / "a.mp4").read_bytes()
    served = Served(counted, stall_after=100, headers={"Content-Type": "video/mp4"})
    site.add("/stalls.mp4", served)
    made = Compared(context.new_page(), site, moving_comparison("/stalls.mp4", "/after.mp4"))
    made.get("steps.patience = 400")
    made.button("Play").click()
    made.wait("steps.waits")
    served.stall_after = None
    made.wait("!steps.waits && steps.moment > 0.2")
    assert len(site.requests("/stalls.mp4")) > 1


def test_it_ends_or_begins_again(moving: Compared) -> None:
    moving.get("steps.seek(2.3)")
    moving.button("Play").click()
    moving.wait("!steps.wanted && steps.lead.ended")
    assert moving.button("Play").is_visible()
    moving.button("Repeat").click()
    moving.get("steps.seek(2.3)")
    moving.button("Play").click()
    moving.wait("steps.wanted && steps.moment < 1")
    moving.wait(f"steps.moment > 0.1 && Math.abs(steps.drift) < {1 / RATE}")


def test_the_audio_is_the_result_s_and_can_be_switched_off(moving: Compared) -> None:
    assert moving.get("[one.before.muted, one.after.muted]") == [True, False]
    moving.button("Audio").click()
    assert moving.get("[one.before.muted, one.after.muted]") == [True, True]
    assert moving.button("Audio").get_attribute("aria-pressed") == "false"
    moving.button("Audio").click()
    assert moving.get("[one.before.muted, one.after.muted]") == [True, False]


def test_the_speed_is_of_both(moving: Compared) -> None:
    moving.page.get_by_label("Speed").select_option("0.25")
    assert moving.get("[one.before.playbackRate, one.after.playbackRate]") == [0.25, 0.25]


def test_keys_move_the_divider_play_and_step(moving: Compared) -> None:
    page = moving.page
    divider = page.get_by_role("slider", name="Source to the left of the line")
    divider.focus()
    for key, value in (("ArrowLeft", "45"), ("End", "100"), ("Home", "0"), ("ArrowRight", "5")):
        page.keyboard.press(key)
        assert divider.input_value() == value
    shown = "getComputedStyle(one.shadowRoot.querySelector('.before')).clipPath"
    assert moving.get(shown) == "inset(0px 95% 0px 0px)"
    assert divider.get_attribute("aria-valuetext") == "5 % source, 95 % result"
    page.keyboard.press(".")
    moving.wait("!steps.lead.seeking && !steps.other.seeking")
    assert moving.frames() == (1, 1)
    page.keyboard.press(" ")
    moving.wait("steps.wanted && steps.moment > 0.2")
    page.keyboard.press(" ")
    assert moving.get("steps.wanted") is False


def test_a_drag_moves_the_divider(moving: Compared) -> None:
    box = moving.page.locator(".stage").bounding_box()
    assert box is not None
    moving.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 50)
    moving.page.mouse.down()
    moving.page.mouse.move(box["x"] + box["width"] * 0.25, box["y"] + 50)
    moving.page.mouse.up()
    assert float(moving.page.locator(".divider").input_value()) == pytest.approx(25, abs=2)


def middle(moving: Compared, side: str) -> tuple[float, float, float]:
    """Where in a side's frame the middle of what is shown lies, in shares, and how enlarged."""
    box = moving.get(
        f"(({{x, y, width, height}}, pane) => [(pane.x + pane.width / 2 - x) / width,"
        f"(pane.y + pane.height / 2 - y) / height, width / pane.width])"
        f"(one.{side}.getBoundingClientRect(), one.{side}.parentElement.getBoundingClientRect())"
    )
    assert isinstance(box, list)
    return box[0], box[1], box[2]


def test_the_mouth_is_enlarged_in_both(moving: Compared) -> None:
    moving.button("Mouth, enlarged").click()
    for side in ("before", "after"):
        assert middle(moving, side) == pytest.approx((0.5, 0.65, 3.125), abs=0.01)
    moving.button("Mouth, enlarged").click()
    assert middle(moving, "after") == pytest.approx((0.5, 0.5, 1))


def test_a_click_says_where_the_mouth_is_if_nobody_knows(
    context: playwright.BrowserContext, site: Loopback
) -> None:
    body = moving_comparison("/before.mp4", "/after.mp4", side_by_side=True)
    made = Compared(context.new_page(), site, body)
    made.wait("steps.lead.readyState >= 2")
    made.button("Mouth, enlarged").click()
    assert made.page.get_by_role("status").inner_text() == "Click on the mouth."
    box = made.page.locator(".after .pane").bounding_box()
    assert box is not None
    made.page.mouse.click(box["x"] + box["width"] * 0.7, box["y"] + box["height"] * 0.6)
    for side in ("before", "after"):
        assert middle(made, side) == pytest.approx((0.7, 0.6, 2.5), abs=0.02)


def test_a_mouth_s_box_becomes_shares_of_the_frame() -> None:
    assert mouth_share(Box(20, 30, 60, 50), 200, 100) == (0.1, 0.3, 0.2, 0.2)


def test_a_result_that_cannot_be_played_is_said(
    context: playwright.BrowserContext, site: Loopback
) -> None:
    made = Compared(context.new_page(), site, moving_comparison("/before.mp4", "/gone.mp4"))
    status = made.page.get_by_role("status")
    status.get_by_text("Result: this browser could not play it.").wait_for()


def test_names_are_shown_as_text_and_nothing_else_is_loaded(
    context: playwright.BrowserContext, site: Loopback
) -> None:
    body = still_comparison(
        "/before.png", "/after.png", before_label=EVIL, after_label=EVIL, about=EVIL
    )
    made = Compared(context.new_page(), site, body)
    made.page.wait_for_function("document.querySelector('ls-compare').after.naturalWidth > 0")
    assert made.page.locator(".tag").all_inner_texts() == [EVIL, EVIL]
    assert "/evil.png" not in {asked.path for asked in site.asked} and made.wrong == []
    assert made.page.evaluate("window.ran") is None


def test_pictures_have_the_divider_but_no_player(
    context: playwright.BrowserContext, site: Loopback
) -> None:
    body = still_comparison("/before.png", "/after.png", mouth=MOUTH)
    made = Compared(context.new_page(), site, body)
    made.page.locator(".divider").focus()
    made.page.keyboard.press("ArrowLeft")
    assert made.page.locator(".divider").input_value() == "45"
    made.button("Mouth, enlarged").click()
    assert middle(made, "after") == pytest.approx((0.5, 0.65, 3.125), abs=0.01)
    assert made.page.locator(".player").count() == 0


def test_what_is_taken_off_the_page_is_no_longer_loaded(
    context: playwright.BrowserContext, site: Loopback
) -> None:
    made = Compared(context.new_page(), site, moving_comparison("/before.mp4", "/after.mp4"))
    left = made.page.evaluate(
        "(() => { const one = document.querySelector('ls-compare'); one.remove();"
        "return [one.before.getAttribute('src'), one.after.getAttribute('src')]; })()"
    )
    assert left == [None, None]


def test_it_fits_a_phone(browser: playwright.Browser, site: Loopback) -> None:
    context = browser.new_context(viewport=PHONE)
    body = moving_comparison("/before.mp4", "/after.mp4", side_by_side=True)
    viewport = '<meta name="viewport" content="width=device-width">'
    made = Compared(context.new_page(), site, viewport + body)
    made.wait("steps.lead.readyState >= 1")
    assert made.page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    sizes = made.get(
        "[...one.shadowRoot.querySelectorAll('button, span, select, p')]"
        ".map((part) => parseFloat(getComputedStyle(part).fontSize))"
    )
    assert isinstance(sizes, list)
    assert min(sizes) >= SMALLEST
    top = "(pane) => pane.getBoundingClientRect().top"
    tops = made.get(f"[...one.shadowRoot.querySelectorAll('.pane')].map({top})")
    assert isinstance(tops, list)
    assert tops[1] > tops[0]  # one below the other: two wide frames would be tiny
    context.close()
