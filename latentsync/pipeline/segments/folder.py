"""The folder of a video that is rendered in segments: what is done is kept until all is.

    NAME.part/job.json        what the result depends on, the borders, what was decided
              plan.npz, plan.json
              00003.0.seg     the frames of segment 3, encoded; .1: of the comparison
              00003.npz       what happened to its frames
              00003.json      written last: the segment is complete
              written.json    the output is getting its name: see finishing

A file that is there under its name is complete: it is written beside it, flushed and renamed.
"""

from __future__ import annotations

import json
import logging
import re
import zlib
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import BadZipFile

import numpy as np

from latentsync.errors import MediaError
from latentsync.media.segment_file import Segment, flush
from latentsync.pipeline.compact_json import compact_json
from latentsync.pipeline.outcome import Outcome
from latentsync.pipeline.planning.plan import RenderPlan
from latentsync.pipeline.planning.plan_file import load_plan, save_plan
from latentsync.pipeline.provenance import Marks
from latentsync.pipeline.segments import lock
from latentsync.pipeline.segments.identity import differences
from latentsync.pipeline.stage_timer import Work
from latentsync.places import part_file
from latentsync.restoration.warping_error import Flicker

logger = logging.getLogger(__name__)

FORMAT = "latentsync segments 1"
WRITTEN = "written.json"
_JOB, _PLAN = "job.json", "plan"
_OURS = re.compile(r"(job|written)\.json|plan\.(npz|json)|\d{5}\.(json|npz|\d\.seg)|\..*\.part")
_ARRAYS = ("generated", "largest", "mean", "edges")  # of an Outcome, one entry a frame


def folder_of(target: Path) -> Path:
    """Beside the output, on the same disk."""
    return target.with_name(f"{target.name}.part")


def kept_seed(folder: Path) -> int | None:
    """The random seed of the segments in a folder; None: there are none."""
    about = SegmentFolder(folder, {})._read_about() or {}
    seed = str((about.get("identity") or {}).get("seed", ""))
    return int(seed) if seed.isdecimal() else None


class Kept(NamedTuple):
    """A segment that an earlier run made: its file of each output, the work and the seconds."""

    segments: list[Segment]
    work: dict[str, Work]
    seconds: float


