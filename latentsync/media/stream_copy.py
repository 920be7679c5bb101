"""Copies a video stream into a new file, packets unchanged; all else as in VideoWriter."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import av
import numpy as np

from latentsync.errors import MediaError
from latentsync.media.container import MUXERS, main_video, open_source
from latentsync.media.mux import Contents, Muxing, OpenFiles
from latentsync.media.probe import VideoInfo, probe
from latentsync.media.settings import EncodeSettings
from latentsync.media.target import OutputPlan, new_part_path
from latentsync.media.track_boxes import keep_edits

_IN_MP4 = {"h264", "hevc", "av1", "vp9", "mpeg4"}
"""MP4 may hold others too, but few players play that."""
_WITH_EDITS = ("mp4", "mov")
_ROUNDING = 0.0011  # seconds; Matroska rounds each time to milliseconds
_KEPT = {
    "codec": "codec",
    "pix_fmt": "pixel format",
    "stored_size": "size",
    "orientation": "rotation",
    "sample_aspect_ratio": "pixel aspect ratio",
    "color": "colour tags",
    "field_order": "field order",
}
"""What a copy must have in common with the source: attribute of VideoInfo -> its name."""


class NotCopiedError(Exception):
    """The stream cannot be copied into this container; the message says why."""


@contextmanager
def copied_video(
    target: Path,
    source: VideoInfo,
    settings: EncodeSettings,
    plan: OutputPlan,
    *,
    seconds: np.ndarray,
    step: Callable[[], None],
    end: float | None = None,
    finishers: Sequence[Callable[[Path], None]] = (),
) -> Iterator[list[str]]:
    """On entry the copy is complete and checked, under a temporary name; a clean exit renames it.

    seconds: (N,) rising, the times of the frames that are shown. end: seconds, where all but the
    video is cut off; None: not at all. step: called for each packet; an exception in it ends the
    copy. finishers: get the file before it is renamed. Yields what is not kept of the source's
    audio, a sentence each.
    Raises NotCopiedError if the container cannot hold the stream, or the copy would not show those
    N frames at those times. After any exception nothing is left.
    """
    muxer = MUXERS[target.suffix.lower()]
    if muxer == "mp4" and not _played_in_mp4(source):
        raise NotCopiedError(f"few players play {source.codec} in a {target.suffix} file")
    size = source.width, source.height
    contents = Contents(muxer, source, settings, size, plan.tracks, end, others=plan.others)
    part = new_part_path(target)
    try:
        issues = _muxed(part, contents, step)
        if muxer in _WITH_EDITS and MUXERS.get(source.path.suffix.lower()) in _WITH_EDITS:
            keep_edits(source.path, part, 1 / source.average_rate)
        _check(part, source, seconds)
        yield [*(track.note for track in plan.tracks if track.encoder), *issues]
        for finish in finishers:
            finish(part)
        os.replace(part, target)  # noqa: PTH105
    finally:
        part.unlink(missing_ok=True)


def _played_in_mp4(source: VideoInfo) -> bool:
    """Whether a player of the source plays the output too: both are MP4, with the same video."""
    return source.codec in _IN_MP4 or MUXERS.get(source.path.suffix.lower()) == "mp4"


def _muxed(part: Path, contents: Contents, step: Callable[[], None]) -> list[str]:
    """Returns which audio could not be read."""
    files = OpenFiles()
    muxing: Muxing | None = None
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        muxing = Muxing(part, contents, files)
        with open_source(contents.source.path) as video:
            muxing.start(video)
            for packet in muxing.video.packets():
                muxing.write([packet])
                step()
        muxing.end()
        return muxing.issues
    except (
        av.FFmpegError,
        OSError,
        ValueError,
    ) as error:  # ValueError: the format does not support the codec
        raise NotCopiedError(getattr(error, "strerror", None) or str(error)) from error
    finally:
        if muxing is not None:
            muxing.discard()
        files.close()


def _check(part: Path, source: VideoInfo, seconds: np.ndarray) -> None:
    """Raises NotCopiedError if the copy does not show what the source shows."""
    try:
        made, shown = probe(part), _packet_times(part)
    except (MediaError, av.FFmpegError) as error:
        raise NotCopiedError("the copy could not be read") from error
    for name, words in _KEPT.items():
        if getattr(made, name) != getattr(source, name):
            raise NotCopiedError(f"a {part.suffix} file does not keep its {words}")
    if len(shown) != len(seconds):
        raise NotCopiedError(f"it has {len(shown)} packets for {len(seconds)} frames")
    if np.abs((shown - shown[0]) - (seconds - seconds[0])).max() > _ROUNDING:
        raise NotCopiedError("its time stamps had to be repaired")


def _packet_times(path: Path) -> np.ndarray:
    """(N,) float64 seconds, rising: when the video's packets are shown."""
    with open_source(path) as container:
        stream = main_video(container, path)
        ticks = [
            packet.pts
            for packet in container.demux(stream)
            if packet.pts is not None and not packet.is_discard
        ]
        return np.sort(np.array(ticks, np.int64)) * float(stream.time_base or 0)
