"""The form of all settings shows each one that users may change, and sends what they changed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from re import findall
from typing import Any

import pytest

from latentsync.server.jobs.outside import may_be_set
from latentsync.server.page.settings_form import (
    CHOSEN_ELSEWHERE,
    collect,
    explained,
    form,
    is_shown,
)
from latentsync.settings.described import described
from latentsync.settings.load import load_config
from latentsync.settings.words import NAMES, OFTEN, group_of
from tests.support.browser import PHONE, SMALLEST, playwright, started_browser

PAGE = Path(__file__).parents[3] / "latentsync/server/page"
SHOWN = [one.key for one in described() if is_shown(one.key)]
FORM = form(is_shown)


def test_it_shows_every_setting_that_users_may_change() -> None:
    assert sorted(findall(r'name="([^"]+)"', FORM)) == sorted(SHOWN)
    allowed = {one.key for one in described() if may_be_set(one.key)}
    assert allowed - set(SHOWN) == CHOSEN_ELSEWHERE


def test_every_setting_has_a_name_in_plain_words() -> None:
    assert set(NAMES) == set(SHOWN)
    assert set(OFTEN) <= set(SHOWN)
    assert group_of("generate.replay.silence_weight") != group_of("generate.steps")


def test_often_used_settings_come_first() -> None:
    assert tuple(findall(r'name="([^"]+)"', FORM))[: len(OFTEN)] == OFTEN


def test_it_is_not_read_as_a_template() -> None:
    assert not any(sign in FORM for sign in ("`", "${", "{{"))


def test_explanations_are_worded_for_the_page() -> None:
    texts = {one.key: explained(one) for one in described() if is_shown(one.key)}
    assert "left empty: the new speech replaces it." in texts["output.mix"]
    assert texts["output.copy_unchanged"].startswith("yes: if no pixel is changed")
    for text in texts.values():
        assert not any(part in text for part in ("null", "package.module", "docs/", "configs/"))
        assert unescape(text) in unescape(FORM.replace("<strong>", "").replace("</strong>", ""))


def test_only_what_was_changed_is_collected_with_its_kind() -> None:
    given = {
        "generate.steps": "30",
        "generate.guidance": "2.5",
        "restore.strength": " 0.5 ",
        "output.copy_unchanged": "false",
        "output.fps": "25",
        "generate.guidance_interval": "0.2, 0.8",
        "restore.when": "",
        "no.such": "1",
    }
    assert collect([given]) == {
        "generate.steps": 30,
        "generate.guidance": 2.5,
        "restore.strength": 0.5,
        "output.copy_unchanged": False,
        "output.fps": "25",
        "generate.guidance_interval": [0.2, 0.8],
    }
    config = load_config(flags=collect([given]))
    assert config.generate.guidance == 2.5 and config.generate.guidance_interval == [0.2, 0.8]


def test_what_is_no_number_is_left_to_the_check_of_settings() -> None:
    assert collect([{"generate.steps": "many"}]) == {"generate.steps": "many"}
    for text, numbers in (("[0.2 0.8]", [0.2, 0.8]), ("half, all", "half, all")):
        key = "generate.guidance_interval"
        assert collect([{key: text}]) == {key: numbers}
    assert collect([{"restore.strength": "auto"}]) == {"restore.strength": "auto"}


@pytest.mark.parametrize("values", [[], [None], [{}], [""]])
def test_a_form_that_was_never_opened_changes_nothing(values: list[Any]) -> None:
    assert collect(values) == {}


@pytest.fixture(scope="module")
def browser() -> Iterator[playwright.Browser]:
    with started_browser() as running:
        yield running


@pytest.fixture(scope="module")
def tab(browser: playwright.Browser, tmp_path_factory: pytest.TempPathFactory) -> playwright.Page:
    """The form as gradio's component runs it: script and style get what that gives them."""
    script = (PAGE / "settings_form.js").read_text("utf-8")
    style = (PAGE / "settings_form.css").read_text("utf-8")
    gives, path = "element, props, trigger, watch", tmp_path_factory.mktemp("form") / "form.html"
    path.write_text(
        f'<!doctype html><meta name="viewport" content="width=device-width"><style>{style}</style>'
        f"<div id=form>{FORM}</div><script>var props = {{value: {{}}}}, sent = [], watched;"
        f"(({gives}) => {{{script}}})(document.querySelector('#form'), props,"
        "(name, event) => sent.push(event.value), (name, does) => { watched = does; });</script>",
        "utf-8",
    )
    made = browser.new_context(viewport=PHONE).new_page()
    made.goto(path.as_uri())
    return made


