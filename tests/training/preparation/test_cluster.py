"""Training data made by a cluster is what one machine makes, whatever dies meanwhile."""

from __future__ import annotations

import platform
import threading
from collections.abc import Callable, Iterator
from errno import ENOSPC
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from latentsync.commands import prepare_data
from latentsync.errors import CheckpointError, ConfigError, LatentSyncError, MediaError
from latentsync.settings.load import load_config
from latentsync.training.preparation import cluster as module
from latentsync.training.preparation import run
from latentsync.training.preparation.cluster import LOSSES, work_on_cluster
from latentsync.training.preparation.cluster_process import There
from latentsync.training.preparation.failures import writing
from latentsync.training.preparation.inputs import Input
from latentsync.training.preparation.settings import PreparationSettings
from latentsync.training.preparation.store import Store
from latentsync.training.preparation.workers import Advanced, Done, Start, Work
from tests.support.preparing import FLAGS, TALKING, begun, hashes
from tests.support.ray_nodes import two_nodes, until
from tests.support.small_work import Marked


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    with two_nodes() as made:
        yield made


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    folder = tmp_path / "raw"
    (folder / "sub").mkdir(parents=True)
    begun(TALKING, folder / "talking.mp4", 2.4)
    (folder / "sub" / "notes.txt").write_text("no video")
    (folder / "loop.mp4").symlink_to("loop.mp4")
    return folder


def made(output: Path) -> dict[str, str]:
    """Table, shards and clips."""
    names = ("clips.csv", "shards", "clips")
    whole = {str(Path(path).relative_to(output)): hash for path, hash in hashes(output).items()}
    return {path: hash for path, hash in whole.items() if path.startswith(names)}


def test_a_cluster_makes_what_one_machine_makes(cluster: Any, raw: Path, tmp_path: Path) -> None:
    before = hashes(raw)
    here, there = tmp_path / "here", tmp_path / "there"
    assert prepare_data.main([str(raw), str(here), *FLAGS]) == 0
    assert prepare_data.main([str(raw), str(there), *FLAGS, "--cluster", "auto"]) == 0
    assert made(there) == made(here) and any(".mp4" in path for path in made(here))
    assert "shards/train-000000.tar" in made(there)
    lists = [(one / "train.txt").read_text() for one in (here, there)]
    assert lists[1] == lists[0].replace(str(here), str(there)) != ""
    assert not list((there / "clips").glob(".part*")) and hashes(raw) == before


def inputs(folder: Path, *names: str) -> list[Input]:
    for name in names:
        (folder / name).touch()
    return [Input(name, folder / name, seconds=1.0) for name in names]


def begun_times(task: Input) -> int:
    return len(task.path.read_text().splitlines())


