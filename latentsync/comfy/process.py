"""Work inside ComfyUI's process: what is its own is as before afterwards."""

from __future__ import annotations

import gc
import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import cv2
import torch
from comfy import model_management

from latentsync.runtime.allocator import return_freed_memory
from latentsync.runtime.device import choose_device

_TELEMETRY = "openvino_telemetry"


@contextmanager
def as_in_our_process() -> Iterator[None]:
    """The block runs as it does in a process of this project; its models are released afterwards.

    ComfyUI runs nodes in torch's inference mode, in which nothing can be fitted.
    """
    _import_openvino()
    threads, others = torch.get_num_threads(), cv2.getNumThreads()
    try:
        with torch.inference_mode(False):
            yield
    finally:
        torch.set_num_threads(threads)
        cv2.setNumThreads(others)
        gc.collect()
        return_freed_memory()
        model_management.soft_empty_cache()


def make_room() -> None:
    """Other nodes' models leave the memory of the device; ComfyUI loads them again when asked."""
    model_management.unload_all_models()
    model_management.soft_empty_cache()


def device_of_comfyui() -> str:
    """runtime.device for who has told ComfyUI to leave the GPU alone."""
    return "cpu" if model_management.cpu_mode() and choose_device("auto").type != "cpu" else "auto"


def use_threads(count: int) -> None:
    """PyTorch's CPU threads for the block of as_in_our_process, which restores them; OpenCV gets
    one."""
    torch.set_num_threads(count)
    cv2.setNumThreads(1)


def _import_openvino() -> None:
    """OpenVINO reports its first import, and each conversion, to its makers where it finds this
    package then: nobody has agreed to that by running a node."""
    if "openvino" in sys.modules or _TELEMETRY in sys.modules:
        return
    sys.modules[_TELEMETRY] = None  # type: ignore[assignment]
    try:
        importlib.import_module("openvino")
    finally:
        del sys.modules[_TELEMETRY]
