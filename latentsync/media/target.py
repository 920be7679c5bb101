"""Checks before any work whether an output can be written."""

from __future__ import annotations

import itertools
import os
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import av

from latentsync.errors import MediaError
from latentsync.media.audio.plan import planned_audio
from latentsync.media.audio.track import AudioTrackPlan
from latentsync.media.auto import chosen
from latentsync.media.container import MUXERS
from latentsync.media.losses import video_notes
from latentsync.media.mux import Contents
from latentsync.media.others import planned_others
from latentsync.media.probe import VideoInfo
from latentsync.media.settings import EncodeSettings, NewAudio, check_settings, one_of
from latentsync.media.streams import OtherPlan, others_note
from latentsync.media.subtitles import KINDS
from latentsync.media.trial_mux import TrialMux

_MAX_NAME = 255  # bytes, in all common file systems
_MANY = 9_999_999  # writers of one process; reserves the digits of their number in the name


@dataclass(frozen=True, slots=True, eq=False)
class OutputPlan:
    """The decisions about an output. tracks: its audio. others: the source's further streams.
    settings: with a named encoder and pixel format.

    notes: what the output does not keep of the source, a sentence each; VideoWriter logs them.
    carried: one line on the further streams that are converted or lost, to be said before the work;
        "": there are none.
    """

    tracks: tuple[AudioTrackPlan, ...]
    settings: EncodeSettings
    notes: tuple[str, ...]
    others: tuple[OtherPlan, ...] = ()
    carried: str = ""


_WRITERS = itertools.count()


def part_path(target: Path, number: int = 0) -> Path:
    """The hidden file beside the target that is written until it is complete.

    number: of the writer in this process, so that two with one target do not collide.
    """
    return target.with_name(f".{target.name}.{os.getpid()}.{number}.part{target.suffix}")


@contextmanager
def as_media_error(what: str, target: Path) -> Iterator[None]:
    """Raises MediaError where PyAV or the disk fails. what: such as "cannot write the output"."""
    try:
        yield
    except (OSError, av.FFmpegError) as error:
        reason = error.strerror or type(error).__name__
        refused = isinstance(error, PermissionError)
        where = "choose a folder that you may write to"
        other = "check the free space and the encoder's settings"
        raise MediaError(what, target, f"{reason}: {where if refused else other}") from error


def new_part_path(target: Path) -> Path:
    """A part_path that no other writer has."""
    return part_path(target, next(_WRITERS))


def check_target(
    target: Path,
    source: VideoInfo,
    settings: EncodeSettings,
    audio: NewAudio | None = None,
    *,
    size: tuple[int, int] | None = None,
) -> OutputPlan:
    """Raises MediaError if the output cannot be written, ConfigError if settings are invalid.

    size: (width, height) of the frames if not the source's. Audio that the output cannot hold is
    encoded. A trial in memory, with the first audio packets, shows that all can be muxed.
    MediaError also if audio cannot be read. Writes nothing: missing folders are made later.
    """
    check_settings(settings)
    check_place(target, MUXERS, [source.path] if audio is None else [source.path, audio.path])
    size = size or (source.width, source.height)
    made = chosen(settings, source, target, size)
    with TrialMux() as trial:
        tracks = planned_audio(target, source, made, audio, trial)
        muxer = MUXERS[target.suffix.lower()]
        others = planned_others(source, muxer, trial)
        contents = Contents(muxer, source, made, size, tracks, others=others)
        _try_out(target, contents, trial)
    encoded = tuple(t.note for t in tracks if t.encoder and t.audio.path == source.path)
    replaced = source.audio if audio is not None else ()
    carried = others_note(source.path, target, others, KINDS[muxer], replaced)
    return OutputPlan(
        tracks, made, (*video_notes(source, settings, made), *encoded), others, carried
    )


def _try_out(target: Path, contents: Contents, trial: TrialMux) -> None:
    try:
        trial.make(contents)
    except (OSError, ValueError, av.FFmpegError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        remedy = f"{reason}: choose another encoder, pixel format or kind of output"
        raise MediaError("cannot write the output", target, remedy) from error


def check_place(target: Path, kinds: Collection[str], inputs: Iterable[Path]) -> None:
    """Raises MediaError where a file of that name cannot be written, is one of the inputs, or ends
    in none of the kinds."""
    if target.suffix.lower() not in kinds:
        raise MediaError("unknown kind of output", target, f"end its name in {one_of(kinds)}")
    _check_length(target)
    try:
        _check_folder(target)
        for path in inputs:
            _check_not_the_input(target, path)
    except OSError as error:
        remedy = f"{error.strerror}; choose another place"
        raise MediaError("cannot write the output", target, remedy) from error


def _check_length(target: Path) -> None:
    if len(os.fsencode(part_path(target, _MANY).name)) > _MAX_NAME:
        raise MediaError("the output's name is too long", target, "shorten it")


def _check_folder(target: Path) -> None:
    if target.is_dir():
        raise MediaError("the output is a folder", target, "name a file in it")
    if target.exists() and not os.access(target, os.W_OK):
        raise MediaError("the output is write-protected", target, "choose another name")
    folder = target.absolute().parent
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    if not folder.is_dir():
        raise MediaError("the output's folder cannot be made", target, f"{folder} is a file")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise MediaError("the output's folder is write-protected", folder, "choose another folder")


def _check_not_the_input(target: Path, source: Path) -> None:
    if target.exists() and source.exists() and target.samefile(source):
        raise MediaError("the output is the input", target, "choose another name for the output")
