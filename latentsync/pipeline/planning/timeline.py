"""Maps output frames to frames of the video: pure arithmetic on time stamps."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from latentsync.settings.lengths import BOUNCE, CUT_OFF, LOOP, REMAP, SILENCE, VIDEO

LONGEST_SKIP = 0.12
"""Seconds that the video may run ahead of the output, or back, from one output frame to the next;
more is a jump. At 25 frames a second it is four frames of the video for one of the output."""


@dataclass(frozen=True, slots=True, eq=False)
class VideoTimeline:
    """The N frames of the output.

    source: (N,) int, frame of the video that is shown. pts: (N,) int, ticks of time_base, rising.
    rate: frames a second. spoken: number of frames, from the first, up to the end of the speech.
    stretch: seconds of the output for each second of the video.
    """

    source: np.ndarray
    pts: np.ndarray
    time_base: Fraction
    rate: Fraction
    spoken: int
    stretch: float = 1.0

    def __len__(self) -> int:
        return len(self.source)

    @property
    def seconds(self) -> np.ndarray:
        """(N,) float64."""
        return self.pts * float(self.time_base)

    @property
    def ticks_per_frame(self) -> Fraction:
        return 1 / (self.rate * self.time_base)

    @property
    def end(self) -> float:
        """The second at which the last frame ends."""
        return float((int(self.pts[-1]) + self.ticks_per_frame) * self.time_base)


def video_timeline(pts: np.ndarray, time_base: Fraction, rate: Fraction) -> VideoTimeline:
    """The video as it is. pts: (F,) int."""
    return VideoTimeline(np.arange(len(pts)), pts, time_base, rate, spoken=len(pts))


def output_seconds(length: str, video: float, speech: float) -> float:
    """When the output ends. length: see settings.lengths.

    video, speech: when they end [seconds]; video 0: it has no length of its own, as a picture, or
    it is unknown, and the speech decides.
    """
    if length == VIDEO and video:
        return video
    if length == CUT_OFF and video:
        return min(video, speech)
    return max(video, speech) if length == SILENCE else speech


def speech_timeline(
    video: VideoTimeline, speech_seconds: float, *, fps: Fraction | None, length: str
) -> VideoTimeline:
    """The video laid out for new speech, which ends at speech_seconds.

    fps: frames a second of the output; None: the video's own frames and times or, where it is
    remapped, its own rate. length: see settings.lengths; a video of one frame has no length of its
    own: the frame is held as long as there is speech.
    """
    one_frame = len(video) == 1
    wanted = output_seconds(length, 0.0 if one_frame else video.end, speech_seconds)
    if length == REMAP and not one_frame:
        line = _remapped(video, wanted, fps or video.rate)
    else:
        whole = _extended(video, wanted, length)
        line = _cut(whole, wanted) if fps is None else _resampled(whole, wanted, fps)
    return replace(line, spoken=int(np.searchsorted(line.seconds, speech_seconds - 1e-9)))


def _extended(video: VideoTimeline, seconds: float, length: str) -> VideoTimeline:
    """seconds: when it ends, at the earliest."""
    missing = max(0, int(np.ceil(round((seconds - video.end) * float(video.rate), 6))))
    steps = np.round(np.arange(1, missing + 1) * float(video.ticks_per_frame)).astype(np.int64)
    source = np.concatenate([video.source, _extension(len(video), missing, length)])
    return replace(video, source=source, pts=np.concatenate([video.pts, video.pts[-1] + steps]))


def _cut(video: VideoTimeline, seconds: float) -> VideoTimeline:
    shown = max(1, int(np.searchsorted(video.seconds, seconds - 1e-9)))
    return replace(video, source=video.source[:shown], pts=video.pts[:shown])


def _resampled(video: VideoTimeline, seconds: float, fps: Fraction) -> VideoTimeline:
    """At a constant rate, from the video's first frame on; each output frame shows the frame that
    was on the screen. seconds: when the output ends."""
    pts = _constant_rate(float(video.seconds[0]), seconds, fps)
    at = pts / float(fps)
    shown = (np.searchsorted(video.seconds, at + 1e-6, side="right") - 1).clip(0)
    return VideoTimeline(video.source[shown], pts, 1 / fps, fps, spoken=0)


def _remapped(video: VideoTimeline, seconds: float, fps: Fraction) -> VideoTimeline:
    """All of the video in another time, at a constant rate; each output frame shows the frame that
    is nearest in it. seconds: when the output ends."""
    stretch = seconds / video.end
    stretched = video.seconds * stretch
    pts = _constant_rate(float(stretched[0]), seconds, fps)
    between = (stretched[1:] + stretched[:-1]) / 2
    shown = np.searchsorted(between, pts / float(fps) - 1e-6)
    return VideoTimeline(video.source[shown], pts, 1 / fps, fps, spoken=0, stretch=stretch)


def _constant_rate(start: float, end: float, fps: Fraction) -> np.ndarray:
    """(N,) int, ticks of 1 / fps from start to end [seconds]; at least one."""
    first, stop = (int(np.ceil(round(second * float(fps), 6))) for second in (start, end))
    return np.arange(first, max(first + 1, stop))


def _extension(frames: int, count: int, length: str) -> np.ndarray:
    """(count,) int: the frames that follow the last one."""
    number = np.arange(count)
    last = frames - 1
    if length == LOOP:
        return number % frames
    if length != BOUNCE or frames == 1:
        return np.full(count, last)
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
