"""`evaluate --syncnet_accuracy`: what it prints, and how it ends."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from latentsync.commands import evaluate, sync_accuracy
from latentsync.errors import LatentSyncError, MediaError
from latentsync.evaluate.networks import Judges
from latentsync.evaluate.sync.accuracy import Accuracy
from latentsync.evaluate.sync.measure import SyncNetworks
from latentsync.runtime.execution import REFERENCE


@pytest.fixture
def videos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A list of two, of which those called "bad" fail."""

    def accuracy(
        _engine: object,
        videos: list[Path],
        _agrees: object,
        *,
        failed: Callable[[Path, LatentSyncError], None],
        **_: object,
    ) -> Accuracy:
        total = Accuracy()
        for path in videos:
            if "bad" in path.name:
                failed(path, MediaError("no", path, "leave it out"))
            else:
                total += Accuracy(15, 16, 12, 16)
        return total

    def sure(*_: Any) -> float:
        return 1.0

    judges = Judges(SyncNetworks(stable=sure), execution=REFERENCE)
    monkeypatch.setattr(sync_accuracy, "accuracy_of_videos", accuracy)
    monkeypatch.setattr(sync_accuracy, "load_judges", lambda config: judges)
    monkeypatch.setattr(sync_accuracy, "evaluation_engine", lambda config: SimpleNamespace())
    monkeypatch.setattr(sync_accuracy, "use_threads", lambda count: None)
    path = tmp_path / "list.txt"
    path.write_text("a.mp4\nb.mp4\n")
    return path


def test_it_prints_the_accuracy_of_both_kinds_of_pairs(
    videos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate.main(["--syncnet_accuracy", str(videos)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "accuracy of StableSyncNet: 84.4% of 64 pairs (93.8% of those in sync, "
        "75.0% of the others)",
        "2 of 2 videos used",
    ]


def test_a_video_that_fails_is_named_and_the_exit_code_says_so(
    videos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    videos.write_text("a.mp4\nbad.mp4\n")
    assert evaluate.main(["--syncnet-accuracy", str(videos)]) == 2
    printed = capsys.readouterr()
    assert "error: bad.mp4: no:" in printed.err
    assert "of 32 pairs" in printed.out
    assert printed.out.endswith("1 of 2 videos used\n")


def test_without_the_weights_it_says_what_is_missing(
    videos: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    judges = Judges(lacking={"stable_syncnet": "put it there"})
    monkeypatch.setattr(sync_accuracy, "load_judges", lambda config: judges)
    assert evaluate.main(["--syncnet_accuracy", str(videos)]) == 2
    assert "put it there" in capsys.readouterr().err


def test_it_takes_no_result_beside_the_list(
    videos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate.main(["a.mp4", "--syncnet_accuracy", str(videos)]) == 2
    assert "a.mp4" in capsys.readouterr().err
