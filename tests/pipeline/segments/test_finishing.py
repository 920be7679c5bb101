"""What is left of an output that is complete, by a run that was killed, goes; nothing else does."""

from __future__ import annotations

from pathlib import Path

import pytest

from latentsync.pipeline.segments.finishing import Finishing, remove_kept
from latentsync.pipeline.segments.folder import SegmentFolder, folder_of


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """A complete output, with the segments that it was joined from."""
    made = tmp_path / "a.mp4"
    made.write_bytes(b"a video")
    finishing = Finishing(folder_of(made))
    finishing.note(made)
    finishing.complete()
    (folder_of(made) / "00000.0.seg").write_bytes(b"a segment")
    return made


def names(video: Path) -> list[str]:
    return sorted(path.name for path in video.parent.iterdir())


def test_segments_of_a_complete_output_are_removed_and_it_stays(video: Path) -> None:
    assert remove_kept(video) and names(video) == ["a.mp4"] and video.read_bytes() == b"a video"


def test_they_stay_while_a_worker_has_them(video: Path) -> None:
    with SegmentFolder(folder_of(video), {}).held(shared=True):
        assert not remove_kept(video)
    assert len(list(folder_of(video).iterdir())) == 2


def test_they_stay_where_the_output_is_another_by_now(video: Path) -> None:
    video.write_bytes(b"what another run has written")
    assert remove_kept(video) and len(list(folder_of(video).iterdir())) == 2


def test_they_stay_where_the_output_is_not_complete(video: Path) -> None:
    (folder_of(video) / "written.json").unlink()
    assert remove_kept(video) and len(list(folder_of(video).iterdir())) == 1


@pytest.mark.parametrize("is_there", [True, False])
def test_what_a_removal_that_was_killed_has_left_goes(video: Path, is_there: bool) -> None:
    for path in folder_of(video).iterdir():
        path.unlink()
    if not is_there:
        folder_of(video).rmdir()
    (video.parent / f".{folder_of(video).name}.lock").touch()
    assert remove_kept(video) and names(video) == ["a.mp4"]
