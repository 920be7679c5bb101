"""Restoration as the official scripts do it: PyTorch in fp32, frame by frame, full-frame paste.

GFPGAN's inference_gfpgan.py (7552a77) with facexlib 0.3.0 (260620a), CodeFormer's
inference_codeformer.py (b33cc7d) with its own copy of it, both at upscale 1, written anew. Their
face detector (RetinaFace) is replaced by this project's, and the class map of their parsing network
by a constant; that network is timed by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from benchmarks.peers import networks
from benchmarks.peers.clips import CLIPS, Points, decoded
from benchmarks.peers.contestant import NETWORK, Contestant, Setup, all_in, around
from benchmarks.peers.networks import SIDE
from benchmarks.peers.parse_net import ParseNet
from benchmarks.random_networks import random_weights
from latentsync.geometry import FFHQ_TEMPLATE

Network = Callable[[Tensor], Tensor]
"""(1, 3, 512, 512) float32 RGB [-1, 1] -> the same, unclamped."""
Paste = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
"""Frame, restored face, both uint8 BGR, and the matrix frame -> face -> the frame."""

GREY = (135, 133, 132)  # BGR, outside the frame
PARSED = (101, 11)  # size and sigma of the parsed mask's blur, which is done twice
RIM = 10  # pixels of the parsed mask that are cleared at each side
EDGE_FRACTION = 20
W = 0.7  # CodeFormer's weight for whole pictures
PARSING = "parsing network"


def crop(frame: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """frame: (H, W, 3) uint8, points: (5, 2) -> (512, 512, 3) uint8, and the (2, 3) matrix."""
    matrix, _ = cv2.estimateAffinePartial2D(points, FFHQ_TEMPLATE, method=cv2.LMEDS)
    border = cv2.BORDER_CONSTANT
    face = cv2.warpAffine(frame, matrix, (SIDE, SIDE), borderMode=border, borderValue=GREY)
    return face, matrix


def restored(face: np.ndarray, network: Network) -> np.ndarray:
    """face: (512, 512, 3) uint8 BGR -> the same."""
    rgb = np.ascontiguousarray(face[:, :, ::-1].transpose(2, 0, 1))
    with torch.no_grad():
        made = network(torch.from_numpy(rgb)[None].float() / 127.5 - 1)[0]
    values = ((made.clamp(-1, 1) + 1) * 127.5).round().byte().numpy()
    return np.ascontiguousarray(values.transpose(1, 2, 0)[:, :, ::-1])


def parsed_mask() -> np.ndarray:
    """(512, 512) float32, of a class map that is all face."""
    mask: np.ndarray = np.full((SIDE, SIDE), 255, np.float32)
    size, sigma = PARSED
    for _ in range(2):
        mask = cv2.GaussianBlur(mask, (size, size), sigma)
    mask[:RIM], mask[-RIM:], mask[:, :RIM], mask[:, -RIM:] = 0, 0, 0, 0
    return mask / 255


def paste_parsed(frame: np.ndarray, face: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """GFPGAN's: by the parsed mask."""
    size, back = frame.shape[1::-1], cv2.invertAffineTransform(matrix)
    above = cv2.warpAffine(face, back, size)
    alpha = cv2.warpAffine(parsed_mask(), back, size, flags=cv2.INTER_AREA)[:, :, None]
    return (alpha * above + (1 - alpha) * frame).astype(np.uint8)


def paste_both(frame: np.ndarray, face: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """CodeFormer's: by the smaller of the parsed mask and the square one."""
    size, back = frame.shape[1::-1], cv2.invertAffineTransform(matrix)
    above = cv2.warpAffine(face, back, size)
    inside, square = square_masks(back, size)
    parsed = cv2.warpAffine(parsed_mask(), back, size, flags=cv2.INTER_AREA)
    alpha = np.minimum(parsed, square)[:, :, None]
    return (alpha * (inside[:, :, None] * above) + (1 - alpha) * frame).astype(np.uint8)


def square_masks(back: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """(H, W) float32 both: where the face lies, and the same shrunk and blurred by its size."""
    inside = cv2.warpAffine(np.ones((SIDE, SIDE), np.float32), back, size)
    inside = cv2.erode(inside, np.ones((2, 2), np.uint8))
    edge = int(float(inside.sum()) ** 0.5) // EDGE_FRACTION
    shrunk = cv2.erode(inside, np.ones((2 * edge, 2 * edge), np.uint8))
    kernel = 2 * edge + 1
    return inside, cv2.GaussianBlur(shrunk, (kernel, kernel), 0)


def process(path: Path, count: int, points: Points, network: Network, paste: Paste) -> int:
    """The first frames of the file, one after the other. Returns their number."""
    done = 0
    for frame in decoded(path, count):
        face, matrix = crop(frame, points(frame))
        done += paste(frame, restored(face, network), matrix).ndim == 3
    return done


def _contestant(setup: Setup, network: Network, paste: Paste, version: str) -> Contestant:
    one, points = networks.one_face(), Points.five()
    parse_net = random_weights(ParseNet, one.device, one.dtype)

    def through(act: Network) -> int:
        with torch.no_grad():
            return len(act(one))

    work: dict[str, Callable[[], int]] = {NETWORK: partial(through, network)}
    work[PARSING] = partial(through, parse_net)
    for clip in CLIPS:
        plain, real = (clip.path(setup.folder, n) for n in (clip.plain, clip.restored))
        work[around(clip.name)] = partial(process, plain, clip.plain, points, lambda x: x, paste)
        work[all_in(clip.name)] = partial(process, real, clip.restored, points, network, paste)
    return Contestant(f"{version}: torch {torch.__version__}, fp32", work)


def gfpgan(setup: Setup) -> Contestant:
    network = networks.in_torch(setup.folder, "gfpgan_v14")
    return _contestant(setup, network, paste_parsed, "GFPGAN 7552a77, facexlib 260620a")


def codeformer(setup: Setup) -> Contestant:
    network = networks.in_torch(setup.folder, "codeformer")
    return _contestant(setup, lambda x: network(x, W), paste_both, "CodeFormer b33cc7d")
