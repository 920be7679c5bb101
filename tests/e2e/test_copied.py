"""A video in which nothing needs restoration keeps its video stream, and the report says so."""

from __future__ import annotations

import json
from pathlib import Path

import av
import numpy as np
import pytest

from latentsync import Engine, Session, load_config
from latentsync.errors import Cancelled
from latentsync.media.reader import VideoReader
from latentsync.pipeline.source import Clip
from tests.support.media_factory import Tone, audio_packets, make_video, pts_of

SHARP = "restore.blur_on=1"  # as if every mouth were sharp enough
LINE = "no pixel is changed: the video stream was copied unchanged"


@pytest.fixture
def video(tmp_path, demo_frames) -> Path:
    return make_video(tmp_path / "in.mp4", demo_frames, audio=[Tone(0.5)])


def payloads(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(video=0) if packet.size]


def report_of(target: Path) -> dict:
    return json.loads(target.with_suffix(".report.json").read_text())


def test_where_nothing_is_restored_the_streams_are_copied(video, tmp_path, run) -> None:
    target = tmp_path / "out.mp4"
    result = run("-i", video, "-o", target, SHARP)
    assert result.code == 0, result.err
    assert payloads(target) == payloads(video)
    assert audio_packets(target) == audio_packets(video)
    assert pts_of(target) == pts_of(video)
    assert [line for line in result.err.splitlines() if "copied" in line] == [LINE]
    assert "0 of 12 frames restored, the video stream copied unchanged" in result.out
    report = report_of(target)
    assert report["output"]["video"] == "copied"
    assert (report["output"]["codec"], report["output"]["crf"]) == ("h264", None)
    assert report["per_frame"]["change"] == [0] * 12
    assert "encode" not in report["stages"]


def test_the_sharpness_behind_the_decision_is_reported(video, tmp_path, run) -> None:
    result = run("-i", video, "-o", tmp_path / "out.mp4", SHARP)
    blur = report_of(tmp_path / "out.mp4")["per_frame"]["blur"]
    known = [probability for probability in blur if probability is not None]
    figures = f"(median probability {np.median(known):.2f}, restore.blur_on 1)"
    assert f"the mouth may be blurred, which is uncertain {figures}" in result.err
    assert "restore.uncertain=gentle" in result.err
    assert "restore.when=always" in result.err


def test_copying_can_be_switched_off(video, tmp_path, run) -> None:
    target = tmp_path / "out.mp4"
    result = run("-i", video, "-o", target, SHARP, "output.copy_unchanged=false")
    assert LINE not in result.err
    assert report_of(target)["output"]["video"] == "encoded"
    assert payloads(target) != payloads(video)


def test_what_is_restored_is_encoded(video, tmp_path, run) -> None:
    target = tmp_path / "out.mp4"
    run("-i", video, "-o", target, "restore.when=always")
    assert report_of(target)["output"]["video"] == "encoded"


RESTORER = """
class Restorer:
    name, size, frames = 'Late', None, 0
    def __call__(self, faces):
        self.frames += len(faces)
        return faces + (0.5 if self.frames > {since} else 0)
def load(config, execution):
    return Restorer()
"""


@pytest.fixture
def restored(video, tmp_path, run, monkeypatch):
    """Runs the command with a restorer that changes nothing in a number of frames, then all."""

    def restored(since: int, *more: str) -> Path:
        (tmp_path / f"late_{since}.py").write_text(RESTORER.format(since=since))
        monkeypatch.syspath_prepend(tmp_path)
        target, asked = tmp_path / "out.mp4", ("--superres", f"late_{since}:load")
        batch = ("restore.when=always", "restore.batch=1", "output.provenance=none")
        result = run("-i", video, "-o", target, *asked, *batch, *more)
        assert result.code == 0, result.err
        return target

    return restored


def test_where_restoration_changes_no_pixel_the_streams_are_copied(video, restored) -> None:
    target = restored(1000)
    assert payloads(target) == payloads(video)
    report = report_of(target)
    assert (report["output"]["video"], report["frames"]["restored"]) == ("copied", 0)
    assert any("changed no pixel" in warning for warning in report["warnings"])
    assert "encode" not in report["stages"]


