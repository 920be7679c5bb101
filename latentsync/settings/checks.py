"""Which values and combinations of settings are allowed."""

from __future__ import annotations

import difflib
import math
import operator
from collections.abc import Sequence
from typing import Any

from latentsync.errors import ConfigError
from latentsync.settings.lengths import BOUNCE, LENGTHS, VIDEO, decibels, output_rate
from latentsync.settings.schema import (
    COMPAT,
    TAESD,
    Config,
    FaceConfig,
    GenerateConfig,
    OutputConfig,
)

_CODECS = (
    *("auto", "libx264", "libx265", "libsvtav1", "prores_ks", "ffv1"),
    *("h264_nvenc", "hevc_nvenc", "av1_nvenc", "h264_qsv", "hevc_qsv", "av1_qsv"),
    *("h264_videotoolbox", "hevc_videotoolbox", "prores_videotoolbox"),
)
"""Whether this machine has it is known when the output is checked."""
_PRESETS = (
    *("ultrafast", "superfast", "veryfast", "faster", "fast"),
    *("medium", "slow", "slower", "veryslow", "placebo"),
)
CHOICES = {
    "output.codec": _CODECS,
    "output.preset": _PRESETS,
    "output.audio_codec": ("auto", "aac", "alac"),
    "output.length": LENGTHS,
    "output.provenance": ("auto", "none"),
    "generate.scheduler": ("ddim", "dpmpp_2m", "euler", "unipc"),
    "face.identity": ("auto", "sface", "edges"),
    "face.occlusion": ("auto", "off"),
    "generate.silence": ("model", "original", "closed"),
    "restore.when": ("auto", "always", "never"),
    "restore.uncertain": ("leave", "gentle"),
    "restore.region": ("mouth", "lower_face", "face"),
    "runtime.device": ("auto", "cpu", "cuda", "mps"),
    "runtime.backend": ("auto", "torch", "compile", "openvino"),
    "runtime.precision": ("auto", "fp32", "bf16", "fp16", "int8"),
}

RANGES: dict[str, tuple[float, float]] = {
    "output.crf": (0, 51),
    "output.finer_mouth": (0, 30),
    "output.quality": (1, 100),
    "output.max_remap": (0, 1),
    "generate.lora_strength": (0, 2),
    "generate.steps": (1, 1000),
    "generate.guidance": (1, 20),
    "generate.seed": (-1, 2**63 - 1),
    "generate.step_cache": (0, 100),
    "generate.vae_batch": (1, 64),
    "generate.overlap": (0, 8),
    "generate.replay.exclude_seconds": (0, 3600),
    "generate.replay.silence_weight": (0, 100),
    "generate.musetalk.bbox_shift": (-30, 30),
    "generate.musetalk.extra_margin": (0, 40),
    "generate.musetalk.left_cheek_width": (20, 160),
    "generate.musetalk.right_cheek_width": (20, 160),
    "face.min_confidence": (0, 1),
    "face.max_faces": (1, 32),
    "face.smoothing_seconds": (0, 2),
    "face.max_gap_seconds": (0, 10),
    "face.cut_threshold": (0, 1),
    "restore.fidelity": (0, 1.2),
    "restore.strength": (0, 1),
    "restore.generator_size": (32, 4096),
    "restore.min_scale": (0, 10),
    "restore.blur_on": (0, 1),
    "restore.blur_off": (0, 1),
    "restore.fade_seconds": (0, 10),
    "restore.temporal": (0, 0.95),
    "restore.code_margin": (0, 10),
    "restore.reuse": (0, 20),
    "restore.batch": (0, 64),
    "runtime.threads": (0, 1024),
}


WORDS = {"restore.strength": "auto", "output.quality": "auto"}
"""Numeric settings that may be this word as well."""

ENDS = 2  # of an interval


def check(config: Config) -> None:
    """Raises ConfigError: a value that is not allowed, or settings that exclude each other."""
    for key, choices in CHOICES.items():
        value = _lookup(config, key)
        if value not in choices:
            raise ConfigError(
                key, value, f"use one of {', '.join(choices)}{_did_you_mean(value, choices)}"
            )
    for key, (low, high) in _ranges(config).items():
        value, word = _lookup(config, key), WORDS.get(key)
        if value is None or (word is not None and value == word):
            continue
        if not isinstance(value, int | float) or not low <= value <= high:
            or_word = "" if word is None else f", or {word}"
            raise ConfigError(key, value, f"use a number from {low:g} to {high:g}{or_word}")
    _check_combinations(config)


def _ranges(config: Config) -> dict[str, tuple[float, float]]:
    """RANGES for the restorer that is set: GFPGAN's fidelity is a blend, which ends at 1."""
    is_gfpgan = config.restore.name.lower() == "gfpgan"
    return RANGES | {"restore.fidelity": (0, 1)} if is_gfpgan else RANGES


