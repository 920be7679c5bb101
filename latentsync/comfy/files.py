"""Files of a run, in ComfyUI's temp folder: what the pipeline reads, and what it writes.

A VIDEO is read from its own file where it has one. What is made for a run only is removed after it;
results stay, as ComfyUI caches what nodes return: it empties the folder itself, at its next start.
"""

from __future__ import annotations

import inspect
import logging
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import folder_paths
from comfy_api.latest import InputImpl, io, ui

from latentsync.comfy.tensors import write_audio, write_frames
from latentsync.errors import ConfigError
from latentsync.media.container import MUXERS

logger = logging.getLogger(__name__)

PREFIX = "latentsync"
FINER = 8
"""CRF of a trimmed or cropped video that is encoded only to be read again."""


def new_path(suffix: str) -> Path:
    """For a file that is not there yet."""
    folder = Path(folder_paths.get_temp_directory())
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{PREFIX}_{uuid.uuid4().hex[:12]}{suffix}"


def result_path(source: Path) -> Path:
    """For the result of a video: of its kind where that can be written, else .mp4."""
    suffix = source.suffix.lower()
    return new_path(suffix if suffix in MUXERS else ".mp4")


def as_video(path: Path) -> Any:
    """The file as a VIDEO."""
    return InputImpl.VideoFromFile(str(path))


def shown(path: Path) -> Any:
    """The file as the node shows it."""
    return ui.SavedResult(path.name, "", io.FolderType.temp)


@contextmanager
def video_file(video: Any, images: Any = None, fps: float = 25.0) -> Iterator[Path]:
    """The file behind a VIDEO, or one for the block: where it has none, or is trimmed or cropped.

    images: (N, H, W, 3) float RGB [0, 1], in place of the video. Raises ConfigError.
    """
    if (video is None) == (images is None):
        given = "neither is" if video is None else "both are"
        raise ConfigError("video and images", f"{given} connected", "connect one of them")
    with _removed_later() as made:
        if video is None:
            write_frames(path := made(".mp4"), images, fps)
            yield path
            return
        source = _own_file(video)
        if isinstance(source, str):
            yield Path(source)
        elif source is not None:
            path = made(".mkv" if "matroska" in video.get_container_format() else ".mp4")
            path.write_bytes(source.read())
            yield path
        elif isinstance(video, InputImpl.VideoFromComponents):
            parts = video.get_components()
            write_frames(path := made(".mp4"), parts.images, parts.frame_rate, parts.audio)
            yield path
        else:
            yield _saved(video, made(".mp4"))


@contextmanager
def audio_file(audio: Mapping[str, Any]) -> Iterator[Path]:
    """An AUDIO as a file for the block, sample for sample. Raises ConfigError for a batch."""
    with _removed_later() as made:
        write_audio(path := made(".wav"), audio)
        yield path


def _own_file(video: Any) -> Any:
    """The path of its file, or its bytes; None: it has none, or is not that file as a whole."""
    if not isinstance(video, InputImpl.VideoFromFile) or _is_edited(video):
        return None
    return video.get_stream_source()


def _is_edited(video: Any) -> bool:
    """Whether a trim or a crop hangs on it, in versions of ComfyUI that do so."""
    window = getattr(video, "get_active_trim_window", None)
    pending = getattr(video, "has_pending_frame_edits", None)
    trimmed = window is not None and any(window())
    return trimmed or (pending is not None and bool(pending()))


def _saved(video: Any, path: Path) -> Path:
    logger.info("the video is trimmed or cropped: it is encoded once more, by ComfyUI")
    finer = {"crf": FINER} if "crf" in inspect.signature(video.save_to).parameters else {}
    video.save_to(str(path), **finer)
    return path


@contextmanager
def _removed_later() -> Iterator[Any]:
    """Yields new_path; its files are removed after the block."""
    paths: list[Path] = []

    def made(suffix: str) -> Path:
        paths.append(new_path(suffix))
        return paths[-1]

    try:
        yield made
    finally:
        for path in paths:
            path.unlink(missing_ok=True)
