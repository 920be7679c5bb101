"""Plug-in tables: look up an object by short name or ``package.module:attribute``."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from latentsync.errors import UnknownPluginError


def find_plugin(kind: str, name: str, table: Mapping[str, str]) -> Any:
    """Imports and returns the attribute that name stands for.

    kind: for the error message ("restorer").
    name: a key of the table (case does not matter) or ``package.module:attribute``; the module may
        be a file MODULE.py in the current folder.
    Raises UnknownPluginError when there is no such attribute; an ImportError from inside the
        plug-in passes through.
    """
    target = {key.lower(): value for key, value in table.items()}.get(name.lower(), name)
    module_name, colon, attribute = target.partition(":")
    if not (module_name and colon and attribute):
        raise UnknownPluginError(kind, name, tuple(table))
    try:
        module = _file_here(module_name) or importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise
        cause = f"no module {error.name}, and no {module_name}.py in the current folder"
        raise UnknownPluginError(kind, name, tuple(table), cause) from None
    if not hasattr(module, attribute):
        cause = f"module {module_name} has no {attribute}"
        raise UnknownPluginError(kind, name, tuple(table), cause)
    return getattr(module, attribute)


def sources(name: str | None) -> list[Path]:
    """The files of a plug-in that is not in a table: its module, and the source beside that in a
    package; no files where it is not found. name: None, or a short one: no plug-in."""
    module, colon, _ = (name or "").partition(":")
    if not colon:
        return []
    here = Path(f"{module}.py")
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        spec = None
    if spec is None:
        return [here] if here.is_file() else []
    if not (spec.has_location and spec.origin):
        return []
    path = Path(spec.origin)
    return sorted(path.parent.glob("*.py")) if spec.parent else [path]


def _file_here(name: str) -> ModuleType | None:
    """The module of that file in the current folder; None where there is none, or one installed.

    An installed command, unlike ``python -m``, does not search the current folder.
    """
    path = Path(f"{name}.py")
    if "." in name or not path.is_file() or importlib.util.find_spec(name) is not None:
        return None
    spec = importlib.util.spec_from_file_location(name, path.resolve())
    if spec is None or spec.loader is None:
        return None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
