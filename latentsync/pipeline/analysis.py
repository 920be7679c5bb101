"""Pass 1: reads the whole video once and keeps about 1 kB a frame.

Decisions that need future frames (smoothing, gate, the restorer's settings) are then made on whole
tracks, so that pass 2 can stream.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from latentsync.errors import FaceNotFoundError
from latentsync.face.align import align_video
from latentsync.face.detector import DetectedFace, FaceTracker
from latentsync.face.landmarks import CONTROL, FIVE, MOUTH
from latentsync.face.tracks import ChosenFace, Track, choose_track, is_cut, link_faces, thumbnail
from latentsync.frame_times import PTS_ROUNDING
from latentsync.geometry import TEMPLATE, similarity
from latentsync.pipeline.concurrency import linked
from latentsync.pipeline.stage_timer import Stage, StageTimer
from latentsync.restoration.edge_blur import FIGURES, FacePlace, edge_figures
from latentsync.restoration.sharpness import BANDS, SharpnessMeter
from latentsync.settings.schema import FaceConfig
from latentsync.types import Alignment, Frame

DECODED_AHEAD, DETECTED_AHEAD = 4, 2  # frames queued for detection, and for the sharpness meter
EDGES_EVERY = 0.12
"""Seconds from one frame whose edges are measured to the next: every third one at 25 a second."""


@dataclass(frozen=True, slots=True, eq=False)
class SourceAnalysis:
    """The result of pass 1 for a video of F frames: about 1 kB a frame.

    pts: (F,) int64 ticks. pts_seconds: (F,) float64. cuts: (F,) bool, True where a new shot begins.
    alignments: F entries; None where there is no usable face.
    energies: (F, 2, BANDS) float32 band energies [mouth, rest of the face]; NaN where not measured.
    people: (F,) int, the number of faces detected in each frame.
    edges: (F, len(FIGURES)) float32, see restoration.edge_blur; NaN where not measured, which is
        most frames: a few a second are enough.
    """

    pts: np.ndarray
    pts_seconds: np.ndarray
    cuts: np.ndarray
    alignments: list[Alignment | None]
    energies: np.ndarray
    people: np.ndarray
    edges: np.ndarray

    @property
    def tracks(self) -> np.ndarray:
        """(F,) int: track of each frame's face, -1 without one."""
        return np.array([-1 if a is None else a.track for a in self.alignments], np.int64)

    @property
    def matrices(self) -> np.ndarray:
        """(F, 2, 3) float32, frame -> aligned crop; nan without a face."""
        nothing = np.full((2, 3), np.nan, np.float32)
        return np.stack([nothing if a is None else a.matrix for a in self.alignments])

    def frames_by_track(self) -> dict[int, np.ndarray]:
        """Track number -> indices of its frames, rising."""
        tracks = self.tracks
        return {int(n): np.flatnonzero(tracks == n) for n in np.unique(tracks[tracks >= 0])}

    def __len__(self) -> int:
        return len(self.alignments)


def analyze_source(
    frames: Iterable[Frame],
    detector: FaceTracker,
    meter: SharpnessMeter,
    config: FaceConfig,
    *,
    timer: StageTimer,
    on_frame: Callable[[], None],
    largest_in_each: bool = False,
) -> SourceAnalysis:
    """Reads all frames. on_frame: called after each. largest_in_each: selects the largest face of
    each frame, as LatentSync does; else one identity for each shot, gaps filled.

    Raises FaceNotFoundError when no frame holds a usable face.
    """
    kept = _Observations()
    detected = _detected(frames, detector, config.cut_threshold, timer)
    for seen in linked(detected, Stage.DETECT, Stage.MEASURE, DETECTED_AHEAD, timer=timer):
        with timer.stage(Stage.MEASURE, frames=1):
            kept.add(seen, meter)
        on_frame()
    with timer.stage(Stage.ALIGN, frames=len(kept)):
        return kept.analysis(config, largest_in_each=largest_in_each)


@dataclass(frozen=True, slots=True, eq=False)
class Analyzer:
    """Runs pass 1 on the videos of one session, one after the other.

    as_upstream: selects the largest face of each frame.
    """

    detector: FaceTracker
    meter: SharpnessMeter
    config: FaceConfig
    timer: StageTimer
    as_upstream: bool

    def __call__(
        self, source: Iterable[Frame], on_frame: Callable[[], None] = lambda: None
    ) -> SourceAnalysis:
        """See analyze_source."""
        frames = self.timer.timed(Stage.DECODE, source)
        return analyze_source(
            linked(frames, Stage.DECODE, Stage.DETECT, DECODED_AHEAD, timer=self.timer),
            self.detector,
            self.meter,
            self.config,
            timer=self.timer,
            on_frame=on_frame,
            largest_in_each=self.as_upstream,
        )


