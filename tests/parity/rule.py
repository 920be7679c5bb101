"""Weights and faces that anyone can rebuild from a name alone.

The golden files hold what the original networks gave for them, on the CPU in float32.
"""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

HERE = Path(__file__).parent


def published_shapes(network: str) -> dict[str, tuple[int, ...]]:
    """Key -> shape of the published weights file, in the file's order."""
    listed = json.loads((HERE / "keys" / f"{network}_keys.json").read_text())
    return {key: tuple(shape) for key, shape in listed.get("keys", listed).items()}


def _generator(name: str) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(zlib.crc32(name.encode())))


def named_normal(name: str, shape: tuple[int, ...], out: np.ndarray | None = None) -> np.ndarray:
    """float32 standard normal numbers. out: an array of that shape to write them to."""
    return _generator(name).standard_normal(shape, dtype=np.float32, out=out)


def weight(key: str, shape: tuple[int, ...], out: np.ndarray | None = None) -> torch.Tensor:
    """float32; scaled so that activations keep their size through a deep network.

    out: a matrix or more of that shape is written there.
    """
    if key.endswith("num_batches_tracked"):
        return torch.zeros(shape, dtype=torch.int64)
    n = named_normal(key, shape, out)
    if len(shape) > 1:
        n /= np.float32(math.sqrt(math.prod(shape[1:])))  # in place: there may be a gigabyte
    elif key.endswith(("weight", "running_var")):
        n = 1 + np.float32(0.1) * n
    else:
        n = np.float32(0.1) * n
    return torch.from_numpy(n)


def weights(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, torch.Tensor]:
    return {key: weight(key, tuple(shape)) for key, shape in shapes.items()}


def face(name: str, side: int = 512) -> torch.Tensor:
    """(1, 3, side, side) float32 RGB [-1, 1]: three slow waves under noise."""
    g = _generator(name)
    yy, xx = np.mgrid[0:side, 0:side] / side
    ab = g.uniform(0.5, 3, (3, 2))
    base = np.stack([0.6 * np.sin(6.3 * (xx * a + yy * b)) for a, b in ab])
    image = np.clip(base + 0.2 * g.standard_normal((3, side, side)), -1, 1)
    return torch.from_numpy(image.astype(np.float32))[None]


def face_of(golden_file: Path, kind: str) -> torch.Tensor:
    """The face that a restorer's golden file was made from: `gfpgan_x.npz` -> "..._x"."""
    return face("restorer.face" + golden_file.stem.removeprefix(kind))
