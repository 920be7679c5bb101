"""latentsync.media.indexed: frames in any order equal the frames of the video."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from latentsync.errors import MediaError
from latentsync.media.decoder import Decoding
from latentsync.media.indexed import IndexedReader
from latentsync.media.reader import VideoReader
from latentsync.types import Frame
from tests.support.media_factory import corrupt, cut, make_video, moving_pattern

COUNT = 70
LONG_GOP = {"preset": "medium", "g": "250", "bf": "3", "b-adapt": "0"}
OPEN_GOP = {"preset": "medium", "x264-params": "open-gop=1:keyint=12:bframes=3:scenecut=0"}
REFRESH = {"preset": "fast", "x264-params": "intra-refresh=1:keyint=20:bframes=0"}
FAST = {"preset": "ultrafast", "g": "10"}


def patterns(count: int = COUNT) -> list[np.ndarray]:
    return list(moving_pattern(count=count))


def uneven(path: Path) -> Path:
    steps = np.random.default_rng(0).integers(1, 90, COUNT)
    pts = [int(p) for p in np.cumsum(steps)]
    return make_video(path, patterns(), time_base=Fraction(1, 1000), pts=pts, options=LONG_GOP)


def transport_stream(path: Path) -> Path:
    late = {"output_ts_offset": "10"}
    return make_video(path, patterns(), options=LONG_GOP, muxer_options=late)


def joined(path: Path) -> Path:
    """Two recordings: time stamps start again, so that two frames have the same one."""
    one = make_video(path.with_name("1.ts"), patterns(30), options=FAST).read_bytes()
    path.write_bytes(one + make_video(path.with_name("2.ts"), patterns(40)).read_bytes())
    return path


def edited(path: Path) -> Path:
    """An edit list that begins in the middle of a GOP."""
    source = make_video(path.with_name("whole.mp4"), patterns(), options=LONG_GOP)
    with av.open(str(source)) as whole, av.open(str(path), "w") as output:
        stream = output.add_stream_from_template(whole.streams.video[0])
        for packet in whole.demux(video=0):
            if packet.pts is not None and packet.dts is not None:
                shift = round(Fraction(9, 25) / packet.time_base)
                packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
                packet.stream = stream
                output.mux(packet)
    return path


def mislabelled(path: Path) -> Path:
    """Every frame is marked as a key frame, and few are."""
    options = {"g": "20"}
    source = make_video(path.with_name("honest.mkv"), patterns(), codec="mpeg4", options=options)
    with av.open(str(source)) as honest, av.open(str(path), "w") as output:
        stream = output.add_stream_from_template(honest.streams.video[0])
        for packet in honest.demux(video=0):
            if packet.dts is not None:
                packet.is_keyframe, packet.stream = True, stream
                output.mux(packet)
    return path


VIDEOS: dict[str, Callable[[Path], Path]] = {
    "bframes.mp4": lambda path: make_video(path, patterns(), options=LONG_GOP),
    "open.mp4": lambda path: make_video(path, patterns(), options=OPEN_GOP),
    "open.mkv": lambda path: make_video(path, patterns(), options=OPEN_GOP),
    "refresh.mp4": lambda path: make_video(path, patterns(), options=REFRESH),
    "refresh.ts": lambda path: make_video(path, patterns(), options=REFRESH),
    "uneven.mkv": uneven,
    "stream.ts": transport_stream,
    "opengop.ts": lambda path: make_video(path, patterns(), options=OPEN_GOP),
    "turned.mp4": lambda path: make_video(path, patterns(), options=FAST, turn=(0, 1, -1, 0)),
    "edited.mp4": edited,
    "mislabelled.mkv": mislabelled,
    "old.avi": lambda path: make_video(path, patterns(), codec="mpeg4", options={"g": "20"}),
    "bare.h264": lambda path: make_video(path, patterns(), options=LONG_GOP),
    "joined.ts": joined,
    "damaged.mkv": lambda path: corrupt(make_video(path, patterns(), options=FAST), 0.5),
    "cut.mkv": lambda path: cut(make_video(path, patterns(), options=FAST), 0.7),
    "one.mp4": lambda path: make_video(path, patterns(1)),
}

ORDERS: dict[str, Callable[[int], list[int]]] = {
    "as it is": lambda n: list(range(n)),
    "every other": lambda n: list(range(0, n, 2)),
    "each twice": lambda n: [k // 2 for k in range(2 * n)],
    "25 to 30": lambda n: [5 * k // 6 for k in range(6 * n // 5)],
    "backwards": lambda n: list(range(n))[::-1],
    "there and back and there": lambda n: [*range(n), *range(n - 2, -1, -1), *range(1, n)],
    "back, each twice": lambda n: [*range(n), *[k // 2 for k in range(2 * n - 1, -1, -1)]],
    "back, every third": lambda n: [*range(n), *range(n - 1, -1, -3)],
    "again from the start": lambda n: [*range(n), *range(n), *range(n // 2)],
    "held": lambda n: [n // 2] * 40 + [n - 1] * 3,
    "to and fro": lambda n: [(n // 2 + d) % n for d in (0, 4, 2, 9, 7, 8, -3, 20, 1, 33, 0)],
    "nothing": lambda n: [],
}


@pytest.fixture(scope="module", params=VIDEOS)
def video(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return VIDEOS[request.param](tmp_path_factory.mktemp("video") / request.param)


def assert_same(got: list[Frame], whole: list[Frame], order: list[int]) -> None:
    assert [frame.index for frame in got] == list(range(len(order)))
    assert [frame.pts for frame in got] == [whole[index].pts for index in order]
    assert [frame.pts_seconds for frame in got] == [whole[index].pts_seconds for index in order]
    for frame, index in zip(got, order, strict=True):
        assert np.array_equal(frame.pixels, whole[index].pixels), (frame.index, index)
        assert frame.pixels.flags["C_CONTIGUOUS"]


def test_every_order_gives_the_same_frames(video: Path) -> None:
    whole = list(VideoReader(video))
    assert len({frame.pixels.tobytes() for frame in whole}) == len(whole), "frames must differ"
    for name, make in ORDERS.items():
        order = make(len(whole))
        reader = IndexedReader(video, np.array(order, np.int64))
        got = list(reader)
        assert len(reader) == len(order), name
        assert_same(got, whole, order)


@given(data=st.data())
@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_random_orders_give_the_same_frames(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "a.mp4"
    if not path.exists():
        make_video(path, patterns(), options=OPEN_GOP)
    order = data.draw(st.lists(st.integers(0, COUNT - 1), max_size=40))
    assert_same(list(IndexedReader(path, order)), list(VideoReader(path)), order)


def test_it_can_be_read_twice(tmp_path: Path) -> None:
    reader = IndexedReader(make_video(tmp_path / "a.mp4", patterns(10)), [3, 2, 1, 5])
    first, second = list(reader), list(reader)
    assert all(np.array_equal(a.pixels, b.pixels) for a, b in zip(first, second, strict=True))
    assert reader.info.frame_count == 10


def test_each_frame_is_the_callers_own(tmp_path: Path) -> None:
    order = [4, 4, 3, 4, 4]
    path = make_video(tmp_path / "a.mp4", patterns(10))
    expected = [list(VideoReader(path))[index].pixels for index in order]
    for frame, pixels in zip(IndexedReader(path, order), expected, strict=True):
        assert np.array_equal(frame.pixels, pixels)
        frame.pixels[:] = 0


def test_damage_is_reported_once_however_often_a_part_is_read(tmp_path: Path) -> None:
    path = VIDEOS["damaged.mkv"](tmp_path / "a.mkv")
    plain = VideoReader(path)
    count = len(list(plain))
    reader = IndexedReader(path, [*range(count), *range(count - 1, -1, -1)])
    assert reader.issues is None
    frames = iter(reader)
    for _ in range(2 * count):
        next(frames)
    assert reader.issues is not None and plain.issues is not None
    assert plain.issues.startswith(reader.issues)  # the last issue lies beyond the last frame


def decoded(monkeypatch: pytest.MonkeyPatch, path: Path, order: list[int]) -> int:
    """How many frames are decoded for that order."""
    count = 0
    frames_of = Decoding.frames

    def counted(self: Decoding):
        nonlocal count
        for frame in frames_of(self):
            count += 1
            yield frame

    with monkeypatch.context() as patch:
        patch.setattr(Decoding, "frames", counted)
        for _ in IndexedReader(path, order):
            pass
    return count


def test_no_more_frames_are_decoded_than_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_video(tmp_path / "a.mp4", patterns(200), options=FAST)  # a key frame every ten
    assert decoded(monkeypatch, path, [k // 3 for k in range(600)]) == 200
    assert decoded(monkeypatch, path, [5] * 1000) == 6
    there_and_back = [*range(200), *range(198, -1, -1)]
    assert decoded(monkeypatch, path, there_and_back) < 200 + 199 + 9 * 12  # 9 blocks
    assert decoded(monkeypatch, path, [*range(200)] * 3) < 3 * 205


def test_memory_does_not_grow_with_the_video(tmp_path: Path) -> None:
    size, count = (160, 120), 240
    path = make_video(tmp_path / "a.mp4", moving_pattern(*size, count), options=FAST)
    order = [*range(count), *range(count - 2, -1, -1), *range(count), *[7] * 100]
    tracemalloc.start()
    for _ in IndexedReader(path, order):
        pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 48 * 3 * size[0] * size[1], "bytes; 48 frames, of 240"


def test_a_frame_beyond_the_end_is_named(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4", patterns(5))
    with pytest.raises(MediaError, match="before frame 9") as error:
        list(IndexedReader(path, [3, 9]))
    assert str(path) in str(error.value) and "\n" not in str(error.value)


def test_a_negative_index_is_refused(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4", patterns(5))
    with pytest.raises(ValueError, match="-1"):
        IndexedReader(path, [0, -1])
