"""The form of all settings that a user may change, made from their descriptions.

It is one component, whose value maps the dotted key of each setting that was changed to text. So
a preset goes on to say everything else. The script of the form (settings_form.js) searches it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files
from typing import Any

from latentsync.evaluate.page.markup import Markup, element, joined
from latentsync.server.jobs.outside import PLUGINS, may_be_set
from latentsync.settings.described import Setting, described
from latentsync.settings.presets import PRESETS
from latentsync.settings.words import NAMES, OFTEN, OFTEN_USED, TITLES, group_of

CHOSEN_ELSEWHERE = frozenset(
    ("preset", "generate.name", "restore.name", "face.speaker", "output.compare")
)
"""Settings that have a place of their own on the page, or none in it."""
_OF_PRESETS = frozenset(key for preset in PRESETS.values() for key in preset)
_AS_PAGE = {"null": "left empty", "true": "yes", "false": "no"}
"""Values of the YAML -> how the page calls them."""


def is_shown(key: str) -> bool:
    """Whether the form has it."""
    return may_be_set(key) and key not in CHOSEN_ELSEWHERE


def settings_form(shown: Callable[[str], bool] = is_shown) -> list[Any]:
    """Makes and places the form; call it inside of gradio's Blocks.

    Returns its components (one), whose values collect() takes. shown: by dotted key.
    """
    import gradio as gr

    return [
        gr.HTML(
            value={},
            html_template=form(shown),
            css_template=_own("settings_form.css"),
            js_on_load=_own("settings_form.js"),
            apply_default_css=False,
            padding=False,
            elem_id="settings",
        )
    ]


def collect(values: Sequence[Any]) -> dict[str, Any]:
    """The values of the form's components -> dotted key -> value, of what was changed.

    What is no number where one is meant stays text: the check of settings says so.
    """
    known = {one.key: one for one in described()}
    given: Mapping[str, Any] = next((one for one in values if isinstance(one, Mapping)), {})
    texts = {key: str(text).strip() for key, text in given.items() if key in known}
    return {key: _value(known[key], text) for key, text in texts.items() if text}


def _value(setting: Setting, text: str) -> bool | int | float | str | list[float]:
    if setting.kind == "bool":
        return text == "true"
    if setting.kind == "numbers":
        return _numbers(text)
    if setting.kind not in ("int", "float"):
        return text
    try:
        number = float(text)
    except ValueError:
        return text
    return int(number) if number.is_integer() and setting.kind == "int" else number


def _numbers(text: str) -> list[float] | str:
    """Of numbers between commas or spaces, also in brackets."""
    try:
        return [float(part) for part in re.split(r"[\s,;]+", text.strip("[]() "))]
    except ValueError:
        return text


def form(shown: Callable[[str], bool]) -> Markup:
    """Its HTML: groups that fold, those that are often used first."""
    groups: dict[str, list[Setting]] = {OFTEN_USED: []}
    for one in sorted((one for one in described() if shown(one.key)), key=_place):
        title = OFTEN_USED if one.key in OFTEN else group_of(one.key)
        groups.setdefault(title, []).append(one)
    search = element(
        "input",
        **{"type": "search", "placeholder": "Find a setting", "class": "find"},
        aria_label="Find a setting",
    )
    reset = element("button", "Reset all", type="button", class_="reset", disabled=True)
    said = element("span", class_="said", role="status")
    head = element("div", search, reset, said, class_="head")
    return element("div", head, *(_group(*one) for one in groups.items() if one[1]), class_="form")


def _place(setting: Setting) -> int:
    """Of those that are often used; others follow by group, in the order of the file."""
    if setting.key in OFTEN:
        return OFTEN.index(setting.key)
    return len(OFTEN) + TITLES.index(group_of(setting.key))


def _group(title: str, settings: Sequence[Setting]) -> Markup:
    changed = element("span", class_="count")
    rows = [_row(one) for one in settings]
    summary = element("summary", title, changed)
    return element(
        "details", summary, element("div", *rows, class_="rows"), open=title == OFTEN_USED
    )


def _row(setting: Setting) -> Markup:
    name, about = NAMES.get(setting.key, setting.key), explained(setting)
    values = (*setting.choices, *setting.words, *_AS_PAGE.values(), "source")
    field = f"setting-{setting.key.replace('.', '-')}"
    label = element("label", name, for_=field)
    key = element("code", setting.key)
    hint = element("p", _marked(about, values), id=f"{field}-about", class_="about")
    head = element("div", label, key, class_="name")
    words = f"{name} {setting.key} {about}".lower()
    return element("div", head, _control(setting, field), hint, class_="setting", data_words=words)


def _control(setting: Setting, field: str) -> Markup:
    """Empty means: as the preset says, or else as usual."""
    shared = {"id": field, "name": setting.key, "aria_describedby": f"{field}-about"}
    choices = PLUGINS.get(setting.key) or setting.choices
    if setting.kind == "bool":
        choices = ("true", "false")
    usual = _usual(setting)
    if choices:
        options = [element("option", _AS_PAGE.get(one, one), value=one) for one in choices]
        return element("select", element("option", usual, value=""), *options, **shared)
    if setting.kind not in ("int", "float"):
        return element("input", type="text", placeholder=usual, **shared)
    step = 1 if setting.kind == "int" else "any"
    ends = {"min": setting.low, "max": setting.high if (setting.high or 0) < 2**53 else None}
    return element(
        "input", type="number", inputmode="decimal", step=step, placeholder=usual, **ends, **shared
    )


def _usual(setting: Setting) -> str:
    if setting.key in _OF_PRESETS:
        return "as the preset says"
    if setting.default is None:
        return "as usual"
    default = str(setting.default).lower() if setting.kind == "bool" else str(setting.default)
    return f"as usual ({_AS_PAGE.get(default, default)})"


def explained(setting: Setting) -> str:
    """What it does, in the page's words for values, without what only a command line has."""
    text = re.sub(
        r",? (?:or )?(?:your own as )?package\.module:load(?:: your own)?", "", setting.about
    )
    text = re.sub(r"[;,]? \(?(?:table in|see) (?:docs|configs)/[\w.]+\w\)?", "", text)
    return re.sub(r"\b(null|true|false)(?=[:,]| is )", lambda word: _AS_PAGE[word[1]], text)


def _marked(text: str, values: Sequence[str]) -> Markup:
    """The text with those values in bold where it says what they mean, as in "auto: as usual"."""
    parts = re.split(rf"\b({'|'.join(values)})(?=:)", text)
    return joined(*(element("strong", one) if n % 2 else one for n, one in enumerate(parts)))


def _own(name: str) -> str:
    return files(__package__).joinpath(name).read_text("utf-8")
