"""A job on several machines ends as on one: also where one of them dies, or does not see files."""

from __future__ import annotations

import dataclasses
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from latentsync.errors import ConfigError
from latentsync.jobs.cluster import work_on_cluster
from latentsync.jobs.cluster_files import JobSpec, NodeFiles, inputs_of
from latentsync.jobs.cluster_jobs import JobOnNode, JobsOfRun
from latentsync.jobs.cluster_node import NodeWorker
from latentsync.jobs.file_blocks import BLOCK, blocks
from latentsync.jobs.places import JobFiles, open_store
from latentsync.jobs.ray_cluster import connected, shares
from latentsync.jobs.rows import DONE, SEGMENT, Task
from latentsync.jobs.store import Store
from latentsync.jobs.worker import Worker, owner_here
from latentsync.media.reader import VideoReader
from latentsync.pipeline.segments.identity import file_hash
from latentsync.settings.load import load_config
from tests.support.ray_nodes import two_nodes, until
from tests.support.sessions import sharp_video

LENGTH = 0.3  # seconds of a segment
SETTINGS = ["restore.when=always", "output.codec=ffv1", "face.occlusion=off"]
SLOW = "restore.name=tests.support.slow_restorer:load"


def config(video: Path, target: Path, *settings: str):
    flags = {"input.video": str(video), "output.path": str(target)}
    return load_config(None, [*SETTINGS, SLOW, *settings], flags=flags)


def added(folder: Path, video: Path, target: Path) -> tuple[JobFiles, Store]:
    files = JobFiles(folder)
    store = open_store(files)
    plain = dataclasses.asdict(config(video, target))
    files.write(store.add("job", "a job", str(target), plain))
    return files, store


def frames(path: Path) -> list[tuple[int, bytes]]:
    return [(frame.pts, frame.pixels.tobytes()) for frame in VideoReader(path)]


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[tuple[int, bytes]]]:
    """The video, and the frames that a worker of this process makes of it."""
    folder = tmp_path_factory.mktemp("local")
    video = sharp_video(folder, 24)
    files, _ = added(folder / "state", video, folder / "out.mkv")
    Worker(files, owner_here(), seconds=LENGTH).run()
    return video, frames(folder / "out.mkv")


@pytest.fixture
def cluster() -> Iterator[Any]:
    with two_nodes() as made:
        yield made


def test_a_node_that_is_killed_costs_nothing_but_time(cluster, local, tmp_path: Path) -> None:
    """The nodes work on copies: neither the video nor the output's folder is seen."""
    video, expected = local
    target = tmp_path / "out" / "job.mkv"
    files, store = added(tmp_path / "state", video, target)

    def work() -> None:
        work_on_cluster(files, ["job"], "auto", seconds=LENGTH, copies=True)

    def both_work() -> bool:
        return len({one["owner"] for one in running(store)}) == 2

    thread = threading.Thread(target=work)
    thread.start()
    until(both_work)
    cluster.remove_node(cluster.second, allow_graceful=False)
    thread.join(240)
    assert store.job("job").state == DONE
    lost = [one for one in store.attempts("job") if "is gone" in (one["error"] or "")]
    assert len(lost) == 1
    assert frames(target) == expected
    assert sorted(one.name for one in target.parent.iterdir()) == ["job.mkv", "job.report.json"]
    report = target.with_name("job.report.json").read_text()
    assert str(video) in report and str(target) in report


def running(store: Store) -> list[dict[str, Any]]:
    attempts = store.attempts("job")
    return [one for one in attempts if one["kind"] == SEGMENT and one["ended"] is None]


class Here:
    """A worker of a cluster that is in this process. copies: whether it gets copies of all."""

    def __init__(self, folder: Path, files: JobFiles, *, copies: bool) -> None:
        self.files, self.jobs = files, JobsOfRun(folder.name, lambda plan: plan, copies=copies)
        self._worker, self.sent = NodeWorkerHere(folder.name, LENGTH), []

    def open(self, task: Task) -> JobOnNode:
        return JobOnNode(self, task)

    def call(self, method: str, arguments: tuple[Any, ...], tick: Callable[[], None]) -> Any:
        return getattr(self._worker, method)(*arguments)

    def read(self, path: str) -> Iterator[bytes]:
        self.sent.append(path)
        return blocks(path)

    def ask(self, method: str) -> Any:
        return getattr(self._worker, method)()

    def release_memory(self) -> None:
        self._worker.release_memory()


