"""The generators with each version of their weights, as lists offer them; known without torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from latentsync.generate.table import GENERATORS, kind_of
from latentsync.settings.load import load_config

if TYPE_CHECKING:
    from latentsync.weights.ensure import Wanted

NAME = "generate.name"
"""The setting."""


@dataclass(frozen=True, slots=True)
class Version:
    """A generator with the settings for one version of its weights. settings: name of shipped ones;
    None: the defaults."""

    name: str
    settings: Path | None = None

    def weights(self) -> list[Wanted]:
        """All files that it needs, small ones as well."""
        config = load_config(self.settings, flags={NAME: self.name})
        return kind_of(self.name).weights(config)


def versions(name: str) -> list[Version]:
    """The better one first. name: of the table."""
    shipped = [Version(name, Path(one)) for one in kind_of(name).shipped]
    return shipped or [Version(name)]


def named_versions() -> dict[str, Version]:
    """All of the table, by a name for each: that of the generator is its first version, and further
    ones have the side of their squares behind it, as latentsync_256."""
    named = {}
    for name in GENERATORS:
        first, *others = versions(name)
        named[name] = first
        for one in others:
            config = load_config(one.settings, flags={NAME: name})
            named[f"{name}_{kind_of(name).size(config)}"] = one
    return named
