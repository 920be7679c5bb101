"""A network in an ONNX file, written byte by byte: no package that writes ONNX is needed."""

from __future__ import annotations

import tempfile
from pathlib import Path


def channel_means(folder: Path | None = None, name: str = "tiny.onnx") -> Path:
    """A file with a network like SFace outside: data (1, 3, 112, 112) -> fc1 (1, 3), the means."""
    average = _field(1, "data") + _field(2, "mean") + _field(4, "GlobalAveragePool")
    flatten = _field(1, "mean") + _field(2, "fc1") + _field(4, "Flatten")
    graph = _field(1, average) + _field(1, flatten) + _field(2, "tiny")
    graph += _field(11, _value("data", (1, 3, 112, 112))) + _field(12, _value("fc1", (1, 3)))
    model = _field(1, 7) + _field(8, _field(1, "") + _field(2, 11)) + _field(7, graph)
    path = (folder or Path(tempfile.mkdtemp())) / name
    path.write_bytes(model)
    return path


def _value(name: str, shape: tuple[int, ...]) -> bytes:
    sizes = b"".join(_field(1, _field(1, size)) for size in shape)
    tensor = _field(1, 1) + _field(2, sizes)  # element type 1: float32
    return _field(1, name) + _field(2, _field(1, tensor))


def _field(number: int, value: int | str | bytes) -> bytes:
    """A field of a protobuf message: a whole number, or bytes behind their length."""
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    content = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    low, high = value & 127, value >> 7
    return bytes([low | 128]) + _varint(high) if high else bytes([low])
