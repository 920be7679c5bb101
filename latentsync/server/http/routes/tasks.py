"""Work that somebody waits for: previews, people, estimates; and weights, which are fetched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse

from latentsync.server.http.answers import errors
from latentsync.server.http.routes.bodies import (
    FetchBody,
    JobBody,
    PreviewBody,
    SpeakersBody,
)
from latentsync.server.http.routes.files import described, file_answer
from latentsync.server.http.routes.parameters import TheService, User, Wait
from latentsync.server.http.routes.taking import taking
from latentsync.server.http.strict_json import StrictRoute
from latentsync.server.service import Service
from latentsync.server.views import ENDS, ModelView, TaskView

router = APIRouter(prefix="/v1", tags=["tasks"], route_class=StrictRoute)

_TASK: dict[int | str, dict[str, Any]] = {
    200: {"model": TaskView, "description": "it has ended within the time that you wait"},
    **errors(507),
}


@dataclass(frozen=True, slots=True)
class ModelList:
    data: list[ModelView]


async def _answer(
    service: Service, user: str, task: TaskView, wait: float, response: Response
) -> TaskView:
    if wait and task.state not in ENDS:
        task = await service.finished(user, task.id, wait)
    response.status_code = 200 if task.state in ENDS else 202
    return task


@router.post("/previews", status_code=202, responses=_TASK)
async def preview(
    body: PreviewBody, response: Response, service: TheService, user: User, wait: Wait
) -> TaskView:
    """One frame, before and after, with each of the restorers."""
    async with taking(service, user) as taken:
        asked = await body.request(taken)
        task = service.preview(user, asked, body.seconds, tuple(body.restorers))
    return await _answer(service, user, task, wait, response)


@router.post("/speakers", status_code=202, responses=_TASK)
async def speakers(
    body: SpeakersBody, response: Response, service: TheService, user: User, wait: Wait
) -> TaskView:
    """Who is seen in a video, with portraits; ``speaker`` of a job names one of them."""
    async with taking(service, user) as taken:
        task = service.find_people(user, await taken.named("video", body.video))
    return await _answer(service, user, task, wait, response)


@router.post("/estimates", status_code=202, responses=_TASK)
async def estimate(
    body: JobBody, response: Response, service: TheService, user: User, wait: Wait
) -> TaskView:
    """How long a job would take here, and which weights it would fetch."""
    async with taking(service, user) as taken:
        task = service.estimate(user, await body.request(taken))
    return await _answer(service, user, task, wait, response)


@router.get("/tasks/{task_id}")
async def task(service: TheService, user: User, task_id: str, wait: Wait) -> TaskView:
    found = service.task(user, task_id)
    return await service.finished(user, task_id, wait) if wait else found


@router.get(
    "/tasks/{task_id}/files/{name}", response_class=FileResponse, responses=described("image/png")
)
async def task_file(
    request: Request, service: TheService, user: User, task_id: str, name: str
) -> FileResponse:
    """A picture that the result of a task names."""
    return file_answer(request, service.task_file(user, task_id, name), name)


@router.get("/models", tags=["models"])
async def models(service: TheService) -> ModelList:
    """Weights that there are, which are here, and under which licence."""
    return ModelList(service.models())


@router.post("/models/fetch", status_code=202, responses=_TASK, tags=["models"])
async def fetch(
    body: FetchBody, response: Response, service: TheService, user: User, wait: Wait
) -> TaskView:
    """Fetches weights; licences are accepted by name, once."""
    task = service.fetch(user, tuple(body.keys), tuple(body.accept_licences))
    return await _answer(service, user, task, wait, response)
