"""What flows through the steps: pieces of a source on their way to become clips, and verdicts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

FRAME_RATE = 25
"""Frames a second of a clip, and of all numbers of frames here."""
SAMPLE_RATE = 16000
"""Hz, of a clip's audio."""
SAMPLES_PER_FRAME = SAMPLE_RATE // FRAME_RATE

KEPT, DROPPED, NOT_JUDGED, FAILED = "kept", "dropped", "not judged", "failed"
"""Verdicts. Not judged: it goes on, and nobody knows whether it should. Failed: the program did,
and tries again in the next run."""

STEPS = {
    "readable": "the file can be read to its end, and is a video with audio",
    "rate": "it has enough frames a second",
    "audio": "somebody can be heard",
    "shots": "the shot is long enough",
    "faces": "a face is seen",
    "size": "the face is large enough",
    "speaker": "nobody else in the frame speaks",
    "segments": "what is left is long enough",
    "speech": "there is speech in it",
    "sync": "lips and audio agree",
    "quality": "the face is sharp",
    "duplicate": "no other file has the same content",
}
"""Name of a step -> what it asks. In this order, but for the last, which is asked first."""
SKIPPABLE = ("size", "speaker", "speech", "sync", "quality")
LEFT_OUT = "the step is left out"
"""Reason of a step that is skipped: its verdict is NOT_JUDGED."""
WHOLE = ""
"""The name of the piece that is a whole source."""

Figures = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a source. name: within it. start, stop: frames at 25 a second, half open.

    person: number of the person whose clip it is; track: id of the track; -1: not known yet.
    """

    name: str
    start: int
    stop: int
    person: int = -1
    track: int = -1

    @property
    def frames(self) -> int:
        return self.stop - self.start


@dataclass(frozen=True, slots=True)
class Judged:
    """A step's verdict on a piece. reason: in words; of a piece that is kept mostly empty."""

    piece: Piece
    verdict: str = KEPT
    reason: str = ""
    figures: Figures = field(default_factory=dict)

    @property
    def goes_on(self) -> bool:
        return self.verdict in (KEPT, NOT_JUDGED)


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the table. clip: the full name of the piece; empty: the source as a whole.

    start, end: seconds of the source.
    """

    clip: str
    source: str
    start: float
    end: float
    step: str
    verdict: str
    reason: str = ""
    figures: Figures = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        return self.end - self.start

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> Row:
        """From JSON."""
        return cls(**facts)


class Journal:
    """The verdicts on one source. stem: what the names of its clips begin with."""

    def __init__(self, source: str, stem: str) -> None:
        self.source, self.stem = source, stem
        self.rows: list[Row] = []
        self.dropped: list[Piece] = []

    def name(self, piece: Piece) -> str:
        return f"{self.stem}_{piece.name}" if piece.name else ""

    def take(self, step: str, verdicts: Iterable[Judged]) -> list[Piece]:
        """Notes the verdicts and returns the pieces that go on."""
        passed: list[Piece] = []
        for one in verdicts:
            start, end = one.piece.start / FRAME_RATE, one.piece.stop / FRAME_RATE
            place = self.name(one.piece), self.source, start, end
            self.rows.append(Row(*place, step, one.verdict, one.reason, one.figures))
            (passed if one.goes_on else self.dropped).append(one.piece)
        return passed


def seconds(frames: int) -> str:
    """For reasons."""
    return f"{frames / FRAME_RATE:.1f} s"
