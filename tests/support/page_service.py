"""The service of the page's tests: people, previews and results are made up, files are real."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import cv2
import numpy as np

from latentsync.server.errors import ApiError
from latentsync.server.quick.generators import generators
from latentsync.server.settings import ServerSettings
from latentsync.server.views import (
    COMPLETED,
    IN_PROGRESS,
    ErrorView,
    EstimateView,
    JobRequest,
    JobView,
    ModelView,
    PersonView,
    PictureView,
    PreviewView,
    TaskView,
    UploadView,
)
from tests.support.made_up_service import MadeUpService, _job

ASSETS = Path(__file__).parents[2] / "assets"
CODEFORMER = ModelView(
    key="CodeFormer",
    for_what="restore.name=CodeFormer",
    installed=False,
    bytes=376_637_898,
    licence="S-Lab License 1.0 (non-commercial use only)",
    licence_url="https://example.invalid/licence",
    accepted=False,
    non_commercial=True,
    source="hub someone/CodeFormer",
)
FIGURES = {
    "sync_confidence": {"title": "SyncNet confidence", "value": 6.2, "grade": "good", "unit": ""},
    "flicker": {
        "title": "Flicker inside the region",
        "value": 0.41,
        "grade": "fair",
        "unit": "levels",
    },
}
VERDICT = {"sync": "good", "mouth": "good", "seam": "fair", "rest": "unknown"}
PAGE = "<!doctype html><title>Judge</title><style>body{background:#fff}</style><h1>Timeline</h1>"


class PageService(MadeUpService):
    """missing: weights that an estimate finds missing. work: what a created job does at once."""

    def __init__(self, settings: ServerSettings) -> None:
        super().__init__(settings)
        self.missing: tuple[ModelView, ...] = ()
        self.fetched: list[tuple[tuple[str, ...], tuple[str, ...]]] = []

    async def take(self, user: str, name: str, path: Path) -> UploadView:
        if path.stat().st_size < 1000:
            raise ApiError(
                422, "unreadable", f"{name}: it cannot be read; export it again", "video"
            )
        kind = "audio" if path.suffix == ".wav" else "video"
        kept = self.settings.root / f"{uuid4().hex}{path.suffix}"
        shutil.move(path, kept)
        shape = (
            (512, 512, 25.0, "h264", True) if kind == "video" else (None, None, None, "pcm", True)
        )
        view = UploadView(uuid4().hex, name, kind, kept.stat().st_size, 3.5, *shape)
        self.uploads[user, view.id] = view, kept
        return view

    async def demo(self, user: str) -> tuple[UploadView, UploadView]:
        copies = []
        for name in ("demo_speaker.mp4", "demo_speech.wav"):
            copy = self.settings.root / name
            shutil.copy(ASSETS / name, copy)
            copies.append(await self.take(user, name, copy))
        return copies[0], copies[1]

    def find_people(self, user: str, video: str) -> TaskView:
        self.upload(user, video)
        task = self._task(user, "people", None)
        spans = (((0.4, 1.9), (2.4, 3.1)), None)
        people = [
            PersonView(
                str(n + 1), self._picture(user, task, f"p{n}"), 3.5 - n, 1 - n / 4, spans[n], n > 0
            )
            for n in range(2)
        ]
        return self._finish(user, task, people)

    def preview(
        self, user: str, request: JobRequest, seconds: float, restorers: tuple[str, ...]
    ) -> TaskView:
        self.upload(user, request.video)
        task = self._task(user, "preview", None)
        before = self._pictured(user, task, "before", "as it is")
        after = [self._after(user, task, one) for one in restorers or ("Detail",)]
        return self._finish(user, task, PreviewView(seconds, before, tuple(after)))

    def _after(self, user: str, task: TaskView, restorer: str) -> PictureView:
        if restorer == "CodeFormer":
            message = "weights of CodeFormer not found"
            return PictureView(restorer, None, None, "", ErrorView("no_weights", message))
        return self._pictured(user, task, restorer, "the mouth is restored at full strength")

    def _pictured(self, user: str, task: TaskView, restorer: str, why: str) -> PictureView:
        frame, mouth = (
            self._picture(user, task, f"{restorer}-{what}") for what in ("frame", "mouth")
        )
        return PictureView(restorer, frame, mouth, why)

    def _picture(self, user: str, task: TaskView, name: str) -> str:
        noise = np.random.default_rng(len(name)).integers(40, 220, (9, 16, 3), dtype=np.uint8)
        path = self.settings.root / f"{task.id}-{name}.png"
        cv2.imwrite(str(path), cv2.resize(noise, (480, 270), interpolation=cv2.INTER_CUBIC))
        return f"/v1/tasks/{task.id}/files/{name}.png"

    def task_file(self, user: str, task_id: str, name: str) -> Path:
        self.task(user, task_id)
        return self.settings.root / f"{task_id}-{name}"

    def estimate(self, user: str, request: JobRequest) -> TaskView:
        self.upload(user, request.video)
        return self._finish(
            user, self._task(user, "estimate", None), EstimateView(42.0, 88, self.missing, (24, 24))
        )

    def fetch(self, user: str, keys: tuple[str, ...], accept: tuple[str, ...]) -> TaskView:
        self.fetched.append((keys, accept))
        self.missing = ()
        return self._finish(user, self._task(user, "fetch", None), [])

    def _finish(self, user: str, task: TaskView, result: object) -> TaskView:
        self.tasks[user, task.id] = replace(task, state=COMPLETED, result=result)
        return task

    def generators(self) -> list[tuple[str, str]]:
        return generators()

    def restorers(self) -> list[str]:
        return ["Detail", "Self", "GFPGAN", "CodeFormer", "none"]

    def models(self) -> list[ModelView]:
        return [CODEFORMER]

    def begin(self, user: str) -> str:
        """A job, as if another tab had made it; its id."""
        copy = self.settings.root / f"{uuid4().hex}.mp4"
        shutil.copy(ASSETS / "demo_talking.mp4", copy)
        view = UploadView(uuid4().hex, "talking.mp4", "video", copy.stat().st_size, 5.0)
        self.uploads[user, view.id] = view, copy
        job = _job(JobRequest(view.id, name=view.name))
        self.made[user, job.id] = job
        return job.id

    def run(self, user: str, job_id: str, progress: float, stage: str) -> None:
        """Lets a job come so far."""
        left = {"state": IN_PROGRESS, "progress": progress, "stage": stage, "seconds_left": 42.0}
        self.made[user, job_id] = replace(self.job(user, job_id), position=None, **left)

    def complete(self, user: str, job_id: str) -> JobView:
        names = ("video", "source", "report", "evaluation", "page", "settings")
        links = {name: f"/v1/jobs/{job_id}/{name}" for name in names}
        job = replace(
            self.end(user, job_id, COMPLETED), links=links, verdict=VERDICT, figures=FIGURES
        )
        self.made[user, job_id] = job
        return job

    def job_file(self, user: str, job_id: str, what: str) -> Path:
        if what == "page":
            path = self.settings.root / "page.html"
            path.write_text(PAGE, "utf-8")
            return path
        return super().job_file(user, job_id, what)
