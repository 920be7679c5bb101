"""Which measures are made for which inputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from latentsync.errors import MediaError
from latentsync.evaluate.heard import HeardAudio
from latentsync.evaluate.measures.akd import KeypointDistance
from latentsync.evaluate.measures.face_quality import FaceQuality
from latentsync.evaluate.measures.jitter import Jitter
from latentsync.evaluate.measures.lips import Lips
from latentsync.evaluate.measures.outside import Outside
from latentsync.evaluate.measures.pixels import PixelMeasure
from latentsync.evaluate.needs import AFTERWARDS, OTHER_SPEECH, UNREADABLE, Lacking
from latentsync.evaluate.networks import Judges
from latentsync.evaluate.pair import Measure, OfNewMouths
from latentsync.face.speaking_evidence import Speech
from latentsync.pipeline.speaking import measure_speech
from latentsync.settings.schema import Config
from latentsync.speech.acoustic import Acoustics, compute_acoustics

_SAME = 0.95
"""Correlation of the levels of two audios from which they are the same speech."""


@dataclass(frozen=True, slots=True, eq=False)
class Inputs:
    """What measures may use beside frames.

    heard: with the result; None: there is no audio. heard_with_source: None: there is none, or the
    frames of the source are shown at other times than they were filmed at. judges: None: networks
    are left out. generated: whether the mouth was made for new speech; None: not known.
    """

    config: Config
    heard: HeardAudio | None
    heard_with_source: HeardAudio | None = None
    judges: Judges | None = None
    generated: bool | None = None


def measures_for(inputs: Inputs) -> tuple[list[Measure], Lacking]:
    """New measures, and what some lack (weights, for instance)."""
    mouths = OfNewMouths if inputs.generated else _unchanged
    measures: list[Measure] = [mouths(PixelMeasure()), Outside()]
    networks = dict.fromkeys(("syncnet", "stable_syncnet", "hyperiqa"), AFTERWARDS)
    lacking: dict[Any, str] = {**networks} if inputs.judges is None else {**inputs.judges.lacking}
    if inputs.judges is not None and inputs.judges.face is not None:
        measures.append(mouths(FaceQuality(inputs.judges.face)))
    audio = own = _audio(inputs.heard)
    if inputs.heard_with_source is not inputs.heard:
        own = _audio(inputs.heard_with_source)
    same = not inputs.generated if inputs.generated is not None else _alike(audio, own)
    if audio is not None:
        measures.append(_lips(audio, audio if same and own is not None else own))
    elif inputs.heard is not None:
        lacking["speech"] = UNREADABLE
    measures.append(mouths(Jitter(same_speech=same)))
    if same:
        measures.append(KeypointDistance())
    else:
        lacking["same_speech"] = OTHER_SPEECH
    return measures, lacking


def _unchanged(measure: Measure) -> Measure:
    return measure


@dataclass(frozen=True, slots=True, eq=False)
class _Audio:
    """What lips are compared with."""

    speech: Speech
    acoustics: Acoustics


def _lips(audio: _Audio, own: _Audio | None) -> Lips:
    if own is None:
        return Lips(audio.speech, acoustics=audio.acoustics)
    return Lips(audio.speech, own.speech, acoustics=audio.acoustics, source_acoustics=own.acoustics)


def _audio(heard: HeardAudio | None) -> _Audio | None:
    """None: there is none, or it cannot be read."""
    try:
        if heard is None:
            return None
        acoustics = compute_acoustics(heard)
        return _Audio(measure_speech(heard, acoustics), acoustics)
    except (MediaError, ValueError):
        return None


def _alike(one: _Audio | None, other: _Audio | None) -> bool:
    """Whether the levels of two audios rise and fall together."""
    if one is None or other is None:
        return False
    both = [each.speech.signals[:, 0] for each in (one, other)]
    count = min(map(len, both))
    levels = np.stack([each[:count] for each in both])
    return bool(levels.std(axis=1).all() and np.corrcoef(levels)[0, 1] > _SAME)
