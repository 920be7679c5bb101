"""The occluders of a video: a small mask for each frame that has one, compressed."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping

import numpy as np

from latentsync.face.occlusion.cells import MASK_COLUMNS, MASK_ROWS

MASK_SIZE = MASK_ROWS, MASK_COLUMNS


class Occluders:
    """Frame of the video -> mask of what is in front of the face. About 1 kB for a frame with one.

    Masks are (140, 105) float32 in [0, 1], the aligned crop in cells of 4 x 4 pixels, 1 where the
    occluder is.
    """

    def __init__(self, masks: Mapping[int, np.ndarray] | None = None) -> None:
        """masks: (140, 105) uint8 each, 255 where the occluder is; empty ones are left out."""
        shown = {int(frame): mask for frame, mask in (masks or {}).items() if mask.any()}
        if any(mask.shape != MASK_SIZE for mask in shown.values()):
            raise ValueError(f"masks of occluders are {MASK_SIZE}")
        self._packed = {
            frame: zlib.compress(np.ascontiguousarray(mask, np.uint8).tobytes(), 6)
            for frame, mask in shown.items()
        }

    def mask_of(self, source_frame: int) -> np.ndarray | None:
        """(140, 105) float32; None: nothing is in front of the face."""
        packed = self._packed.get(int(source_frame))
        if packed is None:
            return None
        codes = np.frombuffer(zlib.decompress(packed), np.uint8).reshape(MASK_SIZE)
        return codes.astype(np.float32) / 255

    def __len__(self) -> int:
        return len(self._packed)

    def __iter__(self) -> Iterator[int]:
        """The frames with an occluder, rising."""
        return iter(sorted(self._packed))

    def arrays(self) -> dict[str, np.ndarray]:
        """For a file: frames (N,) int64, sizes (N,) int64 bytes, data (sum,) uint8."""
        frames = list(self)
        packed = [self._packed[frame] for frame in frames]
        return {
            "frames": np.array(frames, np.int64),
            "sizes": np.array([len(one) for one in packed], np.int64),
            "data": np.frombuffer(b"".join(packed), np.uint8),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Occluders:
        """Raises ValueError where the arrays do not fit together, KeyError for a missing one."""
        frames, sizes, data = (arrays[name] for name in ("frames", "sizes", "data"))
        if len(frames) != len(sizes) or (sizes < 0).any() or sizes.sum() != len(data):
            raise ValueError("the occluders' arrays are not equally long")
        ends = np.cumsum(sizes)
        made = cls()
        for frame, size, end in zip(frames, sizes, ends, strict=True):
            packed = data[end - size : end].tobytes()
            if len(zlib.decompress(packed)) != MASK_ROWS * MASK_COLUMNS:
                raise ValueError(f"masks of occluders are {MASK_SIZE}")
            made._packed[int(frame)] = packed
        return made
