"""Attacks with files: what is sent is refused in one sentence, and nothing of it stays."""

from __future__ import annotations

import contextlib
import io
import re
import struct
import time
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.attacked import SECRET, Answer, Attacked, attacked
from tests.support.media_factory import make_video

UPLOADS = 6
"""That a user may have here, beside the one of a job."""


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_video(tmp_path_factory.mktemp("clip") / "clip.mp4")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, clip: Path) -> Iterator[Attacked]:
    with attacked(tmp_path_factory.mktemp("files"), clip, uploads=UPLOADS) as server:
        yield server


@pytest.fixture(autouse=True)
def nothing_stays(server: Attacked) -> Iterator[None]:
    with server.unchanged():
        yield


def sent(server: Attacked, contents: bytes, name: str = "clip.mp4") -> Answer:
    return server.ask("PUT", f"/v1/uploads/{name}", body=contents)


def zipped() -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("clip.mp4", bytes(1 << 20))
    return made.getvalue()


def png(width: int, height: int) -> bytes:
    """Of a picture that would take gigabytes, in a few kilobytes."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(1 << 20))), (b"IEND", b""))
    made = b"\x89PNG\r\n\x1a\n"
    for kind, data in chunks:
        made += struct.pack(">I", len(data)) + kind + data
        made += struct.pack(">I", zlib.crc32(kind + data))
    return made


NO_VIDEOS = {
    "an archive": zipped(),
    "a text": b"I am a video, believe me.\n" * 100,
    "a page": b"<!doctype html><script>alert(1)</script>",
    "a drawing": b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>',
    "a program": b"\x7fELF\x02\x01\x01" + bytes(1000),
    "a playlist": b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n",
    "a remote playlist": b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nhttp://127.0.0.1/a.ts\n",
    "a playlist, not quite a text": b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfile.mp4\n\x01",
    "a list": b"ffconcat version 1.0\nfile ../../../../../secret.mp4\n",
    "a list, not quite a text": b"ffconcat version 1.0\nfile part\n#\x01\n",
    "a description of a session": b"v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\nt=0 0\n"
    b"m=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n",
    "a manifest": b'<?xml version="1.0"?><MPD><BaseURL>http://127.0.0.1/</BaseURL></MPD>',
    "subtitles": b"WEBVTT\n\n00:00.000 --> 00:09.000\nhello\n",
    "nothing": b"",
    "one byte": b"\0",
    "zeros": bytes(100_000),
    "a box without an end": struct.pack(">I4sQ", 1, b"ftyp", 1 << 62),
    "boxes in boxes": b"\0\0\0\x08moov" * 5_000,
}


@pytest.mark.parametrize("what", NO_VIDEOS)
def test_a_file_that_only_its_name_makes_a_video_is_refused(server: Attacked, what: str) -> None:
    for name in ("clip.mp4", "clip.m3u8"):
        answer = sent(server, NO_VIDEOS[what], name)
        assert answer.status == 422, name
        assert str(server.settings.root).encode() not in answer.body
        assert b"/etc/passwd" not in answer.body


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_picture_that_unpacks_to_gigabytes_is_refused_unread(server: Attacked) -> None:
    begin = time.process_time()
    answer = sent(server, png(50_000, 50_000), "a.png")
    assert (answer.status, answer.code) == (422, "unreadable")
    answer = sent(server, png(12_000, 12_000), "a.png")
    assert (answer.status, answer.code) == (422, "too_many_pixels")
    assert time.process_time() - begin < 1


def test_a_video_that_claims_huge_frames_or_days_is_refused(server: Attacked, clip: Path) -> None:
    video = clip.read_bytes()
    entry = video.index(b"avc1", video.index(b"stsd")) + 28
    huge = video[:entry] + struct.pack(">HH", 60_000, 60_000) + video[entry + 4 :]
    answer = sent(server, huge)
    assert answer.status in (201, 422)  # the decoder may know better than the box
    if answer.status == 201:
        assert answer.json["width"] < 9000
        assert server.ask("DELETE", f"/v1/uploads/{answer.json['id']}").status == 204
    header = video.index(b"mdhd") + 4
    scale = struct.unpack(">I", video[header + 12 : header + 16])[0]
    length = struct.pack(">I", min(scale * 90_000, 0xFFFFFFFF))
    days = video[: header + 16] + length + video[header + 20 :]
    assert sent(server, days).status in (201, 422)
    for upload in uploads_of(server):
        assert server.ask("DELETE", f"/v1/uploads/{upload}").status == 204


def uploads_of(server: Attacked) -> list[str]:
    """Of alice, beside her job's."""
    folder = server.settings.root / "users/alice/uploads"
    return [one.name for one in folder.iterdir() if one.name != server.made["video of alice"]]


