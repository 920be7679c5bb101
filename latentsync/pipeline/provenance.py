"""The marks of an output: kept from its source, and made by what the finished frames show."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from latentsync import __version__
from latentsync.errors import ConfigError
from latentsync.generate.base import LipGenerator
from latentsync.media.marks import signing
from latentsync.media.marks.marking import Marking, Place, SourceMarks, place_in, read_marks
from latentsync.media.marks.signing import Action, Identity, Span
from latentsync.media.marks.words import Done, Tool
from latentsync.media.probe import VideoInfo
from latentsync.media.settings import one_of
from latentsync.pipeline.outcome import Outcome
from latentsync.pipeline.planning.plan import RenderPlan
from latentsync.pipeline.stages.composite import Rendered
from latentsync.restoration.base import Restorer
from latentsync.settings.schema import Config
from latentsync.types import Box

if TYPE_CHECKING:
    from latentsync.pipeline.session import Session

PROGRAM = ("latentsync-restore", __version__)
MOST_SPANS = 100
"""Of an action: with more, those with the least time between them are joined."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Provenance:
    """What is marked, decided before any work. identity: who signs; None: the output is not signed.

    title: of the output. parent: the file that it is made from; None: frames in memory.
    """

    marking: Marking
    identity: Identity | None
    title: str
    parent: Path | None

    @property
    def is_picture(self) -> bool:
        return self.marking.place in (Place.PICTURE, Place.NOWHERE)

    def said(self, sentence: str) -> str:
        """A sentence about a video, or the same about a picture."""
        return sentence.replace("this video", "this picture") if self.is_picture else sentence

    @property
    def notes(self) -> list[str]:
        """What is not kept of the source's marks, or cannot be said, a sentence each."""
        of = self.parent or self.title
        signed = self.identity is not None
        return [f"{of}: {note}" for note in self.marking.notes(signed=signed)]


def provenance_of(config: Config, source: VideoInfo, target: Path) -> Provenance:
    """Raises ConfigError where the output cannot be signed as asked."""
    is_file = source.path.is_file()
    marks = read_marks(source) if is_file else SourceMarks()
    marking = Marking(
        marks,
        source.file_metadata,
        place=place_in(target),
        make=config.output.provenance == "auto",
        producer=config.output.aigc.producer,
        number=str(uuid.uuid4()),
    )
    return Provenance(
        marking, _identity(config, target), target.name, source.path if is_file else None
    )


def _identity(config: Config, target: Path) -> Identity | None:
    own = config.output.sign
    if own.cert is None or own.key is None:
        return None
    if target.suffix.lower() not in signing.SIGNABLE:
        remedy = f"C2PA cannot sign this kind of file; use {one_of(signing.SIGNABLE)}"
        raise ConfigError("output.sign.cert", target, remedy)
    return signing.load_identity(Path(own.cert), Path(own.key), PROGRAM)


