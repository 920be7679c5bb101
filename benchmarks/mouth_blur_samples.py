"""Mouths as filmed and made blurry, encoded at several qualities and sizes, and their edge figures.

python -m benchmarks.mouth_blur_samples OUT.json VIDEO[=PERSON] ... FOLDER ...

VIDEO=PERSON: videos of one person get one name, so that none is judged by what was fitted to the
same person; without it each video is a person of its own. For benchmarks.mouth_blur_fit.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np

from benchmarks.degradations import (
    EYE_DISTANCE,
    Degradation,
    blurred,
    encoded,
    generator_like,
    shrunk,
)
from latentsync.commands.quiet import quiet_libraries
from latentsync.face.detector import DetectedFace, FaceTracker, load_detector
from latentsync.face.landmarks import CONTROL, FIVE, MOUTH
from latentsync.face.masks import region_mask
from latentsync.face.tracks import is_cut, thumbnail
from latentsync.geometry import (
    ALIGNED_HEIGHT,
    ALIGNED_WIDTH,
    TEMPLATE,
    frame_scale,
    similarity,
)
from latentsync.media.probe import probe
from latentsync.media.reader import VideoReader
from latentsync.restoration.edge_blur import FacePlace, edge_figures
from latentsync.restoration.mouth_blur import FINE

SEGMENTS, FRAMES, EVERY = 2, 12, 3
"""Of each video: parts, frames in a row of each, and every how many one is measured."""
CRFS = {1.0: (8, 18, 28), 0.7: (8, 18, 28), 0.5: (18,)}
"""By size of the finished frame, how it is encoded."""
FIRST_CRF = 23
"""At which a video is encoded first, where it is encoded twice."""
_MARGIN = 0.35  # of the aligned crop's height, around it
_MOST_DECODED = 420  # frames of a video from which the parts are taken
_CUT = 0.3  # see face.cut_threshold
_LENS = 0.8  # sigma, pixels, of a soft lens


@dataclass(frozen=True, slots=True)
class Kind:
    """What is done to a mouth. area: where; "frame": everywhere, as a soft lens does. lost: whether
    the mouth has lost something against its face. small_first: at the final size."""

    name: str
    area: str = "mouth"
    lost: bool = True
    small_first: bool = False
    twice: bool = False


KINDS = (
    Kind("filmed", lost=False),
    Kind("filmed", lost=False, twice=True),
    Kind("soft lens", "frame", lost=False),
    Kind("3x"),
    Kind("3x", small_first=True),
    Kind("3x", twice=True),
    Kind("Gaussian 1.0"),
    Kind("Gaussian 1.5"),
    Kind("Gaussian 1.5", "lower_face", small_first=True),
    Kind("Gaussian 2.5", "lower_face"),
    Kind("VAE 256"),
    Kind("VAE 256", twice=True),
)


@dataclass(frozen=True, slots=True)
class Sample:
    """figures: (K, len(FIGURES)), of some frames. scale: frame pixels per aligned pixel. left:
    median share of the mouth's fine energy that is left."""

    video: str
    person: str
    segment: int
    name: str
    area: str
    lost: bool
    small_first: bool
    twice: bool
    crf: int
    size: float
    scale: float
    figures: list[list[float]]
    left: float


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Some frames in a row, cut out around the face. places: of the face in each, or None."""

    pixels: list[np.ndarray]
    places: list[FacePlace | None]

    @property
    def scale(self) -> float:
        return float(np.median([frame_scale(p.matrix) for p in self.places if p is not None]))


def samples(path: Path, person: str, detector: FaceTracker) -> Iterator[Sample]:
    """All that is made of one video."""
    for number, part in enumerate(parts(path, detector)):
        for kind, size in itertools.product(KINDS, CRFS):
            if size == 1.0 and kind.small_first:
                continue
            made = degraded(part, kind, size)
            once = encoded(made.pixels, FIRST_CRF) if kind.twice else made.pixels
            clean = _resized(part, size)
            for crf in CRFS[size]:
                finished = Part(encoded(once, crf), made.places)
                yield Sample(
                    video=path.stem,
                    person=person,
                    segment=number,
                    **asdict(kind),
                    crf=crf,
                    size=size,
                    scale=made.scale,
                    figures=_figures(finished.pixels, finished.places),
                    left=float(np.median(_fine_energies(finished) / _fine_energies(clean))),
                )


def parts(path: Path, detector: FaceTracker) -> Iterator[Part]:
    """The video's parts that show a face and no cut."""
    count = min(probe(path).frame_count or _MOST_DECODED, _MOST_DECODED)
    for start in np.linspace(0, max(count - FRAMES, 0), SEGMENTS + 2)[1:-1].astype(int).tolist():
        reader = VideoReader(path, start=start, stop=start + FRAMES)
        pixels = [frame.pixels for frame in reader]
        small = [thumbnail(one) for one in pixels]
        if any(is_cut(a, b, _CUT) for a, b in itertools.pairwise(small)):
            continue
        detector.reset()
        places = [_place(detector(one)) for one in pixels]
        if any(place is not None for place in places):
            yield _cut_out(Part(pixels, places))


def _place(faces: Sequence[DetectedFace]) -> FacePlace | None:
    """Of the largest face."""
    if not faces:
        return None
    landmarks = faces[0].landmarks
    matrix = similarity(landmarks[CONTROL], TEMPLATE)
    return FacePlace(matrix, landmarks[FIVE][:2], landmarks[MOUTH])


