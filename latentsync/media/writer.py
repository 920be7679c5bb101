"""Encodes a video once and copies all else of the source; the file is complete or absent."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType

from av.video.frame import VideoFrame

from latentsync.errors import MediaError
from latentsync.media.container import MUXERS
from latentsync.media.encoder import padding
from latentsync.media.mux import Contents, Muxing, OpenFiles
from latentsync.media.probe import VideoInfo
from latentsync.media.settings import EncodeSettings, NewAudio
from latentsync.media.target import OutputPlan, as_media_error, check_target, new_part_path
from latentsync.types import Box, Frame

EncoderFrame = VideoFrame  # a frame in the encoder's pixel format

_log = logging.getLogger(__name__)


class VideoWriter:
    """Context manager; write() takes the frames in presentation order.

    size: (width, height) of the frames if not the source's.
    audio: replaces the source's audio.
    plan: the result of check_target for the same output; None: it is called here.
    finishers: get the complete file, in this order, before it is renamed; a failure discards it.
    The file is written beside the target and renamed on a clean exit only; after any exception
    nothing is left. Times, colour tags and metadata are the source's, and so is the audio unless
    notes say otherwise; Matroska rounds times to milliseconds, and moves the whole video back if
    its audio begins before zero.
    Raises MediaError and ConfigError as check_target does, and MediaError if writing fails.
    """

    def __init__(
        self,
        target: Path | str,
        source: VideoInfo,
        settings: EncodeSettings,
        *,
        size: tuple[int, int] | None = None,
        audio: NewAudio | None = None,
        plan: OutputPlan | None = None,
        finishers: Sequence[Callable[[Path], None]] = (),
    ) -> None:
        self.target, self._finishers = Path(target), finishers
        size = size or (source.width, source.height)
        unsaid = plan is None
        plan = plan or check_target(self.target, source, settings, audio, size=size)
        muxer = MUXERS[self.target.suffix.lower()]
        end, stretch = (None, 1.0) if audio is None else (audio.seconds, audio.stretch)
        self._contents = Contents(
            muxer, source, plan.settings, size, plan.tracks, end, plan.others, stretch
        )
        self._part = new_part_path(self.target)
        self._files = OpenFiles()
        self._muxing: Muxing | None = None
        self._frames = 0
        self.padding = padding(size, plan.settings.pix_fmt)
        """(columns at the right, rows at the bottom) that repeat the edge to make the size even."""
        self.notes = [*plan.notes, *_padding_note(size, self.padding)]
        if unsaid and plan.carried:
            self.notes.append(plan.carried)
        """What the output does not keep of the source, a sentence each; logged on entry. After the
        exit, also which audio could not be read."""

    def __enter__(self) -> VideoWriter:
        for note in self.notes:
            _log.warning(note)
        for track in self._contents.tracks:
            if track.encoder and track.note not in self.notes:  # new audio
                _log.info(track.note)
        with self._discarding_on_error(), self._as_media_error():
            self._open()
        return self

    def write(self, frame: Frame, *, roi: Box | None = None) -> None:
        """frame.pixels: (H, W, 3) RGB of the given size; frame.pts: source ticks, rising.

        roi: the box that is encoded settings.roi_offset steps of crf finer than the rest.
        """
        self.write_converted(self.convert(frame, roi=roi))

    def convert(self, frame: Frame, *, roi: Box | None = None) -> EncoderFrame:
        """The first half of write(); may run in another thread than the second."""
        with self._as_media_error():
            return self._open_muxing.encoder.convert(frame, roi)

    def write_converted(self, converted: EncoderFrame) -> None:
        """The second half. converted: from convert(), in presentation order."""
        with self._as_media_error():
            muxing = self._open_muxing
            muxing.write(muxing.encoder.encode(converted))
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
        with self._discarding_on_error(), self._as_media_error():
            self._finish()

    def _open(self) -> None:
        self.target.parent.mkdir(parents=True, exist_ok=True)
        self._muxing = Muxing(self._part, self._contents, self._files)
        self._muxing.start()

    @property
    def _open_muxing(self) -> Muxing:
        assert self._muxing is not None, "a VideoWriter writes inside its with block only"
        return self._muxing

    def _finish(self) -> None:
        if not self._frames:
            raise MediaError("no frame for the output", self.target, "check the input")
        muxing = self._open_muxing
        muxing.finish()
        self._files.close()
        for finish in self._finishers:
            finish(self._part)
        os.replace(self._part, self.target)  # noqa: PTH105
        for issue in muxing.issues:
            _log.warning(issue)
            self.notes.append(issue)

    def _discard(self) -> None:
        if self._muxing is not None:
            self._muxing.discard()
        self._files.close()
        self._part.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _discarding_on_error(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self._discard()
            raise

    def _as_media_error(self) -> AbstractContextManager[None]:
        return as_media_error("cannot write the output", self.target)


def _padding_note(size: tuple[int, int], padding: tuple[int, int]) -> list[str]:
    numbers = (*size, *padding)
    text = "%dx%d must be even: padded by %d column(s), %d row(s)"
    return [text % numbers] if any(padding) else []
