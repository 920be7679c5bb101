"""All jobs of a user, as a table with what can be done with each."""

from __future__ import annotations

from collections.abc import Sequence

from latentsync.evaluate.page.markup import Markup, element, joined
from latentsync.server.errors import ApiError
from latentsync.server.page.parts import problem
from latentsync.server.page.words import STATES, left_of, stage_of
from latentsync.server.service import Service
from latentsync.server.views import COMPLETED, IN_PROGRESS, JobView

SHOWN = 50
"""Jobs."""


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


def jobs_table(jobs: Sequence[JobView], more: bool) -> Markup:
    """Newest first. Its buttons carry what they do and to which job; see queue_tab.py."""
    if not jobs:
        return element("p", "No jobs yet. What you start on the first tab appears here.")
    head = [element("th", name, scope="col") for name in ("Job", "State", "Progress", "")]
    rows = [_row(job) for job in jobs]
    rest = element("p", "Older jobs are not shown; the API lists all of them.", class_="hint")
    table = element(
        "table", element("thead", element("tr", *head)), element("tbody", *rows), class_="jobs"
    )
    return joined(table, rest if more else None)


def _row(job: JobView) -> Markup:
    state = element("span", STATES.get(job.state, job.state), class_=f"state {job.state}")
    why = element("span", job.error.message, class_="hint") if job.error else None
    done = left_of(job) if job.state == IN_PROGRESS else stage_of(job) if not job.ended else ""
    return element(
        "tr",
        element("th", job.name, scope="row"),
        element("td", state, why),
        element("td", done),
        element("td", *_actions(job), class_="actions"),
    )


def _actions(job: JobView) -> list[Markup]:
    named = f" {job.name}"
    opened = element("a", "Open", href=f"?job={job.id}", class_="button", aria_label=f"Open{named}")
    verbs = ["Cancel"] if not job.ended else ["Delete"]
    if job.ended and job.state != COMPLETED:
        verbs.insert(0, "Retry")
    buttons = [
        element(
            "button",
            verb,
            type="button",
            data_do=verb.lower(),
            data_job=job.id,
            aria_label=verb + named,
        )
        for verb in verbs
    ]
    return [opened, *buttons]
