"""The table of generators, and what is known of each before it is loaded."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from latentsync.errors import CheckpointError, ConfigError
from latentsync.generate.base import AUDIO_INPUTS, WHISPER, LipGenerator
from latentsync.generate.model_spec import face_model
from latentsync.plugins import find_plugin
from latentsync.weights.find import find_all

if TYPE_CHECKING:
    import numpy as np

    from latentsync.generate.timing import Sample, Trial
    from latentsync.runtime.execution import Execution
    from latentsync.settings.schema import Config
    from latentsync.weights.ensure import Wanted

GENERATORS: dict[str, str] = {
    "latentsync": "latentsync.generate.diffusion.kind:KIND",
    "musetalk": "latentsync.generate.musetalk.kind:KIND",
    "replay": "latentsync.generate.replay.kind:KIND",
}
"""Name -> its GeneratorKind, in the order in which they are proposed. A plug-in may also be the
function that loads it."""

AUTO = "auto"
"""Value of generate.name: ON_CPU on a CPU where all its weights are found, but for those that are
downloaded without a question; else DEFAULT."""
ON_CPU, DEFAULT = "musetalk", "latentsync"

WITHOUT_WEIGHTS = "replay"
"""The generator that is proposed where weights are missing."""


class GeneratorLoader(Protocol):
    """Loads a generator, or raises a LatentSyncError."""

    def __call__(
        self,
        config: Config,
        execution: Execution,
        /,
        *,
        mask: np.ndarray,
    ) -> LipGenerator: ...


def _own_resolution(config: Config) -> int:
    return face_model(config).resolution


def _no_weights(_config: Config) -> list[Wanted]:
    return []


def _any_settings(_config: Config, *, still: bool) -> None:
    """Nothing is known that it could not take."""


def _its_name(config: Config) -> str:
    return config.generate.name


@dataclass(frozen=True, slots=True)
class GeneratorKind:
    """What is known of a generator before it is loaded.

    load: see GeneratorLoader. size: R, side of its square crops. weights: the files that it needs,
    each with its path in the configuration. check: raises ConfigError for settings that it cannot
    take, CheckpointError for small files that they name; still: the video is a picture. described:
    what will generate, in a few words. trials: what the time of one frame is estimated from; None:
    it cannot be. network: whether it runs networks.
    graphs: the name under which its networks are kept once they are converted; empty: they are not.
    first_pass: what it reads the whole video for, before the first mouth; empty: it does not.
    settings: the keys below `generate` that it goes by, beside name and silence; None: any.
    title, about: for people, its name and what it does. shipped: names of shipped settings, one for
    each version of its weights, the better one first; empty: the defaults.
    """

    load: GeneratorLoader
    size: Callable[[Config], int] = _own_resolution
    weights: Callable[[Config], list[Wanted]] = _no_weights
    check: Callable[..., None] = _any_settings
    described: Callable[[Config], str] = _its_name
    trials: Callable[[Config, Execution, Sample], Sequence[Trial]] | None = None
    network: bool = True
    graphs: str = ""
    first_pass: str = ""
    settings: frozenset[str] | None = None
    title: str = ""
    about: str = ""
    shipped: tuple[str, ...] = ()


def imported(path: str) -> Callable[..., Any]:
    """The function of that ``package.module:name``, imported when it is first called: what a
    generator needs is asked for without torch."""

    def call(*arguments: Any, **more: Any) -> Any:
        module, _, name = path.partition(":")
        return getattr(importlib.import_module(module), name)(*arguments, **more)

    return call


def generator_kind(config: Config) -> GeneratorKind:
    """Of the generator that ``generate.name`` names. Raises UnknownPluginError, and ConfigError for
    a device that is not there."""
    name = config.generate.name
    return _fastest(config) if name.lower() == AUTO else kind_of(name)


def kind_of(name: str) -> GeneratorKind:
    """Of a name that is not AUTO. Raises UnknownPluginError."""
    found = find_plugin("generator", name, GENERATORS)
    return found if isinstance(found, GeneratorKind) else GeneratorKind(found)


def _fastest(config: Config) -> GeneratorKind:
    """See AUTO. A path in generate.checkpoint is of the default's weights, and so is a LoRA."""
    kind = kind_of(ON_CPU)
    if config.generate.checkpoint or config.generate.lora:
        return kind_of(DEFAULT)
    try:
        large = [one for one in kind.weights(config) if not one[0].is_small]
        find_all(large, folders=config.weights.folders)
    except CheckpointError:
        return kind_of(DEFAULT)
    from latentsync.runtime.device import choose_device  # with torch, so not before it has to be

    on_cpu = choose_device(config.runtime.device).type == "cpu"
    return kind if on_cpu else kind_of(DEFAULT)


def load_generator(config: Config, execution: Execution, *, mask: np.ndarray) -> LipGenerator:
    """Loads the generator that ``generate.name`` names.

    execution: device, backend and dtype. mask: (R, R) float in [0, 1], 1 where the face is
    generated; R: see GeneratorKind.size. Raises UnknownPluginError, or any LatentSyncError of its
    loader.
    """
    return generator_kind(config).load(config, execution, mask=mask)


def audio_input(generator: LipGenerator) -> str | None:
    """``generator.audio``, "whisper" by default. Raises ConfigError for another value."""
    audio = getattr(generator, "audio", WHISPER)
    if audio is not None and audio not in AUDIO_INPUTS:
        what = f"the attribute audio of the generator {generator.name}"
        raise ConfigError(what, audio, f"set it to {', '.join(AUDIO_INPUTS)} or None")
    return audio
