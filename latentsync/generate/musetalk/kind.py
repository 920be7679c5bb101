"""What is known of MuseTalk 1.5 before it is loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from latentsync.generate.model_spec import vae_wanted
from latentsync.generate.table import GeneratorKind, imported
from latentsync.weights.manifest import MUSETALK, WHISPER_TINY

if TYPE_CHECKING:
    from latentsync.settings.schema import Config
    from latentsync.weights.ensure import Wanted

NAME, SIZE = "musetalk", 256
GRAPHS = "MuseTalk's U-Net"  # name of its graph in the cache


def weights_wanted(config: Config) -> list[Wanted]:
    """Speech encoder, U-Net and VAE."""
    own = config.generate
    return [(WHISPER_TINY, own.whisper), (MUSETALK, own.checkpoint), vae_wanted(config)]


KIND = GeneratorKind(
    imported("latentsync.generate.musetalk.generator:load"),
    size=lambda _config: SIZE,
    weights=weights_wanted,
    described=lambda _config: f"{NAME}, one step",
    trials=imported("latentsync.generate.musetalk.timing:trials"),
    graphs=GRAPHS,
    settings=frozenset(("checkpoint", "vae", "whisper", "vae_batch", "musetalk")),
    title="MuseTalk",
    about="a network draws the mouth in one step, faster and softer",
)
