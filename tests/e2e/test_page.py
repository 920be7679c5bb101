"""The page in a browser, from an empty tab to a result. Needs Chromium and gradio."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from latentsync.server.service import LOCAL
from latentsync.server.settings import ServerSettings
from latentsync.server.views import CANCELLED, JobRequest, TaskView
from tests.support.browser import DESKTOP, PHONE, SMALLEST, playwright, started_browser
from tests.support.page_service import ASSETS, CODEFORMER, PageService

pytest.importorskip("gradio", reason="gradio is not installed")
from tests.support.page_server import Tab, served

VIDEO, SPEECH = ASSETS / "demo_talking.mp4", ASSETS / "demo_speech.wav"
NEW = "?new=1"
LETTERS = """() => {
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), found = [];
    while (texts.nextNode()) {
        const one = texts.currentNode.parentElement, text = texts.currentNode.data.trim();
        if (text && !/^(SCRIPT|STYLE)$/.test(one.tagName) && one.checkVisibility())
            found.push([parseFloat(getComputedStyle(one).fontSize), text]);
    }
    return found.sort((a, b) => a[0] - b[0])[0];
}"""
UNNAMED = """() => ['button', 'input', 'select', 'textarea', 'video', 'audio', 'iframe']
    .flatMap((kind) => [...document.querySelectorAll(kind)])
    .filter((one) => one.checkVisibility() && one.type !== 'file')
    .filter((one) => !(one.labels?.length || one.ariaLabel || one.title || one.innerText?.trim()))
    .map((one) => one.outerHTML.slice(0, 200))"""
DELAYED = """(() => {
    const send = window.fetch, wait = (ms) => new Promise((done) => setTimeout(done, ms));
    window.fetch = async (input, init) => {
        if (String(init?.body).includes('"CodeFormer","quality",{}')) await wait(1000);
        return send(input, init);
    };
})()"""
"""The event of choosing CodeFormer comes to the server a second later."""
PLAYED = "one => one.shadowRoot.querySelectorAll('video')[1].currentTime > 0.3"


class Remembered(PageService):
    """previews: the seconds and restorers that were asked for."""

    def __init__(self, settings: ServerSettings) -> None:
        super().__init__(settings)
        self.previews: list[tuple[float, tuple[str, ...]]] = []

    def preview(
        self, user: str, request: JobRequest, seconds: float, restorers: tuple[str, ...]
    ) -> TaskView:
        self.previews.append((seconds, restorers))
        return super().preview(user, request, seconds, restorers)


@pytest.fixture(scope="module")
def context() -> Iterator[playwright.BrowserContext]:
    """One for all tests: it keeps gradio's scripts, which are large."""
    with started_browser() as browser:
        yield browser.new_context(viewport=DESKTOP)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Remembered, str]]:
    """One server for all tests: its page takes seconds to be there."""
    settings = ServerSettings(root=tmp_path_factory.mktemp("server"))
    service = Remembered(settings)
    with served(service, settings) as url:
        yield service, url


@pytest.fixture
def service(running: tuple[Remembered, str]) -> Remembered:
    """Without jobs."""
    running[0].made.clear()
    running[0].missing = ()
    return running[0]


@pytest.fixture
def tab(context: playwright.BrowserContext, running: tuple[Remembered, str]) -> Iterator[Tab]:
    opened = Tab(context, running[1])
    yield opened
    opened.page.close()
    assert opened.wrong == []


def give(page: playwright.Page, which: str, file: Path) -> None:
    """which: the label of the place where it is dropped."""
    place = page.locator(".block", has=page.locator(f"label:text-is('{which}')"))
    place.locator("input[type=file]").set_input_files(file)


def button(page: playwright.Page, name: str) -> playwright.Locator:
    return page.get_by_role("button", name=name, exact=True)


def job_of(page: playwright.Page) -> str:
    """Of the one that is shown; the address names it."""
    page.wait_for_function("location.search.startsWith('?job=')")
    return page.url.partition("?job=")[2]


def test_one_click_leads_from_nothing_to_a_result_that_plays_through_a_reload(
    service: Remembered, tab: Tab
) -> None:
    page = tab.open()
    button(page, "Try the demo clip").click()
    job = job_of(page)
    service.run(LOCAL, job, 43, "restoring")
    page.get_by_text("43 %, about 42 seconds left").wait_for()
    page.reload()
    page.get_by_text("Now: restoring.").wait_for()
    assert page.get_by_role("progressbar").get_attribute("value") == "43"
    service.complete(LOCAL, job)
    compared = page.locator("#result ls-compare")
    compared.get_by_role("button", name="Play").click()
    page.wait_for_function(PLAYED, arg=compared.element_handle())
    assert page.get_by_label("Verdict").get_by_role("listitem").count() == 4
    page.get_by_text("Timeline: where it is good").click()
    timeline = page.frame_locator('iframe[title="The judge\'s timeline"]')
    assert timeline.get_by_role("heading").inner_text() == "Timeline"


