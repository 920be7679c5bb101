"""Plug-in tables: look up an object by short name or ``package.module:attribute``."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from latentsync.errors import UnknownPluginError


def find_plugin(kind: str, name: str, table: Mapping[str, str]) -> Any:
    """Imports and returns the attribute that name stands for.

    kind: for the error message ("restorer").
    name: a key of the table (case does not matter) or ``package.module:attribute``.
    Raises UnknownPluginError when there is no such attribute; an ImportError from inside the
        plug-in passes through.
    """
    target = {key.lower(): value for key, value in table.items()}.get(name.lower(), name)
    module_name, colon, attribute = target.partition(":")
    if not (module_name and colon and attribute):
        raise UnknownPluginError(kind, name, tuple(table))
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise
        raise UnknownPluginError(kind, name, tuple(table), f"no module {error.name}") from None
    if not hasattr(module, attribute):
        cause = f"module {module_name} has no {attribute}"
        raise UnknownPluginError(kind, name, tuple(table), cause)
    return getattr(module, attribute)
