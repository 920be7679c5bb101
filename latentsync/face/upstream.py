"""LatentSync's own geometry (a229c39, its float32 path), as a reference for comparison.

It keeps what the rest of this package does differently: landmarks rounded to whole pixels, weak
smoothing, truncation to uint8, the whole crop pasted back with one feather.

    matrices = upstream_matrices(points, resolution)
    crop = network_input(face_at(frame, matrix, resolution))
    frame = paste(frame, generated, matrix)
"""

from __future__ import annotations

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange

from latentsync.geometry import ALIGNED_RESOLUTION, crop_size, template

NOSE = 2
GREY = 127.0
CARRY = 0.2
"""Share of the last frame's bias in this frame's (affine_transform.py:135)."""
EDGE_FRACTION = 20
"""The feather's width is the square root of the pasted area over this."""


def upstream_matrices(points: np.ndarray, resolution: int) -> np.ndarray:
    """points: (F, 3, 2) frame pixels, brows and nose -> (F, 2, 3) float32, frame -> aligned crop.

    F frames in upstream's order: those of the video at 25 frames a second, each carries a share of
    its bias over to the next. resolution: R, the size of the generated face. The bias is added in
    pixels of R's crop whatever R is, so that matrices of two resolutions differ by more than a
    scale (image_processor.py:65, affine_transform.py:98-145).
    """
    goal, goal_mean, goal_std = _normalised(template(resolution).astype(np.float32))
    matrices = np.empty((len(points), 2, 3), np.float32)
    carried: np.ndarray | None = None
    for number, rounded in enumerate(np.round(points).astype(np.float32)):
        source, source_mean, source_std = _normalised(rounded)
        bias = goal[NOSE] - source[NOSE]
        if carried is not None:
            bias = carried * np.float32(CARRY) + bias * np.float32(1 - CARRY)
        carried = bias
        linear = (goal_std / source_std) * _rotation(source, goal)
        matrices[number, :, :2] = linear
        matrices[number, :, 2] = goal_mean - linear @ source_mean + bias
    return matrices


def to_aligned(matrices: np.ndarray, resolution: int) -> np.ndarray:
    """matrices: (..., 2, 3) frame -> aligned crop at R -> float32, frame -> the one of 420 x 560.

    resolution: R. Exact where 512 / R is a power of two; elsewhere to a last bit of float32, 1e-4
    pixels of the crop over a frame of 1000.
    """
    return (matrices * np.float32(ALIGNED_RESOLUTION / resolution)).astype(np.float32)


def from_aligned(matrices: np.ndarray, resolution: int) -> np.ndarray:
    """The inverse of to_aligned: (..., 2, 3) frame -> aligned crop of 420 x 560 -> at R."""
    return (matrices * np.float32(resolution / ALIGNED_RESOLUTION)).astype(np.float32)


def face_at(pixels: np.ndarray, matrix: np.ndarray, resolution: int) -> np.ndarray:
    """pixels: (H, W, 3) uint8, matrix: (2, 3) frame -> aligned crop at R -> (R, R, 3) uint8.

    The face as input of the U-Net, before network_input.
    """
    return square_face(warp_crop(pixels, matrix, resolution), resolution)


def network_input(face: np.ndarray) -> torch.Tensor:
    """face: (R, R, 3) uint8 -> (3, R, R) float32 [-1, 1] (image_processor.py:73-91)."""
    return (rearrange(torch.from_numpy(face), "h w c -> c h w").float() / 255 - 0.5) / 0.5


def warp_crop(pixels: np.ndarray, matrix: np.ndarray, resolution: int) -> np.ndarray:
    """pixels: (H, W, 3) uint8, matrix: (2, 3) frame -> crop -> (h, w, 3) uint8, grey outside."""
    width, height = crop_size(resolution)
    crop = _warp(_tensor(pixels), matrix, (height, width), GREY)
    return _to_uint8(crop)


