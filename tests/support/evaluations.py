"""Evaluations and reports made up as data, for the pages that show them; see docs/evaluation.md."""

from __future__ import annotations

from typing import Any

import numpy as np

from latentsync.evaluate.shots import Shot
from latentsync.types import Box

FIGURES: tuple[tuple[str, str, str, str, str, float, str], ...] = (
    ("sync_confidence", "sync", "Confidence of the lips' sync", "", "higher", 6.42, "good"),
    ("sync_offset", "sync", "Offset of audio to lips", "ms", "near", -12.0, "good"),
    ("pauses", "sync", "Lips shut in pauses", "%", "higher", 91.5, "good"),
    ("mouth_sharpness", "mouth", "Mouth against the face", "", "near", 0.962, "fair"),
    ("flicker", "mouth", "Flicker inside the mouth", "", "lower", 1.137, "good"),
    ("jitter", "mouth", "Jitter of the lips' landmarks", "px", "lower", 0.214, "good"),
    ("seam_colour", "seam", "Step of colour at the seam", "ΔE", "lower", 2.31, "poor"),
    ("seam_texture", "seam", "Step of texture at the seam", "dB", "near", 0.42, "good"),
    ("outside", "rest", "Frame outside of the mouth", "dB", "higher", 46.8, "good"),
)
"""name, group, title, unit, better, value, grade."""

SECRET = '"><script>alert(1)</script>'
"""What a page must show as text, wherever it stands."""


def made_evaluation(*, seconds: float = 42.0, name: str = "result.mp4") -> dict[str, Any]:
    """All groups and kinds of figures, with a curve each."""
    points = int(min(max(seconds * 4, 12), 2000))
    times = np.linspace(0, seconds, points).round(3).tolist()
    return {
        "kind": "latentsync evaluation",
        "schema": 1,
        "version": "0.1.0",
        "created": "2026-11-26T11:15:28+00:00",
        "command": f"python -m scripts.evaluate {name} --source original.mp4 --html",
        "result": _video(name, seconds),
        "source": _video("original.mp4", seconds),
        "audio": None,
        "summary": [
            "The sync is good, the mouth is 4 % softer than the face, and 12 frames were skipped "
            "at 0:31.",
            "The seam shows a step of colour of 2.3, most at 0:08.",
        ],
        "verdict": {"sync": "good", "mouth": "fair", "seam": "poor", "rest": "unknown"},
        "figures": {one[0]: _figure(one, times, place) for place, one in enumerate(FIGURES)},
        "not_measured": {"syncnet_accuracy": "its weights are not here: see checkpoints/README.md"},
        "frames": {"total": int(seconds * 25), "measured": points, "skipped": 12, "occluded": 40},
        "spans_seconds": {
            "without_face": [[0.74 * seconds, 0.75 * seconds]],
            "occluded": [[0.31 * seconds, 0.35 * seconds], [0.5 * seconds, 0.52 * seconds]],
            "turned_away": [[0.8 * seconds, 0.83 * seconds]],
            "filmed_mouth": [[0.1 * seconds, 0.14 * seconds], [0.6 * seconds, 0.63 * seconds]],
            "restored": [[0.0, seconds]],
        },
        "cuts_seconds": [round(share * seconds, 3) for share in (0.2, 0.45, 0.74)],
        "job": {
            "restorer": "Detail",
            "generator": "replay",
            "licences": {"Detail": None, "replay": None},
            "settings": {"restore": {"strength": "auto", "when": "auto"}},
            "provenance": {"sentences": ["The speech in this video was replaced."]},
            "stages": {"decode": {"busy": 2.7, "idle": 0.0, "blocked": 8.6, "frames": 9, "fps": 3}},
            "seconds": 29.5,
            "version": "0.1.0",
            "created": "2026-11-26T11:10:28+00:00",
        },
    }


def _video(path: str, seconds: float) -> dict[str, Any]:
    size = {"width": 1280, "height": 720, "fps": 25.0}
    return {"path": path, **size, "seconds": seconds, "frames": int(seconds * 25)}


