"""LatentSync's work around its networks (a229c39), in the order of its loop, in float32.

All frames are decoded and aligned, then all mouths are generated, then all faces are pasted over
the whole frame. Its half-precision geometry is left out: it needs a GPU.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from einops import rearrange
from torch import Tensor
from torch.nn import functional as F

from benchmarks.peers.clips import Points, decoded
from latentsync.face.masks import upstream_mask
from latentsync.face.upstream import face_at, network_input, paste, upstream_matrices
from latentsync.generate.model_spec import LATENT_STEP

Mouths = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Faces and masked faces (F, 3, R, R), the latents' mask (F, 1, r, r) -> generated faces."""


def process(path: Path, count: int, points: Points, generate: Mouths, size: int) -> int:
    """The first frames of the file. size: R. Returns their number."""
    frames = [np.ascontiguousarray(frame[:, :, ::-1]) for frame in decoded(path, count)]
    matrices = upstream_matrices(np.stack([points(frame[:, :, ::-1]) for frame in frames]), size)
    pairs = list(zip(frames, matrices, strict=True))
    faces = torch.stack([network_input(face_at(frame, matrix, size)) for frame, matrix in pairs])
    generated = composited(faces, generate, size)
    made = [
        paste(frame, face, matrix) for (frame, matrix), face in zip(pairs, generated, strict=True)
    ]
    return len(np.stack(made))


def composited(faces: Tensor, generate: Mouths, size: int) -> Tensor:
    """faces: (F, 3, R, R) float32 -> the same with generated mouths. The mask, in float64, is made
    for each frame."""
    keep = torch.from_numpy(np.stack([1 - upstream_mask(size).astype(np.float64) for _ in faces]))
    keep = rearrange(keep, "f h w -> f 1 h w")
    side = size // LATENT_STEP
    generated = generate(faces, (faces * keep).float(), F.interpolate(keep, (side, side)).float())
    kept = keep.float()
    return generated * (1 - kept) + faces * kept
