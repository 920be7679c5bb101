"""What training reads: lists of files, as LatentSync has them, and webdataset's shards."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from latentsync.places import part_file
from latentsync.training.preparation.disk import RESERVE
from latentsync.training.preparation.failures import writing
from latentsync.training.preparation.manifest import FRAME_RATE, SAMPLE_RATE
from latentsync.training.preparation.record import Clip
from latentsync.training.preparation.splitting import TRAIN, VALIDATION, Split

SHARDS, INDEX = "shards", "index.json"


def facts_of(clip: Clip, split: Split, resolution: int) -> dict[str, Any]:
    """What the shards say of a clip, in JSON."""
    return {
        "clip": clip.name,
        "source": clip.source,
        "source_sha256": clip.sha256,
        "start": clip.start,
        "end": clip.end,
        "frames": round(clip.seconds * FRAME_RATE),
        "fps": FRAME_RATE,
        "sample_rate": SAMPLE_RATE,
        "resolution": resolution,
        "speaker": split.speakers[clip.name],
        "split": split.parts[clip.name],
        **clip.facts,
    }


def write_lists(clips: Sequence[Clip], split: Split, output: Path) -> None:
    """train.txt and validation.txt: an absolute path a line, which LatentSync's own training opens
    as they are. Raises MediaError."""
    for part in (TRAIN, VALIDATION):
        lines = [str(clip.path.absolute()) for clip in clips if split.parts[clip.name] == part]
        path = output / f"{part}.txt"
        with writing("the list", path), part_file(path) as file:
            file.write_text("".join(f"{line}\n" for line in lines), "utf-8")


def write_shards(
    clips: Sequence[Clip], split: Split, output: Path, *, resolution: int, most: int
) -> int:
    """Writes shards/train-000000.tar and so on; returns how many there are.

    A sample is NAME.mp4 and NAME.json, see facts_of; index.json has those of all. most: bytes of a
    shard, about; 0: no shards, the index alone. What is there already for the same clips stays;
    else all is written anew, and appears at once; where there is no room for both, what is there
    is deleted first. Raises MediaError.
    """
    folder = output / SHARDS
    samples = {clip.name: facts_of(clip, split, resolution) for clip in clips}
    plan = {
        f"{part}-{number:06d}.tar": [clip.name for clip in shard]
        for part in (TRAIN, VALIDATION)
        if most
        for number, shard in enumerate(
            _shards([clip for clip in clips if split.parts[clip.name] == part], most)
        )
    }
    index = json.dumps({"shards": plan, "samples": samples}, sort_keys=True, indent=1)
    if _read(folder / INDEX) == index:
        return len(plan)
    by_name = {clip.name: clip for clip in clips}
    part_folder = output / f".{SHARDS}.part"
    with writing("the shards", folder):
        shutil.rmtree(part_folder, ignore_errors=True)
        if shutil.disk_usage(output).free < RESERVE + sum(one.path.stat().st_size for one in clips):
            remove_shards(output)
        part_folder.mkdir()
        for shard, names in plan.items():
            _write_shard(part_folder / shard, [by_name[name] for name in names], samples)
        (part_folder / INDEX).write_text(index, "utf-8")
        remove_shards(output)
        part_folder.replace(folder)
    return len(plan)


def bytes_of_shards(output: Path) -> int:
    """Of those that are there, and of what a killed run has left of them."""
    folders = (output / SHARDS, output / f".{SHARDS}.part")
    return sum(path.stat().st_size for folder in folders for path in folder.glob("*.tar"))


def remove_shards(output: Path) -> None:
    """Those that this command has made."""
    if (output / SHARDS / INDEX).is_file():
        shutil.rmtree(output / SHARDS)


def _shards(clips: Sequence[Clip], most: int) -> Iterator[list[Clip]]:
    shard: list[Clip] = []
    size = 0
    for clip in clips:
        more = clip.path.stat().st_size
        if shard and size + more > most:
            yield shard
            shard, size = [], 0
        shard.append(clip)
        size += more
    if shard:
        yield shard


def _write_shard(path: Path, clips: Sequence[Clip], samples: Mapping[str, Any]) -> None:
    """Times and owners are left out: the same clips give the same bytes."""
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as archive:
        for clip in clips:
            facts = json.dumps(samples[clip.name], sort_keys=True).encode()
            with clip.path.open("rb") as file:
                _add(archive, f"{clip.name}.mp4", file, clip.path.stat().st_size)
            _add(archive, f"{clip.name}.json", io.BytesIO(facts), len(facts))


def _add(archive: tarfile.TarFile, name: str, file: Any, size: int) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o644
    archive.addfile(info, file)


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except OSError:
        return ""
