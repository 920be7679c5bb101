"""/v1/jobs/ID/...: what a job has brought, as files."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse

from latentsync.server.http.routes.files import (
    Download,
    described,
    file_answer,
    text_answer,
)
from latentsync.server.http.routes.parameters import TheService, User
from latentsync.server.http.strict_json import StrictRoute

router = APIRouter(prefix="/v1/jobs", tags=["results"], route_class=StrictRoute)

KINDS = {
    "video": "video/*",
    "proxy": "video/mp4",
    "source": "video/*",
    "report": "application/json",
    "evaluation": "application/json",
    "page": "text/html",
    "settings": "application/yaml",
}
"""What there is of a job -> its usual media type."""
_WITH_PLACES = ("report", "evaluation", "page")
"""Texts that say where files are."""


def _add(what: str, media_type: str) -> None:
    @router.get(
        f"/{{job_id}}/{what}",
        name=f"job_{what}",
        summary=what.capitalize(),
        response_class=FileResponse,
        responses=described(media_type),
    )
    async def answer(
        request: Request, service: TheService, user: User, job_id: str, download: Download = False
    ) -> Response:
        view = service.job(user, job_id)
        path = service.job_file(user, job_id, what)
        name = _name(view.name, what, path)
        if what in _WITH_PLACES:
            return await text_answer(path, name, service.public, download)
        return file_answer(request, path, name, download)


def _name(job: str, what: str, path: Path) -> str:
    """clip.result.mp4 of the video: a browser saves it beside clip.mp4; clip.report.json."""
    stem = Path(job).stem or "job"
    return f"{stem}.{'result' if what == 'video' else what}{path.suffix}"


for _what, _media_type in KINDS.items():
    _add(_what, _media_type)