def test_a_claim_of_100_gb_is_refused_before_a_byte_is_read(server: Attacked) -> None:
    for method, path in (("PUT", "/v1/uploads/a.mp4"), ("POST", "/v1/uploads")):
        kind = "multipart/form-data; boundary=x"
        head = (
            f"{method} {path} HTTP/1.1\nHost: 127.0.0.1\nAuthorization: Bearer TOKEN\n"
            f"Content-Type: {kind}\nContent-Length: {100 << 30}\n\n"
        )
        begin = time.monotonic()
        assert b" 413 " in server.raw(head).partition(b"\r\n")[0]
        assert time.monotonic() - begin < 2


def test_more_bytes_than_an_upload_may_have_are_not_kept_without_a_claim_either(
    server: Attacked,
) -> None:
    endless = (bytes(1 << 16) for _ in range(200))
    with contextlib.suppress(ConnectionError):  # it hung up while we sent
        assert server.ask("PUT", "/v1/uploads/a.mp4", body=endless).status == 413


def test_a_body_that_is_shorter_than_it_says_is_not_kept(server: Attacked) -> None:
    head = (
        "PUT /v1/uploads/a.mp4 HTTP/1.1\nHost: 127.0.0.1\nAuthorization: Bearer TOKEN\n"
        "Content-Length: 100000\n\n"
    )
    assert b" 408 " in server.raw(head, SECRET)[:20]  # nothing comes any more
    for bad in ("-1", "1e9", "0x10", "99999999999999999999", "5, 6", "٣"):
        wrong = head.replace("100000", bad.encode().decode("latin-1"))
        assert server.raw(wrong, SECRET)[9:12] in (b"400", b"413"), bad


def test_an_upload_that_trickles_is_given_up(server: Attacked) -> None:
    def trickle() -> Iterator[bytes]:
        for _ in range(100):
            yield b"a"
            time.sleep(0.1)

    begin = time.monotonic()
    with contextlib.suppress(ConnectionError):
        assert server.ask("PUT", "/v1/uploads/a.mp4", body=trickle()).status == 408
    assert time.monotonic() - begin < 5


def form(parts: list[tuple[str, bytes]], boundary: str = "x") -> tuple[dict[str, str], bytes]:
    """parts: Content-Disposition and contents."""
    body = b"".join(
        b"--%s\r\nContent-Disposition: %s\r\n\r\n%s\r\n"
        % (boundary.encode(), head.encode("utf-8", "surrogateescape"), contents)
        for head, contents in parts
    )
    kind = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    return kind, body + b"--%s--\r\n" % boundary.encode()


def test_a_form_that_is_made_to_hurt_is_refused(server: Attacked) -> None:
    many = form([(f'form-data; name="a{number}"', b"1") for number in range(10_000)])
    twice = form([('form-data; name="video"', b"a"), ('form-data; name="video"', b"b")])
    nameless = form([("form-data", b"a")])
    elsewhere = form([('form-data; name="path"; filename="a.mp4"', b"a")])
    long_field = form([('form-data; name="name"', b"a" * 100_000)])
    long_name = form([(f'form-data; name="{"a" * 100_000}"', b"a")])
    kind, body = form([('form-data; name="video"; filename="a.mp4"', b"a" * 1000)])
    broken = kind, body[:-5]
    no_boundary = {"Content-Type": "multipart/form-data"}, body
    long_boundary = {"Content-Type": f"multipart/form-data; boundary={'x' * 5000}"}, body
    for number, (headers, body) in enumerate(
        (
            *(many, twice, nameless, elsewhere, long_field, long_name),
            *(broken, no_boundary, long_boundary),
        )
    ):
        answer = server.ask("POST", "/v1/jobs", headers=headers, body=body)
        assert answer.status in (400, 408, 413, 422), number


