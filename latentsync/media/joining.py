"""Joins segments into one video: packets are copied, all else is as VideoWriter writes it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from av.packet import Packet

from latentsync.errors import MediaError
from latentsync.media.container import MUXERS, main_video, open_source
from latentsync.media.mux import Contents, Muxing, OpenFiles
from latentsync.media.probe import VideoInfo
from latentsync.media.segment_file import Segment, extradata_of, flush, packets_of
from latentsync.media.settings import NewAudio
from latentsync.media.target import OutputPlan, as_media_error, new_part_path

REMEDY = "delete the folder of segments and run again"


def join_segments(
    target: Path,
    source: VideoInfo,
    segments: Sequence[Segment],
    pts: np.ndarray,
    *,
    size: tuple[int, int],
    plan: OutputPlan,
    audio: NewAudio | None = None,
    finishers: Sequence[Callable[[Path], None]] = (),
    step: Callable[[], None] = lambda: None,
) -> list[str]:
    """Writes the target from all segments, in order; it appears when it is complete and checked.

    pts: (N,) int, ticks of source.time_base, rising: of all frames. size, audio, plan, finishers:
    as for VideoWriter. step: called for each frame; an exception in it ends the work. Returns what
    the file does not keep of the source, a sentence each. Raises MediaError: a segment is damaged,
    does not fit the others, or the file cannot be written. After an error nothing is left.
    """
    frames = sum(one.frames for one in segments)
    if frames != len(pts):
        raise MediaError(f"the segments have {frames} of {len(pts)} frames", target, REMEDY)
    end, stretch = (None, 1.0) if audio is None else (audio.seconds, audio.stretch)
    muxer = MUXERS[target.suffix.lower()]
    contents = Contents(muxer, source, plan.settings, size, plan.tracks, end, plan.others, stretch)
    part, files = new_part_path(target), OpenFiles()
    muxing: Muxing | None = None
    try:
        with as_media_error("cannot write the output", target):
            target.parent.mkdir(parents=True, exist_ok=True)
            muxing = Muxing(part, contents, files)
            muxing.start()
            _check_headers(segments, bytes(muxing.encoder.stream.codec_context.extradata or b""))
            last = max(1, round(1 / (source.average_rate * source.time_base)))
            for packet in _timed(segments, pts, last):
                packet.time_base, packet.stream = source.time_base, muxing.encoder.stream
                muxing.write([packet])
                step()
            muxing.end()
            files.close()
            _check(part, pts)
            for finish in finishers:
                finish(part)
            flush(part)
            os.replace(part, target)  # noqa: PTH105
            _flush_folder(target.parent)
            return [*plan.notes, *muxing.issues]
    finally:
        if muxing is not None:
            muxing.discard()
        files.close()
        part.unlink(missing_ok=True)


def _check_headers(segments: Sequence[Segment], expected: bytes) -> None:
    """Each file keeps what a decoder needs; the output has it once, from an encoder of its own."""
    for one in segments:
        own = extradata_of(one)
        if own and expected and own != expected:
            what = "a segment was encoded with other settings than the output's"
            raise MediaError(what, one.path, REMEDY)


def _timed(segments: Sequence[Segment], pts: np.ndarray, last: int) -> Iterator[Packet]:
    """All packets with the frames' times, in ticks. last: duration of the last frame."""
    delay = max((one.delay for one in segments), default=0)
    lengths = np.append(np.diff(pts), last)
    decoded, first = 0, 0
    for segment in segments:
        for packet in packets_of(segment):
            frame = first + (packet.pts or 0)
            packet.pts, packet.dts = int(pts[frame]), _decoding_time(pts, decoded, delay)
            packet.duration = int(lengths[frame])
            decoded += 1
            yield packet
        first += segment.frames


def _decoding_time(pts: np.ndarray, number: int, delay: int) -> int:
    """As encoders have it: of the packet with that number, the time of the frame that is shown
    `delay` frames earlier; before the first one, counted back by the frames that follow."""
    if number >= delay:
        return int(pts[number - delay])
    if delay < len(pts):
        return int(pts[0] - (pts[delay] - pts[number]))
    return int(pts[0]) - (delay - number)


def _check(part: Path, pts: np.ndarray) -> None:
    """Raises MediaError where the file does not hold that many frames, in that order."""
    with open_source(part) as container:
        stream = main_video(container, part)
        stamps = [one.pts for one in container.demux(stream) if one.size and one.pts is not None]
    rises = all(a < b for a, b in pairwise(sorted(stamps)))
    if len(stamps) != len(pts) or not rises:
        what = f"the joined video has {len(stamps)} of {len(pts)} frames"
        raise MediaError(what, part, REMEDY)


def _flush_folder(folder: Path) -> None:
    """The new name is on the disk, too. Windows cannot open folders, and needs no such thing."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
