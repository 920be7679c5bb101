"""The person's own mouth in another video: whose it is, and how blurred its edges are."""

from __future__ import annotations

import numpy as np

from latentsync.pipeline.analysis import SourceAnalysis
from latentsync.restoration.mouth_blur import EdgeVariances


def frames_of_person(
    track: int, analysis: SourceAnalysis, original: SourceAnalysis, *, itself: bool
) -> np.ndarray:
    """Frames of the original, rising, that show the identity of a track of the analysis.

    itself: whether both are of the same video.
    """
    frames = analysis.frames_by_track()[track]
    if itself:
        return frames
    tracks, times = original.tracks, original.pts_seconds
    begin, end = analysis.pts_seconds[frames[[0, -1]]]
    then = (times >= begin - 1e-6) & (times <= end + 1e-6) & (tracks >= 0)
    # The tracks seen at the same times; else all frames with a face.
    seen = np.isin(tracks, tracks[then]) if then.any() else tracks >= 0
    return np.flatnonzero(seen)


def own_edges(analysis: SourceAnalysis, original: SourceAnalysis) -> dict[int, EdgeVariances]:
    """By track of the analysis, the edges of that person's own mouth, and of the eyes beside it.

    original: of the video with the person's own mouth. nan: it could not be measured.
    """
    edges = {}
    for track in analysis.frames_by_track():
        frames = frames_of_person(track, analysis, original, itself=False)
        edges[track] = EdgeVariances.of(original.edges[frames], original.matrices[frames])
    return edges