def test_a_machine_that_dies_costs_nothing_but_time(
    cluster: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The last test of the cluster: the machine does not come back."""
    import ray

    tasks = inputs(tmp_path, "slow 1", "slow 2", "a", "b", "c")
    events: list[Done[Input] | Advanced[Input]] = []

    def work() -> None:
        events.extend(work_on_cluster(ray, tasks, Marked(), tmp_path, workers=1))

    thread = threading.Thread(target=work)
    thread.start()
    until(lambda: all(begun_times(one) for one in tasks[:2]))
    cluster.remove_node(cluster.second, allow_graceful=False)
    until(lambda: "a worker is lost" in caplog.text)
    (tmp_path / "go on").touch()
    thread.join(120)
    done = {one.task.name: one.error for one in events if isinstance(one, Done)}
    assert done == {one.name: None for one in tasks}
    assert sorted(map(begun_times, tasks[:2])) == [1, 2]
    assert sum(one.seconds for one in events if isinstance(one, Advanced)) > 0


class RayError(Exception):
    pass


class RayTaskError(RayError):
    cause: Exception | None = None


class MadeUpRay:
    """Machines in this process. A task "deadly" takes its process along; "bug" raises."""

    exceptions = SimpleNamespace(RayError=RayError, RayTaskError=RayTaskError)

    def __init__(self, *nodes: str) -> None:
        self._nodes = nodes
        self.begun: list[tuple[str, str]] = []

    def nodes(self) -> list[dict[str, Any]]:
        one = {"Alive": True, "Resources": {"CPU": 2.0}}
        return [{"NodeID": node, **one} for node in self._nodes]

    def wait(self, asked: list[Any], **_: object) -> tuple[list[Any], list[Any]]:
        return asked[:1], asked[1:]

    def get(self, reply: Callable[[], Any]) -> Any:
        return reply()

    def kill(self, _process: Any) -> None:
        pass


class MadeUpProcess:
    """Stands for ray_cluster.new_process."""

    def __init__(self, ray: MadeUpRay, kind: Any, node: str, _share: Any, folder: str) -> None:
        self._ray, self._real, self._node = ray, kind(folder), node

    def __getattr__(self, name: str) -> Any:
        def remote(*given: Any) -> Callable[[], Any]:
            return lambda: self._called(name, *given)

        answer = SimpleNamespace(remote=remote)
        answer.options = lambda **_: answer
        return answer

    def _called(self, name: str, *given: Any) -> Any:
        if name == "work":
            self._ray.begun.append((self._node, given[0].name))
            if given[0].name == "deadly":
                raise RayError("the actor died\nunexpectedly")
            if given[0].name == "bug":
                error = RayTaskError("a traceback")
                error.cause = TypeError("not so")
                raise error
        return getattr(self._real, name)(*given)


class OnlyOn:
    """A Start that works on one machine alone, the first to ask."""

    def __init__(self, *errors: LatentSyncError) -> None:
        self._errors = list(errors)

    def __call__(self) -> Work:
        if self._errors:
            raise self._errors.pop()
        return lambda one, _tick: one.name


def worked(
    monkeypatch: pytest.MonkeyPatch, machines: MadeUpRay, tasks: list[Input], start: Start
) -> dict[str, Done[Input]]:
    monkeypatch.setattr(module, "new_process", MadeUpProcess)
    output = tasks[0].path.parent
    events = list(work_on_cluster(machines, tasks, start, output, workers=1))
    done = [one for one in events if isinstance(one, Done)]
    assert len(done) == len(tasks) and not list((output / "clips").iterdir())
    return {one.task.name: one for one in done}


def test_what_ends_its_process_is_tried_again_and_then_reported(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    machines = MadeUpRay("near", "far")
    tasks = inputs(tmp_path, "deadly", "bug", "one", "two")
    done = worked(monkeypatch, machines, tasks, OnlyOn())
    assert [name for _, name in machines.begun].count("deadly") == LOSSES
    assert done["one"].result == "one" and done["two"].result == "two"
    line = "its worker was lost 3 times: the actor died unexpectedly; it is tried again in the next"
    assert done["deadly"].error == f"{line} run"
    assert "TypeError: not so" in str(done["bug"].error)


def test_a_machine_that_cannot_work_is_left_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    error = CheckpointError("weights", "none", "get them")
    tasks = inputs(tmp_path, "one", "two", "three")
    machines = MadeUpRay("near", "far")
    done = worked(monkeypatch, machines, tasks, OnlyOn(error))
    assert {name: one.result for name, one in done.items()} == {name: name for name in done}
    assert len({node for node, _ in machines.begun}) == 1 and "left out: weights" in caplog.text
    with pytest.raises(ConfigError, match="the cluster cannot work: weights: none; get them"):
        worked(monkeypatch, MadeUpRay("near", "far"), tasks, OnlyOn(error, error))


def test_a_full_disk_ends_the_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    machines = MadeUpRay("near")
    with pytest.raises(MediaError, match="make room"):
        worked(monkeypatch, machines, inputs(tmp_path, "one", "two"), Full())
    assert len(machines.begun) == 1


class Full:
    def __call__(self) -> Work:
        return filled


def filled(_one: Input, _tick: Callable[[], None]) -> None:
    with writing("a clip", Path("clips")):
        raise OSError(ENOSPC, "No space left on device")


def test_a_file_that_a_machine_does_not_see_is_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tasks = inputs(tmp_path, "one", "elsewhere")
    (tmp_path / "elsewhere").unlink()
    done = worked(monkeypatch, MadeUpRay("near"), tasks, OnlyOn())
    error = str(done["elsewhere"].error)
    assert f"machine {platform.node()} does not see the file: {tmp_path}" in error
    assert "storage that all machines see" in error and done["one"].error is None


def test_a_machine_that_does_not_see_the_output_makes_nothing(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not see the output"):
        There(OnlyOn(), tmp_path / "not there")()


def test_a_machine_with_other_weights_makes_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    identity = {"settings": {}, "weights": {"syncnet": "abc"}}
    monkeypatch.setattr(run, "load_tools", lambda config: None)
    monkeypatch.setattr(run, "_identity", lambda settings, config: dict(identity))
    work = run.SourceWork(load_config(), PreparationSettings(), Store(tmp_path, identity), list)
    assert callable(work())
    identity["weights"] = {"syncnet": "other"}
    with pytest.raises(ConfigError, match="other weights or another program"):
        work()
