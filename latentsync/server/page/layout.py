"""The page in gradio: where everything stands, and which callback is called by what."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr

from latentsync.server.page import flows
from latentsync.server.page.controls import Controls, made_controls, updates_of
from latentsync.server.page.draft import AUDIO, REFERENCE, VIDEO, Draft
from latentsync.server.page.queue_tab import queue_tab
from latentsync.server.page.shown import changed, chosen, shown
from latentsync.server.page.theme import html
from latentsync.server.service import LOCAL, Service
from latentsync.server.settings import ServerSettings

KEPT = 3600
"""Seconds that a tab's draft is kept without use; its address brings it back."""
QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private", "queue": False}
"""How all events are: the page shows progress itself."""


def page_of(service: Service, settings: ServerSettings) -> gr.Blocks:
    """Callbacks are coroutines, because the service is used from its event loop."""
    with gr.Blocks(title="LatentSync", analytics_enabled=False) as blocks:
        html(_BRAND + _LOG_OUT * settings.demands_token, elem_classes="brand")
        draft = gr.State(Draft(), time_to_live=KEPT)
        with gr.Tabs():
            with gr.Tab("Dub a clip", id="dub"):
                controls = made_controls(service, settings)
            with gr.Tab("Queue", id="queue") as tab:
                queue_tab(service, tab, QUIET)
        _Events(service, draft, controls).connect(blocks)
    return blocks


@dataclass(frozen=True, slots=True)
class _Call:
    """Who did something, in which tab. address: its query. data: of the event."""

    user: str
    draft: Draft
    address: str
    data: gr.EventData


class _Events:
    """Every event changes the draft, and then shows what has changed."""

    def __init__(self, service: Service, draft: gr.State, controls: Controls) -> None:
        self._service, self._draft, self._controls = service, draft, controls

    def connect(self, blocks: gr.Blocks) -> None:
        one, on, settings = self._controls, self._on, self._controls.choices.all
        on(blocks.load, self._open, js="() => [null, location.search]")
        on(one.timer.tick, self._tick)
        on(one.demo.click, self._demo).then(None, None, None, js=_SCROLL)
        for place, control, given in (
            (VIDEO, one.video_file, one.video_file.upload),
            (AUDIO, one.audio_file, one.audio_file.upload),
            (AUDIO, one.microphone, one.microphone.stop_recording),
            (REFERENCE, one.reference_file, one.reference_file.upload),
        ):
            on(given, partial(self._give, place), [control], clear=control)
        on(one.no_speech.click, self._no_speech)
        on(one.people.input, self._person)
        for button, every in ((one.preview_now, False), (one.preview_all, True)):
            on(button.click, partial(self._preview, every), [one.moment, *settings], js=_MOMENT)
        for choice in settings:
            on(choice.input, self._settings, settings)
        on(one.estimate_again.click, self._again)
        on(one.licences.input, self._accept, [one.licences])
        on(one.button.click, self._press, settings)
        one.address.change(None, one.address, None, js=_KEEP)

    def _on(
        self,
        event: Callable[..., Any],
        do: Callable[..., Awaitable[None]],
        inputs: Sequence[Any] = (),
        *,
        clear: Any = None,
        **more: Any,
    ) -> Any:
        """do(call, *values of the inputs) changes the draft. clear: a control that is emptied.

        A server that was started again knows no draft: the address of the tab brings it back.
        """
        service, controls = self._service, self._controls
        cleared = [] if clear is None else [clear]

        async def called(
            request: gr.Request, data: gr.EventData, draft: Draft, address: str, *values: Any
        ) -> list[Any]:
            call = _Call(request.username or LOCAL, draft, address, data)
            if draft.empty and address and do != self._open:
                await self._open(call)
            await do(call, *values)
            new = changed(draft, shown(service, call.user, draft))
            return [draft, *updates_of(controls, new), *(None for _ in cleared)]

        outputs = [self._draft, *controls.places.values(), *cleared]
        inputs = [self._draft, controls.address, *inputs]
        return event(called, inputs, outputs, **QUIET, **more)

    async def _open(self, call: _Call) -> None:
        await flows.open_tab(self._service, call.user, call.draft, call.address)

    async def _tick(self, call: _Call) -> None:
        await flows.go_on(self._service, call.user, call.draft)

    async def _demo(self, call: _Call) -> None:
        await flows.demo(self._service, call.user, call.draft)

    async def _give(self, place: str, call: _Call, path: str | None) -> None:
        if path is not None:
            await flows.give(self._service, call.user, call.draft, place, Path(path))

    async def _no_speech(self, call: _Call) -> None:
        flows.remove_speech(self._service, call.user, call.draft)

    async def _person(self, call: _Call) -> None:
        flows.choose_person(self._service, call.user, call.draft, str(call.data.value))

    async def _settings(self, call: _Call, *values: Any) -> None:
        settings = self._controls.choices.collect(values)
        flows.change_settings(self._service, call.user, call.draft, settings)
        call.draft.shown.update(chosen(call.draft))  # the browser sent it, and may be ahead by now

    async def _again(self, call: _Call) -> None:
        flows.edited(self._service, call.user, call.draft)

    async def _preview(self, every: bool, call: _Call, seconds: float, *values: Any) -> None:
        await self._settings(call, *values)
        flows.preview(self._service, call.user, call.draft, seconds, all_restorers=every)

    async def _accept(self, call: _Call, licences: list[str]) -> None:
        call.draft.accepted = tuple(licences)

    async def _press(self, call: _Call, *values: Any) -> None:
        await self._settings(call, *values)
        await flows.start_or_cancel(self._service, call.user, call.draft)


_BRAND = "<h1>LatentSync</h1>"
_LOG_OUT = '<form method="post" action="logout"><button class="button">Log out</button></form>'
"""Relative, for a server behind a proxy's prefix."""
_MOMENT = "(draft, address, moment, ...rest) => [draft, address, window.pageMoment(), ...rest]"
_SCROLL = "() => document.querySelector('#start').scrollIntoView({block: 'center'})"
_KEEP = "(query) => history.replaceState(null, '', query || location.pathname)"
