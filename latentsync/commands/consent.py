"""Asks before weights are downloaded: what is missing, how large it is, how long it takes."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from latentsync.commands.console import agrees
from latentsync.generate.table import WITHOUT_WEIGHTS
from latentsync.settings.schema import Config
from latentsync.weights import licences
from latentsync.weights.model_file import ModelFile, described
from latentsync.weights.refusal import accept_flags, generates, refusal


class Consent:
    """Called with the missing weights; returns if the user agrees to download them.

    Otherwise raises CheckpointError, one line: what is missing, its size, the licence to accept,
    and the commands to continue with.
    """

    def __init__(self, options: argparse.Namespace, config: Config) -> None:
        """options: of the inference command. config: loaded with them."""
        self._options, self._config = options, config

    def __call__(self, missing: Sequence[ModelFile]) -> None:
        unaccepted = licences.unaccepted(model.licence for model in missing)
        if unaccepted or not (self._options.yes or _agreed(missing)):
            raise refusal(missing, self._arguments(), or_else=_or_else(missing))

    def _arguments(self) -> list[str]:
        """Of the download command that downloads exactly what this command needs."""
        own, generator = self._options, self._options.generator
        if not self._config.speech:
            generator = WITHOUT_WEIGHTS
        flags = {"--config": own.config, "--generator": generator, "--superres": own.superres}
        named = [word for flag, value in flags.items() if value for word in (flag, value)]
        if own.checkpoint:
            named.append(f"generate.checkpoint={own.checkpoint}")
        return [*named, *own.overrides]


def _or_else(missing: Sequence[ModelFile]) -> str:
    added = f"add {' '.join(['--yes', *accept_flags(missing)])} to this command"
    if generates(missing):
        added += f"; --generator {WITHOUT_WEIGHTS} lip-syncs without such weights"
    return added


def _agreed(missing: Sequence[ModelFile]) -> bool:
    """Asks on a terminal; elsewhere the answer is no."""
    return bool(agrees(f"weights are missing: {described(missing)}. Download them now?"))
