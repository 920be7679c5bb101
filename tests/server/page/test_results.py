"""The result of a job on the page: compared with what was given, and set up as it was."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from pathlib import Path

import pytest

from latentsync.server.page import flows
from latentsync.server.page.draft import Draft
from latentsync.server.page.shown import shown
from latentsync.server.service import LOCAL
from latentsync.server.settings import ServerSettings
from latentsync.server.views import JobRequest
from tests.support.page_service import PageService


@pytest.fixture
def service(tmp_path: Path) -> PageService:
    return PageService(ServerSettings(root=tmp_path))


def completed(service: PageService, **more: str) -> Draft:
    """A tab that shows a job that is completed. more: of the job."""
    job = service.complete(LOCAL, service.begin(LOCAL))
    service.made[LOCAL, job.id] = replace(job, **more)
    draft = Draft()
    flows.show_job(service, LOCAL, draft, job.id)
    return draft


def set_upload(service: PageService, **facts: object) -> None:
    ((key, (view, path)),) = service.uploads.items()
    service.uploads[key] = replace(view, **facts), path


def result(service: PageService, draft: Draft) -> str:
    return str(shown(service, LOCAL, draft)["result"])


def test_a_video_is_stepped_by_its_own_frames(service: PageService) -> None:
    draft = completed(service)
    set_upload(service, fps=29.97)
    assert 'kind="video"' in result(service, draft) and 'fps="29.97"' in result(service, draft)


def test_a_picture_is_compared_with_a_picture_and_not_with_a_video(service: PageService) -> None:
    draft = completed(service)
    set_upload(service, kind="picture", fps=None)
    assert 'kind="picture"' in result(service, draft)
    draft = completed(service, audio="0" * 32)
    for key, (view, path) in list(service.uploads.items()):
        service.uploads[key] = replace(view, kind="picture"), path
    assert "<ls-compare" not in result(service, draft) and "<video" in result(service, draft)


def test_a_result_is_shown_when_its_video_was_deleted(service: PageService) -> None:
    draft = completed(service)
    service.uploads.clear()
    assert f'src="v1/jobs/{draft.job}/video"' in result(service, draft)


def test_every_url_holds_below_the_prefix_of_a_proxy(service: PageService) -> None:
    draft = completed(service)
    flows.preview(service, LOCAL, draft, 1.0, all_restorers=True)
    pages = " ".join(str(one) for one in shown(service, LOCAL, draft).values())
    urls = re.findall(r'(?:src|href|before|after)="([^"]+)"', pages)
    assert len(urls) > 10 and not [url for url in urls if url.startswith("/")]


def test_a_job_that_is_shown_again_starts_again_as_it_was(service: PageService) -> None:
    service.begin(LOCAL)
    ((_, upload),) = service.uploads
    settings = {"restore.name": "Self", "face.speaker": "left"}
    asked = JobRequest(upload, reference=upload, speaker="2", settings=settings)
    job, _ = asyncio.run(service.create(LOCAL, asked))
    draft = Draft()
    flows.show_job(service, LOCAL, draft, job.id)
    again = draft.request()
    assert (again.video, again.reference, again.speaker) == (upload, upload, "2")
    assert again.settings == {"restore.name": "Self"}  # the form has no other value of face.speaker
