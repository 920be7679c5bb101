"""Preview: a few frames before and after, as the whole run would render them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from latentsync.face.landmarks import MOUTH
from latentsync.frame_times import PTS_ROUNDING
from latentsync.geometry import frame_scale
from latentsync.media.picture.kinds import name_beside
from latentsync.pipeline.planning.plan import RenderPlan
from latentsync.pipeline.stages.composite import side_by_side
from latentsync.tone import sdr
from latentsync.types import Frame

if TYPE_CHECKING:
    from latentsync.pipeline.session import Session

AROUND = np.array([240, 144])
"""Width and height of the enlarged area, aligned pixels: open lips are about 180 x 95."""
HEIGHT = 0.5
"""Height of the enlarged mouth, as a share of the frame's."""
WIDTH = 0.6
"""Its greatest height as a share of the frame's width: in a portrait frame HEIGHT is too much."""


@dataclass(frozen=True, slots=True, eq=False)
class Preview:
    """One output frame before and after; index, from 0. tone.sdr makes 8 bits of deep ones."""

    index: int
    before: Frame
    after: Frame


def write_previews(session: Session, count: int, target: Path) -> list[Path]:
    """PNGs of ``count`` (1 or more) output frames in TARGET_preview/. Returns the files.

    Each shows the frame before | after, and below it the mouth of each, enlarged: of several
    speakers, that of the first whose mouth changes. A frame without a face has no mouth below.
    Raises whatever Session.make_plan does.
    """
    plan = session.plan
    folder = target.with_name(f"{name_beside(target)}_preview")
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for one in session.preview(shown_frames(plan, count)):
        path = folder / f"{one.after.pts_seconds:09.3f}s_{state(plan, one.index)}.png"
        write_png(path, _panels(one, plan))
        paths.append(path)
    return paths


def shown_frames(plan: RenderPlan, count: int) -> list[int]:
    """At most ``count`` output frames, rising: spread over those that change, then the others."""
    changes = plan.changes
    chosen = _spread(np.flatnonzero(changes), count)
    return sorted(chosen + _spread(np.flatnonzero(~changes), count - len(chosen)))


WORDS = {
    "no_face": "no face is processed here: the frame stays as it is",
    "left_alone": "the mouth stays as it is",
    "generated": "a new mouth is generated; it is not restored",
    "generated_restored": "a new mouth is generated and restored",
    "restored": "the mouth is restored",
}
"""What a state means."""


def index_at(plan: RenderPlan, seconds: float) -> int:
    """The output frame that is shown at that second; the first or the last one where none is."""
    after = int(np.searchsorted(plan.seconds, seconds + PTS_ROUNDING, side="right"))
    return min(max(after - 1, 0), len(plan) - 1)


def state(plan: RenderPlan, index: int) -> str:
    """What is done to that output frame, for the file name."""
    one = _speaker(plan, index)
    if one.track[index] < 0:
        return "no_face"
    restored = one.visible[index] > 0 and one.strength[index] > 0
    if _generated(one, index):
        return "generated_restored" if restored else "generated"
    return "restored" if restored else "left_alone"


def _speaker(plan: RenderPlan, index: int) -> RenderPlan:
    """The first speaker whose mouth changes in that output frame, else the first with a face."""
    changed = (
        one
        for one in plan.speakers
        if one.visible[index] > 0 and (one.strength[index] > 0 or _generated(one, index))
    )
    seen = (one for one in plan.speakers if one.track[index] >= 0)
    return next(changed, next(seen, plan))


def _generated(one: RenderPlan, index: int) -> bool:
    """Whether any of that speaker's generated mouth is laid over the output frame."""
    return bool(one.visible[index] > 0 and one.chunk[index] >= 0 and one.shown[index] > 0)


def _spread(frames: np.ndarray, count: int) -> list[int]:
    """At most ``count`` of the frames, evenly spread."""
    count = min(count, len(frames))
    return [int(frames[int((i + 0.5) * len(frames) / count)]) for i in range(count)]


def _panels(one: Preview, plan: RenderPlan) -> np.ndarray:
    """(H + h, 2 W, 3) uint8 RGB; h is 0 without a face."""
    before, after = sdr(one.before), sdr(one.after)
    both = side_by_side(before, after).pixels
    place = mouth_place(plan, one.index)
    if place is None:
        return both
    height, width = before.pixels.shape[:2]
    room = width, max(1, round(min(HEIGHT * height, WIDTH * width)))
    mouths = [enlarged(frame.pixels, place, room) for frame in (before, after)]
    return np.concatenate([both, np.concatenate(mouths, axis=1)])


Place = tuple[np.ndarray, np.ndarray]
"""Where a mouth is: x, y of its middle; width and height of the area around it; frame pixels."""


def mouth_place(plan: RenderPlan, index: int) -> Place | None:
    """In that output frame; None: there is no face."""
    speaker = _speaker(plan, index)
    alignment = speaker.analysis.alignments[speaker.source[index]]
    if alignment is None:
        return None
    around = AROUND * frame_scale(speaker.matrices[index])
    return alignment.landmarks[MOUTH].mean(axis=0), around


def enlarged(pixels: np.ndarray, place: Place, room: tuple[int, int]) -> np.ndarray:
    """(h, w, 3): a part of the frame, as large as fits; what lies outside repeats its border.

    room: w, h.
    """
    (center, around), size = place, np.array(room)
    zoom = (size / around).min()
    shift = (size - 1) / 2 - zoom * center
    return cv2.warpAffine(
        pixels,
        np.array([[zoom, 0, shift[0]], [0, zoom, shift[1]]]),
        room,
        flags=cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REPLICATE,
    )


def write_png(path: Path, pixels: np.ndarray) -> None:
    """pixels: (H, W, 3) uint8 RGB. Encoded in memory: OpenCV cannot open every file name."""
    _, data = cv2.imencode(".png", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))
    path.write_bytes(data.tobytes())