@pytest.fixture
def page(tab: playwright.Page) -> Iterator[playwright.Page]:
    wrong: list[str] = []
    tab.once("pageerror", lambda error: wrong.append(str(error)))
    tab.reload()
    yield tab
    assert wrong == []


def sent(page: playwright.Page) -> object:
    assert page.evaluate("JSON.stringify(props.value)") == json.dumps(
        page.evaluate("sent.at(-1)"), separators=(",", ":")
    )
    return page.evaluate("sent.at(-1)")


def test_a_change_is_sent_and_marked_and_can_be_taken_back(page: playwright.Page) -> None:
    page.get_by_label("Denoising steps").fill("30")
    page.get_by_label("The mouth in pauses of the speech").select_option("closed")
    assert sent(page) == {"generate.steps": "30", "generate.silence": "closed"}
    assert page.get_by_role("status").inner_text() == "2 settings changed"
    assert page.locator("summary", has_text="Often used").inner_text().endswith("2 changed")
    page.get_by_role("button", name="Reset all").click()
    assert sent(page) == {}
    assert page.get_by_label("Denoising steps").input_value() == ""


def test_a_search_opens_what_it_finds_and_closes_it_again(page: playwright.Page) -> None:
    assert not page.get_by_label("Smoothing over time").is_visible()
    page.get_by_label("Find a setting").fill("FLICKER teeth")
    assert page.get_by_label("Smoothing over time").is_visible()
    assert not page.get_by_label("Denoising steps").is_visible()
    assert page.get_by_role("status").inner_text() == "2 settings found"
    page.get_by_label("Find a setting").fill("xyzzy")
    assert page.get_by_role("status").inner_text() == "No setting is called that."
    page.get_by_label("Find a setting").fill("")
    assert not page.get_by_label("Smoothing over time").is_visible()
    assert page.get_by_label("Denoising steps").is_visible()


def test_values_from_the_server_are_filled_in(page: playwright.Page) -> None:
    page.get_by_label("Random seed").fill("7")
    page.evaluate("props.value = {'generate.steps': '12'}; watched()")
    assert page.get_by_label("Denoising steps").input_value() == "12"
    assert page.get_by_label("Random seed").input_value() == ""


def test_values_that_come_late_do_not_undo_what_was_chosen_meanwhile(page: playwright.Page) -> None:
    page.get_by_label("The mouth in pauses of the speech").select_option("closed")
    page.evaluate("props.value = {}; watched()")
    assert page.get_by_label("The mouth in pauses of the speech").input_value() == "closed"
    assert sent(page) == {"generate.silence": "closed"}


def test_it_fits_a_phone_and_every_field_has_its_explanation(page: playwright.Page) -> None:
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    sizes = page.evaluate(
        "[...document.querySelectorAll('#form :is(p, label, code, summary, input, select)')]"
        ".map((one) => parseFloat(getComputedStyle(one).fontSize))"
    )
    assert min(sizes) >= SMALLEST
    explained_by = page.evaluate(
        "[...document.querySelectorAll('#form [name]')].filter((one) => one.labels.length === 1"
        " && document.getElementById(one.getAttribute('aria-describedby')).textContent).length"
    )
    assert explained_by == len(SHOWN)
