"""Masks in the aligned crop, 1 where new pixels win."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from latentsync.errors import ConfigError
from latentsync.geometry import ALIGNED_HEIGHT, ALIGNED_WIDTH

GRID = 256
"""Side of LatentSync's mask, whatever the resolution of the face."""
RUNS_FILE = Path(__file__).with_name("mask_runs.json")
"""Bands of equal rows: [[first row, row after, [[first column, column after], ...]], ...]"""

REGIONS = ("mouth", "lower_face", "face")
FEATHER = {"mouth": 32.0, "lower_face": 40.0, "face": 48.0}
"""Width in aligned pixels over which a region rises from 0 at its edge to 1."""
REST_FEATHER = 16.0

# (center x, center y, half width, half height) in aligned pixels. Of a face on the template the
# nostrils end near y 272, the lips lie at y 320..400 (open: 415), x 120..300, the chin at 500.
MOUTH_OVAL = (210.0, 370.0, 148.0, 88.0)
FACE_OVAL = (210.0, 283.0, 184.0, 225.0)
REST_OVAL = (210.0, 166.0, 146.0, 86.0)


@lru_cache(maxsize=8)
def upstream_mask(resolution: int) -> np.ndarray:
    """(R, R) float32 in [0, 1], 1 where LatentSync generates. Read-only.

    Its mask.png as upstream reads it (image_processor.py:26-31), turned over. Lanczos on bytes: not
    quite binary at 512.
    """
    keep = np.where(_grid(), 0, 255).astype(np.uint8)
    resized = cv2.resize(keep, (resolution, resolution), interpolation=cv2.INTER_LANCZOS4)
    return _frozen(1 - resized.astype(np.float32) / 255)


@lru_cache(maxsize=8)
def region_mask(region: str) -> np.ndarray:
    """(560, 420) float32 in [0, 1], pixels of the aligned crop: soft inside the region, exactly 0
    outside it and along the crop's border. Read-only.

    region: ``mouth``: the lips and the skin near them, below the nostrils; ``lower_face``: what
    LatentSync generates; ``face``: the oval from brows to chin. ConfigError on another name.
    """
    if region == "mouth":
        return _soft(_oval(MOUTH_OVAL), FEATHER[region])
    if region == "lower_face":
        return _soft(_lower_face(), FEATHER[region])
    if region == "face":
        return _soft(_oval(FACE_OVAL), FEATHER[region])
    raise ConfigError("restore.region", region, f"use one of {', '.join(REGIONS)}")


@lru_cache(maxsize=1)
def rest_mask() -> np.ndarray:
    """(560, 420) float32 in [0, 1], pixels of the aligned crop: eyes, brows, bridge of the nose.

    None of it is generated, so its sharpness is that of the video. Shares no pixel with lower_face,
    hair or background. Read-only.
    """
    return _soft(_oval(REST_OVAL) & ~_lower_face(), REST_FEATHER)


@lru_cache(maxsize=1)
def _grid() -> np.ndarray:
    """(256, 256) bool, True where upstream's mask.png generates."""
    bands: list[list] = json.loads(RUNS_FILE.read_text(encoding="utf-8"))
    grid = np.zeros((GRID, GRID), bool)
    for first, after, runs in bands:
        for left, right in runs:
            grid[first:after, left:right] = True
    return grid


def _lower_face() -> np.ndarray:
    """The grid on the aligned crop: each pixel takes the cell that it lies in."""
    rows = (np.arange(ALIGNED_HEIGHT) + 0.5) * GRID / ALIGNED_HEIGHT
    columns = (np.arange(ALIGNED_WIDTH) + 0.5) * GRID / ALIGNED_WIDTH
    return _grid()[np.ix_(rows.astype(int), columns.astype(int))]


def _oval(oval: Sequence[float]) -> np.ndarray:
    x, y, half_width, half_height = oval
    rows, columns = np.mgrid[:ALIGNED_HEIGHT, :ALIGNED_WIDTH]
    return ((columns - x) / half_width) ** 2 + ((rows - y) / half_height) ** 2 < 1


def _soft(region: np.ndarray, feather: float) -> np.ndarray:
    """Rises along the distance to the edge, level at both ends, so that no contour shows."""
    inside = region.copy()
    inside[[0, -1]] = inside[:, [0, -1]] = False
    distance = cv2.distanceTransform(inside.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    share = np.clip(distance / feather, 0, 1)
    return _frozen((share * share * (3 - 2 * share)).astype(np.float32))


def _frozen(mask: np.ndarray) -> np.ndarray:
    mask.setflags(write=False)
    return mask
