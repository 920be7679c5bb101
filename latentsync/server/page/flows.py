"""What happens when somebody uses the page: each verb changes the draft, through the service only.

An ApiError becomes a sentence at the place where it belongs. Needs no gradio.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from latentsync.generate.table import WITHOUT_WEIGHTS
from latentsync.server.errors import ApiError
from latentsync.server.page.draft import (
    AUDIO,
    ESTIMATE,
    GENERATOR,
    PEOPLE,
    PREVIEW,
    RUN,
    VIDEO,
    Draft,
    wanted_by,
)
from latentsync.server.service import Service
from latentsync.server.settings import ServerSettings
from latentsync.server.views import (
    COMPLETED,
    ENDS,
    IN_PROGRESS,
    QUEUED,
    EstimateView,
    ModelView,
    TaskView,
)
from latentsync.weights.known_licences import LICENCES_TO_ACCEPT

DEMO_SETTINGS = {GENERATOR: WITHOUT_WEIGHTS}
"""Needs no weights."""
_NAMES = {str(licence): name for name, licence in LICENCES_TO_ACCEPT.items()}


@contextmanager
def _at(draft: Draft, place: str) -> Iterator[None]:
    """An error inside stands at that place; the error before it goes."""
    draft.errors.pop(place, None)
    try:
        yield
    except ApiError as error:
        draft.errors[place] = str(error)


async def open_tab(service: Service, user: str, draft: Draft, address: str) -> None:
    """What the URL names; without anything, the newest job that has not ended."""
    wanted = wanted_by(address)
    if "job" in wanted:
        with _at(draft, RUN):
            show_job(service, user, draft, wanted["job"])
    elif "video" in wanted or "audio" in wanted:
        await _take_up(service, user, draft, wanted)
    elif "new" not in wanted and (unfinished := _newest_unfinished(service, user)):
        show_job(service, user, draft, unfinished)


def _newest_unfinished(service: Service, user: str) -> str | None:
    states = (IN_PROGRESS, QUEUED)
    found = (service.jobs(user, limit=1, state=state)[0] for state in states)
    return next((jobs[0].id for jobs in found if jobs), None)


def show_job(service: Service, user: str, draft: Draft, job_id: str) -> None:
    """Raises ApiError: there is no such job of that user."""
    job = service.job(user, job_id)
    draft.job, draft.video, draft.audio = job.id, job.video, job.audio
    draft.reference = job.reference
    draft.settings = dict(job.settings)
    of_settings = draft.settings.pop("face.speaker", None)
    draft.speaker = job.speaker or of_settings
    draft.tasks.clear()
    draft.tasks[PEOPLE] = service.find_people(user, job.video).id


async def _take_up(service: Service, user: str, draft: Draft, wanted: Mapping[str, str]) -> None:
    for place in (VIDEO, AUDIO):
        if place in wanted:
            with _at(draft, place):
                setattr(draft, place, service.upload(user, wanted[place]).id)
    draft.speaker = wanted.get("speaker")
    look_at_files(service, user, draft)


async def give(service: Service, user: str, draft: Draft, place: str, path: Path) -> None:
    """A file for one of FILES that gradio has received; it is moved away in any case. No other file
    of this machine is touched, whatever the request names."""
    with _at(draft, place):
        if not is_received(path, received_folder(service.settings)):
            raise ApiError(422, "place", "no file that was received; give it again", place)
        try:
            upload = await service.take(user, path.name, path)
        finally:
            path.unlink(missing_ok=True)
        try:
            _check_kind(upload.kind, place, upload.name)
        except ApiError:
            service.delete_upload(user, upload.id)
            raise
        setattr(draft, place, upload.id)
        draft.job = None
        draft.errors.pop(RUN, None)
        if place == VIDEO:
            draft.speaker = None
        look_at_files(service, user, draft)


def received_folder(settings: ServerSettings) -> Path:
    """Where gradio writes what it receives."""
    return (settings.root / "page").resolve()


def is_received(path: Path, folder: Path) -> bool:
    return path.is_absolute() and path.resolve().is_relative_to(folder)


def _check_kind(kind: str, place: str, name: str) -> None:
    if place == VIDEO and kind == "audio":
        raise ApiError(
            422, "no_video", f"{name} has no video track; give a video or a picture", VIDEO
        )
    if place != VIDEO and kind == "picture":
        raise ApiError(422, "picture", f"{name} is a picture; give audio or a video", place)


def remove_speech(service: Service, user: str, draft: Draft) -> None:
    """Without new speech, the mouth that is there is restored."""
    draft.audio = None
    draft.errors.pop(AUDIO, None)
    look_at_files(service, user, draft)


async def demo(service: Service, user: str, draft: Draft) -> None:
    """From nothing to a result in one click."""
    with _at(draft, RUN):
        video, audio = await service.demo(user)
        draft.video, draft.audio, draft.speaker = video.id, audio.id, None
        draft.settings = {**draft.settings, **DEMO_SETTINGS}
        draft.job = None
        await _create(service, user, draft)
        draft.tasks[PEOPLE] = service.find_people(user, video.id).id


def look_at_files(service: Service, user: str, draft: Draft) -> None:
    """Who is seen, and what a job would cost."""
    if draft.video is not None:
        with _at(draft, PEOPLE):
            draft.tasks[PEOPLE] = service.find_people(user, draft.video).id
    edited(service, user, draft)


def edited(service: Service, user: str, draft: Draft) -> None:
    """What was computed before is not of the draft any longer; a job goes on, and stays here."""
    for place in (PREVIEW, ESTIMATE):
        draft.tasks.pop(place, None)
        draft.errors.pop(place, None)
    with _at(draft, RUN):
        if draft.job is not None and not service.job(user, draft.job).ended:
            return
    draft.job = None
    if draft.video is not None:
        with _at(draft, ESTIMATE):
            draft.tasks[ESTIMATE] = service.estimate(user, draft.request()).id


def choose_person(service: Service, user: str, draft: Draft, speaker: str) -> None:
    """speaker: a value of face.speaker; "": nobody in particular."""
    draft.speaker = speaker or None
    edited(service, user, draft)


def change_settings(service: Service, user: str, draft: Draft, settings: dict[str, object]) -> None:
    """settings: all that differ from the defaults."""
    if settings != draft.settings:
        draft.settings = dict(settings)
        edited(service, user, draft)


def preview(
    service: Service, user: str, draft: Draft, seconds: float, *, all_restorers: bool
) -> None:
    """seconds: position of the player."""
    restorers = tuple(service.restorers()) if all_restorers else ()
    with _at(draft, PREVIEW):
        task = service.preview(user, draft.request(), max(seconds or 0.0, 0.0), restorers)
        draft.tasks[PREVIEW] = task.id


async def start_or_cancel(service: Service, user: str, draft: Draft) -> None:
    """The one button."""
    with _at(draft, RUN):
        if draft.job is not None and not service.job(user, draft.job).ended:
            service.cancel(user, draft.job)
        elif missing := models_to_fetch(service, user, draft):
            _check_accepted(missing, draft.accepted)
            keys = tuple(model.key for model in missing)
            draft.tasks[RUN] = service.fetch(user, keys, draft.accepted).id
            draft.wanted = True
        else:
            await _create(service, user, draft)


async def _create(service: Service, user: str, draft: Draft) -> None:
    job, _ = await service.create(user, draft.request())
    draft.job, draft.wanted = job.id, False


def models_to_fetch(service: Service, user: str, draft: Draft) -> tuple[ModelView, ...]:
    """As the estimate found; none where it is not known yet."""
    view = result_of(service, user, draft, ESTIMATE)
    return view.missing if isinstance(view, EstimateView) else ()


def _check_accepted(models: tuple[ModelView, ...], accepted: tuple[str, ...]) -> None:
    asked = [one for one in models if not one.accepted and name_of(one) not in accepted]
    if asked:
        names = ", ".join(dict.fromkeys(one.licence for one in asked))
        message = f"not accepted yet: {names}; tick it above if it allows your use"
        raise ApiError(422, "licence", message)


def name_of(model: ModelView) -> str:
    """Under which its licence is accepted."""
    return _NAMES.get(model.licence, model.licence)


async def go_on(service: Service, user: str, draft: Draft) -> None:
    """Called every second while something is waited for: begins a job whose weights have come."""
    task = task_at(service, user, draft, RUN)
    if task is None or task.state not in ENDS:
        return
    with _at(draft, RUN):
        del draft.tasks[RUN]
        if draft.wanted and task.state == COMPLETED:
            await _create(service, user, draft)
        elif task.error is not None:
            raise ApiError(502, task.error.code, task.error.message)


def task_at(service: Service, user: str, draft: Draft, place: str) -> TaskView | None:
    """None: there is none, or the server has forgotten it since it was started again."""
    if place not in draft.tasks:
        return None
    try:
        return service.task(user, draft.tasks[place])
    except ApiError:
        return None


def result_of(service: Service, user: str, draft: Draft, place: str) -> object:
    task = task_at(service, user, draft, place)
    return task.result if task is not None and task.state == COMPLETED else None
