"""The command provenance says in words what a video says about itself, and makes certificates."""

from __future__ import annotations

from pathlib import Path

import pytest

from latentsync.commands.provenance import main
from latentsync.media.marks import aigc, manifests, signing, xmp
from latentsync.media.marks.certificates import CHAIN, KEY, ROOT
from tests.support.media_factory import make_video


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    assert main(["make-cert", str(tmp_path / "own"), "--name", "Ann"]) == 0
    return tmp_path / "own"


def shown(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    capsys.readouterr()
    assert main(["show", *map(str, arguments)]) == 0
    return capsys.readouterr().out


def test_a_video_that_says_nothing(tmp_path: Path, capsys) -> None:
    lines = shown(capsys, make_video(tmp_path / "a.mkv")).splitlines()
    assert [line.split() for line in lines] == [
        [name, "none"] for name in ("comment", "AIGC", "XMP", "C2PA")
    ]


def test_all_marks_are_shown_in_words(certificates: Path, tmp_path: Path, capsys) -> None:
    video = make_video(
        tmp_path / "a.mp4",
        metadata={"comment": "Mine.", "AIGC": aigc.label("A service", "1")},
        muxer_options={"movflags": "use_metadata_tags"},
    )
    xmp.append_packet(video, xmp.amended(None, xmp.NETWORK))
    identity = signing.load_identity(certificates / CHAIN, certificates / KEY, ("program", "1"))
    action = signing.Action("c2pa.dubbed", "New speech.", xmp.NETWORK)
    signing.sign(video, identity, [action], "a", video)
    said = shown(capsys, video)
    assert "comment  Mine." in said
    assert "AIGC     generated, by A service" in said
    assert "parts of it were generated, or filled in, by AI" in said
    assert "C2PA     Valid: unchanged since it was signed; who signed it is not vouched for" in said
    assert "signed by Ann, with program 1" in said
    assert f"c2pa.dubbed: {xmp.NETWORK}; New speech." in said
    assert "made from a.mp4\n" in said
    assert "Trusted:" in shown(capsys, "--trust", certificates / ROOT, video)


def test_a_manifest_is_named_even_where_it_cannot_be_verified(
    certificates: Path, tmp_path: Path, capsys, monkeypatch
) -> None:
    video = make_video(tmp_path / "a.mp4")
    identity = signing.load_identity(certificates / CHAIN, certificates / KEY, ("program", "1"))
    signing.sign(video, identity, [signing.Action("c2pa.edited", "Cut.")], "a", None)
    monkeypatch.setattr(manifests, "is_installed", lambda: False)
    assert "a manifest is there, but cannot be verified; pip install" in shown(capsys, video)


def test_a_wrong_file_is_an_error_of_one_line(tmp_path: Path, capsys) -> None:
    (tmp_path / "a.mp4").write_text("no video")
    assert main(["show", str(tmp_path / "a.mp4")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    video = make_video(tmp_path / "b.mp4")
    assert main(["show", "--trust", str(tmp_path / "none.pem"), str(video)]) == 2
    assert "--trust" in capsys.readouterr().err


def test_a_certificate_proves_integrity_not_identity(tmp_path: Path, capsys) -> None:
    assert main(["make-cert", str(tmp_path)]) == 0
    assert "does not prove who you are" in capsys.readouterr().out
    assert {path.name for path in tmp_path.iterdir()} == {CHAIN, KEY, ROOT}
