"""The second pass: audio that is ahead is delayed in the clip, and drops leave no file."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from latentsync.errors import MediaError
from latentsync.evaluate.networks import Judges
from latentsync.evaluate.sync.measure import SyncNetworks
from latentsync.media.audio.reader import AudioReader
from latentsync.media.probe import probe
from latentsync.media.reader import VideoReader
from latentsync.models.syncnet import CEPSTRA_PER_FRAME, EMBEDDING, FRAMES
from latentsync.speech.mfcc import mfcc_of_blocks
from latentsync.training.preparation.clips import Planned, Source, make_clips
from latentsync.training.preparation.frames import SteadyFrames
from latentsync.training.preparation.manifest import DROPPED, Journal, Piece
from latentsync.training.preparation.recording import Recording
from latentsync.training.preparation.settings import PreparationSettings
from tests.support.media_factory import make_video
from tests.training.preparation.made_up import alignment

SIDE, LENGTH, START, STOP = 160, 90, 10, 80
BRIGHT = np.random.default_rng(3).random(LENGTH) > 0.5
"""Of each frame; the audio is loud with bright ones."""


class Flashes:
    """An Embedder for which lips are brightness and audio is loudness."""

    path = Path("flashes.pt")

    def lips(self, crops: np.ndarray) -> np.ndarray:
        return self._embedded(crops.mean(axis=(1, 2, 3))[: 1 - FRAMES] > 128, 3.0)

    def audio(self, cepstra: np.ndarray) -> np.ndarray:
        count = (len(cepstra) - CEPSTRA_PER_FRAME * FRAMES) // CEPSTRA_PER_FRAME + 1
        return self._embedded(cepstra[1::CEPSTRA_PER_FRAME, 0][:count] > 12, -3.0)

    def _embedded(self, on: np.ndarray, apart: float) -> np.ndarray:
        vectors = np.zeros((len(on), EMBEDDING), np.float32)
        vectors[:, 0], vectors[:, 1] = np.where(on, 12, 2), np.where(on, 2, 12)
        vectors[:, 2] = apart  # no distance of SyncNet is 0
        return vectors


def loudness(ahead: int) -> np.ndarray:
    """int16 samples that are loud `ahead` frames before each bright frame."""
    noise = np.random.default_rng(0).integers(-8000, 8000, LENGTH * 640)
    loud = np.repeat(np.roll(BRIGHT, -ahead), 640)
    return np.where(loud, noise, noise // 400).astype(np.int16)


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    frames = [np.full((SIDE, SIDE, 3), 200 if on else 50, np.uint8) for on in BRIGHT]
    return make_video(tmp_path_factory.mktemp("video") / "v.mp4", frames)


def made(video: Path, folder: Path, ahead: int, **settings: float):
    recording = Recording(loudness(ahead))
    source = Source(probe(video), recording, mfcc_of_blocks(recording), folder)
    tools = SimpleNamespace(judges=Judges(SyncNetworks(syncnet=Flashes())))  # type: ignore[arg-type]
    planned = Planned(Piece("s000", START, STOP, 1, 0), [alignment(SIDE)] * (STOP - START))
    journal = Journal("v.mp4", "v")
    chosen = PreparationSettings(min_seconds=2.0, skip=("quality",), **settings)
    clips = make_clips(source, [planned], tools, chosen, journal, SteadyFrames(source.info))  # type: ignore[arg-type]
    return clips, journal


@pytest.mark.parametrize("ahead", [4, 0, -5])
def test_lips_and_audio_of_a_clip_agree_whatever_the_source_was(
    video: Path, tmp_path: Path, ahead: int
) -> None:
    (clip,), _ = made(video, tmp_path, ahead)
    assert clip.offset == ahead == clip.figures["offset"]
    path = tmp_path / f"{clip.name}.mp4"
    samples = np.concatenate(list(AudioReader(path)))
    loud = np.abs(samples).reshape(-1, 640).mean(axis=1) > 0.05
    bright = np.array([frame.pixels.mean() > 128 for frame in VideoReader(path)])
    assert len(loud) == len(bright) == STOP - START
    assert np.array_equal(loud, bright) and np.array_equal(bright, BRIGHT[START:STOP])


def test_a_clip_that_is_dropped_leaves_a_reason_and_no_file(video: Path, tmp_path: Path) -> None:
    clips, journal = made(video, tmp_path, 8)
    assert clips == [] and not list(tmp_path.glob("*.mp4"))
    (row,) = journal.rows
    assert (row.step, row.verdict, row.figures["offset"]) == ("sync", DROPPED, 8)
    clips, journal = made(video, tmp_path, 0, min_confidence=50.0)
    assert clips == [] and "confidence" in journal.rows[0].reason


def test_audio_beyond_the_recording_is_silence() -> None:
    recording = Recording(np.arange(1, 1281, dtype=np.int16))
    early = recording.of_frames(-1, 1)
    assert not early[:640].any() and np.array_equal(early[640:], recording.samples[:640])
    late = recording.of_frames(1, 4)
    assert np.array_equal(late[:640], recording.samples[640:]) and not late[640:].any()


def test_frames_that_end_early_are_an_error_and_leave_no_file(video: Path, tmp_path: Path) -> None:
    source = Source(probe(video), Recording(loudness(0)), None, tmp_path)
    tools = SimpleNamespace(judges=Judges())
    plain = PreparationSettings(min_seconds=2.0, skip=("sync", "quality"))
    early = [frame for frame in SteadyFrames(source.info) if frame.index < STOP - 1]
    for start in (START, LENGTH + 5):  # one that has begun, one that has not
        piece = Piece("s000", start, start + STOP - START, 1, 0)
        planned = [Planned(piece, [alignment(SIDE)] * piece.frames)]
        with pytest.raises(MediaError, match=r"no end of 1 planned clips"):
            make_clips(source, planned, tools, plain, Journal("v.mp4", "v"), early)  # type: ignore[arg-type]
    assert not list(tmp_path.glob("*.mp4"))
