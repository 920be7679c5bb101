"""What is known of replay before it is loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from latentsync.errors import ConfigError
from latentsync.generate.table import GeneratorKind, imported

if TYPE_CHECKING:
    from latentsync.settings.schema import Config

NAME = "replay"


def check(config: Config, *, still: bool) -> None:
    """A picture has one mouth. Raises ConfigError."""
    if still and config.generate.replay.source is None:
        remedy = "a picture has one mouth only: name a video of the same person to take others from"
        raise ConfigError("generate.replay.source", "not given", remedy)


KIND = GeneratorKind(
    imported("latentsync.generate.replay.generator:load"),
    check=check,
    trials=imported("latentsync.generate.replay.timing:trials"),
    network=False,
    first_pass="selecting units",
    settings=frozenset({"replay"}),
    title="Replay",
    about="the video's own mouths, in a new order",
)
