"""Composite, alignment and detection as rows of the table; see benchmarks.frame_work."""

from __future__ import annotations

from pathlib import Path

import cv2

from benchmarks.frame_work import SIZE, detection, still_work, timed
from benchmarks.measure import peak_megabytes
from benchmarks.table import Row
from latentsync.face.detector import load_detector

FACE = 400  # pixels from cheek to cheek
TIMES = 12


def frame_work(_folder: Path, video: Path) -> list[Row]:
    """Time per 1080x1920 frame, in one thread, as the pipeline runs these stages."""
    cv2.setNumThreads(1)
    work = still_work(FACE, "mouth")
    work["composite"]()
    peak = peak_megabytes()
    still = {name.strip(): one.median / 1e3 for name, one in timed(work, TIMES).items()}
    found = detection(str(video), load_detector("mediapipe"), TIMES)
    ours, plain = still["composite"], still["plain, full frame"]
    frame = f"{SIZE[0]}x{SIZE[1]}, a face of {FACE} px"
    return [
        Row("composite", ours, plain, "a plain paste, full frame", peak, frame),
        Row("composite", ours, still["LatentSync's paste"], "LatentSync's paste"),
        Row("align, 512 square", still["align, 512 square"]),
        Row("align, own scale", still["align, own scale"]),
        Row("sharpness", still["sharpness"]),
        Row("detection", found["detect"].median / 1e3, note=f"frames of {video.name}"),
    ]
