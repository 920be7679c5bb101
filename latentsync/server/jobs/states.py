"""How a job of the store looks from outside: its state, one rising number, what is left."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from latentsync.evaluate.files import evaluation_path, page_path
from latentsync.jobs.rows import CANCELLED as STORE_CANCELLED
from latentsync.jobs.rows import DONE, JOIN, JUDGE, OPEN, PLAN, RUNNING, SEGMENT, WAITING, JobRow
from latentsync.jobs.rows import FAILED as STORE_FAILED
from latentsync.jobs.shown import PREPARING
from latentsync.media.picture.kinds import name_beside
from latentsync.server.records import JobRecord
from latentsync.server.views import (
    CANCELLED,
    COMPLETED,
    ENDS,
    FAILED,
    IN_PROGRESS,
    QUEUED,
    ErrorView,
    JobView,
)

WORDS = {
    WAITING: QUEUED,
    RUNNING: IN_PROGRESS,
    DONE: COMPLETED,
    STORE_FAILED: FAILED,
    STORE_CANCELLED: CANCELLED,
}
"""The store's word -> the server's."""
PROXY = "proxy.mp4"
"""A copy of a result for browsers, beside it."""
OF_STORE = {word: state for state, word in WORDS.items()}
SHARES = {PLAN: (0.0, 35.0), SEGMENT: (35.0, 74.0), JOIN: (74.0, 79.0), JUDGE: (79.0, 99.0)}
"""Kind of task -> percent at its begin and end. The end is 100 when the job is completed."""
_WHOLE = (35.0, 79.0)
"""Of a join without segments, which is the whole work."""
_NOT_JUDGED = SHARES[JUDGE][1] / SHARES[JOIN][1]
"""By what all is more where nothing is judged."""
_LEAST_SECONDS, _LEAST_PERCENT = 3.0, 5.0
"""What has to be seen of a job before the rest is estimated."""


@dataclass(slots=True)
class _Seen:
    """percent: the most that was shown. first: when it was seen at work, and at which percent.
    ended: it has not been completed."""

    percent: float = 0.0
    first: tuple[float, float] | None = None
    ended: bool = False


@dataclass(slots=True)
class Progressing:
    """Progress that only rises, and the rate at which it does, for each unfinished job; from any
    thread. Kept in memory: after a restart it is measured again. clock: seconds."""

    clock: Callable[[], float] = time.monotonic
    _seen: dict[str, _Seen] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def of(self, row: JobRow, *, judged: bool) -> tuple[float, float | None]:
        """Percent, and the seconds that are left; None: not known. judged: whether the result
        will be."""
        with self._lock:
            seen = self._seen.pop(row.id, _Seen())
            if row.state == DONE:
                return 100.0, None
            ended = row.state not in OPEN
            if seen.ended and not ended:  # it is tried again
                seen = _Seen()
            seen.ended = ended
            seen.percent = max(seen.percent, percent_of(row, judged=judged))
            self._seen[row.id] = seen
            return round(seen.percent, 1), self._left(row, seen)

    def _left(self, row: JobRow, seen: _Seen) -> float | None:
        if row.state != RUNNING:
            seen.first = None  # it will be continued later, by another worker maybe
            return None
        now = self.clock()
        if seen.first is None:
            seen.first = now, seen.percent
            return None
        seconds, percent = now - seen.first[0], seen.percent - seen.first[1]
        if seconds < _LEAST_SECONDS or percent < _LEAST_PERCENT:
            return None
        return round((100 - seen.percent) * seconds / percent)


def percent_of(row: JobRow, *, judged: bool) -> float:
    """How far a job is that is not done, by its tasks."""
    kind, share = row.stage_kind or SEGMENT, 0.0
    if row.stage_kind is None and row.frames:  # between two tasks
        share = row.done / row.frames
    elif row.stage_kind is None:
        return 0.0
    elif row.stage_total:
        share = row.stage_done / row.stage_total
    begin, end = _WHOLE if kind == JOIN and not row.frames else SHARES[kind]
    return (begin + (end - begin) * min(share, 1.0)) * (1.0 if judged else _NOT_JUDGED)


def result_files(output: Path) -> dict[str, Path]:
    """What -> where it is, of the files that are there."""
    evaluation = evaluation_path(output)
    named = {
        "video": output,
        "report": output.with_name(f"{name_beside(output)}.report.json"),
        "evaluation": evaluation,
        "page": page_path(evaluation),
        "proxy": output.with_name(PROXY),
    }
    return {what: path for what, path in named.items() if path.is_file()}


def job_view(
    row: JobRow,
    record: JobRecord,
    *,
    progressing: Progressing,
    position: int | None,
    has_source: bool,
    keep_seconds: float,
) -> JobView:
    """position: see JobView. has_source: whether its video is still there. keep_seconds: after its
    end; 0: for ever."""
    state = WORDS[row.state]
    percent, left = progressing.of(row, judged=record.request.evaluate)
    files = result_files(Path(row.output)) if state == COMPLETED else {}
    verdict, figures = _judged(files.get("evaluation"))
    expires = row.finished + keep_seconds if row.finished and keep_seconds else None
    return JobView(
        id=row.id,
        name=row.name,
        state=state,
        progress=percent,
        stage=row.stage or PREPARING if state == IN_PROGRESS else None,
        position=position if state == QUEUED else None,
        seconds_left=left,
        created_at=row.created,
        started_at=row.started,
        completed_at=row.finished,
        expires_at=expires if state in ENDS else None,
        frames=row.frames or None,
        error=ErrorView("failed", row.error) if row.error and state == FAILED else None,
        verdict=verdict,
        figures=figures,
        settings=record.request.settings,
        video=record.request.video,
        audio=record.request.audio,
        links=_links(row.id, [*files, *(["source"] if has_source else []), "settings"]),
        note=row.note or record.note,
        reference=record.request.reference,
        speaker=record.request.speaker,
    )


def _links(job_id: str, whats: list[str]) -> dict[str, str]:
    own = f"/v1/jobs/{job_id}"
    return {"self": own, "events": f"{own}/events", **{what: f"{own}/{what}" for what in whats}}


def _judged(path: Path | None) -> tuple[Mapping[str, str] | None, Mapping[str, Any] | None]:
    """Verdict and figures of an evaluation."""
    if path is None:
        return None, None
    return _read_judged(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=1000)
def _read_judged(
    path: Path, _changed: int
) -> tuple[Mapping[str, str] | None, Mapping[str, Any] | None]:
    try:
        found = json.loads(path.read_text("utf-8"))
        figures = {
            name: {key: one[key] for key in ("title", "value", "grade", "unit")}
            for name, one in found["figures"].items()
        }
        return dict(found["verdict"]), figures
    except (OSError, ValueError, KeyError, TypeError):
        return None, None
