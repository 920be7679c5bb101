"""LatentSync's own layout of a video under new speech: its length, its order, its chunks.

Pure arithmetic. Upstream's steps, in order (lipsync_pipeline.py:281-310, 364-368, 387-398): the
video is resampled to 25 frames a second; the speech sets the number of output frames; a longer
video is cut, a shorter one is played forwards and backwards in turn; every 16 output frames are one
chunk, across cuts and changes of face.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from latentsync.speech.windows import frame_count

UPSTREAM_FPS = Fraction(25)
CHUNK_FRAMES = 16
NO_CHUNK = -1


@dataclass(frozen=True, slots=True, eq=False)
class UpstreamTimeline:
    """The N frames of the output, UPSTREAM_FPS a second from second 0.

    resampled: (T,) int, source frame behind each frame of the video at 25 frames a second, as far
        as it is used: T <= N. Upstream aligns these frames, once each and in this order:
        upstream_matrices(points[resampled], R)[position] are the matrices of the output frames.
    position: (N,) int, place in ``resampled`` of what each output frame shows.
    chunk: (N,) int, number of the chunk that each output frame is generated in; NO_CHUNK: in none.
    """

    resampled: np.ndarray
    position: np.ndarray
    chunk: np.ndarray

    def __len__(self) -> int:
        return len(self.position)

    @property
    def source(self) -> np.ndarray:
        """(N,) int, source frame that each output frame shows."""
        return self.resampled[self.position]

    @property
    def chunk_lengths(self) -> list[int]:
        """Frames of each chunk by its number, for noise in upstream's order; 0: there is none."""
        return np.bincount(self.chunk[self.chunk != NO_CHUNK]).tolist()


def upstream_timeline(
    num_features: int,
    resampled: np.ndarray,
    has_face: np.ndarray,
    *,
    chunk_frames: int = CHUNK_FRAMES,
) -> UpstreamTimeline:
    """The layout for a speech of so many features (50 a second): floor(L / 2) + 2 output frames.

    resampled: (T,) int, source frame behind each frame of the whole video at 25 frames a second,
        see at_upstream_rate. has_face: (F,) bool, for each source frame. Upstream fails where there
        is no face; here the frame is in no chunk, its chunk is shorter, and the numbers of the
        others stay. Raises ValueError: no features, no frames.
    """
    if num_features < 1 or not len(resampled):
        raise ValueError(f"{num_features} features of speech, {len(resampled)} frames of video")
    count = frame_count(num_features, UPSTREAM_FPS)
    position = there_and_back(len(resampled), count)
    chunk = np.arange(count) // chunk_frames
    chunk[~has_face[resampled[position]]] = NO_CHUNK
    return UpstreamTimeline(resampled[:count], position, chunk)


def there_and_back(frames: int, count: int) -> np.ndarray:
    """(count,) int: 0 to frames - 1, back to 0, and so on; both turning frames come twice."""
    phase = np.arange(count) % (2 * frames)
    return np.minimum(phase, 2 * frames - 1 - phase)


def at_upstream_rate(seconds: np.ndarray, end: float) -> np.ndarray:
    """(T,) int: the source frame on the screen at each instant of 25 a second, from the first on.

    seconds: (F,) float, rising, when each source frame is shown. end: second at which the last one
    ends. A video of constant 25 frames a second is unchanged. For other rates upstream uses
    ``ffmpeg -r 25``, whose rule for repeated and dropped frames differs between versions and may
    pick a neighbouring source frame.
    """
    count = max(1, int(np.ceil(round((end - seconds[0]) * float(UPSTREAM_FPS), 6))))
    instants = seconds[0] + np.arange(count) / float(UPSTREAM_FPS)
    return (np.searchsorted(seconds, instants + 1e-6, side="right") - 1).clip(0)
