"""Which mouths are restored: the demo's, as filmed and made blurry, alone and against her own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from latentsync import Engine, Session, load_config
from latentsync.face.landmarks import LANDMARKS
from latentsync.geometry import ALIGNED_SIZE
from latentsync.media.reader import VideoReader
from latentsync.pipeline.planning.plan import RenderPlan
from latentsync.pipeline.source import Clip
from latentsync.restoration.gate import GENTLE, MouthState
from latentsync.types import Frame

ASSETS = Path(__file__).parents[2] / "assets"
FILMED, LIPSYNCED = ASSETS / "demo_talking.mp4", ASSETS / "demo_lipsynced.mp4"
FRAMES = 16
NOSE_TIP = LANDMARKS.index("nose_tip")


def frames_of(path: Path) -> list[Frame]:
    return list(VideoReader(path, stop=FRAMES))


def planned(frames: list[Frame], *settings: str) -> RenderPlan:
    config = load_config(None, ["face.occlusion=off", *settings])
    with Session(Engine(config), Clip(VideoReader(FILMED).info, frames)) as session:
        return session.plan


@pytest.fixture(scope="module")
def filmed() -> tuple[list[Frame], RenderPlan]:
    frames = frames_of(FILMED)
    return frames, planned(frames)


def blurred_mouths(
    filmed: tuple[list[Frame], RenderPlan], blur: Callable[[np.ndarray], np.ndarray]
) -> list[Frame]:
    frames, plan = filmed
    return [
        replace(frame, pixels=_mixed(frame.pixels, blur(frame.pixels), matrix))
        for frame, matrix in zip(frames, plan.matrices, strict=True)
    ]


def _mixed(pixels: np.ndarray, blurred: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    mask = cv2.warpAffine(_around_mouth(), matrix, pixels.shape[1::-1], flags=flags)
    mixed = pixels + (blurred.astype(np.float32) - pixels) * mask[..., None]
    return np.rint(mixed).clip(0, 255).astype(np.uint8)


def _around_mouth() -> np.ndarray:
    """(560, 420) of the aligned crop, wider than the lips."""
    mask = np.zeros(ALIGNED_SIZE, np.float32)
    cv2.ellipse(mask, (210, 380), (190, 150), 0, 0, 360, 1.0, -1)
    return cv2.GaussianBlur(mask, (0, 0), 12)


def _blurred_below(pixels: np.ndarray, row: int, sigma: float) -> np.ndarray:
    blurred = pixels.copy()
    blurred[row:] = cv2.GaussianBlur(pixels, (0, 0), sigma)[row:]
    return blurred


def _third(pixels: np.ndarray) -> np.ndarray:
    height, width = pixels.shape[:2]
    small = cv2.resize(pixels, (width // 3, height // 3), interpolation=cv2.INTER_AREA)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)


def test_a_filmed_mouth_is_left_alone(filmed) -> None:
    plan = filmed[1]
    assert (plan.mouth_state == MouthState.FILMED).all()
    assert (plan.strength == 0).all()


def test_a_lip_synced_one_is_restored() -> None:
    plan = planned(frames_of(LIPSYNCED))
    assert (plan.mouth_state == MouthState.DEGRADED).all()
    assert (plan.strength == 1).all()


def test_so_is_one_that_was_blurred(filmed) -> None:
    plan = planned(blurred_mouths(filmed, lambda pixels: cv2.GaussianBlur(pixels, (0, 0), 1.5)))
    assert (plan.mouth_state == MouthState.DEGRADED).all()


def test_one_that_was_resampled_is_not_taken_for_filmed(filmed) -> None:
    """The demo's edges are sharpened: what is left of them after 3 times down and up is uncertain,
    and restored gently on request."""
    plan = planned(blurred_mouths(filmed, _third), "restore.uncertain=gentle")
    assert (plan.mouth_state >= MouthState.UNCERTAIN).all()
    assert (plan.strength >= GENTLE).all()


def test_a_video_that_is_soft_all_over_is_left_alone(filmed) -> None:
    soft = [replace(f, pixels=cv2.GaussianBlur(f.pixels, (0, 0), 1.2)) for f in filmed[0]]
    assert (planned(soft).strength == 0).all()


def test_a_reference_with_the_own_mouth_tells_how_much_was_lost(filmed) -> None:
    """To within a third: the demo's edges are sharpened, which no Gaussian takes back."""
    sigma = 1.5
    frames, plan = filmed
    rows = max(int(one.landmarks[NOSE_TIP, 1]) for one in plan.analysis.alignments if one)
    blurred = [replace(frame, pixels=_blurred_below(frame.pixels, rows, sigma)) for frame in frames]
    plan = planned(blurred, f"restore.reference={FILMED}")
    assert (plan.mouth_state == MouthState.DEGRADED).all()
    (track,) = plan.tracks.values()
    assert track.blur.own
    assert track.blur.lost == pytest.approx(sigma, rel=0.33)


def test_a_mouth_as_soft_as_the_own_one_is_left_alone() -> None:
    """Though it is far softer than the face."""
    plan = planned(frames_of(LIPSYNCED), f"restore.reference={LIPSYNCED}")
    assert (plan.mouth_state == MouthState.FILMED).all()
