"""CPU time of face detection per frame, and of its parts: a whole video, in one thread.

    python -m benchmarks.face_detection [VIDEO] [--frames 100] [--faces 4]

Where the mediapipe package is installed, its face mesh takes turns with ours on the same frames;
it is a single look a frame, without the further looks that ours takes after a movement.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import itertools
import time
from collections.abc import Callable

import cv2
import numpy as np

from benchmarks.frame_work import DEMO
from latentsync.commands.quiet import quiet_libraries
from latentsync.face.detector import load_detector
from latentsync.face.models.finder import FAR_FACES, NEAR_FACES, Finder
from latentsync.face.models.hands import Hands
from latentsync.face.models.mesh import FaceMesh, region_of_face
from latentsync.face.models.regions import around
from latentsync.media.reader import VideoReader
from latentsync.weights.find import find
from latentsync.weights.manifest import FACE_FINDER, FACE_MESH, SMALL_FACE_FINDER

FLOOR = 0.5


def work(pixels: np.ndarray, faces: int) -> dict[str, Callable[[np.ndarray], object]]:
    """What is timed, by name. pixels: (H, W, 3) uint8 RGB, the first frame, with a face."""
    near = Finder(find(FACE_FINDER), NEAR_FACES)
    far = Finder(find(SMALL_FACE_FINDER), FAR_FACES)
    mesh = FaceMesh(find(FACE_MESH))
    tasks: dict[str, Callable[[np.ndarray], object]] = {
        "faces of a frame": load_detector("mediapipe", max_faces=faces),
        "  finder, near": lambda frame: near(frame, around(frame), FLOOR),
        "  finder, far": lambda frame: far(frame, around(frame), FLOOR),
        "hands of a frame": Hands(),
    }
    found = near(pixels, around(pixels), FLOOR) or far(pixels, around(pixels), FLOOR)
    if found:
        region = region_of_face(found[0].place.box, found[0].points)
        tasks["  one look"] = lambda frame: mesh(frame, region)
    if importlib.util.find_spec("mediapipe") is not None:
        solutions = importlib.import_module("mediapipe").solutions
        refined = solutions.face_mesh.FaceMesh(max_num_faces=faces, refine_landmarks=True)
        tasks["mediapipe's mesh"] = refined.process
    return tasks


def timed(
    frames: list[np.ndarray], tasks: dict[str, Callable[[np.ndarray], object]]
) -> dict[str, list[float]]:
    """Milliseconds of CPU time, of all threads, for each frame but the first; all in turns."""
    taken: dict[str, list[float]] = {name: [] for name in tasks}
    for frame in frames:
        for name, act in tasks.items():
            began = time.process_time()
            act(frame)
            taken[name].append(1e3 * (time.process_time() - began))
    return {name: values[1:] for name, values in taken.items()}


def main() -> None:
    """Prints one table."""
    parser = argparse.ArgumentParser(description="Time of face detection per frame.")
    parser.add_argument("video", nargs="?", default=DEMO)
    parser.add_argument("--frames", type=int, default=100)
    parser.add_argument("--faces", type=int, default=4, help="face.max_faces")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    read = itertools.islice(VideoReader(options.video), options.frames + 1)
    frames = [frame.pixels for frame in read]
    taken = timed(frames, work(frames[0], options.faces))
    height, width = frames[0].shape[:2]
    print(f"{options.video}: {width}x{height}, {len(frames) - 1} frames")
    print(f"{'':22s}{'mean':>9s}{'median':>9s}{'p95':>9s}{'least':>9s}  ms CPU")
    for name, values in taken.items():
        row = np.mean(values), np.median(values), np.quantile(values, 0.95), min(values)
        print(f"{name:22s}" + "".join(f"{value:9.2f}" for value in row))


if __name__ == "__main__":
    with quiet_libraries():
        main()
