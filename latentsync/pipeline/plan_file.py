"""A render plan as two files, arrays (.npz) and the rest (.json), for another process to render."""

from __future__ import annotations

import json
from dataclasses import fields
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from latentsync.errors import MediaError
from latentsync.pipeline.analysis import SourceAnalysis
from latentsync.pipeline.plan import RenderPlan, TrackPlan
from latentsync.restore.patch import PatchGeometry
from latentsync.types import Alignment

FORMAT = "latentsync plan 1"
_ARRAYS = (
    *("source", "pts", "track", "matrices", "chunk", "jumps"),
    *("scale", "sharpness", "strength", "sampled"),
)


def save_plan(plan: RenderPlan, path: str | Path) -> list[Path]:
    """Writes PATH.npz and PATH.json, each under its name only when complete; returns them.

    Raises MediaError where they cannot be written.
    """
    arrays, about = _plan_parts(plan)
    arrays_path, about_path = _paths(path)
    try:
        _write(arrays_path, lambda part: _save_arrays(part, arrays))
        text = json.dumps(about, indent=1)
        _write(about_path, lambda part: part.write_text(text, "utf-8"))
    except OSError as error:
        remedy = f"{error.strerror}; choose another place"
        raise MediaError("cannot write the plan", arrays_path, remedy) from error
    return [arrays_path, about_path]


def load_plan(path: str | Path) -> RenderPlan:
    """What save_plan wrote. Raises MediaError: not there, damaged, or of another version."""
    arrays_path, about_path = _paths(path)
    try:
        about = json.loads(about_path.read_text("utf-8"))
        if about["format"] != FORMAT:
            raise ValueError(f"it is {about['format']}, not {FORMAT}")
        with np.load(arrays_path, allow_pickle=False) as file:
            return _plan_of(dict(file), about)
    except (OSError, ValueError, KeyError) as error:
        reason = " ".join(str(error).split())
        remedy = f"{reason}; make the plan again"
        raise MediaError("not a plan that can be read", arrays_path, remedy) from error


def _paths(path: str | Path) -> tuple[Path, Path]:
    path = Path(path)
    return path.with_name(f"{path.name}.npz"), path.with_name(f"{path.name}.json")


def _write(path: Path, write: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    try:
        write(part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _save_arrays(part: Path, arrays: dict[str, np.ndarray]) -> None:
    with part.open("wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]


def _plan_parts(plan: RenderPlan) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    arrays = {name: getattr(plan, name) for name in _ARRAYS}
    arrays |= {f"analysis.{k}": v for k, v in _analysis_arrays(plan.analysis).items()}
    for number, track in plan.tracks.items():
        geometry = track.geometry
        arrays |= {
            f"track.{number}.energies": track.energies,
            f"track.{number}.from_aligned": geometry.from_aligned,
            f"track.{number}.mask": geometry.mask,
        }
    about = {
        "format": FORMAT,
        "time_base": str(plan.time_base),
        "rate": str(plan.rate),
        "tracks": [int(number) for number in plan.tracks],
    }
    return arrays, about


def _analysis_arrays(analysis: SourceAnalysis) -> dict[str, np.ndarray]:
    seen = [one for one in analysis.alignments if one is not None]
    arrays = {
        field.name: getattr(analysis, field.name)
        for field in fields(analysis)
        if field.name != "alignments"
    }
    return arrays | {
        "track": analysis.tracks,
        "matrices": analysis.matrices,
        "landmarks": np.stack([one.landmarks for one in seen]),
        "confidence": np.array([one.confidence for one in seen]),
    }


def _plan_of(arrays: dict[str, np.ndarray], about: dict[str, Any]) -> RenderPlan:
    tracks = {}
    for number in about["tracks"]:
        mask = arrays[f"track.{number}.mask"]
        size = int(mask.shape[0]), int(mask.shape[1])
        geometry = PatchGeometry(arrays[f"track.{number}.from_aligned"], size, mask)
        tracks[number] = TrackPlan(geometry, arrays[f"track.{number}.energies"])
    return RenderPlan(
        analysis=_analysis_of(arrays),
        time_base=Fraction(about["time_base"]),
        rate=Fraction(about["rate"]),
        tracks=tracks,
        **{name: arrays[name] for name in _ARRAYS},
    )


def _analysis_of(arrays: dict[str, np.ndarray]) -> SourceAnalysis:
    own = {k.removeprefix("analysis."): v for k, v in arrays.items() if k.startswith("analysis.")}
    tracks, matrices = own.pop("track"), own.pop("matrices")
    seen = zip(own.pop("landmarks"), own.pop("confidence"), strict=True)
    alignments: list[Alignment | None] = []
    for track, matrix in zip(tracks, matrices, strict=True):
        if track < 0:
            alignments.append(None)
            continue
        landmarks, confidence = next(seen)
        alignments.append(Alignment(matrix, landmarks, float(confidence), int(track)))
    return SourceAnalysis(alignments=alignments, **own)
