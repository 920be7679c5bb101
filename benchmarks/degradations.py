"""Degradations to test a restorer with: some that Self is fitted to, and some that it is not.

Each takes (H, W, 3) uint8 RGB and the number of the frame, and returns the same shape and dtype.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from functools import cache

import av
import cv2
import numpy as np

Degradation = Callable[[np.ndarray, int], np.ndarray]

EYE_DISTANCE = 300.0
"""Between the outer corners of the eyes, pixels of the aligned crop."""
_EYE_DISTANCES = 3.1  # across the square that a generator generates
_PATCH = 8  # pixels
_COMPONENTS = 8  # of the 64 that a patch has


def shrunk(factor: int) -> Degradation:
    """Area-averaged down, and enlarged again by cubic interpolation."""
    return lambda pixels, _: _enlarged(_small(pixels, factor), pixels)


def shrunk_and_coded(factor: int, *, noise: float, quality: int) -> Degradation:
    """The same, with noise (sigma, code values) and JPEG at the smaller size."""

    def degrade(pixels: np.ndarray, index: int) -> np.ndarray:
        noisy = with_noise(noise)(_small(pixels, factor), index)
        bgr = cv2.cvtColor(noisy, cv2.COLOR_RGB2BGR)
        _, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
        decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
        assert decoded is not None
        return _enlarged(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), pixels)

    return degrade


def blurred(sigma: float) -> Degradation:
    return lambda pixels, _: cv2.GaussianBlur(pixels, (0, 0), sigma)


def with_noise(sigma: float) -> Degradation:
    def degrade(pixels: np.ndarray, index: int) -> np.ndarray:
        random = np.random.default_rng(index)
        return _code_values(pixels + sigma * random.standard_normal(pixels.shape))

    return degrade


def wavelet_shrinkage(threshold: float) -> Degradation:
    """Soft threshold [code values] on three levels of the undecimated B3 spline transform."""

    def degrade(pixels: np.ndarray, _: int) -> np.ndarray:
        low: np.ndarray = pixels.astype(np.float32)
        kept = np.zeros_like(low)
        for level in range(3):
            kernel = np.zeros(4 * 2**level + 1)
            kernel[:: 2**level] = np.array([1, 4, 6, 4, 1]) / 16
            lower = cv2.sepFilter2D(low, -1, kernel, kernel, borderType=cv2.BORDER_REFLECT)
            detail = low - lower
            kept += np.sign(detail) * np.maximum(np.abs(detail) - threshold, 0)
            low = lower
        return _code_values(kept + low)

    return degrade


def patch_pca(pixels: np.ndarray, _: int) -> np.ndarray:
    """Overlapping patches of 8x8 projected on the first 8 principal components of this image."""
    luma = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(luma, (_PATCH, _PATCH))
    samples = windows[::2, ::2].reshape(-1, _PATCH**2)
    samples = samples - samples.mean(1, keepdims=True)
    basis = np.linalg.eigh(samples.T @ samples)[1][:, -_COMPONENTS:]
    total = np.zeros(pixels.shape, np.float32)
    weight = np.zeros(pixels.shape[:2], np.float32)[..., None]
    for top in range(0, _PATCH, 2):
        for left in range(0, _PATCH, 2):
            rows, columns = (
                (n - start) // _PATCH for n, start in zip(luma.shape, (top, left), strict=True)
            )
            part = slice(top, top + rows * _PATCH), slice(left, left + columns * _PATCH)
            total[part] += _projected(pixels[part].astype(np.float32), basis)
            weight[part] += 1
    return _code_values(np.where(weight > 0, total / np.maximum(weight, 1), pixels))


def _projected(pixels: np.ndarray, basis: np.ndarray) -> np.ndarray:
    height, width = pixels.shape[:2]
    grid = pixels.reshape(height // _PATCH, _PATCH, width // _PATCH, _PATCH, 3)
    patches = grid.transpose(0, 2, 4, 1, 3)
    flat = patches.reshape(-1, _PATCH**2)
    mean = flat.mean(1, keepdims=True)
    near = ((flat - mean) @ basis) @ basis.T + mean
    return near.reshape(patches.shape).transpose(0, 3, 1, 4, 2).reshape(height, width, 3)


def vae_like(pixels: np.ndarray, _: int) -> np.ndarray:
    """Removes faint texture and keeps edges, slightly soft: a guided filter and a small blur."""
    image = pixels.astype(np.float32)
    mean = _box(image)
    variance = _box(image**2) - mean**2
    share = variance / (variance + 64.0)
    smooth = _box(share) * image + _box(mean - share * mean)
    return _code_values(cv2.GaussianBlur(smooth, (0, 0), 0.6))


def _box(image: np.ndarray) -> np.ndarray:
    return cv2.blur(image, (5, 5))


def _small(pixels: np.ndarray, factor: int) -> np.ndarray:
    height, width = pixels.shape[:2]
    size = (width // factor, height // factor)
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)


def _enlarged(small: np.ndarray, like: np.ndarray) -> np.ndarray:
    return cv2.resize(small, like.shape[1::-1], interpolation=cv2.INTER_CUBIC)


def _code_values(values: np.ndarray) -> np.ndarray:
    return np.rint(values).clip(0, 255).astype(np.uint8)


@cache
def degradations() -> dict[str, Degradation]:
    """By name. From wavelet on: not among those that Self is fitted to."""
    return {
        "2x": shrunk(2),
        "3x": shrunk(3),
        "3x, noise, JPEG": shrunk_and_coded(3, noise=2.0, quality=75),
        "Gaussian 1.5": blurred(1.5),
        "Gaussian 2.5": blurred(2.5),
        "wavelet": wavelet_shrinkage(3.0),
        "patch PCA": patch_pca,
        "VAE-like": vae_like,
        "sharp": lambda pixels, _: pixels,
        "sharp, noise": with_noise(1.0),
    }


def generator_like(scale: float) -> Degradation:
    """The band limit of a generator of 256 pixels and its VAE. scale: frame per aligned pixel."""
    factor = max(1.0, _EYE_DISTANCES * EYE_DISTANCE * scale / 256) * 1.1

    def degradation(pixels: np.ndarray, _: int) -> np.ndarray:
        height, width = pixels.shape[:2]
        size = round(width / factor), round(height / factor)
        small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
        large = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
        return cv2.GaussianBlur(large, (0, 0), 0.55 * factor)

    return degradation


def encoded(frames: Sequence[np.ndarray], crf: int) -> list[np.ndarray]:
    """F x (H, W, 3) uint8 RGB, of even size -> the same after H.264 at that CRF."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="matroska") as container:
        stream = container.add_stream(
            "libx264", rate=25, options={"crf": str(crf), "preset": "veryfast"}
        )
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for pixels in frames:
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    buffer.seek(0)
    with av.open(buffer, "r") as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
