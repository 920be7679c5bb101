"""Occluders: how much of what is in front of a mouth is left alone, and of a free mouth given up.

    python -m benchmarks.occlusion PLACE [PLACE ...] [--no-hands] [--every 3] [--most 300]

PLACE: a video, or a folder of videos. Beside NAME.mp4 may lie NAME_mask.mkv, grey, of the same size
and frames: the true opacity of the occluder x 255. Each patch is made of colours that no video has,
in the mask of its region, is cut as in pass 2 and laid over the frame; nothing is encoded.

`kept`: the share of the occluder's pixels inside the patch's mask that are bit-equal to the video.
`given up`: of the mouth's pixels that nothing covers, weighted by the mask, the share that the
occluders' masks take. `beside`: what the face's outline takes of it, background included. `ms`: of
the watch, for each frame and face, on one thread, and of the decision, for each frame.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import torch

from latentsync.commands.quiet import quiet_libraries
from latentsync.face.align import align_video
from latentsync.face.composite import composite
from latentsync.face.detector import DetectedFace, load_detector
from latentsync.face.identity import Appearance
from latentsync.face.masks import region_mask
from latentsync.face.occlusion.find import find_occluders
from latentsync.face.occlusion.near_hands import NearHands
from latentsync.face.occlusion.observation import Observation
from latentsync.face.occlusion.occluders import Occluders
from latentsync.face.occlusion.outline import face_mask, with_steady_outlines
from latentsync.face.occlusion.watch import OcclusionWatch
from latentsync.face.people import people_of
from latentsync.face.portraits import PortraitCollector
from latentsync.face.speaker import chosen_faces
from latentsync.face.tracks import is_cut, link_faces, thumbnail
from latentsync.media.reader import VideoReader
from latentsync.pipeline.stages.occlude import cut_patches
from latentsync.settings.schema import FaceConfig
from latentsync.types import Alignment, Frame, Patch, PatchedFrame

REGIONS = ("mouth", "lower_face")
COVERED, FREE = 128, 20
"""Opacities [of 255] from which on a pixel is the occluder's, and below which it is free."""
VIDEOS = (".mp4", ".mov", ".mkv", ".webm")


@dataclass(slots=True, eq=False)
class Share:
    part: float = 0.0
    whole: float = 0.0

    def add(self, part: float, whole: float) -> None:
        self.part += part
        self.whole += whole

    def __str__(self) -> str:
        return f"{100 * self.part / self.whole:6.2f} %" if self.whole else "      - "


@dataclass(slots=True, eq=False)
class Pass1:
    """alignments, outlines and occluders: of each frame. watch_ms, decide_ms: see above."""

    alignments: Sequence[Alignment | None]
    outlines: Sequence[np.ndarray | None]
    occluders: Occluders
    watch_ms: float
    decide_ms: float


@dataclass(slots=True, eq=False)
class Shares:
    kept: Share = field(default_factory=Share)
    given: Share = field(default_factory=Share)
    beside: Share = field(default_factory=Share)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("places", nargs="+", type=Path)
    parser.add_argument("--no-hands", action="store_true")
    parser.add_argument("--every", type=int, default=3, help="of so many frames one is rendered")
    parser.add_argument("--most", type=int, default=300, help="frames of each video")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    header = " ".join(f"{r + ':':>11} kept   given up    beside" for r in REGIONS)
    print(f"{'':28}{header}   masks       ms")
    for path in videos(arguments.places):
        with quiet_libraries():
            seen = pass_1(path, hands=not arguments.no_hands, most=arguments.most)
            shares = pass_2(path, seen, every=arguments.every, most=arguments.most)
        figures = " ".join(
            f"{one.kept!s:>16} {one.given!s:>10} {one.beside!s:>9}" for one in shares.values()
        )
        masks = f"{len(seen.occluders):4d} of {len(seen.alignments)}"
        print(
            f"{path.stem:28}{figures} {masks} {seen.watch_ms:5.1f} {seen.decide_ms:4.1f}",
            flush=True,
        )


def videos(places: Sequence[Path]) -> Iterator[Path]:
    for place in places:
        some = sorted(place.iterdir()) if place.is_dir() else [place]
        yield from (p for p in some if p.suffix in VIDEOS and not p.stem.endswith("_mask"))


