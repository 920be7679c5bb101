"""Whether a plan fits the video, the speakers and the settings that it is used with."""

from __future__ import annotations

from collections.abc import Sequence

from latentsync.errors import ConfigError
from latentsync.media.probe import VideoInfo
from latentsync.pipeline.planning.plan import RenderPlan
from latentsync.settings.lengths import REMAP

_LENGTH_ROUNDING = 0.002
"""Share by which a length that a file states may differ from that of its frames."""


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


def check_remap(video_seconds: float, speech_seconds: float, most: float) -> None:
    """Raises ConfigError where a video would become longer or shorter by more than this share.

    speech_seconds: when the speech ends. most: output.max_remap.
    """
    stretch = speech_seconds / video_seconds
    if abs(stretch - 1) <= most + _LENGTH_ROUNDING:
        return
    lengths = f"the video has {video_seconds:.2f} s and the speech ends at {speech_seconds:.2f} s"
    remedy = (
        f"{lengths}: the video would become {in_percent(stretch)}, and output.max_remap allows "
        f"{100 * most:.3g} %; use another output.length (bounce, silence, cut_off), or raise it"
    )
    raise ConfigError("output.length", REMAP, remedy)


def in_percent(stretch: float) -> str:
    """stretch: seconds of the output for each second of the video -> "4.2 % longer"."""
    return f"{100 * abs(stretch - 1):.3g} % {'longer' if stretch > 1 else 'shorter'}"


def check_overlap(plan: RenderPlan, overlap: int) -> None:
    """Raises ConfigError where the plan was made for another generate.overlap."""
    if plan.overlap != overlap:
        remedy = f"the plan was made for {plan.overlap}: use that, or make the plan again"
        raise ConfigError("generate.overlap", overlap, remedy)
