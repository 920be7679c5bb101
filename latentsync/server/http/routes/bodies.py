"""What the API is given: bodies of requests, with their limits, and how a form becomes one."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field

from latentsync.server.errors import ApiError
from latentsync.server.http.multipart import Part, parts
from latentsync.server.http.routes.parameters import is_id
from latentsync.server.http.strict_json import check_text, read_json
from latentsync.server.service import Service
from latentsync.server.views import JobRequest

FILES = ("video", "audio", "reference")
"""Fields of a job that are files."""
_FIELD_BYTES = 64 * 1024
Place = Annotated[
    str,
    Field(
        min_length=1,
        max_length=4096,
        description="the id of an upload, a path below an allowed folder, or an https URL",
    ),
]


class JobBody(BaseModel):
    """A video, and what is to become of it. Without audio the mouth that is there is restored."""

    model_config = ConfigDict(extra="forbid")

    video: Place
    audio: Place | None = None
    reference: Place | None = None
    speaker: Annotated[str | None, Field(max_length=200, description="see /v1/speakers")] = None
    settings: Annotated[
        dict[str, Any], Field(description="the YAML's keys, dotted or nested", max_length=500)
    ] = {}
    name: Annotated[str | None, Field(max_length=200)] = None
    priority: Annotated[int, Field(ge=-100, le=100, description="higher is earlier")] = 0
    evaluate: Annotated[bool, Field(description="whether the result is judged")] = True
    webhook: Annotated[str | None, Field(max_length=2048, description="an https URL")] = None

    async def request(self, service: Service, user: str) -> JobRequest:
        """With paths and URLs taken in as uploads."""
        places = {name: await _upload(service, user, name, getattr(self, name)) for name in FILES}
        return JobRequest(
            video=places["video"] or "",
            audio=places["audio"],
            reference=places["reference"],
            speaker=self.speaker,
            settings=_dotted(self.settings),
            name=self.name,
            priority=self.priority,
            evaluate=self.evaluate,
            webhook=self.webhook,
        )


class PreviewBody(JobBody):
    """seconds: of the output. restorers: none, Detail, ...; empty: that of the settings."""

    seconds: Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)] = 0.0
    restorers: Annotated[list[Annotated[str, Field(max_length=200)]], Field(max_length=8)] = []


class SpeakersBody(BaseModel):
    model_config = ConfigDict(extra="forbid")

    video: Place


class FetchBody(BaseModel):
    """keys: of /v1/models. accept_licences: names of licences that you have read and accept."""

    model_config = ConfigDict(extra="forbid")

    keys: Annotated[list[Annotated[str, Field(max_length=200)]], Field(max_length=100)]
    accept_licences: Annotated[
        list[Annotated[str, Field(max_length=200)]], Field(max_length=100)
    ] = []


async def upload_id(service: Service, user: str, field: str, place: str) -> str:
    """Of a file that stands there. The errors name the field of the body."""
    if is_id(place):
        return place
    try:
        return (await service.use(user, place)).id
    except ApiError as error:
        error.field = error.field or field
        raise


async def _upload(service: Service, user: str, field: str, place: str | None) -> str | None:
    return None if place is None else await upload_id(service, user, field, place)


def _dotted(settings: dict[str, Any], above: str = "") -> dict[str, Any]:
    """As the command line has them: ``{"restore": {"scale": 2}}`` -> ``{"restore.scale": 2}``."""
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        if isinstance(value, dict) and value:
            flat |= _dotted(value, f"{above}{key}.")
        else:
            flat[f"{above}{key}"] = value
    return flat


class JobForm:
    """Takes a form in: files as uploads of the user, whose ids stand in ``received``."""

    def __init__(self, service: Service, user: str) -> None:
        self._service, self._user = service, user
        self.received: list[str] = []
        self._fields: dict[str, Any] = {}
        self._settings: dict[str, Any] = {}

    async def read(self, request: Request) -> JobBody:
        async for part in parts(request):
            if part.name in self._fields or part.name in self._settings:
                raise ApiError(422, "invalid", f"{part.name} is given twice; once", part.name)
            await self._take(part)
        settings = self._fields.pop("settings", {})
        return JobBody(**{**self._fields, "settings": {**settings, **self._settings}})

    async def _take(self, part: Part) -> None:
        if part.filename is not None:
            if part.name not in FILES:
                message = f"a file in {part.name}; files go into {', '.join(FILES)}"
                raise ApiError(422, "invalid", message, part.name)
            view = await self._service.receive(self._user, part.filename, part.chunks())
            self.received.append(view.id)
            self._fields[part.name] = view.id
            return
        text = check_text(await part.text(_FIELD_BYTES), part.name)
        if part.name == "settings":
            self._fields["settings"] = _object(text)
        elif "." in part.name:
            self._settings[part.name] = value_of(text)
        else:
            self._fields[part.name] = text

    def discard(self, used: tuple[str | None, ...] = ()) -> None:
        """Deletes what has been received, but for what is used."""
        for upload in self.received:
            if upload not in used:
                self._service.delete_upload(self._user, upload)


def _object(text: str) -> dict[str, Any]:
    value = read_json(text.encode())
    if not isinstance(value, dict):
        raise ApiError(422, "invalid", 'settings: no JSON object; send {"key": value}', "settings")
    return value


def value_of(text: str) -> Any:
    """A number, true, false, null, list or text, as JSON writes it; anything else is text."""
    try:
        return read_json(text.encode())
    except (ApiError, json.JSONDecodeError):
        return text
