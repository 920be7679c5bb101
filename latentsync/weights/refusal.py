"""The error for missing weights that must not be downloaded without consent."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence

from latentsync.errors import CheckpointError
from latentsync.places import command
from latentsync.weights import licences
from latentsync.weights.model_file import ModelFile, described


def refusal(
    missing: Sequence[ModelFile], arguments: Iterable[str], *, or_else: str
) -> CheckpointError:
    """One line: names, sizes, licences to be accepted, and what to do.

    arguments: of the command that downloads these files. or_else: the alternative to it.
    """
    unaccepted = licences.unaccepted(model.licence for model in missing)
    fetch = [command("download"), *map(shlex.quote, arguments), *accept_flags(missing)]
    named = ", ".join(f"{licence.ask_as}: {licence}" for licence in unaccepted)
    return CheckpointError(
        "weights are missing",
        described(missing) + (f"; licence to accept: {named}" if named else ""),
        f"download them with: {' '.join(fetch)}; or {or_else}",
    )


def accept_flags(models: Sequence[ModelFile]) -> list[str]:
    """The commands' flags that accept the licences of these models, where they are needed."""
    asked = licences.unaccepted(model.licence for model in models)
    return [f"--accept-licence {licence.ask_as}" for licence in asked]


def generates(models: Iterable[ModelFile]) -> bool:
    """Whether some of these are for a generator: replay needs no weights."""
    return any(model.setting.startswith("generate.") for model in models)
