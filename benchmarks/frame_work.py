"""Time of the work around the networks, per frame: composite, alignment, detection.

    python -m benchmarks.frame_work [VIDEO] [--size 1080x1920] [--face 400] [--region mouth]

The frame has a face of --face pixels from cheek to cheek, restored in a square of 512. Composites
are compared with LatentSync's own paste of the whole crop and a plain paste in float32 over the
full frame; detection has no baseline. All take turns in one process, so that a busy machine slows
them alike.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import torch

from latentsync.face.composite import composited
from latentsync.face.detector import FaceTracker, load_detector
from latentsync.face.landmarks import CONTROL
from latentsync.face.masks import region_mask, rest_mask
from latentsync.face.upstream import paste
from latentsync.geometry import TEMPLATE, extract, similarity
from latentsync.media.reader import VideoReader
from latentsync.restoration.detail import Detail
from latentsync.restoration.patch import PatchGeometry, ffhq_geometry, own_scale_geometry
from latentsync.restoration.sharpness import SharpnessMeter
from latentsync.runtime.device import thread_count
from latentsync.types import Frame, Patch

DEMO = "assets/demo_speaker.mp4"
SIZE = (1080, 1920)
"""Width and height of the frame, if no other is asked for."""
CHEEKS = 368  # aligned pixels from one cheek to the other
CENTER = (210.0, 280.0)  # of the aligned crop
TURN = 4.0  # degrees that the head is tilted
FIVE = np.array([[145, 185], [275, 185], [210, 255], [160, 340], [260, 340]], np.float64)
"""A face on the template, aligned pixels: eyes, nose tip, corners of the mouth."""


@dataclass(frozen=True)
class Timing:
    """Milliseconds, wall time. cpu: of all threads."""

    median: float
    p95: float
    cpu: float


def timed(work: dict[str, Callable[[], object]], rounds: int) -> dict[str, Timing]:
    """Each function once per round, in turns, after a first round that is not counted."""
    wall: dict[str, list[float]] = {name: [] for name in work}
    cpu: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(rounds + 1):
        for name, act in work.items():
            begin, began = time.perf_counter(), time.process_time()
            act()
            wall[name].append(1e3 * (time.perf_counter() - begin))
            cpu[name].append(1e3 * (time.process_time() - began))
    return {
        name: Timing(
            float(np.median(wall[name][1:])),
            float(np.percentile(wall[name][1:], 95)),
            float(np.median(cpu[name][1:])),
        )
        for name in work
    }


def plain_paste(frame: np.ndarray, patch: Patch) -> np.ndarray:
    """The same additive patch in the plain way: everything at full size, in float32."""
    size = frame.shape[1::-1]
    code_values = patch.pixels.permute(1, 2, 0).numpy() * 127.5
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    change = cv2.warpAffine(code_values, patch.matrix, size, flags=flags)
    mask = cv2.warpAffine(patch.mask, patch.matrix, size, flags=cv2.WARP_INVERSE_MAP)
    return np.rint(frame + change * mask[..., None]).clip(0, 255).astype(np.uint8)


def placed_face(width: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    """(2, 3), frame -> aligned crop: a face of that width in the middle of the frame. size: (width,
    height) of the frame."""
    turn = np.exp(1j * np.deg2rad(TURN)) * CHEEKS / width
    linear = np.array([[turn.real, -turn.imag], [turn.imag, turn.real]])
    shift = np.array(CENTER) - linear @ [size[0] / 2, size[1] / 2]
    return np.concatenate([linear, shift[:, None]], axis=1)


def textured(height: int, width: int) -> np.ndarray:
    """(h, w, 3) uint8."""
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return cv2.GaussianBlur(noise, (0, 0), 2.0)


def geometries(matrix: np.ndarray, region: str) -> tuple[PatchGeometry, PatchGeometry]:
    """The FFHQ square of 512, and the mouth's box at the frame's own scale."""
    back = cv2.invertAffineTransform(matrix)
    points = FIVE @ back[:, :2].T + back[:, 2]
    mask = region_mask(region)
    return ffhq_geometry(matrix[None], points[None], mask), own_scale_geometry(matrix[None], mask)


def still_work(
    width: int, region: str, size: tuple[int, int] = SIZE
) -> dict[str, Callable[[], object]]:
    """Composite, alignment and Detail for one frame, by name. size: its width and height."""
    matrix, pixels = placed_face(width, size), textured(size[1], size[0])
    square, box = geometries(matrix, region)
    frame = Frame(0, 0.0, 0, pixels)
    detail = torch.from_numpy(textured(*square.size)).permute(2, 0, 1).float() / 127.5 - 1
    patch = Patch(detail.contiguous() / 4, square.matrix(matrix), square.mask, additive=True)
    mouth, restorer = extract(pixels, box.matrix(matrix), box.size)[None], Detail(1.0, 1.5, 1.0)
    own = Patch(mouth[0] / 4, box.matrix(matrix), box.mask, additive=True)
    points = TEMPLATE @ cv2.invertAffineTransform(matrix)[:, :2].T
    meter = SharpnessMeter(region_mask("mouth"), rest_mask())

    def crop(geometry: PatchGeometry) -> torch.Tensor:
        similarity(points, TEMPLATE)
        return extract(pixels, geometry.matrix(matrix), geometry.size)

    return {
        "composite": lambda: composited(frame, [patch]),
        "composite, own scale": lambda: composited(frame, [own]),
        "  plain, full frame": lambda: plain_paste(pixels, patch),
        "  LatentSync's paste": lambda: paste(pixels, detail, matrix),
        "align, 512 square": lambda: crop(square),
        "align, own scale": lambda: crop(box),
        "Detail": lambda: restorer(mouth),
        "sharpness": lambda: meter(pixels, matrix),
    }


def detection(video: str, detector: FaceTracker, rounds: int) -> dict[str, Timing]:
    """Frame after frame, as in pass 1; and the sharpness of the detected face."""
    meter = SharpnessMeter(region_mask("mouth"), rest_mask())
    frames = [frame.pixels for frame in itertools.islice(VideoReader(video), rounds + 1)]
    coming = itertools.cycle(frames)
    seen = {"faces": detector(frames[0])}

    def detect() -> None:
        seen["faces"] = detector(next(coming))

    timings = timed({"detect": detect}, min(rounds, len(frames) - 1))
    if seen["faces"]:
        pixels = frames[min(rounds, len(frames) - 1)]
        matrix = similarity(seen["faces"][0].landmarks[CONTROL], TEMPLATE)
        timings |= timed({"its sharpness": lambda: meter(pixels, matrix)}, 10)
    return timings


def main() -> None:
    """Prints one table."""
    parser = argparse.ArgumentParser(
        description="Time of composite, alignment and detection per frame."
    )
    parser.add_argument("video", nargs="?", default=DEMO)
    parser.add_argument("--size", default="1080x1920", help="of the frame")
    parser.add_argument("--face", type=int, default=400, help="pixels from cheek to cheek")
    parser.add_argument("--region", default="mouth", help="mouth, lower_face or face")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0: all cores")
    parser.add_argument("--rounds", type=int, default=40)
    options = parser.parse_args()
    torch.set_num_threads(thread_count(options.threads))
    cv2.setNumThreads(options.threads or -1)
    width, height = (int(side) for side in options.size.split("x"))
    work = still_work(options.face, options.region, (width, height))
    still = timed(work, options.rounds)
    moving = detection(options.video, load_detector("mediapipe"), options.rounds)
    ours = still["composite"].median
    print(
        f"{options.size}, a face of {options.face} px, {options.region}; faces of {options.video}"
    )
    print(f"{'':22s}{'median':>9s}{'p95':>9s}{'CPU':>9s}  ms    relative to ours")
    for name, one in {**still, **moving}.items():
        ratio = f"{one.median / ours:12.1f}" if name.startswith(" ") else ""
        print(f"{name:22s}{one.median:9.2f}{one.p95:9.2f}{one.cpu:9.2f}  {ratio}")


if __name__ == "__main__":
    main()
