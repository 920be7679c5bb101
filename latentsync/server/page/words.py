"""Sizes, times and states as the page says them."""

from __future__ import annotations

from latentsync.evaluate.words import clock, counted, places
from latentsync.server.views import (
    CANCELLED,
    COMPLETED,
    FAILED,
    IN_PROGRESS,
    QUEUED,
    JobView,
    ModelView,
    PersonView,
    UploadView,
)
from latentsync.weights.model_file import readable

STATES = {
    QUEUED: "waiting",
    IN_PROGRESS: "running",
    COMPLETED: "finished",
    FAILED: "failed",
    CANCELLED: "cancelled",
}
SIGNS = {"good": "✓", "fair": "~", "poor": "!", "unknown": "?"}
"""Grade of the judge -> the sign beside its colour."""


def own(path: str) -> str:
    """A path of the server as the page names it, so that it holds below a proxy's prefix, too."""
    return path.removeprefix("/")


def about(seconds: float) -> str:
    """How long something takes: "about 40 seconds", "about 3 minutes"."""
    if seconds < 90:
        return f"about {counted(max(round(seconds), 1), 'second')}"
    if seconds < 90 * 60:
        return f"about {counted(round(seconds / 60), 'minute')}"
    return f"about {seconds / 3600:.1f} hours"


def facts_of(upload: UploadView) -> str:
    """ "0:12.3, 1920 × 1080, 25 frames a second, H264, 3.2 MB"."""
    facts = [
        clock(upload.seconds, tenths=True) if upload.seconds else None,
        f"{upload.width} × {upload.height}" if upload.width and upload.height else None,
        f"{upload.fps:.4g} frames a second" if upload.fps and upload.kind == "video" else None,
        upload.codec,
        readable(upload.bytes),
    ]
    return ", ".join(fact for fact in facts if fact)


def said_of(person: PersonView) -> str:
    """How long somebody is seen, and when the person speaks."""
    seen = f"seen for {person.seconds:.1f} s"
    if person.speaks is None:
        return seen
    if not person.speaks:
        return f"{seen}, does not seem to speak"
    seems = "seems to speak" if person.uncertain else "speaks"
    return f"{seen}, {seems} {places(person.speaks)}"


PARTS = {"sync": "Lips and speech", "mouth": "Mouth", "seam": "Edges", "rest": "Rest of the frame"}
"""Part of the judge's verdict -> what it is about."""


def stage_of(job: JobView) -> str:
    """What happens to a job now: changes a few times in its life, so that it can be read aloud."""
    if job.state == QUEUED:
        first = "It is the next: it starts when the models are loaded and no other job runs."
        return first if not job.position else f"{counted(job.position, 'job')} before it."
    if job.state == IN_PROGRESS:
        return f"Now: {job.stage or 'loading the models'}."
    if job.state == FAILED:
        return f"It failed: {job.error.message if job.error else 'no reason is known'}"
    return "It was cancelled." if job.state == CANCELLED else "It is finished."


def left_of(job: JobView) -> str:
    """ "43 %, about 40 seconds left"."""
    left = f", {about(job.seconds_left)} left" if job.seconds_left else ""
    return f"{job.progress:.0f} %{left}"


def licence_of(model: ModelView) -> str:
    """Weights, their size and their licence, with the use that it allows."""
    return f"{model.key}, {readable(model.bytes)}: {model.licence}"
