"""Whether the settings ask for anything that can be done, as far as they alone say it."""

from __future__ import annotations

from latentsync.errors import ConfigError
from latentsync.face.speaker_choice import ALL, parse_speaker
from latentsync.generate.table import generator_kind
from latentsync.media.probe import probe
from latentsync.pipeline.requirements import NEEDS_REFERENCE, restores
from latentsync.settings.lengths import VIDEO
from latentsync.settings.schema import Config


def check_purpose(config: Config) -> None:
    """Raises ConfigError where nothing would be done, and MediaError for the reference."""
    restore = config.restore
    _check_named(config)
    if config.compat is not None and not config.speech:
        remedy = "it applies to new speech only; pass --audio_path SPEECH"
        raise ConfigError("compat", config.compat, remedy)
    if restore.reference is not None:
        probe(restore.reference)
    elif not config.speech and restore.name.lower() == "self":
        raise ConfigError("restore.name", restore.name, NEEDS_REFERENCE)
    if config.speech or restores(config):
        return
    key = "restore.when" if restore.when == "never" else "restore.name"
    value = restore.when if restore.when == "never" else restore.name
    remedy = "without new speech (--audio_path) there is nothing to do; choose a restorer"
    raise ConfigError(key, value, remedy)


def check_picture(config: Config) -> None:
    """A picture that speaks is a video, but it has no length."""
    generator_kind(config).check(config, still=True)
    if config.output.length == VIDEO:
        remedy = "a picture has no length: leave it out"
        raise ConfigError("output.length", config.output.length, remedy)


def _check_named(config: Config) -> None:
    """Whose mouths are processed."""
    named = [] if config.face.speaker is None else [config.face.speaker]
    for speaker in (*named, *(one.speaker for one in config.speakers)):
        if parse_speaker(speaker).kind == ALL and config.speech:
            remedy = "new speech is for one person: name that person"
            raise ConfigError("face.speaker", speaker, remedy)
