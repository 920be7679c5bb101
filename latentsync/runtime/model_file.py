"""Runs a model file as it is (.tflite, .onnx, .xml), in OpenVINO on the CPU, in float32."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from latentsync.errors import CheckpointError
from latentsync.runtime import cache, openvino
from latentsync.weights.record import sha256

DEVICE, BLOB = "CPU", "model.blob"

_Key = tuple[str, int, int, int]

_LOCK = threading.Lock()
_COMPILED: dict[_Key, Any] = {}


class ModelRunner:
    """The network in a file: float32 arrays -> float32 arrays, which belong to the caller.

    Objects for one file share its weights; each has an inference request of its own. So one object
    is for one thread at a time, and objects in any number of threads give what one alone gives,
    bit for bit. The first object of a file takes 0.2 to 0.7 s, 0.05 s once a .tflite is in the
    cache of networks; others under a millisecond.
    """

    def __init__(self, path: Path, *, threads: int = 1) -> None:
        """path: of weights.find. Raises CheckpointError for a file that OpenVINO cannot read."""
        compiled = _compiled(path, threads)
        self.shapes = tuple(tuple(one.shape) for one in compiled.inputs)
        self._request = compiled.create_infer_request()

    def __call__(self, *inputs: np.ndarray) -> tuple[np.ndarray, ...]:
        """All outputs, in the order of the file. Raises ValueError for shapes other than shapes."""
        given = tuple(one.shape for one in inputs)
        if given != self.shapes:
            raise ValueError(f"this model takes shapes {self.shapes}, not {given}")
        arrays = [np.ascontiguousarray(one, np.float32) for one in inputs]
        results = self._request.infer(arrays, share_inputs=True, share_outputs=False)
        return tuple(results.to_tuple())


def _compiled(path: Path, threads: int) -> Any:
    try:
        about = path.stat()
    except OSError as error:
        raise CheckpointError("model file cannot be read", path, str(error.strerror)) from None
    key = (str(path.resolve()), about.st_size, about.st_mtime_ns, threads)
    with _LOCK:
        if key not in _COMPILED:
            _COMPILED[key] = _compile(path, threads)
        return _COMPILED[key]


def _compile(path: Path, threads: int) -> Any:
    settings: dict[str, str | int] = {
        # Some CPUs would choose bf16 by themselves: it moves landmarks by up to a pixel.
        "INFERENCE_PRECISION_HINT": "f32",
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": threads,
    }
    core = openvino.core()

    def compiled() -> Any:
        return core.compile_model(core.read_model(path), DEVICE, settings)

    try:
        _check_kind(path)
        if path.suffix != ".tflite":
            return compiled()  # others may lie in several files
        kept = cache.kept(_key(path, settings, core), compiled, _save, (BLOB,))
        if not isinstance(kept, Path):
            return kept
        return core.import_model(kept.read_bytes(), DEVICE, settings)
    except (RuntimeError, ValueError) as error:
        value = f"{path} ({path.stat().st_size:,} bytes)"
        remedy = "download it again: it is damaged, or no file that OpenVINO reads"
        raise CheckpointError("not a model file", value, remedy) from error


def _key(path: Path, settings: Mapping[str, str | int], core: Any) -> dict[str, str]:
    """All that the compiled file depends on."""
    return {
        "network": path.name,
        "part": "compiled",
        "openvino": openvino.library().__version__,
        "checkpoint": sha256(path),
        "settings": repr(sorted(settings.items())),
        "machine": f"{core.get_property(DEVICE, 'FULL_DEVICE_NAME')}, "
        f"{core.get_property(DEVICE, 'OPTIMIZATION_CAPABILITIES')}",
    }


def _save(compiled: Any, target: Path) -> None:
    target.write_bytes(compiled.export_model().getvalue())


def _check_kind(path: Path) -> None:
    """Raises ValueError: OpenVINO writes to stderr about a damaged .tflite file."""
    with path.open("rb") as file:
        if path.suffix == ".tflite" and file.read(8)[4:] != b"TFL3":
            raise ValueError("not TensorFlow Lite")
