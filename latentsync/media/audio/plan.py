"""Decides which audio tracks of an output are copied, and which are encoded."""

from __future__ import annotations

from pathlib import Path

from latentsync.errors import MediaError
from latentsync.media.audio.info import AudioSource
from latentsync.media.audio.reader import no_samples_in
from latentsync.media.audio.source import audio_of
from latentsync.media.audio.track import AudioTrackPlan
from latentsync.media.container import MUXERS
from latentsync.media.probe import VideoInfo
from latentsync.media.settings import EncodeSettings, NewAudio
from latentsync.media.trial_mux import TrialMux

_IN_MP4 = {"aac", "mp3", "alac", "ac3", "eac3"}
"""MP4 may hold FLAC, Opus and PCM too, but few players play that."""
_ENCODERS = {"webm": "libopus"}
"""FFmpeg muxer -> the encoder of audio that it cannot hold; AAC for any other."""


def audio_plan(
    target: Path, source: VideoInfo, settings: EncodeSettings, new: NewAudio | None = None
) -> tuple[AudioTrackPlan, ...]:
    """The output's audio tracks, in the source's order; one where there is new audio.

    Raises MediaError: the new audio cannot be read; a track can be neither copied nor decoded.
    """
    with TrialMux() as trial:
        return planned_audio(target, source, settings, new, trial)


def planned_audio(
    target: Path,
    source: VideoInfo,
    settings: EncodeSettings,
    new: NewAudio | None,
    trial: TrialMux,
) -> tuple[AudioTrackPlan, ...]:
    """audio_plan with files that are already open."""
    if new is None:
        tracks = [audio_of(source, number) for number in range(len(source.audio))]
        return tuple(_planned(track, target, settings.audio, trial, own=True) for track in tracks)
    audio = new.info or trial.audio_in(new.path)
    if not trial.can_decode(audio):
        raise no_samples_in(audio.path)
    return (_planned(audio, target, settings.audio, trial, own=False),)


def _planned(
    audio: AudioSource, target: Path, asked: str, trial: TrialMux, *, own: bool
) -> AudioTrackPlan:
    reason = _reason_to_encode(audio, target, asked, trial, own=own)
    if not reason:
        return AudioTrackPlan(audio)
    if not trial.is_empty(audio) and not trial.can_decode(audio):
        track = f"audio #{audio.index} ({audio.codec}) can be neither copied nor decoded"
        raise MediaError(track, audio.path, "end the output's name in .mkv, or remove the track")
    usual = _ENCODERS.get(MUXERS[target.suffix.lower()], "aac")
    return AudioTrackPlan(audio, usual if asked == "auto" else asked, reason)


def _reason_to_encode(
    audio: AudioSource, target: Path, asked: str, trial: TrialMux, *, own: bool
) -> str:
    """Returns "" if it can be copied. own: it is the source's audio, not new."""
    if asked not in ("auto", audio.codec):
        return f"{asked.upper()} was requested"
    muxer = MUXERS[target.suffix.lower()]
    if not trial.can_copy(audio, muxer):
        return f"a {target.suffix} file cannot hold it"
    # A player of the source plays the output: both are MP4, with the same audio.
    played = own and MUXERS.get(audio.path.suffix.lower()) == "mp4"
    if muxer == "mp4" and audio.codec not in _IN_MP4 and not played:
        return f"few players play it in a {target.suffix} file"
    return ""
