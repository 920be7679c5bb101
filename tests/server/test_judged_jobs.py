"""What the judge found of a job, in its view and on the page."""

from __future__ import annotations

import asyncio
from pathlib import Path

from latentsync.evaluate.files import evaluation_path, write_evaluation
from latentsync.server.page.running import judged
from latentsync.server.views import JobRequest
from tests.support.serving import ANNA, finish, given, serving, small_video

FIGURES = {
    "akd_px": {"title": "lips are off by", "value": 1.5, "grade": "good", "unit": "px"},
    "loud": {"title": "lips follow the loudness", "value": 0.9, "grade": None, "unit": "r"},
}


def test_figures_have_their_titles_and_those_without_a_grade_are_folded(tmp_path: Path) -> None:
    async def run() -> None:
        async with serving(tmp_path) as service:
            video = await given(service, small_video(tmp_path))
            job, _ = await service.create(ANNA, JobRequest(video))
            output = finish(service, job)
            known = {name: {**one, "curve": []} for name, one in FIGURES.items()}
            evaluation = {"verdict": {"mouth": "good"}, "figures": known}
            write_evaluation(evaluation, evaluation_path(output))
            found = service.job(ANNA, job.id)
            assert "evaluation" in found.links
            assert (found.figures, found.verdict) == (FIGURES, {"mouth": "good"})
            first, folded = str(judged(found)).split("<details>")
            assert "Lips are off by" in first and "1.5 px" in first and "Akd" not in first
            assert "Lips follow the loudness" not in first and "r 0.9" in folded

    asyncio.run(run())
