"""Whether a plan fits the video, the speakers and the settings that it is used with."""

from __future__ import annotations

from collections.abc import Sequence

from latentsync.errors import ConfigError
from latentsync.media.probe import VideoInfo
from latentsync.pipeline.planning.plan import RenderPlan


def check_plan(plan: RenderPlan, info: VideoInfo, *, speech: bool) -> None:
    """Raises ConfigError where the plan was clearly made for another video or speech."""
    what = "the plan was made for another video or speech"
    remedy = "make it again"
    if plan.speech != speech:
        given, made = ("with" if there else "without" for there in (speech, plan.speech))
        raise ConfigError(what, f"made {made} new speech, used {given}", remedy)
    size = info.width, info.height
    if plan.frame_size != size:
        raise ConfigError(what, f"{plan.frame_size} pixels, and {info.path} has {size}", remedy)
    frames, seen = info.frame_count, len(plan.analysis)
    if frames and abs(frames - seen) > max(
        2, seen // 50
    ):  # the container's count may be an estimate
        raise ConfigError(what, f"{seen} frames, and {info.path} has {frames}", remedy)


def check_speakers(plan: RenderPlan, named: Sequence[str] | None) -> None:
    """Raises ConfigError where the plan was made for other speakers. named: values of speakers;
    None: there is one speaker with one speech, or no speech."""
    made = [name for one in plan.speakers for name in one.named]
    alone = len(plan.speakers) == 1 or not plan.speech
    fits = alone if named is None else set(made) == set(named)
    if not fits:
        what = "one speaker" if named is None else ", ".join(named)
        remedy = f"the plan was made for {', '.join(made)}: make it again"
        raise ConfigError("speakers", what, remedy)


def check_overlap(plan: RenderPlan, overlap: int) -> None:
    """Raises ConfigError where the plan was made for another generate.overlap."""
    if plan.overlap != overlap:
        remedy = f"the plan was made for {plan.overlap}: use that, or make the plan again"
        raise ConfigError("generate.overlap", overlap, remedy)
