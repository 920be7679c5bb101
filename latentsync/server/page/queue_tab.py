"""The second tab: all jobs of the user."""

from __future__ import annotations

from typing import Any

import gradio as gr

from latentsync.server.page.jobs_list import act, listed
from latentsync.server.page.theme import html
from latentsync.server.service import LOCAL, Service

TICK = 2.0
"""Seconds."""
_DO = """element.addEventListener('click', (event) => {
  const button = event.target.closest('button[data-do]');
  if (button) trigger('click', {verb: button.dataset.do, job: button.dataset.job});
});"""


def queue_tab(service: Service, tab: gr.Tab, how: dict[str, Any]) -> None:
    """Places it; how: keywords of all events."""
    html("<h2>All jobs</h2>", elem_classes="queue")
    error, table = html(), html(elem_id="queue", elem_classes="queue", js_on_load=_DO)
    timer = gr.Timer(TICK, active=False)

    async def look(request: gr.Request) -> Any:
        return listed(service, request.username or LOCAL)

    async def do(request: gr.Request, data: gr.EventData) -> tuple[str, str]:
        user = request.username or LOCAL
        return act(service, user, data.verb, data.job), listed(service, user)

    tab.select(look, None, table, **how)
    tab.select(lambda: gr.Timer(active=True), None, timer, **how)
    timer.tick(look, None, table, **how)
    table.click(do, None, [error, table], **how)
