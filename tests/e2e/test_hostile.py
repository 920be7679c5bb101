"""Any input gives a correct video, or one clear line and no file."""

from __future__ import annotations

import itertools
import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from latentsync import Engine, Session, load_config
from latentsync.media.probe import probe
from latentsync.media.reader import VideoReader
from latentsync.weights import find
from tests.support.media_factory import Tone, cut, make_audio, make_video, moving_pattern, pts_of

FAST = ("restore.when=always", "output.preset=ultrafast")
SOFT = ("generate.name=tests.support.soft_mouths:load", "data.resolution=256")  # needs no weights
DEMO = Path(__file__).parents[2] / "assets" / "demo_lipsynced.mp4"


def _two_faces(frames):
    return [np.concatenate([f, f[:, ::-1]], axis=1) for f in frames]


def _grey(frames):
    return [np.repeat(f.mean(axis=2, keepdims=True).astype(np.uint8), 3, axis=2) for f in frames]


def _with_black_middle(frames):
    return [*frames[:2], np.zeros_like(frames[0]), *frames[3:]]


def _resized(frames, width, height):
    import cv2

    return [cv2.resize(f, (width, height), interpolation=cv2.INTER_AREA) for f in frames]


QUARTER = (0, 1, -1, 0)
RIGHT = {
    "plain": lambda p, f: make_video(p / "a.mp4", f),
    "one frame": lambda p, f: make_video(p / "a.mp4", f[:1]),
    "two frames": lambda p, f: make_video(p / "a.mp4", f[:2]),
    "two faces": lambda p, f: make_video(p / "a.mp4", _two_faces(f)),
    "grey": lambda p, f: make_video(p / "a.mp4", _grey(f)),
    "a black frame in the middle": lambda p, f: make_video(p / "a.mp4", _with_black_middle(f)),
    "half the video without a face": lambda p, f: make_video(
        p / "a.mp4", [*f, *moving_pattern(360, 340, len(f))]
    ),
    "the face leaves and comes back": lambda p, f: make_video(
        p / "a.mp4", [*f, *[np.full_like(f[0], 90)] * 10, *f]
    ),
    "a face half out of the frame": lambda p, f: make_video(
        p / "a.mp4", [np.ascontiguousarray(x[:, 160:]) for x in f]
    ),
    "twelve people": lambda p, f: make_video(
        p / "a.mp4", [np.tile(x, (3, 4, 1)) for x in _resized(f[:2], 240, 226)]
    ),
    "odd size": lambda p, f: make_video(p / "a.mkv", _resized(f, 361, 341), pix_fmt="yuv444p"),
    "tiny face": lambda p, f: make_video(p / "a.mp4", _resized(f, 108, 102)),
    "portrait turned by 90 degrees": lambda p, f: make_video(
        p / "a.mp4", [np.ascontiguousarray(np.rot90(x)) for x in f], turn=QUARTER
    ),
    "variable frame rate": lambda p, f: make_video(
        p / "a.mp4",
        f,
        time_base=Fraction(1, 1000),
        pts=[0, 40, 70, 150, 200, 210],
    ),
    "23.976 frames a second": lambda p, f: make_video(p / "a.mp4", f, rate=Fraction(24000, 1001)),
    "10 bit": lambda p, f: make_video(p / "a.mkv", f, pix_fmt="yuv420p10le"),
    "yuv444p": lambda p, f: make_video(p / "a.mp4", f, pix_fmt="yuv444p"),
    "interlaced": lambda p, f: make_video(p / "a.mp4", f, fields="tff"),
    "full range": lambda p, f: make_video(
        p / "a.mp4", f, full_range=True, colors={"color_range": 2, "colorspace": 5}
    ),
    "two audio tracks": lambda p, f: make_video(p / "a.mp4", f, audio=[Tone(0.5), Tone(0.5, 880)]),
    "audio that begins late and ends late": lambda p, f: make_video(
        p / "a.mp4", f, audio=[Tone(2.0, start=0.3)]
    ),
    "not mp4 at all (MPEG-TS)": lambda p, f: make_video(p / "a.ts", f),
    "matroska": lambda p, f: make_video(p / "a.mkv", f, audio=[Tone(0.5, codec="flac")]),
    "cut off in the middle": lambda p, f: cut(
        make_video(p / "a.mp4", f, muxer_options={"movflags": "+faststart"}), 0.7
    ),
    "a name with blanks and quotes": lambda p, f: make_video(p / 'it\'s a "video"; rm -rf.mp4', f),
    "a name in another script": lambda p, f: make_video(p / "фильм 映画.mp4", f),
    "a name like a protocol": lambda p, f: make_video(p / "pipe:1.mp4", f),
    "a name that begins with a hyphen": lambda p, f: make_video(p / "-x.mp4", f),
}


