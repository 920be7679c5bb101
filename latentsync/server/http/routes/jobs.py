"""/v1/jobs: made, seen, cancelled, tried again and deleted."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import anyio
from fastapi import APIRouter, Header, Path, Query, Request, Response
from pydantic import TypeAdapter
from sse_starlette import EventSourceResponse, ServerSentEvent

from latentsync.server.errors import ApiError
from latentsync.server.http.answers import errors
from latentsync.server.http.multipart import is_form
from latentsync.server.http.routes.bodies import FILES, JobBody, JobForm
from latentsync.server.http.routes.parameters import KEY_SCHEMA, TheService, User
from latentsync.server.http.routes.taking import taking
from latentsync.server.http.strict_json import StrictRoute, demand_json, read_json
from latentsync.server.jobs.ordering import check_keys
from latentsync.server.service import Service
from latentsync.server.views import JobView

router = APIRouter(prefix="/v1/jobs", tags=["jobs"], route_class=StrictRoute)

HEARTBEAT = 15
"""seconds without an event, after which a comment keeps proxies from closing the connection"""
CLOSING_SECONDS = 2.0
"""that a stream has to end in, once the server is to end"""
STREAMS = 400
"""that one user may have open: each holds one of the server's connections"""
LAST = "end"
"""Id of the event after which none follows."""
ClientId = Annotated[
    str, Path(alias="job_id", description="an id of yours", json_schema_extra=KEY_SCHEMA)
]
State = Literal["queued", "in_progress", "completed", "failed", "cancelled"]
_AS_JSON = TypeAdapter(JobView)
_SCHEMA = JobBody.model_json_schema()
_FORM: dict[str, Any] = {
    **_SCHEMA,
    "properties": {
        **_SCHEMA["properties"],
        **{name: {"type": "string", "format": "binary"} for name in FILES},
        "settings": {"type": "string", "description": "a JSON object"},
    },
}
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": _SCHEMA},
            "multipart/form-data": {"schema": _FORM},
        },
    }
}
_MADE: dict[int | str, dict[str, Any]] = {
    200: {"model": JobView, "description": "it was made before, with the same key or id"},
    **errors(409, 507),
}


@dataclass(frozen=True, slots=True)
class JobList:
    """Newest first. has_more: whether ``after=last_id`` brings more."""

    data: list[JobView]
    first_id: str | None
    last_id: str | None
    has_more: bool


@router.post("", status_code=201, responses=_MADE, openapi_extra=_BODY)
async def create(
    request: Request,
    response: Response,
    service: TheService,
    user: User,
    idempotency_key: Annotated[
        str | None,
        Header(description="the same key makes the same job once", json_schema_extra=KEY_SCHEMA),
    ] = None,
) -> JobView:
    """Makes a job, of a form with files (``curl -F video=@v.mp4 -F audio=@a.wav URL/v1/jobs``) or
    of JSON. In a form, a field with a dot in its name is a setting."""
    view, new = await _create(request, service, user, key=idempotency_key)
    response.status_code = 201 if new else 200
    return view


@router.put("/{job_id}", status_code=201, responses=_MADE, openapi_extra=_BODY)
async def create_as(
    request: Request, response: Response, service: TheService, user: User, client_id: ClientId
) -> JobView:
    """Makes a job under an id of yours; sent again, it is the same job."""
    view, new = await _create(request, service, user, client_id=client_id)
    response.status_code = 201 if new else 200
    return view


async def _create(
    request: Request,
    service: Service,
    user: str,
    *,
    client_id: str | None = None,
    key: str | None = None,
) -> tuple[JobView, bool]:
    check_keys(client_id, key)  # before gigabytes are received
    async with taking(service, user) as taken:
        if is_form(request):
            body = await JobForm(taken).read(request)
        else:
            demand_json(request)
            body = JobBody.model_validate(read_json(await request.body()))
        asked = await body.request(taken)
        view, new = await service.create(user, asked, client_id=client_id, key=key)
    if not new:
        taken.discard()
    return view, new


@router.get("")
async def jobs(
    service: TheService,
    user: User,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    after: Annotated[str | None, Query(max_length=200, description="last_id of before")] = None,
    state: State | None = None,
) -> JobList:
    found, more = service.jobs(user, limit=limit, after=after, state=state)
    first, last = (found[0].id, found[-1].id) if found else (None, None)
    return JobList(data=found, first_id=first, last_id=last, has_more=more)


@router.get("/{job_id}")
async def job(service: TheService, user: User, job_id: str) -> JobView:
    return service.job(user, job_id)


@router.get(
    "/{job_id}/events",
    response_class=EventSourceResponse,
    responses={
        200: {"description": "the job, as it changes", "content": {"text/event-stream": {}}},
        204: {"description": "it has ended, and you know"},
    },
)
async def events(
    request: Request,
    service: TheService,
    user: User,
    job_id: str,
    last_event_id: Annotated[str | None, Header(max_length=200)] = None,
) -> Response:
    """Server-sent events ``job``, each with the whole job, until it has ended. A browser that
    connects again after the last one is told to stop (204)."""
    view = service.job(user, job_id)
    if view.ended and last_event_id == LAST:
        return Response(status_code=204)
    streams: Counter[str] = request.app.state.streams
    if streams[user] >= STREAMS:
        message = f"you watch {STREAMS} jobs at once, as many as are allowed; close some"
        raise ApiError(429, "too_many_streams", message, retry_after=HEARTBEAT)
    ending = anyio.Event()
    views = _until(ending, service.events(user, job_id))
    return EventSourceResponse(
        _events(views, streams, user),
        ping=HEARTBEAT,
        shutdown_event=ending,
        shutdown_grace_period=CLOSING_SECONDS,
    )


async def _until(ending: anyio.Event, views: AsyncIterator[JobView]) -> AsyncIterator[JobView]:
    """Stops when the server is about to end, so that the stream is complete: a client that
    connects again is told the rest."""
    end = asyncio.create_task(ending.wait())
    coming = end
    try:
        while True:
            coming = asyncio.ensure_future(anext(views, None))  # type: ignore[arg-type]
            await asyncio.wait((coming, end), return_when=asyncio.FIRST_COMPLETED)
            view = coming.result() if coming.done() else None
            if view is None:
                return
            yield view
    finally:
        end.cancel()
        coming.cancel()


async def _events(
    views: AsyncIterator[JobView], streams: Counter[str], user: str
) -> AsyncIterator[ServerSentEvent]:
    """streams: of each user, those that are open."""
    number = 0
    streams[user] += 1
    try:
        async for view in views:
            number += 1
            data = _AS_JSON.dump_json(view).decode()
            yield ServerSentEvent(data, event="job", id=LAST if view.ended else str(number))
    finally:
        streams[user] -= 1


@router.post("/{job_id}/cancel", responses=errors(409))
async def cancel(service: TheService, user: User, job_id: str) -> JobView:
    """Also while it is worked on. 409: it has ended."""
    return service.cancel(user, job_id)


@router.post("/{job_id}/retry", responses=errors(409))
async def retry(service: TheService, user: User, job_id: str) -> JobView:
    """Goes on with a job that failed or was cancelled. 409: with any other."""
    return service.retry(user, job_id)


@router.delete("/{job_id}", status_code=204)
async def delete(service: TheService, user: User, job_id: str) -> Response:
    """With its files; a job that is worked on is cancelled first."""
    service.delete(user, job_id)
    return Response(status_code=204)
