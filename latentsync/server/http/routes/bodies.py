"""What the API is given: bodies of requests, with their limits, and how a form becomes one."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field

from latentsync.server.errors import ApiError
from latentsync.server.http.multipart import Part, parts
from latentsync.server.http.routes.taking import Taken
from latentsync.server.http.strict_json import check_text, read_json
from latentsync.server.jobs.ordering import PRIORITIES
from latentsync.server.jobs.outside import checked
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
    priority: Annotated[
        int, Field(ge=PRIORITIES[0], le=PRIORITIES[-1], description="higher is earlier")
    ] = 0
    evaluate: Annotated[bool, Field(description="whether the result is judged")] = True
    webhook: Annotated[str | None, Field(max_length=2048, description="an https URL")] = None

    async def request(self, taken: Taken) -> JobRequest:
        """With paths and URLs taken in as uploads, once the settings are known to be fine."""
        settings = checked(self.settings)
        video = await taken.named("video", self.video)
        audio = self.audio and await taken.named("audio", self.audio)
        reference = self.reference and await taken.named("reference", self.reference)
        return JobRequest(
            video=video,
            audio=audio,
            reference=reference,
            speaker=self.speaker,
            settings=settings,
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


class JobForm:
    """Takes a form in."""

    def __init__(self, taken: Taken) -> None:
        self._taken = taken
        self._fields: dict[str, Any] = {}
        self._settings: dict[str, Any] = {}

    async def read(self, request: Request) -> JobBody:
        async for part in parts(request):
            if part.name in self._fields or part.name in self._settings:
                raise ApiError(
                    422, "invalid", f"{part.name} is given twice; give it once", part.name
                )
            await self._take(part)
        settings = self._fields.pop("settings", {})
        return JobBody(**{**self._fields, "settings": {**settings, **self._settings}})

    async def _take(self, part: Part) -> None:
        if part.filename is not None:
            if part.name not in FILES:
                message = f"a file in {part.name}; files go into {', '.join(FILES)}"
                raise ApiError(422, "invalid", message, part.name)
            self._fields[part.name] = await self._taken.receive(part, part.filename)
            return
        text = check_text(await part.text(_FIELD_BYTES), part.name)
        if part.name == "settings":
            self._fields["settings"] = _object(text)
        elif "." in part.name:
            self._settings[part.name] = value_of(text)
        else:
            self._fields[part.name] = text


def _object(text: str) -> dict[str, Any]:
    value = read_json(text.encode())
    if not isinstance(value, dict):
        raise ApiError(422, "invalid", 'settings: no JSON object; send {"key": value}', "settings")
    return value


def value_of(text: str) -> Any:
    """A number, true, false, null, list or text, as JSON writes it; anything else is text."""
    try:
        return read_json(text.encode())
    except ApiError:
        return text
