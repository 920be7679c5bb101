"""One frame of the demo video: head, camera, blink and mouth in a single resampling."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from scripts.demo_assets.mouth import Lookup, Mouth
from scripts.demo_assets.portrait import Portrait

SIZE = (640, 480)
"""Width and height of the video."""
CHIN, FOREHEAD = 152, 10
EYES = (
    ((33, 133), (246, 161, 160, 159, 158, 157, 173), (7, 163, 144, 145, 153, 154, 155)),
    ((362, 263), (398, 384, 385, 386, 387, 388, 466), (382, 381, 380, 374, 373, 390, 249)),
)
"""For each eye: corners, upper lid, lower lid, in the 468 points of the mesh."""

CAVITY = np.array([44.0, 16.0, 18.0], dtype=np.float32)
TONGUE = np.array([142.0, 72.0, 70.0], dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Pose:
    """opening, rounding, blink: 0..1. turn: degrees. shift_x, shift_y: pixels. zoom: 1 is none.
    camera_x, camera_y: pixels."""

    opening: float
    rounding: float
    blink: float
    turn: float
    shift_x: float
    shift_y: float
    zoom: float
    camera_x: float
    camera_y: float


class TalkingFace:
    """The portrait in any pose."""

    def __init__(self, portrait: Portrait) -> None:
        self.portrait = portrait
        self.mouth = Mouth(portrait.mesh)
        self.centre = (portrait.mesh[FOREHEAD] + portrait.mesh[CHIN]) / 2
        self.radius = float(np.linalg.norm(portrait.mesh[FOREHEAD] - portrait.mesh[CHIN])) / 2

    def render(self, pose: Pose) -> np.ndarray:
        """-> (480, 640, 3) uint8 RGB."""
        points = self._head(self._camera(pose), pose)
        look = self.mouth.lookup(points, pose.opening, pose.rounding)
        skin = np.stack([look.skin_x, look.skin_y], axis=-1)
        for eye in EYES:
            skin = self._blink(skin, eye, pose.blink)
        outside = self._sample(skin)
        inside = self._mouth_inside(points, look, pose.opening)
        mixed = outside + (inside - outside) * look.inside[..., None]
        return np.rint(mixed.clip(0, 255)).astype(np.uint8)

    def lower_face(self, pose: Pose) -> np.ndarray:
        """-> (480, 640) float32 [0, 1]: 1 from below the nose to the chin, soft at the rim."""
        u, v = self.mouth.coordinates(self._head(self._camera(pose), pose))
        v = v / self.mouth.half - 0.2
        distance = np.sqrt((u / 2.0) ** 2 + (v / 1.6) ** 2)
        ramp = np.clip((1.0 - distance) / 0.2, 0, 1)
        return (ramp**2 * (3 - 2 * ramp)).astype(np.float32)

    def _camera(self, pose: Pose) -> np.ndarray:
        """Frame pixels -> portrait pixels: (H, W, 2)."""
        width, height = SIZE
        x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
        x = (x - width / 2) / pose.zoom + self.centre[0] + pose.camera_x
        y = (y - height / 2) / pose.zoom + self.centre[1] + pose.camera_y - 0.22 * self.radius
        return np.stack([x, y], axis=-1)

    def _head(self, points: np.ndarray, pose: Pose) -> np.ndarray:
        """Rotates the head about the neck, less with the distance from it."""
        pivot = self.centre + np.array([0, 1.3 * self.radius], dtype=np.float32)
        reach = (points - self.centre + np.array([0, 0.2 * self.radius])) / (2.1 * self.radius)
        weight = np.exp(-((reach**2).sum(-1, keepdims=True) ** 2))
        angle = np.deg2rad(-pose.turn)
        spin = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        turned = (points - pivot) @ spin + pivot - np.array([pose.shift_x, pose.shift_y])
        return (points + weight * (turned - points)).astype(np.float32)

    def _blink(
        self, points: np.ndarray, eye: tuple[tuple[int, ...], ...], closed: float
    ) -> np.ndarray:
        """Closes the lid by stretching the skin between it and the brow."""
        if closed <= 0:
            return points
        corners, upper, lower = (self.portrait.mesh[list(part)] for part in eye)
        half = float(np.linalg.norm(corners[1] - corners[0])) / 2
        u = (points[..., 0] - corners[:, 0].mean()) / half
        top, bottom = (np.interp(points[..., 0], *_line(corners, lid)) for lid in (upper, lower))
        drop = closed * (bottom - top)
        y, hinge, lash = points[..., 1], top - 0.6 * half, top - 0.25 * half
        stretched = hinge + (y - hinge) * (lash - hinge) / (lash + drop - hinge)
        lid = np.where(y < lash + drop, stretched, y - drop)
        moved = np.where((np.abs(u) < 1) & (y > hinge) & (y < top + drop), lid, y)
        return np.stack([points[..., 0], moved.astype(np.float32)], axis=-1)

    def _mouth_inside(self, points: np.ndarray, look: Lookup, opening: float) -> np.ndarray:
        """The portrait's upper teeth, dark behind them, the tongue low in the middle."""
        hump = np.exp(-((look.across / 0.55) ** 2)) * np.clip((look.depth - 0.55) / 0.35, 0, 1)
        tongue = (hump * min(1.0, 1.6 * opening))[..., None]
        dark = CAVITY * (1 - 0.45 * np.sin(np.pi * look.depth))[..., None]
        shade = (0.97 - 0.42 * look.across**2) * (0.62 + 0.38 * min(1.0, 3 * opening))
        teeth = self._sample(points) * shade[..., None]
        cavity = dark + (TONGUE - dark) * tongue * 0.8
        return (
            cavity
            + (teeth - cavity)
            * (look.teeth * np.clip((0.9 - np.abs(look.across)) / 0.2, 0, 1))[..., None]
        )

    def _sample(self, points: np.ndarray) -> np.ndarray:
        sampled = cv2.remap(
            self.portrait.pixels,
            points[..., 0],
            points[..., 1],
            cv2.INTER_LANCZOS4,
            borderMode=cv2.BORDER_REFLECT_101,
        )
        return sampled.astype(np.float32)


def _line(corners: np.ndarray, lid: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    points = np.concatenate([corners[:1], lid, corners[1:]])
    points = points[np.argsort(points[:, 0])]
    return points[:, 0], points[:, 1]
