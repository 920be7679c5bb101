"""Which frames of a clip a sample is made of, and which part of the audio belongs to them.

LatentSync's data/unet_dataset.py:64-80 and data/syncnet_dataset.py:69-74.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from latentsync.models.stable_syncnet import MEL_COLUMNS
from latentsync.speech.sync_mel import PER_SECOND

FRAME_RATE = 25
_COLUMNS_PER_FRAME = PER_SECOND / FRAME_RATE
TOKENS = 16
"""Columns of the mel spectrogram around a frame, 0.2 s, if they are its audio tokens."""


def needed_frames(length: int, distance: int) -> int:
    """The least frames of a clip in which every window has another one so many frames away."""
    return length + 2 * distance


def latest_start(frames: int, length: int, columns: int | None = None) -> int:
    """The last frame that a window may begin with; below 0: there is none.

    columns: of the mel spectrogram, if a window of it has to fit as well.
    """
    last = frames - length
    if columns is not None:
        while last >= 0 and mel_start(last) + MEL_COLUMNS > columns:
            last -= 1
    return last


def draw_start(random: np.random.Generator, last: int) -> int:
    """Uniform, 0 to last."""
    return int(random.integers(last + 1))


def draw_away(random: np.random.Generator, start: int, last: int, distance: int) -> int:
    """The beginning of another window: uniform among all that are so many frames away or more.

    Raises ValueError: there is none.
    """
    before = max(0, start - distance + 1)
    after = max(0, last - start - distance + 1)
    if not before + after:
        raise ValueError(f"no window {distance} frames away from {start} among {last + 1}")
    drawn = int(random.integers(before + after))
    return drawn if drawn < before else start + distance + drawn - before


def mel_start(frame: int) -> int:
    """The first column of the window of the mel spectrogram that begins with a frame."""
    return math.floor(_COLUMNS_PER_FRAME * frame)


def mel_window(mel: np.ndarray, start: int) -> Tensor:
    """mel: (80, T) float32, start: a frame -> (1, 80, 52) float32."""
    first = mel_start(start)
    window = np.array(mel[:, first : first + MEL_COLUMNS], np.float32)
    return torch.from_numpy(window)[None]


def mel_tokens(mel: np.ndarray, start: int, count: int) -> Tensor:
    """(80, T) -> (count, 16, 80) float32: the columns around the middle of each frame.

    Beyond both ends the outermost column is repeated.
    """
    middles = np.round(_COLUMNS_PER_FRAME * (np.arange(start, start + count) + 0.5)).astype(int)
    columns = middles[:, None] + np.arange(-TOKENS // 2, TOKENS // 2)
    tokens = np.ascontiguousarray(mel.T)[columns.clip(0, mel.shape[1] - 1)]
    return torch.from_numpy(tokens.astype(np.float32))
