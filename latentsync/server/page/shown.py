"""What a tab shows: computed from its draft and the service, as values that need no gradio."""

from __future__ import annotations

from typing import Any

from latentsync.evaluate.page.markup import Markup, element, joined
from latentsync.evaluate.words import capital
from latentsync.server.errors import ApiError
from latentsync.server.page import comparing, parts, running
from latentsync.server.page.draft import (
    AUDIO,
    ESTIMATE,
    FIRST,
    GENERATOR,
    PEOPLE,
    PRESET,
    PREVIEW,
    REFERENCE,
    RESTORER,
    RUN,
    VIDEO,
    Draft,
)
from latentsync.server.page.flows import models_to_fetch, name_of, task_at
from latentsync.server.page.moving import moving_comparison, still_comparison
from latentsync.server.page.words import licence_of, own
from latentsync.server.service import Service
from latentsync.server.views import COMPLETED, ENDS, JobView, TaskView

Shown = dict[str, Any]
"""Place -> HTML, or what a control needs."""


def shown(service: Service, user: str, draft: Draft) -> Shown:
    job = _job(service, user, draft)
    models = models_to_fetch(service, user, draft)
    asked = dict.fromkeys((licence_of(one), name_of(one)) for one in models if not one.accepted)
    return {
        VIDEO: _file(service, user, draft, VIDEO),
        AUDIO: _file(service, user, draft, AUDIO),
        REFERENCE: _file(service, user, draft, REFERENCE),
        PEOPLE: _people(service, user, draft),
        PREVIEW: _preview(service, user, draft),
        ESTIMATE: _estimate(service, user, draft),
        RUN: _run(service, user, draft, job),
        "licences": list(asked),
        "button": _button(job),
        "result": _result(service, user, job),
        "first": draft.empty,
        "steps": draft.video is not None,
        "speech": draft.audio is not None,
        "original": draft.needs_reference,
        "costs": ESTIMATE in draft.tasks or ESTIMATE in draft.errors,
        **chosen(draft),
        "finished": job is not None and job.state == COMPLETED,
        "waits": _waits(service, user, draft, job),
        "address": draft.address(),
    }


def chosen(draft: Draft) -> Shown:
    """What the controls of settings show."""
    return {
        "form": {key: _text(value) for key, value in draft.settings.items() if key not in FIRST},
        "generator": (draft.settings.get(GENERATOR), draft.audio is not None),
        "restorer": (draft.settings.get(RESTORER), True),
        "preset": (draft.settings.get(PRESET), True),
    }


def _job(service: Service, user: str, draft: Draft) -> JobView | None:
    if draft.job is None:
        return None
    try:
        return service.job(user, draft.job)
    except ApiError as error:  # deleted in the queue, or by the retention
        draft.errors[RUN], draft.job = str(error), None
        return None


def _file(service: Service, user: str, draft: Draft, place: str) -> Markup:
    upload_id = getattr(draft, place)
    error = parts.problem(draft.errors.get(place))
    if upload_id is None:
        return error
    try:
        upload = service.upload(user, upload_id)
    except ApiError as gone:
        setattr(draft, place, None)
        return parts.problem(str(gone))
    players = {VIDEO: parts.video_player, AUDIO: parts.audio_player, REFERENCE: parts.named}
    return joined(error, players[place](upload))


def _people(service: Service, user: str, draft: Draft) -> Markup:
    task, other = _task(service, user, draft, PEOPLE, "Looking for people")
    return other if task is None else parts.gallery(task.result, draft.speaker)


def _preview(service: Service, user: str, draft: Draft) -> Markup:
    task, other = _task(service, user, draft, PREVIEW, "Making the preview")
    return other if task is None else comparing.moment(task.result, _hints(service, draft))


def _hints(service: Service, draft: Draft) -> dict[str, str]:
    """Restorer that cannot be used yet -> what has to be done, in the page's words."""
    missing = {one.for_what: one for one in service.models() if not one.installed}
    hints = {
        name: f"Its weights are not here ({licence_of(missing[key])}). Choose {name} above to "
        "fetch them."
        for name in service.restorers()
        if (key := f"{RESTORER}={name}") in missing
    }
    if draft.audio is None and draft.reference is None:
        hints["Self"] = "It needs the original video. Choose Self above, and give that video there."
    return hints


def _estimate(service: Service, user: str, draft: Draft) -> Markup:
    task, other = _task(service, user, draft, ESTIMATE, "Estimating")
    return other if task is None else parts.estimated(task.result)


def _task(
    service: Service, user: str, draft: Draft, place: str, what: str
) -> tuple[TaskView | None, Markup]:
    """The completed task; or None, and what is shown instead."""
    task = task_at(service, user, draft, place)
    if place in draft.errors or task is None:
        return None, parts.problem(draft.errors.get(place))
    if task.error is not None:
        return None, parts.problem(task.error.message)
    return (task if task.state == COMPLETED else None), parts.waiting(what, task)


def _run(service: Service, user: str, draft: Draft, job: JobView | None) -> Markup:
    task = task_at(service, user, draft, RUN)
    return joined(
        parts.problem(draft.errors.get(RUN)),
        parts.waiting("Fetching weights", task) if task is not None else None,
        running.progress(job) if job is not None else None,
    )


def _button(job: JobView | None) -> tuple[str, bool]:
    """Its words, and whether it cancels."""
    if job is not None and not job.ended:
        return "Cancel", True
    if job is not None:
        return "Start again", False
    return "Start", False


def _result(service: Service, user: str, job: JobView | None) -> Markup:
    if job is None or job.state != COMPLETED:
        return Markup()
    return joined(
        _compared(service, user, job),
        element("p", capital(job.note), class_="hint") if job.note else None,
        running.downloads(job),
        running.judged(job),
        running.timeline(job),
    )


def _compared(service: Service, user: str, job: JobView) -> Markup:
    """Before and after; the result alone where the video was deleted, or was a picture that was
    made to speak."""
    result = own(job.links.get("proxy", job.links["video"]))
    try:
        given = service.upload(user, job.video)
    except ApiError:
        return parts.result_player(result)
    if given.kind == "video":
        return moving_comparison(parts.proxy_of(given), result, fps=given.fps)
    if job.audio is None:
        return still_comparison(parts.proxy_of(given), result)
    return parts.result_player(result)


def _text(value: object) -> str:
    """As the form has it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _waits(service: Service, user: str, draft: Draft, job: JobView | None) -> bool:
    """Whether anything may change by itself."""
    tasks = (task_at(service, user, draft, place) for place in tuple(draft.tasks))
    unfinished = any(task is not None and task.state not in ENDS for task in tasks)
    return unfinished or RUN in draft.tasks or (job is not None and not job.ended)


def changed(draft: Draft, now: Shown) -> Shown:
    """What the browser does not have yet; it has it afterwards."""
    new = {place: value for place, value in now.items() if draft.shown.get(place, ...) != value}
    draft.shown.update(new)
    return new
