"""The time of a run is estimated from a few frames of the video."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import yaml

from latentsync.commands.dry_run import summary, without_analysis
from latentsync.errors import CheckpointError, ConfigError
from latentsync.estimate import calibrate
from latentsync.estimate import estimate as estimation
from latentsync.estimate.calibrate import generation_cost
from latentsync.estimate.cost import FEW, Cost, Pass, of_one_more
from latentsync.estimate.estimate import estimate, output_frames
from latentsync.generate import timing
from latentsync.generate.diffusion import kind as denoiser
from latentsync.media.probe import probe
from latentsync.media.reader import sample_frames
from latentsync.pipeline.dialogue import Dialogue
from latentsync.pipeline.engine import Engine
from latentsync.pipeline.job import Job, checked, prepare
from latentsync.pipeline.preview import state
from latentsync.pipeline.session import Session
from latentsync.pipeline.source import Clip
from latentsync.pipeline.stage_timer import Stage, StageTimer
from latentsync.runtime.execution import REFERENCE, Execution
from latentsync.settings.load import load_config
from latentsync.types import Alignment, Frame
from latentsync.weights.manifest import CODEFORMER, PALM_FINDER
from tests.support.media_factory import make_video
from tests.support.tiny_latentsync import write_tiny_model

ASSETS = Path(__file__).parents[2] / "assets"
VIDEO = ASSETS / "demo_lipsynced.mp4"


SAMPLES = 3


@pytest.fixture(autouse=True)
def few_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimation, "SAMPLES", SAMPLES)
    monkeypatch.setattr(estimation, "ROW", FEW + 2)


def costing(cpu: float, **stages: float) -> Cost:
    return Cost(stages, cpu)


def test_of_stages_that_overlap_the_slowest_counts() -> None:
    one = Pass("restoring", 100, costing(0.05, decode=0.01, restore=0.04, encode=0.02), cores=4)
    assert one.seconds == pytest.approx(4.0)
    assert one.slowest == "restore"


def test_too_few_cores_for_all_stages_count_as_well() -> None:
    one = Pass("restoring", 100, costing(0.12, decode=0.02, restore=0.05, encode=0.05), cores=2)
    assert one.seconds == pytest.approx(6.0)
    assert one.slowest == "the processor"


def test_costs_add_up_by_stage() -> None:
    both = costing(0.1, decode=0.1) + costing(0.3, decode=0.1, encode=0.2) * 0.5
    assert dict(both.stages) == pytest.approx({"decode": 0.15, "encode": 0.1})
    assert both.cpu == pytest.approx(0.25)


def test_one_time_costs_are_no_part_of_the_cost_of_one_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])

    def work(items: Sequence[int]) -> StageTimer:
        timer = StageTimer()
        with timer.stage(Stage.RESTORE):
            now[0] += 0.2 + 0.02 * len(items)
        return timer

    cost = of_one_more(work, range(3 * FEW))
    assert cost.stages["restore"] == pytest.approx(0.02)


def session_of_a_frame(engine: Engine) -> Session:
    """A video of one of the video's frames."""
    (frame,) = sample_frames(VIDEO, 1)
    return Session(engine, Clip(probe(VIDEO), [replace(frame, index=0)]))


def a_face(engine: Engine) -> tuple[Frame, Alignment]:
    session = session_of_a_frame(engine)
    (face,) = session.analyze().alignments
    assert face is not None
    return next(iter(session.source)), face


def settings(tmp_path: Path, *more: str) -> list[str]:
    return [f"output.path={tmp_path / 'out.mp4'}", f"input.video={VIDEO}", *more]