class Marks:
    """The marks of one rendering: what is planned, and what the frames turn out to show."""

    def __init__(
        self,
        provenance: Provenance,
        session: Session,
        plan: RenderPlan,
        outcomes: Sequence[Outcome],
    ) -> None:
        """outcomes: of the speakers; they get what changed while frames are finished."""
        self._of, self._plan, self._outcomes = provenance, plan, outcomes
        generators = [lane.generator for lane in session.lanes]
        generator = next((one for one in generators if one is not None), None)
        self._generator = None if generator is None else _tool(generator)
        restorer = session.engine.restorer
        self._restorer = None if restorer is None else _tool(restorer)
        self._dubbed = session.speaks
        self._watermark = session.config.output.watermark
        self.boxes = np.zeros((len(plan), 4), np.int32)
        self._signed: dict[str, Any] | None = None
        self.planned = self._done(
            any((one.chunk >= 0).any() for one in plan.speakers),
            any(one.strength.any() for one in plan.speakers),
        )

    def add(self, item: Rendered) -> None:
        """item: a finished frame."""
        if item.changed is not None:
            box = item.changed
            self.boxes[item.index] = box.x0, box.y0, box.x1, box.y1

    @property
    def header(self) -> dict[str, str]:
        """The metadata of the output, written before any frame."""
        return self._of.marking.planned(self.planned)

    def packet(self, packet: bytes) -> bytes:
        """XMP of the picture that is made, from that of its source; empty: none."""
        return self._of.marking.amended(packet or None, self.done) or b""

    def finishers(self, *, sign: bool, copied: bool = False) -> list[Callable[[Path], None]]:
        """What is done to the complete file, before it gets its name.

        sign: whether it is signed. copied: whether the video stream was copied.
        """

        def correct(path: Path) -> None:
            self._of.marking.finish(path, planned=self.planned, done=self.done)

        def add_signature(path: Path) -> None:
            self._sign(path, copied=copied)

        return [correct, add_signature] if sign else [correct]

    @property
    def done(self) -> Done:
        """What the frames show."""
        generated = any(one.generated.any() for one in self._outcomes)
        return self._done(generated, any(one.largest.any() for one in self._outcomes))

    def report(self) -> dict[str, Any]:
        """For the report: the marks of the source, and those that were made."""
        marking, done = self._of.marking, self.done
        source = marking.source
        found = {
            "comment": source.comment,
            "AIGC": source.aigc,
            "XMP": source.packet,
            "C2PA": source.manifest,
        }
        return {
            "found": [name for name, value in found.items() if value],
            "not_kept": self._of.notes,
            "sentences": list(marking.sentences(done)),
            "digital_source_type": marking.source_type(done),
            "aigc": marking.aigc(done) or None,
            "signed": self._signed,
            "watermark": self._watermark,
        }

    def _done(self, generated: bool, restored: bool) -> Done:
        return Done(
            self._dubbed,
            self._generator if generated else None,
            self._restorer if restored else None,
        )

    def _sign(self, path: Path, *, copied: bool) -> None:
        identity, parent = self._of.identity, self._of.parent
        assert identity is not None
        actions = list(self._actions(copied=copied))
        state = signing.sign(path, identity, actions, self._of.title, parent)
        self._signed = {"state": state, "actions": [action.name for action in actions]}

    def _actions(self, *, copied: bool) -> Iterator[Action]:
        done, outcomes = self.done, self._outcomes
        if done.of_speech is not None:
            kind = Done(generated=done.generated).source_type
            spans = self._spans([one.generated for one in outcomes])
            yield Action("c2pa.dubbed", self._of.said(done.of_speech), kind, spans)
        if done.of_restoration is not None:
            kind = Done(restored=done.restored).source_type
            spans = self._spans([one.largest > 0 for one in outcomes])
            yield Action("c2pa.edited", self._of.said(done.of_restoration), kind, spans)
        if self._watermark is not None:
            about = f"Every frame carries a watermark ({self._watermark})."
            yield Action("c2pa.watermarked.unbound", about)
        elif not done.sentences and copied:
            yield Action("c2pa.repackaged", "It was copied into a new file unchanged.")
        elif not done.sentences:
            yield Action("c2pa.transcoded", "It was encoded again; no pixel was edited.")

    def _spans(self, flags: Sequence[np.ndarray]) -> list[Span]:
        changed = np.any([*flags], axis=0) if flags else np.zeros(len(self._plan), bool)
        spans = spans_of(changed, self.boxes, self._plan.seconds, self._plan.duration)
        return [Span(span.box) for span in spans] if self._of.is_picture else spans


def spans_of(
    changed: np.ndarray, boxes: np.ndarray, seconds: np.ndarray, duration: float
) -> list[Span]:
    """At most MOST_SPANS runs of changed frames, each with the box around what changed in it.

    changed: (N,) bool. boxes: (N, 4) int, x0, y0, x1, y1. seconds: (N,) rising; duration: the end.
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[False], changed, [False]]).astype(np.int8)))
    starts, stops = edges[::2], edges[1::2]
    if not len(starts):
        return []
    ends = np.append(seconds[1:], duration)
    gaps = seconds[starts[1:]] - ends[stops[:-1] - 1]
    apart = np.sort(np.argsort(gaps)[::-1][: MOST_SPANS - 1])
    firsts, lasts = starts[np.append(0, apart + 1)], stops[np.append(apart, len(stops) - 1)]
    spans = []
    for first, last in zip(firsts, lasts, strict=True):
        own = boxes[first:last][changed[first:last]]
        low, high = own[:, :2].min(axis=0), own[:, 2:].max(axis=0)
        box = Box(int(low[0]), int(low[1]), int(high[0]), int(high[1]))
        spans.append(Span(box, (float(seconds[first]), float(ends[last - 1]))))
    return spans


def _tool(model: Restorer | LipGenerator) -> Tool:
    """A plug-in counts as a network unless its attribute ``network`` says otherwise. Its attribute
    ``label`` is a longer name, with the LoRA in use."""
    name = str(getattr(model, "label", model.name))
    return Tool(name, bool(getattr(model, "network", True)))
