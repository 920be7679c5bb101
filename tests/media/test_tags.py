"""Every key of a file's metadata is carried; players read the usual ones where they always are."""

from __future__ import annotations

from pathlib import Path

import pytest

from latentsync.media.probe import probe
from tests.support.copying import copied
from tests.support.media_factory import make_video

OWN = {"com.example.take": "7", "AIGC": '{"Label":"1"}'}
ANY_KEY = {"movflags": "use_metadata_tags"}


@pytest.mark.parametrize("suffix", [".mp4", ".m4v", ".mov", ".mkv"])
def test_unknown_keys_are_carried_beside_the_title(tmp_path: Path, suffix: str) -> None:
    tags = {"title": "Été", **OWN}
    source = make_video(tmp_path / "a.mp4", metadata=tags, muxer_options=ANY_KEY)
    made = probe(copied(source, tmp_path / f"b{suffix}")).file_metadata
    assert {key.lower(): made.get(key, made.get(key.upper())) for key in tags} == {
        key.lower(): value for key, value in tags.items()
    }


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_what_mov_lacks_a_box_for_is_carried_as_well(tmp_path: Path, suffix: str) -> None:
    source = make_video(tmp_path / "a.mp4", metadata={"description": "long", "keywords": "a, b"})
    made = probe(copied(source, tmp_path / f"b{suffix}")).file_metadata
    assert (made["description"], made["keywords"]) == ("long", "a, b")
