"""Audio tokens of frames: from Whisper's hidden states, or from the mel spectrogram itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from latentsync.errors import MediaError
from latentsync.generate.model_spec import WHISPER
from latentsync.speech import encoder as whisper
from latentsync.speech.features import SpeechFeatures
from latentsync.speech.windows import window_indices, windows
from latentsync.training.data.cache import ArrayCache
from latentsync.training.data.clip import read_samples
from latentsync.training.data.windows import FRAME_RATE, mel_tokens
from latentsync.training.settings.schema import MEL, UNetTraining
from latentsync.weights.find import find
from latentsync.weights.load import build
from latentsync.weights.record import sha256

_SHORTEST = 0.02  # seconds of audio that make one feature


class Speech(Protocol):
    """The audio tokens of a clip's frames."""

    def tokens(self, clip: Path, mel: np.ndarray, start: int, count: int, /) -> Tensor:
        """mel: (80, T), of the clip -> (count, tokens, C) float32 for frames from start on."""
        ...


class MelSpeech:
    """16 columns around each frame, of 80 channels. Needs no weights."""

    def tokens(self, _clip: Path, mel: np.ndarray, start: int, count: int, /) -> Tensor:
        return mel_tokens(mel, start, count)


class WhisperSpeech:
    """Hidden states around each frame, as in inference; those of a whole clip are cached.

    The network is loaded where a clip is not in the cache, in each process for itself.
    path: its weights, which the cache is kept by. width: C.
    """

    def __init__(self, path: Path, width: int, cache: Path) -> None:
        self.path, self.width, self.device = path, width, torch.device("cpu")
        self.cache = ArrayCache(cache / f"whisper-{sha256(path)[:16]}")
        self._network: whisper.WhisperEncoder | None = None

    def __getstate__(self) -> dict[str, Any]:
        """For other processes, without the network."""
        return {**self.__dict__, "_network": None, "device": torch.device("cpu")}

    def tokens(self, clip: Path, _mel: np.ndarray, start: int, count: int, /) -> Tensor:
        features = self.features(clip)
        indices = window_indices(len(features), FRAME_RATE, start=start, stop=start + count)
        first, last = int(indices.min()), int(indices.max())
        near = torch.from_numpy(np.array(features[first : last + 1], np.float32))
        return windows(near, indices - first)

    def features(self, clip: Path) -> np.ndarray:
        """(L, S, C) float16, 50 a second. Raises MediaError."""
        return self.cache.get(clip, lambda: self._computed(clip))

    def _computed(self, clip: Path) -> np.ndarray:
        samples = read_samples(clip)
        if self._network is None:
            self._network = load_whisper(self.path, self.width, self.device)
        network, device = self._network, self.device
        speech = SpeechFeatures([samples], lambda mel: network(mel.to(device)))
        if not len(speech):
            raise MediaError("its audio is too short", clip, f"give at least {_SHORTEST} s")
        return torch.cat(list(speech.segments())).half().cpu().numpy()


def load_whisper(path: Path, width: int, device: torch.device) -> whisper.WhisperEncoder:
    """Raises CheckpointError."""
    make, file = whisper.ENCODERS[width], WHISPER[width]
    return build(make, file, path, device, part=whisper.PART)


def speech_of(settings: UNetTraining, cache: Path) -> Speech:
    """As the settings say. Raises CheckpointError: Whisper's weights are not here."""
    if settings.data.speech_features == MEL:
        return MelSpeech()
    named = settings.ckpt.whisper or None
    file = WHISPER[settings.audio_width]
    path = find(file, named, folders=settings.training.weights_folders)
    embeds = settings.data.audio_embeds_cache_dir
    return WhisperSpeech(path, settings.audio_width, Path(embeds) if embeds else cache)
