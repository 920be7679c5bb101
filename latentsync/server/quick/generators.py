"""The generators that can be chosen, and whose weights are here."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from latentsync.generate.table import GENERATORS, kind_of
from latentsync.server.quick.model_views import is_here
from latentsync.settings.load import load_config
from latentsync.settings.schema import Config
from latentsync.weights.model_file import ModelFile

NAME = "generate.name"
"""The setting."""


@dataclass(frozen=True, slots=True)
class Version:
    """A generator with the settings for one version of its weights. settings: name of shipped ones;
    None: the defaults."""

    name: str
    settings: Path | None = None

    @property
    def is_here(self) -> bool:
        """Whether all its weights are; also where it needs none."""
        return all(is_here(model) for model in _files(self))


def versions(name: str) -> list[Version]:
    """The better one first. name: of the table."""
    shipped = [Version(name, Path(one)) for one in kind_of(name).shipped]
    return shipped or [Version(name)]


def generators() -> list[tuple[str, str]]:
    """Name, and what to call it in a list: "Replay: what it does"."""
    return [(name, _described(name)) for name in GENERATORS]


def _described(name: str) -> str:
    kind = kind_of(name)
    needs = "" if kind.weights(Config()) else "; needs no weights"
    return f"{kind.title}: {kind.about}{needs}"


@cache
def _files(version: Version) -> tuple[ModelFile, ...]:
    config = load_config(version.settings, flags={NAME: version.name})
    return tuple(model for model, _ in kind_of(version.name).weights(config))
