"""What a tab of the page is about: files, person, tasks that are waited for, and a job."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode

from latentsync.server.errors import ApiError
from latentsync.server.views import JobRequest

VIDEO, AUDIO, REFERENCE, PEOPLE, PREVIEW, ESTIMATE, RUN = (
    "video",
    "audio",
    "reference",
    "people",
    "preview",
    "estimate",
    "run",
)
"""Places of the page, at which errors are shown; the first three are files."""
FILES = (VIDEO, AUDIO, REFERENCE)
GENERATOR, RESTORER, PRESET = "generate.name", "restore.name", "preset"
FIRST = (GENERATOR, RESTORER, PRESET)
"""The settings that everybody chooses."""


@dataclass(slots=True)
class Draft:
    """video, audio, reference: ids of uploads. job: id of the one that is shown. tasks: place -> id
    of the task whose result is shown there. errors: place -> sentence. settings: dotted key ->
    value, those that differ from the defaults. accepted: licences. wanted: a job that begins once
    its weights are here. shown: place -> what the browser has already."""

    video: str | None = None
    audio: str | None = None
    reference: str | None = None
    speaker: str | None = None
    job: str | None = None
    wanted: bool = False
    settings: dict[str, Any] = field(default_factory=dict)
    accepted: tuple[str, ...] = ()
    tasks: dict[str, str] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    shown: dict[str, Any] = field(default_factory=dict)

    @property
    def empty(self) -> bool:
        return self.video is None and self.audio is None and self.job is None

    @property
    def needs_reference(self) -> bool:
        """Whether the restorer computes with the original video of a lip-synced one."""
        return self.settings.get(RESTORER) == "Self" and self.audio is None

    def request(self) -> JobRequest:
        """The job that the files and settings make. Raises ApiError: there is no video."""
        if self.video is None:
            raise ApiError(422, "no_video", "no video was given; give one above", VIDEO)
        return JobRequest(
            video=self.video,
            audio=self.audio,
            reference=self.reference if self.needs_reference else None,
            speaker=self.speaker,
            settings=dict(self.settings),
        )

    def address(self) -> str:
        """The query of the URL that brings the tab back: "?job=..."; "": nothing is to be kept."""
        if self.job is not None:
            return f"?{urlencode({'job': self.job})}"
        kept = {"video": self.video, "audio": self.audio, "speaker": self.speaker}
        query = urlencode({name: value for name, value in kept.items() if value})
        return f"?{query}" if query else ""


def wanted_by(address: str) -> Mapping[str, str]:
    """The query of a URL as names and values; only those that Draft.address writes, and new."""
    names = ("job", "video", "audio", "speaker", "new")
    pairs = parse_qsl(address.removeprefix("?"), keep_blank_values=True)
    return {name: value for name, value in pairs if name in names}
