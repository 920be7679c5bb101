"""Made-up people: the face of a demo clip as it is, and warped into other people's."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from latentsync.media.reader import VideoReader

DEMO = Path(__file__).parents[2] / "assets" / "demo_talking.mp4"
HEAD = slice(0, 420), slice(100, 520)


def heads(count: int, person: int = 0) -> list[np.ndarray]:
    """(420, 420, 3) uint8 RGB: consecutive frames of the head of person 0, 1, 2 ..."""
    frames = [frame.pixels[HEAD] for frame in VideoReader(DEMO, start=0, stop=min(count, 100))]
    return [as_person(frames[index % len(frames)], person) for index in range(count)]


def as_person(pixels: np.ndarray, person: int) -> np.ndarray:
    """Another head under the same light: other brows, nose, eyes and hair for each number."""
    if person == 0:
        return np.ascontiguousarray(pixels)
    random = np.random.default_rng(person)
    height, width = pixels.shape[:2]
    grid = [random.normal(0, 1, (6, 6)).astype(np.float32) for _ in range(2)]
    waves = [cv2.resize(one, (width, height), interpolation=cv2.INTER_CUBIC) for one in grid]
    y, x = np.mgrid[:height, :width].astype(np.float32)
    moved = cv2.remap(
        pixels,
        x + 0.032 * width * waves[0],
        y + 0.032 * height * waves[1],
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    hair = 1 - 0.75 * random.random() * np.clip((height * 0.42 - y) / (height * 0.1), 0, 1)
    return np.clip(moved * hair[..., None], 0, 255).astype(np.uint8)


def room(width: int, height: int) -> np.ndarray:
    """(height, width, 3) uint8 RGB: an empty wall."""
    wall = np.full((height, width, 3), 110, np.uint8)
    wall[:] += (np.arange(width, dtype=np.uint16) * 40 // width).astype(np.uint8)[None, :, None]
    return wall


def put(frame: np.ndarray, head: np.ndarray, x: int, y: int, size: int) -> None:
    """Pastes an oval head, size pixels wide, around x, y; what lies outside is cut off."""
    small = cv2.resize(head, (size, size), interpolation=cv2.INTER_AREA)
    rows, columns = np.mgrid[:size, :size] / size - 0.5
    inside = (rows / 0.5) ** 2 + (columns / 0.42) ** 2 < 1
    top, left = y - size // 2, x - size // 2
    low, high = max(0, -top), min(size, frame.shape[0] - top)
    near, far = max(0, -left), min(size, frame.shape[1] - left)
    if low >= high or near >= far:
        return
    part = frame[top + low : top + high, left + near : left + far]
    part[inside[low:high, near:far]] = small[low:high, near:far][inside[low:high, near:far]]