NAMES = (
    *("../../../secret.mp4", "..\\..\\secret.mp4", "/etc/passwd", "C:\\a.mp4", "a\x00b.mp4"),
    *("a\r\nSet-Cookie: x=y.mp4", "<script>alert(1)</script>.mp4", '"; filename="x.html', "."),
    *("..", "~", "-rf", "CON", "a" * 5000 + ".mp4", "\u202egpj.exe", "💥.mp4", "e\u0301.mp4", " "),
    *("%2e%2e%2fsecret", "${HOME}", "`id`", "$(id).mp4", "a.mp4.html", "a.php", "\ufeff", "a\tb"),
)


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_a_name_is_shown_and_no_more(server: Attacked, clip: Path, name: str) -> None:
    """Not in paths, not in headers, and as a text in JSON only."""
    safe = name.replace("\r", "").replace("\n", "").replace('"', '\\"')
    headers, body = form([(f'form-data; name="file"; filename="{safe}"', clip.read_bytes())])
    answer = server.ask("POST", "/v1/uploads", headers=headers, body=body)
    if answer.status != 201:
        assert answer.status in (400, 422)
        return
    upload = answer.json
    folder = server.settings.root / "users/alice/uploads" / upload["id"]
    assert {path.name for path in folder.iterdir()} == {"file.mp4", "about.json"}
    assert upload["name"].isprintable() and 0 < len(upload["name"]) <= 200
    assert answer.headers["content-type"] == "application/json"
    for query in ("", "?download=true"):
        file = server.ask("GET", f"/v1/uploads/{upload['id']}/file{query}")
        check_headers(file, "attachment" if query else "inline")
    assert server.ask("DELETE", f"/v1/uploads/{upload['id']}").status == 204


def check_headers(file: Answer, disposition: str) -> None:
    """A browser takes the file for a video, and its name for a name."""
    assert (file.status, file.headers["content-type"]) == (200, "video/mp4")
    assert file.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in file.headers["content-security-policy"]
    assert "set-cookie" not in file.headers
    head = file.headers["content-disposition"]
    kind, _, name = head.partition("; ")
    assert kind == disposition
    assert re.fullmatch(r"""filename(="[^"\\<>]*"|\*=utf-8''[^";\\<> ]*)""", name), head


@pytest.mark.parametrize("name", ("a%00b.mp4", "%2e%2e%2f%2e%2e%2fx", "a%0d%0aX:%20y", "a" * 501))
def test_a_name_in_a_path_is_no_path(server: Attacked, clip: Path, name: str) -> None:
    answer = sent(server, clip.read_bytes(), name)
    assert answer.status in (201, 400, 404, 405, 422)
    if answer.status == 201:
        assert not set(answer.json["name"]) & set("/\\\0\r\n")
        assert server.ask("DELETE", f"/v1/uploads/{answer.json['id']}").status == 204


def test_only_so_many_uploads_are_kept_for_a_user(server: Attacked, clip: Path) -> None:
    answers = [server.upload(clip) for _ in range(UPLOADS + 4)]
    kept = [one.json["id"] for one in answers if one.status == 201]
    assert len(kept) == UPLOADS
    assert {one.status for one in answers[len(kept) :]} == {429}
    assert int(answers[-1].headers["retry-after"]) > 0
    assert server.upload(clip, user="bob").status == 201  # others go on
    for user, ids in (("alice", kept), ("bob", others_of_bob(server))):
        for one in ids:
            assert server.ask("DELETE", f"/v1/uploads/{one}", user=user).status == 204


def others_of_bob(server: Attacked) -> list[str]:
    folder = server.settings.root / "users/bob/uploads"
    return [one.name for one in folder.iterdir() if one.name != server.made["video of bob"]]


def test_an_archive_is_not_unpacked_because_a_header_says_so(server: Attacked) -> None:
    packed = zlib.compress(bytes(8 << 20))
    headers = {"Content-Encoding": "deflate"}
    answer = server.ask("PUT", "/v1/uploads/a.mp4", headers=headers, body=packed)
    assert answer.status == 422
