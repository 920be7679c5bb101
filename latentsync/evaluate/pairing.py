"""Which frame of the source is behind a frame of the result, and whether it really is."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import islice, zip_longest
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np

from latentsync.evaluate.pair import SeenFace
from latentsync.evaluate.sampling import Bursts, frames_of
from latentsync.face.landmarks import CONTROL, FIVE
from latentsync.face.tracks import is_cut, thumbnail
from latentsync.media.probe import VideoInfo
from latentsync.pipeline.report import KIND, report_beside
from latentsync.types import Alignment

logger = logging.getLogger(__name__)

SAME_SHAPE = 0.01
"""Share by which the aspect ratios of result and source may differ."""
STRAY = 0.15
"""Distance of eyes, brows and nose in result and source, in distances of the eyes, above which the
frames do not show the same moment. A frame beside it is 0.02 to 0.05 off where the head moves."""
READ = (
    *("input.path", "output.path", "frames.total", "frames.generated", "per_frame"),
    *("spans_seconds", "cuts_seconds", "restorer", "generator", "settings.restore.region"),
    *("provenance", "stages", "seconds.total", "version", "created"),
)
"""What is read of a report; one of an older version, or edited by hand, may be without."""
PROBED, PROBED_EVERY = 50, 10
"""Frames at the beginning that are compared before anything else, every so many."""


class Pairing(Protocol):
    """Says which frames are looked at, and which of the source is behind one of the result.

    order: frames of the source behind those that are measured, one after the other; None: they
    rise, so that the source is read once, forward.
    """

    order: Sequence[int] | None

    def of_result(self, index: int, second: float, /) -> bool:
        """Whether that frame of the result is measured."""
        ...

    def of_source(self, index: int, second: float, /) -> bool:
        """Whether that frame of the source may be behind one that is measured."""
        ...

    def behind(self, index: int, second: float, seconds: np.ndarray, /) -> int | None:
        """The frame of the source behind a frame of the result. seconds: (F,), of the source's."""
        ...


class ByReport:
    """By what the job's report says. sources: frame of the source by frame of the result; None: the
    one of the same number. bursts: on the time axis of frame numbers divided by the rate."""

    def __init__(self, bursts: Bursts, rate: float, sources: Sequence[int] | None) -> None:
        self._bursts, self._rate, self._sources = bursts, rate, sources
        self.order: Sequence[int] | None = None
        if sources is not None:
            self.order = [one for index, one in enumerate(sources) if self.of_result(index)]
        self._wanted = frozenset(self.order or ())

    def of_result(self, index: int, _second: float = 0.0) -> bool:
        return self._bursts.takes(index / self._rate)

    def of_source(self, index: int, _second: float) -> bool:
        return self.of_result(index) if self._sources is None else index in self._wanted

    def behind(self, index: int, _second: float, seconds: np.ndarray) -> int | None:
        source = index if self._sources is None else -1
        if self._sources is not None and index < len(self._sources):
            source = self._sources[index]
        return source if 0 <= source < len(seconds) else None


class ByTime:
    """By time, from the first frame of each file on; beyond the end of the source there is none."""

    order: Sequence[int] | None = None

    def __init__(self, bursts: Bursts, result: VideoInfo, source: VideoInfo) -> None:
        self._bursts = bursts
        self._starts = result.start, source.start
        self._margin = 1 / float(min(result.average_rate, source.average_rate))

    def of_result(self, _index: int, second: float) -> bool:
        return self._bursts.takes(second - self._starts[0])

    def of_source(self, _index: int, second: float) -> bool:
        return self._bursts.near(second - self._starts[1], self._margin)

    def behind(self, _index: int, second: float, seconds: np.ndarray) -> int | None:
        wanted = second - self._starts[0] + self._starts[1]
        nearest = int(np.abs(seconds - wanted).argmin())
        return nearest if abs(seconds[nearest] - wanted) <= self._margin else None