class NodeWorkerHere(NodeWorker):
    def _read(self, path: str) -> Iterator[bytes]:
        return blocks(path)

    def _plan_of(self, plan: Any) -> Any:
        return plan


def test_a_machine_that_sees_the_files_uses_them_in_place(local, tmp_path: Path) -> None:
    video, expected = local
    target = tmp_path / "job.mkv"
    files, store = added(tmp_path / "state", video, target)
    place = Here(tmp_path, files, copies=False)
    Worker(files, owner_here(), place=place).run()
    assert store.job("job").state == DONE and frames(target) == expected
    assert not place.sent and not target.with_name("job.mkv.part").exists()


def spec(folder: Path, *, mark: Path | None) -> JobSpec:
    video = folder / "video.mp4"
    video.write_bytes(b"v" * 100)
    plain = dataclasses.asdict(config(video, folder / "out.mkv"))
    there = {key: (path, file_hash(Path(path))) for key, path in inputs_of(plain).items()}
    return JobSpec("job", plain, str(folder / "out.mkv"), there, mark and str(mark))


def test_a_file_that_a_machine_sees_is_not_copied(tmp_path: Path) -> None:
    (tmp_path / "mark").touch()
    job = spec(tmp_path, mark=tmp_path / "mark")
    files = NodeFiles(tmp_path / "node", job, read=no_reading)
    assert files.config == job.config and not files.copied


def no_reading(path: str) -> Iterator[bytes]:
    raise AssertionError(f"{path} is copied")


def test_another_file_under_the_same_name_is_not_taken_for_it(tmp_path: Path) -> None:
    (tmp_path / "mark").touch()
    job = spec(tmp_path, mark=tmp_path / "mark")
    (tmp_path / "video.mp4").write_bytes(b"w" * 100)
    files = NodeFiles(tmp_path / "node", job, read=lambda path: [b"v" * 60, b"v" * 40])
    copied = Path(files.config["input"]["video"])
    assert copied.name == "video.mp4" and copied.read_bytes() == b"v" * 100
    assert files.config["output"] == job.config["output"]


def test_a_machine_that_does_not_see_the_output_writes_beside_its_copies(tmp_path: Path) -> None:
    job = spec(tmp_path, mark=tmp_path / "no mark")
    files = NodeFiles(tmp_path / "node", job, read=no_reading)
    assert files.copied and files.segments.parent == tmp_path / "node" / "out"


def test_a_long_file_is_sent_in_blocks(tmp_path: Path) -> None:
    path = tmp_path / "long"
    with path.open("wb") as file:
        file.truncate(2 * BLOCK + 1)
    assert [len(one) for one in blocks(str(path))] == [BLOCK, BLOCK, 1]


@pytest.mark.parametrize(
    ("has", "workers", "expected"),
    [
        ({"CPU": 4.0}, None, [(4, 0)]),
        ({"CPU": 17.0}, None, [(8, 0)] * 2),
        ({"CPU": 16.0, "GPU": 4.0}, None, [(4, 1)] * 4),
        ({"CPU": 1.0, "GPU": 1.0}, 2, [(0.5, 0.5)] * 2),
        ({"memory": 1.0}, None, []),
    ],
)
def test_a_machine_is_divided_among_its_workers(has, workers, expected) -> None:
    assert shares(has, workers) == expected


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigError, match=r"pip install '\.\[cluster\]'"):
        connected("auto")


@pytest.mark.parametrize("by_name", [True, False])
def test_an_address_without_a_cluster_is_said_at_once(
    monkeypatch: pytest.MonkeyPatch, by_name: bool
) -> None:
    pytest.importorskip("ray", reason="Ray is not installed: pip install '.[cluster]'")
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{unused.getsockname()[1]}"  # nobody listens
        monkeypatch.setenv("RAY_ADDRESS", address if by_name else "")
        begin = time.monotonic()
        with pytest.raises(ConfigError, match=r"no cluster there: .*refused"):
            connected("auto" if by_name else address)
        assert time.monotonic() - begin < 30
