"""Restoration in the way of facefusion 3.8.1 (33cc6b4): its steps and versions, written anew.

The networks run in onnxruntime as ONNX graphs. A face is cut out as an FFHQ square, restored,
pasted inside its bounding box by a blurred square mask, and mixed with the frame at 80 %. Frames
are processed by eight threads, the network by one at a time.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from benchmarks.peers import networks
from benchmarks.peers.clips import CLIPS, Points, decoded
from benchmarks.peers.contestant import NETWORK, Contestant, Setup, all_in, around
from benchmarks.peers.networks import SIDE
from latentsync.geometry import FFHQ_TEMPLATE

Network = Callable[[np.ndarray], np.ndarray]
"""(1, 3, 512, 512) float32 RGB [-1, 1] -> the same, unclamped."""

INLIER = 100.0  # pixels: RANSAC keeps all five points
BLUR, BLEND, WEIGHT = 0.3, 0.8, 0.5  # its defaults: face_mask_blur, blend, CodeFormer's weight
THREADS = 8  # execution_thread_count
VERSION = "facefusion 3.8.1 (33cc6b4)"


def crop(frame: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """frame: (H, W, 3) uint8, points: (5, 2) -> (512, 512, 3) uint8, and the (2, 3) matrix."""
    matrix, _ = cv2.estimateAffinePartial2D(
        points, FFHQ_TEMPLATE, method=cv2.RANSAC, ransacReprojThreshold=INLIER
    )
    border = cv2.BORDER_REPLICATE
    face = cv2.warpAffine(frame, matrix, (SIDE, SIDE), flags=cv2.INTER_AREA, borderMode=border)
    return face, matrix


def box_mask() -> np.ndarray:
    """(512, 512) float32: 1 inside, with a blurred edge."""
    amount = int(SIDE / 2 * BLUR)
    edge = amount // 2
    inside = np.ones((SIDE - 2 * edge, SIDE - 2 * edge), np.float32)
    border = cv2.BORDER_CONSTANT
    mask = cv2.copyMakeBorder(inside, edge, edge, edge, edge, border, value=0)
    return cv2.GaussianBlur(mask, (0, 0), amount / 4)


def as_input(face: np.ndarray) -> np.ndarray:
    """face: (512, 512, 3) uint8 BGR -> (1, 3, 512, 512) float32 RGB [-1, 1]."""
    planes = face[:, :, ::-1].transpose(2, 0, 1)[None]
    return (planes / 127.5 - 1).astype(np.float32)


def as_picture(made: np.ndarray) -> np.ndarray:
    """The inverse of as_input, clamped and rounded."""
    values = np.rint((made[0].clip(-1, 1) + 1) * 127.5).astype(np.uint8)
    return values.transpose(1, 2, 0)[:, :, ::-1]


def paste(frame: np.ndarray, face: np.ndarray, mask: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """-> (H, W, 3) uint8: the face over the frame, inside its bounding box only, then the mix of
    both over the whole frame. Truncated, as there."""
    back = cv2.invertAffineTransform(matrix)
    corners = np.array([[0, 0], [SIDE, 0], [SIDE, SIDE], [0, SIDE]]) @ back[:, :2].T + back[:, 2]
    limit = np.array(frame.shape[1::-1])
    low = np.floor(corners.min(axis=0)).astype(int).clip(0, limit)
    high = np.ceil(corners.max(axis=0)).astype(int).clip(0, limit)
    back[:, 2] -= low
    size = tuple(int(side) for side in high - low)
    alpha = cv2.warpAffine(mask, back, size).clip(0, 1)[:, :, None]
    above = cv2.warpAffine(face, back, size, borderMode=cv2.BORDER_REPLICATE)
    pasted = frame.copy()
    part = pasted[low[1] : high[1], low[0] : high[0]]
    part[:] = (part * (1 - alpha) + above * alpha).astype(np.uint8)
    return cv2.addWeighted(frame, 1 - BLEND, pasted, BLEND, 0)


def enhanced(frame: np.ndarray, points: np.ndarray, network: Network) -> np.ndarray:
    """frame: (H, W, 3) uint8 BGR -> the same with its face restored."""
    face, matrix = crop(frame, points)
    mask = box_mask()  # made for each face
    return paste(frame, as_picture(network(as_input(face))), mask, matrix)


def process(path: Path, count: int, points: Points, network: Network) -> int:
    """The first frames of the file. Returns their number."""
    found: Iterator[tuple[np.ndarray, np.ndarray]] = (
        (frame, points(frame)) for frame in decoded(path, count)
    )
    done = 0
    with ThreadPoolExecutor(THREADS) as pool:
        while batch := list(islice(found, THREADS)):
            work = [pool.submit(enhanced, *one, network) for one in batch]
            done += sum(one.result().ndim == 3 for one in work)
    return done


def _contestant(setup: Setup, name: str) -> Contestant:
    import onnxruntime  # an extra of the benchmarks: benchmarks/requirements-peers.txt

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = os.cpu_count() or 1
    path = networks.onnx_file(setup.folder, name)
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    more = {"weight": np.array([WEIGHT])} if len(session.get_inputs()) > 1 else {}
    turn = networks.one_at_a_time(lambda face: session.run(None, {"input": face, **more})[0])
    points, one = Points.five(), networks.one_face().numpy()

    def face() -> int:
        return len(turn(one))

    work: dict[str, Callable[[], int]] = {NETWORK: face}
    for clip in CLIPS:
        plain, real = (clip.path(setup.folder, n) for n in (clip.plain, clip.restored))
        work[around(clip.name)] = partial(process, plain, clip.plain, points, lambda x: x)
        work[all_in(clip.name)] = partial(process, real, clip.restored, points, turn)
    return Contestant(f"{VERSION}: onnxruntime {onnxruntime.__version__}, CPU, fp32", work)


def gfpgan(setup: Setup) -> Contestant:
    return _contestant(setup, "gfpgan_v14")


def codeformer(setup: Setup) -> Contestant:
    return _contestant(setup, "codeformer")
