"""Lip-sync by unit selection, without weights: reuses mouth frames of the same speaker.

Units of the video are selected by their audio and joined where that is least visible (Video
Rewrite: C. Bregler, M. Covell, M. Slaney, SIGGRAPH 1997), and transplanted into the target frames.
A preview and a baseline: mouth shapes that the video does not show cannot be generated.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from latentsync.generate.base import CEPSTRA, Footage, GenerationRequest
from latentsync.generate.model_spec import face_model
from latentsync.generate.replay.choice import Chosen, choose
from latentsync.generate.replay.database import pack_crops, unpack
from latentsync.generate.replay.head_pose import placement
from latentsync.generate.replay.inputs import LEAST_SPEECH, silent_video, too_little
from latentsync.generate.replay.kind import NAME
from latentsync.generate.replay.transplant import Mouth, Transplanter

if TYPE_CHECKING:
    from latentsync.generate.base import LipGenerator
    from latentsync.runtime.execution import Execution
    from latentsync.settings.schema import Config, ReplayConfig
    from latentsync.types import Chunk

logger = logging.getLogger(__name__)


class Replay:
    """See latentsync.generate.base.LipGenerator and Preparing.

    mask: (R, R) float in [0, 1], 0 where a crop is unchanged.
    """

    name = NAME
    network = False
    audio: str | None = CEPSTRA

    def __init__(self, settings: ReplayConfig, mask: np.ndarray, *, chunk_frames: int) -> None:
        self.size, self.chunk_frames = len(mask), chunk_frames
        self._settings, self._mask = settings, mask

    def __call__(self, chunk: Chunk) -> torch.Tensor:  # noqa: ARG002
        """Raises RuntimeError: call prepare() first."""
        raise RuntimeError("replay takes mouths from a video; call prepare(request) first")

    def prepare(self, request: GenerationRequest) -> LipGenerator:
        """Selects units for the whole request, and loads their mouths.

        Raises MediaError: no audio, or too little speech, in the speaker's video.
        """
        if not (request.chunks >= 0).any():
            return self  # no face during the speech: it will not be called
        if request.speech is None:
            raise RuntimeError("replay needs cepstra; the request holds no speech")
        speaker = request.video
        if self._settings.source is not None:
            logger.info("analyzing %s for its mouths", self._settings.source)
            speaker = request.open_footage(self._settings.source)
        audio = speaker.audio()
        if audio is None:
            raise silent_video(speaker.name)
        if audio.speech_seconds < LEAST_SPEECH:
            raise too_little(speaker.name, audio.speech_seconds)
        chosen, facts = choose(request, speaker, self._settings, audio, request.speech)
        packed = _packed_mouths(speaker, chosen, self.size)
        return PreparedReplay(self.chunk_frames, self._mask, chosen, packed, facts)


class PreparedReplay:
    """A replay of one request. packed: place in chosen.faces -> packed mouth.

    See latentsync.generate.base.LipGenerator and Partial.
    """

    name = NAME
    network = False
    audio: str | None = CEPSTRA

    def __init__(
        self,
        chunk_frames: int,
        mask: np.ndarray,
        chosen: Chosen,
        packed: Mapping[int, bytes],
        facts: dict[str, Any],
    ) -> None:
        self.size, self.chunk_frames, self.facts = len(mask), chunk_frames, facts
        self._chosen, self._packed_mouths = chosen, packed
        self._transplant = Transplanter(mask)

    def __call__(self, chunk: Chunk) -> torch.Tensor:
        """The selected mouths, in the chunk's crops; a crop without one is unchanged."""
        places = np.searchsorted(self._chosen.targets.numbers, chunk.frames)
        return torch.stack(
            [self._generated(crop, int(n)) for crop, n in zip(chunk.crops, places, strict=True)]
        )

    def shown(self, numbers: np.ndarray) -> np.ndarray:
        """(K,) float32 in [0, 1], see Partial."""
        return self._chosen.shown[np.searchsorted(self._chosen.targets.numbers, numbers)]

    def _generated(self, crop: torch.Tensor, n: int) -> torch.Tensor:
        chosen = self._chosen
        place, share = int(chosen.targets.places[n]), float(chosen.share[n])
        if not chosen.shown[n]:
            return crop
        mouths = [self._mouth(int(chosen.path[n]), place, 1 - share)]
        if share:
            mouths.append(self._mouth(int(chosen.partner[n]), place, share))
        points, rest = chosen.target.mouth[place], chosen.target.rest[place]
        return self._transplant(crop, points, rest, mouths, gain=chosen.gain[n])

    def _mouth(self, source: int, target: int, share: float) -> Mouth:
        faces = self._chosen.faces
        placed = placement(self._chosen.target.rest[target], faces.rest[source])
        return Mouth(unpack(self._packed_mouths[source]), faces.mouth[source], placed, share)


def load(
    config: Config,
    _execution: Execution,
    *,
    mask: np.ndarray,
) -> LipGenerator:
    """There are no weights; it runs on the CPU."""
    settings = config.generate.replay
    return Replay(settings, mask, chunk_frames=face_model(config).frames)


def _packed_mouths(speaker: Footage, chosen: Chosen, size: int) -> dict[int, bytes]:
    """Reads and packs each selected mouth once: 30 kB at most."""
    places = np.union1d(chosen.path[chosen.shown > 0], chosen.partner[chosen.share > 0])
    mouths = pack_crops(speaker, chosen.faces.frames[places], size)
    return dict(zip(places.tolist(), mouths, strict=True))
