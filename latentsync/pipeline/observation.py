"""Pass 1: reads the whole video once and keeps about 1 kB of each face in each frame."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from latentsync.errors import FaceNotFoundError
from latentsync.face.align import align_video
from latentsync.face.detector import DetectedFace, FaceTracker
from latentsync.face.landmarks import CONTROL
from latentsync.face.occlusion.find import find_occluders
from latentsync.face.occlusion.observation import Observation
from latentsync.face.occlusion.outline import with_steady_outlines
from latentsync.face.occlusion.watch import OcclusionWatch
from latentsync.face.people import Person
from latentsync.face.portraits import PortraitCollector
from latentsync.face.speaker import chosen_faces
from latentsync.face.tracks import ChosenFace, Track, is_cut, link_faces, thumbnail
from latentsync.frame_times import PTS_ROUNDING
from latentsync.geometry import TEMPLATE, frame_scale, similarity
from latentsync.media.seeking import checksum
from latentsync.pipeline.analysis import Alignments, SourceAnalysis, place_of
from latentsync.pipeline.concurrency import linked
from latentsync.pipeline.planning.decide import fill_gaps
from latentsync.pipeline.stage_timer import Stage, StageTimer
from latentsync.restoration.edge_blur import FIGURES, edge_figures
from latentsync.restoration.sharpness import BANDS, LARGE, SharpnessMeter
from latentsync.settings.schema import FaceConfig
from latentsync.tone import sdr
from latentsync.types import Frame

DECODED_AHEAD, DETECTED_AHEAD = 4, 2  # frames queued for detection, and for the sharpness meter
EDGES_EVERY = 0.12
"""Seconds from one frame whose edges are measured to the next: every third one at 25 a second."""


_UNMEASURED = np.full(len(FIGURES), np.nan, np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class ObservedFace:
    """One face in one frame.

    energies: (2, BANDS) float32 [mouth, rest of the face]; None: not measured, as in most frames of
    a large face. edges: (len(FIGURES),) float32, see restoration.edge_blur; NaN where not measured,
    which is most frames. near: what may be in front of the face; None: nothing was watched for.
    """

    face: DetectedFace
    energies: np.ndarray | None
    edges: np.ndarray
    near: Observation | None


@dataclass(frozen=True, eq=False)
class VideoAnalysis:
    """The result of pass 1 for a video of F frames, all faces.

    pts, pts_seconds, cuts, sums: see SourceAnalysis. faces: of each frame, largest first.
    """

    pts: np.ndarray
    pts_seconds: np.ndarray
    cuts: np.ndarray
    faces: Sequence[Sequence[ObservedFace]]
    portraits: PortraitCollector
    config: FaceConfig
    sums: np.ndarray | None = None

    @cached_property
    def tracks(self) -> list[Track]:
        """By first frame."""
        return link_faces(
            [[one.face for one in faces] for faces in self.faces],
            self.cuts.tolist(),
            seconds=self.pts_seconds,
            max_gap_seconds=self.config.max_gap_seconds,
        )

    def of_person(self, person: Person) -> SourceAnalysis:
        """The analysis of one speaker."""
        chosen = chosen_faces(person, len(self.faces))
        analysis = self._of(chosen)
        observed = [
            next((seen.near for seen in self.faces[index] if one and one.face is seen.face), None)
            for index, one in enumerate(chosen)
        ]
        occluders = find_occluders(observed, analysis.alignments, self.pts_seconds)
        return replace(analysis, occluders=occluders)

    def of_largest(self) -> SourceAnalysis:
        """Of the largest face of each frame, as LatentSync selects it."""
        number = {id(face): track.id for track in self.tracks for face in track.faces}
        largest = [
            ChosenFace(faces[0].face, number[id(faces[0].face)]) if faces else None
            for faces in self.faces
        ]
        return replace(self._of(largest), one_person=False)

    def _of(self, chosen: Sequence[ChosenFace | None]) -> SourceAnalysis:
        alignments = with_steady_outlines(
            align_video(
                chosen, seconds=self.pts_seconds, smoothing_seconds=self.config.smoothing_seconds
            ),
            self.pts_seconds,
        )
        energies = np.full((len(chosen), 2, BANDS), np.nan, np.float32)
        edges = np.full((len(chosen), len(FIGURES)), np.nan, np.float32)
        seen_in: dict[int, list[int]] = {}
        measured = np.zeros(len(chosen), bool)
        for index, one in enumerate(chosen):
            for seen in self.faces[index]:
                if one is not None and one.face is seen.face:  # others are interpolated
                    edges[index] = seen.edges
                    seen_in.setdefault(one.track, []).append(index)
                    if seen.energies is not None:
                        energies[index], measured[index] = seen.energies, True
        for frames in seen_in.values():
            energies[frames] = energies[_nearest_measured(np.array(frames), measured)]
        return SourceAnalysis(
            self.pts,
            self.pts_seconds,
            self.cuts,
            Alignments.of(alignments),
            energies,
            np.array([len(faces) for faces in self.faces], np.int64),
            edges,
            sums=self.sums,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Analyzer:
    """Runs pass 1 on the videos of one session, one after the other.

    new_watch: what watches for occluders in one video; None: nothing does.
    """

    detector: FaceTracker
    meter: SharpnessMeter
    config: FaceConfig
    timer: StageTimer
    new_watch: Callable[[], OcclusionWatch] | None = None

    def __call__(
        self, source: Iterable[Frame], on_frame: Callable[[], None] = lambda: None
    ) -> VideoAnalysis:
        """Reads all frames. on_frame: called after each.

        Raises FaceNotFoundError where no frame holds a usable face.
        """
        sums = array("I")
        frames = linked(
            self.timer.timed(Stage.DECODE, map(sdr, _summed(source, sums))),
            Stage.DECODE,
            Stage.DETECT,
            DECODED_AHEAD,
            timer=self.timer,
        )
        kept = _Observations(None if self.new_watch is None else self.new_watch())
        detected = self._detected(frames)
        for seen in linked(detected, Stage.DETECT, Stage.MEASURE, DETECTED_AHEAD, timer=self.timer):
            with self.timer.stage(Stage.MEASURE, frames=1):
                kept.add(seen, self.meter)
            on_frame()
        with self.timer.stage(Stage.ALIGN, frames=len(kept)):
            return replace(kept.analysis(self.config), sums=np.array(sums, np.uint32))

    def _detected(self, frames: Iterable[Frame]) -> Iterator[_DetectedFrame]:
        self.detector.reset()
        last: np.ndarray | None = None
        for frame in frames:
            with self.timer.stage(Stage.DETECT):
                small = thumbnail(frame.pixels)
                cut = last is not None and is_cut(last, small, self.config.cut_threshold)
                last = small
                if cut:
                    self.detector.reset()
                seen = _DetectedFrame(frame, cut, self.detector(frame.pixels))
            yield seen


def _summed(source: Iterable[Frame], sums: array[int]) -> Iterator[Frame]:
    """The same frames; their checksums are added to the array."""
    for frame in source:
        sums.append(checksum(frame.pixels))
        yield frame


@dataclass(frozen=True, slots=True, eq=False)
class _DetectedFrame:
    """A frame and its detected faces. cut: whether a new shot begins with it."""

    frame: Frame
    cut: bool
    faces: list[DetectedFace]

    @property
    def nbytes(self) -> int:
        return self.frame.nbytes


class _Observations:
    """Detections and measurements of all frames, before tracks are linked."""

    def __init__(self, watch: OcclusionWatch | None) -> None:
        self.pts, self.pts_seconds = array("q"), array("d")
        self.cuts: list[bool] = []
        self.faces: list[tuple[ObservedFace, ...]] = []
        self.portraits = PortraitCollector()
        self._watch = watch
        self._edges_due = -np.inf

    def __len__(self) -> int:
        return len(self.faces)

    def add(self, seen: _DetectedFrame, meter: SharpnessMeter) -> None:
        frame = seen.frame
        self.pts.append(frame.pts)
        self.pts_seconds.append(frame.pts_seconds)
        self.cuts.append(seen.cut)
        self.portraits.add(frame.pixels, seen.faces, frame.pts_seconds, cut=seen.cut)
        near: Sequence[Observation | None] = [None] * len(seen.faces)
        if self._watch is not None:
            near = self._watch.watch(frame.pixels, seen.faces, frame.pts_seconds, seen.cut)
        due = seen.cut or frame.pts_seconds >= self._edges_due - PTS_ROUNDING
        if due and seen.faces:
            self._edges_due = frame.pts_seconds + EDGES_EVERY
        self.faces.append(
            tuple(
                _measured(frame.pixels, face, meter, before, edges=due)
                for face, before in zip(seen.faces, near, strict=True)
            )
        )

    def analysis(self, config: FaceConfig) -> VideoAnalysis:
        if self._watch is not None:
            self._watch.finish()
        if not any(self.faces):
            raise FaceNotFoundError(
                "no face found",
                f"in any of {len(self.faces)} frames" if len(self.faces) > 1 else "in the frame",
                "there is no mouth to restore; a lower face.min_confidence detects fainter faces",
            )
        times = np.array(self.pts, np.int64), np.array(self.pts_seconds, np.float64)
        return VideoAnalysis(*times, np.array(self.cuts), self.faces, self.portraits, config)


def _measured(
    pixels: np.ndarray,
    face: DetectedFace,
    meter: SharpnessMeter,
    near: Observation | None,
    *,
    edges: bool,
) -> ObservedFace:
    """edges: whether its edges are measured in this frame; large faces are measured in no other."""
    matrix = similarity(face.landmarks[CONTROL], TEMPLATE)
    energies = meter(pixels, matrix) if edges or frame_scale(matrix) <= LARGE else None
    figures = edge_figures(pixels, place_of(face.landmarks)) if edges else _UNMEASURED
    return ObservedFace(face, energies, figures, near)


def _nearest_measured(frames: np.ndarray, measured: np.ndarray) -> np.ndarray:
    """(K,) frames of a track, rising -> for each, the nearest that was measured, itself or another;
    themselves where none was. measured: (F,) bool, of all frames."""
    if not measured[frames].any():
        return frames
    return fill_gaps(np.where(measured[frames], frames, np.nan)).astype(np.int64)
