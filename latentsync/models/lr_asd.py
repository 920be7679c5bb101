"""LR-ASD, which scores for each frame of a mouth whether it speaks.

Checkpoint-compatible with Junhua-Liao/LR-ASD at 1b6dcd2. Its scores separate a mouth that talks
from one that does not; they do not say whose speech is in the audio.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from itertools import pairwise

import torch
from einops import rearrange
from torch import Tensor, nn

CROP = 112
"""Side of a crop of the mouth [pixels]."""
CEPSTRA = 13
CEPSTRA_PER_FRAME = 4
FRAME_RATE = 25
"""Frames a second that the network was trained at."""
FRAME_REACH = 9
"""Frames on either side on which the encoding of a frame depends."""
EMBEDDING = 128
_HIDDEN = 64
_MEAN, _DEVIATION = 0.4161, 0.1688  # of grey values in [0, 1]
_WIDTHS = (32, 64, 128)  # channels after each of the three blocks
_EPSILON = 0.001


class LrAsd(nn.Module):
    """frames: (B, T, 112, 112) float grey [0, 255], cepstra: (B, 4 T, 13) -> (B, T) scores.

    25 frames and 100 cepstra a second. A score is unbounded; more than 0 is meant as speaking.
    """

    def __init__(self) -> None:
        super().__init__()
        self.model = _Model()
        self.lossAV = _Head(2 * _HIDDEN)
        self.lossV = _Head(EMBEDDING)

    def forward(self, frames: Tensor, cepstra: Tensor) -> Tensor:
        fused = self.fuse(self.encode_frames(frames), self.encode_cepstra(cepstra))
        return self.logits(fused)[..., 1]

    def encode_frames(self, frames: Tensor) -> Tensor:
        """(B, T, 112, 112) float [0, 255] -> (B, T, 128). Each depends on 9 frames either side."""
        scaled = (frames / 255 - _MEAN) / _DEVIATION
        encoded: Tensor = self.model.visualEncoder(scaled[:, None])
        return rearrange(encoded.amax(dim=(3, 4)), "b c t -> b t c")

    def encode_cepstra(self, cepstra: Tensor) -> Tensor:
        """(B, 4 T, 13) -> (B, T, 128)."""
        encoded: Tensor = self.model.audioEncoder(rearrange(cepstra, "b t c -> b 1 c t"))
        return rearrange(encoded.mean(dim=2), "b c t -> b t c")

    def fuse(self, visual: Tensor, audio: Tensor) -> Tensor:
        """(B, T, 128) twice -> (B, T, 128). Every frame depends on all of the sequence."""
        fused: Tensor = self.model.fusion(torch.cat([audio, visual], dim=-1))
        detected: Tensor = self.model.detector(fused)
        return detected

    def logits(self, fused: Tensor) -> Tensor:
        """(B, T, 128) of `fuse` -> (B, T, 2): not speaking, speaking."""
        logits: Tensor = self.lossAV(fused)
        return logits

    def visual_logits(self, visual: Tensor) -> Tensor:
        """(B, T, 128) of `encode_frames` -> (B, T, 2), without the audio: used in training."""
        logits: Tensor = self.lossV(visual)
        return logits


class _Model(nn.Module):
    """The parts, under the names that the published keys have."""

    def __init__(self) -> None:
        super().__init__()
        self.visualEncoder = _visual_encoder()
        self.audioEncoder = _audio_encoder()
        self.fusion = _Attention(2 * EMBEDDING)
        self.detector = _Detector(2 * EMBEDDING, _HIDDEN)


class _Attention(nn.Module):
    """Scales each channel by a gate. (B, T, C) -> the same."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.attention = nn.Conv1d(width, width, 1, bias=False)
        self.bn = nn.BatchNorm1d(width, eps=_EPSILON)

    def forward(self, values: Tensor) -> Tensor:
        across = rearrange(values, "b t c -> b c t")
        return rearrange(across * self.bn(self.attention(across)).sigmoid(), "b c t -> b t c")


