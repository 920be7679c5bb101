"""Chooses the mouth of each target frame: database, cheeks, regression and selection in a row."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from latentsync.generate.base import AudioFeatures, Footage, GenerationRequest
from latentsync.generate.replay.costs import Costs, Wanted
from latentsync.generate.replay.database import UnitDatabase
from latentsync.generate.replay.fit import Cheeks, shown_shares, skin_gain, spans
from latentsync.generate.replay.inputs import (
    Faces,
    TargetFrames,
    build_database,
    find_cheeks,
    find_faces,
    kept_faces,
    target_frames,
)
from latentsync.generate.replay.lips import LOW_CONFIDENCE, MARGIN, LipRegression, fit_lips
from latentsync.generate.replay.selection import dissolves, joins, select, units

if TYPE_CHECKING:
    from latentsync.settings.schema import ReplayConfig

logger = logging.getLogger(__name__)

ENOUGH_SPEECH = 8.0  # seconds (r 0.50; 16 s: 0.59)
CLOSED = 10  # percentile of the aperture that counts as closed


@dataclass(frozen=True, slots=True, eq=False)
class Chosen:
    """The selected mouths for the N target frames.

    targets: their numbers, and the places of their faces in ``target``, the target video's faces.
    faces: the speaker's. shown: (N,) float32 in [0, 1], the share of its mouth that is shown.
    path, partner: (N,) int, places in faces; -1: none. share: (N,) of the partner, in the dissolve
    between two units; 0: none. gain: (N, 3), of the skin's colour from the mouth's frame.
    """

    targets: TargetFrames
    target: Faces
    faces: Faces
    shown: np.ndarray
    path: np.ndarray
    partner: np.ndarray
    share: np.ndarray
    gain: np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class _Inputs:
    """What is selected from and for. kept: (M,) int, places of the database's frames in faces.

    identity: (K,) int, of each face. cheeks, aimed: of the speaker's faces and of the target's.
    """

    faces: Faces
    target: Faces
    identity: np.ndarray
    targets: TargetFrames
    database: UnitDatabase
    kept: np.ndarray
    cheeks: Cheeks
    aimed: Cheeks


def choose(
    request: GenerationRequest,
    speaker: Footage,
    settings: ReplayConfig,
    audio: AudioFeatures,
    speech: AudioFeatures,
) -> tuple[Chosen, dict[str, Any]]:
    """The mouths, and facts for the report. audio: of the speaker's video. speech: the new one.

    Raises MediaError: too little speech of a face in the target frames.
    """
    itself = request.video is speaker
    inputs = _inputs(request, speaker, audio, itself=itself)
    database, targets = inputs.database, inputs.targets
    exclude = settings.exclude_seconds if itself else 0.0
    regression = fit_lips(
        database.features, database.lips, database.seconds, margin=max(MARGIN, exclude)
    )
    _warn(speaker.name, audio.speech_seconds, regression)
    wanted = targets.wanted(
        inputs.target, inputs.aimed, inputs.identity, speech, regression, held_out=exclude > 0
    )
    path = select(
        database,
        _checked(wanted, request.check),
        Costs(silence=settings.silence_weight),
        reliability=regression.reliability,
        closed=float(np.percentile(database.lips[:, 0], CLOSED)),
        exclude_seconds=exclude,
    )
    chosen, facts = _chosen(inputs, path)
    if facts["frames_without_unit"]:
        text = (
            "%s: %d frames keep their own mouth: none of the video fits their head pose and cheeks"
        )
        logger.warning(text, request.video.name, facts["frames_without_unit"])
    return chosen, {
        "speech_seconds": round(audio.speech_seconds, 1),
        "lip_audio_correlation": [round(float(r), 2) for r in regression.reliability],
        "database_frames": len(database),
        **facts,
    }


def _inputs(
    request: GenerationRequest, speaker: Footage, audio: AudioFeatures, *, itself: bool
) -> _Inputs:
    """itself: whether the mouths come from the target video."""
    faces = find_faces(speaker)
    target = faces if itself else find_faces(request.video)
    # Another video is taken to show the same identity throughout, as the user names it.
    identity = np.zeros(max(len(faces.frames), len(target.frames)), np.int64)
    if itself:
        identity = speaker.people()[faces.frames]
    targets = target_frames(request, target, itself=itself)
    whose, speaking = identity[: len(faces.frames)], identity[targets.places]
    kept = kept_faces(speaker, faces, whose, audio, speaking=speaking)
    seen = np.union1d(kept, targets.places) if itself else kept
    cheeks = aimed = find_cheeks(speaker, faces, seen, request.check)
    if not itself:
        aimed = find_cheeks(request.video, target, targets.places, request.check)
    database = build_database(speaker, faces, kept, cheeks, identity=whose, audio=audio)
    return _Inputs(faces, target, identity, targets, database, kept, cheeks, aimed)


def _chosen(inputs: _Inputs, path: np.ndarray) -> tuple[Chosen, dict[str, Any]]:
    """path: (N,) int, frames of the database; -1: none fits."""
    targets, database, kept = inputs.targets, inputs.database, inputs.kept
    shown = shown_shares(path >= 0, targets.seconds, targets.begins)
    some = np.flatnonzero(shown)
    begins = targets.begins[some] | (np.diff(some, prepend=some[:1]) > 1)
    run = database, path[some], targets.seconds[some]
    parting, (partner, share) = joins(*run, begins), dissolves(*run, begins)
    whole = np.full((2, len(path)), -1)
    whole[:, some] = kept[path[some]], kept[partner]
    shares, gain = np.zeros(len(path), np.float32), np.ones((len(path), 3))
    shares[some] = share
    gain[some] = skin_gain(
        inputs.aimed.skins(targets.places[some]), inputs.cheeks.skins(whole[0, some])
    )
    facts = {
        "unit_joins": int(parting.sum()),
        "units": units(*run, parting | begins),
        "frames_without_unit": int((shown == 0).sum()),
        "spans_without_unit": spans(shown == 0, targets.seconds),
    }
    return Chosen(
        targets, inputs.target, inputs.faces, shown, whole[0], whole[1], shares, gain
    ), facts


def _checked(parts: Iterable[Wanted], check: Callable[[], None]) -> Iterator[Wanted]:
    for part in parts:
        check()
        yield part


def _warn(name: str, spoken: float, regression: LipRegression) -> None:
    if regression.low_confidence:
        text = "%s: low confidence: the lips hardly follow the audio (r %.2f, usually %.1f or more)"
        logger.warning(text, name, regression.reliability[0], LOW_CONFIDENCE)
    if spoken < ENOUGH_SPEECH:
        text = "%s: low confidence: %.1f s of speech in the video, %g s are recommended"
        logger.warning(text, name, spoken, ENOUGH_SPEECH)