@dataclass(frozen=True, slots=True, eq=False)
class _DetectedFrame:
    """A frame and its detected faces. cut: whether a new shot begins with it."""

    frame: Frame
    cut: bool
    faces: list[DetectedFace]


def _detected(
    frames: Iterable[Frame], detector: FaceTracker, cut_threshold: float, timer: StageTimer
) -> Iterator[_DetectedFrame]:
    detector.reset()
    last: np.ndarray | None = None
    for frame in frames:
        with timer.stage(Stage.DETECT):
            small = thumbnail(frame.pixels)
            cut = last is not None and is_cut(last, small, cut_threshold)
            last = small
            if cut:
                detector.reset()
            seen = _DetectedFrame(frame, cut, detector(frame.pixels))
        yield seen


class _Observations:
    """Detections and sharpness of all frames, before tracks are linked and a face is selected."""

    def __init__(self) -> None:
        self.pts: list[int] = []
        self.pts_seconds: list[float] = []
        self.cuts: list[bool] = []
        self.faces: list[list[DetectedFace]] = []
        self.energies: list[list[np.ndarray]] = []
        self.edges: list[list[np.ndarray]] = []
        self._edges_due = -np.inf

    def __len__(self) -> int:
        return len(self.faces)

    def add(self, seen: _DetectedFrame, meter: SharpnessMeter) -> None:
        frame = seen.frame
        self.pts.append(frame.pts)
        self.pts_seconds.append(frame.pts_seconds)
        self.cuts.append(seen.cut)
        self.faces.append(seen.faces)
        self.energies.append([_measure(frame.pixels, face, meter) for face in seen.faces])
        self.edges.append(self._edges(seen))

    def _edges(self, seen: _DetectedFrame) -> list[np.ndarray]:
        """Of each face; unknown where no measurement is due."""
        now = seen.frame.pts_seconds
        if not seen.cut and now < self._edges_due - PTS_ROUNDING:
            return [np.full(len(FIGURES), np.nan, np.float32)] * len(seen.faces)
        if seen.faces:
            self._edges_due = now + EDGES_EVERY
        return [edge_figures(seen.frame.pixels, place_of(face.landmarks)) for face in seen.faces]

    def analysis(self, config: FaceConfig, *, largest_in_each: bool) -> SourceAnalysis:
        tracks = link_faces(
            self.faces,
            self.cuts,
            seconds=self.pts_seconds,
            max_gap_seconds=config.max_gap_seconds,
        )
        chosen = (
            self._largest(tracks)
            if largest_in_each
            else choose_track(tracks, len(self.faces), select=config.select)
        )
        if not tracks:
            raise FaceNotFoundError(
                "no face found",
                f"in any of {len(self.faces)} frames",
                "there is no mouth to restore; a lower face.min_confidence detects fainter faces",
            )
        alignments = align_video(
            chosen,
            seconds=self.pts_seconds,
            smoothing_seconds=config.smoothing_seconds,
        )
        energies = np.full((len(chosen), 2, BANDS), np.nan, np.float32)
        edges = np.full((len(chosen), len(FIGURES)), np.nan, np.float32)
        for index, one in enumerate(chosen):
            measured = zip(self.faces[index], self.energies[index], self.edges[index], strict=True)
            for face, energy, edge in measured:
                if one is not None and one.face is face:  # an interpolated face was not measured
                    energies[index], edges[index] = energy, edge
        return SourceAnalysis(
            np.array(self.pts, np.int64),
            np.array(self.pts_seconds),
            np.array(self.cuts),
            alignments,
            energies,
            np.array([len(faces) for faces in self.faces], np.int64),
            edges,
        )

    def _largest(self, tracks: Sequence[Track]) -> list[ChosenFace | None]:
        number = {id(face): track.id for track in tracks for face in track.faces}
        return [
            ChosenFace(faces[0], number[id(faces[0])]) if faces else None for faces in self.faces
        ]


def _measure(pixels: np.ndarray, face: DetectedFace, meter: SharpnessMeter) -> np.ndarray:
    return meter(pixels, similarity(face.landmarks[CONTROL], TEMPLATE))


def place_of(landmarks: np.ndarray, matrix: np.ndarray | None = None) -> FacePlace:
    """landmarks: (len(LANDMARKS), 2) frame pixels. matrix: (2, 3), frame -> aligned crop; None: the
    one that these landmarks give."""
    if matrix is None:
        matrix = similarity(landmarks[CONTROL], TEMPLATE)
    return FacePlace(matrix, landmarks[FIVE][:2], landmarks[MOUTH])
