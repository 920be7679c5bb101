"""What pass 1 keeps of one face in one frame, so that occluders can be decided afterwards."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from latentsync.face.landmarks import CONTROL
from latentsync.face.masks import region_mask
from latentsync.face.occlusion.cells import (
    BELOW,
    BESIDE,
    MASK_COLUMNS,
    MASK_ROWS,
    in_frame,
    lips,
    moved,
    polygon,
    to_cells,
)
from latentsync.geometry import TEMPLATE, similarity

LOWER = 46
"""First row of cells below the nostrils' upper edge: above it nothing is generated."""
_RIM = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (7, 7))
"""Inside of the face's outline by three cells: where the outline lies is known about as well."""
QUALITY = 95


@dataclass(slots=True, eq=False)
class Observation:
    """A face in a frame; the watch removes what is not needed as the video goes on.

    landmarks: frame pixels. outline: (K, 2) frame pixels. frame_size: (width, height). look: 1:
    it shows the face as it looked at first; 2: as it looked after something came to stay; 0: it is
    not known to show the face. hands: each (21, 2) frame pixels.
    """

    landmarks: np.ndarray
    outline: np.ndarray | None
    frame_size: tuple[int, int]
    look: int = 0
    hands: tuple[np.ndarray, ...] = ()
    _cells: np.ndarray | bytes | None = None

    @property
    def matrix(self) -> np.ndarray:
        """(2, 3) float32, frame -> aligned crop, of this frame's own landmarks."""
        return similarity(self.landmarks[CONTROL], TEMPLATE)

    @property
    def cells(self) -> np.ndarray | None:
        """(ROWS, COLUMNS, 3) uint8 RGB; None: not kept."""
        if not isinstance(self._cells, bytes):
            return self._cells
        packed = np.frombuffer(self._cells, np.uint8)
        decoded = np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR))
        return np.asarray(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), np.uint8)

    def keep(self, cells: np.ndarray | None) -> None:
        """None: nothing is kept."""
        self._cells = cells

    def pack(self) -> None:
        """Compresses the cells from 56 to about 8 kB."""
        if isinstance(self._cells, np.ndarray):
            colors = cv2.cvtColor(self._cells, cv2.COLOR_RGB2BGR)
            full = cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444
            options = [cv2.IMWRITE_JPEG_QUALITY, QUALITY, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, full]
            self._cells = cv2.imencode(".jpg", colors, options)[1].tobytes()

    def inside(self) -> np.ndarray:
        """(ROWS, COLUMNS) bool: the face below the nose but for its rim and its lips, which speech
        changes; nothing beyond the frame."""
        matrix = self.matrix
        face = self.face()
        face[:LOWER] = 0
        face[lips(self.landmarks, matrix) > 0] = 0
        face &= in_frame(matrix, self.frame_size)
        return face > 0

    def face(self) -> np.ndarray:
        """(ROWS, COLUMNS) uint8, 1 inside the outline but for its rim."""
        if self.outline is None:
            return default_face()
        drawn = polygon(moved(self.outline, to_cells(self.matrix)))
        border = cv2.BORDER_CONSTANT
        return np.asarray(cv2.erode(drawn, _RIM, borderType=border, borderValue=0), np.uint8)


def default_face() -> np.ndarray:
    """(ROWS, COLUMNS) uint8, 1 inside the oval of a frontal face, for detectors without outline."""
    oval = region_mask("face") > 0.2
    small = cv2.resize(
        oval.astype(np.uint8), (MASK_COLUMNS, MASK_ROWS), interpolation=cv2.INTER_AREA
    )
    return np.pad(small, ((0, BELOW), (BESIDE, BESIDE)))
