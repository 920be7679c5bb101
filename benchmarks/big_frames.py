"""CPU time and peak memory of the command on large frames that a large face fills.

    python -m benchmarks.big_frames [--video FILE] [--size 2160x2160] [--face 1500] [key=value ...]

The face of the first frame is enlarged to --face pixels, and the first frames are written with
others of that size. The real command runs on so many frames and on twice as many: the difference is
what a frame takes, without start-up, and the memory should hardly rise. CPU time is that of all
threads: on a machine that does nothing else, two cores render 2 / time frames a second.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import av
import cv2
import numpy as np
from av.video.frame import VideoFrame

from benchmarks.memory import usage_of
from latentsync.face.detector import load_detector
from latentsync.media.reader import VideoReader

DEMO = Path("assets/demo_speaker.mp4")
WIDEST_FACE = 0.95  # of the frame


def enlarged(video: Path, count: int, size: tuple[int, int], face: int) -> Iterator[np.ndarray]:
    """(H, W, 3) uint8 RGB: the first frames, to and fro, with a face of that width in the middle.

    size: (width, height). Raises ValueError where the first frame shows no face.
    """
    frames = [frame.pixels for frame in islice(VideoReader(video), count)]
    faces = load_detector("mediapipe")(frames[0])
    if not faces:
        raise ValueError(f"no face in the first frame of {video}")
    x, y = faces[0].center
    scale = face / float(faces[0].box[2] - faces[0].box[0])
    matrix = np.array([[scale, 0, size[0] / 2 - scale * x], [0, scale, size[1] / 2 - scale * y]])
    order = [*range(len(frames)), *range(len(frames) - 2, 0, -1)]
    for index in range(count):
        pixels = frames[order[index % len(order)]]
        border = cv2.BORDER_REPLICATE
        made = cv2.warpAffine(pixels, matrix, size, flags=cv2.INTER_CUBIC, borderMode=border)
        yield np.asarray(made, np.uint8)


def write(target: Path, frames: Iterator[np.ndarray], size: tuple[int, int], rate: int) -> None:
    """A fast encode of little loss. size: (width, height)."""
    with av.open(f"file:{target}", "w") as output:
        stream = output.add_stream("libx264", rate=rate)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": "14", "preset": "ultrafast"}
        for pixels in frames:
            output.mux(stream.encode(VideoFrame.from_ndarray(pixels, format="rgb24")))
        output.mux(stream.encode())


def measured(video: Path, target: Path, overrides: list[str]) -> tuple[float, float]:
    """CPU seconds and peak memory [MB] of one run."""
    usage = usage_of(video, target, overrides)
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def main() -> None:
    """Prints one line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--video", metavar="FILE", type=Path, default=DEMO)
    parser.add_argument("--size", default="2160x2160", help="of the frames")
    parser.add_argument("--face", type=int, default=1500, help="pixels of the face's width")
    parser.add_argument("--rate", type=int, default=25, help="frames a second")
    parser.add_argument("--frames", type=int, default=24, help="of the shorter run")
    options, overrides = parser.parse_known_args()
    width, height = (int(side) for side in options.size.split("x"))
    face = min(options.face, round(WIDEST_FACE * width))
    runs = []
    with TemporaryDirectory() as folder:
        for count in (options.frames, 2 * options.frames):
            large = Path(folder) / f"{count}.mp4"
            pixels = enlarged(options.video, count, (width, height), face)
            write(large, pixels, (width, height), options.rate)
            runs.append(measured(large, Path(folder) / "out.mp4", overrides))
    (short, least), (long, most) = runs
    print(
        f"{options.size}, {options.rate} a second, a face of {face} px: "
        f"{1e3 * (long - short) / options.frames:.0f} ms of CPU time a frame; "
        f"peak {least:.0f} MB, of twice as many frames {most:.0f} MB ({most / least - 1:+.1%})"
    )


if __name__ == "__main__":
    main()
