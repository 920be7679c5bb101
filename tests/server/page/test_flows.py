"""What the page does and shows, without a browser and without gradio."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest

from latentsync.server.page import flows
from latentsync.server.page.draft import AUDIO, ESTIMATE, PEOPLE, RUN, VIDEO, Draft
from latentsync.server.page.jobs_list import act, listed
from latentsync.server.page.shown import changed, shown
from latentsync.server.service import LOCAL
from latentsync.server.settings import ServerSettings
from latentsync.server.views import CANCELLED, FAILED, ErrorView
from tests.support.page_service import ASSETS, CODEFORMER, PageService

T = TypeVar("T")
HOSTILE = '<img src=x onerror="alert(1)">${alert(1)}.mp4'


def now(done: Awaitable[T]) -> T:
    async def wait() -> T:
        return await done

    return asyncio.run(wait())


@pytest.fixture
def service(tmp_path: Path) -> PageService:
    return PageService(ServerSettings(root=tmp_path))


def received(service: PageService, asset: str, name: str | None = None) -> Path:
    """A copy of a file, where gradio puts what it receives."""
    path = service.settings.root / "page" / (name or asset)
    path.parent.mkdir(exist_ok=True)
    shutil.copy(ASSETS / asset, path)
    return path


def given(service: PageService, *, speech: bool = True) -> Draft:
    """A tab with a video and, as usual, a speech."""
    draft = Draft()
    path = received(service, "demo_lipsynced.mp4")
    now(flows.give(service, LOCAL, draft, VIDEO, path))
    if speech:
        path = received(service, "demo_speech.wav")
        now(flows.give(service, LOCAL, draft, AUDIO, path))
    return draft


def seen(service: PageService, draft: Draft, place: str) -> str:
    return str(shown(service, LOCAL, draft)[place])


def test_a_file_is_moved_to_its_user_at_once_and_its_people_and_costs_are_looked_for(
    service: PageService,
) -> None:
    draft = given(service)
    assert not list((service.settings.root / "page").iterdir())
    assert f'src="v1/uploads/{draft.video}/proxy"' in seen(service, draft, VIDEO)
    assert "2 people found" in seen(service, draft, PEOPLE)
    assert "About 42 seconds for 88 frames" in seen(service, draft, ESTIMATE)


def test_what_cannot_be_read_is_said_where_it_was_given_until_something_else_is(
    service: PageService,
) -> None:
    draft = given(service)
    before = draft.video
    broken = received(service, "README.md", "broken.mp4")
    broken.write_bytes(b"no video")
    now(flows.give(service, LOCAL, draft, VIDEO, broken))
    assert "broken.mp4: it cannot be read" in seen(service, draft, VIDEO)
    assert not broken.exists() and draft.video == before
    now(flows.give(service, LOCAL, draft, VIDEO, received(service, "demo_talking.mp4")))
    assert "cannot be read" not in seen(service, draft, VIDEO)


def test_a_file_that_was_not_received_is_neither_taken_nor_deleted(service: PageService) -> None:
    draft, other = Draft(), service.settings.root / "other.mp4"
    shutil.copy(ASSETS / "demo_talking.mp4", other)
    for path in (other, service.settings.root / "page" / ".." / "other.mp4", Path("other.mp4")):
        now(flows.give(service, LOCAL, draft, VIDEO, path))
        assert "no file that was received" in seen(service, draft, VIDEO)
    assert draft.video is None and other.exists() and not service.uploads


def test_a_speech_is_no_video(service: PageService) -> None:
    draft = Draft()
    now(flows.give(service, LOCAL, draft, VIDEO, received(service, "demo_speech.wav")))
    assert "demo_speech.wav has no video track" in seen(service, draft, VIDEO)
    assert draft.video is None and not service.uploads


def test_nothing_starts_without_a_video(service: PageService) -> None:
    draft = Draft()
    now(flows.start_or_cancel(service, LOCAL, draft))
    assert "no video was given" in seen(service, draft, RUN)


def test_the_demo_makes_a_job_that_needs_no_weights(service: PageService) -> None:
    draft = Draft()
    now(flows.demo(service, LOCAL, draft))
    assert draft.job is not None
    assert service.requests[draft.job].settings == {"generate.name": "replay"}
    view = shown(service, LOCAL, draft)
    assert view["button"] == ("Cancel", True) and view["waits"] and not view["first"]


def test_the_button_starts_cancels_and_starts_again(service: PageService) -> None:
    draft = given(service)
    now(flows.start_or_cancel(service, LOCAL, draft))
    job = draft.job or ""
    service.run(LOCAL, job, 43, "restoring")
    assert "Now: restoring." in seen(service, draft, RUN)
    assert "43 %, about 42 seconds left" in seen(service, draft, RUN)
    now(flows.start_or_cancel(service, LOCAL, draft))
    assert service.job(LOCAL, job).state == CANCELLED
    assert shown(service, LOCAL, draft)["button"] == ("Start again", False)
    now(flows.start_or_cancel(service, LOCAL, draft))
    assert draft.job != job


def test_a_licence_is_accepted_before_weights_are_fetched_and_then_the_job_begins(
    service: PageService,
) -> None:
    service.missing = (CODEFORMER,)
    draft = given(service)
    label, name = shown(service, LOCAL, draft)["licences"][0]
    assert "non-commercial use only" in label and name == "CodeFormer"
    now(flows.start_or_cancel(service, LOCAL, draft))
    assert "not accepted yet: S-Lab License 1.0" in seen(service, draft, RUN)
    assert service.fetched == [] and draft.job is None
    draft.accepted = (name,)
    now(flows.start_or_cancel(service, LOCAL, draft))
    assert service.fetched == [(("CodeFormer",), ("CodeFormer",))]
    now(flows.go_on(service, LOCAL, draft))
    assert draft.job is not None


def test_weights_that_could_not_be_fetched_start_no_job(service: PageService) -> None:
    service.missing = (replace(CODEFORMER, accepted=True),)
    draft = given(service)
    now(flows.start_or_cancel(service, LOCAL, draft))
    task = service.task(LOCAL, draft.tasks[RUN])
    failed = replace(task, state=FAILED, error=ErrorView("offline", "the host does not answer"))
    service.tasks[LOCAL, task.id] = failed
    now(flows.go_on(service, LOCAL, draft))
    assert draft.job is None and "the host does not answer" in seen(service, draft, RUN)


def test_a_new_tab_shows_the_job_that_runs_unless_its_address_names_something_else(
    service: PageService,
) -> None:
    draft = given(service)
    now(flows.start_or_cancel(service, LOCAL, draft))
    for address, expected in (("", draft.job), (draft.address(), draft.job), ("?new=1", None)):
        other = Draft()
        now(flows.open_tab(service, LOCAL, other, address))
        assert other.job == expected, address


def test_the_address_brings_files_and_person_back(service: PageService) -> None:
    draft = given(service)
    flows.choose_person(service, LOCAL, draft, "2")
    again = Draft()
    now(flows.open_tab(service, LOCAL, again, draft.address()))
    assert (again.video, again.audio, again.speaker) == (draft.video, draft.audio, "2")
    assert again.request().speaker == "2"


def test_nobody_is_shown_another_user_s_job_or_files(service: PageService) -> None:
    draft = given(service)
    files = draft.address()
    now(flows.start_or_cancel(service, LOCAL, draft))
    for address, place in ((draft.address(), RUN), (files, VIDEO)):
        other = Draft()
        now(flows.open_tab(service, "eve", other, address))
        assert other.empty and "no such" in shown(service, "eve", other)[place]


def test_names_are_text_wherever_they_are_shown(service: PageService) -> None:
    draft = given(service)
    for key, (view, path) in list(service.uploads.items()):
        service.uploads[key] = replace(view, name=HOSTILE), path
    now(flows.start_or_cancel(service, LOCAL, draft))
    job = service.job(LOCAL, draft.job or "")
    service.made[LOCAL, job.id] = replace(job, name=HOSTILE)
    pages = [seen(service, draft, VIDEO), seen(service, draft, AUDIO), listed(service, LOCAL)]
    for page in pages:
        assert "&lt;img" in page and "<img src=x" not in page


def test_only_what_has_changed_is_sent(service: PageService) -> None:
    draft = given(service)
    assert PEOPLE in changed(draft, shown(service, LOCAL, draft))
    assert changed(draft, shown(service, LOCAL, draft)) == {}
    now(flows.start_or_cancel(service, LOCAL, draft))
    new = changed(draft, shown(service, LOCAL, draft))
    assert {RUN, "button", "address", "waits"} <= set(new) and PEOPLE not in new


def test_self_asks_for_the_original_video_where_there_is_no_new_speech(
    service: PageService,
) -> None:
    draft = given(service, speech=False)
    flows.change_settings(service, LOCAL, draft, {"restore.name": "Self"})
    assert shown(service, LOCAL, draft)["original"]
    path = received(service, "demo_talking.mp4")
    now(flows.give(service, LOCAL, draft, "reference", path))
    assert draft.request().reference == draft.reference is not None


def test_the_queue_retries_and_deletes_and_says_what_it_cannot(service: PageService) -> None:
    draft = given(service)
    now(flows.start_or_cancel(service, LOCAL, draft))
    job = draft.job or ""
    assert "not ended" in act(service, LOCAL, "retry", job)
    assert act(service, LOCAL, "cancel", job) == ""
    assert 'data-do="retry"' in listed(service, LOCAL)
    assert act(service, LOCAL, "delete", job) == ""
    assert "No jobs yet" in listed(service, LOCAL)
    assert "no such job" in act(service, "eve", "cancel", job)
