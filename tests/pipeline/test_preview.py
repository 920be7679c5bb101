"""A preview shows what will be changed: frame before | after, and the mouths enlarged below."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from latentsync.face.landmarks import LANDMARKS, MOUTH
from latentsync.pipeline.preview import Preview, shown_frames, state, write_previews
from latentsync.types import Alignment, Frame

TO_ALIGNED = np.array([[4.0, 0, 0], [0, 4.0, 0]], np.float32)
"""Frame -> aligned crop: what is enlarged is 60 x 36 pixels of the frame."""
SIZE = (200, 160)


def plan_of(
    strength: list[float],
    chunk: list[int] | None = None,
    *,
    face: bool = True,
    visible: float = 1.0,
    shown: float = 1.0,
    aside: float = 0.0,
) -> Any:
    """As much of a plan as previews ask for. aside: pixels from the middle of the frame."""
    count = len(strength)
    landmarks = np.zeros((len(LANDMARKS), 2), np.float32)
    landmarks[MOUTH] = [[90, 89.5], [109, 89.5], [99.5, 85], [99.5, 94]]
    landmarks[:, 0] += aside
    alignment = Alignment(TO_ALIGNED, landmarks, 0.9, 0) if face else None
    generated = np.full(count, -1) if chunk is None else np.array(chunk)
    plan = SimpleNamespace(
        strength=np.array(strength),
        chunk=generated,
        visible=np.full(count, visible),
        shown=np.full(count, shown),
        changes=(np.array(strength) > 0) | (generated >= 0),
        track=np.full(count, 0 if face else -1),
        source=np.arange(count),
        matrices=np.broadcast_to(TO_ALIGNED, (count, 2, 3)),
        analysis=SimpleNamespace(alignments=[alignment] * count),
    )
    plan.speakers = (plan,)
    return plan


@pytest.mark.parametrize(
    ("strength", "chunk", "count", "frames"),
    [
        ([0, 0, 0, 1, 0.5, 1, 0, 0], None, 1, [4]),
        ([0, 0, 0, 1, 0.5, 1, 0, 0], None, 3, [3, 4, 5]),
        ([0, 0, 0, 1, 0, 1, 0, 0], None, 4, [1, 3, 5, 6]),
        ([0] * 8, [-1, -1, 3, 3, 3, 3, -1, -1], 2, [3, 5]),
        ([0] * 8, None, 2, [2, 6]),
        ([0, 1], None, 9, [0, 1]),
        ([1] * 100, None, 4, [12, 37, 62, 87]),
    ],
)
def test_frames_that_change_come_first_and_the_others_fill_up(strength, chunk, count, frames):
    assert shown_frames(plan_of(strength, chunk), count) == frames


def image(color: tuple[int, int, int]) -> Frame:
    """Black, with a square of 4 pixels in the middle of the mouth."""
    pixels = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
    pixels[88:92, 98:102] = color
    return Frame(0, 0.0, 0, pixels)


def shown(tmp_path: Path, plan: Any) -> np.ndarray:
    """The PNG of frame 0, RGB: a red mouth that becomes a green one."""
    one = Preview(0, image((255, 0, 0)), image((0, 255, 0)))
    session: Any = SimpleNamespace(plan=plan, preview=lambda _indices: [one])
    (path,) = write_previews(session, 1, tmp_path / "out.mp4")
    return cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)


def test_below_the_frame_the_mouth_is_enlarged_in_the_middle(tmp_path):
    png = shown(tmp_path, plan_of([1.0]))
    width, height = SIZE
    assert png.shape == (height + height // 2, 2 * width, 3)
    assert np.array_equal(png[:height, :width], image((255, 0, 0)).pixels)
    assert np.array_equal(png[:height, width:], image((0, 255, 0)).pixels)
    zoom = (height // 2) / 36
    for left, channel in ((0, 0), (width, 1)):
        below = png[height:, left : left + width, channel] > 127
        rows, columns = np.nonzero(below)
        assert rows.mean() == pytest.approx(height / 4 - 0.5, abs=0.5)
        assert columns.mean() == pytest.approx(width / 2 - 0.5, abs=0.5)
        assert below.sum() == pytest.approx((4 * zoom) ** 2, rel=0.2)


@pytest.mark.parametrize(
    ("plan", "name"),
    [
        (plan_of([0.0], face=False), "no_face"),
        (plan_of([0.0]), "left_alone"),
        (plan_of([1.0]), "restored"),
        (plan_of([0.0], [2]), "generated"),
        (plan_of([0.5], [2]), "generated_restored"),
        (plan_of([0.0], [2], shown=0), "left_alone"),
        (plan_of([0.5], [2], shown=0), "restored"),
        (plan_of([0.5], [2], visible=0), "left_alone"),
        (plan_of([0.5], visible=0), "left_alone"),
    ],
)
def test_the_name_says_what_is_laid_over_the_frame(plan, name):
    assert state(plan, 0) == name


@pytest.mark.parametrize(
    ("first", "second", "name"),
    [
        (plan_of([0.0]), plan_of([1.0]), "restored"),
        (plan_of([0.0]), plan_of([0.0], [2]), "generated"),
        (plan_of([0.0], face=False), plan_of([0.0]), "left_alone"),
        (plan_of([1.0]), plan_of([0.0], [2]), "restored"),
        (plan_of([1.0], visible=0), plan_of([0.0], [2]), "generated"),
        (plan_of([0.0], [2], shown=0), plan_of([0.5], [2]), "generated_restored"),
        (plan_of([0.0]), plan_of([1.0], visible=0), "left_alone"),
        (plan_of([0.0], face=False), plan_of([0.0], face=False), "no_face"),
    ],
)
def test_of_several_speakers_the_first_whose_mouth_changes_counts(first, second, name):
    first.speakers = (first, second)
    assert state(first, 0) == name


@pytest.mark.parametrize("still", [plan_of([0.0], aside=-90), plan_of([0.0], face=False)])
def test_the_mouth_below_is_that_of_the_speaker_who_changes(tmp_path, still):
    still.speakers = (still, plan_of([1.0]))
    assert np.array_equal(shown(tmp_path, still), shown(tmp_path, plan_of([1.0])))


def test_a_frame_without_a_face_has_no_mouth_below(tmp_path):
    assert shown(tmp_path, plan_of([0.0], face=False)).shape == (SIZE[1], 2 * SIZE[0], 3)
