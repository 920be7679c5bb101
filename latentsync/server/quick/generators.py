"""The generators that can be chosen, and whose weights are here."""

from __future__ import annotations

from functools import cache

from latentsync.generate.table import GENERATORS, kind_of
from latentsync.pipeline.generator_versions import Version
from latentsync.settings.schema import Config
from latentsync.weights.find import is_here
from latentsync.weights.model_file import ModelFile


def generators() -> list[tuple[str, str]]:
    """Name, and what to call it in a list: "Replay: what it does"."""
    return [(name, _described(name)) for name in GENERATORS]


def all_here(version: Version) -> bool:
    """Whether all its weights are; also where it needs none."""
    return all(is_here(model) for model in _files(version))


def _described(name: str) -> str:
    kind = kind_of(name)
    needs = "" if kind.weights(Config()) else "; needs no weights"
    return f"{kind.title}: {kind.about}{needs}"


@cache
def _files(version: Version) -> tuple[ModelFile, ...]:
    return tuple(model for model, _ in version.weights())
