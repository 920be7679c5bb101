"""Sync of a finished file, with made-up networks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from torch import Tensor

from latentsync.evaluate.statistics import Measured
from latentsync.evaluate.sync import measure
from latentsync.evaluate.sync.faces_seen import FacesSeen
from latentsync.evaluate.sync.instants import instants
from latentsync.evaluate.sync.measure import SyncNetworks, measure_accuracy, measure_sync
from latentsync.face.landmarks import LANDMARKS
from latentsync.geometry import ALIGNED_HEIGHT, ALIGNED_WIDTH
from latentsync.media.probe import probe
from latentsync.pipeline.analysis import SourceAnalysis
from latentsync.pipeline.source import VideoFile
from latentsync.types import Alignment
from tests.evaluate.sync.curves import embeddings
from tests.support.media_factory import make_video

RATE = 50
SECONDS = 4
OUTLINE = np.array([[20, 30], [170, 30], [170, 180], [20, 180]], np.float32)
BURSTS = np.tile(np.repeat([0.001, 0.1], 2000), 4 * SECONDS)  # of a level, four a second
SPEECH = (BURSTS * np.random.default_rng(0).standard_normal(len(BURSTS))).astype(np.float32)


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """At 50 frames a second, each a little brighter than the one before."""
    frames = (np.full((192, 192, 3), 30 + n, np.uint8) for n in range(RATE * SECONDS))
    return make_video(tmp_path_factory.mktemp("sync") / "made.mp4", frames, rate=RATE)


def faces_in(video: Path, *, outline: np.ndarray = OUTLINE, until: int = 10_000) -> FacesSeen:
    count = RATE * SECONDS
    scale = np.float32(ALIGNED_WIDTH / 192), np.float32(ALIGNED_HEIGHT / 192)
    matrix = np.array([[scale[0], 0, 0], [0, scale[1], 0]], np.float32)
    face = Alignment(matrix, np.zeros((len(LANDMARKS), 2), np.float32), 0.9, 0, outline)
    analysis = SourceAnalysis(
        pts=np.arange(count),
        pts_seconds=np.arange(count) / RATE,
        cuts=np.arange(count) == 0,
        alignments=[face if n < until else None for n in range(count)],
        energies=np.empty(0),
        people=np.ones(count, int),
        edges=np.empty(0),
    )
    shown = instants(analysis.pts_seconds, float(SECONDS))
    return FacesSeen(VideoFile(probe(video)), [analysis], shown)


class Synced:
    """Embeds the n-th window that it gets, of lips and of audio, as curves.embeddings has it."""

    path = Path("weights.model")

    def __init__(self, shift: int = 0, level: float = 0.8) -> None:
        lips, audio = embeddings(200, shift, level=level)
        wide = ((0, 0), (0, 1024 - lips.shape[1]))
        self._lips, self._audio = iter(np.pad(lips, wide)), iter(np.pad(audio, wide))
        self.brightness: list[float] = []

    def lips(self, crops: np.ndarray) -> np.ndarray:
        self.brightness.extend(crops[: len(crops) - 4, 112, 112].mean(axis=1))
        return np.stack([next(self._lips) for _ in crops[4:]])

    def audio(self, cepstra: np.ndarray) -> np.ndarray:
        return np.stack([next(self._audio) for _ in cepstra[19::4]])


class Sure:
    """Agrees with whatever it is shown."""

    def __call__(self, faces: Tensor, mel: np.ndarray) -> float:
        return 0.75


def figure(name: str, measured: list[Measured]) -> Measured:
    (found,) = (one for one in measured if one.name == name)
    return found


def test_a_video_of_50_frames_a_second_is_measured_at_25(video: Path) -> None:
    embedder = Synced(shift=4)
    found = measure_sync(faces_in(video), [SPEECH], SyncNetworks(embedder))
    assert found.not_measured == {}
    rows = figure("sync_offset", found.measured)
    assert rows.rows.shape == (25 * SECONDS - 5, 32)
    np.testing.assert_allclose(rows.seconds, (np.arange(95) + 2) / 25)
    assert 15 - int(rows.rows[:, :31].mean(axis=0).argmin()) == 4
    steps = np.diff(embedder.brightness)  # every second frame is two levels brighter
    assert abs(steps.mean() - 2) < 0.1


def test_all_four_figures_are_measured_in_one_pass(video: Path) -> None:
    found = measure_sync(faces_in(video), [SPEECH], SyncNetworks(Synced(), Sure()))
    names = [one.name for one in found.measured]
    assert names == ["sync_offset", "sync_distance", "sync_confidence", "stable_sync"]
    stable = figure("stable_sync", found.measured)
    assert stable.rows.tolist() == [[0.75]] * 6  # 96 of the 100 frames
    assert stable.seconds[0] == pytest.approx(0.3)


def test_a_wrong_network_gives_no_figure_but_a_warning_and_the_others_stay(
    video: Path, caplog: pytest.LogCaptureFixture
) -> None:
    found = measure_sync(faces_in(video), [SPEECH], SyncNetworks(Synced(level=100), Sure()))
    assert [one.name for one in found.measured] == ["stable_sync"]
    assert len(found.not_measured) == 3
    for reason in found.not_measured.values():
        assert reason.startswith("no measure of sync: weights.model: offset ")
        assert reason in caplog.messages


@pytest.mark.parametrize(
    ("faces", "audio", "reason"),
    [
        ({"until": 80}, SPEECH, measure.TOO_SHORT),
        ({"outline": OUTLINE / 2}, SPEECH, measure.TOO_SMALL),
        ({}, np.zeros_like(SPEECH), measure.SILENT),
        ({}, SPEECH[:3000], measure.TOO_SHORT),
    ],
)
def test_what_cannot_be_measured_has_a_reason(
    video: Path, faces: dict[str, object], audio: np.ndarray, reason: str
) -> None:
    seen = faces_in(video, **faces)  # type: ignore[arg-type]
    found = measure_sync(seen, [audio], SyncNetworks(Synced()))
    assert found.measured == []
    assert set(found.not_measured.values()) == {reason}
    assert len(found.not_measured) == 3


def test_s3fd_s_boxes_replace_the_engine_s_but_of_the_speaker_only(video: Path) -> None:
    """They end after three seconds. The other face, to the right, is nobody's."""

    def boxes(pixels: np.ndarray) -> np.ndarray:
        both = np.array([[25.0, 20, 165, 185, 0.99], [150, 40, 290, 200, 0.98]])
        return both if pixels.mean() < 30 + 3 * RATE else both[:0]

    found = measure_sync(faces_in(video), [SPEECH], SyncNetworks(Synced(), boxes=boxes))
    assert len(figure("sync_offset", found.measured).rows) == 75 - 5


def test_accuracy_of_a_network_that_always_agrees_is_a_half(video: Path) -> None:
    found = measure_accuracy(faces_in(video), [SPEECH], Sure(), pairs=12)
    assert (found.pairs, found.share) == (12, 0.5)
    assert (found.right, found.wrong) == (6, 0)


def test_windows_are_where_the_face_is_seen(video: Path) -> None:
    """From frame 90 of 50 a second on."""
    seen = faces_in(video)
    later = [None if n < 90 else one for n, one in enumerate(seen.analyses[0].alignments)]
    seen = replace(seen, analyses=[replace(seen.analyses[0], alignments=later)])
    found = measure_sync(seen, [SPEECH], SyncNetworks(Synced()))
    seconds = figure("sync_offset", found.measured).seconds
    assert (seconds[0], seconds[-1]) == pytest.approx((1.88, 3.84))
