"""The stand-in of a running ComfyUI: its modules in sys.modules, its thread, what it was told."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch

from tests.support.made_up_comfy import videos
from tests.support.made_up_comfy.declared import (
    ComfyExtension,
    NodeOutput,
    io_module,
    ui_module,
)

OLD, NEW = "0.3.64", "0.33.0"
OURS = "latentsync.comfy"


@dataclass
class Program:
    """version: OLD or NEW. steps: (value, total) of its bars. previews: images sent with them.
    unloaded: how often other models had to leave."""

    version: str
    folder: Path
    steps: list[tuple[int, int]] = field(default_factory=list)
    previews: list[Any] = field(default_factory=list)
    unloaded: int = 0
    emptied: int = 0
    interrupt_at: int | None = None
    asked: int = 0
    interrupted: bool = False

    def __post_init__(self) -> None:
        base = Exception if self.version == OLD else BaseException
        self.Interrupted: type[BaseException] = type("InterruptProcessingException", (base,), {})

    @property
    def temp(self) -> Path:
        """Not there until somebody makes it."""
        return self.folder / "temp"

    def left(self) -> list[str]:
        """Names of the files in its temp folder."""
        return sorted(path.name for path in self.temp.glob("*")) if self.temp.exists() else []

    def forget_what_is_here(self) -> None:
        """As after the seconds for which the nodes remember it."""
        from latentsync.comfy import model_files

        model_files._here.cache_clear()

    def video(self, path: Path, **window: float) -> Any:
        kind = videos.OldVideoFromFile if self.version == OLD else videos.NewVideoFromFile
        return kind(str(path), **window)

    def run(self, node: Any, **inputs: Any) -> NodeOutput:
        """As its worker runs a node: a thread of its own, in inference mode, on a locked class."""
        found: dict[str, Any] = {}

        def work() -> None:
            try:
                with torch.inference_mode():
                    found["output"] = _locked(node).execute(**inputs)
            except BaseException as error:
                found["error"] = error

        worker = threading.Thread(target=work, name="prompt_worker")
        worker.start()
        worker.join()
        if "error" in found:
            raise found["error"]
        return found["output"]

    def step(self, value: int, total: int, preview: Any) -> None:
        self.steps.append((value, total))
        if preview is not None:
            self.previews.append(preview)
        if self.interrupt_at is not None and len(self.steps) >= self.interrupt_at:
            self.interrupted, self.interrupt_at = True, None

    def throw(self) -> None:
        """Whoever asks resets the flag."""
        self.asked += 1
        if self.interrupted:
            self.interrupted = False
            raise self.Interrupted


def _locked(node: Any) -> Any:
    class Meta(type(node)):
        def __setattr__(cls, name: str, value: Any) -> None:
            raise AttributeError(f"cannot set {name}: nodes have no state")

    return Meta(node.__name__, (node,), {})


def installed(monkeypatch: pytest.MonkeyPatch, version: str, folder: Path) -> Program:
    """Its modules can be imported until the test ends; the nodes' own are imported afresh."""
    program = Program(version, folder)
    for name in [name for name in sys.modules if f"{name}.".startswith(f"{OURS}.")]:
        monkeypatch.delitem(sys.modules, name)
    for name, module in _modules(program):
        monkeypatch.setitem(sys.modules, name, module)
    return program


def _modules(program: Program) -> Iterator[tuple[str, ModuleType]]:
    management: Any = ModuleType("comfy.model_management")
    management.InterruptProcessingException = program.Interrupted
    management.processing_interrupted = lambda: program.interrupted
    management.throw_exception_if_processing_interrupted = program.throw
    management.cpu_mode = lambda: True
    management.unload_all_models = lambda: _count(program, "unloaded")
    management.soft_empty_cache = lambda: _count(program, "emptied")
    utils: Any = ModuleType("comfy.utils")
    utils.ProgressBar = lambda total: _Bar(program, total)
    comfy: Any = ModuleType("comfy")
    comfy.model_management, comfy.utils = management, utils
    latest: Any = ModuleType("comfy_api.latest")
    latest.io, latest.ui = io_module(folds=program.version == NEW), ui_module()
    latest.ComfyExtension = ComfyExtension
    file = videos.OldVideoFromFile if program.version == OLD else videos.NewVideoFromFile
    latest.InputImpl = SimpleNamespace(
        VideoFromFile=file, VideoFromComponents=videos.VideoFromComponents
    )
    api: Any = ModuleType("comfy_api")
    api.latest = latest
    yield from (("comfy", comfy), ("comfy.model_management", management), ("comfy.utils", utils))
    yield from (("comfy_api", api), ("comfy_api.latest", latest))
    yield "folder_paths", _folder_paths(program)


def _folder_paths(program: Program) -> ModuleType:
    folders: Any = ModuleType("folder_paths")
    folders.models_dir = str(program.folder / "models")
    folders.folder_names_and_paths = {
        "checkpoints": ([str(program.folder / "models" / "checkpoints")], {".pt"}),
        "custom_nodes": ([str(program.folder / "custom_nodes")], set()),
    }
    folders.get_temp_directory = lambda: str(program.temp)
    folders.get_annotated_filepath = lambda name: _inside(program.folder / "input", name)
    return folders


def _inside(folder: Path, name: str) -> str:
    path = (folder / name).resolve()
    if folder.resolve() not in path.parents:
        raise ValueError(f"Invalid file path: {name!r}")
    return str(path)


def _count(program: Program, what: str) -> None:
    setattr(program, what, getattr(program, what) + 1)


class _Bar:
    def __init__(self, program: Program, total: int) -> None:
        self._program, self._total = program, total

    def update_absolute(self, value: int, total: int | None = None, preview: Any = None) -> None:
        self._program.step(value, total or self._total, preview)
