"""Reads the settings of training from a YAML file and ``key=value`` strings, checked."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from latentsync.errors import ConfigError
from latentsync.models.sync_options import LATENT, PIXEL, RELEASED
from latentsync.places import shipped_config
from latentsync.settings.load import nested, read_yaml, split_override
from latentsync.training.settings.checks import check_syncnet, check_unet, without_effect
from latentsync.training.settings.schema import SyncNetTraining, UNetTraining
from latentsync.training.settings.sections import read_sections

logger = logging.getLogger(__name__)

INPUT_PATHS = (
    *("data.syncnet_config_path", "data.train_fileslist", "data.train_data_dir"),
    *("data.val_video_path", "data.val_audio_path", "data.val_fileslist", "data.val_data_dir"),
    *("ckpt.resume_ckpt_path", "ckpt.inference_ckpt_path", "ckpt.vae", "ckpt.whisper"),
    *("ckpt.syncnet", "ckpt.vgg16", "ckpt.videomae", "training.weights_folders"),
)
"""Relative to the YAML file if they are there, else to the current folder, as all others."""
ARCHITECTURES: Mapping[str, Mapping[str, Any]] = {
    "syncnet_16_pixel_attn": RELEASED,
    "syncnet_16_pixel": PIXEL,
    "syncnet_16_latent": LATENT,
}
"""Name of one of LatentSync's files in configs/syncnet -> its `model` section."""


def load_unet_training(path: str | Path, overrides: Sequence[str] = ()) -> UNetTraining:
    """The settings of a U-Net's training; upstream's configs/unet/*.yaml are taken unchanged.

    overrides: ``section.key=value``, which win over the file. Keys of upstream that have no effect
    here are logged in one line.
    Raises ConfigError: no such file, unknown keys, a wrong type, a value out of range, settings
        that exclude each other.
    """
    source, tree = _tree(Path(path), overrides)
    settings = read_sections(UNetTraining, tree, path=source)
    check_unet(settings)
    _tell(tree, "unet")
    return settings


def load_syncnet_training(path: str | Path, overrides: Sequence[str] = ()) -> SyncNetTraining:
    """The settings of StableSyncNet's training: upstream's configs/syncnet/*.yaml; as above.

    Without a `model` section it is the published network.
    """
    source, tree = _tree(Path(path), overrides)
    settings = read_sections(SyncNetTraining, tree, path=source)
    if not settings.model:
        settings = replace(settings, model=RELEASED)
    check_syncnet(settings)
    _tell(tree, "syncnet")
    return settings


def loss_network(settings: UNetTraining) -> SyncNetTraining:
    """What `data.syncnet_config_path` says of the SyncNet that serves as a loss.

    ckpt.inference_ckpt_path is its weights file, which ckpt.syncnet of the settings replaces; "":
    the published one, wherever it is found. The file need not be there if it is one of upstream's,
    by its name. Raises ConfigError.
    """
    named = Path(settings.data.syncnet_config_path)
    if named.is_file():
        found = load_syncnet_training(named)
    elif named.stem in ARCHITECTURES:
        model = ARCHITECTURES[named.stem]
        data = replace(SyncNetTraining().data, latent_space=model is LATENT)
        found = replace(SyncNetTraining(), model=model, data=data)
    else:
        remedy = f"name a file, or one of {', '.join(ARCHITECTURES)}"
        raise ConfigError("data.syncnet_config_path", named, remedy)
    if found.data.latent_space:
        remedy = "use one that takes pixels, as syncnet_16_pixel_attn"
        raise ConfigError("data.syncnet_config_path", f"{named} takes latents", remedy)
    weights = settings.ckpt.syncnet or found.ckpt.inference_ckpt_path
    return replace(found, ckpt=replace(found.ckpt, inference_ckpt_path=weights))


def _tree(path: Path, overrides: Sequence[str]) -> tuple[Path, dict[str, Any]]:
    source = path if path.is_file() else shipped_config(path)
    if source is None:
        remedy = "check --config; see configs/training/"
        raise ConfigError("configuration file not found", path, remedy)
    tree = read_yaml(source)
    _resolve(tree, source.parent)
    return source, _merged(tree, nested([split_override(text) for text in overrides]))


def _resolve(tree: dict[str, Any], folder: Path) -> None:
    for key in INPUT_PATHS:
        section, name = key.split(".")
        values = tree.get(section)
        if isinstance(values, dict) and values.get(name):
            values[name] = _beside(values[name], folder)


def _beside(value: Any, folder: Path) -> Any:
    if isinstance(value, list):
        return [_beside(one, folder) for one in value]
    if isinstance(value, str) and (folder / value).exists():
        return str(folder / value)
    return value


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for name, value in above.items():
        under = merged.get(name)
        both = isinstance(under, Mapping) and isinstance(value, Mapping)
        merged[name] = _merged(under, value) if both else value  # type: ignore[arg-type]
    return merged


def _tell(tree: Mapping[str, Any], network: str) -> None:
    if told := without_effect(tree, network):
        logger.info("without effect here: %s", "; ".join(told))
