"""Step `audio`: the audio of a source, at 16 kHz, and what is spoken in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from latentsync.face.speaking_evidence import AUDIO_RATE, Speech
from latentsync.media.audio.reader import AudioReader
from latentsync.media.probe import VideoInfo
from latentsync.pipeline.speaking import measure_speech
from latentsync.speech.acoustic import Acoustics, compute_acoustics
from latentsync.training.preparation.manifest import (
    DROPPED,
    FRAME_RATE,
    SAMPLE_RATE,
    SAMPLES_PER_FRAME,
    Judged,
    Piece,
)

SILENT = 100
"""Greatest sample, of 32768, up to which audio counts as silent: -50 dB."""
_BLOCK = 10 * SAMPLE_RATE
_PER_FRAME = AUDIO_RATE // FRAME_RATE


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """samples: (n,) int16 mono at 16 kHz, from the video's zero. issues: of the audio's reader.

    Iterate for blocks of (m,) float32 in [-1, 1), as speech models take them.
    """

    samples: np.ndarray
    issues: str | None = None

    def __iter__(self) -> Iterator[np.ndarray]:
        for start in range(0, len(self.samples), _BLOCK):
            yield self.samples[start : start + _BLOCK].astype(np.float32) / 32768

    def of_frames(self, start: int, stop: int) -> np.ndarray:
        """(640 (stop - start),) int16 heard with these frames at 25 a second; silence beyond both
        ends of the recording, also for frames below 0."""
        first, last = start * SAMPLES_PER_FRAME, stop * SAMPLES_PER_FRAME
        inside = self.samples[max(first, 0) : max(last, 0)]
        padded = np.zeros(last - first, np.int16)
        begin = max(-first, 0)
        padded[begin : begin + len(inside)] = inside
        return padded


@dataclass(frozen=True, slots=True, eq=False)
class Heard:
    """A recording and what was computed from it."""

    recording: Recording
    acoustics: Acoustics
    speech: Speech

    def spoken(self, frames: int) -> np.ndarray:
        """(frames,) bool: whether speech is heard with each frame."""
        spoken = np.zeros(frames * _PER_FRAME, bool)
        known = self.speech.speech[: len(spoken)]
        spoken[: len(known)] = known
        halves: np.ndarray = spoken.reshape(frames, _PER_FRAME).mean(axis=1) >= 0.5
        return halves


def read_recording(info: VideoInfo) -> Recording:
    """2 bytes a sample, 115 MB for an hour. Raises MediaError: no sample can be decoded."""
    reader = AudioReader(info)
    parts = [np.rint(block * 32768).astype(np.int16) for block in reader]
    return Recording(np.concatenate(parts), reader.issues)


def heard(recording: Recording) -> Heard:
    """recording: of at least one sample."""
    acoustics = compute_acoustics(recording)
    return Heard(recording, acoustics, measure_speech(recording, acoustics))


def judge_audio(piece: Piece, recording: Recording) -> Judged:
    loudest = int(np.abs(recording.samples.astype(np.int32)).max(initial=0))
    if loudest <= SILENT:
        return Judged(piece, DROPPED, "the audio is silent")
    return Judged(piece, figures={"audio_seconds": len(recording.samples) / SAMPLE_RATE})