def pass_1(path: Path, *, hands: bool, most: int) -> Pass1:
    config = FaceConfig()
    detector, watch = load_detector("mediapipe"), OcclusionWatch(NearHands() if hands else None)
    faces: list[list[DetectedFace]] = []
    seconds: list[float] = []
    cuts: list[bool] = []
    of_face: dict[int, Observation] = {}
    portraits = PortraitCollector()
    last: np.ndarray | None = None
    busy = 0.0
    for frame in islice(VideoReader(path), most):
        small = thumbnail(frame.pixels)
        cut = last is not None and is_cut(last, small, config.cut_threshold)
        last = small
        if cut:
            detector.reset()
        found = detector(frame.pixels)
        begin = time.process_time()
        made = watch.watch(frame.pixels, found, frame.pts_seconds, cut)
        busy += time.process_time() - begin
        of_face |= {id(face): one for face, one in zip(found, made, strict=True)}
        faces.append(found)
        portraits.add(frame.pixels, found, frame.pts_seconds, cut=cut)
        cuts.append(cut)
        seconds.append(frame.pts_seconds)
    begin = time.process_time()
    watch.finish()
    busy += time.process_time() - begin
    tracks = link_faces(faces, cuts, seconds=seconds, max_gap_seconds=config.max_gap_seconds)
    times = np.array(seconds)
    people = people_of(tracks, portraits.by_track(tracks), times, Appearance())
    chosen = chosen_faces(max(people, key=lambda one: one.area), len(faces))
    alignments = with_steady_outlines(
        align_video(chosen, seconds=times, smoothing_seconds=config.smoothing_seconds), times
    )
    observed = [None if one is None else of_face.get(id(one.face)) for one in chosen]
    begin = time.process_time()
    occluders = find_occluders(observed, alignments, times)
    decided = time.process_time() - begin
    each = 1000 / len(faces)
    outlines = [None if one is None else one.outline for one in alignments]
    return Pass1(alignments, outlines, occluders, busy * each, decided * each)


def pass_2(path: Path, seen: Pass1, *, every: int, most: int) -> dict[str, Shares]:
    truth = path.with_name(f"{path.stem}_mask.mkv")
    masks = iter(VideoReader(truth)) if truth.exists() else None
    shares = {region: Shares() for region in REGIONS}
    for i, frame in enumerate(islice(VideoReader(path), most)):
        mask = None if masks is None else next(masks).pixels[..., 0]
        alignment = seen.alignments[i]
        if i % every or alignment is None:
            continue
        opacity = np.zeros(frame.pixels.shape[:2], np.uint8) if mask is None else mask
        for region, one in shares.items():
            patched = _patched(frame, alignment.matrix, region)
            _measure(one, patched, alignment.matrix, opacity, seen, i)
    return shares


def _patched(frame: Frame, matrix: np.ndarray, region: str) -> PatchedFrame:
    """A patch that differs from the frame everywhere: its colours turned over."""
    height, width = region_mask(region).shape
    new = cv2.warpAffine(frame.pixels, matrix, (width, height), flags=cv2.INTER_LINEAR)
    other = np.where(new > 127, new - 100, new + 100).astype(np.float32).transpose(2, 0, 1)
    patch = Patch(torch.from_numpy(other / 127.5 - 1), matrix, region_mask(region))
    return PatchedFrame(frame.index, frame, (patch,))


def _measure(
    shares: Shares,
    patched: PatchedFrame,
    matrix: np.ndarray,
    opacity: np.ndarray,
    seen: Pass1,
    index: int,
) -> None:
    frame = patched.frame
    none = np.zeros((140, 105), np.float32)
    occluder, outline = seen.occluders.mask_of(index), seen.outlines[index]
    occluder = none if occluder is None else occluder
    beside = none if outline is None else 1 - face_mask(outline, matrix)
    plain = composite(frame, patched.patches) != frame.pixels
    cut = composite(frame, cut_patches(patched, np.maximum(occluder, beside), matrix).patches)
    shown, left = plain.any(axis=2), (cut == frame.pixels).all(axis=2)
    covered = shown & (opacity >= COVERED)
    shares.kept.add(float(np.sum(covered & left)), float(np.sum(covered)))
    free = opacity < FREE
    before = _weight(patched, free)
    inside = _weight(cut_patches(patched, beside, matrix), free)
    shares.beside.add(before - inside, before)
    both = _weight(cut_patches(patched, np.maximum(occluder, beside), matrix), free)
    shares.given.add(inside - both, inside)


def _weight(patched: PatchedFrame, free: np.ndarray) -> float:
    """The sum of the patch's mask over the frame's free pixels."""
    patch = patched.patches[0]
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    there = cv2.warpAffine(patch.mask, patch.matrix, free.shape[::-1], flags=flags)
    return float(there[free].sum())


if __name__ == "__main__":
    main()
