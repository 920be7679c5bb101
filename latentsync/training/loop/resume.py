"""Whether a training goes on: from which checkpoint, and with which settings."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from latentsync.errors import ConfigError
from latentsync.training.loop.checkpoint import Checkpoint, checkpoint_at, checkpoints_of

logger = logging.getLogger(__name__)

AUTO, NEVER = "auto", "never"
FREE = {
    *("data.train_output_dir", "data.num_workers", "data.audio_embeds_cache_dir"),
    *("data.audio_mel_cache_dir", "data.val_video_path", "data.val_audio_path"),
    *("data.val_fileslist", "data.val_data_dir", "data.num_val_samples"),
    *("ckpt.save_ckpt_steps", "run.max_train_steps", "run.max_train_epochs"),
    *("run.inference_steps", "run.guidance_scale", "run.validation_steps"),
    *("run.enable_gradient_checkpointing", "training.device", "training.keep_checkpoints"),
    *("training.log_every", "training.validate_steps", "training.cache_dir"),
    *("training.weights_folders", "training.max_nan_steps", "training.max_bad_share", "path"),
}
"""Settings that may change while a training goes on: they do not change what it learns.
LENGTHS do where the learning rate falls to the last step."""
LENGTHS = ("run.max_train_steps", "run.max_train_epochs")
NAMED_AT_MOST = 3


def identity(settings: Any) -> dict[str, Any]:
    """Dotted key -> plain value of the settings that a training is recognised by."""
    every = dict(_leaves(settings))
    falls = every.get("optimizer.lr_scheduler") in ("linear", "cosine")  # to the last step
    free = FREE - {*LENGTHS} if falls else FREE
    return {key: value for key, value in every.items() if key not in free}


def _leaves(value: Any, at: str = "") -> list[tuple[str, Any]]:
    if is_dataclass(value):
        inner = {one.name: getattr(value, one.name) for one in fields(value)}
    elif isinstance(value, Mapping):
        inner = dict(value)
    else:
        return [(at, _plain(value))]
    return [leaf for name, one in inner.items() for leaf in _leaves(one, f"{at}.{name}".strip("."))]


def _plain(value: Any) -> Any:
    """As JSON gives it back."""
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value if isinstance(value, int | float | str | None) else str(value)


def checkpoint_to_resume(output: Path, how: str, settings: Mapping[str, Any]) -> Checkpoint | None:
    """None: the training begins. how: AUTO, the last one of the output; NEVER; or the path of a
    checkpoint's folder, or of an output. settings: see identity.

    Raises ConfigError: there is no such checkpoint; with AUTO it is of another training, with NEVER
    there is one.
    """
    there = checkpoints_of(output)
    if how == NEVER:
        if there:
            remedy = "name another folder with --output, or leave out --resume=never"
            raise ConfigError("the output holds checkpoints", there[-1].path, remedy)
        return None
    if how == AUTO:
        if not there:
            return None
        _require_same(there[-1], settings)
        return there[-1]
    found = checkpoint_at(Path(how)) or next(iter(checkpoints_of(Path(how))[::-1]), None)
    if found is None:
        remedy = "name a folder such as OUTPUT/checkpoints/step-00010000"
        raise ConfigError("--resume: no checkpoint of a training", how, remedy)
    for line in differences(found, settings):
        logger.warning("other than in %s: %s", found.path, line)
    return found


def differences(one: Checkpoint, settings: Mapping[str, Any]) -> list[str]:
    """In words, for each setting that is another now."""
    before = one.about.get("settings", {})
    keys = [k for k in {**before, **settings} if before.get(k) != settings.get(k)]
    return [f"{key} is {settings.get(key)}, it was {before.get(key)}" for key in keys]


def _require_same(one: Checkpoint, settings: Mapping[str, Any]) -> None:
    told = differences(one, settings)
    if not told:
        return
    more = f" and {len(told) - NAMED_AT_MOST} more" if len(told) > NAMED_AT_MOST else ""
    value = f"{one.path} ({'; '.join(told[:NAMED_AT_MOST])}{more})"
    remedy = f"name another --output, or go on nevertheless with --resume={one.path}"
    raise ConfigError("the output holds another training", value, remedy)
