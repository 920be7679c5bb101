"""Settings of training: LatentSync's own files as they are, ours, and what is refused."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from latentsync.errors import ConfigError
from latentsync.models.sync_options import LATENT, RELEASED
from latentsync.training.settings.load import (
    load_syncnet_training,
    load_unet_training,
    loss_network,
)
from latentsync.training.settings.schema import SyncNetTraining, UNetTraining
from latentsync.training.settings.sections import all_keys

CONFIGS = Path(__file__).parents[3] / "configs" / "training"
UNET = sorted(set(CONFIGS.glob("*.yaml")) - {CONFIGS / "syncnet.yaml"})

UPSTREAM_UNET = """
data:
  syncnet_config_path: configs/syncnet/syncnet_16_pixel_attn.yaml
  train_output_dir: debug/unet
  train_fileslist: /data/list.txt
  train_data_dir: ""
  audio_embeds_cache_dir: /cache/embeds
  audio_mel_cache_dir: /cache/mel
  val_video_path: assets/demo1_video.mp4
  val_audio_path: assets/demo1_audio.wav
  batch_size: 1
  num_workers: 12
  num_frames: 16
  resolution: 256
  mask_image_path: latentsync/utils/mask.png
  audio_sample_rate: 16000
  video_fps: 25
  audio_feat_length: [2, 2]
ckpt: {resume_ckpt_path: checkpoints/latentsync_unet.pt, save_ckpt_steps: 10000}
run:
  pixel_space_supervise: true
  use_syncnet: true
  sync_loss_weight: 0.05
  perceptual_loss_weight: 0.1
  recon_loss_weight: 1
  guidance_scale: 1.5
  trepa_loss_weight: 10
  inference_steps: 20
  trainable_modules: [motion_modules., attentions.]
  seed: 1247
  use_mixed_noise: true
  mixed_noise_alpha: 1
  mixed_precision_training: true
  enable_gradient_checkpointing: true
  max_train_steps: 10000000
  max_train_epochs: -1
optimizer: {lr: 1e-5, scale_lr: false, max_grad_norm: 1.0, lr_scheduler: constant}
model: {cross_attention_dim: 384, norm_eps: 1e-5, sample_size: 64, use_motion_module: true}
"""
"""The keys of LatentSync's configs/unet/stage2.yaml."""
UPSTREAM_SYNCNET = """
model:
  audio_encoder:
    in_channels: 1
    block_out_channels: [32, 64, 128, 256, 512, 1024]
    downsample_factors: [[2, 1], 2, 2, 2, 2, [2, 3]]
    attn_blocks: [0, 0, 0, 0, 0, 0]
    dropout: 0.0
  visual_encoder:
    in_channels: 64
    block_out_channels: [64, 128, 256, 256, 512, 1024]
    downsample_factors: [2, 2, 2, 1, 2, 2]
    attn_blocks: [0, 0, 0, 0, 0, 0]
    dropout: 0.0
ckpt: {resume_ckpt_path: "", inference_ckpt_path: "", save_ckpt_steps: 2500}
data:
  train_output_dir: debug/syncnet
  num_val_samples: 1200
  batch_size: 120
  gradient_accumulation_steps: 1
  num_workers: 12
  latent_space: true
  num_frames: 16
  resolution: 256
  train_fileslist: /data/list.txt
  train_data_dir: ""
  val_fileslist: ""
  val_data_dir: /data/val
  audio_mel_cache_dir: /cache/mel
  lower_half: false
  audio_sample_rate: 16000
  video_fps: 25
optimizer: {lr: 1e-5, max_grad_norm: 1.0}
run: {max_train_steps: 10000000, validation_steps: 2500, mixed_precision_training: true, seed: 42}
"""
"""The keys of LatentSync's configs/syncnet/syncnet_16_latent.yaml."""


def written(folder: Path, text: str) -> Path:
    path = folder / "settings.yaml"
    path.write_text(text)
    return path


