"""Models inside a wheel are taken from an installed package, or from a wheel that pip downloads."""

from __future__ import annotations

import logging
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from latentsync.errors import CheckpointError
from latentsync.weights import wheel
from latentsync.weights.ensure import ensure_weights, no_byte_progress
from latentsync.weights.fetch import fetch_all
from latentsync.weights.find import find
from latentsync.weights.manifest import MODEL_FILES
from latentsync.weights.model_file import ModelFile, WheelFile
from tests.support.loopback import Loopback, Served
from tests.support.wheels import MEMBERS, PACKAGE, model_in_wheel, write_wheel

EYE, EAR = MEMBERS


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that pip finds packages in; it asks no index."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    return tmp_path / "index"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where fetched files are put. The current folder is another, empty one."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr("latentsync.weights.find.PROJECT_ROOT", tmp_path / "root")
    return tmp_path / "root"


@pytest.fixture
def pips(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The command lines of the processes that are started."""
    lines: list[list[str]] = []
    start = wheel.subprocess.run

    def noted(line, **options):
        lines.append(line)
        return start(line, **options)

    monkeypatch.setattr("latentsync.weights.wheel.subprocess.run", noted)
    return lines


@pytest.fixture
def online(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("latentsync.weights.hub.is_offline", lambda: False)


@pytest.fixture
def server() -> Iterator[Loopback]:
    with Loopback() as server:
        yield server


def fetch(*models: ModelFile) -> list[Path]:
    return fetch_all(models, no_byte_progress)


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, members=MEMBERS) -> None:
    """Unpacks the wheel as pip does. Importing the package fails the test."""
    broken = {f"{PACKAGE}/__init__.py": b"raise AssertionError('imported')"}
    with zipfile.ZipFile(write_wheel(folder / "wheel", {**members, **broken})) as archive:
        archive.extractall(folder / "site")
    monkeypatch.syspath_prepend(folder / "site")


def test_one_download_serves_all_files_of_a_wheel(index, root, pips, caplog) -> None:
    caplog.set_level(logging.INFO, "latentsync")
    write_wheel(index)
    eye, ear = fetch(model_in_wheel(EYE), model_in_wheel(EAR))
    assert (eye.read_bytes(), ear.read_bytes()) == (MEMBERS[EYE], MEMBERS[EAR])
    assert sorted(path.name for path in eye.parent.iterdir()) == ["ear.tflite", "eye.tflite"]
    assert len(pips) == 1
    (said,) = (record.getMessage() for record in caplog.records)
    assert f"{PACKAGE} 1.2" in said and "0.6 MB" in said


def test_the_wheel_for_linux_is_asked_for_whatever_runs_this(index, root, pips) -> None:
    write_wheel(index)
    fetch(model_in_wheel(EYE))
    (line,) = pips
    assert line[:4] == [sys.executable, "-m", "pip", "download"]
    for flag in (
        *("--no-deps --only-binary=:all:", "--python-version 3.11"),
        *("--platform manylinux_2_17_x86_64", "--retries 1 --timeout 10", f"{PACKAGE}==1.2"),
    ):
        assert flag in " ".join(line)


def test_a_file_that_is_there_needs_no_wheel(index, root, pips) -> None:
    target = root / "checkpoints/face/eye.tflite"
    target.parent.mkdir(parents=True)
    target.write_bytes(MEMBERS[EYE])
    assert fetch(model_in_wheel(EYE)) == [target]
    assert pips == []


def test_only_what_is_missing_is_fetched(index, root, online, pips, caplog) -> None:
    caplog.set_level(logging.INFO, "latentsync")
    write_wheel(index)
    models = [model_in_wheel(EYE), model_in_wheel(EAR)]
    (there,) = fetch(models[0])
    before = there.stat().st_mtime_ns
    caplog.clear()
    paths = ensure_weights([(model, None) for model in models])
    assert [path.name for path in paths] == ["eye.tflite", "ear.tflite"]
    assert there.stat().st_mtime_ns == before
    said = caplog.records[0].getMessage()
    assert "ear.tflite (0.3 MB)" in said and "eye" not in said


def test_small_files_are_fetched_without_a_question(index, root, online) -> None:
    write_wheel(index)

    def refuse(missing) -> None:
        raise AssertionError(missing)

    (path,) = ensure_weights([(model_in_wheel(EYE), None)], consent=refuse)
    assert path.exists()


@pytest.mark.parametrize("how", ["flag", "environment"])
def test_offline_no_wheel_is_asked_for(how, index, root, monkeypatch, pips) -> None:
    write_wheel(index)
    monkeypatch.setattr("latentsync.weights.hub.is_offline", lambda: how == "environment")
    with pytest.raises(CheckpointError, match=r"eye\.tflite"):
        ensure_weights([(model_in_wheel(EYE), None)], offline=how == "flag")
    assert pips == [] and not root.exists()


# --- order of the sources ---


def test_the_wheel_comes_after_the_public_storage(server, index, root, pips) -> None:
    url = server.add("/eye.tflite", Served(MEMBERS[EYE]))
    fetch(model_in_wheel(EYE, url))
    assert pips == []
    write_wheel(index)
    path = fetch(model_in_wheel(EAR, server.url("/ear.tflite")))[0]
    assert path.read_bytes() == MEMBERS[EAR]
    assert len(server.asked) == 2 and len(pips) == 1


def test_a_host_that_cannot_be_reached_is_asked_once_and_briefly(
    index, root, monkeypatch, pips
) -> None:
    write_wheel(index)
    asked: list[tuple[str, float]] = []

    def open_late(opener, request, timeout):
        asked.append((request.full_url, timeout))
        raise TimeoutError

    monkeypatch.setattr("urllib.request.OpenerDirector.open", open_late)
    eye = model_in_wheel(EYE, "https://models.invalid/eye.tflite")
    ear = model_in_wheel(EAR, "https://models.invalid/ear.tflite")
    assert [path.exists() for path in fetch(eye, ear)] == [True, True]
    assert [url for url, _ in asked] == ["https://models.invalid/eye.tflite"] * 2
    assert sum(timeout for _, timeout in asked) <= 10


def test_a_file_that_a_reachable_host_lacks_does_not_rule_out_its_others(
    server, index, root, pips
) -> None:
    there = server.add("/ear.tflite", Served(MEMBERS[EAR]))
    write_wheel(index)
    fetch(model_in_wheel(EYE, server.url("/none")), model_in_wheel(EAR, there))
    assert [asked.path for asked in server.asked] == ["/none", "/ear.tflite"]


def test_every_source_s_failure_is_reported(index, root, server) -> None:
    index.mkdir()
    with pytest.raises(CheckpointError) as caught:
        fetch(model_in_wheel(EYE, server.url("/none")))
    said = str(caught.value)
    place = root / "checkpoints/face/eye.tflite"
    for part in ("HTTP 404", "pip: ", f"{PACKAGE}==1.2", f"put the file at {place} by hand"):
        assert part in said
    assert "\n" not in said and not root.exists()


def test_an_index_that_cannot_be_reached_is_said_to_be(root, monkeypatch) -> None:
    for name, value in {
        "PIP_CONFIG_FILE": "/dev/null",
        "PIP_INDEX_URL": "http://127.0.0.1:9/simple",  # the discard service: nobody listens
        "PIP_FIND_LINKS": "",
        "PIP_NO_INDEX": "0",
    }.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(CheckpointError, match="the package index cannot be reached"):
        fetch(model_in_wheel(EYE))


def test_without_pip_that_is_said(index, root, monkeypatch) -> None:
    find_spec = wheel.importlib.util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name: None if name == "pip" else find_spec(name)
    )
    with pytest.raises(CheckpointError, match="this Python has no pip"):
        fetch(model_in_wheel(EYE))


def test_a_pip_that_never_ends_is_given_up(index, root, monkeypatch) -> None:
    monkeypatch.setattr("latentsync.weights.wheel.LONGEST", 0.01)
    with pytest.raises(CheckpointError, match=r"more than 0\.01 seconds"):
        fetch(model_in_wheel(EYE))
    assert not root.exists()


# --- what is wrong is refused ---


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (MEMBERS[EYE][:-1] + b"?", "its sha256 is"),
        (MEMBERS[EYE] + b"?", "its sha256 is"),
        (None, "the wheel has no such file"),
    ],
    ids=["other bytes", "longer", "not in it"],
)
def test_another_file_is_refused_and_nothing_is_left(content, why, index, root, pips) -> None:
    write_wheel(index, {EAR: MEMBERS[EAR]} | ({} if content is None else {EYE: content}))
    with pytest.raises(CheckpointError, match=why) as caught:
        fetch(model_in_wheel(EYE))
    assert "eye.tflite" in str(caught.value)
    assert not root.exists()


def test_a_damaged_wheel_is_refused_and_nothing_is_left(tmp_path, root) -> None:
    path = write_wheel(tmp_path)
    whole = path.read_bytes()
    for damaged in (whole[:1000], whole.replace(MEMBERS[EYE][:500], bytes(500))):
        path.write_bytes(damaged)
        model = model_in_wheel(EYE)
        source = model.sources[0]
        assert isinstance(source, WheelFile)
        with pytest.raises(CheckpointError, match="the wheel is damaged"):
            wheel.take_member(
                source,
                root / "eye.tflite",
                size=model.bytes,
                sha256=model.sha256,
                wheel=lambda _: path,
            )
        assert not root.exists()


# --- an installed package ---


def test_an_installed_package_is_used_without_importing_it(tmp_path, root, monkeypatch) -> None:
    model = model_in_wheel(EYE)
    with pytest.raises(CheckpointError):
        find(model)
    install(tmp_path, monkeypatch)
    assert find(model) == tmp_path / "site" / EYE
    own = root / "checkpoints/face/eye.tflite"
    own.parent.mkdir(parents=True)
    own.write_bytes(b"")
    assert find(model) == own, "a file in its place comes first"


def test_another_release_of_the_package_is_not_used(tmp_path, root, monkeypatch) -> None:
    install(tmp_path, monkeypatch, {EYE: MEMBERS[EYE][:-1] + b"?"})
    for member in (EYE, EAR):
        with pytest.raises(CheckpointError):
            find(model_in_wheel(member))


def test_all_files_of_a_package_name_the_same_wheel() -> None:
    sources = {
        (source.package, source.version, source.bytes)
        for model in MODEL_FILES.values()
        for source in model.sources
        if isinstance(source, WheelFile)
    }
    assert len(sources) == 1
