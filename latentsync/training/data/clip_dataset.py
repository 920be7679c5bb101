"""A dataset of clips: which one an index stands for, and what happens if it cannot be read."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
from torch.utils.data import Dataset

from latentsync.errors import MediaError
from latentsync.places import cache_folder
from latentsync.speech.sync_mel import sync_mel
from latentsync.training.data.cache import ArrayCache
from latentsync.training.data.clip import read_samples
from latentsync.training.data.order import EpochOrder, Place
from latentsync.training.data.survey import Survey, Usable
from latentsync.training.settings.schema import Extras

_WINDOWS = 3  # of one clip that are tried before the clip counts as bad
_FIRST = 20  # samples that a share of bad ones is at least taken of
_MEL_CACHE = "mel-1"  # change it with the spectrogram

Sample = TypeVar("Sample")


class ClipDataset(Dataset[Sample], Generic[Sample]):
    """index -> a window of one clip; an index beyond the epoch's last is of the epochs after it.

    A window that cannot be read gives way to another one of its clip, and a clip of which three
    cannot be read to the clip that comes next in the epoch. Both are named in the sample's notes.
    Raises MediaError where more than max_bad_share of the clips so far could not be read.
    """

    def __init__(
        self, found: Survey, cache: Path, mels: str, *, seed: int, repeats: int, extras: Extras
    ) -> None:
        """mels: folder of the spectrograms; "": in the cache."""
        self.survey, self._cache = found, cache
        self._mels = ArrayCache((Path(mels) if mels else cache) / _MEL_CACHE)
        self._order = EpochOrder(len(found.usable), repeats=repeats, seed=seed)
        self._epoch = 0
        self._max_bad_share, self._bad, self._seen = extras.max_bad_share, 0, 0

    def __len__(self) -> int:
        return len(self._order)

    def set_epoch(self, epoch: int) -> None:
        self._epoch = epoch

    def files(self) -> Iterator[Path]:
        """Of all clips; those of shards are copied into the cache."""
        return (one.clip.file(self._cache) for one in self.survey.usable)

    def __getitem__(self, index: int) -> Sample:
        place = self._order.place(self._epoch, index)
        notes: list[str] = []
        for number in (self._order.clip(place), *self._order.others(place)):
            self._seen += 1
            sample = self._of_clip(self.survey.usable[number], place, notes)
            if sample is not None:
                return sample
            self._bad += 1
            if self._bad > self._max_bad_share * max(self._seen, _FIRST):
                what = f"{self._bad} of {self._seen} clips cannot be read"
                raise MediaError(what, notes[-1], "look at them, or raise training.max_bad_share")
        raise MediaError("no clip can be read", notes[-1], "look at the clips")

    def _of_clip(self, usable: Usable, place: Place, notes: list[str]) -> Sample | None:
        for attempt in range(_WINDOWS):
            try:
                random = self._order.random(place, attempt)
                return self._sample(usable, random, notes)
            except MediaError as error:
                notes.append(f"{usable.clip.name}: {error.what}")
            except OSError as error:
                notes.append(f"{usable.clip.name}: {error.strerror or error}")
        return None

    @abstractmethod
    def _sample(
        self, usable: Usable, random: np.random.Generator, notes: Sequence[str]
    ) -> Sample: ...

    def _mel(self, file: Path) -> np.ndarray:
        """(80, T) float32."""
        return self._mels.get(file, lambda: sync_mel(read_samples(file)))


def training_cache(extras: Extras) -> Path:
    """The folder of what is computed from clips."""
    return Path(extras.cache_dir) if extras.cache_dir else cache_folder() / "training"
