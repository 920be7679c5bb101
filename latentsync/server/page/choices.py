"""The few settings that most people want, and all others folded below them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from latentsync.server.page.draft import GENERATOR, PRESET, RESTORER
from latentsync.server.page.settings_form import collect, settings_form
from latentsync.server.service import Service
from latentsync.settings.presets import PRESETS

DEFAULTS = {GENERATOR: "", RESTORER: "Detail", PRESET: "quality"}
_AS_POSSIBLE = ("As this machine can: the first of these whose weights are here", "")


@dataclass(frozen=True, slots=True)
class Choices:
    """first: generator, restorer and preset. more: of the form with all settings."""

    first: tuple[Any, ...]
    more: tuple[Any, ...]

    @property
    def all(self) -> list[Any]:
        return [*self.first, *self.more]

    def collect(self, values: Sequence[Any]) -> dict[str, Any]:
        """Dotted key -> value, of those that differ from the defaults."""
        named = dict(zip(DEFAULTS, values[: len(self.first)], strict=True))
        chosen = {key: value for key, value in named.items() if value != DEFAULTS[key]}
        return {**collect(values[len(self.first) :]), **chosen}


def made_choices(service: Service) -> Choices:
    """Makes and places them."""
    generator = gr.Radio(
        _generators(service), value=DEFAULTS[GENERATOR], label="New mouth movements"
    )
    restorer = gr.Radio(
        _restorers(service), value=DEFAULTS[RESTORER], label="Restorer, for a sharp mouth"
    )
    preset = gr.Radio([*PRESETS], value=DEFAULTS[PRESET], label="Quality against time")
    with gr.Accordion("All settings", open=False):
        more = settings_form()
    return Choices((generator, restorer, preset), tuple(more))


def _generators(service: Service) -> list[tuple[str, str]]:
    return [_AS_POSSIBLE, *((words, name) for name, words in service.generators())]


def _restorers(service: Service) -> list[tuple[str, str]]:
    return [(name, name) for name in service.restorers()]
