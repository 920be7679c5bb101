"""A signed video is verified by C2PA's own reader, and one changed byte makes it invalid."""

from __future__ import annotations

import json
from pathlib import Path

import c2pa
import pytest

from latentsync.errors import ConfigError, MediaError
from latentsync.media.boxes import find_box
from latentsync.media.marks import signing
from latentsync.media.marks.certificates import CHAIN, KEY, ROOT, make_certificate
from latentsync.media.marks.manifests import has_manifest, read_manifest
from latentsync.media.marks.signing import Action, Identity, Span
from latentsync.types import Box
from tests.support.media_factory import make_video

PROGRAM = ("a program", "1.0")
SPAN = Span(Box(10, 20, 40, 60), (0.2, 0.36))
DUBBED = Action("c2pa.dubbed", "New speech.", "composite", [SPAN])


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certificates")
    make_certificate(folder, "Ann")
    return folder


@pytest.fixture(scope="module")
def identity(certificates: Path) -> Identity:
    return signing.load_identity(certificates / CHAIN, certificates / KEY, PROGRAM)


@pytest.fixture
def original(tmp_path: Path) -> Path:
    return make_video(tmp_path / "original.mp4")


@pytest.fixture(params=[".mp4", ".mov"])
def signed(tmp_path: Path, original: Path, identity: Identity, request) -> Path:
    video = make_video(tmp_path / f"signed{request.param}")
    assert signing.sign(video, identity, [DUBBED], "signed", original) == "Valid"
    return video


def test_the_manifest_says_what_was_done_when_and_where(signed: Path) -> None:
    with signed.open("rb") as file, c2pa.Reader("video/mp4", file) as reader:
        store = json.loads(reader.json())
    manifest = store["manifests"][store["active_manifest"]]
    (actions,) = (
        one["data"]["actions"] for one in manifest["assertions"] if "actions" in one["label"]
    )
    assert [action["action"] for action in actions] == ["c2pa.opened", "c2pa.dubbed"]
    assert actions[1]["digitalSourceType"].endswith("/composite")
    time, space = actions[1]["changes"][0]["region"]
    assert time["time"] == {"type": "npt", "start": "0.200", "end": "0.360"}
    assert space["shape"]["origin"] == {"x": 10.0, "y": 20.0}
    assert (space["shape"]["width"], space["shape"]["height"]) == (30.0, 40.0)
    (parent,) = manifest["ingredients"]
    assert (parent["title"], parent["relationship"]) == ("original.mp4", "parentOf")
    assert "thumbnail" not in manifest


def test_the_signer_is_trusted_by_those_who_know_the_root(signed: Path, certificates: Path) -> None:
    unknown = read_manifest(signed)
    assert (unknown.state, unknown.failures) == ("Valid", ("signingCredential.untrusted",))
    known = read_manifest(signed, (certificates / ROOT).read_text())
    assert (known.state, known.failures, known.signer) == ("Trusted", (), "Ann")


def test_one_changed_byte_makes_it_invalid(signed: Path) -> None:
    with signed.open("rb") as file:
        frames = find_box(file, b"mdat")
    assert frames is not None
    data = bytearray(signed.read_bytes())
    data[(frames.body + frames.end) // 2] ^= 1
    signed.write_bytes(data)
    changed = read_manifest(signed)
    assert changed.state == "Invalid"
    assert "assertion.bmffHash.mismatch" in changed.failures


def test_the_manifests_of_the_original_are_carried_on(
    tmp_path: Path, original: Path, identity: Identity
) -> None:
    signing.sign(original, identity, [Action("c2pa.edited", "Cut.")], "original", None)
    video = make_video(tmp_path / "video.mp4")
    assert not has_manifest(video)
    signing.sign(video, identity, [DUBBED], "video", original)
    found = read_manifest(video)
    assert has_manifest(video) and found.count == 2
    assert [title for title, _ in found.parents] == ["original.mp4"]


def test_what_cannot_be_signed_stays_as_it_was(tmp_path: Path, identity: Identity) -> None:
    video = tmp_path / "video.mp4"
    video.write_bytes(b"no video")
    with pytest.raises(MediaError, match="cannot be signed"):
        signing.sign(video, identity, [DUBBED], "video", None)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"no video"]


def test_a_certificate_that_cannot_sign_is_refused_before_any_work(certificates: Path) -> None:
    with pytest.raises(ConfigError, match="cannot sign"):
        signing.load_identity(certificates / ROOT, certificates / KEY, PROGRAM)
    with pytest.raises(ConfigError, match=r"output\.sign\.key"):
        signing.load_identity(certificates / CHAIN, certificates / ROOT, PROGRAM)


def test_without_the_package_the_command_that_installs_it_is_named(
    certificates: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signing, "is_installed", lambda: False)
    with pytest.raises(ConfigError, match="pip install 'c2pa-python"):
        signing.load_identity(certificates / CHAIN, certificates / KEY, PROGRAM)


def test_a_key_is_private_and_never_replaced(certificates: Path) -> None:
    key = certificates / KEY
    before = key.read_bytes()
    assert key.stat().st_mode & 0o777 == 0o600
    with pytest.raises(ConfigError, match="choose another folder"):
        make_certificate(certificates, "Ben")
    assert key.read_bytes() == before
