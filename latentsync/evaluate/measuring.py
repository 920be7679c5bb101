"""Which measures are made for which inputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from latentsync.errors import MediaError
from latentsync.evaluate.heard import HeardAudio
from latentsync.evaluate.measures.face_quality import FaceQuality
from latentsync.evaluate.measures.lips import Lips
from latentsync.evaluate.measures.outside import Outside
from latentsync.evaluate.needs import AFTERWARDS, Lacking
from latentsync.evaluate.networks import Judges
from latentsync.evaluate.pair import Measure
from latentsync.face.speaking_evidence import Speech
from latentsync.pipeline.speaking import measure_speech
from latentsync.settings.schema import Config


@dataclass(frozen=True, slots=True, eq=False)
class Inputs:
    """What measures may use beside frames.

    heard: with the result; None: there is no audio. heard_with_source: None: there is none, or the
    frames of the source are shown at other times than they were filmed at. judges: None: networks
    are left out.
    """

    config: Config
    heard: HeardAudio | None
    heard_with_source: HeardAudio | None = None
    judges: Judges | None = None


def measures_for(inputs: Inputs) -> tuple[list[Measure], Lacking]:
    """New measures, and what some lack (weights, for instance)."""
    measures: list[Measure] = [Outside()]
    networks = dict.fromkeys(("syncnet", "stable_syncnet", "hyperiqa"), AFTERWARDS)
    lacking: dict[Any, str] = {**networks} if inputs.judges is None else {**inputs.judges.lacking}
    if inputs.judges is not None and inputs.judges.face is not None:
        measures.append(FaceQuality(inputs.judges.face))
    if inputs.heard is not None:
        try:
            speech = measure_speech(inputs.heard)
        except (MediaError, ValueError) as error:
            lacking["speech"] = f"the audio cannot be read: {error}"
        else:
            measures.append(Lips(speech, _speech(inputs.heard_with_source)))
    return measures, lacking


def _speech(heard: HeardAudio | None) -> Speech | None:
    try:
        return None if heard is None else measure_speech(heard)
    except (MediaError, ValueError):
        return None