@pytest.mark.parametrize("kind", RIGHT)
def test_an_unusual_video_gives_a_correct_output(kind, tmp_path, demo_frames, run):
    source = RIGHT[kind](tmp_path, demo_frames[:6])
    target = tmp_path / "out dir" / f"out'{source.suffix if source.suffix != '.ts' else '.mkv'}"
    result = run("--input", source, "--output", target, *FAST)
    assert result.code == 0, result.err
    assert "Traceback" not in result.err
    before, after = probe(source), probe(target)
    assert (after.width, after.height) == (before.width, before.height)
    assert after.rotation == 0
    assert len(after.audio) == len(before.audio)
    if kind != "cut off in the middle":
        start = pts_of(source)[0] if kind == "not mp4 at all (MPEG-TS)" else 0
        assert np.allclose(
            [float(t) for t in pts_of(target)],
            [float(t - start) for t in pts_of(source)],
            atol=0.0011 if target.suffix == ".mkv" else 1e-9,
        )
    assert not list(target.parent.glob(".*")), "a partial file was left"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "the largest person (1 of 2) was selected: --speaker selects another"),
        (("--speaker", "left"), "the leftmost person ("),
        (("face.select=right",), "the rightmost person ("),
    ],
)
def test_with_two_people_the_selected_face_is_reported(options, said, tmp_path, demo_frames, run):
    source, target = make_video(tmp_path / "a.mp4", _two_faces(demo_frames)), tmp_path / "out.mp4"
    result = run("--input", source, "--output", target, *FAST, *options)
    assert result.code == 0, result.err
    (line,) = [line for line in result.err.splitlines() if "faces were detected" in line]
    assert "2 faces were detected at once (12 of 12 frames show several)" in line and said in line
    report = json.loads(target.with_suffix(".report.json").read_text())
    assert line == f"warning: {report['warnings'][0]}"


def test_with_one_person_nothing_is_reported(tmp_path, demo_frames, run):
    source = make_video(tmp_path / "a.mp4", demo_frames)
    result = run("--input", source, "--output", tmp_path / "o.mp4", *FAST)
    assert "faces were detected" not in result.err


def test_a_video_that_begins_late_ends_with_the_speech(tmp_path, demo_frames, run):
    """Half a second in which there is audio only; then at 25 frames a second until the end."""
    ticks = [25 + 2 * index for index in range(30)]
    source = make_video(
        tmp_path / "late.mp4",
        demo_frames[:10] * 3,
        time_base=Fraction(1, 50),
        pts=ticks,
        audio=[Tone(1.8)],
    )
    speech = make_audio(tmp_path / "speech.wav", Tone(1.2, codec="pcm_s16le", rate=16000))
    target = tmp_path / "out.mp4"
    files = ("-i", source, "--audio_path", speech, "-o", target)
    result = run(*files, *FAST, *SOFT, "output.fps=25")
    assert result.code == 0, result.err
    shown = pts_of(target)
    assert all(float(b - a) == 1 / 25 for a, b in itertools.pairwise(shown))
    assert abs(float(shown[0]) - 0.5) <= 1 / 25
    assert abs(float(shown[-1]) + 1 / 25 - 1.2) <= 1 / 25