class _Detector(nn.Module):
    """Two separate GRUs, one for each direction of time. (B, T, C) -> (B, T, 2 * hidden)."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.gru_forward = nn.GRU(width, hidden, batch_first=True)
        self.gru_backward = nn.GRU(width, hidden, batch_first=True)
        self.attention = _Attention(2 * hidden)

    def forward(self, values: Tensor) -> Tensor:
        onward, _ = self.gru_forward(values)
        backward, _ = self.gru_backward(values.flip(1))
        both: Tensor = self.attention(torch.cat([onward, backward.flip(1)], dim=-1))
        return both


class _Head(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.FC = nn.Linear(width, 2)

    def forward(self, values: Tensor) -> Tensor:
        logits: Tensor = self.FC(values)
        return logits


def _visual_encoder() -> nn.Sequential:
    """(B, 1, T, H, W) -> (B, 128, T, H / 8, W / 8): convolutions over space, then over time."""
    parts: list[tuple[str, nn.Module]] = []
    for number, (inputs, outputs) in _numbered_blocks():
        space, half = 2 if number == 1 else 1, outputs // 2
        layers = {
            "s_1": _convolution_3d(inputs, half, (1, 5, 5), stride=(1, space, space)),
            "s_2": _convolution_3d(half, outputs, (1, 3, 3)),
            "t_1": _convolution_3d(outputs, outputs, (5, 1, 1)),
            "t_2": _convolution_3d(outputs, outputs, (3, 1, 1)),
        }
        parts.append((f"block{number}", _block(layers, nn.BatchNorm3d)))
        if number < len(_WIDTHS):
            pool = nn.MaxPool3d((1, 3, 3), stride=(1, 2, 2), padding=(0, 1, 1))
            parts.append((f"pool{number}", pool))
    return nn.Sequential(OrderedDict(parts))


def _audio_encoder() -> nn.Sequential:
    """(B, 1, 13, 4 T) -> (B, 128, 13, T): convolutions over cepstra, then over time."""
    parts: list[tuple[str, nn.Module]] = []
    for number, (inputs, outputs) in _numbered_blocks():
        half = outputs // 2
        layers = {
            "m_1": _convolution_2d(inputs, half, (5, 1)),
            "m_2": _convolution_2d(half, outputs, (3, 1)),
            "t_1": _convolution_2d(outputs, outputs, (1, 5)),
            "t_2": _convolution_2d(outputs, outputs, (1, 3)),
        }
        parts.append((f"block{number}", _block(layers, nn.BatchNorm2d)))
        if number < len(_WIDTHS):
            pool = nn.MaxPool2d((1, 3), stride=(1, 2), padding=(0, 1))
            parts.append((f"pool{number}", pool))
    return nn.Sequential(OrderedDict(parts))


def _numbered_blocks() -> Iterator[tuple[int, tuple[int, int]]]:
    """1, 2, 3, each with the channels that go in and come out."""
    return enumerate(pairwise((1, *_WIDTHS)), start=1)


def _block(
    layers: Mapping[str, nn.Conv2d | nn.Conv3d], norm: type[nn.BatchNorm2d] | type[nn.BatchNorm3d]
) -> nn.Sequential:
    """Each convolution with its norm and a ReLU. The keys are those of the published file."""
    parts: list[tuple[str, nn.Module]] = []
    for name, layer in layers.items():
        kind, number = name.split("_")
        parts.append((name, layer))
        parts.append((f"{kind}_norm_{number}", norm(layer.out_channels, eps=_EPSILON)))
        parts.append((f"{kind}_relu_{number}", nn.ReLU()))
    return nn.Sequential(OrderedDict(parts))


def _convolution_3d(
    inputs: int,
    outputs: int,
    kernel: tuple[int, int, int],
    stride: tuple[int, int, int] = (1, 1, 1),
) -> nn.Conv3d:
    padding = (kernel[0] // 2, kernel[1] // 2, kernel[2] // 2)
    return nn.Conv3d(inputs, outputs, kernel, stride, padding, bias=False)


def _convolution_2d(inputs: int, outputs: int, kernel: tuple[int, int]) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, padding=(kernel[0] // 2, kernel[1] // 2), bias=False)
