"""Which tracks of a video show one person: by appearance, and within a shot by their place too.

In time that grows hardly faster than the number of shots: two groups are compared in full only
where a bound of their likeness, one matrix product for all, or a shot that they share allows it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations, count, pairwise

import numpy as np

from latentsync.face.identity import Embedding, likeness
from latentsync.face.portraits import GALLERY, Portrait
from latentsync.face.tracks import SAME_IDENTITY_STEP, Track, step

ROUNDING = 1e-4
"""By which a bound of the likeness may be too low: products of unit vectors in float32."""


@dataclass(slots=True, eq=False)
class Group:
    """Tracks that are one person, by shot, and the vectors of their portraits (n, D).

    number: rising in the order in which groups come. rivals: groups that are seen at the same
    time, so other people. neighbours: those that share a shot and are no rivals.
    """

    shots: dict[int, list[Track]]
    portraits: list[Portrait]
    vectors: np.ndarray
    number: int = -1
    rivals: set[Group] = field(default_factory=set)
    neighbours: set[Group] = field(default_factory=set)

    @property
    def tracks(self) -> list[Track]:
        """By start."""
        tracks = (track for shot in self.shots.values() for track in shot)
        return sorted(tracks, key=lambda track: track.start)

    def meet(self, other: Group) -> None:
        """Both have one track, in the same shot."""
        one, two = self.tracks[0], other.tracks[0]
        together = one.start < two.stop and two.start < one.stop
        for first, second in ((self, other), (other, self)):
            (first.rivals if together else first.neighbours).add(second)

    def take(self, other: Group) -> None:
        for shot, tracks in other.shots.items():
            self.shots.setdefault(shot, []).extend(tracks)
        self.portraits += other.portraits
        known = [vectors for vectors in (self.vectors, other.vectors) if len(vectors)]
        vectors = np.concatenate(known) if known else self.vectors
        if len(vectors) > GALLERY:
            vectors = vectors[np.linspace(0, len(vectors) - 1, GALLERY).astype(int)]
        self.vectors = vectors
        self._replace(other)

    def _replace(self, other: Group) -> None:
        """Whom the other met has met this one."""
        self.rivals |= other.rivals
        for rival in other.rivals:
            rival.rivals.discard(other)
            rival.neighbours.discard(self)
            rival.rivals.add(self)
        for near in other.neighbours:
            near.neighbours.discard(other)
            if near is not self and near not in self.rivals:
                near.neighbours.add(self)
        self.neighbours |= other.neighbours
        self.neighbours -= {self, other}
        self.neighbours -= self.rivals


def joined(shots: Iterable[Sequence[Group]], embedding: Embedding) -> list[Group]:
    """Groups of one track each, by shot -> one group for each person, in order.

    One shot after the other, the most similar groups first; people may turn out to be one.
    """
    people: dict[int, Group] = {}
    known, numbers = _Known(embedding), count()
    for shot in shots:
        for one, other in combinations(shot, 2):
            one.meet(other)
        for group in shot:
            group.number = next(numbers)
            people[group.number] = group
        known.keep(_join_shot(shot, people, known))
    return list(people.values())


def _join_shot(shot: Sequence[Group], people: dict[int, Group], known: _Known) -> set[Group]:
    """Joins groups of people, which holds those of the shot, by number -> those that changed."""
    changed = set(shot)
    scores = {
        (other.number, group.number): score
        for group in shot
        for other, score in known.scores(group, changed)
        if other.number < group.number
    }
    while scores:
        first, second = max(scores.items(), key=lambda entry: entry[1])[0]
        group, gone = people[first], people.pop(second)
        group.take(gone)
        changed = (changed | {group}) - {gone}
        known.forget(gone)
        scores = {pair: score for pair, score in scores.items() if not {first, second} & set(pair)}
        for other, score in known.scores(group, changed):
            scores[min(first, other.number), max(first, other.number)] = score
    return changed


class _Known:
    """The vectors of the people before a shot, in one matrix."""

    def __init__(self, embedding: Embedding) -> None:
        self._embedding = embedding
        self._rows = np.zeros((0, 0), np.float32)
        self._starts, self._owners = [0], list[Group]()
        self._slots: dict[Group, int] = {}

    def keep(self, groups: Iterable[Group]) -> None:
        """Those that are new or have grown."""
        for group in sorted(groups, key=lambda one: one.number):
            size = len(group.vectors)
            if not size:
                continue
            slot = self._slots.get(group, -1)
            if slot < 0 or self._starts[slot + 1] - self._starts[slot] != size:
                slot = self._slots[group] = len(self._owners)
                self._owners.append(group)
                self._starts.append(self._starts[-1] + size)
            self._reserve(self._starts[-1], group.vectors.shape[1])
            self._rows[self._starts[slot] : self._starts[slot + 1]] = group.vectors

    def forget(self, group: Group) -> None:
        """It has become a part of another one."""
        self._slots.pop(group, None)

    def scores(self, group: Group, changed: set[Group]) -> Iterator[tuple[Group, float]]:
        """The groups that may be the same person, by number, with the score of each.

        changed: groups that are new, or have grown, since the matrix was made.
        """
        others = self._similar(group) | group.neighbours | changed
        others.discard(group)
        for other in sorted(others, key=lambda one: one.number):
            if other not in group.rivals:
                score = _score(group, other, self._embedding)
                if score >= self._embedding.same:
                    yield other, score

    def _similar(self, group: Group) -> set[Group]:
        """Whose likeness may reach `same`: it is at most the product of the nearest portraits."""
        if not self._owners or not len(group.vectors):
            return set()
        products = (group.vectors @ self._rows[: self._starts[-1]].T).max(axis=0)
        bounds = np.maximum.reduceat(products, self._starts[:-1])
        likely = np.flatnonzero(bounds >= self._embedding.same - ROUNDING).tolist()
        owners = ((self._owners[slot], slot) for slot in likely)
        return {owner for owner, slot in owners if self._slots.get(owner) == slot}

    def _reserve(self, count: int, dimensions: int) -> None:
        if count > len(self._rows):
            grown = np.zeros((2 * count, dimensions), np.float32)
            if self._rows.size:
                grown[: len(self._rows)] = self._rows
            self._rows = grown


def _score(one: Group, other: Group, embedding: Embedding) -> float:
    """`same` and more: one person. In the same place of a shot `different` is enough."""
    like = likeness(one.vectors, other.vectors)
    way = _way(one, other) if other in one.neighbours else float("inf")
    if way < SAME_IDENTITY_STEP:
        if like is None:
            return embedding.same + 1e-3 * (1 - way / SAME_IDENTITY_STEP)
        return like + embedding.same - embedding.different
    return -np.inf if like is None else like


def _way(one: Group, other: Group) -> float:
    """Least step, in face sizes, from a track of one to the next of the same shot, of the other."""
    steps = []
    for shot in one.shots.keys() & other.shots.keys():
        ours = {id(track) for track in one.shots[shot]}
        both = sorted([*one.shots[shot], *other.shots[shot]], key=lambda track: track.start)
        steps += [
            step(before.faces[-1], after.faces[0])
            for before, after in pairwise(both)
            if (id(before) in ours) != (id(after) in ours)
        ]
    return min(steps, default=float("inf"))
