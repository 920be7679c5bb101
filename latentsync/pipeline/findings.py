"""What is worth a line before a video is written: damage, people, and why nothing is restored."""

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

TAKEN = {
    "largest": "the largest face",
    "left": "the leftmost face",
    "right": "the rightmost face",
}
"""By face.select, who that is."""

FORCE = "use restore.when=always to force"


def found(session: Session, plan: RenderPlan) -> list[str]:
    """A sentence for each; they are logged as warnings."""
    source, warnings = session.source, []
    if source.issues:
        warnings.append(f"{source.info.path}: {source.issues}")
    if source.info.dropped:
        warnings.append(f"not carried over: {', '.join(source.info.dropped)}")
    faceless = int((plan.analysis.tracks < 0).sum())
    if faceless:
        total = len(plan.analysis)
        warnings.append(f"{faceless} of {total} frames without a face stay as they are")
    warnings += _who_was_taken(session.config, plan.analysis.people)
    automatic = session.audio is None and session.config.restore.when == "auto"
    if automatic and not plan.strength.any():
        warnings.append(_why_nothing_is_restored(session.config, plan))
    for warning in warnings:
        logger.warning(warning)
    return warnings


def _who_was_taken(config: Config, people: np.ndarray) -> list[str]:
    """people: (F,) int, faces seen in each frame. -> A sentence where they were several."""
    most, several = int(people.max(initial=0)), int((people > 1).sum())
    if not several:
        return []
    least = "at least " if most >= config.face.max_faces else ""
    seen = (
        f"{least}{most} people were seen at once ({several} of {len(people)} frames show several)"
    )
    if config.as_upstream:
        return [f"{seen}; the largest face of each frame was taken (compat={config.compat})"]
    taken = TAKEN[config.face.select]
    others = " or ".join(name for name in TAKEN if name != config.face.select)
    return [f"{seen}; {taken} of each shot was taken: face.select={others} takes another"]


def _why_nothing_is_restored(config: Config, plan: RenderPlan) -> str:
    """With the figures that the gate went by."""
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
    return f"{frames} blurred against the face ({figures}); {FORCE}"
