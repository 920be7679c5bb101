"""S3FD, the face detector whose boxes the published figures of lip-sync are defined on.

Checkpoint-compatible with `sfd_face.pth`, as joonson/syncnet_python at 6efbb1c uses it; after
Zhang et al., "S3FD: Single Shot Scale-invariant Face Detector", ICCV 2017.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from latentsync.models.face_boxes import best_boxes, decoded_boxes, overlaps_removed

MEAN = (123.0, 117.0, 104.0)
"""Subtracted from red, green and blue."""
SCALE = 0.25
"""Of the frame, as the published figures are made: a face of 224 pixels is searched at 56."""
THRESHOLD = 0.9
_SMALLEST = 32  # pixels that are left of a side, or the fifth pooling has nothing to pool
LEAST_SIDE = round(_SMALLEST / SCALE)
"""Pixels of a frame's side, below which nothing can be found at SCALE."""
_TAPPED = (16, 23, 30)  # layers of `vgg` before which a feature map is taken
_CHANNELS = (256, 512, 512, 1024, 512, 256)  # of the six feature maps
_BACKGROUNDS = 3  # classes of background in the finest map; the most likely one counts
_SAME_FACE = 0.1  # overlap from which of two faces the worse one is dropped


class S3fd(nn.Module):
    """images: (B, 3, H, W) float RGB less MEAN -> six maps (B, 5, h, w), from fine to coarse.

    Channel 0 is the probability of a face, 1 to 4 its offsets from the place's prior box, see
    face_boxes. The steps between places are 4, 8, 16, 32, 64 and 128 pixels. H and W: at least 32.
    """

    def __init__(self) -> None:
        super().__init__()
        self.vgg = nn.Sequential(*_vgg())
        self.L2Norm3_3 = _ScaledNorm(256)
        self.L2Norm4_3 = _ScaledNorm(512)
        self.L2Norm5_3 = _ScaledNorm(512)
        self.extras = nn.ModuleList(
            [
                nn.Conv2d(1024, 256, 1),
                nn.Conv2d(256, 512, 3, stride=2, padding=1),
                nn.Conv2d(512, 128, 1),
                nn.Conv2d(128, 256, 3, stride=2, padding=1),
            ]
        )
        classes = (_BACKGROUNDS + 1, *[2] * 5)
        self.loc = nn.ModuleList([nn.Conv2d(c, 4, 3, padding=1) for c in _CHANNELS])
        self.conf = nn.ModuleList(
            [nn.Conv2d(c, n, 3, padding=1) for c, n in zip(_CHANNELS, classes, strict=True)]
        )

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        maps = self._feature_maps(images)
        heads = zip(maps, self.loc, self.conf, strict=True)
        return tuple(torch.cat([_face(conf(x)), loc(x)], dim=1) for x, loc, conf in heads)

    def _feature_maps(self, x: Tensor) -> list[Tensor]:
        norms = dict(zip(_TAPPED, (self.L2Norm3_3, self.L2Norm4_3, self.L2Norm5_3), strict=True))
        maps = []
        for number, layer in enumerate(self.vgg):
            if number in norms:
                maps.append(norms[number](x))
            x = layer(x)
        maps.append(x)
        for number, layer in enumerate(self.extras):
            x = F.relu(layer(x))
            if number % 2:
                maps.append(x)
        return maps


class _ScaledNorm(nn.Module):
    """(B, C, h, w) -> the same: each place scaled to length 1, then each channel by a number."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        length = x.pow(2).sum(dim=1, keepdim=True).sqrt() + 1e-10
        return x / length * self.weight[:, None, None]


def prepared(image: np.ndarray, scale: float) -> Tensor:
    """(H, W, 3) uint8 RGB -> (1, 3, h, w) float32, for the network.

    Raises ValueError where less than 32 pixels of a side are left.
    """
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR)
    if min(small.shape[:2]) < _SMALLEST:
        raise ValueError(f"an image of {image.shape[:2]} at scale {scale} is too small for S3FD")
    return torch.from_numpy(small.astype(np.float32) - np.array(MEAN, np.float32)).permute(2, 0, 1)[
        None
    ]


def detections(maps: Sequence[Tensor], height: int, width: int) -> np.ndarray:
    """The network's maps of one image, and its size -> (N, 5) float32, best first.

    Score, then left, top, right, bottom in shares of the width and height.
    """
    flat = [one[0].float().flatten(1).T.cpu().numpy() for one in maps]
    grids = [(one.shape[2], one.shape[3]) for one in maps]
    found = np.concatenate(flat)
    boxes = decoded_boxes(found[:, 1:], grids, height, width)
    return best_boxes(found[:, 0], boxes)


def detect(
    network: Callable[[Tensor], Sequence[Tensor]],
    image: np.ndarray,
    *,
    scale: float = SCALE,
    threshold: float = THRESHOLD,
) -> np.ndarray:
    """image: (H, W, 3) uint8 RGB -> (N, 5) float64: left, top, right, bottom [pixels], score.

    Best first; without a face (0, 5). network: S3fd, or a runner of it.
    """
    inputs = prepared(image, scale)
    with torch.no_grad():
        found = detections(network(inputs), *inputs.shape[2:])
    faces = found[found[:, 0] > threshold]
    height, width = image.shape[:2]
    boxes = faces[:, 1:] * np.array([width, height, width, height], np.float64)
    kept = overlaps_removed(boxes, _SAME_FACE)
    return np.column_stack([boxes[kept], faces[kept, 0]])


def _face(logits: Tensor) -> Tensor:
    """(B, classes, h, w) -> (B, 1, h, w), the probability of the last class, a face."""
    background = logits[:, :-1].amax(dim=1, keepdim=True)
    return torch.cat([background, logits[:, -1:]], dim=1).softmax(dim=1)[:, 1:]


def _vgg() -> list[nn.Module]:
    layers: list[nn.Module] = []
    before = 3
    for widths, pool in (
        ((64, 64), nn.MaxPool2d(2)),
        ((128, 128), nn.MaxPool2d(2)),
        ((256, 256, 256), nn.MaxPool2d(2, ceil_mode=True)),
        ((512, 512, 512), nn.MaxPool2d(2)),
        ((512, 512, 512), nn.MaxPool2d(2)),
    ):
        for width in widths:
            layers += [nn.Conv2d(before, width, 3, padding=1), nn.ReLU()]
            before = width
        layers.append(pool)
    layers += [nn.Conv2d(512, 1024, 3, padding=6, dilation=6), nn.ReLU()]
    return [*layers, nn.Conv2d(1024, 1024, 1), nn.ReLU()]