def test_a_broken_file_is_answered_in_one_sentence_and_own_files_lead_to_people_and_previews(
    service: Remembered, tab: Tab, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    page = tab.open(NEW)
    give(page, "Video or picture", broken)
    said = page.get_by_role("alert")
    said.wait_for()
    assert said.inner_text().endswith("broken.mp4: it cannot be read; export it again")
    assert not page.get_by_role("heading", name="Whose mouth?").is_visible()
    give(page, "Video or picture", VIDEO)
    give(page, "New speech", SPEECH)
    page.get_by_label("The new speech").wait_for()
    assert said.count() == 0
    page.get_by_role("radio", name="Person 1").focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_url("**speaker=2")
    page.locator("#source-player").evaluate("one => { one.currentTime = 1.2; }")
    button(page, "Preview this moment").click()  # of the frame that the player shows
    page.locator("#preview ls-compare").wait_for()
    button(page, "Compare all restorers here").click()
    cards = page.locator("#preview .card")
    cards.last.wait_for()
    names = ["Your video", "Detail", "Self", "GFPGAN", "CodeFormer", "Not restored"]
    assert cards.locator("h4").all_inner_texts() == names
    assert "non-commercial use only" in cards.nth(4).inner_text()
    every = ("Detail", "Self", "GFPGAN", "CodeFormer", "none")
    assert service.previews[-2:] == [(1.2, ()), (1.2, every)]


def test_start_waits_for_the_licence_takes_the_settings_and_becomes_cancel(
    service: Remembered, tab: Tab
) -> None:
    service.missing = (CODEFORMER,)
    page = tab.open(NEW)
    give(page, "Video or picture", VIDEO)
    page.get_by_role("radio", name="CodeFormer").check()
    page.get_by_text("All settings").click()
    page.get_by_label("Which frames are restored").select_option("always")
    accept = page.get_by_role("checkbox", name="non-commercial use only")
    accept.wait_for()
    button(page, "Start").click()
    assert "not accepted yet" in page.get_by_role("alert").inner_text()
    accept.check()
    button(page, "Start").click()
    job = job_of(page)
    assert service.fetched[-1] == (("CodeFormer",), ("CodeFormer",))
    assert service.requests[job].settings == {
        "restore.name": "CodeFormer",
        "restore.when": "always",
    }
    page.reload()  # the settings come back with the job
    page.get_by_role("radio", name="CodeFormer", checked=True).wait_for()
    button(page, "Cancel").click()
    page.get_by_text("It was cancelled.").wait_for()
    assert service.job(LOCAL, job).state == CANCELLED
    assert button(page, "Start again").is_visible()


def test_an_event_that_is_delayed_does_not_undo_a_later_one(service: Remembered, tab: Tab) -> None:
    service.missing = (replace(CODEFORMER, accepted=True),)
    tab.page.add_init_script(DELAYED)
    page = tab.open(NEW)
    give(page, "Video or picture", VIDEO)
    page.get_by_role("radio", name="CodeFormer").check()
    page.get_by_text("All settings").click()
    page.get_by_label("Which frames are restored").select_option("always")
    page.locator("#estimate").get_by_text("CodeFormer").wait_for()
    button(page, "Start").click()
    settings = service.requests[job_of(page)].settings
    assert settings == {"restore.name": "CodeFormer", "restore.when": "always"}


def test_a_tab_that_is_opened_later_shows_the_job_that_runs_and_its_queue_cancels_it(
    service: Remembered, tab: Tab
) -> None:
    job = service.begin(LOCAL)
    service.run(LOCAL, job, 60, "generating")
    page = tab.open()
    page.get_by_text("Now: generating.").wait_for()
    page.get_by_role("tab", name="Queue").click()
    row = page.locator("#queue tbody tr")
    row.get_by_role("button", name="Cancel").click()
    row.get_by_text("cancelled").wait_for()
    assert service.job(LOCAL, job).state == CANCELLED
    assert row.get_by_role("link", name="Open").get_attribute("href") == f"?job={job}"


def test_a_tab_goes_on_after_the_server_was_started_again(
    context: playwright.BrowserContext, tmp_path: Path
) -> None:
    settings = ServerSettings(root=tmp_path)
    service = Remembered(settings)
    job = service.begin(LOCAL)
    service.run(LOCAL, job, 60, "generating")
    with served(service, settings) as url:
        page = Tab(context, url).open()
        page.get_by_text("Now: generating.").wait_for()
    with served(service, settings, int(url.rpartition(":")[2])):
        cancelled = page.get_by_text("It was cancelled.")
        button(page, "Cancel").click()
        with suppress(playwright.TimeoutError):
            cancelled.wait_for(timeout=8000)
        if not cancelled.is_visible():  # gradio loaded the page anew just then: it lost the click
            button(page, "Cancel").click()
        cancelled.wait_for()
    page.close()
    assert service.job(LOCAL, job).state == CANCELLED


def test_all_controls_have_a_name_and_a_phone_shows_them_without_scrolling_sideways(
    service: Remembered, tab: Tab
) -> None:
    tab.page.set_viewport_size(PHONE)
    page = tab.open(NEW)
    give(page, "Video or picture", VIDEO)
    give(page, "New speech", SPEECH)
    page.get_by_label("The new speech").wait_for()
    button(page, "Compare all restorers here").click()
    page.locator("#preview .card").last.wait_for()
    page.get_by_text("All settings").click()
    button(page, "Start").click()
    service.complete(LOCAL, job_of(page))
    page.locator("#result ls-compare").wait_for()
    page.evaluate("document.querySelectorAll('details').forEach((one) => (one.open = true))")
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    assert page.evaluate(LETTERS)[0] >= SMALLEST, page.evaluate(LETTERS)
    assert page.evaluate(UNNAMED) == []
    page.get_by_role("tab", name="Queue").click()
    page.locator("#queue tbody tr").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
