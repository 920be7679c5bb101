"""/v1/uploads: files that users give, before a job uses them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import FileResponse

from latentsync.server.errors import ApiError
from latentsync.server.http.answers import errors
from latentsync.server.http.multipart import is_form, parts
from latentsync.server.http.routes.files import Download, described, file_answer
from latentsync.server.http.routes.parameters import TheService, User
from latentsync.server.http.strict_json import StrictRoute, check_text
from latentsync.server.views import UploadView

router = APIRouter(prefix="/v1/uploads", tags=["uploads"], route_class=StrictRoute)

_FILE: dict[str, Any] = {"type": "string", "format": "binary"}
_FORM = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {"type": "object", "required": ["file"], "properties": {"file": _FILE}}
            }
        },
    }
}
_RAW = {
    "requestBody": {"required": True, "content": {"application/octet-stream": {"schema": _FILE}}}
}


@router.post("", status_code=201, responses=errors(507), openapi_extra=_FORM)
async def upload_form(request: Request, service: TheService, user: User) -> UploadView:
    """Takes one file of a form. ``curl -F file=@v.mp4 URL/v1/uploads``"""
    if not is_form(request):
        raise ApiError(415, "wrong_type", "no form; send multipart/form-data, or PUT the file")
    async for part in parts(request):
        if part.filename is not None:
            return await service.receive(user, part.filename, part.chunks())
    raise ApiError(422, "invalid", "file is missing; give it", "file")


@router.put("/{upload_id}", status_code=201, responses=errors(507), openapi_extra=_RAW)
async def upload_file(
    request: Request,
    service: TheService,
    user: User,
    name: Annotated[str, Path(alias="upload_id", max_length=500, description="the file's name")],
) -> UploadView:
    """Takes the body as it is. ``curl -T v.mp4 URL/v1/uploads/``"""
    return await service.receive(user, check_text(name, "name"), _body(request))


async def _body(request: Request) -> AsyncIterator[bytes]:
    async for chunk in request.stream():
        if chunk:
            yield chunk


@router.get("/{upload_id}")
async def upload(service: TheService, user: User, upload_id: str) -> UploadView:
    return service.upload(user, upload_id)


@router.delete("/{upload_id}", status_code=204, responses=errors(409))
async def delete_upload(service: TheService, user: User, upload_id: str) -> Response:
    """409: an unfinished job uses it."""
    service.delete_upload(user, upload_id)
    return Response(status_code=204)


@router.get(
    "/{upload_id}/file",
    response_class=FileResponse,
    responses=described("video/*", "audio/*", "image/*", "application/octet-stream"),
)
async def file(
    request: Request,
    service: TheService,
    user: User,
    upload_id: str,
    download: Download = False,
) -> FileResponse:
    name = service.upload(user, upload_id).name
    return file_answer(request, service.upload_file(user, upload_id), name, download)


@router.get("/{upload_id}/proxy", response_class=FileResponse, responses=described("video/mp4"))
async def proxy(request: Request, service: TheService, user: User, upload_id: str) -> FileResponse:
    """A copy that every browser plays; the file itself where that plays."""
    name = service.upload(user, upload_id).name
    return file_answer(request, await service.upload_proxy(user, upload_id), name)