def _cut_out(part: Part) -> Part:
    """The face and some of what is around it, of even size."""
    places = [place for place in part.places if place is not None]
    height, width = part.pixels[0].shape[:2]
    corners = np.array([[0, 0, 1], [ALIGNED_WIDTH, 0, 1], [0, ALIGNED_HEIGHT, 1]], np.float64)
    corners = np.vstack([corners, [ALIGNED_WIDTH, ALIGNED_HEIGHT, 1]])
    found = np.concatenate([corners @ cv2.invertAffineTransform(p.matrix).T for p in places])
    margin = _MARGIN * ALIGNED_HEIGHT * part.scale
    low = np.clip(found.min(axis=0) - margin, 0, [width, height]).astype(int) // 2 * 2
    high = np.clip(found.max(axis=0) + margin, 0, [width, height]).astype(int) // 2 * 2
    shift = np.array([[1, 0, -low[0]], [0, 1, -low[1]]], np.float64)
    pixels = [one[low[1] : high[1], low[0] : high[0]] for one in part.pixels]
    return Part(pixels, [_moved(place, shift) for place in part.places])


def _moved(place: FacePlace | None, matrix: np.ndarray) -> FacePlace | None:
    """The face where it lies after the frame's pixels moved so. matrix: (2, 3)."""
    if place is None:
        return None
    back = np.vstack([cv2.invertAffineTransform(matrix), [0, 0, 1]])
    eyes, mouth = (points @ matrix[:, :2].T + matrix[:, 2] for points in (place.eyes, place.mouth))
    return FacePlace(place.matrix @ back, eyes, mouth)


def degraded(part: Part, kind: Kind, size: float) -> Part:
    """The part as the kind says, at that size."""
    if kind.small_first:
        part = _resized(part, size)
    operation = _operation(kind.name, part.scale)
    pixels = [
        one if place is None else _mixed(one, operation, _area(kind.area, one, place))
        for one, place in zip(part.pixels, part.places, strict=True)
    ]
    made = Part(pixels, part.places)
    return made if kind.small_first else _resized(made, size)


def _operation(name: str, scale: float) -> Degradation:
    if name == "filmed":
        return lambda pixels, _: pixels
    if name == "3x":
        return shrunk(3)
    if name == "VAE 256":
        return generator_like(scale)
    return blurred(_LENS if name == "soft lens" else float(name.split()[1]))


def _area(area: str, pixels: np.ndarray, place: FacePlace) -> np.ndarray:
    """(H, W) float32, soft."""
    if area == "frame":
        return np.ones(pixels.shape[:2], np.float32)
    if area == "mouth":
        size = EYE_DISTANCE * float(frame_scale(place.matrix))
        mask = np.zeros(pixels.shape[:2], np.float32)
        center = tuple(int(value) for value in place.mouth.mean(axis=0))
        cv2.ellipse(mask, center, (int(0.62 * size), int(0.5 * size)), 0, 0, 360, 1.0, -1)
        return cv2.GaussianBlur(mask, (0, 0), 0.05 * size)
    shape = pixels.shape[1::-1]
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(region_mask(area), place.matrix, shape, flags=flags)


def _mixed(pixels: np.ndarray, operation: Degradation, mask: np.ndarray) -> np.ndarray:
    share = mask[..., None]
    mixed = pixels * (1 - share) + operation(pixels, 0) * share
    return np.rint(mixed).clip(0, 255).astype(np.uint8)


def _resized(part: Part, size: float) -> Part:
    if size == 1.0:
        return part
    height, width = part.pixels[0].shape[:2]
    goal = round(width * size / 2) * 2, round(height * size / 2) * 2
    across, down = goal[0] / width, goal[1] / height
    matrix = np.array([[across, 0, (across - 1) / 2], [0, down, (down - 1) / 2]])
    pixels = [cv2.resize(one, goal, interpolation=cv2.INTER_AREA) for one in part.pixels]
    return Part(pixels, [_moved(place, matrix) for place in part.places])


def _figures(frames: Sequence[np.ndarray], places: Sequence[FacePlace | None]) -> list[list[float]]:
    return [
        edge_figures(pixels, place).astype(float).round(5).tolist()
        for pixels, place in list(zip(frames, places, strict=True))[::EVERY]
        if place is not None
    ]


def _fine_energies(part: Part) -> np.ndarray:
    """(K,) of the mouths in some frames: what a Gaussian of FINE takes away of the luma."""
    energies = []
    for pixels, place in list(zip(part.pixels, part.places, strict=True))[::EVERY]:
        if place is None:
            continue
        half = EYE_DISTANCE * float(frame_scale(place.matrix)) * np.array([0.45, 0.3])
        center = place.mouth.mean(axis=0)
        low, high = (np.maximum(center + sign * half, 0).astype(int) for sign in (-1, 1))
        luma = cv2.cvtColor(pixels[low[1] : high[1], low[0] : high[0]], cv2.COLOR_RGB2GRAY)
        fine = luma - cv2.GaussianBlur(luma.astype(np.float32), (0, 0), FINE)
        energies.append(float(np.mean(np.square(fine))))
    return np.array(energies)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("target", type=Path)
    parser.add_argument("videos", nargs="+", metavar="VIDEO[=PERSON]|FOLDER")
    args = parser.parse_args(arguments)
    detector = load_detector("mediapipe")
    made: list[dict] = []
    for path, person in itertools.chain.from_iterable(_videos(text) for text in args.videos):
        made += [asdict(sample) for sample in samples(path, person, detector)]
        args.target.write_text(json.dumps(made), "utf-8")
        print(f"{path.name}: {len(made)} samples so far", flush=True)


def _videos(text: str) -> list[tuple[Path, str]]:
    """Each with its person."""
    name, _, person = text.partition("=")
    path = Path(name)
    if path.is_dir():
        return [(one, one.stem) for one in sorted(path.glob("*.mp4"))]
    return [(path, person or path.stem)]


if __name__ == "__main__":
    with quiet_libraries():
        cv2.setNumThreads(1)
        main()
