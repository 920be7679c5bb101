"""Lip-sync by unit selection, without weights: reuses mouth frames of the same speaker.

Units of the video are selected by their audio and joined where that is least visible (Video
Rewrite: C. Bregler, M. Covell, M. Slaney, SIGGRAPH 1997), and transplanted into the target frames.
A preview and a baseline: mouth shapes that the video does not show cannot be generated.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from latentsync.generate.base import CEPSTRA, Footage, GenerationRequest
from latentsync.generate.model_spec import face_model
from latentsync.generate.replay.costs import Costs, Wanted
from latentsync.generate.replay.database import pack, unpack
from latentsync.generate.replay.head_pose import placement
from latentsync.generate.replay.inputs import (
    LEAST_SPEECH,
    Faces,
    TargetFrames,
    build_database,
    find_faces,
    silent_video,
    target_frames,
    too_little,
)
from latentsync.generate.replay.lips import LOW_CONFIDENCE, MARGIN, LipRegression, fit_lips
from latentsync.generate.replay.selection import dissolves, joins, select, units
from latentsync.generate.replay.transplant import Mouth, Transplanter

if TYPE_CHECKING:
    from latentsync.generate.base import LipGenerator
    from latentsync.runtime.execution import Execution
    from latentsync.settings.schema import Config, ReplayConfig
    from latentsync.types import Chunk

logger = logging.getLogger(__name__)

ENOUGH_SPEECH = 8.0  # seconds (r 0.50; 16 s: 0.59)
CLOSED = 10  # percentile of the aperture that counts as closed


class Replay:
    """See latentsync.generate.base.LipGenerator and Preparing.

    mask: (R, R) float in [0, 1], 0 where a crop is unchanged.
    """

    name = "replay"
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
        settings, speaker = self._settings, request.video
        if settings.source is not None:
            logger.info("analyzing %s for its mouths", settings.source)
            speaker = request.open_footage(settings.source)
        audio = speaker.audio()
        if audio is None:
            raise silent_video(speaker.name)
        spoken = audio.speech_seconds
        if spoken < LEAST_SPEECH:
            raise too_little(speaker.name, spoken)
        faces = find_faces(speaker)
        itself = request.video is speaker
        target = faces if itself else find_faces(request.video)
        # Another video is taken to show the same identity throughout, as the user names it.
        identity = np.zeros(max(len(faces.frames), len(target.frames)), np.int64)
        if itself:
            identity = speaker.people()[faces.frames]
        targets = target_frames(request, target, itself=itself)
        whose = identity[: len(faces.frames)]
        database, kept = build_database(
            speaker, faces, whose, audio, speaking=identity[targets.places]
        )
        exclude = settings.exclude_seconds if itself else 0.0
        regression = fit_lips(
            database.features, database.lips, database.seconds, margin=max(MARGIN, exclude)
        )
        _warn(speaker.name, spoken, regression)
        wanted = targets.wanted(target, identity, request.speech, regression, held_out=exclude > 0)
        path = select(
            database,
            _checked(wanted, request.check),
            Costs(silence=settings.silence_weight),
            reliability=regression.reliability,
            closed=float(np.percentile(database.lips[:, 0], CLOSED)),
            exclude_seconds=exclude,
        )
        parting = joins(database, path, targets.seconds, targets.begins)
        partner, share = dissolves(database, path, targets.seconds, targets.begins)
        facts = {
            "speech_seconds": round(spoken, 1),
            "lip_audio_correlation": [round(float(r), 2) for r in regression.reliability],
            "unit_joins": int(parting.sum()),
            "database_frames": len(database),
            "units": units(database, path, targets.seconds, parting | targets.begins),
        }
        chosen = Chosen(targets, target, faces, kept[path], kept[partner], share)
        packed = _packed_mouths(speaker, chosen, self.size)
        return PreparedReplay(self.chunk_frames, self._mask, chosen, packed, facts)


@dataclass(frozen=True, slots=True, eq=False)
class Chosen:
    """The selected mouths for the N target frames.

    target, faces: faces of the target video, and of the speaker's. path, partner: (N,) int, places
    in faces. share: (N,) of the partner, in the dissolve between two units; 0: none.
    """

    targets: TargetFrames
    target: Faces
    faces: Faces
    path: np.ndarray
    partner: np.ndarray
    share: np.ndarray


class PreparedReplay:
    """A replay of one request. packed: place in chosen.faces -> packed mouth."""

    name = "replay"
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
        """The selected mouths, in the chunk's crops."""
        places = np.searchsorted(self._chosen.targets.numbers, chunk.frames)
        return torch.stack(
            [self._generated(crop, int(n)) for crop, n in zip(chunk.crops, places, strict=True)]
        )

    def _generated(self, crop: torch.Tensor, n: int) -> torch.Tensor:
        chosen = self._chosen
        place, share = int(chosen.targets.places[n]), float(chosen.share[n])
        mouths = [self._mouth(int(chosen.path[n]), place, 1 - share)]
        if share:
            mouths.append(self._mouth(int(chosen.partner[n]), place, share))
        target = chosen.target
        return self._transplant(crop, target.mouth[place], target.rest[place], mouths)

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
    """The loader in the table GENERATORS. There are no weights; it runs on the CPU."""
    settings = config.generate.replay
    return Replay(settings, mask, chunk_frames=face_model(config).frames)


def _checked(parts: Iterable[Wanted], check: Callable[[], None]) -> Iterator[Wanted]:
    for part in parts:
        check()
        yield part


def _packed_mouths(speaker: Footage, chosen: Chosen, size: int) -> dict[int, bytes]:
    """Reads and packs each selected mouth once: 30 kB at most."""
    places = np.union1d(chosen.path, chosen.partner[chosen.share > 0])
    crops = speaker.crops(chosen.faces.frames[places], size)
    return {
        int(place): pack(((crop + 1) * 127.5).round().to(torch.uint8).permute(1, 2, 0).numpy())
        for place, crop in zip(places, crops, strict=True)
    }


def _warn(name: str, spoken: float, regression: LipRegression) -> None:
    if regression.low_confidence:
        text = "%s: low confidence: the lips hardly follow the audio (r %.2f, usually %.1f or more)"
        logger.warning(text, name, regression.reliability[0], LOW_CONFIDENCE)
    if spoken < ENOUGH_SPEECH:
        text = "%s: low confidence: %.1f s of speech in the video, %g s are recommended"
        logger.warning(text, name, spoken, ENOUGH_SPEECH)