def _figure(
    one: tuple[str, str, str, str, str, float, str], times: list[float], seed: int
) -> dict[str, Any]:
    _, group, title, unit, better, value, grade = one
    noise = np.random.default_rng(seed).normal(0, 1, len(times))
    smooth = np.convolve(noise, np.ones(9) / 9, "same")
    curve: list[float | None] = (value + 0.3 * abs(value) * smooth).round(4).tolist()
    gap = range(len(times) * 74 // 100, len(times) * 76 // 100)
    curve = [None if place in gap else known for place, known in enumerate(curve)]
    places = sorted(range(len(times)), key=lambda place: curve[place] or value)[:2]
    return {
        "group": group,
        "title": title,
        "unit": unit,
        "better": better,
        "goal": (1.0 if value > 0.5 else 0.0) if better == "near" else None,
        "good": value * 0.95,
        "poor": value * 0.5,
        "how": f"The {title.lower()} of every measured frame, and the mean of them.",
        "value": value,
        "low": value - 0.02 * abs(value),
        "high": value + 0.02 * abs(value),
        "grade": grade,
        "moments": len(times),
        "seconds": times,
        "curve": curve,
        "worst": [[times[place], curve[place]] for place in places],
    }


def made_comparison() -> dict[str, Any]:
    """The other result is better in one figure, worse in one, and alike in one."""
    made = {"low": -0.1, "high": 0.1, "where": None}
    return {
        "mouth_sharpness": {
            "one": 0.71,
            "other": 0.96,
            "difference": 0.25,
            "low": 0.21,
            "high": 0.29,
            "better": "other",
            "where": 12.4,
        },
        "flicker": {**made, "one": 1.1, "other": 1.4, "difference": 0.3, "better": "one"},
        "outside": {**made, "one": 46.8, "other": 46.8, "difference": 0.0, "better": "same"},
    }


def made_report(*, frames: int = 1050) -> dict[str, Any]:
    """Those parts of a job's report that a page shows."""
    ramp = np.clip(np.sin(np.linspace(0, 9, frames)) + 0.4, 0, 1).round(3).tolist()
    model = {"checkpoint": "checkpoints/gfpgan.pth", "sha256": 64 * "e", "licence": "Apache-2.0"}
    return {
        "version": "0.1.0",
        "created": "2026-11-26T11:10:28+00:00",
        "command": "python -m scripts.inference --input original.mp4 --output result.mp4",
        "host": {"os": "Linux", "machine": "x86_64", "cpu_count": 2, "python": "3.11.7"},
        "length": None,
        "generator": None,
        "restorer": {"name": "GFPGAN", **model},
        "speaker": {
            "person": 1,
            "on_screen_seconds": [[0.0, 30.0]],
            "speech": "speech.wav",
            "speech_seconds": [[1.0, 14.0], [20.0, 30.0]],
        },
        "other_speakers": [],
        "per_frame": {"strength": ramp},
        "provenance": {
            "found": [],
            "not_kept": [],
            "digital_source_type": "composite",
            "aigc": None,
            "sentences": ["The mouth was restored."],
            "signed": None,
            "watermark": None,
        },
        "execution": {"backend": "torch", "precision": "fp32", "device": "cpu", "threads": 2},
        "seconds": {"decode": 2.7, "restore": 14.2, "encode": 5.9, "total": 29.5},
        "stages": {
            name: {
                "busy": busy,
                "idle": 0.1,
                "blocked": 1.2,
                "frames": frames,
                "fps": frames / busy,
            }
            for name, busy in (("decode", 2.7), ("restore", 14.2), ("encode", 5.9))
        },
        "warnings": ["few players play 10 bits"],
        "settings": {
            "preset": None,
            "output": {"path": "result.mp4", "codec": "auto", "crf": 18},
            "restore": {"name": "GFPGAN", "strength": "auto", "fade_seconds": 0.32},
        },
    }


def made_shots(
    count: int, *, seconds: float = 42.0, size: tuple[int, int] = (160, 90)
) -> list[Shot]:
    """Colour ramps with a mouth of other colour; size: (width, height)."""
    return [_shot(place, (place + 0.5) * seconds / count, size) for place in range(count)]


def _shot(place: int, seconds: float, size: tuple[int, int]) -> Shot:
    width, height = size
    before = np.full((height, width, 3), 60 + 7 * (place % 20), np.uint8)
    before[..., 1] = np.linspace(0, 255, width)
    mouth = Box(2 * width // 5, height // 2, 3 * width // 5, 3 * height // 4)
    after = before.copy()
    after[mouth.y0 : mouth.y1, mouth.x0 : mouth.x1, 0] = 230
    return Shot(seconds, int(seconds * 25), before, after, mouth, f"worst of figure {place}")
