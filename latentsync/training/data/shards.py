"""Clips in shards of webdataset: tar files with, for each clip, NAME.mp4 and NAME.json.

Training needs any clip at any time, so a shard is an index here, and not a stream. A clip that is
needed is copied into the cache, from where it is decoded.
"""

from __future__ import annotations

import hashlib
import tarfile
from dataclasses import dataclass
from pathlib import Path

from latentsync.errors import MediaError
from latentsync.places import part_file

SHARD = ".tar"


@dataclass(frozen=True, slots=True)
class Member:
    """A file in a shard. start: of its content, in bytes."""

    name: str
    start: int
    size: int


def members(shard: Path, suffix: str) -> list[Member]:
    """Those whose names end so. Raises MediaError: not a tar file, or cut off."""
    try:
        with tarfile.open(shard, "r:") as archive:
            found = [
                Member(one.name, one.offset_data, one.size)
                for one in archive
                if one.isfile() and one.name.lower().endswith(suffix)
            ]
    except (tarfile.TarError, OSError, EOFError) as error:
        raise MediaError("the shard cannot be read", shard, f"copy it again ({error})") from None
    if found and max(one.start + one.size for one in found) > shard.stat().st_size:
        raise MediaError("the shard is cut off", shard, "copy it again")
    return found


def unpacked(shard: Path, member: Member, cache: Path) -> Path:
    """A copy of the member. Whoever replaces a shard gets new copies. Raises MediaError."""
    status = shard.stat()
    key = f"{shard.resolve()} {status.st_size} {status.st_mtime_ns} {member.start}"
    name = hashlib.blake2b(key.encode(), digest_size=16).hexdigest()
    path = cache / "shards" / name[:2] / f"{name}{Path(member.name).suffix}"
    if not path.is_file():
        try:
            with shard.open("rb") as archive, part_file(path) as part:
                archive.seek(member.start)
                part.write_bytes(archive.read(member.size))
        except OSError as error:
            what, remedy = "a clip of the shard cannot be copied", f"{path.parent}: {error}"
            raise MediaError(what, f"{shard}:{member.name}", remedy) from None
    return path
