"""The controls of the first tab, from top to bottom in the order in which they are used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import gradio as gr

from latentsync.server.page.choices import DEFAULTS, Choices, made_choices
from latentsync.server.page.draft import (
    AUDIO,
    ESTIMATE,
    GENERATOR,
    PEOPLE,
    PRESET,
    PREVIEW,
    REFERENCE,
    RESTORER,
    RUN,
    VIDEO,
)
from latentsync.server.page.theme import html
from latentsync.server.service import Service
from latentsync.server.settings import ServerSettings
from latentsync.weights.model_file import readable

TICK = 1.0
"""Seconds between two looks at what is waited for."""
_VIDEOS, _SPEECH = ["video", "image"], ["audio", "video"]
_CHOOSE = "element.addEventListener('change', (e) => trigger('input', {value: e.target.value}));"


@dataclass(frozen=True, slots=True)
class Controls:
    """Fields named like the places of shown.py are what is sent to the browser."""

    first: gr.Column
    demo: gr.Button
    video: gr.HTML
    video_file: gr.File
    audio: gr.HTML
    audio_file: gr.File
    microphone: gr.Audio
    no_speech: gr.Button
    steps: gr.Column
    people: gr.HTML
    choices: Choices
    original: gr.Column
    reference: gr.HTML
    reference_file: gr.File
    preview_now: gr.Button
    preview_all: gr.Button
    preview: gr.HTML
    moment: gr.Number
    costs: gr.Column
    estimate: gr.HTML
    estimate_again: gr.Button
    licences: gr.CheckboxGroup
    button: gr.Button
    run: gr.HTML
    finished: gr.Column
    result: gr.HTML
    timer: gr.Timer
    address: gr.Textbox

    @property
    def places(self) -> dict[str, Any]:
        """Place of shown.py -> component."""
        named = {one.name: getattr(self, one.name) for one in fields(self)}
        return {place: named[place] for place in _HTML + _OTHERS} | {
            "speech": self.no_speech,
            "waits": self.timer,
            **dict(zip(("generator", "restorer", "preset"), self.choices.first, strict=True)),
            "form": self.choices.more[0],
        }


_HTML = (VIDEO, AUDIO, REFERENCE, PEOPLE, PREVIEW, ESTIMATE, RUN, "result")
_OTHERS = ("licences", "button", "first", "steps", "original", "costs", "finished", "address")
_VISIBLE = ("first", "steps", "original", "costs", "finished", "speech")
_CHOICES = {"generator": GENERATOR, "restorer": RESTORER, "preset": PRESET}


def updates_of(controls: Controls, changed: Mapping[str, Any]) -> list[Any]:
    """One for each place; gr.skip() where the browser has it already."""
    return [
        _update(place, changed[place]) if place in changed else gr.skip()
        for place in controls.places
    ]


def _update(place: str, value: Any) -> Any:
    if place == "licences":
        return gr.update(choices=value, value=[], visible=bool(value))
    if place == "button":
        words, cancels = value
        return gr.update(value=words, variant="stop" if cancels else "primary")
    if place == "waits":
        return gr.update(active=value)
    if place in _CHOICES:
        chosen, visible = value
        return gr.update(value=chosen or DEFAULTS[_CHOICES[place]], visible=visible)
    if place in _VISIBLE:
        return gr.update(visible=value)
    return gr.update(value=value)


def made_controls(service: Service, settings: ServerSettings) -> Controls:
    """Makes and places them; call it inside the tab."""
    made: dict[str, Any] = {}
    with gr.Column(elem_classes="page"):
        with gr.Column(elem_classes="first") as made["first"]:
            html(_FIRST)
            made["demo"] = gr.Button("Try the demo clip", variant="primary", elem_id="demo")
        _files(made, readable(settings.limits.upload))
        with gr.Column(visible=False) as made["steps"]:
            _people(made)
            _look(made, service)
            _run(made)
        with gr.Column(visible=False, elem_classes="step") as made["finished"]:
            html("<h2>Result</h2>")
            made["result"] = html(elem_id="result")
        made["timer"] = gr.Timer(TICK, active=False)
        made["moment"] = gr.Number(visible=False)
        made["address"] = gr.Textbox(visible=False)
    return Controls(**made)


def _files(made: dict[str, Any], largest: str) -> None:
    with gr.Column(elem_classes="step"):
        html("<h2>Video and speech</h2>")
        with gr.Row():
            with gr.Column(min_width=300):
                made["video"] = html()
                made["video_file"] = gr.File(
                    label="Video or picture", file_types=_VIDEOS, height=150
                )
                html(f'<p class="hint">Of whoever is to speak; up to {largest}.</p>')
            with gr.Column(min_width=300):
                made["audio"] = html()
                made["audio_file"] = gr.File(label="New speech", file_types=_SPEECH, height=150)
                with gr.Accordion("Record the speech", open=False):
                    made["microphone"] = gr.Audio(
                        label="Microphone", sources=["microphone"], type="filepath", buttons=[]
                    )
                made["no_speech"] = gr.Button("Remove the speech", size="sm", visible=False)
                html(_WITHOUT)


def _people(made: dict[str, Any]) -> None:
    with gr.Column(elem_classes="step"):
        html("<h2>Whose mouth?</h2>")
        made["people"] = html(elem_id="people", js_on_load=_CHOOSE)


def _look(made: dict[str, Any], service: Service) -> None:
    with gr.Column(elem_classes="step"):
        html("<h2>How it looks</h2>")
        made["choices"] = made_choices(service)
        with gr.Column(visible=False) as made["original"]:
            html(_REFERENCE)
            made["reference"] = html()
            made["reference_file"] = gr.File(
                label="Original video", file_types=["video"], height=150
            )
        html(_PREVIEW)
        with gr.Row():
            made["preview_now"] = gr.Button("Preview this moment", elem_id="preview-now")
            made["preview_all"] = gr.Button("Compare all restorers here", elem_id="preview-all")
        made["preview"] = html(elem_id="preview")


def _run(made: dict[str, Any]) -> None:
    with gr.Column(visible=False, elem_classes="step") as made["costs"]:
        html("<h2>Time and downloads</h2>")
        made["estimate"] = html(elem_id="estimate")
        made["licences"] = gr.CheckboxGroup(
            label="I accept these licences", visible=False, elem_id="licences"
        )
        made["estimate_again"] = gr.Button("Estimate again", size="sm")
    with gr.Column(elem_classes="step"):
        made["button"] = gr.Button("Start", variant="primary", size="lg", elem_id="start")
        made["run"] = html(elem_id="run")


_FIRST = (
    "<h2>Make a mouth follow new speech</h2><p>Give a video and a speech below. Or see first what "
    "comes out: the demo needs no file and no download.</p>"
)
_WITHOUT = (
    '<p class="hint">An audio file, or a video whose audio is taken. Without new speech, the mouth '
    "that is there is restored.</p>"
)
_REFERENCE = (
    '<p class="hint">Self restores with what it finds in the original video, before any lip-sync. '
    "Give that one here.</p>"
)
_PREVIEW = (
    '<p class="hint">Pause the video above where you want to look, then preview that moment.</p>'
)
