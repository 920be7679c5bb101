"""What a node does when it runs, and how it leaves ComfyUI's process."""

from __future__ import annotations

import json
import sys
import threading
import weakref
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import cv2
import numpy as np
import pytest
import torch

import latentsync
from latentsync.media.reader import VideoReader
from tests.support.made_up_comfy.program import Program
from tests.support.media_factory import Tone, make_video, moving_pattern

ASSETS = Path(__file__).parents[2] / "assets"
FRAMES = 12
CHEAP = "output.preset=ultrafast\nface.occlusion=off"


@pytest.fixture(scope="module")
def blurry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A mouth that Detail restores."""
    reader = VideoReader(ASSETS / "demo_lipsynced.mp4", start=20, stop=20 + FRAMES)
    frames = [np.ascontiguousarray(frame.pixels) for frame in reader]
    folder = tmp_path_factory.mktemp("blurry")
    return make_video(folder / "in.mp4", frames, options={"crf": "12"}, audio=[Tone(0.5)])


@pytest.fixture(scope="module")
def by_command(blurry: Path) -> Path:
    target = blurry.with_name("by_command.mp4")
    settings = {"output__preset": "ultrafast", "face__occlusion": "off"}
    latentsync.restore(blurry, target, **settings)
    return target


def packets(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux() if packet.size]


def restore() -> Any:
    from latentsync.comfy.restore import LatentSyncRestore

    return LatentSyncRestore


def test_the_result_is_the_commands_packet_by_packet(
    program: Program, blurry: Path, by_command: Path
) -> None:
    torch_threads, cv_threads = torch.get_num_threads(), cv2.getNumThreads()
    torch.set_num_threads(2)
    cv2.setNumThreads(2)
    try:
        output = program.run(restore(), video=program.video(blurry), settings=CHEAP)
        assert (torch.get_num_threads(), cv2.getNumThreads()) == (2, 2)
    finally:
        torch.set_num_threads(torch_threads)
        cv2.setNumThreads(cv_threads)
    result = Path(output.result[0].get_stream_source())
    assert packets(result) == packets(by_command)
    assert program.left() == [result.name]  # no report, and nothing of the work
    assert output.ui.values == [{"filename": result.name, "subfolder": "", "type": "temp"}]
    summary = json.loads(output.result[1])
    assert summary["frames"]["restored"] == FRAMES
    assert "per_frame" not in summary
    assert program.steps[-1] == (FRAMES, FRAMES)
    kind, image, side = program.previews[0]
    assert (kind, image.size, side) == ("JPEG", (256, 154), 256)
    assert program.unloaded == 0  # Detail is no network


def test_an_interrupted_node_leaves_nothing_and_is_asked_about_once(
    program: Program, blurry: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from latentsync.comfy import rendering

    monkeypatch.setattr(rendering, "runs_networks", lambda *_args, **_more: True)
    program.interrupt_at = FRAMES + 2
    threads = torch.get_num_threads(), cv2.getNumThreads()
    with pytest.raises(program.Interrupted):
        program.run(restore(), video=program.video(blurry), settings=CHEAP)
    assert program.left() == []
    assert program.asked == 1
    assert not program.interrupted
    assert (torch.get_num_threads(), cv2.getNumThreads()) == threads
    assert program.unloaded == 1  # other models made room for the network
    assert program.emptied == 2
    assert "interruption" not in {thread.name for thread in threading.enumerate()}


def test_an_interrupt_reaches_work_that_reports_no_progress(new: Program) -> None:
    from latentsync.comfy.interruption import Interruption

    class Slow:
        """Works until it is cancelled."""

        def __init__(self) -> None:
            self.cancel = (stopped := threading.Event()).set
            self.work = lambda: stopped.wait(10)

        def __enter__(self) -> Slow:
            return self

        def __exit__(self, *_error: object) -> None: ...

    session: Any = Slow()
    threading.Timer(0.1, lambda: setattr(new, "interrupted", True)).start()
    with pytest.raises(new.Interrupted), Interruption() as interruption:
        with interruption.stops(session):
            assert session.work(), "it was not cancelled"
        interruption.check()


def test_what_the_user_can_mend_is_one_line(program: Program, tmp_path: Path) -> None:
    from latentsync.comfy.errors import LatentSyncNodeError

    video = program.video(make_video(tmp_path / "pattern.mp4", moving_pattern()))
    for given, said in (
        ({}, "connect one of them"),
        ({"video": video, "restorer": "GFPGAN"}, "tick fetch_weights in the node"),
        ({"video": video, "restorer": "CodeFormer"}, "tick accept_licences in the node"),
        ({"video": video}, "face"),
    ):
        with pytest.raises(LatentSyncNodeError, match=said) as error:
            program.run(restore(), **given)
        assert "\n" not in str(error.value)
        assert error.value.__context__ is None  # what is kept there keeps models
    assert program.left() == []


def test_lip_sync_asks_for_one_speech(new: Program, tmp_path: Path) -> None:
    from latentsync.comfy.errors import LatentSyncNodeError
    from latentsync.comfy.lipsync import LatentSyncLipSync

    video = new.video(make_video(tmp_path / "pattern.mp4", moving_pattern()))
    with pytest.raises(LatentSyncNodeError, match="connect AUDIO to speech"):
        new.run(LatentSyncLipSync, video=video)


def test_a_licence_is_stored_as_accepted_only_when_it_is_ticked(new: Program) -> None:
    from latentsync.comfy.choices import config_of
    from latentsync.comfy.model_files import accept_licences
    from latentsync.errors import ConfigError
    from latentsync.weights.record import accepted_licences

    config = config_of({"restorer": "CodeFormer"})
    with pytest.raises(ConfigError, match="non-commercial"):
        accept_licences(config, speech=False, accepted=False)
    assert accepted_licences() == set()
    accept_licences(config_of({}), speech=False, accepted=True)  # Detail needs none
    assert accepted_licences() == set()
    accept_licences(config, speech=False, accepted=True)
    assert accepted_licences() == {"codeformer"}


def test_a_node_can_fit_inside_comfyuis_inference_mode(new: Program) -> None:
    from latentsync.comfy.process import as_in_our_process

    with torch.inference_mode(), as_in_our_process():
        weight = torch.ones(1, requires_grad=True)
        (weight * 3).sum().backward()
        assert weight.grad is not None and weight.grad.item() == 3


def test_openvino_does_not_report_its_import(new: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    from latentsync.comfy import process

    seen: list[Any] = []
    monkeypatch.delitem(sys.modules, "openvino", raising=False)
    monkeypatch.delitem(sys.modules, "openvino_telemetry", raising=False)
    look = {"import_module": lambda name: seen.append((name, sys.modules["openvino_telemetry"]))}
    monkeypatch.setattr(process, "importlib", SimpleNamespace(**look))
    with process.as_in_our_process():
        assert "openvino_telemetry" not in sys.modules
    assert seen == [("openvino", None)]


def test_the_people_of_a_video_are_shown_and_counted(new: Program, blurry: Path) -> None:
    from latentsync.comfy.people import LatentSyncPeople

    output = new.run(LatentSyncPeople, video=new.video(blurry), settings=CHEAP)
    sheet, table, count = output.result
    assert count == 1
    assert table.splitlines()[0].startswith("person")
    assert sheet.shape[0] == 1 and sheet.shape[3] == 3
    assert 0 <= float(sheet.min()) < float(sheet.max()) <= 1
    assert output.ui.image is sheet


def test_a_result_is_judged_in_words_and_figures(
    new: Program, blurry: Path, by_command: Path
) -> None:
    from latentsync.comfy.judge import LatentSyncJudge

    given = {"result": new.video(by_command), "source": new.video(blurry)}
    output = new.run(LatentSyncJudge, **given, settings="face.occlusion=off")
    verdict, evaluation = output.result
    found = json.loads(evaluation)
    assert output.ui.value == verdict
    assert verdict.splitlines()[0] == found["summary"][0]
    assert found["figures"]


def test_what_judges_is_released_before_its_memory_is_given_back(
    new: Program, blurry: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from latentsync.comfy import looking, process

    class Judges:
        execution = None

    made: list[weakref.ref[Judges]] = []

    def load(_config: object) -> Judges:
        made.append(weakref.ref(judges := Judges()))
        return judges

    verdict = SimpleNamespace(evaluation={})
    monkeypatch.setattr(looking, "load_judges", load)
    monkeypatch.setattr(looking, "judge", lambda *_args, **_more: verdict)
    monkeypatch.setattr(looking, "summary_lines", lambda _found: ["fine"])
    kept: list[Judges | None] = []
    release = {"soft_empty_cache": lambda: kept.append(made[0]())}
    monkeypatch.setattr(process, "model_management", SimpleNamespace(cpu_mode=bool, **release))
    assert looking.judged({"result": new.video(blurry)}) == ("fine", "{}")
    assert kept == [None]
