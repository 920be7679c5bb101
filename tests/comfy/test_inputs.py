"""What comes into a node: files, frames and audio in memory, and settings."""

from __future__ import annotations

import importlib
import inspect
import io
import os
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch

from latentsync.errors import ConfigError
from latentsync.media.probe import probe
from latentsync.media.reader import VideoReader
from latentsync.pipeline.generator_versions import Version
from latentsync.settings.schema import Config
from tests.support.made_up_comfy.program import NEW, Program, installed
from tests.support.made_up_comfy.videos import VideoComponents, VideoFromComponents
from tests.support.media_factory import make_audio, make_video, moving_pattern

Verdict = Callable[..., Any]


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """25 frames, 1 s."""
    return make_video(tmp_path / "in.mp4", moving_pattern(count=25))


@pytest.fixture
def new(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Program:
    return installed(monkeypatch, NEW, tmp_path / "ComfyUI")


@pytest.fixture
def verdict(new: Program) -> Verdict:
    """What the node says of inputs before it runs."""
    from latentsync.comfy.lipsync import LatentSyncLipSync

    return LatentSyncLipSync.validate_inputs


def frames(path: Path) -> list[np.ndarray]:
    return [frame.pixels for frame in VideoReader(path)]


def closest(frame: np.ndarray, others: list[np.ndarray]) -> int:
    """Index of the one that differs least."""
    return int(np.argmin([np.abs(frame.astype(int) - other).mean() for other in others]))


def tone(seconds: float = 0.5, channels: int = 1) -> dict[str, Any]:
    samples = torch.linspace(-1, 1, int(16000 * seconds)).sin() * 0.3
    return {"waveform": samples.repeat(1, channels, 1), "sample_rate": 16000}


def test_a_video_of_a_file_is_read_from_that_file(program: Program, video: Path) -> None:
    from latentsync.comfy.files import video_file

    with video_file(program.video(video)) as path:
        assert path == video
    assert program.left() == []


def test_a_trimmed_video_is_that_part_only_and_gone_afterwards(new: Program, video: Path) -> None:
    from latentsync.comfy.files import FINER, video_file

    trimmed = new.video(video, start=0.2, duration=0.4)
    with video_file(trimmed) as path:
        assert len(frames(path)) == 10
        assert closest(frames(path)[0], frames(video)) == 5
    assert trimmed.saved_with == FINER
    assert new.left() == []


def test_a_cropped_video_is_not_read_from_its_file(new: Program, video: Path) -> None:
    from latentsync.comfy.files import video_file

    cropped = new.video(video, duration=1.0)
    cropped.get_active_trim_window = lambda: (0.0, 0.0)
    cropped.has_pending_frame_edits = lambda: True
    cropped.save_to = lambda path: Path(path).write_bytes(b"cropped")
    with video_file(cropped) as path:
        assert path.read_bytes() == b"cropped"


def test_a_video_in_memory_becomes_a_file_as_it_is(program: Program, video: Path) -> None:
    from latentsync.comfy.files import video_file

    kept = io.BytesIO(video.read_bytes())
    with video_file(type(program.video(video))(kept)) as path:
        assert path.read_bytes() == video.read_bytes()


def test_frames_in_memory_become_a_video_with_their_audio(program: Program) -> None:
    from latentsync.comfy.files import video_file

    shown = list(moving_pattern(count=8))
    images = torch.from_numpy(np.stack(shown)).float() / 255
    parts = VideoComponents(images, Fraction(24000, 1001), tone(channels=2))
    with video_file(VideoFromComponents(parts)) as path:
        info = probe(path)
        assert info.average_rate == Fraction(24000, 1001)
        assert len(info.audio) == 1
        difference = np.abs(np.stack(frames(path)).astype(int) - np.stack(shown))
        assert difference.mean() < 2
    with video_file(None, images, 25.0) as path:
        assert len(frames(path)) == 8
    assert program.left() == []


def test_an_odd_number_of_columns_is_kept(new: Program) -> None:
    from latentsync.comfy.files import video_file

    with video_file(None, torch.rand(2, 32, 33, 3), 25.0) as path:
        assert frames(path)[0].shape == (32, 33, 3)


@pytest.mark.parametrize("size", [(64, 96), (720, 1280)])  # players take HD for BT.709
def test_frames_in_memory_keep_their_colour_at_any_size(
    new: Program, size: tuple[int, int]
) -> None:
    from latentsync.comfy.files import video_file

    colour = torch.tensor([204, 76, 51])
    images = (colour / 255).expand(1, *size, 3)
    with video_file(None, images, 25.0) as path:
        difference = frames(path)[0].astype(int) - colour.numpy()
    assert np.abs(difference).max() <= 2


def test_video_and_images_are_not_both_taken(new: Program, video: Path) -> None:
    from latentsync.comfy.files import video_file

    for given in ((None, None), (new.video(video), torch.zeros(1, 8, 8, 3))):
        with pytest.raises(ConfigError, match="connect one of them"), video_file(*given):
            pass


def test_audio_is_written_sample_for_sample(new: Program) -> None:
    from latentsync.comfy.files import audio_file

    audio = tone(seconds=5.0)
    with audio_file(audio) as path:
        with av.open(str(path)) as container:
            blocks = [frame.to_ndarray() for frame in container.decode(audio=0)]
        samples = np.concatenate(blocks, axis=1)
        np.testing.assert_array_equal(samples[0], audio["waveform"][0, 0].numpy())
    assert new.left() == []


def test_a_batch_of_audio_is_refused(new: Program) -> None:
    from latentsync.comfy.files import audio_file

    audio = {"waveform": torch.zeros(2, 1, 100), "sample_rate": 16000}
    with pytest.raises(ConfigError, match="a batch of 2"), audio_file(audio):
        pass
    assert new.left() == []


def test_settings_that_fit_are_accepted(verdict: Verdict) -> None:
    assert verdict() is True
    fitting = verdict(
        generator="latentsync (5.5 GB to fetch)",
        restorer="CodeFormer",
        settings="face.occlusion=off\n# a remark\n\nrestore.fade_seconds = 0.2",
    )
    assert fitting is True  # else it is a sentence


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({"generator": "os:system"}, "generator: os:system; use one of auto, latentsync"),
        ({"restorer": "my_restorer:load"}, "use one of Detail, Self"),
        ({"speech_file": "no.wav"}, "speech_file: no such file"),
        ({"speech_file": "../no.wav"}, "speech_file: no such file: ../no.wav"),
        ({"settings": "face.oclusion=off"}, "did you mean face.occlusion?"),
        ({"settings": "output.path=/tmp/x.mp4"}, "leave it out: it has no use in a node"),
        ({"settings": "output.watermark=os:system"}, "leave it out"),
        ({"settings": "face.detector=os:system"}, "face.detector: os:system; use one of mediapipe"),
        ({"settings": 'face.detector="os\\x3asystem"'}, "face.detector: os:system; use one of"),
        (
            {"settings": "output={watermark: 'os:system'}"},
            "output: {'watermark': 'os:system'}; this",
        ),
        ({"settings": "generate={name: 'os:system'}"}, "this is a section"),
        ({"settings": "weights.folders=[/]"}, "leave it out"),
        ({"settings": "face.select=left"}, "use the input speaker for it"),
        ({"settings": "generate.vae=${oc.env:HOME}"}, "write the value itself"),
        ({"settings": 'generate.vae="\\x24{oc.env:HOME}"'}, "write the value itself"),
        ({"speech_file": "~nobody-of-that-name/no.wav"}, "speech_file: no such file"),
        ({"settings": "restore.when=always"}, "use the input restore_when for it"),
        ({"settings": "nonsense"}, "write settings as key=value"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_runs(
    verdict: Verdict, inputs: dict[str, str], said: str
) -> None:
    found = verdict(**inputs)
    assert said in found
    assert "\n" not in found


def test_what_another_node_gives_is_left_for_the_run(verdict: Verdict) -> None:
    assert verdict(settings=None, speech_file=None) is True


@pytest.mark.parametrize("node", ["lipsync", "restore", "people", "judge"])
def test_few_inputs_are_named_as_comfyui_repeats_the_line_for_each(new: Program, node: str) -> None:
    made = importlib.import_module(f"latentsync.comfy.{node}")
    (kind,) = [one for name, one in vars(made).items() if name.startswith("LatentSync")]
    named = inspect.getfullargspec(kind.validate_inputs)
    assert set(named.args) <= {"cls", "settings", "speech_file", "generator", "restorer"}
    assert named.varkw is None


def test_other_texts_are_checked_when_the_node_runs(new: Program) -> None:
    from latentsync.comfy.choices import config_of

    with pytest.raises(ConfigError, match="use a number from 0 to 1, or auto"):
        config_of({"restore_strength": "2"})


@pytest.mark.parametrize("name", ["speaker", "restore_strength"])
def test_a_text_does_not_show_the_environment(new: Program, name: str) -> None:
    from latentsync.comfy.choices import config_of

    with pytest.raises(ConfigError, match=r"\$\{oc.env:HOME\}; write the value itself"):
        config_of({name: "${oc.env:HOME}"})


def test_a_remark_begins_after_a_space(new: Program) -> None:
    from latentsync.comfy.choices import config_of

    config = config_of({"settings": "generate.checkpoint=/models/#1/unet.pt # mine\n#output.fps=9"})
    assert config.generate.checkpoint == "/models/#1/unet.pt"
    assert config.output.fps == Config().output.fps


def test_inputs_become_settings_and_those_left_alone_leave_room_for_a_preset(new: Program) -> None:
    from latentsync.comfy.choices import config_of

    config = config_of(
        {"generator": "latentsync", "preset": "fast", "generate_steps": 20, "output_mix": "-18dB"}
    )
    fast = config_of({"generator": "latentsync", "generate_steps": 11, "preset": "fast"})
    assert config.generate.name == "latentsync"
    assert config.generate.steps < 20  # the preset's, as 20 is the default
    assert config.output.mix == "-18dB"
    assert fast.generate.steps == 11


def test_a_generator_that_is_chosen_wins_over_a_preset_and_auto_does_not(
    new: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    from latentsync.comfy import model_files
    from latentsync.comfy.choices import config_of

    monkeypatch.setattr(model_files, "is_here", lambda _model, _folders: True)
    new.forget_what_is_here()
    for option, name in (("latentsync", "latentsync"), ("auto", "auto")):
        assert config_of({"generator": option, "preset": "draft"}).generate.name == name


def test_auto_is_latentsync_where_its_weights_are_and_replay_elsewhere(
    new: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    from latentsync.comfy import model_files

    assert model_files.chosen_generator("auto").name == "replay"
    monkeypatch.setattr(model_files, "is_here", lambda _model, _folders: True)
    new.forget_what_is_here()
    assert model_files.chosen_generator("auto") == Version("latentsync", Path("unet.yaml"))
    others = ["latentsync", "latentsync_256", "musetalk", "replay"]
    assert model_files.generator_options() == ["auto", *others]


def test_weights_are_searched_in_every_folder_for_models_but_not_among_nodes(new: Program) -> None:
    import folder_paths

    from latentsync.comfy.model_files import model_folders

    other = new.folder / "elsewhere" / "models"
    folder_paths.folder_names_and_paths["latentsync"] = ([str(other)], set())
    assert model_folders() == [str(new.folder / "models"), str(other)]


def test_a_file_named_as_text_counts_with_its_content(new: Program, tmp_path: Path) -> None:
    from latentsync.comfy.lipsync import LatentSyncLipSync

    speech = make_audio(tmp_path / "speech.m4a")
    setting = f"output.soundtrack={speech}  # of the day"
    for given in ({"speech_file": str(speech), "speaker": "~left"}, {"settings": setting}):
        os.utime(speech)
        before = LatentSyncLipSync.fingerprint_inputs(**given)
        assert before == LatentSyncLipSync.fingerprint_inputs(**given)
        os.utime(speech, ns=(1, 1))
        assert before != LatentSyncLipSync.fingerprint_inputs(**given)
