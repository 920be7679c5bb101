"""The settings that a node's inputs stand for, and what is refused."""

from __future__ import annotations

import importlib
import inspect
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from latentsync.errors import ConfigError
from latentsync.pipeline.generator_versions import Version
from latentsync.settings.schema import Config
from tests.support.made_up_comfy.program import Program
from tests.support.media_factory import make_audio

Verdict = Callable[..., Any]


@pytest.fixture
def verdict(new: Program) -> Verdict:
    """What the node says of inputs before it runs."""
    from latentsync.comfy.lipsync import LatentSyncLipSync

    return LatentSyncLipSync.validate_inputs


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
        ({"settings": "output.path=x.mp4"}, "leave it out: it has no use in a node"),
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
