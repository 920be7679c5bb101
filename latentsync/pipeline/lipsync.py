"""New speech for a film: what hears it, and what draws the mouths for it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch

from latentsync.errors import ConfigError, MediaError
from latentsync.face.masks import region_mask, upstream_mask
from latentsync.generate.base import LipGenerator, Rehearsing, Script, load_generator
from latentsync.generate.settings import WHISPER, face_model, hears_whisper, weights_wanted
from latentsync.media.audio import AudioReader
from latentsync.media.probe import VideoInfo
from latentsync.media.reader import VideoReader
from latentsync.pipeline.analysis import SourceAnalysis
from latentsync.pipeline.footage import film_footage
from latentsync.pipeline.plan import FilmPlan, lay_out
from latentsync.pipeline.stages.generate import GenerateStage
from latentsync.pipeline.timeline import film_timeline, speech_timeline
from latentsync.runtime.execution import Execution
from latentsync.runtime.network import Networks, Part
from latentsync.schema import Config
from latentsync.speech import encoder as whisper
from latentsync.speech.features import AcousticFeatures, Encoder, SpeechFeatures
from latentsync.speech.mel import N_MELS, SEGMENT_FRAMES
from latentsync.types import Frame
from latentsync.weights.find import find_all
from latentsync.weights.load import build, introduce

HUNDREDTHS = 100  # mel frames a second
SHOWN = "lower_face"  # what of a generated face is shown; see face.masks
SILENCE = -6.0  # log10 of the loudest energy of any band; the quietest speech has more than -2

WHOLE = Part("encoder", lambda net: net)

Speech = SpeechFeatures | AcousticFeatures
Watch = Callable[[Iterable[Frame]], SourceAnalysis]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Performance:
    """New speech for one film, and who draws the mouths for it."""

    speech: Speech
    generator: LipGenerator


class LipSync:
    """Speech encoder and lip generator of one configuration, good for any number of films.

    Raises ConfigError and CheckpointError.
    """

    def __init__(self, config: Config, execution: Execution) -> None:
        self.config, self.execution = config, execution
        self.model = face_model(config)
        self.encoder = self._load_encoder() if hears_whisper(config) else None
        self._generator: LipGenerator | None = None
        if config.generate.noise != "upstream":
            self._generator = self._load(None)

    def listen(self, audio: Path) -> Speech:
        """Measures the speech, in one pass. Raises MediaError: unreadable, or too short to use."""
        sound, encoder = AudioReader(audio), self.encoder
        speech = AcousticFeatures(sound) if encoder is None else SpeechFeatures(sound, encoder)
        if not len(speech):
            raise MediaError("the speech is too short", audio, "give at least 0.02 seconds of it")
        if speech.extent.peak < SILENCE:
            logger.warning("%s is silent: the mouth is drawn for silence", audio)
        return speech

    def lay_out(self, plan: FilmPlan, film: VideoInfo, speech: Speech) -> FilmPlan:
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

    def perform(self, plan: FilmPlan, film: Path, speech: Speech, watch: Watch) -> Performance:
        """The generator made ready for a plan that has been laid out.

        film: what the plan was made of. watch: pass 1, for a film of the speaker that is another.
        Raises a LatentSyncError where the generator cannot draw this film, or this speech.
        """
        generator = self._generator
        if generator is None:
            counts = np.bincount(plan.chunks[plan.chunks >= 0])
            generator = self._load([self.model.frames if self._fill else int(n) for n in counts])
        if isinstance(generator, Rehearsing):
            assert isinstance(speech, AcousticFeatures), "who rehearses is given cepstra"
            generator = generator.rehearsed(self._script(plan, film, speech, watch))
        return Performance(speech, generator)

    def stage(self, plan: FilmPlan, generator: LipGenerator) -> GenerateStage:
        """Draws the chunks of a plan that has been laid out."""
        return GenerateStage(
            generator,
            plan,
            region_mask(SHOWN),
            fill=self._fill,
            upstream_crops=self.config.face.align == "upstream",
        )

    def windows(self, plan: FilmPlan, speech: Speech, start: int = 0) -> Iterator[torch.Tensor]:
        """(tokens, C) for each output frame from start on during which there is speech."""
        assert plan.timeline is not None
        return speech.windows_at(plan.timeline.seconds[start : plan.timeline.spoken])

    @property
    def _fill(self) -> bool:
        return self.config.generate.last_chunk == "reflect"

    def _load_encoder(self) -> Encoder:
        """In float32 always: half a minute of speech takes less time than a frame's mouth."""
        width, device = self.model.audio, self.execution.device
        path = find_all(weights_wanted(self.config), folders=self.config.weights.folders)[0]
        make, file = whisper.ENCODERS[width], WHISPER[width]
        introduce(file, path)
        networks = Networks(
            lambda dtype: build(
                make, file, path, device, part=whisper.PART, dtype=dtype, introduced=True
            ),
            name=f"Whisper, {width}",
            checkpoint=path,
            execution=replace(self.execution, dtype=torch.float32),
            sources=[whisper],
        )
        run = networks.part(WHOLE, torch.zeros(1, N_MELS, SEGMENT_FRAMES))
        return lambda mel: run(mel)[0]

    def _load(self, frame_counts: list[int] | None) -> LipGenerator:
        mask = upstream_mask(self.model.resolution)
        return load_generator(self.config, self.execution, mask=mask, frame_counts=frame_counts)

    def _script(self, plan: FilmPlan, film: Path, speech: AcousticFeatures, watch: Watch) -> Script:
        line = plan.timeline
        assert line is not None, "new speech lays the film out anew"
        footage = speaker = film_footage(film, plan.survey)
        other = self.config.generate.replay.source
        if other is not None:
            logger.info("looking at %s for mouths", other)
            speaker = film_footage(Path(other), watch(VideoReader(other)))
        return Script(footage, speaker, line.seconds, line.source, plan.chunks, speech.acoustics)


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
