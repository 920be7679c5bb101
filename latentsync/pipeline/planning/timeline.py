"""Maps output frames to frames of the video: pure arithmetic on time stamps."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

LONGEST_SKIP = 0.12
"""Seconds that the video may run ahead of the output, or back, from one output frame to the next;
more is a jump. At 25 frames a second it is four frames of the video for one of the output."""


@dataclass(frozen=True, slots=True, eq=False)
class VideoTimeline:
    """The N frames of the output.

    source: (N,) int, frame of the video that is shown. pts: (N,) int, ticks of time_base, rising.
    rate: frames a second. spoken: number of frames, from the first, during which there is speech.
    """

    source: np.ndarray
    pts: np.ndarray
    time_base: Fraction
    rate: Fraction
    spoken: int

    def __len__(self) -> int:
        return len(self.source)

    @property
    def seconds(self) -> np.ndarray:
        """(N,) float64."""
        return self.pts * float(self.time_base)


def video_timeline(pts: np.ndarray, time_base: Fraction, rate: Fraction) -> VideoTimeline:
    """The video as it is. pts: (F,) int."""
    return VideoTimeline(np.arange(len(pts)), pts, time_base, rate, spoken=len(pts))


def speech_timeline(
    video: VideoTimeline, speech_seconds: float, *, fps: Fraction | None, length: str, extend: str
) -> VideoTimeline:
    """The video laid out for new speech.

    fps: frames a second of the output; None: the video's own frames and times.
    length: "audio" (as long as the speech, to within a frame) or "video" (as long as the video).
    extend: how the video goes on where it ends before the speech: "pingpong" (back and forth,
        turning frames shown once), "upstream" (turning frames shown twice), "loop", "hold".
    """
    ticks_per_frame = 1 / (video.rate * video.time_base)
    end = float((int(video.pts[-1]) + ticks_per_frame) * video.time_base)
    wanted = speech_seconds if length == "audio" else end
    missing = max(0, int(np.ceil(round((wanted - end) * float(video.rate), 6))))
    steps = np.round(np.arange(1, missing + 1) * float(ticks_per_frame)).astype(np.int64)
    source = np.concatenate([video.source, _extension(len(video), missing, extend)])
    pts = np.concatenate([video.pts, video.pts[-1] + steps])
    whole = VideoTimeline(source, pts, video.time_base, video.rate, spoken=0)
    if fps is None:
        shown = max(1, int(np.searchsorted(whole.seconds, wanted - 1e-9)))
        line = VideoTimeline(source[:shown], pts[:shown], video.time_base, video.rate, spoken=0)
    else:
        line = _resampled(whole, wanted, fps)
    spoken = int(np.searchsorted(line.seconds, speech_seconds - 1e-9))
    return VideoTimeline(line.source, line.pts, line.time_base, line.rate, spoken)


def _resampled(video: VideoTimeline, seconds: float, fps: Fraction) -> VideoTimeline:
    """At a constant rate, from the video's first frame on; each output frame shows the frame that
    was on the screen. seconds: when the output ends."""
    first = int(np.ceil(round(video.seconds[0] * float(fps), 6)))
    end = int(np.ceil(round(seconds * float(fps), 6)))
    pts = np.arange(first, max(first + 1, end))
    at = pts / float(fps)
    shown = (np.searchsorted(video.seconds, at + 1e-6, side="right") - 1).clip(0)
    return VideoTimeline(video.source[shown], pts, 1 / fps, fps, spoken=0)


def _extension(frames: int, count: int, extend: str) -> np.ndarray:
    """(count,) int: the frames that follow the last one."""
    number = np.arange(count)
    last = frames - 1
    if extend == "hold" or frames == 1:
        return np.full(count, last)
    if extend == "loop":
        return number % frames
    if extend == "upstream":
        phase = number % (2 * frames)
        return np.where(phase < frames, last - phase, phase - frames)
    phase = (number + 1) % (2 * last)
    return np.where(phase <= last, last - phase, phase - last)


def jumps(line: VideoTimeline, seconds: np.ndarray) -> np.ndarray:
    """(N,) bool, True where an output frame does not continue the one before; the first: False.

    seconds: (F,), when each frame of the video is shown there.
    """
    shown, step = seconds[line.source], np.diff(line.seconds, prepend=line.seconds[:1])
    return np.abs(np.diff(shown, prepend=shown[:1])) > step + LONGEST_SKIP


def chunks(
    line: VideoTimeline,
    tracks: np.ndarray,
    seconds: np.ndarray,
    *,
    size: int,
    overlap: int = 0,
    spoken: np.ndarray | None = None,
) -> np.ndarray:
    """(N,) int: number of the chunk that each output frame is generated in; -1: in none.

    tracks: (F,) int, track of each frame of the video, -1 without a face. seconds: as in jumps. A
    chunk holds at most ``size`` consecutive frames of one track, and none that jump.
    overlap: frames that a chunk shares with the next one of the same run, which they are numbered
    by: all but the last hold ``size - overlap`` of their own, and the last more than ``overlap``.
    spoken: (N,) bool, whether there is speech for the face; None: in the first line.spoken frames.
    """
    track = tracks[line.source]
    if spoken is None:
        spoken = np.arange(len(line)) < line.spoken
    begins = jumps(line, seconds) | (np.diff(track, prepend=track[:1]) != 0)
    begins |= np.diff(spoken, prepend=spoken[:1])
    run = np.cumsum(begins)
    speaks = (track >= 0) & spoken
    numbers = np.full(len(line), -1)
    position = np.zeros(len(line), np.int64)
    for i in range(1, len(line)):
        position[i] = 0 if begins[i] else position[i - 1] + 1
    stride = size - overlap
    lengths = np.bincount(run[speaks], minlength=run[-1] + 1)
    last = np.maximum(0, -((overlap - lengths) // stride) - 1)  # a rest of shared frames joins it
    pairs = np.stack([run, np.minimum(position // stride, last[run])], axis=1)[speaks]
    if len(pairs):
        numbers[speaks] = np.unique(pairs, axis=0, return_inverse=True)[1].ravel()
    return numbers
