"""Saves and loads a render plan: arrays (.npz) and the rest (.json)."""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from latentsync.errors import MediaError
from latentsync.face.occlusion.occluders import Occluders
from latentsync.pipeline.analysis import Alignments, SourceAnalysis, rows
from latentsync.pipeline.planning.plan import RenderPlan, TrackPlan
from latentsync.places import part_file
from latentsync.restoration.mouth_blur import TrackBlur
from latentsync.restoration.patch import PatchGeometry
from latentsync.types import Alignment

FORMAT = "latentsync plan 5"
_ARRAYS = (
    *("source", "pts", "track", "matrices", "chunk", "jumps"),
    *("scale", "sharpness", "blur", "mouth_state", "strength", "sampled"),
    *("visible", "shown", "closed"),
)
_ANALYSIS_ARRAYS = ("pts", "pts_seconds", "cuts", "energies", "people", "edges")


def save_plan(plan: RenderPlan, path: str | Path) -> list[Path]:
    """Writes PATH.npz and PATH.json, each under its name only when complete; returns them.

    Raises MediaError where they cannot be written.
    """
    arrays, about = _plan_parts(plan)
    arrays_path, about_path = _paths(path)
    try:
        with part_file(arrays_path) as part, part.open("wb") as file:
            np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
        with part_file(about_path) as part:
            part.write_text(json.dumps(about, indent=1), "utf-8")
    except OSError as error:
        remedy = f"{error.strerror}; choose another place"
        raise MediaError("cannot write the plan", arrays_path, remedy) from error
    return [arrays_path, about_path]


def load_plan(path: str | Path) -> RenderPlan:
    """Loads a plan of save_plan. Raises MediaError: missing, damaged, or of another version."""
    arrays_path, about_path = _paths(path)
    try:
        about = json.loads(about_path.read_text("utf-8"))
        if about["format"] != FORMAT:
            raise ValueError(f"it is {about['format']}, not {FORMAT}")
        with np.load(arrays_path, allow_pickle=False) as file:
            return _plan_of(dict(file), about)
    except (OSError, ValueError, KeyError, TypeError, EOFError, BadZipFile, zlib.error) as error:
        reason = " ".join(str(error).split())
        remedy = f"{reason}; make the plan again"
        raise MediaError("not a plan that can be read", arrays_path, remedy) from error


def _paths(path: str | Path) -> tuple[Path, Path]:
    path = Path(path)
    return path.with_name(f"{path.name}.npz"), path.with_name(f"{path.name}.json")


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
    others = [_plan_parts(other) for other in plan.others]
    for number, (more, _) in enumerate(others):
        arrays |= {f"other.{number}.{name}": array for name, array in more.items()}
    about = {
        "format": FORMAT,
        "time_base": str(plan.time_base),
        "rate": str(plan.rate),
        "frame_size": list(plan.frame_size),
        "speech": plan.speech,
        "overlap": plan.overlap,
        "stretch": plan.stretch,
        "named": list(plan.named),
        "tracks": [int(number) for number in plan.tracks],
        "blur": [asdict(track.blur) for track in plan.tracks.values()],
        "others": [about for _, about in others],
    }
    return arrays, about


def _analysis_arrays(analysis: SourceAnalysis) -> dict[str, np.ndarray]:
    seen = [one for one in analysis.alignments if one is not None]
    arrays = {name: getattr(analysis, name) for name in _ANALYSIS_ARRAYS}
    arrays |= {f"occluders.{k}": v for k, v in analysis.occluders.arrays().items()}
    if analysis.sums is not None:
        arrays["sums"] = analysis.sums
    return arrays | {
        "one_person": np.array(analysis.one_person),
        "track": analysis.tracks,
        "matrices": analysis.matrices,
        "landmarks": np.stack([one.landmarks for one in seen]),
        "confidence": np.array([one.confidence for one in seen]),
        **_outlines(seen),
    }


def _outlines(seen: Sequence[Alignment]) -> dict[str, np.ndarray]:
    """Nothing where the face model has none."""
    known = [one.outline for one in seen if one.outline is not None]
    return {"outline": np.stack(known)} if len(known) == len(seen) else {}


def _plan_of(arrays: dict[str, np.ndarray], about: dict[str, Any]) -> RenderPlan:
    tracks = {}
    for number, blur in zip(about["tracks"], about["blur"], strict=True):
        mask = arrays[f"track.{number}.mask"]
        size = int(mask.shape[0]), int(mask.shape[1])
        geometry = PatchGeometry(arrays[f"track.{number}.from_aligned"], size, mask)
        energies = arrays[f"track.{number}.energies"]
        tracks[number] = TrackPlan(geometry, energies, TrackBlur(**blur))
    width, height = about["frame_size"]
    others = tuple(
        _plan_of(_below(f"other.{number}.", arrays), more)
        for number, more in enumerate(about["others"])
    )
    plan = RenderPlan(
        analysis=_analysis_of(arrays),
        frame_size=(int(width), int(height)),
        speech=bool(about["speech"]),
        time_base=Fraction(about["time_base"]),
        rate=Fraction(about["rate"]),
        tracks=tracks,
        overlap=int(about["overlap"]),
        stretch=float(about.get("stretch", 1)),  # plans of before have none
        named=tuple(str(one) for one in about["named"]),
        others=others,
        **{name: arrays[name] for name in _ARRAYS},
    )
    _check_lengths(plan)
    return plan


def _check_lengths(plan: RenderPlan) -> None:
    """Raises ValueError where arrays that belong together are not equally long."""
    output = {len(getattr(plan, name)) for name in _ARRAYS if name != "sampled"}
    output |= {len(other) for other in plan.others}
    analysis = plan.analysis
    source = {
        *(len(getattr(analysis, name)) for name in ("alignments", *_ANALYSIS_ARRAYS)),
        max(len(analysis), int(plan.source.max(initial=0)) + 1),
        len(analysis if analysis.sums is None else analysis.sums),
    }
    if len(output) > 1 or len(source) > 1:
        raise ValueError("its arrays are not equally long")


def _below(prefix: str, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays whose names begin so, without that beginning."""
    return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}


def _analysis_of(arrays: dict[str, np.ndarray]) -> SourceAnalysis:
    parts = _below("analysis.", arrays)
    tracks, matrices = parts.pop("track"), parts.pop("matrices")
    landmarks, confidences = parts.pop("landmarks"), parts.pop("confidence")
    seen = tracks >= 0
    if not len(landmarks) == len(confidences) == np.count_nonzero(seen):
        raise ValueError("its arrays are not equally long")
    outlines = parts.pop("outline", [None] * len(landmarks))
    found = tracks[seen], confidences, matrices[seen], landmarks, outlines
    alignments = Alignments(rows(seen), *found)
    occluders = Occluders.from_arrays(_below("occluders.", parts))
    known = {name: parts[name] for name in _ANALYSIS_ARRAYS}
    one = bool(parts["one_person"])
    sums = parts.get("sums")  # plans of before have none
    return SourceAnalysis(
        alignments=alignments, occluders=occluders, one_person=one, sums=sums, **known
    )
