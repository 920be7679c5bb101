"""Folders among the inputs: the videos and pictures in them take their place."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from latentsync.errors import MediaError
from latentsync.media.picture.kinds import KINDS

VIDEOS = {
    *(".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".ts", ".mts", ".m2ts", ".mxf", ".mpg"),
    *(".mpeg", ".vob", ".wmv", ".flv", ".f4v", ".3gp", ".ogv", ".gif"),
}
PICTURES = {*KINDS, ".heic", ".heif"}
"""By their names, as a folder may hold anything. One that cannot be read still gets its line."""


def is_folder(path: str) -> bool:
    return os.path.isdir(path)  # noqa: PTH112  Path's own raises for a name that is too long


def with_contents(inputs: Sequence[str], *, pictures: bool = True) -> list[str]:
    """Each folder is replaced by the videos and pictures in it, in order of their names; those in
    folders within are left out. Raises MediaError for a folder without any, or that cannot be
    read."""
    found: list[str] = []
    for path in inputs:
        found += _contents(Path(path), pictures) if is_folder(path) else [path]
    return found


def _contents(folder: Path, pictures: bool) -> list[str]:
    try:
        files = sorted(path for path in folder.iterdir() if path.is_file())
    except OSError as error:
        remedy = f"{error.strerror}; check the path"
        raise MediaError("cannot open the folder", folder, remedy) from error
    kinds = VIDEOS | PICTURES if pictures else VIDEOS
    wanted = [path for path in files if path.suffix.lower() in kinds]
    shown = [str(path) for path in wanted if not path.name.startswith(".")]
    if not shown:
        remedy = "name a folder that holds some; folders within it are not searched"
        what = "no videos and no pictures" if pictures else "no videos"
        raise MediaError(f"{what} in the folder", folder, remedy)
    return shown
