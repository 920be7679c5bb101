"""Who is who over all sources, and which speakers are for validation: none of them is in both."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath

import numpy as np

from latentsync.face.identity import Embedding, numbered
from latentsync.training.preparation.record import Clip, Record

TRAIN, VALIDATION = "train", "validation"
WAYS = ("looks", "folder", "file")
"""How speakers are told apart: by their faces; by the folder below the input folder; one a file."""
MOST = 2000
"""People that are compared by their looks: the time grows with the square."""
LARGE = 4
"""How many times the share of all seconds a group for validation may have: one speaker of few would
take most of what there is to train on."""


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
    room, and one whom the comparison takes for two would be on both sides. Such a group is for
    validation or not by a hash of its own, see _key, so that further videos of others do not move
    it; but for the rules of _chosen that there is something on both sides.
    """
    clips = [clip for record in records for clip in record.clips]
    notes = []
    people = sum(len(record.vectors) for record in records)
    if way == "looks" and people > MOST:
        way = "file"
        notes.append(f"{people} people are too many to compare: each file counts as one speaker")
    speakers = _by_looks(records, embedding) if way == "looks" else _by_name(clips, way)
    groups = _groups(clips, speakers)
    chosen = _chosen({_key(members, speakers, way): members for members in groups}, share)
    parts = {
        clip.name: VALIDATION if _key(members, speakers, way) in chosen else TRAIN
        for members in groups
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


def _groups(clips: Sequence[Clip], speakers: Mapping[str, str]) -> list[list[Clip]]:
    """Clips that share a speaker or a source, directly or through others."""
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
    return list(groups.values())


def _key(members: Sequence[Clip], speakers: Mapping[str, str], way: str) -> str:
    """What a group is known by, whatever others there are: its least folder, where folders are
    speakers; else the least content of its files, as numbers of looks depend on all."""
    if way == "folder":
        return min(speakers[clip.name] for clip in members)
    return min(clip.sha256 for clip in members)


def _chosen(groups: Mapping[str, Sequence[Clip]], share: float) -> set[str]:
    """The groups for validation, by the hash of their keys, about that share of them.

    Not those that are LARGE. Where there are two groups, there is at least one on each side: the
    shortest, or, where all would be chosen, all but the last one by hash.
    """
    if share <= 0 or len(groups) < 2:
        return set()
    lengths = {key: sum(clip.seconds for clip in clips) for key, clips in groups.items()}
    most = LARGE * share * sum(lengths.values())
    chosen = {key for key in groups if _place(key) < share and lengths[key] <= most}
    if len(chosen) == len(groups):
        chosen.remove(max(chosen, key=_place))
    return chosen or {min(groups, key=lambda key: (lengths[key], _place(key)))}


def _place(key: str) -> float:
    """From 0 to 1, evenly."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") / 2**64
