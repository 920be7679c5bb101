"""The people of a video, for choosing one: portraits, and when each seems to talk."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from latentsync.face.people import Person
from latentsync.face.portraits import SIDE
from latentsync.media.probe import probe
from latentsync.pipeline.session import Session
from latentsync.pipeline.who_speaks import SpeakingPeople
from latentsync.server.views import PersonView
from latentsync.server.work.asked import Asked
from latentsync.server.work.here import Here
from latentsync.settings.load import config_of
from latentsync.settings.schema import Config

_GREY = 128
_SPEAKING = 0.8  # share of the request at which pass 1 has ended


def people_of_request(asked: Asked, here: Here) -> dict[str, Any]:
    """See process.py. Raises as Session.observe does."""
    config = as_watched(config_of(asked.arguments["config"]))
    info = probe(str(config.input.video))
    engine = here.engines.of(config)
    with here.analyses.of(config, asked.check) as seen:
        session = Session(engine, info, config=config, observed=seen.analysis)
        with asked.uses(session):
            seen.analysis = session.observe(asked.progress(0.0, _SPEAKING))
            people = session.people.all
            asked.reach(_SPEAKING, "finding who speaks")
            speaking = session.people.speaking
    times = seen.analysis.pts_seconds
    length = float(times[-1]) + 1 / float(info.average_rate)
    return {"people": [asdict(_view(one, speaking, length, asked.folder)) for one in people]}


def as_watched(config: Config) -> Config:
    """Settings by which a video is looked at, and nothing is made of it."""
    return replace(
        config,
        compat=None,
        input=replace(config.input, audio=None),
        restore=replace(config.restore, name="none", reference=None),
        speakers=[],
    )


def _view(person: Person, speaking: SpeakingPeople, length: float, folder: Path) -> PersonView:
    portrait = f"person-{person.number}.jpg"
    (folder / portrait).write_bytes(_portrait(person))
    spans = tuple(speaking.spans.get(person.number, ())) if speaking.evidence else None
    return PersonView(
        speaker=str(person.number),
        portrait=portrait,
        seconds=round(float(person.seconds), 3),
        share=min(1.0, float(person.seconds) / length),
        speaks=spans,
        uncertain=speaking.uncertain,
    )


def _portrait(person: Person) -> bytes:
    """JPEG: the best one; grey where there is none."""
    if person.portraits:
        return max(person.portraits, key=lambda one: one.quality).jpeg
    return bytes(cv2.imencode(".jpg", np.full((SIDE, SIDE, 3), _GREY, np.uint8))[1])
