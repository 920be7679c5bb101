"""Writes a picture in place of a video; complete or not at all."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType

import numpy as np

from latentsync.errors import MediaError
from latentsync.media.picture.coding import PictureSettings, encoded, same_kind, stored_form
from latentsync.media.picture.pixels import from_rgb, to_bits
from latentsync.media.probe import VideoInfo
from latentsync.media.target import new_part_path
from latentsync.types import Box, Frame

_log = logging.getLogger(__name__)


class PictureWriter:
    """Context manager with VideoWriter's convert() and write_converted(), for one frame.

    source: of a picture. notes: what the output does not keep of it, a sentence each; logged on
    entry. mark: see encoded; called when the frame is written. finishers: get the complete file
    before it is renamed; a failure discards it. The file is written beside the target and renamed
    on a clean exit only. Raises MediaError
    if writing fails.
    """

    def __init__(
        self,
        target: Path,
        source: VideoInfo,
        settings: PictureSettings,
        *,
        notes: Iterable[str],
        mark: Callable[[bytes], bytes] = bytes,
        finishers: Sequence[Callable[[Path], None]] = (),
    ) -> None:
        assert source.picture is not None
        self.target, self.notes = target, list(notes)
        self._source, self._settings, self._info = source, settings, source.picture
        self._mark, self._finishers = mark, finishers
        self._stack = contextlib.ExitStack()
        self._part: Path | None = None

    def __enter__(self) -> PictureWriter:
        for note in self.notes:
            _log.warning(note)
        self._part = self._stack.enter_context(_part_of(self.target, self._finishers))
        return self

    def convert(self, frame: Frame, *, roi: Box | None = None) -> np.ndarray:  # noqa: ARG002
        """frame: upright -> (H, W, C) uint8 or uint16, as it is stored. roi: has no effect."""
        channels, bits = stored_form(self._info, self._settings.kind)
        pixels = from_rgb(frame.pixels, frame.alpha, channels)
        if same_kind(self._info, self._settings):
            pixels = self._source.orientation.undo(pixels)
        return to_bits(pixels, bits)

    def write_converted(self, converted: np.ndarray) -> None:
        """converted: from convert()."""
        assert self._part is not None, "a PictureWriter writes inside its with block only"
        with _as_media_error(self.target), self._part.open("wb") as file:
            source = self._source.path
            for part in encoded(converted, source, self._info, self._settings, mark=self._mark):
                file.write(part)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.__exit__(kind, error, trace)


@contextlib.contextmanager
def copied_picture(
    target: Path, source: VideoInfo, *, finishers: Sequence[Callable[[Path], None]] = ()
) -> Iterator[None]:
    """Copies the file; it is in place when the block ends without an error. finishers: as of
    PictureWriter. Raises MediaError."""
    with _part_of(target, finishers) as part:
        with _as_media_error(target):
            shutil.copyfile(source.path, part)
        yield


@contextlib.contextmanager
def _part_of(target: Path, finishers: Sequence[Callable[[Path], None]]) -> Iterator[Path]:
    """The file beside the target that becomes it, unless the block raises."""
    part = new_part_path(target)
    try:
        with _as_media_error(target):
            target.parent.mkdir(parents=True, exist_ok=True)
        yield part
        for finish in finishers:
            finish(part)
        with _as_media_error(target):
            os.replace(part, target)  # noqa: PTH105
    finally:
        part.unlink(missing_ok=True)


@contextlib.contextmanager
def _as_media_error(target: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        remedy = f"{reason}: check the folder and the free space"
        raise MediaError("cannot write the output", target, remedy) from error
