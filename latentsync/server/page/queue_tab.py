"""The second tab: all jobs of the user."""

from __future__ import annotations

from typing import Any

import gradio as gr

from latentsync.server.errors import ApiError
from latentsync.server.page.parts import problem
from latentsync.server.page.running import jobs_table
from latentsync.server.page.theme import html
from latentsync.server.service import LOCAL, Service

SHOWN = 50
"""Jobs."""
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


def listed(service: Service, user: str) -> str:
    return jobs_table(*service.jobs(user, limit=SHOWN))


def act(service: Service, user: str, verb: object, job_id: object) -> str:
    """Returns what went wrong, as HTML; "" if nothing did."""
    verbs = {"cancel": service.cancel, "retry": service.retry, "delete": service.delete}
    try:
        verbs[str(verb)](user, str(job_id))
    except ApiError as error:
        return problem(str(error))
    return ""
