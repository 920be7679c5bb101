"""The settings: their names and defaults. checks.py says which values are allowed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

COMPAT = "upstream"
"""The only value of the setting `compat`."""

TAESD = "taesd"
"""Value of generate.vae that is no path: the small VAE of that name."""


@dataclass
class InputConfig:
    video: str | None = None
    audio: str | None = None
    audio_offset: float = 0.0


@dataclass
class AigcConfig:
    producer: str | None = None


@dataclass
class SignConfig:
    cert: str | None = None
    key: str | None = None


@dataclass
class OutputConfig:
    path: str | None = None
    codec: str = "auto"
    crf: int = 18
    preset: str = "medium"
    pix_fmt: str = "source"
    audio_codec: str = "auto"
    finer_mouth: int = 10
    quality: int | str = "auto"
    fps: str = "source"
    length: str = "bounce"
    max_remap: float = 0.1
    mix: str | None = None
    soundtrack: str | None = None
    overwrite: bool = False
    compare: bool = False
    copy_unchanged: bool = True
    report: bool = True
    evaluate: bool = False
    provenance: str = "auto"
    aigc: AigcConfig = field(default_factory=AigcConfig)
    sign: SignConfig = field(default_factory=SignConfig)
    watermark: str | None = None


@dataclass
class FaceConfig:
    detector: str = "mediapipe"
    min_confidence: float = 0.5
    max_faces: int = 12
    speaker: str | None = None
    identity: str = "auto"
    occlusion: str = "auto"
    smoothing_seconds: float = 0.08
    max_gap_seconds: float = 0.2
    cut_threshold: float = 0.30


@dataclass
class ReplayConfig:
    source: str | None = None
    exclude_seconds: float = 0.0
    silence_weight: float = 8.0


@dataclass
class MuseTalkConfig:
    bbox_shift: float = 0.0
    extra_margin: float = 10.0
    left_cheek_width: float = 90.0
    right_cheek_width: float = 90.0


@dataclass
class GenerateConfig:
    name: str = "latentsync"
    checkpoint: str | None = None
    vae: str | None = None
    whisper: str | None = None
    lora: str | None = None
    lora_strength: float = 1.0
    steps: int = 20
    guidance: float = 1.5
    guidance_interval: list[float] = field(default_factory=lambda: [0.0, 1.0])
    seed: int = 1247
    scheduler: str = "ddim"
    step_cache: int = 0
    vae_batch: int = 4
    overlap: int = 0
    silence: str = "original"
    replay: ReplayConfig = field(default_factory=ReplayConfig)
    musetalk: MuseTalkConfig = field(default_factory=MuseTalkConfig)


@dataclass
class RestoreConfig:
    name: str = "Detail"
    checkpoint: str | None = None
    reference: str | None = None
    when: str = "auto"
    region: str = "mouth"
    fidelity: float | None = None
    strength: int | float | str = "auto"
    generator_size: int = 256
    min_scale: float = 0.5
    blur_on: float = 0.7
    blur_off: float = 0.3
    uncertain: str = "leave"
    fade_seconds: float = 0.32
    temporal: float = 0.0
    code_margin: float = 1.0
    reuse: float = 0.0
    batch: int = 0


@dataclass
class WeightsConfig:
    folders: list[str] = field(default_factory=list)
    offline: bool = False


@dataclass
class RuntimeConfig:
    device: str = "auto"
    backend: str = "auto"
    precision: str = "auto"
    threads: int = 0


@dataclass
class SpeakerConfig:
    """Speech of one person from start to end [seconds of the output]; end None: to its end.

    offset: second of the audio at which it begins.
    """

    speaker: str = "largest"
    audio: str | None = None
    start: float = 0.0
    end: float | None = None
    offset: float = 0.0


@dataclass
class Config:
    preset: str | None = None
    compat: str | None = None
    input: InputConfig = field(default_factory=InputConfig)
    output: OutputConfig = field(default_factory=OutputConfig)
    face: FaceConfig = field(default_factory=FaceConfig)
    generate: GenerateConfig = field(default_factory=GenerateConfig)
    speakers: list[SpeakerConfig] = field(default_factory=list)
    restore: RestoreConfig = field(default_factory=RestoreConfig)
    weights: WeightsConfig = field(default_factory=WeightsConfig)
    runtime: RuntimeConfig = field(default_factory=RuntimeConfig)
    # LatentSync's own sections, as in its YAML files; keys that are not needed here are ignored.
    data: dict[str, Any] = field(default_factory=dict)
    model: dict[str, Any] = field(default_factory=dict)
    ckpt: dict[str, Any] = field(default_factory=dict)
    run: dict[str, Any] = field(default_factory=dict)
    optimizer: dict[str, Any] = field(default_factory=dict)

    @property
    def as_upstream(self) -> bool:
        """Whether the output should match LatentSync's own as closely as possible."""
        return self.compat == COMPAT

    @property
    def speech(self) -> bool:
        """Whether mouths are generated for new speech."""
        return self.input.audio is not None or bool(self.speakers)

    @property
    def length(self) -> str:
        """What the length of an output with new speech goes by: output.length, or the video."""
        return "video" if self.speakers else self.output.length