def test_latentsyncs_own_file_of_the_unet_is_taken_as_it_is(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        settings = load_unet_training(written(tmp_path, UPSTREAM_UNET))
    assert settings.optimizer.lr == 1e-5  # YAML 1.1 reads it as text
    assert settings.run.trainable_modules == ("motion_modules.", "attentions.")
    assert settings.data.train_fileslist == "/data/list.txt"
    assert settings.needs_mel and settings.audio_width == 384
    assert loss_network(settings).model == RELEASED
    assert [one.message for one in caplog.records if "mask_image_path" in one.message]


def test_latentsyncs_own_file_of_syncnet_is_taken_as_it_is(tmp_path: Path) -> None:
    settings = load_syncnet_training(written(tmp_path, UPSTREAM_SYNCNET))
    assert settings.data.latent_space and settings.data.batch_size == 120
    visual = settings.model["visual_encoder"]
    assert visual["block_out_channels"] == LATENT["visual_encoder"]["block_out_channels"]


@pytest.mark.parametrize("path", UNET, ids=lambda path: path.stem)
def test_shipped_files_of_the_unet_can_be_loaded(path: Path) -> None:
    settings = load_unet_training(path)
    at_512 = "512" in path.stem or path.stem == "person"
    assert at_512 == (settings.data.resolution == 512)
    motion = settings.model.get("use_motion_module", True)
    assert motion is not path.stem.startswith("stage1")


def test_the_shipped_file_of_syncnet_describes_the_published_network() -> None:
    settings = load_syncnet_training(CONFIGS / "syncnet.yaml")
    for name, section in RELEASED.items():
        assert {key: settings.model[name][key] for key in section} == section


def test_every_key_of_the_unet_is_explained_where_it_is_set() -> None:
    text = (CONFIGS / "stage2.yaml").read_text()
    given = yaml.safe_load(text)
    for key in all_keys(UNetTraining, without={"path": None}):
        section, _, name = key.partition(".")
        assert not name or name in given[section], key
    for line, reason in unexplained(text):
        pytest.fail(f"line {line}: {reason}")


def unexplained(text: str) -> Iterator[tuple[int, str]]:
    """Keys of sections above which, and above the keys before it, there is no comment."""
    commented = False
    for number, line in enumerate(text.splitlines(), 1):
        bare = line.strip()
        if not bare or not line.startswith(" "):
            commented = False
        elif bare.startswith("#"):
            commented = True
        elif not bare.startswith("-") and not commented:
            yield number, bare


def test_every_key_of_syncnet_is_set_in_its_file() -> None:
    given = yaml.safe_load((CONFIGS / "syncnet.yaml").read_text())
    for key in all_keys(SyncNetTraining, without={"path": None}):
        section, _, name = key.partition(".")
        if name and section != "training":
            assert name in given[section], key


def test_a_section_that_is_written_out_has_the_defaults_of_the_schema() -> None:
    """... so that leaving a key out means what the file that explains it says."""
    settings = load_unet_training(CONFIGS / "stage2.yaml")
    assert settings.run.trepa_loss_weight == UNetTraining().run.trepa_loss_weight == 10
    for name in ("optimizer", "lora"):
        assert getattr(settings, name) == getattr(UNetTraining(), name)


def test_unknown_keys_are_named_together_with_what_was_meant(tmp_path: Path) -> None:
    path = written(tmp_path, "data: {batchsize: 2}\nrun: {sed: 1}\noptimizer: {lr: 1e-4}\n")
    with pytest.raises(ConfigError) as error:
        load_unet_training(path)
    for text in ("data.batchsize", "run.sed", "data.batch_size", "run.seed"):
        assert text in str(error.value)


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ("data.batch_size=0", "data.batch_size"),
        ("data.resolution=100", "data.resolution"),
        ("data.num_frames=12", "data.num_frames"),
        ("data.video_fps=30", "data.video_fps"),
        ("data.mask_image_path=mine.jpg", "data.mask_image_path"),
        ("data.batch_size=two", "data.batch_size"),
        ("data.train_output_dir=''", "data.train_output_dir"),
        ("run.seed=-1", "run.seed"),
        ("run.use_syncnet=1", "run.use_syncnet"),
        ("run.max_train_steps=-1", "run.max_train_steps"),
        ("run.trainable_modules=attn2.", "run.trainable_modules"),
        ("optimizer.lr=.nan", "optimizer.lr"),
        ("optimizer.lr=0", "optimizer.lr"),
        ("optimizer.lr_scheduler=cosin", "optimizer.lr_scheduler"),
        ("model.cross_attention_dim=512", "model.cross_attention_dim"),
        ("training.precision=int8", "training.precision"),
        ("training=3", "training"),
        ("lora.rank=8", "run.trainable_modules"),
    ],
)
def test_a_value_that_cannot_be_is_refused_by_name(
    tmp_path: Path, override: str, named: str
) -> None:
    with pytest.raises(ConfigError) as error:
        load_unet_training(written(tmp_path, UPSTREAM_UNET), [override])
    assert str(error.value).startswith(named)


