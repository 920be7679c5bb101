"""New speech for a video: the speech encoder, and the generator of the mouths."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from latentsync.errors import ConfigError, MediaError
from latentsync.face.masks import upstream_mask
from latentsync.generate.base import CEPSTRA, NORMED_WHISPER, WHISPER, Boxed
from latentsync.generate.model_spec import WHISPER as WHISPER_FILES
from latentsync.generate.model_spec import face_model
from latentsync.generate.table import audio_input, generator_kind
from latentsync.pipeline.concurrency import Checked
from latentsync.runtime.execution import Execution
from latentsync.runtime.network import Networks, Part
from latentsync.settings.schema import Config
from latentsync.speech import encoder as whisper
from latentsync.speech.features import AcousticFeatures, Encoder, SpeechFeatures
from latentsync.speech.half_minutes import HalfMinuteFeatures
from latentsync.speech.mel import N_MELS, SEGMENT_FRAMES, Extent, measure
from latentsync.weights.ensure import ensure_weights
from latentsync.weights.load import build, log_weights_used

HUNDREDTHS = 100  # mel frames a second
SILENCE = -6.0  # log10 of the highest band energy; quiet speech has more than -2

WHOLE = Part("encoder", lambda net: net)

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class SpeechLength:
    """Speech for a generator without audio input: only its length counts."""

    extent: Extent

    def __len__(self) -> int:
        return self.extent.features

    def windows_at(self, seconds: np.ndarray) -> Iterator[torch.Tensor]:
        """(0, 0) float32 for each instant."""
        return (torch.empty(0, 0) for _ in seconds)


Speech = SpeechFeatures | AcousticFeatures | SpeechLength


class LipSync:
    """Speech encoder and generator of one configuration, for any number of videos at once.

    encoder_files: the weights of the speech encoder; empty: the generator needs none.
    Raises ConfigError and CheckpointError.
    """

    def __init__(self, config: Config, execution: Execution) -> None:
        self.config, self.execution = config, execution
        kind = generator_kind(config)
        self.generator = kind.load(config, execution, mask=upstream_mask(kind.size(config)))
        self.audio = audio_input(self.generator)
        if config.as_upstream and isinstance(self.generator, Boxed):
            remedy = f"it reproduces LatentSync; leave it out with {self.generator.name}"
            raise ConfigError("compat", config.compat, remedy)
        self.encoder_files: tuple[Path, ...] = ()
        encodes = self.audio in (WHISPER, NORMED_WHISPER)
        self._encoder = self._load_encoder() if encodes else None

    def encode_speech(
        self, audio: Iterable[np.ndarray], name: str, check: Callable[[], None]
    ) -> Speech:
        """Computes the speech features in one pass.

        audio: each iteration yields all of it, as AudioReader does. name: for messages. check:
        called at every block; may raise. Raises MediaError: unreadable, or too short to use.
        """
        blocks = Checked(audio, check)
        speech: Speech
        if self._encoder is not None:
            kind = SpeechFeatures if self.audio == WHISPER else HalfMinuteFeatures
            speech = kind(blocks, self._encoder)
        elif self.audio == CEPSTRA:
            speech = AcousticFeatures(blocks)
        else:
            speech = SpeechLength(measure(blocks))
        if not len(speech):
            raise MediaError("the speech is too short", name, "give at least 0.02 seconds of it")
        if speech.extent.peak < SILENCE:
            logger.warning("%s is silent: the mouth is generated for silence", name)
        return speech

    def _load_encoder(self) -> Encoder:
        """Always in float32: half a minute of speech takes less time than one generated mouth."""
        config, device, weights = self.config, self.execution.device, self.config.weights
        width: int = getattr(self.generator, "audio_width", None) or face_model(config).audio
        file, normed = WHISPER_FILES[width], self.audio == NORMED_WHISPER
        wanted = [(file, config.generate.whisper)]
        (path,) = ensure_weights(wanted, folders=weights.folders, offline=weights.offline)
        log_weights_used(file, path)
        self.encoder_files = (path,)
        networks = Networks(
            lambda dtype: build(
                lambda: whisper.ENCODERS[width](normed=normed),
                file,
                path,
                device,
                part=whisper.PART,
                dtype=dtype,
                logged=True,
            ),
            name=f"Whisper, {width}",
            checkpoint=path,
            execution=replace(self.execution, dtype=torch.float32),
            sources=[whisper],
            variant="normed" if normed else "",
        )
        run = networks.part(WHOLE, torch.zeros(1, N_MELS, SEGMENT_FRAMES))
        return lambda mel: run(mel)[0]


def speech_seconds(speech: Speech) -> float:
    """Length of the speech, for any kind of features."""
    return speech.extent.frames / HUNDREDTHS
