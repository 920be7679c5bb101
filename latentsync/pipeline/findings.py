"""Warnings before a video is written: decode issues, several faces, why nothing is restored."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np

from latentsync.pipeline.planning.plan import RenderPlan
from latentsync.restoration.gate import MouthState
from latentsync.settings.schema import Config

if TYPE_CHECKING:
    from latentsync.pipeline.session import Session

logger = logging.getLogger(__name__)

SELECTED = {
    "largest": "the largest face",
    "left": "the leftmost face",
    "right": "the rightmost face",
}
"""face.speaker -> the selected face, in words."""

FORCE = "use restore.when=always to force"


def plan_warnings(session: Session, plan: RenderPlan) -> list[str]:
    """Logs the warnings and returns them, one sentence each."""
    source, warnings = session.source, []
    if source.issues:
        warnings.append(f"{source.info.path}: {source.issues}")
    if source.info.dropped:
        warnings.append(f"not carried over: {', '.join(source.info.dropped)}")
    faceless = int((plan.analysis.tracks < 0).sum())
    if faceless:
        total = len(plan.analysis)
        left = "frames without a detected face are left unmodified"
        warnings.append(f"{faceless} of {total} {left}")
    warnings += _selected_face(session.config, plan.analysis.people)
    automatic = session.audio is None and session.config.restore.when == "auto"
    if automatic and not plan.strength.any():
        warnings.append(_why_nothing_is_restored(session.config, plan))
    for warning in warnings:
        logger.warning(warning)
    return warnings


def _selected_face(config: Config, people: np.ndarray) -> list[str]:
    """people: (F,) int, faces detected in each frame -> a sentence where there were several."""
    most, several = int(people.max(initial=0)), int((people > 1).sum())
    if not several:
        return []
    least = "at least " if most >= config.face.max_faces else ""
    frames = f"{several} of {len(people)} frames show several"
    seen = f"{least}{most} faces were detected at once ({frames})"
    if config.as_upstream:
        return [f"{seen}; the largest face of each frame was selected (compat={config.compat})"]
    selected = SELECTED[config.face.speaker]
    others = " or ".join(name for name in SELECTED if name != config.face.speaker)
    return [f"{seen}; {selected} of each shot was selected: face.speaker={others} selects another"]


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
