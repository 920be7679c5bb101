"""Licences that a user has to accept before the weights under them are used."""

from __future__ import annotations

import os
from collections.abc import Iterable

from latentsync.errors import ConfigError
from latentsync.weights import record
from latentsync.weights.known_licences import LICENCES_TO_ACCEPT
from latentsync.weights.model_file import Licence

VARIABLE = "LATENTSYNC_ACCEPT_LICENCES"


def accept(names: Iterable[str]) -> None:
    """Stores that the licences were accepted. Raises ConfigError for unknown names."""
    names = list(names)
    known = {name.lower(): name for name in LICENCES_TO_ACCEPT}
    for name in names:
        if name.lower() not in known:
            choices = ", ".join(known.values())
            raise ConfigError("--accept-licence", name, f"use one of {choices}")
    for name in names:
        record.accept_licence(name)


def unaccepted(licences: Iterable[Licence]) -> list[Licence]:
    """The licences that have to be accepted and were not, each once."""
    taken = accepted().split(",")
    asked = {one.ask_as: one for one in licences if one.ask_as}
    return [one for name, one in asked.items() if name.lower() not in taken]


def accepted() -> str:
    """The names of those that were accepted, as VARIABLE takes them."""
    named = {name.strip().lower() for name in os.environ.get(VARIABLE, "").split(",")}
    return ",".join(sorted(named | record.accepted_licences()))


def require(licences: Iterable[Licence]) -> None:
    """Raises ConfigError naming every licence that would have to be accepted first."""
    missing = {one.ask_as: one for one in unaccepted(licences)}
    if missing:
        flags = " ".join(f"--accept-licence {name}" for name in missing)
        raise ConfigError(
            "a licence has not been accepted",
            "; ".join(f"{name}: {licence}" for name, licence in missing.items()),
            f"if it allows your use, accept it once with {flags}, "
            f"or set {VARIABLE}={','.join(missing)}",
        )
