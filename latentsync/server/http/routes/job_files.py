"""/v1/jobs/ID/...: what a job has brought, as files."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse

from latentsync.server.http.routes.files import Download, described, file_answer
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
    ) -> FileResponse:
        view = service.job(user, job_id)
        path = service.job_file(user, job_id, what)
        return file_answer(request, path, _name(view.name, what, path), download)


def _name(job: str, what: str, path: Path) -> str:
    """clip.mp4 of the video, clip.report.json of the report."""
    stem = Path(job).stem or "job"
    return f"{stem}{path.suffix}" if what == "video" else f"{stem}.{what}{path.suffix}"


for _what, _media_type in KINDS.items():
    _add(_what, _media_type)
