"""Settings: read, merged by strength, and refused in one line that names the key."""

import pickle

import pytest

from latentsync.config import all_keys, load_config
from latentsync.errors import ConfigError


@pytest.fixture
def yaml_file(tmp_path):
    path = tmp_path / "some settings.yaml"
    path.write_text("output: {crf: 20, preset: fast}\nrestore: {when: always}\n")
    return path


def test_flag_beats_override_beats_yaml_beats_default(yaml_file):
    config = load_config(
        yaml_file, ["output.crf=21", "output.preset=slow"], flags={"output.crf": 22}
    )
    assert (config.output.crf, config.output.preset) == (22, "slow")
    assert config.restore.when == "always"
    assert config.face.detector == "mediapipe"


def test_a_flag_that_was_not_given_changes_nothing(yaml_file):
    assert load_config(yaml_file, flags={"output.crf": None}).output.crf == 20


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("restore.whn=auto", "unknown key: restore.whn; did you mean restore.when?"),
        ("crf=3", "did you mean output.crf?"),
        ("outputs.crf=3", "unknown key: outputs.crf; did you mean output.crf?"),
        ("restore.when=alway", "use one of auto, always, never (did you mean always?)"),
        ("output.crf=high", "output.crf: high"),
        ("output.crf=4.5", "output.crf: 4.5"),
        ("output.crf=52", "use a number from 0 to 51"),
        ("restore.batch=null", "restore.batch: None"),
        ("restore=3", "restore: 3; this is a section"),
        ("nonsense", "write settings as key=value"),
        ("restore.fidelity=0.5", "Detail has no fidelity weight"),
        ("restore.sharpness_off=0.1", "restore.sharpness_off: 0.1"),
    ],
)
def test_a_wrong_setting_is_named_in_one_line(override, said):
    with pytest.raises(ConfigError) as caught:
        load_config(None, [override])
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["123", "1e5", "a b=c;'\".mp4", "фильм.mp4", "yes"])
def test_a_file_name_stays_text_whatever_it_looks_like(name):
    assert load_config(None, [f"input.video={name}"]).input.video == name


def test_hyphens_in_keys_count_as_underscores():
    assert load_config(None, ["restore.min-scale=0.25"]).restore.min_scale == 0.25


@pytest.mark.parametrize(
    ("text", "said"),
    [("a: [", "cannot be read"), ("just words", "unknown key"), ("", "ok"), ("- 1", "no settings")],
)
def test_a_file_that_is_no_settings_file_is_refused(tmp_path, text, said):
    path = tmp_path / "x.yaml"
    path.write_text(text)
    if said == "ok":
        assert load_config(path).output.crf == 18
        return
    with pytest.raises(ConfigError, match=said) as caught:
        load_config(path)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named():
    with pytest.raises(ConfigError, match=r"nowhere\.yaml"):
        load_config("nowhere.yaml")


def test_every_key_is_listed_once():
    keys = all_keys()
    assert "restore.when" in keys
    assert len(keys) == len(set(keys))


def test_errors_survive_pickling():
    error = ConfigError("output.crf", 52, "use less")
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_latentsync_s_own_sections_are_taken_as_they_are(tmp_path):
    path = tmp_path / "stage2_512.yaml"
    path.write_text(
        "data: {num_frames: 16, resolution: 512, train_fileslist: ''}\n"
        "ckpt: {resume_ckpt_path: checkpoints/latentsync_unet.pt, save_ckpt_steps: 10000}\n"
        "run: {inference_steps: 20, perceptual_loss_weight: 0.1}\n"
        "optimizer: {lr: 1e-5, max_grad_norm: 1.0}\n"
        "model: {cross_attention_dim: 384, norm_eps: 1e-5, act_fn: silu}\n"
    )
    config = load_config(path)
    assert config.data["resolution"] == 512
    assert config.model == {"cross_attention_dim": 384, "norm_eps": 1e-5, "act_fn": "silu"}