class SegmentFolder:
    """The work on one output. See held() for who may use it at a time.

    path: of the folder; it need not exist. identity: what the result depends on; work of another
    identity is discarded.
    """

    def __init__(self, path: Path, identity: Mapping[str, str]) -> None:
        self.path, self._identity = path, dict(identity)
        self._about: dict[str, Any] = {}

    def held(self, *, shared: bool = False) -> AbstractContextManager[None]:
        """While a run works on it; shared: together with other workers of the same list, each at
        a task of its own. Raises MediaError where others hold it in another way."""
        return lock.held(self.path, shared=shared)

    def open(self) -> RenderPlan | None:
        """The plan of an earlier run of the same work; None: there is none, or it is of other work,
        which is said, and discarded. Raises MediaError where the folder is not one of ours."""
        if not self.path.exists():
            return None
        about = self._read_about()
        if about is None and not self._foreign():  # a run ended while it was made, or removed
            self.remove()
            return None
        if about is None:
            remedy = "it holds something else; move it away, or choose another output"
            raise MediaError("not a folder of segments", self.path, remedy)
        if about.get("identity") != self._identity:
            changed = differences(self._identity, about.get("identity") or {})
            what = f"{', '.join(changed) or 'the format'} changed"
            logger.warning("%s: %s since the last run: all of it is made again", self.path, what)
            self.remove()
            return None
        try:
            plan = load_plan(self.path / _PLAN)
        except MediaError as error:
            logger.warning("%s: it is made again", error)
            self.remove()
            return None
        self._about = about
        return plan

    def begin(
        self, plan: RenderPlan, borders: Sequence[tuple[int, int]], decided: Mapping[str, Any]
    ) -> None:
        """Keeps the plan of new work. decided: what only the session that made it knows."""
        self.path.mkdir(parents=True, exist_ok=True)
        self._about = {
            "format": FORMAT,
            "identity": self._identity,
            "borders": [list(one) for one in borders],
            "decided": dict(decided),
        }
        self._write_json(_JOB, self._about)
        for path in save_plan(plan, self.path / _PLAN):
            flush(path)

    @property
    def begun(self) -> bool:
        """Whether there is a plan, of this run or an earlier one."""
        return bool(self._about)

    @property
    def borders(self) -> list[tuple[int, int]]:
        return [(int(a), int(b)) for a, b in self._about["borders"]]

    @property
    def decided(self) -> dict[str, Any]:
        return dict(self._about["decided"])

    def has(self, number: int) -> bool:
        """Whether a segment is complete; its files may still turn out to be damaged."""
        return (self.path / f"{number:05d}.json").exists()

    def file(self, number: int, output: int) -> Path:
        """Of the frames of a segment. output: 0: the result; 1: the comparison."""
        return self.path / f"{number:05d}.{output}.seg"

    def keep(
        self,
        number: int,
        segments: Sequence[Segment],
        outcomes: Sequence[Outcome],
        marks: Marks,
        work: Mapping[str, Work],
        seconds: float,
    ) -> None:
        """A segment is complete."""
        first, after = self.borders[number]
        arrays = {
            f"{n}.{name}": getattr(outcome, name)[first:after]
            for n, outcome in enumerate(outcomes)
            for name in _ARRAYS
        }
        arrays["boxes"] = marks.boxes[first:after]
        about = {
            "segments": [{**asdict(one), "path": one.path.name} for one in segments],
            "sums": [_sum(one.path) for one in segments],
            "outcomes": [_outcome_json(one) for one in outcomes],
            "work": {name: asdict(one) for name, one in work.items()},
            "seconds": seconds,
        }
        path = self.path / f"{number:05d}.npz"
        with part_file(path) as part:
            with part.open("wb") as file:
                np.savez_compressed(file, **arrays)
            flush(part)
        self._write_json(f"{number:05d}.json", about)

    def kept(self, number: int, outcomes: Sequence[Outcome], marks: Marks) -> Kept | None:
        """What an earlier run made of a segment, added to the outcomes and marks; None: it has to
        be made."""
        first, after = self.borders[number]
        try:
            about = json.loads((self.path / f"{number:05d}.json").read_text("utf-8"))
            segments = [
                Segment(**{**one, "path": self.path / one["path"]}) for one in about["segments"]
            ]
            damaged = [
                one.path.stat().st_size != one.nbytes or one.frames != after - first
                for one in segments
            ]
            if any(damaged) or [_sum(one.path) for one in segments] != about["sums"]:
                raise ValueError("a file is damaged")
            with np.load(self.path / f"{number:05d}.npz", allow_pickle=False) as arrays:
                loaded = dict(arrays)
            for n, outcome in enumerate(outcomes):
                for name in _ARRAYS:
                    getattr(outcome, name)[first:after] = loaded[f"{n}.{name}"]
                _add_json(outcome, about["outcomes"][n])
            marks.boxes[first:after] = loaded["boxes"]
            work = {name: Work(**one) for name, one in about["work"].items()}
            return Kept(segments, work, float(about["seconds"]))
        except FileNotFoundError:
            return None
        except (
            OSError,
            ValueError,
            KeyError,
            TypeError,
            IndexError,
            EOFError,
            BadZipFile,
        ) as error:
            reason = " ".join(str(error).split())
            logger.warning("%s: segment %d is made again: %s", self.path, number, reason)
            return None

    def remove(self) -> None:
        """Deletes what this class made; the folder too, unless it holds something else."""
        if not self.path.is_dir():
            return
        ours = [path for path in self.path.iterdir() if _OURS.fullmatch(path.name)]
        for path in sorted(ours, key=lambda path: path.name == WRITTEN):  # that one last
            path.unlink(missing_ok=True)
        with suppress(OSError):  # it is not empty
            self.path.rmdir()
            lock.drop(self.path)

    def _foreign(self) -> bool:
        """Whether it is no folder, or holds what this class did not make."""
        if not self.path.is_dir():
            return True
        names = [path.name for path in self.path.iterdir()]
        return not all(name.startswith(".") or _OURS.fullmatch(name) for name in names)

    def _read_about(self) -> dict[str, Any] | None:
        try:
            about = json.loads((self.path / _JOB).read_text("utf-8"))
        except (OSError, ValueError):
            return None
        ours = isinstance(about, dict) and str(about.get("format", "")).startswith(
            "latentsync segments"
        )
        return about if ours else None

    def _write_json(self, name: str, value: Mapping[str, Any]) -> None:
        with part_file(self.path / name) as part:
            part.write_text(compact_json(value), "utf-8")
            flush(part)


def _outcome_json(outcome: Outcome) -> dict[str, Any]:
    return {
        "fit": outcome.fit,
        "strengths": outcome.strengths,
        "reused": outcome.reused,
        "flicker": {str(track): asdict(one) for track, one in outcome.flicker.items()},
    }


def _add_json(outcome: Outcome, more: Mapping[str, Any]) -> None:
    outcome.fit |= more["fit"]
    outcome.strengths |= more["strengths"]
    outcome.reused += more["reused"]
    for track, one in more["flicker"].items():
        known = outcome.flicker.get(int(track), Flicker())
        outcome.flicker[int(track)] = known + Flicker(**one)


def _sum(path: Path) -> int:
    """CRC-32 of the file: a second for 2 GB."""
    total = 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            total = zlib.crc32(block, total)
    return total
