"""New speech for a film: what hears it, and what draws the mouths for it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch

from latentsync.errors import ConfigError, MediaError
from latentsync.face.masks import region_mask, upstream_mask
from latentsync.generate.base import LipGenerator, load_generator
from latentsync.generate.settings import WHISPER, face_model, weights_wanted
from latentsync.media.audio import AudioReader
from latentsync.media.probe import VideoInfo
from latentsync.pipeline.generation import GenerateStage
from latentsync.pipeline.plan import FilmPlan, lay_out
from latentsync.pipeline.timeline import film_timeline, speech_timeline
from latentsync.schema import Config
from latentsync.speech.encoder import ENCODERS, PART
from latentsync.speech.features import SpeechFeatures
from latentsync.weights.find import find_all
from latentsync.weights.load import build

HUNDREDTHS = 100  # mel frames a second
SILENCE = -6.0  # log10 of the loudest energy of any band; the quietest speech has more than -2

logger = logging.getLogger(__name__)


class LipSync:
    """Speech encoder and lip generator of one configuration, good for any number of films.

    Raises ConfigError and CheckpointError.
    """

    def __init__(self, config: Config, device: torch.device) -> None:
        self.config, self.device = config, device
        self.model = face_model(config)
        paths = find_all(weights_wanted(config), folders=config.weights.folders)
        self.encoder = build(
            ENCODERS[self.model.audio], WHISPER[self.model.audio], paths[0], device, part=PART
        )
        self._generator: LipGenerator | None = None
        if config.generate.noise != "upstream":
            self._generator = self._load(None)

    def listen(self, audio: Path) -> SpeechFeatures:
        """Measures the speech, in one pass. Raises MediaError: unreadable, or too short to use."""
        speech = SpeechFeatures(AudioReader(audio), self.encoder)
        if not len(speech):
            raise MediaError("the speech is too short", audio, "give at least 0.02 seconds of it")
        if speech.extent.peak < SILENCE:
            logger.warning("%s is silent: the mouth is drawn for silence", audio)
        return speech

    def lay_out(self, plan: FilmPlan, film: VideoInfo, speech: SpeechFeatures) -> FilmPlan:
        """The plan along a timeline for the speech, by output.fps, .length and .extend."""
        output = self.config.output
        timeline = speech_timeline(
            film_timeline(plan.survey.pts, film.time_base, film.average_rate),
            speech.extent.frames / HUNDREDTHS,
            fps=output_rate(output.fps),
            length=output.length,
            extend=output.extend,
        )
        drawn = self.config.restore.generator_size / self.model.resolution
        plan = replace(plan, scale=plan.scale * np.float32(drawn))  # the generator is known here
        return lay_out(plan, timeline, chunk_frames=self.model.frames)

    def stage(self, plan: FilmPlan) -> GenerateStage:
        """The generator set up for a plan that has been laid out."""
        fill = self.config.generate.last_chunk == "reflect"
        generator = self._generator
        if generator is None:
            counts = np.bincount(plan.chunks[plan.chunks >= 0])
            generator = self._load([self.model.frames if fill else int(n) for n in counts])
        return GenerateStage(
            generator,
            plan,
            region_mask("lower_face"),
            fill=fill,
            upstream_crops=self.config.face.align == "upstream",
        )

    def windows(
        self, plan: FilmPlan, speech: SpeechFeatures, start: int = 0
    ) -> Iterator[torch.Tensor]:
        """(tokens, C) for each output frame from start on during which there is speech."""
        assert plan.timeline is not None
        return speech.windows_at(plan.timeline.seconds[start : plan.timeline.spoken])

    def _load(self, frame_counts: list[int] | None) -> LipGenerator:
        mask = upstream_mask(self.model.resolution)
        return load_generator(self.config, self.device, mask=mask, frame_counts=frame_counts)


def output_rate(text: str) -> Fraction | None:
    """``output.fps`` -> frames a second; None: the film's own. Raises ConfigError."""
    if text == "source":
        return None
    try:
        rate = Fraction(text)
    except (ValueError, ZeroDivisionError):
        rate = Fraction(0)
    if not 1 <= rate <= 240:
        raise ConfigError("output.fps", text, "use source, or a number from 1 to 240")
    return rate
