"""Marks of a video are kept, marks say what was done to it, and other programs read both."""

from __future__ import annotations

import json
from pathlib import Path

import av
import numpy as np
import pytest

from latentsync.media.marks import aigc, signing, xmp
from latentsync.media.marks.certificates import CHAIN, KEY, make_certificate
from latentsync.media.marks.manifests import has_manifest, read_manifest
from latentsync.media.reader import VideoReader
from tests.support.media_factory import make_video

LABEL = aigc.label("x", "1")
SHARPENED = "Mine. The mouth in this video was sharpened by an algorithm (Detail)."
WATERMARK = """
def load(config):
    def mark(pixels):
        marked = pixels.copy()
        marked[:32, :32] = 255
        return marked

    return mark
"""


@pytest.fixture
def certificate(tmp_path: Path) -> list[object]:
    make_certificate(tmp_path / "own", "Ann")
    return ["--sign-cert", tmp_path / "own" / CHAIN, "--sign-key", tmp_path / "own" / KEY]


@pytest.fixture
def video(tmp_path: Path, demo_frames: list[np.ndarray], certificate: list[Path]) -> Path:
    """It carries all marks there are."""
    path = make_video(
        tmp_path / "in.mp4",
        demo_frames,
        metadata={"comment": "Mine.", "AIGC": LABEL},
        muxer_options={"movflags": "use_metadata_tags"},
    )
    xmp.append_packet(path, xmp.amended(None, "digitalCapture"))
    identity = signing.load_identity(certificate[1], certificate[3], ("a camera", "1"))
    signing.sign(path, identity, [signing.Action("c2pa.edited", "Filmed.")], "in", None)
    return path


def tags_of(path: Path) -> dict[str, str]:
    """As FFmpeg reads them, XMP included."""
    with av.open(str(path), options={"export_xmp": "1"}) as container:
        return dict(container.metadata)


def said_in_report(target: Path) -> dict:
    return json.loads(target.with_suffix(".report.json").read_text())["provenance"]


def test_what_was_done_is_said_signed_and_marked_in_every_frame(
    video, certificate, tmp_path, run, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("corner.py").write_text(WATERMARK)
    target = tmp_path / "out.mp4"
    asked = ["restore.when=always", "output.watermark=corner:load", "--compare"]
    result = run("-i", video, "-o", target, *asked, *certificate)
    assert result.code == 0, result.err
    tags = tags_of(target)
    assert (tags["comment"], tags["AIGC"]) == (SHARPENED, LABEL)
    assert xmp.source_type(tags["xmp"].encode()) == xmp.ENHANCED
    manifest = read_manifest(target)
    assert (manifest.state, manifest.count, manifest.signer) == ("Valid", 2, "Ann")
    assert [name for name, _, _ in manifest.actions] == [
        *("c2pa.opened", "c2pa.edited", "c2pa.watermarked.unbound"),
    ]
    assert [(title, codes) for title, codes in manifest.parents] == [
        ("in.mp4", ("signingCredential.untrusted",))
    ]
    assert all(frame.pixels[8:24, 8:24].min() > 240 for frame in VideoReader(target))
    beside = tmp_path / "out_compare.mp4"
    assert tags_of(beside)["comment"] == SHARPENED and not has_manifest(beside)
    report = said_in_report(target)
    assert report["found"] == ["comment", "AIGC", "XMP", "C2PA"]
    assert report["digital_source_type"] == xmp.ENHANCED
    assert report["signed"]["state"] == "Valid"
    assert report["watermark"] == "corner:load"


def test_a_video_that_is_copied_keeps_its_marks_and_gets_none(video, tmp_path, run) -> None:
    target = tmp_path / "out.mp4"
    result = run("-i", video, "-o", target, "restore.blur_on=1")
    assert "copied unchanged" in result.out
    before, after = tags_of(video), tags_of(target)
    assert [after[key] for key in ("comment", "AIGC", "xmp")] == [
        before[key] for key in ("comment", "AIGC", "xmp")
    ]
    assert not has_manifest(target)
    assert "its C2PA manifest is not kept" in result.err
    report = said_in_report(target)
    assert (report["sentences"], report["signed"]) == ([], None)
    assert ["C2PA" in note for note in report["not_kept"]] == [True]


def test_what_cannot_be_signed_is_refused_before_any_work(
    video, certificate, tmp_path, run
) -> None:
    result = run("-i", video, "-o", tmp_path / "out.mkv", *certificate)
    assert result.code == 2
    assert "use .mp4, .m4v, .mov" in result.err
    result = run("-i", video, "-o", tmp_path / "out.mp4", *certificate[:2])
    assert "give output.sign.key as well" in result.err
