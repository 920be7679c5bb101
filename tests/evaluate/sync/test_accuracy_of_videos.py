"""Accuracy over a list: what cannot be used is left out, with its reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from latentsync.errors import LatentSyncError, MediaError
from latentsync.evaluate.sync import accuracy_of_videos as module
from latentsync.evaluate.sync.accuracy import Accuracy
from latentsync.evaluate.sync.accuracy_of_videos import SEED, accuracy_of_videos, listed_videos
from tests.support.media_factory import Tone, make_video, moving_pattern

NOTHING = cast(Any, None)


@pytest.fixture
def videos(tmp_path: Path) -> list[Path]:
    silent = make_video(tmp_path / "silent.mp4", moving_pattern())
    with_audio = [
        make_video(tmp_path / name, moving_pattern(), audio=[Tone()]) for name in ("a.mp4", "b.mp4")
    ]
    return [silent, tmp_path / "missing.mp4", *with_audio]


def test_the_rest_of_the_list_counts(videos: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    seeds = []

    def measured(_faces: object, _heard: object, _agrees: object, **given: Any) -> Accuracy:
        seeds.append(given["seed"])
        return Accuracy(3, 4, 2, 4) if len(seeds) == 1 else Accuracy()

    monkeypatch.setattr(module, "faces_seen", lambda *_, **__: None)
    monkeypatch.setattr(module, "measure_accuracy", measured)
    failures: dict[str, LatentSyncError] = {}
    found = accuracy_of_videos(
        NOTHING, videos, NOTHING, failed=lambda path, error: failures.update({path.name: error})
    )
    assert found == Accuracy(3, 4, 2, 4)
    assert set(failures) == {"silent.mp4", "missing.mp4", "b.mp4"}
    assert "no audio" in str(failures["silent.mp4"])
    assert "no pair" in str(failures["b.mp4"])
    assert seeds == [SEED + 2, SEED + 3]  # by place in the list: a failure changes no other video


def test_a_list_has_one_path_a_line(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_text("a.mp4\n\n/elsewhere/b c.mp4 \n")
    assert listed_videos(path) == [tmp_path / "a.mp4", Path("/elsewhere/b c.mp4")]


@pytest.mark.parametrize("content", [None, "\n\n"])
def test_a_list_without_videos_is_an_error(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "list.txt"
    if content is not None:
        path.write_text(content)
    with pytest.raises(MediaError, match=r"list.txt"):
        listed_videos(path)