def _check_combinations(config: Config) -> None:
    restore = config.restore
    output_rate(config.output.fps)
    if config.compat not in (None, COMPAT):
        raise ConfigError("compat", config.compat, f"use {COMPAT}, or leave it out")
    if config.as_upstream and (config.output.fps, config.output.length) != ("source", BOUNCE):
        what = f"{config.output.fps}, {config.output.length}"
        remedy = f"leave both out: compat={COMPAT} has 25 fps and the length of the speech"
        raise ConfigError("output.fps, output.length", what, remedy)
    if config.as_upstream:
        _check_upstream(config)
    if config.as_upstream and config.generate.overlap:
        remedy = f"leave it out: with compat={COMPAT} chunks do not overlap"
        raise ConfigError("generate.overlap", config.generate.overlap, remedy)
    _check_guidance(config)
    _check_vae(config)
    _check_audio(config)
    _check_speakers(config)
    _check_provenance(config.output)
    if restore.blur_off > restore.blur_on:
        raise ConfigError(
            "restore.blur_off",
            restore.blur_off,
            f"it must not be more than restore.blur_on ({restore.blur_on:g})",
        )
    if restore.name.lower() in ("detail", "self") and restore.fidelity is not None:
        raise ConfigError(
            "restore.fidelity",
            restore.fidelity,
            f"{restore.name} has no fidelity weight; leave it out, or set restore.strength",
        )


def _check_guidance(config: Config) -> None:
    interval = config.generate.guidance_interval
    if len(interval) != ENDS or not 0 <= interval[0] < interval[1] <= 1:
        remedy = "use two rising numbers from 0 to 1, such as [0.2, 0.8]"
        raise ConfigError("generate.guidance_interval", interval, remedy)
    if config.as_upstream and interval != GenerateConfig().guidance_interval:
        remedy = f"set it to [0, 1], also where a preset sets it: compat={COMPAT} guides every step"
        raise ConfigError("generate.guidance_interval", interval, remedy)


def _check_vae(config: Config) -> None:
    if config.as_upstream and config.generate.vae == TAESD:
        remedy = f"set it to null, also where a preset sets it: compat={COMPAT} takes LatentSync's"
        raise ConfigError("generate.vae", TAESD, remedy)


def _check_provenance(output: OutputConfig) -> None:
    """Whoever asks for one mark must not have switched off the making of marks."""
    cert, key, producer = output.sign.cert, output.sign.key, output.aigc.producer
    if (cert is None) != (key is None):
        given, other = ("cert", "key") if key is None else ("key", "cert")
        value = cert if key is None else key
        raise ConfigError(f"output.sign.{given}", value, f"give output.sign.{other} as well")
    for name, value in (("sign.cert", cert), ("aigc.producer", producer)):
        if output.provenance == "none" and value is not None:
            remedy = "leave it out: with output.provenance=none no mark is made"
            raise ConfigError(f"output.{name}", value, remedy)


def _check_upstream(config: Config) -> None:
    """LatentSync takes the largest face of each frame, and its mouth in pauses as well; its speech
    begins with the video."""
    kept = {"face.speaker": "largest", "generate.silence": "model", "input.audio_offset": 0}
    for key, same in kept.items():
        value = _lookup(config, key)
        if value not in (same, _lookup(Config(), key)):
            raise ConfigError(key, value, f"leave it out: it has no effect with compat={COMPAT}")


def _check_audio(config: Config) -> None:
    """When the new speech begins, and what is heard under it."""
    offset, mix = config.input.audio_offset, config.output.mix
    if not math.isfinite(offset):
        raise ConfigError("input.audio_offset", offset, "use a finite number of seconds")
    if mix is not None:
        decibels(mix)
    for key, value in (("input.audio_offset", offset), ("output.mix", mix)):
        if value and not config.speech:
            remedy = "it applies to new speech only; pass --audio_path SPEECH"
            raise ConfigError(key, value, remedy)


def _check_speakers(config: Config) -> None:
    if not config.speakers:
        if config.output.soundtrack is not None:
            remedy = "leave it out: the new speech is the soundtrack; it applies to speakers only"
            raise ConfigError("output.soundtrack", config.output.soundtrack, remedy)
        return
    remedy = "leave it out: each entry of speakers names its own person and its own audio"
    if config.face.speaker != FaceConfig.speaker:
        raise ConfigError("face.speaker", config.face.speaker, remedy)
    if config.input.audio:
        raise ConfigError("input.audio", config.input.audio, remedy)
    if config.input.audio_offset:
        remedy = "leave it out: each entry of speakers has its own start"
        raise ConfigError("input.audio_offset", config.input.audio_offset, remedy)
    if config.output.length not in (BOUNCE, VIDEO):
        remedy = "leave it out: with speakers the output is as long as the video"
        raise ConfigError("output.length", config.output.length, remedy)
    if config.output.mix is not None and config.output.soundtrack is not None:
        remedy = "leave it out: output.soundtrack is all that is heard"
        raise ConfigError("output.mix", config.output.mix, remedy)
    if config.as_upstream:
        raise ConfigError("speakers", len(config.speakers), f"compat={COMPAT} knows one speaker")
    for number, one in enumerate(config.speakers, 1):
        where = f"speakers, entry {number}"
        if one.audio is None:
            raise ConfigError(where, "no audio", "name the file of the speech: audio: FILE")
        for key, second in (("start", one.start), ("end", one.end), ("offset", one.offset)):
            if not math.isfinite(second or 0):
                raise ConfigError(f"{where}, {key}", second, "use a finite number of seconds")
        if (least := min(one.start, one.offset)) < 0:
            raise ConfigError(f"{where}, start and offset", least, "use seconds from 0 on")
        if one.end is not None and one.end <= one.start:
            raise ConfigError(f"{where}, end", one.end, f"it must be after start ({one.start:g})")


def _lookup(config: Config, key: str) -> Any:
    return operator.attrgetter(key)(config)


def _did_you_mean(value: object, choices: Sequence[str]) -> str:
    close = difflib.get_close_matches(str(value), choices, n=1)
    return f" (did you mean {close[0]}?)" if close else ""