def test_a_restoration_is_two_passes_over_the_video(tmp_path: Path) -> None:
    job = prepare(load_config(None, settings(tmp_path, "restore.when=always")))
    found = estimate(job, Engine(job.config))
    assert [one.title for one in found.passes] == ["detecting faces", "restoring"]
    assert {"decode", "detect"} <= set(found.passes[0].cost.stages)
    assert {"restore", "composite", "encode"} <= set(found.passes[1].cost.stages)
    assert found.restored == found.with_face == found.sampled == SAMPLES
    assert found.seconds == pytest.approx(sum(one.seconds for one in found.passes))
    assert found.frames == job.source.frame_count
    assert list(tmp_path.iterdir()) == []


def test_what_will_not_be_restored_costs_nothing(tmp_path: Path) -> None:
    job = prepare(load_config(None, settings(tmp_path, "restore.blur_on=1")))
    engine = Engine(job.config)
    assert state(session_of_a_frame(engine).plan, 0) == "left_alone"
    found = estimate(job, engine)
    assert found.restored == 0
    assert found.passes[1].cost.stages.get("restore", 0.0) == 0


def test_mouths_are_generated_for_as_long_as_the_speech_lasts(tmp_path: Path) -> None:
    speech = f"input.audio={ASSETS / 'demo_speech.wav'}"
    job = prepare(load_config(None, settings(tmp_path, speech, "generate.name=replay")))
    found = estimate(job, Engine(job.config))
    assert [one.title for one in found.passes][-1] == "generating"
    assert found.passes[-1].cost.stages["generate"] > 0
    assert found.frames == pytest.approx(87, abs=1)  # as long as the speech, not as the video
    said = summary(job, found)
    assert "replay" in said and "every face is counted" in said
    assert "length   3.5 s (bounce): the speech ends at 3.5 s" in said.splitlines()


def test_before_a_later_speech_and_after_it_no_mouth_is_generated(tmp_path: Path) -> None:
    speech = f"input.audio={ASSETS / 'demo_speech.wav'}"
    later = settings(tmp_path, speech, "input.audio_offset=1", "output.length=silence")
    frames, share = output_frames(checked(load_config(None, later)))
    assert frames == probe(VIDEO).frame_count
    assert share * frames == pytest.approx(3.48 * 25, abs=1)


def test_of_several_speakers_only_the_seconds_of_their_speeches_cost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    speech = ASSETS / "demo_speech.wav"
    seconds = probe(VIDEO).duration_seconds

    def job(*spans: tuple[float, float]) -> Job:
        entries = [
            {"speaker": "largest", "audio": str(speech), "start": start, "end": end}
            for start, end in spans
        ]
        return checked(load_config(None, settings(tmp_path), flags={"speakers": entries}))

    def fail(*_: object) -> None:
        raise AssertionError("audio is read")

    jobs = [job((0.0, 0.5), (1.0, 1.5)), job((seconds - 0.5, seconds + 9)), job((0, 3), (0, 3))]
    monkeypatch.setattr("latentsync.media.audio.mix.AudioReader", fail)
    monkeypatch.setattr(Dialogue, "soundtrack", property(fail))
    shares = [output_frames(one)[1] * seconds for one in jobs]
    assert shares == pytest.approx([1.0, 0.5, 6.0], abs=0.02)
    assert output_frames(jobs[0])[0] == probe(VIDEO).frame_count


