"""What the API and the page show of uploads, jobs, people, previews and models.

Plain values, each with the names that the API answers with (dataclasses.asdict). Times are seconds
since the epoch. Every URL is a path of this server.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

QUEUED, IN_PROGRESS, COMPLETED, FAILED, CANCELLED = (
    "queued",
    "in_progress",
    "completed",
    "failed",
    "cancelled",
)
"""States of jobs."""
ENDS = (COMPLETED, FAILED, CANCELLED)


@dataclass(frozen=True, slots=True)
class ErrorView:
    """See errors.ApiError."""

    code: str
    message: str
    field: str | None = None


@dataclass(frozen=True, slots=True)
class UploadView:
    """A file that a user has given. kind: video, picture or audio. seconds: 0 of a picture. width,
    height: of an upright frame; None of audio. plays: whether browsers play the video as it is;
    else /v1/uploads/ID/proxy is an H.264 copy for looking at."""

    id: str
    name: str
    kind: str
    bytes: int
    seconds: float
    width: int | None = None
    height: int | None = None
    fps: float | None = None
    codec: str | None = None
    has_audio: bool = False
    plays: bool = True


@dataclass(frozen=True, slots=True)
class JobRequest:
    """video, audio, reference: ids of uploads. audio: the new speech; None: the mouth of the video
    is restored. reference: the original video, for Self (restore.reference). settings: dotted key
    -> value, as in the YAML. evaluate: whether the result is judged. webhook: an https URL."""

    video: str
    audio: str | None = None
    reference: str | None = None
    speaker: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    name: str | None = None
    priority: int = 0
    evaluate: bool = True
    webhook: str | None = None


@dataclass(frozen=True, slots=True)
class JobView:
    """progress: 0 to 100. stage: in words for people, such as "restoring"; None: not begun, or
    ended. position: 0 for the next to be worked on; None: not queued. seconds_left: estimated from
    what is done; None: not known. figures: of the judge, name -> title, value, grade, unit;
    verdict: of the judge, part -> good, fair, poor or unknown. frames: of the output; None: not
    known. expires: when the files are deleted; None: they are kept."""

    id: str
    name: str
    state: str
    progress: float
    stage: str | None
    position: int | None
    seconds_left: float | None
    created_at: float
    started_at: float | None
    completed_at: float | None
    expires_at: float | None
    frames: int | None
    error: ErrorView | None
    verdict: Mapping[str, str] | None
    figures: Mapping[str, Any] | None
    settings: Mapping[str, Any]
    video: str
    audio: str | None
    links: Mapping[str, str]
    """Of what is there: self, events, video, source, report, evaluation, page, settings."""
    note: str | None = None
    """What the user is to know: of how the job was set up, or why it was not judged."""
    reference: str | None = None
    speaker: str | None = None

    @property
    def ended(self) -> bool:
        return self.state in ENDS


@dataclass(frozen=True, slots=True)
class PersonView:
    """Somebody seen in a video. speaker: the value of face.speaker that names the person. portrait:
    a URL. seconds: how long the person is seen. speaks: spans in seconds in which the person
    seems to talk; None: not known. uncertain: whether that is a guess."""

    speaker: str
    portrait: str
    seconds: float
    share: float
    speaks: tuple[tuple[float, float], ...] | None
    uncertain: bool


@dataclass(frozen=True, slots=True)
class PictureView:
    """One frame as it would become. restorer: its name, none, or as the settings say. frame, mouth:
    URLs of PNGs; mouth: the mouth enlarged, of the same place before and after; None: no face.
    why: what happens to that frame, in words. error: why it could not be made."""

    restorer: str
    frame: str | None
    mouth: str | None
    why: str
    error: ErrorView | None = None


@dataclass(frozen=True, slots=True)
class PreviewView:
    """One moment, before and with each restorer. seconds: the moment, of the output."""

    seconds: float
    before: PictureView
    after: tuple[PictureView, ...]


@dataclass(frozen=True, slots=True)
class ModelView:
    """Weights of a restorer, generator or detector. needs: "accept" where a licence has to be
    accepted first. installed: whether they are here. bytes: of the download."""

    key: str
    for_what: str
    installed: bool
    bytes: int
    licence: str
    licence_url: str | None
    accepted: bool
    non_commercial: bool
    source: str | None


@dataclass(frozen=True, slots=True)
class EstimateView:
    """seconds: of the whole job on this machine; None: not known, see note. missing: weights that
    would be fetched first. faces: sampled frames with a face, of how many."""

    seconds: float | None
    frames: int | None
    missing: tuple[ModelView, ...]
    faces: tuple[int, int]
    note: str | None = None


@dataclass(frozen=True, slots=True)
class TaskView:
    """Work that somebody waits for: people, a preview, an estimate, fetching weights. state: as of
    jobs. result: one of the views above, once it is completed."""

    id: str
    kind: str
    state: str
    progress: float
    stage: str | None
    error: ErrorView | None
    result: Any
