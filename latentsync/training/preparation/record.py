"""What is kept of a finished source: its rows, its clips and its faces, in one folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from latentsync.errors import ConfigError
from latentsync.training.preparation.manifest import FRAME_RATE, Row
from latentsync.training.preparation.one_source import Prepared

RECORD, VECTORS = "record.json", "faces.npz"


@dataclass(frozen=True, slots=True)
class Clip:
    """A clip that was kept, as the outputs need it. path: of its file. source, sha256: of the video
    that it is from; start, end: seconds of it. person: number in the source. facts: figures."""

    name: str
    path: Path
    source: str
    sha256: str
    start: float
    end: float
    person: int
    facts: Mapping[str, Any]

    @property
    def seconds(self) -> float:
        return self.end - self.start


@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """A finished source. vectors: by number of a person, (n, D)."""

    rows: tuple[Row, ...]
    clips: tuple[Clip, ...]
    vectors: Mapping[int, np.ndarray]
    folder: Path


def write_record(folder: Path, prepared: Prepared, *, kind: str, source: str, sha256: str) -> None:
    """Beside the clips. source, sha256: name and content of the video. Raises OSError."""
    facts = {
        "kind": kind,
        "source": source,
        "sha256": sha256,
        "rows": [asdict(row) for row in prepared.journal.rows],
        "clips": [asdict(clip) for clip in prepared.clips],
    }
    vectors = {str(number): each for number, each in prepared.vectors.items()}
    if vectors:
        np.savez(folder / VECTORS, allow_pickle=False, **vectors)
    (folder / RECORD).write_text(json.dumps(facts, indent=1), "utf-8")


def read_record(folder: Path, source: str) -> Record | None:
    """source: the name that the video has now. None: there is no record. Raises ConfigError: it is
    damaged."""
    try:
        facts = json.loads((folder / RECORD).read_text("utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        remedy = f"delete this folder: its source is prepared again ({error})"
        raise ConfigError("a record cannot be read", folder, remedy) from error
    rows = tuple(replace(Row.of(row), source=source) for row in facts["rows"])
    clips = tuple(_clip(each, folder, source, facts["sha256"]) for each in facts["clips"])
    vectors: dict[int, np.ndarray] = {}
    if (folder / VECTORS).exists():
        with np.load(folder / VECTORS) as stored:
            vectors = {int(name): stored[name] for name in stored.files}
    return Record(rows, clips, vectors, folder)


def _clip(facts: Mapping[str, Any], folder: Path, source: str, sha256: str) -> Clip:
    piece = facts["piece"]
    start, end = piece["start"] / FRAME_RATE, piece["stop"] / FRAME_RATE
    known = {**facts["figures"], "audio_delay_frames": facts["offset"]}
    path = folder / f"{facts['name']}.mp4"
    return Clip(facts["name"], path, source, sha256, start, end, piece["person"], known)
