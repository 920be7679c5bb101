"""The plan of a video: every decision about every output frame, made once, before any is rendered.

Frames rendered from the same plan are the same, bit for bit: whole, in segments, in batches of any
size, here or on another machine.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction

import numpy as np

from latentsync.face.landmarks import FIVE
from latentsync.geometry import generator_scale
from latentsync.pipeline.analysis import SourceAnalysis
from latentsync.pipeline.planning.linked_chunks import LinkedChunk, linked_chunks
from latentsync.pipeline.planning.timeline import VideoTimeline
from latentsync.restoration.gate import MouthState
from latentsync.restoration.mouth_blur import TrackBlur
from latentsync.restoration.patch import PatchGeometry, ffhq_geometry, own_scale_geometry
from latentsync.restoration.sharpness import BANDS


@dataclass(frozen=True, slots=True, eq=False)
class TrackPlan:
    """One track's patches.

    geometry: from the aligned crop to the patch that the restorer works on; constant in the track.
    energies: (K, 2, BANDS) float32 band energies [mouth, rest of the face] of the mouths that are
        to be restored, or of a sample of them: what a restorer is tuned by. K = 0: not measured.
    blur: of the same mouths' edges.
    """

    geometry: PatchGeometry
    energies: np.ndarray
    blur: TrackBlur = field(default_factory=TrackBlur.nothing)


@dataclass(frozen=True, slots=True, eq=False)
class RenderPlan:
    """The decisions for one speaker in N output frames. Arrays are N long but for those of the
    analysis.

    analysis: of the speaker. frame_size: (width, height) of the video. speech: whether there is
        new speech. source: (N,) int, the frame of the video that each shows. pts: (N,) int,
        ticks of time_base, rising. rate: frames a second.
    track: (N,) int, of the face; -1: no face. matrices: (N, 2, 3) float32, frame -> aligned crop;
        nan without a face.
    chunk: (N,) int, number of the chunk in which the mouth is generated; -1: in none. jumps: (N,)
        bool, True where a frame does not continue the one before.
    scale: (N,) float32, frame pixels per generator pixel; nan without a face. sharpness: (N,)
        float32, 1 = as sharp as the rest of the face (a generated mouth: as the person's own);
        nan: unknown. blur: (N,) float32 in [0, 1], probability that the mouth was made
        blurry; nan likewise. mouth_state: (N,) int8 of gate.MouthState.
    strength: (N,) float32 in [0, 1], share of the restoration that is applied; 0: none.
    visible: (N,) float32 in [0, 1], share of every patch that is laid; 0: the face is turned too
        far, or lost. shown: (N,) likewise, of the generated mouth. closed: (N,) likewise, of a
        closed mouth in place of the generated one.
    sampled: (S,) int, chunks whose mouths were generated and measured to decide that.
    tracks: by track number. overlap: frames that neighbouring chunks of a run share.
    stretch: seconds of the output for each second of the video; 1 unless it is remapped.
    named: the values of face.speaker, or of speakers, that this speaker was chosen by. others:
    plans of further speakers, for the same output frames.
    """

    analysis: SourceAnalysis
    frame_size: tuple[int, int]
    speech: bool
    source: np.ndarray
    pts: np.ndarray
    time_base: Fraction
    rate: Fraction
    track: np.ndarray
    matrices: np.ndarray
    chunk: np.ndarray
    jumps: np.ndarray
    scale: np.ndarray
    sharpness: np.ndarray
    blur: np.ndarray
    mouth_state: np.ndarray
    strength: np.ndarray
    visible: np.ndarray
    shown: np.ndarray
    closed: np.ndarray
    sampled: np.ndarray
    tracks: Mapping[int, TrackPlan]
    overlap: int = 0
    stretch: float = 1.0
    named: tuple[str, ...] = ()
    others: tuple[RenderPlan, ...] = ()

    def __len__(self) -> int:
        return len(self.source)

    @property
    def seconds(self) -> np.ndarray:
        """(N,) float64, when each output frame is shown."""
        return self.pts * float(self.time_base)

    @property
    def duration(self) -> float:
        """The second at which the last output frame ends."""
        return float(self.seconds[-1] + 1 / self.rate)

    @property
    def speakers(self) -> tuple[RenderPlan, ...]:
        """The plan of each speaker; each but the first has no others."""
        return self, *self.others

    @property
    def generates(self) -> bool:
        return bool((self.chunk >= 0).any())

    @property
    def changes(self) -> np.ndarray:
        """(N,) bool: whether a patch of any speaker may be laid in each output frame."""
        each = [
            (one.visible > 0) & ((one.strength > 0) | ((one.chunk >= 0) & (one.shown > 0)))
            for one in self.speakers
        ]
        return np.any(each, axis=0)

    def chunk_spans(self) -> dict[int, tuple[int, int]]:
        """Chunk number -> its output frames, half open; some in between may have no face."""
        frames = np.flatnonzero(self.chunk >= 0)
        numbers, first = np.unique(self.chunk[frames], return_index=True)
        last = len(frames) - 1 - np.unique(self.chunk[frames][::-1], return_index=True)[1]
        spans = zip(numbers, frames[first], frames[last] + 1, strict=True)
        return {int(number): (int(a), int(b)) for number, a, b in spans}

    def linked_chunks(self) -> dict[int, LinkedChunk]:
        """By number, which chunks share frames; see planning.linked_chunks."""
        spans = self.chunk_spans()
        return linked_chunks(spans, self.track, self.jumps, overlap=self.overlap)

    def whole_chunks(self, indices: np.ndarray) -> np.ndarray:
        """Those output frames, and all others of their chunks, rising."""
        numbers = np.unique(self.chunk[indices])
        own = np.isin(self.chunk, numbers[numbers >= 0])
        return np.union1d(indices, np.flatnonzero(own))

    def segments(self, count: int) -> list[tuple[int, int]]:
        """At most ``count`` half-open ranges of output frames, about equal, that split no chunk.

        Where chunks overlap, none begins with an anchor that shares its first frames: it would need
        three chunks beforehand. With a bridge it is one.
        """
        allowed = self.borders()
        wanted = np.linspace(0, len(self), count + 1)
        cuts = np.unique(allowed[np.abs(allowed[:, None] - wanted).argmin(axis=0)])
        return [(int(a), int(b)) for a, b in itertools.pairwise(cuts)]

    def borders(self) -> np.ndarray:
        """(K,) int, rising from 0 to N: the output frames that a segment may begin with, and N."""
        inside = np.zeros(len(self) + 1, bool)  # borders between two frames of one chunk
        for chunk in (one for plan in self.speakers for one in plan.linked_chunks().values()):
            first, last = chunk.own
            inside[first + 1 : last] = True
            inside[first] |= chunk.anchor and chunk.before is not None
        return np.flatnonzero(~inside)

    @property
    def shots(self) -> np.ndarray:
        """(K,) int, rising: the output frames that begin another shot than the frame before."""
        shot = np.cumsum(self.analysis.cuts)[self.source]
        return np.flatnonzero(np.diff(shot, prepend=shot[:1]))

    def runs(self) -> Iterator[tuple[int, int]]:
        """Half-open ranges of output frames that show one track without a gap.

        Where mouths are generated, only generated frames count.
        """
        shown = self.chunk >= 0 if self.generates else self.track >= 0
        key = np.where(shown, self.track, -1)
        begins = np.flatnonzero(self.jumps | (np.diff(key, prepend=key[:1]) != 0))
        for a, b in itertools.pairwise([0, *begins[begins > 0], len(self)]):
            if key[a] >= 0:
                yield int(a), int(b)

    def borders_gap(self, index: int, step: int) -> bool:
        """Whether the neighbouring output frame shows the same shot without the face.

        step: -1: the previous frame, +1: the next one.
        """
        beside = index + step
        if not 0 <= beside < len(self) or self.track[beside] >= 0:
            return False
        shot = np.cumsum(self.analysis.cuts)
        same = shot[self.source[index]] == shot[self.source[beside]]
        return bool(same and not self.jumps[max(index, beside)])


def lay_out(
    analysis: SourceAnalysis,
    line: VideoTimeline,
    *,
    frame_size: tuple[int, int],
    speech: bool,
    matrices: np.ndarray | None = None,
    chunk: np.ndarray,
    jumps: np.ndarray,
    generator_size: float | np.ndarray,
    size: int | None,
    region_mask: np.ndarray,
    overlap: int = 0,
) -> RenderPlan:
    """A plan in which nothing is restored yet.

    frame_size, speech, chunk, jumps, overlap: see RenderPlan. matrices: None: the analysis's.
    generator_size: side of the square that the mouths were, or will be, generated in, for all or
    (N,), see squares.Squares.resolution. size: the restorer's square, None for the mouth box.
    region_mask: (560, 420), aligned.
    """
    track = analysis.tracks[line.source]
    if matrices is None:
        matrices = analysis.matrices[line.source]
    scale = np.full(len(line), np.nan, np.float32)
    sides = np.broadcast_to(generator_size, len(line))
    scale[track >= 0] = generator_scale(matrices[track >= 0], sides[track >= 0])
    tracks = {
        number: TrackPlan(
            _geometry(analysis, frames, size, region_mask), np.empty((0, 2, BANDS), np.float32)
        )
        for number, frames in analysis.frames_by_track().items()
    }
    return RenderPlan(
        analysis,
        frame_size,
        speech,
        line.source,
        line.pts,
        line.time_base,
        line.rate,
        track,
        matrices,
        chunk,
        jumps,
        scale,
        sharpness=np.full(len(line), np.nan, np.float32),
        blur=np.full(len(line), np.nan, np.float32),
        mouth_state=np.where(track >= 0, MouthState.UNKNOWN, MouthState.NONE).astype(np.int8),
        strength=np.zeros(len(line), np.float32),
        visible=np.ones(len(line), np.float32),
        shown=np.ones(len(line), np.float32),
        closed=np.zeros(len(line), np.float32),
        sampled=np.empty(0, np.int64),
        tracks=tracks,
        overlap=overlap,
        stretch=line.stretch,
    )


def with_energies(plan: RenderPlan, energies: Mapping[int, np.ndarray]) -> RenderPlan:
    """The plan with the energies of some tracks, by number; see TrackPlan."""
    known = {n: replace(plan.tracks[n], energies=e) for n, e in energies.items()}
    return replace(plan, tracks={**plan.tracks, **known})


def with_blur(plan: RenderPlan, blurs: Mapping[int, TrackBlur]) -> RenderPlan:
    """The plan with the blur of some tracks, by number; see TrackPlan."""
    known = {n: replace(plan.tracks[n], blur=blur) for n, blur in blurs.items()}
    return replace(plan, tracks={**plan.tracks, **known})


def _geometry(
    analysis: SourceAnalysis, frames: np.ndarray, size: int | None, region_mask: np.ndarray
) -> PatchGeometry:
    matrices = analysis.matrices[frames]
    if size is None:
        return own_scale_geometry(matrices, region_mask)
    points = np.stack([a.landmarks[FIVE] for i in frames if (a := analysis.alignments[i])])
    return ffhq_geometry(matrices, points, region_mask, size=size)
