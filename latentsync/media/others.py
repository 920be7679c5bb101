"""Decides what becomes of a source's streams beside its video and its audio."""

from __future__ import annotations

from latentsync.media.cover import cover_way
from latentsync.media.probe import VideoInfo
from latentsync.media.streams import OtherPlan, OtherStream, Way
from latentsync.media.trial_mux import TrialMux


def planned_others(source: VideoInfo, muxer: str, trial: TrialMux) -> tuple[OtherPlan, ...]:
    """One plan for each of source.others. muxer: of the output; see OtherPlan."""
    return tuple(OtherPlan(one, _way(one, source, muxer, trial)) for one in source.others)


def _way(other: OtherStream, source: VideoInfo, muxer: str, trial: TrialMux) -> Way:
    if other.timecode:
        return "stated"
    if other.is_cover:
        return cover_way(other.codec, muxer)
    if other.kind == "attachment":
        return "copied" if muxer == "matroska" else "lost"
    ways: tuple[Way, ...] = ("copied", "converted") if other.is_text else ("copied",)
    for way in ways:
        if trial.can_carry(OtherPlan(other, way), source, muxer):
            return way
    return "lost"