def test_where_it_changes_the_last_frames_only_all_are_encoded(video, restored) -> None:
    target = restored(6, "output.crf=0", "output.pix_fmt=yuv444p")
    report = report_of(target)
    change = np.array(report["per_frame"]["change"])
    assert report["output"]["video"] == "encoded" and 3 < np.count_nonzero(change) < 12
    assert not change[0] and change[-1]
    pairs = list(zip(VideoReader(video), VideoReader(target), strict=True))
    moved = [int(np.abs(a.pixels.astype(int) - b.pixels).max()) for a, b in pairs]
    assert [m > 10 for m in moved] == [c > 0 for c in change]


def test_the_comparison_is_written_where_restoration_changes_no_pixel(video, restored) -> None:
    target = restored(1000, "--compare")
    assert payloads(target) == payloads(video)
    assert len(list(VideoReader(target.with_name("out_compare.mp4")))) == 12


def test_what_the_container_does_not_hold_is_encoded_and_that_is_reported(
    tmp_path, demo_frames, run
) -> None:
    video = make_video(tmp_path / "in.mkv", demo_frames, codec="ffv1", options={})
    target = tmp_path / "out.mp4"
    result = run("-i", video, "-o", target, SHARP)
    assert result.code == 0, result.err
    assert "is encoded again: few players play ffv1" in result.err
    assert len(pts_of(target)) == 12
    report = report_of(target)
    assert report["output"]["video"] == "encoded"
    assert any("few players play ffv1" in warning for warning in report["warnings"])


def test_the_comparison_is_written_all_the_same(video, tmp_path, run) -> None:
    target, beside = tmp_path / "out.mp4", tmp_path / "out_compare.mp4"
    assert run("-i", video, "-o", target, SHARP, "--compare").code == 0
    assert payloads(target) == payloads(video)
    (width, height), frames = (720, 340), list(VideoReader(beside))
    assert {frame.pixels.shape for frame in frames} == {(height, width, 3)}
    assert len(frames) == 12
    assert report_of(target)["output"]["video"] == "copied"


def test_an_output_that_is_there_is_not_replaced_unasked(video, tmp_path, run) -> None:
    target = tmp_path / "out.mp4"
    target.write_bytes(b"dear to me")
    assert run("-i", video, "-o", target, SHARP).code == 2
    assert target.read_bytes() == b"dear to me"


def test_frames_that_are_in_no_file_are_encoded(video, tmp_path) -> None:
    """They may have been changed since they were read."""
    frames = list(VideoReader(video))
    engine = Engine(load_config(None, [SHARP, "output.preset=ultrafast"]))
    with Session(engine, Clip(VideoReader(video).info, frames)) as session:
        report = session.render(tmp_path / "out.mp4")
    assert report["output"]["video"] == "encoded"


def test_a_session_that_is_cancelled_while_it_copies_leaves_nothing(video, tmp_path) -> None:
    target = tmp_path / "out.mp4"
    session = Session(Engine(load_config(None, [SHARP])), video)
    with session:
        session.make_plan()

        class StubProgress:
            def __enter__(self):
                return session.cancel

            def __exit__(self, *_):
                return None

        with pytest.raises(Cancelled):
            session.render(target, lambda _title, _total: StubProgress())
    assert {path.name for path in tmp_path.iterdir()} == {"in.mp4"}


@pytest.mark.parametrize("restorer", [0, 1000], ids=["all changed", "nothing changed"])
def test_frames_that_cannot_change_are_not_read_to_see_whether_they_do(
    video, tmp_path, monkeypatch, restorer
) -> None:
    (tmp_path / f"since_{restorer}.py").write_text(RESTORER.format(since=restorer))
    monkeypatch.syspath_prepend(tmp_path)
    named = f"restore.name=since_{restorer}:load"
    settings = [named, "restore.when=always", "restore.strength=1"]
    with Session(Engine(load_config(None, settings)), video) as session:
        plan, read = session.plan, []
        plan.strength[:6] = plan.strength[9:] = 0
        shown = session.source.shown
        monkeypatch.setattr(
            session.source, "shown", lambda some: (read.append(list(some)), shown(some))[1]
        )
        report = session.render(tmp_path / "out.mp4")
    assert read[0] == [6, 7, 8, 9, 10, 11]
    assert read[1:] == ([[0, 1, 2, 3, 4, 5]] if restorer == 0 else [])
    assert report["output"]["video"] == ("encoded" if restorer == 0 else "copied")
    assert np.flatnonzero(report["per_frame"]["change"]).tolist() == (
        [6, 7, 8] if restorer == 0 else []
    )
