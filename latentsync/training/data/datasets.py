"""The samples of both trainings: map-style, and determined by (seed, epoch, index)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from latentsync.errors import MediaError
from latentsync.models.stable_syncnet import MEL_COLUMNS
from latentsync.training.batch import SyncBatch, UNetBatch
from latentsync.training.data.aligning import aligned_clips
from latentsync.training.data.clip import as_faces, read_windows
from latentsync.training.data.clip_dataset import ClipDataset, training_cache
from latentsync.training.data.listing import find_clips
from latentsync.training.data.speech import Speech, speech_of
from latentsync.training.data.survey import Usable, survey
from latentsync.training.data.windows import (
    draw_away,
    draw_start,
    latest_start,
    mel_window,
    needed_frames,
)
from latentsync.training.settings.schema import SyncNetTraining, UNetTraining


@dataclass(frozen=True, slots=True, eq=False)
class UNetSample:
    """One clip of a UNetBatch. notes: what went wrong on the way to it."""

    faces: Tensor
    reference: Tensor
    audio: Tensor
    mel: Tensor | None
    seed: int
    clip: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class SyncSample:
    faces: Tensor
    mel: Tensor
    in_sync: float
    clip: str
    notes: tuple[str, ...] = ()


class UNetDataset(ClipDataset[UNetSample]):
    """Constructing it looks at the headers of all clips, see survey.

    speech: where audio tokens come from; None: as the settings say. Raises ConfigError, MediaError,
    and CheckpointError where Whisper's weights are not here.
    """

    def __init__(self, settings: UNetTraining, *, speech: Speech | None = None) -> None:
        data, extras = settings.data, settings.training
        cache = training_cache(extras)
        self._length, self._side = data.num_frames, data.resolution
        self._away = data.min_reference_distance or data.num_frames
        self._needs_mel = settings.needs_mel
        self.speech = speech or speech_of(settings, cache)
        clips = find_clips(data.train_fileslist, data.train_data_dir)
        found = survey(
            aligned_clips(clips, data.resolution, cache) if data.align else clips,
            cache,
            least_frames=needed_frames(self._length, self._away),
            max_bad_share=extras.max_bad_share,
        )
        super().__init__(
            found,
            cache,
            data.audio_mel_cache_dir,
            seed=settings.run.seed,
            repeats=data.samples_per_clip,
            extras=extras,
        )

    def _sample(
        self, usable: Usable, random: np.random.Generator, notes: Sequence[str]
    ) -> UNetSample:
        file = usable.clip.file(self._cache)
        seed = int(random.integers(2**63))
        mel = self._mel(file)
        columns = mel.shape[1] if self._needs_mel else None
        last = latest_start(usable.facts.frames, self._length, columns)
        if last < 0:
            raise MediaError("its audio is too short", file, "make clips with scripts.prepare_data")
        start = draw_start(random, last)
        reference = draw_away(random, start, usable.facts.frames - self._length, self._away)
        frames = read_windows(file, (start, reference), self._length)
        return UNetSample(
            faces=as_faces(frames[0], self._side),
            reference=as_faces(frames[1], self._side),
            audio=self.speech.tokens(file, mel, start, self._length),
            mel=mel_window(mel, start) if self._needs_mel else None,
            seed=seed,
            clip=usable.clip.name,
            notes=tuple(notes),
        )

    @staticmethod
    def collate(samples: Sequence[UNetSample]) -> UNetBatch:
        mels = [one.mel for one in samples if one.mel is not None]
        return UNetBatch(
            faces=torch.stack([one.faces for one in samples]),
            reference=torch.stack([one.reference for one in samples]),
            audio=torch.stack([one.audio for one in samples]),
            mel=torch.stack(mels) if mels else None,
            seeds=torch.tensor([one.seed for one in samples], dtype=torch.int64),
            clips=tuple(one.clip for one in samples),
            notes=_notes(samples),
        )


class SyncNetDataset(ClipDataset[SyncSample]):
    """validation: the clips of data.val_*, of which it takes num_val_samples in all.

    Raises ConfigError and MediaError.
    """

    def __init__(self, settings: SyncNetTraining, *, validation: bool = False) -> None:
        data, extras = settings.data, settings.training
        cache = training_cache(extras)
        self._length, self._side = data.num_frames, data.resolution
        self._away = data.min_wrong_distance
        named = (data.train_fileslist, data.train_data_dir)
        if validation:
            named = (data.val_fileslist, data.val_data_dir)
        clips = find_clips(*named, key="data.val" if validation else "data.train")
        found = survey(
            aligned_clips(clips, data.resolution, cache) if data.align else clips,
            cache,
            least_frames=max(2 * self._length, needed_frames(self._length, self._away)),
            max_bad_share=extras.max_bad_share,
        )
        repeats = data.samples_per_clip
        if validation:
            repeats = -(-data.num_val_samples // len(found.usable))
        super().__init__(
            found,
            cache,
            data.audio_mel_cache_dir,
            seed=settings.run.seed,
            repeats=repeats,
            extras=extras,
        )
        self._limit = data.num_val_samples if validation else None

    def __len__(self) -> int:
        return len(self._order) if self._limit is None else min(self._limit, len(self._order))

    def _sample(
        self, usable: Usable, random: np.random.Generator, notes: Sequence[str]
    ) -> SyncSample:
        file = usable.clip.file(self._cache)
        mel = self._mel(file)
        last = latest_start(usable.facts.frames, self._length, mel.shape[1])
        if last < 0 or mel.shape[1] < MEL_COLUMNS:
            raise MediaError("its audio is too short", file, "make clips with scripts.prepare_data")
        in_sync = bool(random.integers(2))
        start = draw_start(random, last)
        shown = start
        if not in_sync:
            shown = draw_away(random, start, usable.facts.frames - self._length, self._away)
        (frames,) = read_windows(file, (shown,), self._length)
        return SyncSample(
            faces=as_faces(frames, self._side),
            mel=mel_window(mel, start),
            in_sync=float(in_sync),
            clip=usable.clip.name,
            notes=tuple(notes),
        )

    @staticmethod
    def collate(samples: Sequence[SyncSample]) -> SyncBatch:
        return SyncBatch(
            faces=torch.stack([one.faces for one in samples]),
            mel=torch.stack([one.mel for one in samples]),
            in_sync=torch.tensor([one.in_sync for one in samples]),
            clips=tuple(one.clip for one in samples),
            notes=_notes(samples),
        )


def _notes(samples: Sequence[Any]) -> tuple[str, ...]:
    return tuple(note for one in samples for note in one.notes)
