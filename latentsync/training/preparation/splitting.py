"""Who is who over all sources, and which speakers are for validation: none of them is in both."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath

import numpy as np

from latentsync.face.identity import Embedding, numbered
from latentsync.training.preparation.store import Clip, Record

TRAIN, VALIDATION = "train", "validation"
WAYS = ("looks", "folder", "file")
"""How speakers are told apart: by their faces; by the folder below the input folder; one a file."""
MOST = 2000
"""People that are compared by their looks: the time grows with the square."""


@dataclass(frozen=True, slots=True)
class Split:
    """speakers: by name of a clip. parts: TRAIN or VALIDATION, by name of a clip. way: of WAYS.

    notes: sentences for the summary.
    """

    speakers: Mapping[str, str]
    parts: Mapping[str, str]
    way: str
    notes: tuple[str, ...] = ()


def split(records: Sequence[Record], embedding: Embedding, *, way: str, share: float) -> Split:
    """share: of the seconds that are for validation, about.

    What is one person, or one file, stays together: people of one file share a microphone and a
    room, and one whom the comparison takes for two would be on both sides. Which are chosen depends
    on their names and lengths: further videos may change it.
    """
    clips = [clip for record in records for clip in record.clips]
    notes = []
    people = sum(len(record.vectors) for record in records)
    if way == "looks" and people > MOST:
        way = "file"
        notes.append(f"{people} people are too many to compare: each file counts as one speaker")
    speakers = _by_looks(records, embedding) if way == "looks" else _by_name(clips, way)
    groups = _groups(clips, speakers)
    chosen = _chosen(groups, share)
    parts = {
        clip.name: VALIDATION if group in chosen else TRAIN
        for group, members in groups.items()
        for clip in members
    }
    if len(groups) == 1 and share > 0:
        notes.append(
            "all clips are of one speaker, or of files that share speakers: validation is empty"
        )
    return Split(speakers, parts, way, tuple(notes))


def _by_name(clips: Sequence[Clip], way: str) -> dict[str, str]:
    def speaker(clip: Clip) -> str:
        parts = PurePath(clip.source).parts
        return parts[0] if way == "folder" and len(parts) > 1 else clip.source

    return {clip.name: speaker(clip) for clip in clips}


def _by_looks(records: Sequence[Record], embedding: Embedding) -> dict[str, str]:
    """A person without a portrait is nobody else."""
    owners = [
        (place, person)
        for place, record in enumerate(records)
        for person, vectors in sorted(record.vectors.items())
        if len(vectors)
    ]
    sets = [np.asarray(records[place].vectors[person], np.float32) for place, person in owners]
    numbers = numbered(sets, embedding) if sets else np.empty(0, np.int64)
    known = {owner: f"speaker{number:04d}" for owner, number in zip(owners, numbers, strict=True)}
    return {
        clip.name: known.get((place, clip.person), f"{clip.source}#{clip.person}")
        for place, record in enumerate(records)
        for clip in record.clips
    }


def _groups(clips: Sequence[Clip], speakers: Mapping[str, str]) -> dict[str, list[Clip]]:
    """Clips that share a speaker or a source, directly or through others; by their least name."""
    leader: dict[str, str] = {}

    def top(name: str) -> str:
        while leader.setdefault(name, name) != name:
            leader[name] = leader[leader[name]]
            name = leader[name]
        return name

    for clip in clips:
        one, other = sorted((top(f"source {clip.sha256}"), top(f"who {speakers[clip.name]}")))
        leader[other] = one
    groups: dict[str, list[Clip]] = {}
    for clip in sorted(clips, key=lambda each: each.name):
        groups.setdefault(top(f"source {clip.sha256}"), []).append(clip)
    return groups


def _chosen(groups: Mapping[str, Sequence[Clip]], share: float) -> set[str]:
    """The groups for validation: at least one where there are two, and never all."""
    if share <= 0 or len(groups) < 2:
        return set()
    lengths = {name: sum(clip.seconds for clip in clips) for name, clips in groups.items()}
    wanted = share * sum(lengths.values())
    chosen: set[str] = set()
    total = 0.0
    for name in sorted(groups, key=_mixed):
        if total + lengths[name] <= wanted:
            chosen.add(name)
            total += lengths[name]
    return chosen or {min(lengths, key=lambda name: (lengths[name], _mixed(name)))}


def _mixed(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()
