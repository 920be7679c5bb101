"""Warnings before a video is written: decode issues, several faces, why nothing is restored."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np

from latentsync.face.speaker_choice import ALL
from latentsync.pipeline.planning.plan import RenderPlan
from latentsync.pipeline.speakers import Speaker
from latentsync.restoration.gate import MouthState
from latentsync.settings.schema import Config

if TYPE_CHECKING:
    from latentsync.pipeline.lane import Lane
    from latentsync.pipeline.session import Session

logger = logging.getLogger(__name__)

SELECTED = {
    "largest": "the largest person",
    "left": "the leftmost person",
    "right": "the rightmost person",
    "auto": "the person who speaks",
}
"""face.speaker -> the selected person, in words."""

LISTED = 5
"""Shots without a speaker that a sentence names; more are counted."""
FORCE = "use restore.when=always to force"


def plan_warnings(session: Session, plan: RenderPlan) -> list[str]:
    """Logs the warnings and returns them, one sentence each."""
    source, warnings = session.source, []
    if source.issues:
        warnings.append(f"{source.info.path}: {source.issues}")
    faceless = int((plan.analysis.people == 0).sum())
    if faceless:
        total = len(plan.analysis)
        left = "frames without a detected face are left unmodified"
        warnings.append(f"{faceless} of {total} {left}")
    warnings += _selected(session, plan.analysis.people)
    for lane in session.lanes:
        warnings += [*lane.notes, *_doubts(lane)]
    automatic = not session.speaks and session.config.restore.when == "auto"
    if automatic and not any(one.strength.any() for one in plan.speakers):
        warnings.append(_why_nothing_is_restored(session.config, plan))
    for warning in warnings:
        logger.warning(warning)
    if session.new_speech is not None:  # which has logged its own
        warnings += session.new_speech.notes
    return warnings


def _selected(session: Session, people: np.ndarray) -> list[str]:
    """people: (F,) int, faces detected in each frame -> a sentence where there were several."""
    config = session.config
    most, several = int(people.max(initial=0)), int((people > 1).sum())
    if not several:
        return []
    least = "at least " if most >= config.face.max_faces else ""
    frames = f"{several} of {len(people)} frames show several"
    seen = f"{least}{most} faces were detected at once ({frames})"
    if config.as_upstream:
        return [f"{seen}; the largest face of each frame was selected (compat={config.compat})"]
    speakers = [lane.speaker for lane in session.lanes if lane.speaker is not None]
    if not speakers:  # the plan was made before
        return []
    total, verb = len(session.people.all), "was" if len(speakers) == 1 else "were"
    if speakers[0].choices == (ALL,):
        return _left_out(len(speakers), total)
    chosen = " and ".join(_in_words(one, total) for one in speakers)
    return [f"{seen}; {chosen} {verb} selected: --speaker selects another"]


def _left_out(chosen: int, total: int) -> list[str]:
    what = f"the {chosen} largest of {total} people were selected: face.max_faces takes more"
    return [what] if chosen < total else []


def _in_words(speaker: Speaker, total: int) -> str:
    named = speaker.choices[0]
    who = SELECTED.get(named.lower(), f"the person at {named}" if "," in named else "person")
    return f"{who} ({speaker.person.number} of {total})"


def _doubts(lane: Lane) -> list[str]:
    """Sentences where it is not clear that this is who speaks, and on shots without this person."""
    if lane.speaker is None or lane.speaker.choices == (ALL,):
        return []
    doubt, number = [], lane.speaker.person.number
    if len(lane.speaker.choices) > 1:
        named = " and ".join(lane.speaker.choices)
        doubt.append(f"{named} are one person of this video ({number}), whose mouth says it all")
    if lane.speaker.uncertain:
        doubt.append("it is uncertain who speaks most in this video; see --list-speakers")
    spans = lane.speaker.selection.absent
    if not spans:
        return doubt
    times = ", ".join(f"{start:.2f} to {stop:.2f} s" for start, stop in spans[:LISTED])
    more = f" and {len(spans) - LISTED} more" if len(spans) > LISTED else ""
    return [
        *doubt,
        f"shots without person {number}: {times}{more}; nothing is done for that person there",
    ]


def _why_nothing_is_restored(config: Config, plan: RenderPlan) -> str:
    """With the figures that the gate used."""
    restore, seen = config.restore, plan.track >= 0
    scale = float(np.median(plan.scale[seen]))
    if scale < restore.min_scale:
        figures = f"median scale {scale:.2f}, restore.min_scale {restore.min_scale:g}"
        return f"the face is too small in the frame to gain from restoration ({figures}); {FORCE}"
    known = plan.blur[~np.isnan(plan.blur)]
    if not len(known):
        return f"the blur of the mouth could not be measured in any frame; {FORCE}"
    figures = f"median probability {np.median(known):.2f}, restore.blur_on {restore.blur_on:g}"
    if (plan.mouth_state == MouthState.UNCERTAIN).any():
        gentle = "restore.uncertain=gentle restores such mouths at half strength"
        return f"the mouth may be blurred, which is uncertain ({figures}); {gentle}, or {FORCE}"
    frames = "no mouth is" if known.max() <= restore.blur_on else "too few in a row are"
    against = "the face" if restore.reference is None else "the person's own mouth"
    return f"{frames} blurred against {against} ({figures}); {FORCE}"