def job_report(result: Path) -> dict[str, Any] | None:
    """The report of the job that lies beside a result; None: there is none, or it is of a file of
    another name."""
    path = report_beside(result)
    try:
        report = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(report, dict) or report.get("kind") != KIND:
        return None
    missing = [key for key in READ if not _holds(report, key)]
    if missing:
        logger.warning("%s is not used: it has no %s", path, " and no ".join(missing))
        return None
    return report if Path(str(report["output"]["path"])).name == result.name else None


def _holds(report: Any, key: str) -> bool:
    for name in key.split("."):
        if not isinstance(report, dict) or name not in report:
            return False
        report = report[name]
    return True


def pairing_of(
    result: VideoInfo, source: VideoInfo, report: Mapping[str, Any] | None, bursts: Bursts
) -> Pairing:
    """report: of the job that made the result, if it did."""
    if report is None or not _is_of(report, result):
        return ByTime(bursts, result, source)
    return ByReport(bursts, float(result.average_rate), report["per_frame"]["source"])


def _is_of(report: Mapping[str, Any], result: VideoInfo) -> bool:
    """Whether a report says which frame of the source each of the result's frames shows."""
    same = result.frame_count in (0, report["frames"]["total"])
    return same and "source" in report["per_frame"]


def misfit(result: VideoInfo, source: VideoInfo, threshold: float) -> str | None:
    """Why the source cannot be that of a result that nothing else is known of; None: it can.

    threshold: see face.tracks.is_cut.
    """
    shapes = [one.width / one.height for one in (result, source)]
    if abs(shapes[0] / shapes[1] - 1) > SAME_SHAPE:
        sizes = " and ".join(f"{one.width}x{one.height}" for one in (result, source))
        return f"result and source have different shapes: {sizes}"
    probed = (islice(frames_of(one, _probed), PROBED) for one in (result, source))
    apart = [
        is_cut(thumbnail(one.pixels), thumbnail(other.pixels), threshold)
        for one, other in zip_longest(*probed)  # the shorter one says nothing of the rest
        if one is not None and other is not None
    ]
    if apart and sum(apart) > len(apart) / 2:
        return "the frames of the source do not fit those of the result: is it the right video?"
    return None


def _probed(index: int, _second: float) -> bool:
    return index % PROBED_EVERY == 0 and index < PROBED


def same_moment(
    result: np.ndarray,
    source: np.ndarray,
    faces: tuple[SeenFace | None, SeenFace | None],
    threshold: float,
) -> bool:
    """Whether two frames of one size show the same moment, mouth aside. faces: in each."""
    if is_cut(thumbnail(source), thumbnail(result), threshold):
        return False
    one, other = faces
    if one is None or other is None:
        return True
    eyes = other.landmarks[FIVE][:2]
    way = [np.r_[face.landmarks[CONTROL], face.landmarks[FIVE][:2]] for face in (one, other)]
    stray = np.linalg.norm(way[0] - way[1], axis=1).mean()
    return bool(stray <= STRAY * np.linalg.norm(eyes[1] - eyes[0]))


def scaled(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A frame in another size (width, height); itself if it has that size."""
    if pixels.shape[1::-1] == size:
        return pixels
    how = cv2.INTER_AREA if size[0] < pixels.shape[1] else cv2.INTER_CUBIC
    return cv2.resize(pixels, size, interpolation=how)


def scaled_alignment(alignment: Alignment, old: tuple[int, int], new: tuple[int, int]) -> Alignment:
    """The alignment in a frame that was scaled from one size (width, height) to another."""
    if old == new:
        return alignment
    factor = np.array(new) / np.array(old)
    shift = (factor - 1) / 2  # pixel centres, not corners, are whole numbers
    linear = alignment.matrix[:, :2] / factor
    matrix = np.c_[linear, alignment.matrix[:, 2] - linear @ shift].astype(np.float32)
    points = [
        None if one is None else (one * factor + shift).astype(np.float32)
        for one in (alignment.landmarks, alignment.outline)
    ]
    assert points[0] is not None
    return replace(alignment, matrix=matrix, landmarks=points[0], outline=points[1])
