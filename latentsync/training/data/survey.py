"""Looks at all clips before training: which can be used, and what is wrong with the others."""

from __future__ import annotations

import hashlib
import json
import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from latentsync.errors import MediaError
from latentsync.places import part_file
from latentsync.training.data.clip import ClipFacts, clip_facts
from latentsync.training.data.listing import Clip
from latentsync.training.data.windows import FRAME_RATE

logger = logging.getLogger(__name__)

_THREADS = 4
_NAMED_AT_MOST = 5


@dataclass(frozen=True, slots=True)
class Usable:
    """A clip that training uses."""

    clip: Clip
    facts: ClipFacts


@dataclass(frozen=True, slots=True)
class Survey:
    """usable: in the order of the list. bad: clip -> why it cannot be used. short: clips that hold
    too few frames, which is no fault."""

    usable: tuple[Usable, ...]
    bad: dict[str, str]
    short: tuple[str, ...]

    @property
    def seconds(self) -> float:
        """Of all usable clips."""
        return sum(one.facts.frames for one in self.usable) / FRAME_RATE

    def __str__(self) -> str:
        said = [f"{len(self.usable)} clips, {self.seconds / 60:.1f} minutes"]
        if self.short:
            said.append(f"{len(self.short)} left out because they are too short")
        if self.bad:
            said.append(f"{len(self.bad)} left out because {_reasons(self.bad)}")
        return "; ".join(said)


def survey(
    clips: Sequence[Clip], cache: Path, *, least_frames: int, max_bad_share: float
) -> Survey:
    """Reads the headers of all clips; those of files that have not changed are known already.

    Clips that are left out are named in a warning. least_frames: of a clip that can be used.
    Raises MediaError: too large a share is bad, or none is left.
    """
    known = _Known(cache / "clips" / f"{_name_of(clips)}.json")
    usable, bad, short = [], {}, []
    with ThreadPoolExecutor(_THREADS) as pool:
        for clip, found in zip(clips, pool.map(lambda one: known(one, cache), clips), strict=True):
            if isinstance(found, str):
                bad[clip.name] = found
            elif found.frames < least_frames:
                short.append(clip.name)
            else:
                usable.append(Usable(clip, found))
    known.save()
    result = Survey(tuple(usable), bad, tuple(short))
    _refuse(result, len(clips), least_frames, max_bad_share)
    _warn(result, least_frames)
    return result


def _refuse(found: Survey, count: int, least_frames: int, max_bad_share: float) -> None:
    if len(found.bad) > max_bad_share * count:
        what = f"{len(found.bad)} of {count} clips cannot be used"
        remedy = (
            f"make clips with scripts.prepare_data, or raise training.max_bad_share"
            f" ({max_bad_share:g})"
        )
        raise MediaError(what, "; ".join(_named(found.bad)), remedy)
    if not found.usable:
        remedy = f"clips of {least_frames / FRAME_RATE:g} s or more are needed"
        raise MediaError("no clip is long enough", "; ".join(found.short[:_NAMED_AT_MOST]), remedy)


def _warn(found: Survey, least_frames: int) -> None:
    if found.bad:
        logger.warning("left out: %s", "; ".join(_named(found.bad)))
    if found.short:
        count, named = len(found.short), ", ".join(found.short[:_NAMED_AT_MOST])
        logger.warning("%d clips have fewer than %d frames: %s", count, least_frames, named)


def _named(bad: dict[str, str]) -> Iterator[str]:
    for name, reason in list(bad.items())[:_NAMED_AT_MOST]:
        yield f"{name}: {reason}"
    if len(bad) > _NAMED_AT_MOST:
        yield f"and {len(bad) - _NAMED_AT_MOST} more"


def _reasons(bad: dict[str, str]) -> str:
    return ", ".join(f"{reason} ({n})" for reason, n in Counter(bad.values()).most_common(3))


def _name_of(clips: Sequence[Clip]) -> str:
    digest = hashlib.blake2b(digest_size=8)
    for clip in clips:
        digest.update(f"{clip.name}\n".encode())
    return digest.hexdigest()


class _Known:
    """Facts of earlier runs, by path, size and modification time. Only a cache."""

    def __init__(self, path: Path) -> None:
        self._path, self._changed = path, False
        self._entries: dict[str, list[Any]] = {}
        try:
            content = json.loads(path.read_text("utf-8"))
        except (OSError, ValueError):
            return
        if isinstance(content, dict):
            self._entries = content

    def __call__(self, clip: Clip, cache: Path) -> ClipFacts | str:
        """A text: why it cannot be used."""
        try:
            file = clip.file(cache)
            status = file.stat()
            mark = [status.st_size, status.st_mtime_ns]
            entry = self._entries.get(clip.name)
            if entry is None or entry[:2] != mark:
                entry = [*mark, _looked_at(file)]
                self._entries[clip.name], self._changed = entry, True
        except MediaError as error:
            return error.what
        except OSError as error:
            return error.strerror or "it cannot be read"
        found = entry[2]
        return found if isinstance(found, str) else ClipFacts(**found)

    def save(self) -> None:
        if self._changed:
            try:
                with part_file(self._path) as part:
                    part.write_text(json.dumps(self._entries), "utf-8")
            except OSError as error:
                logger.info("%s: %s", self._path, error.strerror)


def _looked_at(file: Path) -> dict[str, Any] | str:
    try:
        return asdict(clip_facts(file))
    except MediaError as error:
        return error.what
