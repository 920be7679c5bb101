"""What ComfyUI loads where this checkout lies in its custom_nodes/; nothing else uses this file.

ComfyUI imports the folder under the name of its path, and this project's modules import each other
by their own names. So the packages of this checkout are entered under these names, unless an
installed copy of the project is there: then that is used.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
PACKAGES = ("latentsync", "GFPGAN", "CodeFormer")


async def comfy_entrypoint() -> Any:
    """ComfyUI calls it once, at its start -> the extension with the nodes.

    Raises ImportError where another package has one of these names: ComfyUI shows its message.
    """
    home = _home()
    for name in PACKAGES:
        _enter(name, home)
    from latentsync.comfy.extension import LatentSyncExtension

    return LatentSyncExtension()


def _home() -> Path:
    """The folder that holds the packages: that of an installed copy with nodes, or this one."""
    found = _found("latentsync")
    return HERE if found is None or not (found / "comfy").is_dir() else found.parent


def _found(name: str) -> Path | None:
    """The folder of the package that is imported under that name; None: there is none."""
    loaded = sys.modules.get(name)
    if loaded is not None:
        return Path(loaded.__file__ or "unknown").resolve().parent
    spec = importlib.util.find_spec(name)
    return None if spec is None or spec.origin is None else Path(spec.origin).resolve().parent


def _enter(name: str, home: Path) -> None:
    """From here on ``import name`` finds the package in that folder."""
    found, own = _found(name), home / name
    if found is not None and found != own:
        raise ImportError(
            f"the nodes of LatentSync are not loaded: there is another package named {name} in "
            f"{found.parent}; disable the custom node that brings it, and restart"
        )
    if found is None:
        spec = importlib.util.spec_from_file_location(
            name, own / "__init__.py", submodule_search_locations=[str(own)]
        )
        assert spec is not None and spec.loader is not None  # it has a path that ends in .py
        sys.modules[name] = module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
