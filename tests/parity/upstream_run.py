"""LatentSync's run assembled by hand, so that a test can check the values between its steps.

Every step is the library's; only their order stands here.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from latentsync.face import upstream
from latentsync.face.detector import load_detector
from latentsync.face.landmarks import CONTROL
from latentsync.face.masks import upstream_mask
from latentsync.generate.base import LipGenerator, Preparing
from latentsync.generate.model_spec import WHISPER
from latentsync.generate.table import load_generator
from latentsync.media.audio.reader import AudioReader
from latentsync.media.reader import VideoReader
from latentsync.pipeline.planning.upstream_timeline import (
    UPSTREAM_FPS,
    UpstreamTimeline,
    at_upstream_rate,
    upstream_timeline,
)
from latentsync.runtime.execution import REFERENCE
from latentsync.settings.load import load_config
from latentsync.settings.schema import Config
from latentsync.speech.encoder import ENCODERS, PART
from latentsync.speech.features import SpeechFeatures
from latentsync.types import Chunk, Frame
from latentsync.weights.load import build
from tests.generate.conftest import request


@dataclass(frozen=True, eq=False)
class UpstreamRun:
    """F source frames, N output frames, R: size of the face. Everything is made when asked for."""

    config: Config

    @classmethod
    def of(cls, settings: dict[str, Any]) -> UpstreamRun:
        """settings: sections of a configuration."""
        return cls(load_config(flags=flattened(settings)))

    @property
    def resolution(self) -> int:
        return int(self.config.data["resolution"])

    @cached_property
    def video(self) -> list[Frame]:
        return list(VideoReader(str(self.config.input.video)))

    @cached_property
    def points(self) -> np.ndarray:
        """(F, 3, 2)."""
        detector = load_detector(self.config.face.detector)
        return np.stack([detector(frame.pixels)[0].landmarks[CONTROL] for frame in self.video])

    @cached_property
    def speech(self) -> SpeechFeatures:
        width, path = self.config.model["cross_attention_dim"], self.config.generate.whisper
        encoder = build(
            ENCODERS[width], WHISPER[width], Path(str(path)), REFERENCE.device, part=PART
        )
        return SpeechFeatures(AudioReader(str(self.config.input.audio)), encoder)

    @cached_property
    def timeline(self) -> UpstreamTimeline:
        rate = VideoReader(str(self.config.input.video)).info.average_rate
        seconds = np.array([frame.pts_seconds for frame in self.video])
        return upstream_timeline(
            len(self.speech),
            at_upstream_rate(seconds, seconds[-1] + 1 / float(rate)),
            np.ones(len(self.video), bool),
            chunk_frames=self.config.data["num_frames"],
        )

    @cached_property
    def matrices(self) -> np.ndarray:
        """(N, 2, 3) float32, frame -> aligned crop at R."""
        line = self.timeline
        return upstream.upstream_matrices(self.points[line.resampled], self.resolution)[
            line.position
        ]

    @cached_property
    def faces(self) -> np.ndarray:
        """(N, R, R, 3) uint8."""
        shown = zip(self.timeline.source, self.matrices, strict=True)
        return np.stack(
            [upstream.face_at(self.video[i].pixels, m, self.resolution) for i, m in shown]
        )

    @cached_property
    def windows(self) -> Tensor:
        """(N, tokens, C) float32."""
        return torch.stack(list(self.speech.windows(UPSTREAM_FPS)))

    @cached_property
    def chunks(self) -> list[Chunk]:
        crops = torch.stack([upstream.network_input(face) for face in self.faces])
        numbers = np.arange(len(self.timeline))
        return [
            Chunk(number, crops[inside], self.windows[inside], numbers[inside])
            for number in range(len(self.timeline.chunk_lengths))
            if (inside := self.timeline.chunk == number).any()
        ]

    @cached_property
    def generated(self) -> Tensor:
        """(N, 3, R, R) float32 RGB, about [-1, 1], after the mask composite."""
        generator = self.generator(self.timeline.chunk_lengths)
        return torch.cat([generator(chunk) for chunk in self.chunks])

    @cached_property
    def final(self) -> np.ndarray:
        """(N, H, W, 3) uint8 RGB."""
        made = zip(self.timeline.source, self.generated, self.matrices, strict=True)
        return np.stack(
            [upstream.paste(self.video[i].pixels, face, matrix) for i, face, matrix in made]
        )

    def generator(self, chunk_lengths: list[int]) -> LipGenerator:
        """With noise in upstream's order for chunks of those lengths."""
        mask = upstream_mask(self.resolution)
        generator = load_generator(self.config, REFERENCE, mask=mask)
        assert isinstance(generator, Preparing)
        return generator.prepare(request(chunk_lengths))


def flattened(sections: dict[str, Any]) -> dict[str, Any]:
    """Dotted key -> value."""
    flat: dict[str, Any] = {}
    for name, section in sections.items():
        inner = section.items() if isinstance(section, dict) else ()
        flat |= {f"{name}.{key}": value for key, value in inner} or {name: section}
    return flat