def test_several_people_in_a_sampled_frame_are_pointed_out(tmp_path: Path) -> None:
    pixels = next(iter(sample_frames(VIDEO, 1))).pixels
    half = cv2.resize(pixels, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    path = make_video(tmp_path / "two.mp4", [np.hstack([half, half])] * 6)
    job = prepare(load_config(None, settings(tmp_path, f"input.video={path}")))
    found = estimate(job, Engine(job.config))
    assert found.people == 2
    line = "people   up to 2 at once in the sampled frames; --list-speakers lists all"
    assert line in summary(job, found).splitlines()
    alone = summary(job, replace(found, people=1)).splitlines()
    assert not any(line.startswith("people") for line in alone)


def test_without_a_model_of_the_analysis_its_name_is_said(tmp_path: Path) -> None:
    job = prepare(load_config(None, settings(tmp_path)))
    text = without_analysis(job, [CODEFORMER, PALM_FINDER], [PALM_FINDER])
    assert text.endswith("time     unknown: the video cannot be analyzed without Palm finder")
    assert "face" not in text.splitlines()[-1]


def test_diffusion_costs_more_the_more_steps_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As if the machine did a thousand million operations a second, of every kind.
    monkeypatch.setattr(calibrate, "timed", lambda name, *_, **__: Cost({name: 1e-9}, 1e-9))
    monkeypatch.setattr(timing, "SMALL_SIDE", 4)
    path = tmp_path / "tiny.yaml"
    sections = write_tiny_model(tmp_path / "weights")
    sections["model"]["block_out_channels"] = [96, 128]
    path.write_text(yaml.safe_dump(sections))
    frame, face = a_face(Engine(load_config(path, ["restore.name=none"])))
    torch.set_num_threads(1)

    def seconds(*more: str, execution: Execution = REFERENCE) -> float:
        cost = generation_cost(load_config(path, more), execution, frame, face)
        return cost.stages["generate"]

    # The VAE is full-size, the U-Net small: it takes many steps to outweigh that.
    few = seconds("generate.steps=8", "generate.guidance=1")
    # From here on the networks are counted, but not run.
    monkeypatch.setattr(timing, "runner", lambda *_: lambda *_: [torch.zeros(1)])
    counted = replace(REFERENCE, device=torch.device("meta"))
    many = seconds("generate.steps=1000", execution=counted)
    assert many > 4 * few
    # Of 1000 steps more of the time is the U-Net's: shared frames are denoised twice.
    overlapping = seconds("generate.steps=1000", "generate.overlap=8", execution=counted)
    assert 1.6 * many < overlapping < 2 * many
    # Guided in half of the steps: three passes where there were four.
    half = seconds(
        "generate.steps=1000", "generate.guidance_interval=[0.25,0.75]", execution=counted
    )
    assert 0.7 * many < half < 0.8 * many


def test_networks_that_have_to_be_converted_first_are_detected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LATENTSYNC_CACHE", str(tmp_path))
    graphs = replace(REFERENCE, backend="openvino")
    assert calibrate.is_converted(denoiser.GRAPHS, REFERENCE)
    assert not calibrate.is_converted(denoiser.GRAPHS, graphs)
    assert calibrate.is_converted("", graphs), "a generator whose networks are not kept"
    about = tmp_path / "openvino" / "name" / "key.json"
    about.parent.mkdir(parents=True)
    about.write_text(json.dumps({"key": {"network": "VAE"}}))
    assert not calibrate.is_converted(denoiser.GRAPHS, graphs)
    about.write_text(json.dumps({"key": {"network": denoiser.GRAPHS}}))
    assert calibrate.is_converted(denoiser.GRAPHS, graphs)


def test_weights_that_are_missing_are_named(tmp_path: Path) -> None:
    speech = f"input.audio={ASSETS / 'demo_speech.wav'}"
    config = load_config(None, settings(tmp_path, speech, "weights.offline=true"))
    with pytest.raises(CheckpointError, match=r"latentsync_unet\.pt"):
        prepare(config)


def test_a_plug_in_generator_is_refused_in_one_line(tmp_path: Path) -> None:
    speech = f"input.audio={ASSETS / 'demo_speech.wav'}"
    config = load_config(None, settings(tmp_path, speech, "generate.name=shutil:copy"))
    frame, face = a_face(Engine(load_config(None)))
    with pytest.raises(ConfigError, match=r"shutil:copy") as caught:
        generation_cost(config, REFERENCE, frame, face)
    assert "\n" not in str(caught.value)


def test_the_last_line_says_the_time(tmp_path: Path) -> None:
    job = prepare(load_config(None, settings(tmp_path)))
    lines = summary(job, estimate(job, Engine(job.config))).splitlines()
    assert lines[-1].startswith("time ") and lines[-1].endswith(" fps")
    assert any("Detail, mouth, auto" in line for line in lines)