@pytest.mark.parametrize(
    ("rate", "output"), [(12, 25), (25, 25), (60, 25), (120, 25), (60, 10)], ids=str
)
def test_any_frame_rate_gives_chunks_of_sixteen(rate, output, tmp_path):
    """The same 0.4 s of a talking face, shown back and forth for 1.6 s of speech."""
    shown = [frame.pixels for frame in VideoReader(DEMO, start=20, stop=30)]
    frames = [
        np.ascontiguousarray(shown[index * 25 // rate][90:430, 140:500])
        for index in range(round(0.4 * rate))
    ]
    source = make_video(tmp_path / "in.mp4", frames, rate=rate)
    speech = make_audio(tmp_path / "speech.wav", Tone(1.6, codec="pcm_s16le", rate=16000))
    config = load_config(None, [*SOFT, f"output.fps={output}", "restore.name=none"])
    with Session(Engine(config), source, audio=speech) as session:
        chunk = session.plan.chunk
    count = round(1.6 * output)
    assert abs(len(chunk) - count) <= 1
    assert chunk.tolist() == [index // 16 for index in range(len(chunk))]


def _video(path: Path, frames) -> Path:
    return make_video(path / "a.mp4", frames)


def _write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


REFUSED = {
    "not there": (lambda p, f: p / "nowhere.mp4", "nowhere.mp4"),
    "a folder": (lambda p, f: p, "folder"),
    "zero bytes": (lambda p, f: _write(p / "a.mp4", b""), "0 bytes"),
    "a text file": (lambda p, f: _write(p / "a.mp4", b"not a video\n" * 99), "not a video"),
    "audio only": (lambda p, f: make_audio(p / "a.m4a"), "no video"),
    "no moov": (lambda p, f: cut(_video(p, f), 0.5), "moov"),
    "no face": (
        lambda p, f: make_video(p / "a.mp4", moving_pattern(160, 120, 4)),
        "no face found",
    ),
    "16x16": (lambda p, f: make_video(p / "a.mp4", moving_pattern(16, 16, 4)), "no face found"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_an_unusable_input_gets_one_line_and_leaves_nothing(kind, tmp_path, demo_frames, run):
    make, said = REFUSED[kind]
    source = make(tmp_path, demo_frames)
    target = tmp_path / "made" / "out.mp4"
    result = run("--input", source, "--output", target, *FAST)
    _assert_refused(result, said)
    assert not target.exists()
    assert not list(tmp_path.rglob("*.part*"))


BAD_TARGETS = {
    "the input itself": (lambda p: p / "a.mp4", "input"),
    "the input through a link": (lambda p: _link(p / "link.mp4", p / "a.mp4"), "input"),
    "a folder": (lambda p: _folder(p / "videos.mp4"), "folder"),
    "no suffix": (lambda p: p / "out", ".mp4"),
    "an unknown suffix": (lambda p: p / "out.avi", ".avi"),
    "below a file": (lambda p: p / "a.mp4" / "out.mp4", "a.mp4"),
}


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


def _link(link: Path, target: Path) -> Path:
    link.symlink_to(target)
    return link


@pytest.mark.parametrize("kind", BAD_TARGETS)
def test_a_bad_target_is_refused_before_any_work(kind, tmp_path, demo_frames, run):
    make, said = BAD_TARGETS[kind]
    source = _video(tmp_path, demo_frames[:2])
    content = source.read_bytes()
    result = run("--input", source, "--output", make(tmp_path), *FAST)
    _assert_refused(result, said)
    assert source.read_bytes() == content


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--superres", "Magic"], "unknown restorer: Magic"),
        (["--superres", "no.such:thing"], "no module no"),
        (["--superres", "GFPGAN"], "GFPGANv1.4.pth"),
        (["--superres", "CodeFormer"], "non-commercial"),
        (["--superres", "CodeFormer", "--accept-licence", "Codeformer"], "codeformer.pth"),
        (["--accept-licence", "everything"], "CodeFormer, insightface"),
        (["--superres", "GFPGAN", "--offline"], "scripts.download"),
        (["--superres", "none"], "restore.name: none"),
        (["restore.when=never"], "restore.when: never"),
        (["--superres", "Detail", "--fidelity-weight", "0.5"], "no fidelity weight"),
        (["--fidelity_weight", "much"], "fidelity_weight"),
        (["--superes", "Detail"], "did you mean --superres?"),
        (["--device", "tpu"], "tpu"),
        (["--config", "nowhere.yaml"], "nowhere.yaml"),
        (["output.crf=99"], "output.crf: 99"),
        (["output.codec=libnothing"], "libnothing"),
        (["output.preset=warp"], "warp"),
        (["output.pix_fmt=rgb48"], "rgb48"),
        (["output.fps=often"], "output.fps: often"),
        (["face.detector=nobody"], "nobody"),
        (["--preview", "0"], "--preview"),
    ],
)
def test_a_bad_setting_gets_one_line(arguments, said, tmp_path, demo_frames, run, monkeypatch):
    source = _video(tmp_path, demo_frames[:1])
    (tmp_path / "checkpoints").mkdir()
    _link(tmp_path / "checkpoints" / "face", find.PROJECT_ROOT / "checkpoints" / "face")
    monkeypatch.setattr(find, "PROJECT_ROOT", tmp_path)  # no other weights are there
    monkeypatch.chdir(tmp_path)
    result = run("-i", source, "-o", tmp_path / "out.mp4", *arguments)
    _assert_refused(result, said)
    assert not (tmp_path / "out.mp4").exists()


@pytest.mark.parametrize("missing", ["--input", "--output"])
def test_a_missing_path_is_named(missing, run):
    given = {"--input": "a.mp4", "--output": "b.mp4"}
    del given[missing]
    _assert_refused(run(*[x for pair in given.items() for x in pair]), missing)


def _assert_refused(result, said: str) -> None:
    lines = result.err.strip().splitlines()
    assert result.code == 2, result
    assert said in lines[-1], lines
    assert len([line for line in lines if line.startswith("error: ")]) == 1
    assert "Traceback" not in result.err
