"""Which clips a list or a folder names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from latentsync.errors import ConfigError
from latentsync.training.data.shards import SHARD, Member, members, unpacked

VIDEO = ".mp4"
_BRACES = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True, slots=True)
class Clip:
    """path: of its file, or of the shard that it is a member of."""

    name: str
    path: Path
    member: Member | None = None

    def file(self, cache: Path) -> Path:
        """The file of the video; a member of a shard is copied into the cache first."""
        return self.path if self.member is None else unpacked(self.path, self.member, cache)


def find_clips(list_file: str, folder: str, *, key: str = "data.train") -> list[Clip]:
    """list_file: a text file, one path a line, that may be relative to it or to the current folder;
    "": all clips in the folder and its subfolders, sorted.

    Shards of webdataset count as the clips in them, in a folder only if it holds no other clips;
    "{000..012}.tar" stands for several. key: what the settings begin with, for messages.
    Raises ConfigError: neither, no such file or folder, no clip in it, a clip that is not there.
    """
    if list_file:
        clips = list(_listed(Path(list_file), f"{key}_fileslist"))
        named: object = list_file
    elif folder:
        clips = list(_inside(Path(folder), f"{key}_data_dir"))
        named = folder
    else:
        remedy = "name a list of clips, or the folder that they are in"
        raise ConfigError(f"{key}_fileslist and {key}_data_dir", "both are empty", remedy)
    if not clips:
        remedy = f"make {VIDEO} clips with scripts.prepare_data"
        raise ConfigError("there are no clips", named, remedy)
    return clips


def _listed(path: Path, key: str) -> Iterator[Clip]:
    if path.suffix == SHARD or _BRACES.search(path.name):
        yield from _clips(path.parent, path.name, key)
        return
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(key, path, f"it cannot be read as a list of clips: {error}") from None
    for line in lines:
        if line.strip():
            yield from _clips(path.parent, line.strip(), key)


def _inside(folder: Path, key: str) -> Iterator[Clip]:
    if _BRACES.search(folder.name) or folder.suffix.lower() in (VIDEO, SHARD):
        yield from _clips(folder.parent, folder.name, key)
        return
    if not folder.is_dir():
        raise ConfigError(key, folder, "there is no such folder")
    files = [path for path in sorted(folder.rglob("*")) if not _hidden(path.relative_to(folder))]
    clips = [path for path in files if path.suffix.lower() == VIDEO]
    for path in clips or [path for path in files if path.suffix == SHARD]:
        yield from _of(path)


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _clips(folder: Path, name: str, key: str) -> Iterator[Clip]:
    for one in expanded(name):
        beside = folder / one
        path = beside if beside.exists() else Path(one)
        if not path.is_file():
            raise ConfigError(key, one, f"there is no such file, neither here nor in {folder}")
        yield from _of(path)


def _of(path: Path) -> Iterator[Clip]:
    if path.suffix == SHARD:
        for member in members(path, VIDEO):
            yield Clip(f"{path.name}:{member.name}", path, member)
    else:
        yield Clip(str(path), path)


def expanded(name: str) -> list[str]:
    """ "{000..002}.tar" -> "000.tar", "001.tar", "002.tar"; other names as they are."""
    parts = _BRACES.split(name)
    choices = [[one] if place % 2 == 0 else _choices(one) for place, one in enumerate(parts)]
    return ["".join(some) for some in product(*choices)]


def _choices(inside: str) -> list[str]:
    first, dots, last = inside.partition("..")
    if dots and first.isdecimal() and last.isdecimal():
        return [f"{number:0{len(first)}}" for number in range(int(first), int(last) + 1)]
    return inside.split(",")