def square_face(crop: np.ndarray, resolution: int) -> np.ndarray:
    """crop: (h, w, 3) uint8 -> (R, R, 3) uint8, stretched: the U-Net's input."""
    return cv2.resize(crop, (resolution, resolution), interpolation=cv2.INTER_LANCZOS4)


def paste(frame: np.ndarray, generated: torch.Tensor, matrix: np.ndarray) -> np.ndarray:
    """frame: (H, W, 3) uint8, generated: (3, R, R) float [-1, 1], matrix: (2, 3) frame -> crop
    at R -> (H, W, 3) uint8: the whole crop laid over the frame (affine_transform.py:44-96).

    generated: a generator's output, with the hard edge of its mask. Pixels outside the crop are
    unchanged.
    """
    size = frame.shape[:2]
    width, height = crop_size(generated.shape[-1])
    back = cv2.invertAffineTransform(matrix.astype(np.float32))
    face = F.interpolate(generated[None].float(), (height, width), mode="bicubic", antialias=True)
    face = (_warp(face, back, size, GREY) / 2 + 0.5).clamp(0, 1) * 255
    inside = _warp(torch.ones(1, 1, height, width), back, size, 0.0)[0, 0].numpy()
    inside = _eroded_2x2(inside)
    soft = torch.from_numpy(_feathered(inside))
    out = soft * (torch.from_numpy(inside) * face) + (1 - soft) * _tensor(frame)
    return _to_uint8(out)


def _normalised(points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    mean = points.mean(axis=0)
    centered = points - mean
    std = centered.std(ddof=1)
    return centered / std, mean, std


def _rotation(source: np.ndarray, goal: np.ndarray) -> np.ndarray:
    u, _, vt = np.linalg.svd(source.T @ goal)
    rotation = vt.T @ u.T
    if np.linalg.det(rotation) < 0:
        vt[-1] *= -1
        rotation = vt.T @ u.T
    return rotation


def _warp(
    image: torch.Tensor, matrix: np.ndarray, size: tuple[int, int], fill: float
) -> torch.Tensor:
    """image: (1, C, h, w), matrix: (2, 3) image -> output pixels -> (1, C, *size), bilinear.

    kornia's warp_affine with align_corners: a sample half outside blends with the fill.
    """
    back = cv2.invertAffineTransform(matrix.astype(np.float64)).astype(np.float32)
    y, x = torch.meshgrid(*(torch.arange(n, dtype=torch.float32) for n in size), indexing="ij")
    place = torch.stack([x, y, torch.ones_like(x)], -1) @ torch.from_numpy(back).T
    height, width = image.shape[-2:]
    grid = 2 * place / torch.tensor([width - 1, height - 1]) - 1
    ones = torch.ones(1, 1, height, width)
    sampled = F.grid_sample(torch.cat([image, ones], 1), grid[None], align_corners=True)
    return sampled[:, :-1] + (1 - sampled[:, -1:]) * fill


def _eroded_2x2(mask: np.ndarray) -> np.ndarray:
    """kornia's: the window reaches one pixel up and left; outside the frame nothing is eroded."""
    return cv2.erode(mask, np.ones((2, 2), np.uint8), anchor=(1, 1))


def _feathered(mask: np.ndarray) -> np.ndarray:
    edge = int(float(mask.sum()) ** 0.5) // EDGE_FRACTION
    # Below 20 px edge is 0, and OpenCV uses 3x3 for an empty kernel, as upstream does.
    shrunk = cv2.erode(mask, np.ones((2 * edge, 2 * edge), np.uint8))
    kernel = 2 * edge + 1
    sigma = 0.3 * ((kernel - 1) * 0.5 - 1) + 0.8
    return cv2.GaussianBlur(shrunk, (kernel, kernel), sigma, borderType=cv2.BORDER_REFLECT_101)


def _tensor(pixels: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(rearrange(pixels, "h w c -> 1 c h w").astype(np.float32))


def _to_uint8(image: torch.Tensor) -> np.ndarray:
    truncated = image[0].clamp(0, 255).to(torch.uint8)
    return np.ascontiguousarray(rearrange(truncated.numpy(), "c h w -> h w c"))
