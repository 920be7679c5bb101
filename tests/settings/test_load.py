"""Settings: read, merged by precedence, and refused in one line that names the key."""

import pickle
from dataclasses import asdict

import pytest

from latentsync.errors import ConfigError
from latentsync.settings.load import all_keys, config_of, load_config
from latentsync.settings.old_keys import RENAMED, REPLACED, Renamed
from latentsync.settings.schema import Config, RestoreConfig


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
        ("restore.blur_off=0.9", "restore.blur_off: 0.9"),
        ("generate.guidance_interval=[0.8,0.2]", "use two rising numbers from 0 to 1"),
        ("generate.guidance_interval=[0.2]", "generate.guidance_interval: [0.2]; use two"),
        ("generate.guidance_interval=[-0.1,1]", "use two rising numbers from 0 to 1"),
        ("generate.guidance_interval=0.5", "generate.guidance_interval: 0.5"),
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
def test_a_file_without_settings_is_refused(tmp_path, text, said):
    path = tmp_path / "x.yaml"
    path.write_text(text)
    if said == "ok":
        assert load_config(path).output.crf == 18
        return
    with pytest.raises(ConfigError, match=said) as caught:
        load_config(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("changed", ["generate.vae=taesd", "generate.guidance_interval=[0.2,0.8]"])
def test_what_upstream_does_not_have_is_refused_in_its_company(changed):
    key = changed.partition("=")[0]
    with pytest.raises(ConfigError, match=rf"^{key}: .*compat=upstream"):
        load_config(None, ["compat=upstream", "input.audio=a.wav", changed])
    load_config(None, ["compat=upstream", "input.audio=a.wav", "generate.guidance_interval=[0,1]"])


@pytest.mark.parametrize(
    ("name", "highest", "too_high"),
    [("GFPGAN", 1, 1.05), ("gfpgan", 1, 1.2), ("CodeFormer", 1.2, 1.3)],
)
def test_the_highest_fidelity_depends_on_the_restorer(name, highest, too_high):
    restorer = f"restore.name={name}"
    assert load_config(None, [restorer, f"restore.fidelity={highest}"]).restore.fidelity == highest
    with pytest.raises(ConfigError, match=f"{too_high}; use a number from 0 to {highest}$"):
        load_config(None, [restorer, f"restore.fidelity={too_high}"])


def test_a_missing_file_is_named():
    with pytest.raises(ConfigError, match=r"nowhere\.yaml"):
        load_config("nowhere.yaml")


OLD_AND_NEW = [
    ("face.smoothing", 2.0, "face.smoothing_seconds", 0.08),
    ("face.max_gap", 5, "face.max_gap_seconds", 0.2),
    ("restore.fade_frames", 8, "restore.fade_seconds", 0.32),
    ("restore.fade_frames", 0, "restore.fade_seconds", 0.0),
]


def value_of(config: Config, key: str) -> object:
    section, name = key.split(".")
    return getattr(getattr(config, section), name)


@pytest.mark.parametrize(("old", "frames", "new", "seconds"), OLD_AND_NEW)
@pytest.mark.parametrize("way", ["yaml", "override", "flag"])
def test_a_setting_in_frames_is_read_as_seconds_at_25_and_reported_once(
    tmp_path, caplog, way, old, frames, new, seconds
):
    path, (section, name) = tmp_path / "old.yaml", old.split(".")
    path.write_text(f"{section}: {{{name}: {frames}}}\n" if way == "yaml" else "")
    config = load_config(
        path,
        [f"{old}={frames}"] if way == "override" else [],
        flags={old: frames} if way == "flag" else {},
    )
    assert value_of(config, new) == pytest.approx(seconds)
    assert [record.getMessage() for record in caplog.records] == [
        f"{old} (in frames) was replaced by {new}: using {seconds:g} s for {frames}"
    ]


def test_new_keys_are_not_reported(caplog):
    config = load_config(None, ["face.max_gap_seconds=0.5", "restore.fade-seconds=1"])
    assert (config.face.max_gap_seconds, config.restore.fade_seconds) == (0.5, 1.0)
    assert caplog.records == []


def test_an_old_key_has_the_precedence_of_its_place(tmp_path, caplog):
    path = tmp_path / "mixed.yaml"
    path.write_text("face: {max_gap_seconds: 0.1, smoothing: 3}\n")
    config = load_config(path, ["face.max-gap=10", "face.smoothing=1"])
    assert config.face.max_gap_seconds == pytest.approx(0.4)
    assert config.face.smoothing_seconds == pytest.approx(0.04)
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 2 and "smoothing_seconds: using 0.04 s for 1" in " ".join(said)


def test_in_one_place_the_new_key_wins_and_a_new_key_of_higher_precedence_overrides_an_old_one(
    tmp_path, caplog
):
    path = tmp_path / "both.yaml"
    path.write_text("face: {max_gap: 50, max_gap_seconds: 0.4, smoothing: 3}\n")
    config = load_config(path, ["face.smoothing_seconds=0.1"])
    assert (config.face.max_gap_seconds, config.face.smoothing_seconds) == (0.4, 0.1)
    assert caplog.records == []


@pytest.mark.parametrize("value", ["lots", "null", "true", "[1]"])
def test_an_old_key_that_holds_no_number_is_named_as_it_was_written(value):
    with pytest.raises(
        ConfigError, match=r"^face\.max_gap: .*; use a number, or set face\.max_gap_"
    ):
        load_config(None, [f"face.max_gap={value}"])


@pytest.mark.parametrize("key", ["face.max_gp", "max_gap", "face.fade_frames", "smoothing"])
def test_only_new_keys_are_proposed(key):
    with pytest.raises(ConfigError) as caught:
        load_config(None, [f"{key}=1"])
    assert str(caught.value).endswith("_seconds?")


def test_old_keys_are_listed_nowhere():
    assert not set(RENAMED) & set(all_keys())
    assert {now.key for now in RENAMED.values()} <= set(all_keys())
    shown = asdict(load_config(None, ["face.max_gap=3"]))
    assert shown["face"].keys() == asdict(Config())["face"].keys()


def test_a_key_can_move_to_another_section_without_its_value_changing(monkeypatch, caplog):
    monkeypatch.setitem(RENAMED, "old.side", Renamed("restore.generator_size"))
    assert load_config(None, ["old.side=96"]).restore.generator_size == 96
    assert [r.getMessage() for r in caplog.records] == [
        "old.side was renamed to restore.generator_size"
    ]


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


@pytest.mark.parametrize("old", ["sharpness_on", "sharpness_off"])
def test_a_replaced_setting_is_ignored_and_the_run_says_what_to_use_now(tmp_path, caplog, old):
    path = tmp_path / "old.yaml"
    path.write_text(f"restore: {{{old}: 0.5, batch: 3}}")
    config = load_config(path)
    assert config.restore == RestoreConfig(batch=3)
    (line,) = caplog.messages
    assert f"restore.{old} (0.5)" in line and REPLACED[f"restore.{old}"] in line
    now = REPLACED[f"restore.{old}"].split(",")[0]
    assert now in all_keys() and f"restore.{old}" not in all_keys()


def test_settings_of_one_job_are_not_those_of_the_next() -> None:
    """The defaults are made once and copied."""
    flags = {"output.crf": 30, "output.path": "a.mp4", "restore.name": "GFPGAN"}
    first = load_config(None, [], flags=flags)
    assert config_of(asdict(first)) == first != Config()
    load_config(None, ["face.speaker=left", "output.crf=3"])
    assert load_config() == config_of(asdict(Config())) == Config()
