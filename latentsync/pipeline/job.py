"""A job: a configuration whose files and settings are checked, and whose weights are present."""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass
from pathlib import Path

from latentsync.errors import ConfigError
from latentsync.generate.table import generator_kind
from latentsync.media.probe import VideoInfo, probe
from latentsync.pipeline.dialogue import Dialogue
from latentsync.pipeline.output import Output, check_output
from latentsync.pipeline.placed_speech import PlacedSpeech
from latentsync.pipeline.purpose import check_picture, check_purpose
from latentsync.pipeline.requirements import (
    check_detector,
    licences_wanted,
    weights_wanted,
)
from latentsync.settings.presets import preset_settings
from latentsync.settings.schema import Config, GenerateConfig
from latentsync.weights import licences
from latentsync.weights.download import Progress as Bytes
from latentsync.weights.ensure import Consent, consent_to_all, ensure_weights, no_byte_progress

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """Input, output and settings of one run. audio: the new speech, of one or several speakers."""

    config: Config
    source: VideoInfo
    output: Output
    audio: PlacedSpeech | Dialogue | None


def checked(config: Config) -> Job:
    """Checks files and settings, without decoding the video and without weights.

    Speech is read where its length matters, and mixed where it has to be. Raises ConfigError,
    MediaError, and CheckpointError for a LoRA that cannot be used.
    """
    if config.input.video is None:
        raise ConfigError("input.video", "not given", "pass --input VIDEO")
    if config.output.path is None:
        raise ConfigError("output.path", "not given", "pass --output VIDEO")
    check_purpose(config)
    source = probe(config.input.video)
    if config.speech:
        generator_kind(config).check(config, still=source.picture is not None)
        for setting in unused_settings(config):
            logger.warning("%s has no effect with generate.name=%s", setting, config.generate.name)
    if source.picture is not None and config.speech:
        check_picture(config)
    audio: PlacedSpeech | Dialogue | None = None
    if config.speakers:
        audio = Dialogue(config, source)
    elif config.input.audio is not None:
        audio = PlacedSpeech(config, source, Path(config.input.audio))
    soundtrack = None if audio is None else audio.soundtrack
    output = check_output(config, source, Path(config.output.path), soundtrack)
    return Job(config, source, output, audio)


def prepare(
    config: Config, fetching: Bytes = no_byte_progress, consent: Consent = consent_to_all
) -> Job:
    """Checks files and settings, then downloads missing weights.

    fetching: progress of the downloads. consent: see weights.ensure. Raises ConfigError (licences
    included), MediaError, and CheckpointError naming every weights file that is missing and cannot
    or must not be downloaded.
    """
    job = checked(config)
    fetch_weights(job, fetching, consent)
    return job


def fetch_weights(
    job: Job, fetching: Bytes = no_byte_progress, consent: Consent = consent_to_all
) -> None:
    """The second half of prepare(): jobs of one configuration need the same weights."""
    fetch_for(job.config, speech=job.audio is not None, fetching=fetching, consent=consent)


def fetch_for(
    config: Config,
    *,
    speech: bool,
    fetching: Bytes = no_byte_progress,
    consent: Consent = consent_to_all,
) -> None:
    """See fetch_weights. speech: whether mouths are generated."""
    check_detector(config)
    licences.require(licences_wanted(config))
    ensure_weights(
        weights_wanted(config, speech=speech),
        folders=config.weights.folders,
        offline=config.weights.offline,
        progress=fetching,
        consent=consent,
    )


def unused_settings(config: Config) -> list[str]:
    """key=value of those below `generate` that are changed, but not by a preset, and that the
    generator does not go by."""
    known = generator_kind(config).settings
    if known is None:
        return []
    preset = {} if config.preset is None else preset_settings(config.preset)
    usual, own = asdict(GenerateConfig()), asdict(config.generate)
    return [
        f"generate.{key}={value if not isinstance(value, dict) else '...'}"
        for key, value in own.items()
        if key not in known | {"name", "silence"}
        and value not in (usual[key], preset.get(f"generate.{key}"))
    ]
