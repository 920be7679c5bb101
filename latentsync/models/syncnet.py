"""The classic SyncNet: embeddings of five frames of a mouth, and of 0.2 s of audio.

Checkpoint-compatible with `syncnet_v2.model` of joonson/syncnet_python at 6efbb1c, the network that
published figures of lip-sync (LSE-D, LSE-C, sync confidence) are measured with.
"""

from __future__ import annotations

from einops import rearrange
from torch import Tensor, nn

SIDE = 224
"""Side of a crop of the face [pixels]."""
FRAMES = 5
"""Frames that one embedding is made of."""
FRAME_RATE = 25
CEPSTRA = 13
CEPSTRA_PER_FRAME = 4
EMBEDDING = 1024
_FEATURES = 512  # of the convolutions, before the two linear layers


class SyncNet(nn.Module):
    """Both embeddings are unbounded; their Euclidean distance is small where lips and audio agree.

    In eval mode an embedding does not depend on the others of its batch.
    """

    def __init__(self) -> None:
        super().__init__()
        self.netcnnaud = _audio_convolutions()
        self.netfcaud = _embedder()
        self.netfclip = _embedder()
        self.netcnnlip = _lip_convolutions()

    def lips(self, frames: Tensor) -> Tensor:
        """(B, 3, 5, 224, 224) float BGR [0, 255], 25 frames a second -> (B, 1024)."""
        embedding: Tensor = self.netfclip(self.netcnnlip(frames).flatten(1))
        return embedding

    def lips_of_run(self, frames: Tensor) -> Tensor:
        """(3, T, 224, 224), as for `lips` -> (T - 4, 1024), one for each five neighbours.

        The same as `lips` of all windows, without copying each frame five times.
        """
        features = self.netcnnlip(frames[None])
        embedding: Tensor = self.netfclip(rearrange(features, "1 c t 1 1 -> t c"))
        return embedding

    def audio(self, cepstra: Tensor) -> Tensor:
        """(B, 1, 13, 20) float, MFCC (see speech.mfcc), 100 a second -> (B, 1024)."""
        embedding: Tensor = self.netfcaud(self.netcnnaud(cepstra).flatten(1))
        return embedding


class AudioEmbedder(nn.Module):
    """`SyncNet.audio` as a module, which a backend can run."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        assert isinstance(network, SyncNet)
        self.network = network

    def forward(self, cepstra: Tensor) -> Tensor:
        return self.network.audio(cepstra)


def _audio_convolutions() -> nn.Sequential:
    """(B, 1, 13, 20) -> (B, 512, 1, 1)."""
    return nn.Sequential(
        *_convolved_2d(1, 64, 3, padding=1),
        nn.Identity(),  # a pooling of 1 x 1 upstream, which counts in the keys
        *_convolved_2d(64, 192, 3, padding=1),
        nn.MaxPool2d(3, stride=(1, 2)),
        *_convolved_2d(192, 384, 3, padding=1),
        *_convolved_2d(384, 256, 3, padding=1),
        *_convolved_2d(256, 256, 3, padding=1),
        nn.MaxPool2d(3, stride=2),
        *_convolved_2d(256, _FEATURES, (5, 4)),
    )


def _lip_convolutions() -> nn.Sequential:
    """(B, 3, T, 224, 224) -> (B, 512, T - 4, 1, 1). Only the first one looks along time."""
    around = (0, 1, 1)
    return nn.Sequential(
        *_convolved_3d(3, 96, (FRAMES, 7, 7), stride=(1, 2, 2)),
        nn.MaxPool3d((1, 3, 3), stride=(1, 2, 2)),
        *_convolved_3d(96, 256, (1, 5, 5), stride=(1, 2, 2), padding=around),
        nn.MaxPool3d((1, 3, 3), stride=(1, 2, 2), padding=around),
        *_convolved_3d(256, 256, (1, 3, 3), padding=around),
        *_convolved_3d(256, 256, (1, 3, 3), padding=around),
        *_convolved_3d(256, 256, (1, 3, 3), padding=around),
        nn.MaxPool3d((1, 3, 3), stride=(1, 2, 2)),
        *_convolved_3d(256, _FEATURES, (1, 6, 6)),
    )


def _embedder() -> nn.Sequential:
    """(B, 512) -> (B, 1024)."""
    return nn.Sequential(
        nn.Linear(_FEATURES, _FEATURES),
        nn.BatchNorm1d(_FEATURES),
        nn.ReLU(),
        nn.Linear(_FEATURES, EMBEDDING),
    )


def _convolved_2d(
    inputs: int, outputs: int, kernel: int | tuple[int, int], padding: int = 0
) -> tuple[nn.Module, ...]:
    convolution = nn.Conv2d(inputs, outputs, kernel, padding=padding)
    return convolution, nn.BatchNorm2d(outputs), nn.ReLU()


def _convolved_3d(
    inputs: int,
    outputs: int,
    kernel: tuple[int, int, int],
    stride: tuple[int, int, int] = (1, 1, 1),
    padding: tuple[int, int, int] = (0, 0, 0),
) -> tuple[nn.Module, ...]:
    convolution = nn.Conv3d(inputs, outputs, kernel, stride, padding)
    return convolution, nn.BatchNorm3d(outputs), nn.ReLU()
