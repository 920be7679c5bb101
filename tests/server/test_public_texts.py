"""What users read names files, and no folder of the server."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from latentsync.server.files.folders import ServerFiles
from latentsync.server.views import JobRequest
from tests.support.served import job_of, served
from tests.support.serving import ANNA, given, serving, small_video, store_of


@pytest.mark.parametrize("folder", ["plain", "with space", "ü & <b>"])
def test_json_and_html_lose_the_folders_and_nothing_else(folder: str) -> None:
    files = ServerFiles(Path("/srv") / folder)
    place = str(files.root / "users" / "anna" / "jobs" / "id" / "result.mp4")
    text = json.dumps({"a": place, "b": "x/y", "c": [f"see {place}; or /z/w"]})
    assert json.loads(files.public(text)) == {
        "a": "result.mp4",
        "b": "x/y",
        "c": ["see result.mp4; or /z/w"],
    }
    assert files.public(f"<dd>{place}</dd><a href='x/y'>") == "<dd>result.mp4</dd><a href='x/y'>"


def test_a_note_of_a_job_names_no_folder(tmp_path: Path) -> None:
    async def run() -> None:
        async with serving(tmp_path) as service:
            video = await given(service, small_video(tmp_path))
            job, _ = await service.create(ANNA, JobRequest(video))
            with store_of(service) as store, store.transaction() as change:
                output = store.job(job.id).output
                change("update jobs set note = ?", f"no face: {output}; look at it")
            assert service.job(ANNA, job.id).note == "no face: result.mp4; look at it"

    asyncio.run(run())


def test_a_report_is_answered_without_the_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, service = served(tmp_path)
    job, report = job_of(client, name="clip.mp4")["id"], tmp_path / "result.report.json"
    report.write_text(json.dumps({"path": str(report)}))
    monkeypatch.setattr(service, "job_file", lambda *_: report)
    part = {"Range": "bytes=0-3"}
    answer = client.get(f"/v1/jobs/{job}/report?download=true", headers=part)
    assert (answer.status_code, answer.json()) == (200, {"path": "result.report.json"})
    assert answer.headers["content-disposition"] == 'attachment; filename="clip.report.json"'
    assert "sandbox" in answer.headers["content-security-policy"]
