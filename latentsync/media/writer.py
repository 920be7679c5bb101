"""One encode of the picture, all else of the source copied; complete, or not there at all."""

from __future__ import annotations

import contextlib
import logging
import math
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType

import av
from av.container import OutputContainer
from av.packet import Packet
from av.video.frame import VideoFrame

from latentsync.errors import MediaError
from latentsync.media.audio import AudioReader
from latentsync.media.container import METADATA_ERRORS, MUXERS, file_url
from latentsync.media.encoder import Encoder, padding
from latentsync.media.probe import VideoInfo
from latentsync.media.remux import InStep, SourceCopy
from latentsync.media.soundtrack import SoundTrack
from latentsync.media.target import EncodeSettings, NewAudio, check_target, part_path
from latentsync.types import Box, Frame

Picture = VideoFrame  # a frame as the encoder takes it

_log = logging.getLogger(__name__)

_MAX_CLOCK = 2**31


class VideoWriter:
    """Context manager; write() takes the frames in the order of presentation.

    size: (width, height) of the frames where it is not the source's.
    audio: sound that takes the place of the source's.
    The file grows beside the target and takes its name on a clean exit only; after any exception
    nothing is left of it. Times, sound, colour tags and metadata are the source's; Matroska alone
    rounds times to milliseconds, and moves the whole film back where its sound begins before zero.
    Raises MediaError and ConfigError as check_target does, and MediaError where the disk fails.
    """

    def __init__(
        self,
        target: Path | str,
        source: VideoInfo,
        settings: EncodeSettings,
        *,
        size: tuple[int, int] | None = None,
        audio: NewAudio | None = None,
    ) -> None:
        self.target = Path(target)
        check_target(self.target, source, settings, audio)
        self._source, self._settings, self._audio = source, settings, audio
        self._size = size or (source.width, source.height)
        self._part = part_path(self.target)
        self._frames = 0
        self.padding = padding(self._size, settings.pix_fmt)
        """(columns at the right, rows at the bottom) that repeat the edge to make the size even."""

    def __enter__(self) -> VideoWriter:
        if any(self.padding):
            numbers = (*self._size, *self.padding)
            _log.warning("%dx%d must be even: padded by %d column(s), %d row(s)", *numbers)
        with self._leaving_nothing(), self._in_one_line():
            self._open()
        return self

    def write(self, frame: Frame, *, finer: Box | None = None) -> None:
        """frame.pixels: (H, W, 3) uint8 RGB of the given size; frame.pts: source ticks, rising.

        finer: the part of it that is encoded settings.finer steps of crf better than the rest.
        """
        self.write_picture(self.picture(frame, finer=finer))

    def picture(self, frame: Frame, *, finer: Box | None = None) -> Picture:
        """The first half of write(), which may run in another thread than the second."""
        with self._in_one_line():
            return self._encoder.picture(frame, finer)

    def write_picture(self, picture: Picture) -> None:
        """The second half; picture: from picture(), in the order of presentation."""
        with self._in_one_line():
            self._mux(self._encoder.encode(picture))
        self._frames += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None:
            self._discard()
            return
        with self._leaving_nothing(), self._in_one_line():
            self._finish()

    def _open(self) -> None:
        self.target.parent.mkdir(parents=True, exist_ok=True)
        muxer = MUXERS[self.target.suffix.lower()]
        self._output = av.open(
            file_url(self._part),
            "w",
            format=muxer,
            container_options=_muxer_options(muxer, self._source, self._audio),
            metadata_errors=METADATA_ERRORS,
        )
        self._encoder = Encoder(self._output, self._source, self._settings, size=self._size)
        self._copy = SourceCopy(self._source, self._output, sound=self._audio is None)
        self._copy.add_streams(self._encoder.stream)
        packets = self._copy.packets()
        if self._audio is not None:
            self._new_sound = SoundTrack(self._audio, self._output)
            packets = self._new_sound.packets()
        self._sound = InStep(packets, self._output)
        self._output.start_encoding()

    def _mux(self, packets: Iterable[Packet]) -> None:
        """Sound in step with the picture, as both will be played, so that neither piles up."""
        for packet in packets:
            self._sound.until((packet.dts or 0) * packet.time_base)
            self._output.mux_one(packet)

    def _finish(self) -> None:
        if not self._frames:
            raise MediaError("not one frame for the output", self.target, "check the input")
        self._mux(self._encoder.finish())
        self._sound.until(None)
        for opened in self._opened():
            opened.close()
        os.replace(self._part, self.target)  # noqa: PTH105

    def _discard(self) -> None:
        for opened in self._opened():
            with contextlib.suppress(av.FFmpegError, OSError):
                opened.close()
        self._part.unlink(missing_ok=True)

    def _opened(self) -> list[SourceCopy | SoundTrack | OutputContainer]:
        """All that is to be closed, the output last; an error may come before there is any."""
        parts = (getattr(self, part, None) for part in ("_copy", "_new_sound", "_output"))
        return [part for part in parts if part is not None]

    @contextlib.contextmanager
    def _leaving_nothing(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self._discard()
            raise

    @contextlib.contextmanager
    def _in_one_line(self) -> Iterator[None]:
        try:
            yield
        except (OSError, av.FFmpegError) as error:
            reason = error.strerror or type(error).__name__
            remedy = f"{reason}: check the free space and the encoder's settings"
            raise MediaError("cannot write the output", self.target, remedy) from error


def _muxer_options(muxer: str, source: VideoInfo, audio: NewAudio | None) -> dict[str, str]:
    if muxer == "matroska":
        return {}
    # The index in front lets a film start to play before it is all there.
    options = {"movflags": "+faststart"}
    tracks = source.audio if audio is None else (AudioReader(audio.path).info,)
    if any(start > 0 for start in (source.start, *(track.start for track in tracks))):
        rates = (track.sample_rate for track in tracks)
        options["movie_timescale"] = str(_common_clock(source.time_base.denominator, rates))
    return options


def _common_clock(video: int, rates: Iterable[int]) -> int:
    """Ticks a second that hit every frame and sample: a late start is stored in such ticks."""
    ticks = math.lcm(video, *rates)
    return ticks if ticks < _MAX_CLOCK else video
