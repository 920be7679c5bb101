"""The file of a clip: aligned frames and their audio, for training.

Video is H.264 at crf 13, 4:2:0. The matrix is that of BT.601, and said so, because readers that
look at no tag take it for videos of this size. No B-frames: the first time stamp is 0 without an
edit list, and a reader that ignores edit lists sees no frame shifted. A key frame each second, as
training reads windows of 16 frames anywhere.

Audio is ALAC, mono, 16 kHz: the very samples from which mel spectrograms and Whisper's features are
computed. AAC would cost them its losses, and begins with 1024 samples of its own, at 16 kHz 64 ms,
one and a half frames, which only readers that follow the edit list leave out.
"""

from __future__ import annotations

from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.audio.stream import AudioStream
from av.video.reformatter import ColorRange, Colorspace
from av.video.stream import VideoStream

from latentsync.errors import MediaError
from latentsync.training.preparation.failures import unwritten
from latentsync.training.preparation.manifest import FRAME_RATE, SAMPLE_RATE

_EXACT = 0x4 | 0x40000 | 0x4000  # FFmpeg's SWS_BICUBIC, SWS_ACCURATE_RND, SWS_FULL_CHR_H_INP
_BT601, _LIMITED = 6, 1  # as H.264 numbers matrices and ranges
_BLOCK = 4096  # samples handed over at once


class ClipFile:
    """Takes the frames of one clip, then its audio. The file is whole after finish() only."""

    def __init__(self, path: Path, size: int, crf: int) -> None:
        """size: of the square frames [pixels]. Raises MediaError: it cannot be written."""
        self.path, self._count = path, 0
        self._format = "yuv444p" if crf == 0 else "yuv420p"
        try:
            self._output = av.open(f"file:{path}", "w", "mp4", options={"movflags": "+faststart"})
        except OSError as error:
            raise self._unwritten(error) from error
        self._video = self._output.add_stream("libx264", rate=FRAME_RATE)
        assert isinstance(self._video, VideoStream)
        self._video.width = self._video.height = size
        self._video.pix_fmt = self._format
        context = self._video.codec_context
        context.time_base = Fraction(1, FRAME_RATE)
        context.gop_size, context.max_b_frames, context.thread_count = FRAME_RATE, 0, 1
        context.colorspace, context.color_range = _BT601, _LIMITED
        context.options = {"crf": str(crf), "preset": "medium"}
        self._audio = self._output.add_stream("alac", rate=SAMPLE_RATE, layout="mono")
        assert isinstance(self._audio, AudioStream)

    def add(self, crop: np.ndarray) -> None:
        """crop: (size, size, 3) uint8 RGB, the next frame."""
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(crop), format="rgb24")
        frame = frame.reformat(
            format=self._format,
            src_colorspace=Colorspace.ITU601,
            dst_colorspace=Colorspace.ITU601,
            src_color_range=ColorRange.JPEG,
            dst_color_range=ColorRange.MPEG,
            interpolation=_EXACT,
        )
        frame.pts, frame.time_base = self._count, Fraction(1, FRAME_RATE)
        self._count += 1
        self._mux(self._video.encode(frame))

    def finish(self, samples: np.ndarray) -> None:
        """samples: (640 frames,) int16 mono at 16 kHz. Closes the file."""
        self._mux(self._video.encode(None))
        for start in range(0, len(samples), _BLOCK):
            block = np.ascontiguousarray(samples[None, start : start + _BLOCK])
            frame = av.AudioFrame.from_ndarray(block, format="s16p", layout="mono")
            frame.sample_rate, frame.pts = SAMPLE_RATE, start
            frame.time_base = Fraction(1, SAMPLE_RATE)
            self._mux(self._audio.encode(frame))
        self._mux(self._audio.encode(None))
        try:
            self._output.close()
        except OSError as error:
            raise self._unwritten(error) from error

    def discard(self) -> None:
        """Deletes what is there of it."""
        with suppress(OSError):  # its end cannot be written either where the disk is full
            self._output.close()
        self.path.unlink(missing_ok=True)

    def _mux(self, packets: list[av.Packet]) -> None:
        try:
            self._output.mux(packets)
        except OSError as error:
            raise self._unwritten(error) from error

    def _unwritten(self, error: OSError) -> MediaError:
        return unwritten("a clip", self.path, error)