def test_a_network_that_does_not_fit_the_frames_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="in_channels"):
        load_syncnet_training(written(tmp_path, UPSTREAM_SYNCNET), ["data.latent_space=false"])
    with pytest.raises(ConfigError, match="lower_half"):
        load_syncnet_training(written(tmp_path, UPSTREAM_SYNCNET), ["data.lower_half=true"])


@pytest.mark.parametrize(
    "setting", ["training.validate_steps=10", "training.gradient_accumulation=4"]
)
def test_syncnet_refuses_what_it_has_under_another_name(tmp_path: Path, setting: str) -> None:
    with pytest.raises(ConfigError, match=setting.partition("=")[0]):
        load_syncnet_training(written(tmp_path, UPSTREAM_SYNCNET), [setting])


def test_mixed_precision_off_means_fp32(tmp_path: Path) -> None:
    path = written(tmp_path, UPSTREAM_UNET)
    assert load_unet_training(path).precision == "auto"
    off = "run.mixed_precision_training=false"
    assert load_unet_training(path, [off]).precision == "fp32"
    with pytest.raises(ConfigError, match="precision"):
        load_unet_training(path, [off, "training.precision=fp16"])


def test_input_paths_are_relative_to_the_file_if_they_are_there(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("")
    path = written(tmp_path, "data: {train_fileslist: list.txt, val_video_path: none.mp4}")
    data = load_unet_training(path).data
    assert data.train_fileslist == str(tmp_path / "list.txt")
    assert data.val_video_path == "none.mp4"  # relative to the current folder


def test_the_command_line_wins_over_the_file_and_text_stays_text(tmp_path: Path) -> None:
    path = written(tmp_path, UPSTREAM_UNET)
    settings = load_unet_training(path, ["data.train_data_dir=2024", "model.norm_eps=1e-6"])
    assert settings.data.train_data_dir == "2024"
    assert settings.model["cross_attention_dim"] == 384  # beside the one that was given


def test_the_syncnet_of_the_loss_is_read_from_its_own_file(tmp_path: Path) -> None:
    own = tmp_path / "mine.yaml"
    own.write_text("ckpt: {inference_ckpt_path: mine.pt}\n")
    path = written(tmp_path, UPSTREAM_UNET)
    named = [f"data.syncnet_config_path={own}"]
    assert loss_network(load_unet_training(path, named)).ckpt.inference_ckpt_path == "mine.pt"
    both = [*named, "ckpt.syncnet=other.pt"]
    assert loss_network(load_unet_training(path, both)).ckpt.inference_ckpt_path == "other.pt"
    for wrong in ("nowhere.yaml", "configs/syncnet/syncnet_16_latent.yaml"):
        with pytest.raises(ConfigError, match="syncnet_config_path"):
            loss_network(load_unet_training(path, [f"data.syncnet_config_path={wrong}"]))
